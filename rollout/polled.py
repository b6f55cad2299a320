"""What a process knows of the rollouts in the database, and how far it may go by that.

Pure: a reading goes in, a new value comes out. The invariants: a version that was seen is never gone below; a
row that was seen is never forgotten because it is missing; what is not confirmed by the store itself is good
for recording and never for sending. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.table import Table

__all__ = ["Control", "Polled", "dumps", "loads"]

SCHEMA = 1
_WENT_BACK = "store went back: "
_KEYS = ("flag", "version", "epoch", "ceiling", "shadow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the store says of one flag's rollout.

    Args:
        flag: The flag's key.
        version: The version of its state; only grows.
        epoch: What a sender acknowledges; only grows.
        ceiling: What is in force: 0 while killed or rolled back; None: no ceiling.
        shadow: Whether envelopes are built, checked and signed although nothing is sent.
    """

    flag: FlagKey
    version: int
    epoch: int
    ceiling: Percentage | None
    shadow: bool = False


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
    """

    controls: Mapping[FlagKey, Control] = field(default_factory=dict)
    configuration: str = ""
    configuration_version: int = -1
    confirmed_at: float | None = None
    problem: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anything was ever read, from the store or from disk."""
        return self.confirmed_at is not None or bool(self.controls) or self.configuration_version >= 0

    @property
    def went_back(self) -> bool:
        """Whether the last reading showed a store that went back."""
        return self.problem.startswith(_WENT_BACK)

    def is_confirmed(self, *, now: float, within_seconds: float) -> bool:
        """Whether the store has said so within the last *within_seconds*; a clock that ran back: no."""
        return self.confirmed_at is not None and 0 <= now - self.confirmed_at <= within_seconds

    def ceilings(self) -> dict[FlagKey, Percentage]:
        """Return the ceilings in force, of the flags that have one."""
        return {
            flag: control.ceiling for flag, control in self.controls.items() if control.ceiling is not None
        }

    def after(
        self, controls: Iterable[Control], *, configuration: str, configuration_version: int, at: float
    ) -> Polled:
        """Return what is in force after a reading that began at *at*.

        A reading that goes back anywhere is not taken: what was in force stays, unconfirmed from now on, so
        that senders wait until the store is ahead again or a person has accepted it. What it lowers is taken.
        """
        read = {control.flag: control for control in controls}
        back = [
            f"{flag} from version {known.version} to {read[flag].version if flag in read else 'none'}"
            for flag, known in sorted(self.controls.items())
            if flag not in read or read[flag].version < known.version
        ]
        if configuration_version < self.configuration_version:
            back.append(f"flags from version {self.configuration_version} to {configuration_version}")
        if back:
            problem = f"{_WENT_BACK}{'; '.join(back)}"
            return replace(self, controls=self._lowered(read), confirmed_at=None, problem=problem)
        return Polled(
            controls=read,
            configuration=configuration,
            configuration_version=configuration_version,
            confirmed_at=at,
        )

    def _lowered(self, read: Mapping[FlagKey, Control]) -> dict[FlagKey, Control]:
        """Return the known controls, and new ones; a lower ceiling counts whatever its version."""
        merged = {**read, **self.controls}
        for flag, known in self.controls.items():
            said = read[flag].ceiling if flag in read else None
            if said is not None and (known.ceiling is None or said < known.ceiling):
                merged[flag] = replace(known, ceiling=said)
        return merged

    def unread(self, problem: str) -> Polled:
        """Return what is in force after a reading that failed: the same, with the problem."""
        return self if self.problem == problem else replace(self, problem=problem)


def control(flag: str, version: int, epoch: int, ceiling: str, *, shadow: bool) -> Control:
    """Return one row as a `Control`; a ceiling that cannot be read is 0.

    Args:
        ceiling: Exact decimal text; empty: none.
    """
    try:
        highest = Percentage.parse(ceiling) if ceiling else None
    except ConfigError:
        highest = NOBODY
    return Control(flag=FlagKey(flag), version=version, epoch=epoch, ceiling=highest, shadow=shadow)


def dumps(polled: Polled, *, environment: str) -> str:
    """Return what is worth keeping over a restart, as one line of JSON, with whose it is."""
    rows = [
        {
            "flag": each.flag,
            "version": each.version,
            "epoch": each.epoch,
            "ceiling": "" if each.ceiling is None else str(each.ceiling),
            "shadow": each.shadow,
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
    """Read what `dumps` wrote; nothing in it is confirmed.

    Raises:
        ConfigError: It is not that, or not of *environment*: two on one host may be told one path.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("last known good", "is no JSON") from None
    known = ("schema", "environment", "controls", "configuration", "configuration_version")
    table = Table(data, path="last known good", known=known)
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
    table = Table(data, path=f"last known good.controls[{place}]", known=_KEYS)
    return control(
        table.text("flag"),
        table.whole("version"),
        table.whole("epoch"),
        table.text("ceiling"),
        shadow=table.boolean("shadow"),
    )
