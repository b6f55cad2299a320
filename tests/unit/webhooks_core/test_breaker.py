"""The breaker's table, its exact numbers, and what must never count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webhooks_core import events
from webhooks_core.breaker import (
    EXACT_FAILURES,
    OPENINGS_KEPT,
    TRANSITIONS,
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Cause,
    Cell,
    Command,
    Failed,
    Force,
    ForcedMode,
    Refused,
    Release,
    State,
    Step,
    Succeeded,
    Ticket,
    decide,
    facts,
)
from webhooks_core.errors import ConfigError

NOW = 1_763_000_000.0
POLICY = BreakerPolicy()


class Machine:
    """A breaker with its state in one place, so that a test reads as a story."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.policy = policy
        self.state = BreakerState()
        self.last = Step(state=self.state)

    def do(self, command: Command, now: float = NOW, jitter_value: float = 0.0) -> Step:
        self.last = decide(self.policy, self.state, command, now=now, jitter_value=jitter_value)
        self.state = self.last.state
        return self.last

    def ticket(self, now: float = NOW, lease_seconds: float = 0.0) -> Ticket:
        answer = self.do(Admit(token="me", lease_seconds=lease_seconds), now).answer
        assert isinstance(answer, Ticket)
        return answer

    def refusal(self, now: float = NOW) -> float:
        answer = self.do(Admit(), now).answer
        assert isinstance(answer, Refused)
        return answer.retry_at

    def fail(self, times: int = 1, now: float = NOW) -> Machine:
        for _ in range(times):
            self.do(Failed(ticket=self.ticket(now)), now)
        return self

    def succeed(self, times: int = 1, now: float = NOW) -> Machine:
        for _ in range(times):
            self.do(Succeeded(ticket=self.ticket(now)), now)
        return self


def opened(policy: BreakerPolicy = POLICY) -> Machine:
    """A machine that opened at NOW."""
    return Machine(policy).fail(policy.max_fails)


def test_the_table_is_whole() -> None:
    """Every cause stands in the table, and every state can be entered and left."""
    assert {cause for _, cause in TRANSITIONS} == set(Cause)
    assert {before for before, _ in TRANSITIONS} == set(State)
    assert set(TRANSITIONS.values()) == set(State)


def test_the_fifth_failure_opens() -> None:
    """Four leave it closed; the fifth opens it for 60 s and says how many."""
    machine = Machine().fail(4)
    before = machine.state.state

    machine.fail()

    assert before is State.CLOSED
    assert machine.last.changes[0].failures == 5
    assert (machine.state.state, machine.state.retry_at) == (State.OPEN, NOW + 60.0)


@pytest.mark.parametrize(
    ("age", "state"), [(119.999, State.OPEN), (120.0, State.OPEN), (120.001, State.CLOSED)]
)
def test_a_failure_counts_until_it_is_older_than_the_window(age: float, state: State) -> None:
    """Exactly WINDOW seconds old is inside; a millisecond more is outside."""
    machine = Machine().fail(1).fail(3, NOW + age)

    machine.fail(1, NOW + age)

    assert machine.state.state is state


def test_failures_slide_one_by_one() -> None:
    """One failure every 30.01 s never has five within 120 s; one every 30 s has."""
    slow, fast = Machine(), Machine()

    for number in range(50):
        slow.fail(1, NOW + number * 30.01)
    for number in range(5):
        fast.fail(1, NOW + number * 30.0)

    assert slow.state.state is State.CLOSED
    assert fast.state.state is State.OPEN


@pytest.mark.parametrize(("successes", "state"), [(4, State.OPEN), (5, State.OPEN), (6, State.CLOSED)])
def test_half_of_the_deliveries_must_have_failed(successes: int, state: State) -> None:
    """Five of ten is half; five of eleven is not."""
    machine = Machine().succeed(successes).fail(5, NOW + 1)

    assert machine.state.state is state


def test_the_passing_of_time_does_not_open() -> None:
    """When old successes leave the window only the next failure opens."""
    machine = Machine().succeed(6).fail(5, NOW + 100)

    machine.ticket(NOW + 125)
    waiting = machine.state.state
    machine.succeed(1, NOW + 125)
    still = machine.state.state
    machine.fail(1, NOW + 125)

    assert (waiting, still, machine.state.state) == (State.CLOSED, State.CLOSED, State.OPEN)


@pytest.mark.parametrize(("later", "kept"), [(120.999, 1), (121.0, 0)])
def test_a_success_counts_at_most_a_second_too_long(later: float, kept: int) -> None:
    """Successes are counted in one-second cells; a cell goes when all of it is outside."""
    machine = Machine().succeed(1, NOW + 0.999)

    machine.fail(1, NOW + later)

    assert len(machine.state.cells) == kept


def test_successes_are_kept_as_one_cell_a_second() -> None:
    """However many there were; two told at once are two."""
    machine = Machine().succeed(3).succeed(2, NOW + 1)

    machine.do(Succeeded(ticket=machine.ticket(), count=40), NOW)

    assert machine.state.cells == (
        Cell(second=int(NOW), successes=43),
        Cell(second=int(NOW) + 1, successes=2),
    )


def test_a_state_is_bounded_and_the_count_stays_exact() -> None:
    """Beyond 256 failures the oldest are counted in their second; none is forgotten."""
    machine = Machine(BreakerPolicy(max_fails=1_000)).succeed(10)
    small = Machine().succeed(2_000)

    machine.fail(999)
    small.fail(1_500)

    assert len(machine.state.failures) == 999
    assert len(small.state.failures) == EXACT_FAILURES
    assert small.state.cells == (Cell(second=int(NOW), successes=2_000, failures=1_500 - EXACT_FAILURES),)
    small.fail(499)
    assert small.state.state is State.CLOSED
    small.fail(1)
    assert small.last.changes[0].failures == 2_000


def test_a_late_second_is_put_in_order() -> None:
    """A store may tell of a second that has passed."""
    machine = Machine().succeed(1).succeed(1, NOW + 5)

    machine.do(Succeeded(ticket=machine.ticket(), count=3), NOW + 2)

    assert [cell.second - int(NOW) for cell in machine.state.cells] == [0, 2, 5]


def test_an_open_breaker_refuses_until_its_time_is_over() -> None:
    """One millisecond before it refuses; at the moment it admits one probe and refuses the next."""
    machine = opened()

    assert machine.refusal(NOW + 59.999) == NOW + 60.0
    assert machine.ticket(NOW + 60.0).is_probe
    assert machine.state.state is State.HALF_OPEN
    assert machine.refusal(NOW + 60.0) == NOW + 75.0


def test_a_good_probe_closes_and_clears_the_history() -> None:
    """Four failures afterwards leave it closed."""
    machine = opened()

    machine.do(Succeeded(ticket=machine.ticket(NOW + 60)), NOW + 61)
    machine.fail(4, NOW + 61)

    assert machine.state.state is State.CLOSED
    machine.fail(1, NOW + 61)
    assert machine.state.retry_at == NOW + 61 + 60.0


@pytest.mark.parametrize(("chance", "length"), [(0.0, 120.0), (0.5, 114.0), (1.0, 108.0)])
def test_a_bad_probe_opens_for_twice_as_long_with_jitter(chance: float, length: float) -> None:
    """Jitter takes away up to a tenth."""
    machine = opened()

    machine.do(Failed(ticket=machine.ticket(NOW + 60)), NOW + 61, chance)

    assert machine.state.retry_at == NOW + 61 + length


def test_reopenings_double_up_to_the_cap_and_start_anew() -> None:
    """60, 120, 240, 480, 600, 600; after a good probe 60 again."""
    machine, now, lengths = opened(), NOW, []
    for _ in range(6):
        retry_at = machine.refusal(now)
        lengths.append(retry_at - now)
        now = retry_at
        machine.do(Failed(ticket=machine.ticket(now)), now)
    now = machine.refusal(now)
    machine.do(Succeeded(ticket=machine.ticket(now)), now)
    machine.fail(5, now)

    assert lengths == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert machine.refusal(now) - now == 60.0


def test_an_open_time_above_the_cap_is_kept() -> None:
    """OPEN_SECONDS of 900 is never shortened to 600."""
    policy = BreakerPolicy(open_seconds=900.0)

    assert [policy.open_for(probes, jitter_value=0.0) for probes in (0, 1, 2)] == [900.0] * 3
    assert policy.open_for(100_000, jitter_value=0.0) == 900.0


def test_a_probes_lease_is_the_longer_of_policy_and_wish() -> None:
    """A command that may take a minute asks for more than a minute."""
    short, long = opened(), opened()
    short.ticket(NOW + 60, lease_seconds=1.0)
    long.ticket(NOW + 60, lease_seconds=65.0)

    assert short.refusal(NOW + 60) == NOW + 75.0
    assert long.refusal(NOW + 60) == NOW + 125.0


def test_a_lost_probe_is_replaced_and_its_late_result_ignored() -> None:
    """At the end of the lease the next to ask is the probe; the lost one says nothing any more."""
    machine = opened()
    lost = machine.ticket(NOW + 60)

    assert machine.refusal(NOW + 74.999) == NOW + 75.0
    second = machine.ticket(NOW + 75.0)
    machine.do(Succeeded(ticket=lost), NOW + 76)
    machine.do(Failed(ticket=lost), NOW + 76)
    machine.do(Cancelled(ticket=lost), NOW + 76)

    assert second.is_probe
    assert machine.state.state is State.HALF_OPEN
    assert machine.state.probe_token == "me"
    machine.do(Succeeded(ticket=second), NOW + 77)
    assert machine.state.state is State.CLOSED


def test_a_late_probe_that_nobody_replaced_still_counts() -> None:
    """Its lease is over, but no other change has happened: it is the best there is to know."""
    machine = opened()
    probe = machine.ticket(NOW + 60)

    machine.do(Succeeded(ticket=probe), NOW + 500)

    assert machine.state.state is State.CLOSED


def test_a_cancelled_probe_goes_to_the_next_at_once() -> None:
    """It counts as neither, and only once."""
    machine = opened()
    probe = machine.ticket(NOW + 60)

    machine.do(Cancelled(ticket=probe), NOW + 60)
    machine.do(Succeeded(ticket=probe), NOW + 60)
    again = machine.ticket(NOW + 60)

    assert machine.last.changes[0].cause is Cause.PROBE_GIVEN_BACK
    assert again.is_probe
    assert again.generation == probe.generation + 1


def test_a_cancelled_ordinary_ticket_counts_as_neither() -> None:
    """Nothing is remembered."""
    machine = Machine()
    ticket = machine.ticket()
    before = machine.state

    machine.do(Cancelled(ticket=ticket))

    assert machine.state == before


@pytest.mark.parametrize("kind", [Succeeded, Failed, Cancelled])
def test_results_from_before_the_last_change_are_ignored(
    kind: type[Succeeded] | type[Failed] | type[Cancelled],
) -> None:
    """While open, while half open and once closed again."""
    machine = Machine()
    old = machine.ticket()
    machine.fail(5)

    for step in range(3):
        before = machine.state
        machine.do(kind(ticket=old), NOW + 60)
        assert machine.state == before
        if step == 0:
            probe = machine.ticket(NOW + 60)
        elif step == 1:
            machine.do(Succeeded(ticket=probe), NOW + 60)


def test_a_probe_ticket_of_this_generation_is_nothing_to_a_closed_breaker() -> None:
    """A forged or mixed-up ticket does not count."""
    machine = Machine()

    machine.do(Failed(ticket=Ticket(generation=0, is_probe=True)))

    assert machine.state == BreakerState()


def test_openings_are_counted_over_a_sliding_day() -> None:
    """CLOSED to OPEN only; exactly 24 h old still counts; a failed probe is none."""
    machine = opened()
    machine.do(Failed(ticket=machine.ticket(NOW + 60)), NOW + 60)
    machine.do(Succeeded(ticket=machine.ticket(NOW + 180)), NOW + 180)
    machine.fail(5, NOW + 200)

    assert machine.state.openings == (NOW, NOW + 200)
    assert machine.state.openings_within_day(now=NOW + 86_400) == 2
    assert machine.state.openings_within_day(now=NOW + 86_400.001) == 1


def test_an_opening_is_kept_until_it_is_older_than_a_day() -> None:
    """A second one exactly 24 h later makes two; a millisecond more, one."""
    for later, kept in ((86_400.0, 2), (86_400.001, 1)):
        machine = opened()
        machine.do(Succeeded(ticket=machine.ticket(NOW + 60)), NOW + 60)
        machine.fail(5, NOW + later)

        assert len(machine.state.openings) == kept


def test_no_more_than_a_hundred_openings_are_kept() -> None:
    """The guard asks about 20."""
    machine = Machine(BreakerPolicy(max_fails=1, open_seconds=1.0))
    now = NOW
    for _ in range(150):
        machine.fail(1, now)
        now += 1
        machine.do(Succeeded(ticket=machine.ticket(now)), now)

    assert machine.state.openings_within_day(now=now) == OPENINGS_KEPT


def test_9999_never_opens_and_remembers_nothing() -> None:
    """The runbook's level 2."""
    machine = Machine(BreakerPolicy(max_fails=9_999)).fail(20_000)

    assert machine.state == BreakerState()
    assert not BreakerPolicy(max_fails=9_998).never_opens


def test_switching_off_closes_what_is_open() -> None:
    """Level 2 takes effect on breakers that are open already, but not over a person's word."""
    machine, forced = opened(), opened()
    word = Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="maintenance", until=NOW + 600)
    forced.do(word)
    machine.policy = forced.policy = BreakerPolicy(max_fails=9_999)

    ticket = machine.ticket(NOW + 1)

    assert machine.last.changes[0].cause is Cause.NEVER_OPENS
    assert not ticket.is_probe
    assert machine.state.state is State.CLOSED
    assert forced.refusal(NOW + 1) == NOW + 600


def test_forced_open_refuses_until_it_expires_into_a_probe() -> None:
    """Nobody knows how the endpoint is once the word has run out; it is no opening."""
    machine = Machine()
    machine.do(Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="maintenance", until=NOW + 600))

    assert machine.refusal(NOW + 599.999) == NOW + 600
    assert machine.ticket(NOW + 600).is_probe
    assert machine.state.forced is None
    assert machine.state.openings == ()


def test_releasing_forced_open_makes_the_next_a_probe() -> None:
    """At once, not when the word would have expired."""
    machine = Machine()
    machine.do(Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="maintenance", until=NOW + 600))

    machine.do(Release(actor="ops", reason="done"), NOW + 5)

    assert machine.ticket(NOW + 5).is_probe


def test_forced_closed_admits_whatever_fails() -> None:
    """Failures are remembered, so that it opens at the first one after the word has run out."""
    machine = opened()
    machine.do(Force(mode=ForcedMode.FORCED_CLOSED, actor="ops", reason="good", until=NOW + 60))
    machine.fail(10, NOW + 59)
    forced = machine.state.state

    machine.fail(1, NOW + 60)

    assert forced is State.CLOSED
    assert machine.state.state is State.OPEN


def test_observe_only_moves_but_never_refuses() -> None:
    """It opens, takes a probe and closes as ever, while everybody is admitted."""
    machine = Machine()
    machine.do(Force(mode=ForcedMode.OBSERVE_ONLY, actor="ops", reason="trial", until=NOW + 900))
    machine.fail(5)
    watched = machine.state

    passing = machine.ticket(NOW + 1)
    machine.do(Succeeded(ticket=passing), NOW + 1)
    machine.do(Failed(ticket=passing), NOW + 1)
    untouched = machine.state
    probe = machine.ticket(NOW + 60)
    beside = machine.ticket(NOW + 60)
    machine.do(Failed(ticket=beside), NOW + 60)
    half_open = machine.state.state
    machine.do(Succeeded(ticket=probe), NOW + 61)

    assert watched.state is State.OPEN
    assert untouched == watched
    assert (passing.is_probe, probe.is_probe, beside.is_probe) == (False, True, False)
    assert half_open is State.HALF_OPEN
    assert machine.state.state is State.CLOSED


def test_releasing_observe_only_leaves_the_state() -> None:
    """An open breaker refuses again, until the time it had."""
    machine = Machine()
    machine.do(Force(mode=ForcedMode.OBSERVE_ONLY, actor="ops", reason="trial", until=NOW + 900))
    machine.fail(5)

    machine.do(Release(actor="ops", reason="done"), NOW + 1)

    assert machine.refusal(NOW + 2) == NOW + 60


def test_a_clock_set_back_does_not_keep_an_endpoint_shut() -> None:
    """Further than twice the open time (or the lease) before its end, the time counts as over."""
    machine, probing = opened(), opened()
    probing.ticket(NOW + 60)

    near = machine.refusal(NOW - 60)
    probe = machine.ticket(NOW - 60.001)
    probing.do(Admit(), NOW - 3_600)

    assert near == NOW + 60
    assert probe.is_probe
    assert probing.last.changes[0].cause is Cause.PROBE_LOST


def test_failures_from_a_future_beyond_the_window_are_dropped() -> None:
    """A clock that was set back an hour does not count yesterday's tomorrow."""
    machine = Machine().succeed(3).fail(4)

    machine.fail(1, NOW - 3_600)

    assert machine.state.failures == (NOW - 3_600,)
    assert machine.state.cells == ()


@pytest.mark.parametrize(("back", "kept"), [(120.0, 1), (120.001, 0)])
def test_a_second_in_the_future_counts_up_to_the_window(back: float, kept: int) -> None:
    """A clock that was set back by less than the window forgets nothing."""
    machine = Machine().succeed(1)

    machine.fail(1, NOW - back)

    assert len(machine.state.cells) == kept


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"max_fails": 0}, "breaker.max_fails"),
        ({"max_fails": True}, "breaker.max_fails"),
        ({"max_fails": 5.0}, "breaker.max_fails"),
        ({"window_seconds": 0}, "breaker.window_seconds"),
        ({"open_seconds": -1}, "breaker.open_seconds"),
        ({"max_open_seconds": float("inf")}, "breaker.max_open_seconds"),
        ({"probe_lease_seconds": float("nan")}, "breaker.probe_lease_seconds"),
        ({"window_seconds": True}, "breaker.window_seconds"),
        ({"window_seconds": "120"}, "breaker.window_seconds"),
    ],
)
def test_a_bad_policy_is_refused(changes: dict[str, object], path: str) -> None:
    """Each field is checked on creation."""
    with pytest.raises(ConfigError) as caught:
        BreakerPolicy(**changes)  # type: ignore[arg-type]

    assert caught.value.path == path


def told(machine: Machine, command: Command, now: float = NOW) -> list[str]:
    """Do *command* and return the kinds of what observers are told."""
    step = machine.do(command, now)
    return [type(fact).__name__ for fact in facts("a", machine.policy, command, step, now=now)]


def test_observers_are_told_of_every_visible_change() -> None:
    """OPENED once for an opening; OPEN again for a failed probe; nothing when a probe changes hands."""
    machine = Machine().fail(4)
    seen = [told(machine, Failed(ticket=machine.ticket()))]
    seen.append(told(machine, Admit(), NOW + 60))
    probe = machine.last.answer
    assert isinstance(probe, Ticket)
    seen.append(told(machine, Failed(ticket=probe), NOW + 61))
    seen.append(told(machine, Admit(), NOW + 181))
    seen.append(told(machine, Admit(), NOW + 196))
    probe = machine.last.answer
    assert isinstance(probe, Ticket)
    seen.append(told(machine, Succeeded(ticket=probe), NOW + 197))

    assert seen == [
        ["BreakerOpened"],
        ["BreakerHalfOpened"],
        ["BreakerReopened"],
        ["BreakerHalfOpened"],
        [],
        ["BreakerClosed"],
    ]


def test_the_facts_carry_their_numbers() -> None:
    """Failures and window of an opening; how long a reopening lasts."""
    machine = Machine().fail(4)
    command: Command = Failed(ticket=machine.ticket())

    opening = facts("a", POLICY, command, machine.do(command), now=NOW)
    command = Failed(ticket=machine.ticket(NOW + 60))
    reopening = facts("a", POLICY, command, machine.do(command, NOW + 61), now=NOW + 61)

    assert opening == (events.BreakerOpened(endpoint="a", failures=5, window_seconds=120.0),)
    assert reopening == (events.BreakerReopened(endpoint="a", open_for_seconds=120.0),)


def test_a_persons_word_is_told_as_such() -> None:
    """Mode, actor and reason; neither OPENED nor CLOSED, which the runbook counts."""
    machine = Machine()
    word = Force(mode=ForcedMode.FORCED_OPEN, actor="ops", reason="maintenance", until=NOW + 600)
    back = Release(actor="ops", reason="done")

    said = facts("a", POLICY, word, machine.do(word), now=NOW)
    taken_back = facts("a", POLICY, back, machine.do(back), now=NOW)

    assert said == (
        events.BreakerForced(endpoint="a", mode="forced_open", actor="ops", reason="maintenance"),
    )
    assert taken_back == (events.BreakerForced(endpoint="a", mode="released", actor="ops", reason="done"),)


def test_switching_off_is_told_as_closing() -> None:
    """The last line in the log shows the state."""
    machine = opened()
    machine.policy = replace(POLICY, max_fails=9_999)

    assert told(machine, Admit()) == ["BreakerClosed"]
