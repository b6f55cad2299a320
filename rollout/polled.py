"""What a process knows of the rollouts in the database, and how far it may go by that.

Pure: a reading goes in, a new value comes out. The invariants: a version that was seen is never gone below;
what was obeyed must still be in the store's journal, whatever its version; a row that was seen is never
forgotten because it is missing; what is not confirmed by the store itself is good for recording and never for
sending. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.table import Table

__all__ = ["Control", "Polled", "dumps", "loads"]

SCHEMA = 1
_WENT_BACK = "store went back: "
_OTHERS = f"{_WENT_BACK}another sender has seen more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the store says of one flag's rollout.

    Args:
        flag: The flag's key.
        version: The version of its state; only grows.
        epoch: What a sender acknowledges; only grows.
        ceiling: What is in force: 0 while killed or rolled back; None: no ceiling.
        shadow: Whether envelopes are built, checked and signed although nothing is sent.
        head: The hash of the journal's last entry of the flag; empty: there is none, or nobody knows it.
        entry: The version of that entry, at most the state's; by both it is found again. 0 without one.
    """

    flag: FlagKey
    version: int
    epoch: int
    ceiling: Percentage | None
    shadow: bool = False
    head: str = ""
    entry: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Everything that was read, as it is in force.

    Args:
        controls: By flag.
        configuration: The flags' document where the database owns them; empty where it does not.
        configuration_version: Its version; -1: there was none.
        confirmed_at: When the store itself last said so, by the process's monotonic clock; None: never, as
            after a cold start from disk.
        problem: What keeps it from being confirmed, for a person; empty where nothing does.
        is_lost: Whether the store lacks a decision that was obeyed here, so that others must hear of it.
    """

    controls: Mapping[FlagKey, Control] = field(default_factory=dict)
    configuration: str = ""
    configuration_version: int = -1
    confirmed_at: float | None = None
    problem: str = ""
    is_lost: bool = False

    @property
    def is_known(self) -> bool:
        """Whether anything was ever read, from the store or from disk."""
        return self.confirmed_at is not None or bool(self.controls) or self.configuration_version >= 0

    @property
    def went_back(self) -> bool:
        """Whether the last reading showed a store that went back."""
        return self.problem.startswith(_WENT_BACK)

    @property
    def is_refused(self) -> bool:
        """Whether the last reading was not taken, since it lacks what is known here."""
        return self.went_back and self.problem != _OTHERS

    def is_confirmed(self, *, now: float, within_seconds: float) -> bool:
        """Whether the store has said so within the last *within_seconds*; a clock that ran back: no."""
        return self.confirmed_at is not None and 0 <= now - self.confirmed_at <= within_seconds

    def ceilings(self) -> dict[FlagKey, Percentage]:
        """Return the ceilings in force, of the flags that have one."""
        return {
            flag: control.ceiling for flag, control in self.controls.items() if control.ceiling is not None
        }

    def asks(self, controls: Iterable[Control]) -> list[Control]:
        """Return what was obeyed, is not the journal's last entry, and so must be looked for there."""
        heads = {control.flag: control.head for control in controls}
        return [
            known
            for flag, known in sorted(self.controls.items())
            if known.head and heads.get(flag, known.head) != known.head
        ]

    def after(
        self,
        controls: Iterable[Control],
        *,
        configuration: str,
        configuration_version: int,
        at: float,
        lacks: Collection[FlagKey] = (),
        others: bool = False,
    ) -> Polled:
        """Return what is in force after a reading that began at *at*.

        A reading that goes back anywhere is not taken: what was in force stays, unconfirmed from now on, so
        that senders wait until the store is ahead again or a person has accepted it. What it lowers is taken.

        Args:
            controls: All rows.
            configuration: The flags' document.
            configuration_version: Its version; -1: there is none.
            at: The process's monotonic clock.
            lacks: Of `asks`, the flags whose journal does not have the entry that was obeyed.
            others: Whether another sender has told that the store lacks what it has obeyed.
        """
        read = {control.flag: control for control in controls}
        back, is_lost = [], bool(lacks)
        for flag, known in sorted(self.controls.items()):
            found = read.get(flag)
            if found is None or found.version < known.version:
                back.append(f"{flag} from version {known.version} to {found.version if found else 'none'}")
                is_lost |= found is None
            elif flag in lacks or _is_another(known, found):
                back.append(f"{flag} from version {known.version} to another {found.version}")
        if configuration_version < self.configuration_version:
            back.append(f"flags from version {self.configuration_version} to {configuration_version}")
            is_lost = True
        if back:
            problem, lowered = f"{_WENT_BACK}{'; '.join(back)}", self._lowered(read)
            return replace(self, controls=lowered, confirmed_at=None, problem=problem, is_lost=is_lost)
        return Polled(
            controls=read,
            configuration=configuration,
            configuration_version=configuration_version,
            confirmed_at=None if others else at,
            problem=_OTHERS if others else "",
        )

    def is_settled_by(self, accepted: Mapping[FlagKey, int]) -> bool:
        """Whether a person has accepted the store after all that is known here.

        Args:
            accepted: Of each flag the version at which a person last did. One word is for all flags.
        """
        known = self.controls
        return any(
            version > (known[flag].version if flag in known else -1) for flag, version in accepted.items()
        )

    def _lowered(self, read: Mapping[FlagKey, Control]) -> dict[FlagKey, Control]:
        """Return the known controls, and new ones; a lower ceiling counts whatever its version."""
        merged = {**read, **self.controls}
        for flag, known in self.controls.items():
            said = read[flag].ceiling if flag in read else None
            if said is not None and (known.ceiling is None or said < known.ceiling):
                merged[flag] = replace(known, ceiling=said)
        return merged

    def unread(self, problem: str, controls: Iterable[Control] = ()) -> Polled:
        """Return what is in force after a reading that failed: the same, with the problem.

        Args:
            problem: What kept it from being read.
            controls: The rows, where they had been read by then: what they lower is taken.
        """
        lowered = self._lowered({control.flag: control for control in controls})
        if (problem, lowered) == (self.problem, self.controls):
            return self
        return replace(self, controls=lowered, problem=problem)


def _is_another(known: Control, found: Control) -> bool:
    """Whether *found*, of no lower version, cannot follow *known*: where no journal tells, by the numbers."""
    if found.epoch < known.epoch:
        return True
    if found.version > known.version or (known.head and found.head):
        return False  # the same entry, or another one: `Polled.asks` looks for what was obeyed
    return (known.epoch, known.ceiling, known.shadow) != (found.epoch, found.ceiling, found.shadow)


def control(
    flag: str, version: int, epoch: int, ceiling: str, *, shadow: bool, head: str = "", entry: int = 0
) -> Control:
    """Return one row as a `Control`; a ceiling that cannot be read is 0.

    Args:
        ceiling: Exact decimal text; empty: none.
    """
    try:
        highest = Percentage.parse(ceiling) if ceiling else None
    except ConfigError:
        highest = NOBODY
    return Control(
        flag=FlagKey(flag),
        version=version,
        epoch=epoch,
        ceiling=highest,
        shadow=shadow,
        head=head,
        entry=entry,
    )


def dumps(polled: Polled, *, environment: str) -> str:
    """Return what is worth keeping over a restart, as one line of JSON, with whose it is."""
    rows = [
        {
            "flag": each.flag,
            "version": each.version,
            "epoch": each.epoch,
            "ceiling": "" if each.ceiling is None else str(each.ceiling),
            "shadow": each.shadow,
            "head": each.head,
            "entry": each.entry,
        }
        for _, each in sorted(polled.controls.items())
    ]
    data = {
        "schema": SCHEMA,
        "environment": environment,
        "controls": rows,
        "configuration": polled.configuration,
        "configuration_version": polled.configuration_version,
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def loads(text: str, *, environment: str) -> Polled:
    """Read what `dumps` wrote, of this release or of a later one with more keys; nothing in it is confirmed.

    Raises:
        ConfigError: It is not that, or not of *environment*: two on one host may be told one path.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("last known good", "is no JSON") from None
    table = Table(data, path="last known good", known=None)
    if table.whole("schema") != SCHEMA:
        raise ConfigError("last known good", f"must have the schema {SCHEMA}")
    if table.text("environment") != environment:
        raise ConfigError("last known good", "is another environment's")
    rows = table.value("controls")
    if not isinstance(rows, list):
        raise ConfigError("last known good.controls", "must be a list")
    controls = [_row(row, place) for place, row in enumerate(rows)]
    return Polled(
        controls={each.flag: each for each in controls},
        configuration=table.text("configuration"),
        configuration_version=int(table.number("configuration_version")),
        problem="from disk",
    )


def _row(data: object, place: int) -> Control:
    table = Table(data, path=f"last known good.controls[{place}]", known=None)
    knows = "head" in table and "entry" in table  # what an older release left does not
    return control(
        table.text("flag"),
        table.whole("version"),
        table.whole("epoch"),
        table.text("ceiling"),
        shadow=table.boolean("shadow"),
        head=table.text("head") if knows else "",
        entry=table.whole("entry") if knows else 0,
    )
