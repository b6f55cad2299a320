"""Evidence and senders that nobody asks for any more are removed by the runner, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from rollout import evidence_text
from rollout.counters import Counts
from rollout.django import driving, pruning, running
from rollout.django.evidence import EvidenceTable
from rollout.django.store import DjangoRolloutStore
from rollout.events import Fact, RunnerTold
from rollout.evidence import DAY_MINUTES, Evidence, minute_of
from rollout.flags import FlagKey
from rollout.percentage import NOBODY, Percentage
from rollout.rollout_state import Progress, RolloutState, State
from rollout.testing import ManualClock
from tests.integration.rollout.test_run import ONCE
from webhooks_core.django.outbox.database import Database

pytestmark = [pytest.mark.network]
DAY = 86_400.0
HOUR = 3_600.0
FLAG = FlagKey("tournament-webhooks")


def state() -> RolloutState:
    """The rollout under way: one stage of an hour."""
    return driving.store().load(FLAG)


def store_at(seconds_ago: float) -> DjangoRolloutStore:
    """The same store as it was so long ago."""
    kept = driving.store()
    clock = ManualClock(kept.now() - seconds_ago)
    database = Database(kept.database.alias, clock=clock, machine_clock=clock, monotonic=clock)
    return DjangoRolloutStore(database, environment="test")


def minutes(table: EvidenceTable) -> list[int]:
    """The minutes that have rows."""
    return sorted(row.minute for row in table.read(since_minute=0, until_minute=2**40))


def test_evidence_goes_once_it_is_older_than_the_longest_window_and_stage(under_way: Any) -> None:
    """One minute on either side; another environment's and another flag's are not this runner's."""
    table, now = driving.evidence(), driving.store().now()
    assert table is not None
    others = [
        EvidenceTable(table.database, environment=environment, flag=FlagKey(flag))
        for environment, flag in (("staging", FLAG), ("test", "another"))
    ]
    edge = now - DAY - HOUR
    for each, at in ((table, edge - 60), (table, edge), (table, now), (others[0], 0.0), (others[1], 0.0)):
        each.add({"a": Counts({"ok": 1})}, now=at)

    problem = pruning.Pruner()(state(), now=now)

    assert (problem, minutes(table)) == ("", [minute_of(edge), minute_of(now)])
    assert [minutes(each) for each in others] == [[0], [0]]


@ONCE
def test_what_the_guard_has_not_read_yet_stays(under_way: Any) -> None:
    """A runner that was away for a week reads on where it stopped; without its memory, from the stage on."""
    now = driving.store().now()
    entered, until = now - 9 * DAY, minute_of(now - 7 * DAY)
    kept = replace(Evidence(since=entered), until=until)
    lost = replace(state(), stage_entered_at=entered, progress=Progress())
    knows = replace(lost, progress=Progress(evidence=evidence_text.dumps(kept)))

    assert pruning.needed_from(knows, now=now) == until - DAY_MINUTES
    assert pruning.needed_from(lost, now=now) == minute_of(entered) - DAY_MINUTES
    assert knows.plan is not None
    short = replace(knows.plan.stages[0], percentage=Percentage.parse(5), bake_seconds=60)
    two = replace(knows.plan, stages=(short, *knows.plan.stages))
    rolled_back = RolloutState(flag=FLAG, state=State.ROLLED_BACK, ceiling=NOBODY, plan=two)
    assert pruning.needed_from(rolled_back, now=now) == minute_of(now - HOUR) - DAY_MINUTES
    assert pruning.needed_from(RolloutState(flag=FLAG), now=now) == minute_of(now) - DAY_MINUTES


def test_senders_that_are_long_gone_are_forgotten_and_the_highest_epoch_is_not(under_way: Any) -> None:
    """That a store went back is seen by it, whoever told it and however long ago."""
    store_at(DAY + 60).beat("gone", {FLAG: 1}, lease_seconds=3.0)
    store_at(DAY + 60).beat("elsewhere", {FlagKey("another"): 4}, lease_seconds=3.0)
    store_at(DAY + 60).beat("knew-most", {FLAG: 7, FlagKey("another"): 3}, lease_seconds=3.0)
    store_at(DAY - 60).beat("lately", {FLAG: 1}, lease_seconds=3.0)
    DjangoRolloutStore(driving.store().database, environment="staging").beat("other", {}, lease_seconds=3.0)

    pruning.Pruner()(state(), now=driving.store().now())

    names = [each.name for each in driving.store().senders(FLAG)]
    assert names == ["elsewhere", "knew-most", "lately"]
    assert "senders have seen 7" in driving.runner().look()[1].went_back(state())


def test_who_had_seen_most_while_it_waited_is_not_forgotten(under_way: Any) -> None:
    """Whose process is long gone: nobody else tells that the store lacks what it had obeyed."""
    store_at(DAY + 60).beat("saw-most", {FLAG: 1}, lease_seconds=0.0, seen={FLAG: 9})
    store_at(DAY + 60).beat("saw-less", {FLAG: 1}, lease_seconds=0.0, seen={FLAG: 8})
    store_at(DAY - 60).beat("lately", {FLAG: state().epoch}, lease_seconds=3.0)

    pruning.Pruner()(state(), now=driving.store().now())

    assert [each.name for each in driving.store().senders(FLAG)] == ["lately", "saw-most"]
    assert "does not follow 9, which was seen" in driving.runner().look()[1].went_back(state())


def test_many_rows_are_removed_by_several_passes(under_way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many at a time; the next pass goes on at once, the one after the last in an hour."""
    table, clock = driving.evidence(), ManualClock(0.0)
    assert table is not None
    monkeypatch.setattr(pruning, "MOST_ROWS", 2)
    now, pruner, left = driving.store().now(), pruning.Pruner(monotonic=clock), []
    for minute in range(3):
        table.add({"a": Counts({"ok": 1})}, now=60.0 * minute)

    for seconds in (0.0, 5.0, 5.0, pruning.EVERY_SECONDS):
        clock.advance(seconds)
        pruner(state(), now=now)
        left.append(minutes(table))
        if left[-1] == []:
            table.add({"a": Counts({"ok": 1})}, now=60.0)

    assert left == [[2], [], [1], []]


@ONCE
def test_a_pass_of_the_runner_prunes_and_is_not_spoiled_by_it(
    under_way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong is told; the pass stands."""
    table, facts = driving.evidence(), list[Fact]()
    assert table is not None
    table.add({"a": Counts({"ok": 1})}, now=0.0)
    monkeypatch.setattr(pruning, "_pruner", lambda: pruning.Pruner())
    runner = driving.runner()
    running.one_pass(runner, observer=facts.append)
    after = minutes(table)

    def away(*_: object, **__: object) -> int:
        raise OperationalError("no")

    monkeypatch.setattr(EvidenceTable, "prune", away)
    made = running.one_pass(runner, observer=facts.append)

    assert after == []
    assert made.state is not None
    told = [each for each in facts if isinstance(each, RunnerTold) and each.about == "NOT_PRUNED"]
    assert ["OperationalError" in each.text for each in told] == [True]
