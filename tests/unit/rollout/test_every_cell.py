"""Every combination of kill switch, master switch, ceiling, flag and store: in doubt the old path (§3).

The answer is worked out a second time here, by the words of the contract and nothing of the product's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import pytest

from rollout.controls import NOT_KILLED, KillState
from rollout.decision import Decision, Reason
from rollout.flags import Flag, FlagKey
from rollout.live import LiveFlags
from rollout.percentage import EVERYBODY, NOBODY, Percentage
from rollout.snapshot import Snapshot, SourceStatus

KEY = FlagKey("tournament-webhooks")
#: Known positions under the flag's own salt: the first is in at 50 %, the second is not.
EARLY, LATE = "11", "7"


class Broken(Exception):
    """What a part raises that cannot be asked."""


def broken(*_arguments: object) -> object:
    """Raise it."""
    raise Broken


KILLS: dict[str, Callable[[], object]] = {
    "not killed": lambda: NOT_KILLED,
    "killed": lambda: KillState(killed=True, why="drill"),
    "cannot be asked": broken,
    "nonsense": lambda: KillState(killed=cast("bool", "no")),
}
MASTERS: dict[str, Callable[[], object]] = {
    "on": lambda: True,
    "off": lambda: False,
    "unknown": lambda: None,
    "nonsense": lambda: "true",
    "cannot be asked": broken,
}
CEILINGS: dict[str, Callable[[], object]] = {
    "none": lambda: {},
    "100": lambda: {KEY: EVERYBODY},
    "50": lambda: {KEY: Percentage.parse(50)},
    "0": lambda: {KEY: NOBODY},
    "nonsense": lambda: {KEY: "100"},
    "cannot be asked": broken,
}
FLAGS: dict[str, Mapping[FlagKey, Flag]] = {
    "100 %": {KEY: Flag(key=KEY, percentage=EVERYBODY)},
    "0 %": {KEY: Flag(key=KEY, percentage=NOBODY)},
    "forced on": {KEY: Flag(key=KEY, percentage=NOBODY, forced_on=frozenset({EARLY, LATE}))},
    "forced off": {KEY: Flag(key=KEY, percentage=EVERYBODY, forced_off=frozenset({EARLY, LATE}))},
    "disabled": {KEY: Flag(key=KEY, percentage=EVERYBODY, enabled=False)},
    "missing": {},
}
STORES = ("ready", "stale", "went back", "nothing read", "cannot be asked", "nonsense")


@dataclass(frozen=True)
class Cell:
    """One combination."""

    kill: str
    master: str
    ceiling: str
    flag: str
    store: str
    unit: str


CELLS = [Cell(*each) for each in itertools.product(KILLS, MASTERS, CEILINGS, FLAGS, STORES, (EARLY, LATE))]


def source(cell: Cell) -> object:
    """Return what the store says in *cell*."""
    flags = FLAGS[cell.flag]
    snapshots = {
        "ready": lambda: Snapshot(flags=flags, version=3),
        "stale": lambda: Snapshot(flags=flags, version=3, status=SourceStatus.STALE, problem="unreadable"),
        "went back": lambda: Snapshot(
            flags=flags, version=3, status=SourceStatus.STORE_WENT_BACK, problem="2 after 3"
        ),
        "nothing read": lambda: Snapshot(status=SourceStatus.ERROR, problem="nothing"),
        "cannot be asked": broken,
        "nonsense": lambda: {"flags": flags},
    }
    return type("Source", (), {"snapshot": staticmethod(snapshots[cell.store])})()


def flags_of(cell: Cell) -> LiveFlags:
    """Build what a process has in *cell*."""
    kill = type("Kill", (), {"state": staticmethod(KILLS[cell.kill])})()
    return LiveFlags(
        source(cell),  # type: ignore[arg-type]
        kill=kill,
        master=MASTERS[cell.master],  # type: ignore[arg-type]
        ceilings=CEILINGS[cell.ceiling],  # type: ignore[arg-type]
        refresh_seconds=0,
    )


def may_be_on(cell: Cell, *, strict: bool) -> bool:
    """Say whether the contract lets *cell* be on: every part known, none of them against it."""
    if cell.kill != "not killed" or cell.master != "on":
        return False
    if cell.ceiling in ("0", "nonsense", "cannot be asked"):
        return False
    if cell.store in ("nothing read", "cannot be asked", "nonsense") or (
        strict and cell.store == "went back"
    ):
        return False
    if cell.flag in ("0 %", "forced off", "disabled", "missing"):
        return False
    return cell.flag == "forced on" or cell.ceiling != "50" or cell.unit == EARLY


def decided(cell: Cell, *, strict: bool) -> Decision:
    """Ask the product."""
    flags = flags_of(cell)
    return flags.decide_strict(KEY, cell.unit) if strict else flags.decide(KEY, cell.unit)


@pytest.mark.parametrize("strict", [False, True], ids=["recording", "sending"])
def test_in_every_cell_it_is_on_only_where_nothing_is_in_doubt(*, strict: bool) -> None:
    """8,640 cells, each asked when an event is recorded and before it is sent; nothing raises."""
    wrong = [
        cell for cell in CELLS if decided(cell, strict=strict).value is not may_be_on(cell, strict=strict)
    ]

    assert len(CELLS) == 8_640
    assert wrong == []


def test_the_short_way_gives_the_same_answers() -> None:
    """`is_on`, which the gate takes where no attributes are asked, in every cell."""
    wrong = [
        cell for cell in CELLS if flags_of(cell).is_on(KEY, cell.unit) is not may_be_on(cell, strict=False)
    ]

    assert wrong == []


def test_before_sending_what_is_not_known_waits_and_what_is_off_is_held() -> None:
    """ERROR and STALE are *wait*; a clear no is *hold*: a rollback holds, an outage does not."""
    unsure = []
    for cell in CELLS:
        decision = decided(cell, strict=True)
        waits = decision.reason in (Reason.ERROR, Reason.STALE)
        clear_no = cell.kill == "killed" or (
            cell.kill == "not killed" and cell.master == "off" and cell.ceiling != "cannot be asked"
        )
        if not decision and clear_no and waits:
            unsure.append(cell)

    assert unsure == []
