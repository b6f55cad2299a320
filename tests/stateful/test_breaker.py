"""Stateful: the breaker against a model with time, written from the contract §7 alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Command,
    Failed,
    Refused,
    Step,
    Succeeded,
    Ticket,
    decide,
)
from webhooks_core.stores.breakers import MemoryBreakerStore

pytestmark = pytest.mark.slow

NOW = 1_763_000_000.0
WINDOW, MAX_FAILS, OPEN, LONGEST, LEASE = 120.0, 5, 60.0, 600.0, 15.0
POLICY = BreakerPolicy(
    window_seconds=WINDOW,
    max_fails=MAX_FAILS,
    open_seconds=OPEN,
    max_open_seconds=LONGEST,
    probe_lease_seconds=LEASE,
)


@dataclass
class Model:
    """The contract §7 as a person reads it; times are quarter seconds, so that floats are exact."""

    state: str = "closed"
    era: int = 0
    ended: list[tuple[float, bool]] = field(default_factory=list)
    until: float = 0.0
    length: float = OPEN
    probe: bool = False

    def move(self, state: str, *, now: float, length: float = OPEN) -> None:
        """Change the state: results of calls admitted before are ignored from here on."""
        self.state, self.era, self.ended, self.probe = state, self.era + 1, [], False
        self.length, self.until = length, now + length

    def end(self, now: float, *, well: bool, probe: bool, opened: bool) -> None:
        """A call of this era ended. *opened* is what the breaker did, and counts where both are right."""
        if probe:
            self.move("closed" if well else "open", now=now, length=min(LONGEST, 2 * self.length))
            return
        self.ended.append((now, well))
        fails = sum(not good and now - at <= WINDOW for at, good in self.ended)
        # Failures are exact; successes may be counted in one-second cells, which blurs the window's edge.
        least, most = (sum(good and now - at <= WINDOW + blur for at, good in self.ended) for blur in (-1, 1))
        must = not well and fails >= MAX_FAILS and fails >= most
        may = not well and fails >= MAX_FAILS and fails >= least
        if must or (may and opened):
            self.move("open", now=now)

    def admits(self, now: float) -> str:
        """What one who asks now gets: yes, probe or no."""
        if self.state == "closed":
            return "yes"
        return "probe" if (not self.probe and self.state == "half_open") or now >= self.until else "no"

    def take_probe(self, now: float) -> None:
        """One probe is out, under a lease."""
        kept = self.length
        self.move("half_open", now=now)
        self.length, self.until, self.probe = kept, now + LEASE, True


class BreakerMachine(RuleBasedStateMachine):
    """Drive breaker and model with the same commands and demand the same answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.model, self.state = NOW, Model(), BreakerState()
        self.out: list[tuple[Ticket, int]] = []
        self.names = 0

    @property
    def opened(self) -> bool:
        """Whether the breaker is open now."""
        return self.state.state == "open"

    def tell(self, command: Command) -> Step:
        """One command at the present moment."""
        step = decide(POLICY, self.state, command, now=self.now)
        self.state = step.state
        return step

    @rule(
        seconds=st.sampled_from(
            [0.25, 0.5, 1.0, 5.0, 14.75, 15.0, 30.0, 59.75, 60.0, 119.75, 120.0, 120.25, 600.0]
        )
    )
    def time_passes(self, seconds: float) -> None:
        """Steps around every limit of the contract, and exactly on it."""
        self.now += seconds

    @rule()
    def somebody_asks(self) -> None:
        """Admit: the same answer as the model, with the moment to ask again."""
        wanted = self.model.admits(self.now)
        self.names += 1
        answer = self.tell(Admit(token=f"t{self.names}")).answer

        if wanted == "no":
            assert isinstance(answer, Refused)
            assert answer.retry_at == self.model.until
            assert answer.retry_at > self.now
            return
        if wanted == "probe":
            self.model.take_probe(self.now)
        assert isinstance(answer, Ticket)
        assert answer.is_probe is (wanted == "probe")
        self.out.append((answer, self.model.era))

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 10**6), well=st.booleans())
    def a_call_ends(self, pick: int, well: bool) -> None:
        """Any ticket that is out, old ones included: a stale one changes nothing."""
        ticket, era = self.out.pop(pick % len(self.out))
        before = self.state
        self.tell(Succeeded(ticket=ticket) if well else Failed(ticket=ticket))
        if era == self.model.era:
            self.model.end(self.now, well=well, probe=ticket.is_probe, opened=self.opened)
        else:
            assert (self.state.state, self.state.generation) == (before.state, before.generation)
            assert self.state.failures == before.failures

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 10**6))
    def a_call_is_cancelled(self, pick: int) -> None:
        """Cancelled: neither success nor failure, and a probe is given back."""
        ticket, era = self.out.pop(pick % len(self.out))
        self.tell(Cancelled(ticket=ticket))
        if era == self.model.era and ticket.is_probe:
            self.model.probe = False

    @precondition(lambda self: self.model.state == "closed")
    @rule(
        fails=st.integers(1, 6),
        successes=st.integers(0, 6),
        gap=st.sampled_from([0.0, 0.25, 1.0, 24.0, 30.0]),
    )
    def a_burst_ends(self, fails: int, successes: int, gap: float) -> None:
        """Successes, then failures with gaps: what brings a breaker to its limit."""
        for well in [True] * successes + [False] * fails:
            ticket = self.tell(Admit(token="burst")).answer
            if not isinstance(ticket, Ticket) or ticket.is_probe or self.model.state != "closed":
                assert self.model.state != "closed"
                return
            self.tell(Succeeded(ticket=ticket) if well else Failed(ticket=ticket))
            self.model.end(self.now, well=well, probe=False, opened=self.opened)
            self.now += gap

    @precondition(lambda self: self.model.state != "closed" and self.model.until > self.now)
    @rule(off=st.sampled_from([-0.25, 0.0, 0.25]))
    def the_time_nears(self, off: float) -> None:
        """To the moment at which the next probe may go, a quarter second before, or after."""
        self.now = max(self.now, self.model.until + off)

    @precondition(lambda self: self.model.state == "open")
    @rule()
    def a_probe_fails(self) -> None:
        """The whole way: the open time ends, one is let through and fails; twice as long up to 600 s."""
        self.now = max(self.now, self.model.until)
        length = self.model.length
        self.somebody_asks()
        ticket, _ = self.out.pop()
        self.tell(Failed(ticket=ticket))
        self.model.end(self.now, well=False, probe=True, opened=self.opened)

        assert self.state.retry_at == self.now + min(LONGEST, 2 * length)

    @invariant()
    def they_agree(self) -> None:
        """The same state, and no fleet ever has two probes out."""
        assert self.state.state == self.model.state, (self.state, self.model)
        probes = [ticket for ticket, era in self.out if ticket.is_probe and era == self.model.era]
        assert len(probes) <= 1


class BreakerTest(BreakerMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see BreakerMachine."""

    # Long walks: a breaker opens only after five failures, and its cap is reached after four failed probes.
    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


class StoreMachine(BreakerMachine):
    """The same walk over the memory store, whose fast path counts successes and tells them once a second."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryBreakerStore(POLICY)

    def tell(self, command: Command) -> Step:
        """One command through the store; another endpoint's breaker is never touched."""
        step = self.store.apply("main", command, now=self.now)
        self.state = step.state
        return step

    def teardown(self) -> None:
        """An endpoint that was never used is closed."""
        assert self.store.state("other", now=self.now).state == "closed"


class MemoryBreakerStoreTest(StoreMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the store; see StoreMachine."""

    settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
