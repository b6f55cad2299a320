"""What went wrong elsewhere, each as a test here: the bug lists of the field, with their sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from rollout import state_text
from rollout.commands import Advance, Approve, Replan, RollBack, Start
from rollout.context import EvaluationContext
from rollout.controls import Controls
from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.django.fleet_evidence import rows_of
from rollout.evaluator import evaluate, evaluate_strict
from rollout.evidence import Evidence, Row, minute_of
from rollout.flags import Flag, FlagKey
from rollout.guard import look
from rollout.percentage import NOBODY, Percentage
from rollout.rollout_state import State
from rollout.runner import Outcome, Runner
from rollout.snapshot import Snapshot
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock
from rollout.verdict import Call, Standing, VerdictKind
from rollout.watch import Watch
from tests.unit.rollout.rollout_world import (
    ANNA,
    BREACH,
    FLAG,
    HOLD,
    NOW,
    PASS,
    PLAN,
    UNDECIDED,
    Driven,
    pct,
    plan_of,
    sender,
)
from tests.unit.rollout.test_runner import World
from webhooks_core.breaker import Admit, Failed, Ticket
from webhooks_core.stores.breakers import MemoryBreakerStore


class Minutes:
    """An evidence source of a test's own rows."""

    def __init__(self) -> None:
        self.kept: list[Row] = []

    def rows(self, flag: FlagKey, *, from_minute: int) -> Iterable[Row]:
        """Everything from that minute on."""
        return [row for row in self.kept if row.minute >= from_minute]


def test_an_analysis_that_was_cut_off_is_no_success() -> None:
    """A look that ended without a verdict holds.

    Source: argoproj/argo-rollouts#1329, "Terminated metric is marked as successful", and #2158.
    """
    driven = Driven().start()

    for _ in range(40):
        driven.tick(None, evidence_problem="the runner was stopped while it read")

    assert (driven.state.state, driven.state.ceiling) == (State.HOLD, pct(5))


def test_a_run_of_inconclusive_verdicts_never_ends_in_a_promotion() -> None:
    """However long it lasts, and however often the time of the stage would have been over.

    Source: argoproj/argo-rollouts#3850: inconclusive runs were created again and again "until it finally
    promotes the Rollout as healthy (at the end of the pause duration)".
    """
    driven = Driven().start()

    for _ in range(1_000):
        driven.tick(UNDECIDED)

    assert (driven.state.state, driven.state.ceiling) == (State.HOLD, pct(5))
    assert driven.state.progress.baked_seconds == 0.0
    assert len(driven.entries) == 2


def test_a_person_gets_out_of_an_inconclusive_loop_with_one_word() -> None:
    """Where evidence will never come, a forced advance with a reason goes on by one stage.

    Source: argoproj/argo-rollouts#261, "Rollout repeatedly entering pause state after inconclusive
    AnalysisRun".
    """
    driven = Driven().start()
    driven.tick(UNDECIDED)

    driven.do(Advance(by=ANNA, force=True, reason="nobody plays at night", to=pct(25)), UNDECIDED)

    assert (driven.state.state, driven.state.ceiling) == (State.RUNNING, pct(25))
    assert driven.entries[-1].reason == "nobody plays at night"
    assert driven.entries[-1].evidence is not None


@pytest.mark.parametrize("state", [State.AWAITING_APPROVAL, State.PAUSED, State.HOLD, State.COMPLETED])
def test_rollback_runs_while_somebody_is_waited_for(state: State) -> None:
    """A breach, and a person's word, roll back at once whatever it waits for.

    Source: fluxcd/flagger#1432, "Rollback gate does not get checked when waiting for rollout approval".
    """
    by_guard, by_person = Driven().at(state), Driven().at(state)

    by_guard.tick(BREACH)
    by_person.do(RollBack(by=ANNA, reason="5xx"))

    for driven in (by_guard, by_person):
        assert (driven.state.state, driven.state.ceiling) == (State.ROLLING_BACK, NOBODY)


def test_rolled_back_is_not_said_before_it_is_so() -> None:
    """A sender that goes on under the old epoch keeps ROLLING_BACK on the page, by its name.

    Source: argoproj/argo-rollouts#1838, "After abort, rollout does not update Istio DestinationRule".
    """
    driven = Driven(senders=(sender("web-1"), sender("web-2"))).start()
    driven.tick(BREACH)

    for _ in range(20):
        driven.now += 1.0
        driven.senders = (
            sender("web-1", epoch=driven.state.epoch, seen_at=driven.now),
            sender("web-2", epoch=driven.state.epoch - 1, seen_at=driven.now),
        )
        driven.tick(after=0.0)

    assert driven.state.state is State.ROLLING_BACK


def test_the_percentage_does_not_rise_past_the_end() -> None:
    """Years after the last stage, and with a plan that ends at 25 %, it is 25 %.

    Source: thomaspoignant/go-feature-flag#4630, "Progressive rollout continues increasing evaluation
    percentage beyond end date".
    """
    driven = Driven(plan=plan_of(5, 25)).start()

    for _ in range(50):
        driven.tick(PASS, after=30 * 86_400.0)

    assert (driven.state.state, driven.state.ceiling) == (State.COMPLETED, pct(25))


def test_a_restart_loses_nothing() -> None:
    """A new process, from nothing but what is stored: it judges what came while nobody ran, too.

    Source: stakater/Reloader#814: "if reloader pod is down for any reason, and any of the watched
    secret/configmap changes, it doesnt cater reloads for that when the pod comes back up".
    """
    clock, source = ManualClock(NOW), Minutes()
    store = MemoryRolloutStore(clock=clock)

    def new_process() -> Runner:
        owner = f"host/{clock()}"
        return Runner(FLAG, store, Watch(source), plan=lambda: PLAN, owner=owner, wait=lambda _seconds: None)

    new_process().obey(Start(by=ANNA))
    new_process().tick()
    source.kept = [Row(minute_of(NOW) + 2, "main", Counts({"failed_server_error": 20, "attempts": 20}))]
    clock.advance(3_600.0)

    made = new_process().tick()

    assert made.state is not None
    assert (made.state.state, made.state.ceiling) == (State.ROLLING_BACK, NOBODY)


@pytest.mark.parametrize("state", list(State))
def test_a_restart_finds_every_state_as_it_was(state: State) -> None:
    """The stage, the bake time, what the guard remembers, the latch: all of it is in the stored text.

    Source: stakater/Reloader#640, "reload after controller was down does not occur".
    """
    found = Driven().at(state).state
    before = replace(found, progress=replace(found.progress, evidence='{"since": 1.5}', baked_seconds=42.5))

    after = state_text.loads(state_text.dumps(before))

    assert after == before


def test_what_was_rolled_back_is_not_tried_again_by_itself() -> None:
    """Not by ticks, not by a new process, not by an edited plan, not by better evidence.

    Source: argoproj/argo-rollouts#2929, "rollout appears to be retrying automatically on abort".
    """
    driven = Driven().at(State.ROLLED_BACK)
    driven.state = state_text.loads(state_text.dumps(driven.state))
    driven.plan = plan_of(10, 100)

    for _ in range(1_000):
        driven.tick(PASS, after=60.0)

    assert (driven.state.state, driven.state.ceiling) == (State.ROLLED_BACK, NOBODY)


def test_an_empty_minute_is_no_failure() -> None:
    """A stage without a single delivery is undecided: it holds and never rolls back.

    Source: fluxcd/flagger#1035 and #883: "Halt advancement no values found" counted as a failed check, and
    the canary was rolled back for want of traffic.
    """
    evidence = Evidence(since=NOW)

    for minute in range(180):
        looked = look(Criteria(), evidence, [], now=NOW + 60.0 * minute)
        evidence = looked.keep

        assert looked.verdict.kind is VerdictKind.UNDECIDED
        assert looked.verdict.call is Call.HOLD


def test_traffic_that_dries_up_is_no_success() -> None:
    """A good beginning and then nothing for hours does not go on.

    Source: fluxcd/flagger#1011: "at first I have traffic … later I donot have traffic, why flagger doesnot
    report no metrcs, still can advance".
    """
    first = minute_of(NOW)
    rows = [Row(first + number, "main", Counts({"ok": 60, "attempts": 60})) for number in range(5)]
    evidence = Evidence(since=NOW)
    late = NOW + 3 * 3_600

    looked = look(Criteria(), evidence, rows, now=late)

    assert looked.verdict.call is Call.HOLD


def test_forced_on_units_do_not_survive_a_rollback() -> None:
    """A ceiling of 0 stands above forced-on units, when it is recorded and when it is sent.

    Source: Flagsmith/flagsmith#651, 'Add a "kill switch" for a flag/environment': one that "will prevent all
    overrides" too, since switching a flag off did not.
    """
    driven = Driven().start()
    driven.tick(BREACH)
    assert driven.state.ceiling is not None
    flag = Flag(key=FLAG, percentage=Percentage.EVERYBODY, forced_on=frozenset({"101"}))
    snapshot, controls = Snapshot(flags={FLAG: flag}), Controls(ceilings={FLAG: driven.state.ceiling})

    recorded = evaluate(snapshot, FLAG, EvaluationContext(unit=101), controls=controls)
    sent = evaluate_strict(snapshot, FLAG, EvaluationContext(unit=101), controls=controls)

    assert (recorded.value, sent.value) == (False, False)


def test_a_lagging_replica_does_not_bring_back_what_was_stopped() -> None:
    """A runner that reads the state of before the rollback does nothing with it, and says so.

    Source: django-waffle/django-waffle#249: "when an update is immediately followed by a read, the read will
    get a stale value from the DB replica and cache it"; and Flagsmith/flagsmith#5632, whose `GET` after a
    change "will, _sometimes_, fetch an outdated state from a replica".
    """
    world = World()
    runner = world.runner()
    runner.obey(Start(by=ANNA))
    replica, entries = state_text.dumps(world.state), list(world.store._journals[FLAG])
    runner.obey(RollBack(by=ANNA, reason="5xx"))
    world.clock.advance(1.0)
    runner.tick()

    world.store._states[FLAG], world.store._journals[FLAG] = replica, entries
    outcomes = [runner.tick().outcome for _ in range(50)]

    assert set(outcomes) == {Outcome.STORE_WENT_BACK}
    assert world.state.version == 1


def test_writers_at_the_same_time_do_not_end_in_an_endless_conflict() -> None:
    """The one that came second reads again and decides again, by itself.

    Source: argoproj/argo-rollouts#3080, 'Rollout failing with msg "the object has been modified"'.
    """
    world = World()
    one, other = world.runner(), world.runner()
    one.obey(Start(by=ANNA))

    for runner in (one, other, one, other):
        world.clock.advance(15.0)
        runner.tick()
        runner.obey(Approve(by=ANNA)) if world.state.state is State.AWAITING_APPROVAL else None

    assert world.state.version == 3
    assert isinstance(world.store, MemoryRolloutStore)


def test_a_deploy_in_the_middle_of_a_stage_is_not_promoted_on_what_the_old_plan_had_shown() -> None:
    """Edited in flight: nothing goes up until a person pins it, and a lower plan comes down at once.

    Source: fluxcd/flagger#30: after a change in flight the analysis was resumed, which "could lead to an
    erroneous promotion".
    """
    driven = Driven().start()
    driven.bake()
    driven.plan = plan_of(5, 10)

    driven.bake(ticks=30)
    drifted = driven.state.ceiling
    driven.do(Replan(by=ANNA))

    assert drifted == pct(25)
    assert driven.state.ceiling == pct(10)
    assert driven.state.progress.baked_seconds == 0.0


def test_a_hold_that_nobody_looks_at_is_told_once() -> None:
    """Waiting writes no row and sends no message a tick.

    Source: fluxcd/flagger#497, "webhook with type: confirm-promotion keeps giving alerts until approved".
    """
    driven = Driven().start()
    driven.tick(HOLD)

    quiet = [driven.tick(HOLD) for _ in range(100)]

    assert all(made.entry is None and made.actions == () for made in quiet)


def test_the_failed_probes_of_a_dead_receiver_are_no_openings() -> None:
    """Dead for an hour and more, asked by one probe after the other: its breaker has opened once.

    Source: cisco-ai-defense/defenseclaw#779: "a failed probe re-emits `circuit_breaker_open`", so that "a
    long outage adds a new durable degraded record on every probe cycle".
    """
    breakers, now, probes = MemoryBreakerStore(), NOW, 0
    for _ in range(breakers.policy.max_fails):
        ticket = breakers.apply("main", Admit(), now=now).answer
        breakers.apply("main", Failed(ticket=ticket), now=now)  # type: ignore[arg-type]
    while probes < 30:
        now = breakers.state("main", now=now).retry_at
        probe = breakers.apply("main", Admit(token="web-1"), now=now).answer
        assert isinstance(probe, Ticket)
        assert probe.is_probe
        breakers.apply("main", Failed(ticket=probe), now=now + 10.0)
        now, probes = now + 10.0, probes + 1

    rows = rows_of("main", breakers.state("main", now=now), since=minute_of(NOW), now=now)
    looked = look(Criteria(), Evidence(since=NOW), rows, now=now)

    readings = {each.measure: each for each in looked.verdict.readings}
    assert now - NOW > 3_600
    assert (readings["breaker_openings"].value, readings["breaker_openings"].standing) == (1, Standing.GO_ON)
