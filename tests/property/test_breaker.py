"""Property: the breaker's window, share, probe and forced states, each for itself (the contract §7)."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from webhooks_core.breaker import (
    TRANSITIONS,
    Admit,
    BreakerPolicy,
    BreakerState,
    Command,
    Failed,
    Force,
    ForcedMode,
    Refused,
    State,
    Succeeded,
    Ticket,
    decide,
)

NOW = 1_763_000_000.0
WINDOW, MAX_FAILS, OPEN, LONGEST, LEASE = 120.0, 5, 60.0, 600.0, 15.0
POLICY = BreakerPolicy(
    window_seconds=WINDOW,
    max_fails=MAX_FAILS,
    open_seconds=OPEN,
    max_open_seconds=LONGEST,
    probe_lease_seconds=LEASE,
)


def opened(policy: BreakerPolicy = POLICY, *, at: float = NOW) -> BreakerState:
    """A breaker that has just opened."""
    state = BreakerState()
    for _ in range(policy.max_fails):
        ticket = decide(policy, state, Admit(token="t"), now=at).answer
        assert isinstance(ticket, Ticket)
        state = decide(policy, state, Failed(ticket=ticket), now=at).state
    assert state.state is State.OPEN
    return state


def fail_at(times: list[float], *, successes: int = 0, policy: BreakerPolicy = POLICY) -> BreakerState:
    """A closed breaker after successes at the first moment and failures at these times."""
    state = BreakerState()
    for at, well in [(times[0], True)] * successes + [(at, False) for at in times]:
        ticket = decide(policy, state, Admit(token="t"), now=at).answer
        if not isinstance(ticket, Ticket):
            return state
        command = Succeeded(ticket=ticket) if well else Failed(ticket=ticket)
        state = decide(policy, state, command, now=at).state
    return state


@example([1.0, 2.0, 3.0], 0.0, 0.0)
@given(
    st.lists(st.floats(0, 119.999), min_size=3, max_size=3),
    st.floats(0, 0.999),
    st.sampled_from([-0.001, 0.0, 0.001]),
)
def test_the_window_is_exact(between: list[float], start: float, off: float) -> None:
    """Five failures within 120 s open, four of them and one a millisecond older do not: no buckets (§7)."""
    first = NOW + start
    times = [first, *sorted(first + each for each in between), first + WINDOW + off]
    inside = times[-1] - times[0] <= WINDOW

    assert fail_at(times).state is (State.OPEN if inside else State.CLOSED)


@given(st.integers(1, 20), st.integers(0, 30))
def test_at_least_half_must_have_failed(fails: int, successes: int) -> None:
    """Open when at least MAX_FAILS and at least half of what ended in the window failed (§7)."""
    state = fail_at([NOW + 1 + n / 100 for n in range(fails)], successes=successes)
    wanted = any(each >= MAX_FAILS and each >= successes for each in range(1, fails + 1))

    assert state.state is (State.OPEN if wanted else State.CLOSED)


@given(st.integers(0, 7))
def test_the_open_time_doubles_up_to_ten_minutes(probes: int) -> None:
    """60, 120, 240, 480, 600, 600 … seconds; jitter only ever shortens, and never below half (§7)."""
    state, now = opened(), NOW
    for failed in range(probes):
        assert state.retry_at - now == min(600.0, 60.0 * 2**failed)
        now = state.retry_at
        ticket = decide(POLICY, state, Admit(token="p"), now=now).answer
        assert isinstance(ticket, Ticket)
        state = decide(
            POLICY, decide(POLICY, state, Admit(token="p"), now=now).state, Failed(ticket=ticket), now=now
        ).state

    assert state.retry_at - now == min(600.0, 60.0 * 2**probes)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 7))
def test_jitter_keeps_the_open_time_within_its_cap(chance: float, probes: int) -> None:
    """A reopening lasts at most 600 s with any chance value (§7)."""
    state, now = opened(), NOW
    for _ in range(probes):
        now = state.retry_at
        step = decide(POLICY, state, Admit(token="p"), now=now)
        assert isinstance(step.answer, Ticket)
        state = decide(POLICY, step.state, Failed(ticket=step.answer), now=now, jitter_value=chance).state

    assert 0 < state.retry_at - now <= 600.0


@given(st.integers(2, 30), st.floats(0, 14.9))
def test_of_many_that_ask_one_becomes_the_probe(askers: int, later: float) -> None:
    """Exactly one probe until it reports or its lease runs out; then one again (§7)."""
    state, now = opened(), NOW + OPEN
    tickets = []
    for asker in range(askers):
        step = decide(POLICY, state, Admit(token=f"t{asker}"), now=now + later * asker / askers)
        state = step.state
        tickets += [step.answer] if isinstance(step.answer, Ticket) else []
    second = decide(POLICY, state, Admit(token="late"), now=now + LEASE).answer

    assert [ticket.is_probe for ticket in tickets] == [True]
    assert isinstance(second, Ticket)
    assert second.is_probe


@given(st.booleans(), st.booleans())
def test_the_word_of_a_lost_probe_changes_nothing(well: bool, second_well: bool) -> None:
    """The first probe reports after its lease: only the second one's word counts (§7)."""
    state = opened()
    one = decide(POLICY, state, Admit(token="one"), now=NOW + OPEN)
    two = decide(POLICY, one.state, Admit(token="two"), now=NOW + OPEN + LEASE)
    assert isinstance(one.answer, Ticket)
    assert isinstance(two.answer, Ticket)
    late: Command = Succeeded(ticket=one.answer) if well else Failed(ticket=one.answer)
    after = decide(POLICY, two.state, late, now=NOW + OPEN + LEASE + 1).state
    word: Command = Succeeded(ticket=two.answer) if second_well else Failed(ticket=two.answer)
    last = decide(POLICY, after, word, now=NOW + OPEN + LEASE + 2).state

    assert after == two.state
    assert last.state is (State.CLOSED if second_well else State.OPEN)


@given(st.integers(1, 120), st.integers(0, 5))
def test_opens_per_day_count_openings_and_not_failed_probes(gap: int, probes: int) -> None:
    """CLOSED→OPEN in a sliding 24 h; a failed probe is not another opening (§7)."""
    state, now = opened(), NOW
    for _ in range(probes):
        now = state.retry_at + gap
        step = decide(POLICY, state, Admit(token="p"), now=now)
        assert isinstance(step.answer, Ticket)
        state = decide(POLICY, step.state, Failed(ticket=step.answer), now=now).state

    assert state.openings_within_day(now=now) == 1
    assert state.openings_within_day(now=NOW + 86_400) == 1
    assert state.openings_within_day(now=NOW + 86_401) == 0


@given(st.integers(9_999, 20_000), st.integers(1, 40))
def test_9999_or_more_never_opens(limit: int, fails: int) -> None:
    """The runbook's level 2: the breaker is off (§1)."""
    policy = BreakerPolicy(max_fails=limit)

    assert fail_at([NOW] * fails, policy=policy).state is State.CLOSED


START = st.sampled_from(["closed", "open", "half-open"])


def start(how: str) -> BreakerState:
    """A breaker in each of its three states."""
    if how == "closed":
        return BreakerState()
    return opened() if how == "open" else decide(POLICY, opened(), Admit(token="p"), now=NOW + OPEN).state


@given(START, st.integers(1, 10_000), st.integers(0, 20_000))
def test_forced_open_refuses_until_it_expires(how: str, seconds: int, later: int) -> None:
    """`forced_open`: nobody is let through, probes neither, until the expiry (§7)."""
    now = NOW + OPEN
    force = Force(mode=ForcedMode.FORCED_OPEN, actor="ann", reason="works", until=now + seconds)
    state = decide(POLICY, start(how), force, now=now).state

    answer = decide(POLICY, state, Admit(token="t"), now=now + later).answer

    assert isinstance(answer, Refused) is (later < seconds)


@given(
    START,
    st.sampled_from([ForcedMode.FORCED_CLOSED, ForcedMode.OBSERVE_ONLY]),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_forced_closed_and_observe_only_let_everybody_through(
    how: str, mode: ForcedMode, fails: int, later: int
) -> None:
    """Whatever fails, nobody is refused while a person says so (§7)."""
    now = NOW + OPEN
    state = decide(
        POLICY, start(how), Force(mode=mode, actor="ann", reason="r", until=now + 100), now=now
    ).state
    for _ in range(fails):
        step = decide(POLICY, state, Admit(token="t"), now=now)
        assert isinstance(step.answer, Ticket)
        state = decide(POLICY, step.state, Failed(ticket=step.answer), now=now).state

    assert isinstance(decide(POLICY, state, Admit(token="t"), now=now + later).answer, Ticket)


def test_the_table_has_the_contracts_arrows_and_no_way_around_the_probe() -> None:
    """Only a probe's success or a person leads from OPEN or HALF_OPEN back to CLOSED (§7)."""
    arrows = {
        (before, after)
        for (before, cause), after in TRANSITIONS.items()
        if "forced" not in cause and "9999" not in cause
    }

    assert {
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
        (State.HALF_OPEN, State.OPEN),
    } <= arrows
    assert arrows <= {
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
        (State.HALF_OPEN, State.OPEN),
        (State.HALF_OPEN, State.HALF_OPEN),
    }
