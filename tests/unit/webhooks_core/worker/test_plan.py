"""What a worker does next, moment by moment, and how much it asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Failed,
    Force,
    ForcedMode,
    Ticket,
    decide,
)
from webhooks_core.worker.plan import Admission, Phase, Plan, View, admission, plan, room
from webhooks_core.worker.policy import WorkerPolicy

NOW = 1_000.0
WALL = 1_763_000_000.0
POLICY = WorkerPolicy(threads=4, ahead=4, batch=10)  # 8 slots
QUIET = View(phase=Phase.RUNNING, held=0, claim_at=NOW + 5, sweep_at=NOW + 60)


def test_a_quiet_worker_sleeps_until_its_next_claim() -> None:
    """Nothing is due: nothing is done."""
    assert plan(QUIET, POLICY, now=NOW) == Plan(wake_at=NOW + 5)


def test_claims_when_the_moment_has_come() -> None:
    """A whole batch, as nothing is held."""
    todo = plan(replace(QUIET, claim_at=NOW), POLICY, now=NOW)

    assert todo == Plan(claim=10, wake_at=NOW)


@pytest.mark.parametrize(("held", "wanted"), [(0, 10), (8, 10), (9, 0), (100, 0)])
def test_asks_for_a_batch_while_the_slots_are_not_all_covered(held: int, wanted: int) -> None:
    """Eight slots: with nine rows held there is time to wait for more room."""
    assert plan(replace(QUIET, claim_at=NOW, held=held), POLICY, now=NOW).claim == wanted


def test_a_claim_never_holds_more_than_slots_and_a_batch() -> None:
    """A large batch is cut to what there is room for."""
    policy = replace(POLICY, batch=3)

    assert plan(replace(QUIET, claim_at=NOW, held=8), policy, now=NOW).claim == 3
    assert plan(replace(QUIET, claim_at=NOW, held=9), policy, now=NOW).claim == 0


def test_a_full_worker_is_not_woken_by_claims_or_sweeps() -> None:
    """There is no room; what comes back wakes it."""
    todo = plan(replace(QUIET, claim_at=NOW, sweep_at=NOW, held=20), POLICY, now=NOW)

    assert todo == Plan(wake_at=math.inf)


@pytest.mark.parametrize(
    ("unsettled", "held", "after_seconds", "settles"),
    [
        (0, 1, 9.0, False),
        (1, 1, 0.0, False),
        (1, 1, 0.019, False),
        (1, 1, 0.02, True),
        (10, 1, 0.0, True),
        (1, 0, 0.0, True),
    ],
)
def test_settles_together_what_comes_together(
    unsettled: int, held: int, after_seconds: float, settles: bool
) -> None:
    """After 20 ms, or as soon as a batch is full, or when there is nothing left to wait for."""
    view = replace(QUIET, unsettled=unsettled, unsettled_since=NOW, held=held)

    assert plan(view, POLICY, now=NOW + after_seconds).settle is settles


def test_wakes_for_what_is_unsettled() -> None:
    """Not later than the wait for company lasts."""
    view = replace(QUIET, unsettled=1, unsettled_since=NOW, held=1)

    assert plan(view, POLICY, now=NOW).wake_at == NOW + 0.02


@pytest.mark.parametrize(("now", "renews"), [(NOW, False), (NOW + 3, True), (NOW + 4, True)])
def test_renews_when_a_lease_asks_for_it(now: float, renews: bool) -> None:
    """And wakes for it."""
    todo = plan(replace(QUIET, held=1, renew_at=NOW + 3), POLICY, now=now)

    assert todo.renew is renews
    assert todo.wake_at == NOW + 3


def test_sweeps_and_beats_in_their_time() -> None:
    """Each at its own moment."""
    view = replace(QUIET, sweep_at=NOW + 1, beat_at=NOW + 2)

    assert plan(view, POLICY, now=NOW).wake_at == NOW + 1
    assert plan(view, POLICY, now=NOW + 1) == Plan(sweep=True, wake_at=NOW + 1)
    assert plan(view, POLICY, now=NOW + 2) == Plan(sweep=True, beat=True, wake_at=NOW + 1)


def test_asks_nothing_of_an_outbox_that_failed_before_its_time() -> None:
    """Everything waits for the back-off, and no longer than for what is due after it."""
    due = replace(QUIET, claim_at=NOW, unsettled=20, renew_at=NOW, retry_at=NOW + 3)

    assert plan(due, POLICY, now=NOW) == Plan(wake_at=NOW + 3)
    assert plan(replace(due, drain_until=NOW + 1), POLICY, now=NOW).wake_at == NOW + 1
    assert plan(replace(QUIET, retry_at=NOW + 3), POLICY, now=NOW).wake_at == NOW + 5
    assert plan(due, POLICY, now=NOW + 3).settle


def test_a_draining_worker_settles_and_renews_and_claims_nothing() -> None:
    """What is settled goes at once; it looks up when its time is over."""
    view = View(
        phase=Phase.DRAINING, held=1, unsettled=1, unsettled_since=NOW, renew_at=NOW, drain_until=NOW + 20
    )

    assert plan(view, POLICY, now=NOW) == Plan(settle=True, renew=True, wake_at=-math.inf)
    idle = replace(view, unsettled=0, renew_at=None)
    assert plan(idle, POLICY, now=NOW) == Plan(wake_at=NOW + 20)


def test_a_stopped_worker_does_nothing_any_more() -> None:
    """Whatever is due."""
    view = replace(QUIET, phase=Phase.STOPPED, unsettled=9, renew_at=0.0, claim_at=0.0)

    assert plan(view, POLICY, now=NOW) == Plan()


# --- breakers and rooms -----------------------------------------------------------------------------


def opened() -> BreakerState:
    """A breaker that opened at WALL, for 60 s."""
    state = BreakerState()
    for _ in range(5):
        state = decide(BreakerPolicy(), state, Failed(ticket=Ticket(generation=0)), now=WALL).state
    return state


def test_a_closed_breaker_admits_any_number() -> None:
    """None is no limit."""
    assert admission(BreakerPolicy(), BreakerState(), now=WALL) == Admission(most=None)


def test_an_open_breaker_admits_nothing_and_then_one_probe() -> None:
    """To the moment; and while the probe is out nothing again, until its lease ends."""
    policy, state = BreakerPolicy(), opened()
    out = decide(policy, state, Admit(token="p"), now=WALL + 60).state

    assert admission(policy, state, now=WALL + 59.9) == Admission(most=0, retry_at=WALL + 60)
    assert admission(policy, state, now=WALL + 60) == Admission(most=1)
    assert admission(policy, out, now=WALL + 61) == Admission(most=0, retry_at=WALL + 75)
    assert admission(policy, out, now=WALL + 75) == Admission(most=1)


def test_a_forced_breaker_is_as_it_was_forced() -> None:
    """A person's word counts for claims as well."""
    word = Force(mode=ForcedMode.FORCED_OPEN, actor="a", reason="r", until=WALL + 999)
    forced = decide(BreakerPolicy(), BreakerState(), word, now=WALL).state

    assert admission(BreakerPolicy(), forced, now=WALL + 100) == Admission(most=0, retry_at=WALL + 999)


@pytest.mark.parametrize(
    ("held", "is_slow", "is_alone", "most", "wanted"),
    [
        (0, False, True, None, 18),  # alone: all slots and a batch
        (17, False, True, None, 1),
        (0, False, False, None, 12),  # one of several: half of the threads, and a batch
        (0, True, False, None, 1),  # slow: a quarter of the threads, nothing queued
        (1, True, False, None, 0),
        (0, True, True, None, 8),
        (0, False, False, 1, 1),  # a probe
        (1, False, False, 1, 0),
        (0, False, False, 0, 0),  # open
        (50, False, False, None, 0),
    ],
)
def test_room_for_an_endpoint(
    held: int, is_slow: bool, is_alone: bool, most: int | None, wanted: int
) -> None:
    """What it may take, less what it has."""
    assert room(POLICY, held=held, is_slow=is_slow, is_alone=is_alone, most=most) == wanted
