"""Stateful: an outbox against a model of ten lines, driven by any number of workers and people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import ENDED, Claimed, Settled, State
from webhooks_core.outbox.memory import MemoryOutbox
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryAt
from webhooks_core.settlement import (
    AttemptRecord,
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Retrying,
    Settlement,
    Waiting,
)

pytestmark = pytest.mark.slow

NOW = 1_763_000_000.0
LEASE = 15.0
A, B = EndpointId("a"), EndpointId("b")


@dataclass
class Model:
    """One row as a person thinks of it; moments are quarter seconds, so that floats are exact."""

    number: int
    endpoint: EndpointId
    key: str | None
    state: State = State.PENDING
    due: float = NOW
    token: str = ""

    def may_go(self, rows: list[Model], now: float) -> bool:
        """Whether it may be claimed: due, and nobody of its key in front of it or on its way."""
        if self.state not in (State.PENDING, State.CLAIMED) or self.due > now:
            return False
        if self.key is None:
            return True
        others = [
            row for row in rows if row is not self and (row.endpoint, row.key) == (self.endpoint, self.key)
        ]
        return not any(
            row.state is State.CLAIMED or (row.number < self.number and row.state not in ENDED)
            for row in others
        )


class OutboxMachine(RuleBasedStateMachine):
    """Drive outbox and model with the same commands, and demand the same rows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.outbox = MemoryOutbox(clock=lambda: self.now)
        self.rows: list[Model] = []
        self.claims: list[Claimed] = []
        self.tokens: set[str] = set()

    def model(self, claimed: Claimed) -> Model:
        """Return the model's row of a claim."""
        return self.rows[int(claimed.delivery.webhook_id)]

    @rule(seconds=st.sampled_from([0.0, 0.25, 2.0, 14.75, 15.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        """To the edge of a lease, onto it, and over it."""
        self.now += seconds

    @rule(
        endpoint=st.sampled_from([A, B]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        unit=st.sampled_from(["101", "102", None]),
        later=st.sampled_from([None, None, 2.0, 60.0]),
    )
    def an_event_is_committed(
        self, endpoint: EndpointId, key: str | None, unit: str | None, later: float | None
    ) -> None:
        """At once, or for a moment to come."""
        number = len(self.rows)
        due_at = None if later is None else self.now + later
        delivery = Delivery(
            webhook_id=str(number),
            event="tested",
            body=b"{}",
            created_at=self.now,
            endpoint_id=endpoint,
            unit=unit,
        )
        self.outbox.add(delivery, ordering_key=key, due_at=due_at)
        self.rows.append(Model(number, endpoint, key, due=self.now if due_at is None else due_at))

    @rule(limit=st.integers(1, 6), most=st.tuples(st.integers(0, 4), st.integers(0, 4)))
    def somebody_claims(self, limit: int, most: tuple[int, int]) -> None:
        """Only what may go, no more than was asked for, and as much of it as there is."""
        caps = dict(zip((A, B), most, strict=True))
        could = dict.fromkeys(caps, 0)
        for name in caps:
            ready = [row for row in self.rows if row.endpoint == name and row.may_go(self.rows, self.now)]
            keys = {row.key for row in ready if row.key is not None}
            could[name] = min(caps[name], sum(row.key is None for row in ready) + len(keys))
        claims = self.outbox.claim(worker="w", limit=limit, lease_seconds=LEASE, endpoints=caps)

        for claimed in claims:
            row = self.model(claimed)
            assert row.may_go(self.rows, self.now), row
            assert claimed.token not in self.tokens
            row.state, row.token, row.due = State.CLAIMED, claimed.token, self.now + LEASE
            self.tokens.add(claimed.token)
        taken = {name: sum(self.model(claimed).endpoint == name for claimed in claims) for name in caps}
        assert len(claims) == min(limit, sum(could.values()))
        assert all(taken[name] <= could[name] for name in caps)
        if len(claims) == limit and all(could.values()):
            assert all(taken[name] >= min(could[name], limit // 2) for name in caps)
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 10**6), kind=st.integers(0, 4), wait=st.sampled_from([0.0, 2.0, 60.0]))
    def somebody_settles(self, pick: int, kind: int, wait: float) -> None:
        """Any claim there ever was: only the newest of its row, and that once, is taken."""
        claimed = self.claims[pick % len(self.claims)]
        row = self.model(claimed)
        is_ours = row.state is State.CLAIMED and row.token == claimed.token
        settlement, state = self.settlement(claimed, kind, wait)

        assert list(self.outbox.settle([Settled(claimed=claimed, settlement=settlement)])) == [is_ours]
        if is_ours:
            row.state, row.token, row.due = state, "", self.now + wait

    def settlement(self, claimed: Claimed, kind: int, wait: float) -> tuple[Settlement, State]:
        """One of the five ways in which an attempt can leave its delivery."""
        about, when = claimed.delivery, self.now + wait
        record = AttemptRecord(attempt=1, outcome=Outcome.TIMEOUT, started_at=self.now, elapsed_seconds=0.25)
        dead = DeadLetter(reason="given up")
        return (
            (
                Delivered(delivery=about, record=record, latency_seconds=0.25, elapsed_seconds=0.25),
                State.DELIVERED,
            ),
            (
                Retrying(
                    delivery=replace(about, attempt=about.attempt + 1),
                    record=record,
                    decision=RetryAt(when=when, wait_seconds=wait, reason="schedule"),
                ),
                State.PENDING,
            ),
            (Waiting(delivery=about, reason="circuit open", retry_at=when), State.PENDING),
            (Held(delivery=about, reason="ceiling 0"), State.HELD),
            (DeadLettered(delivery=about, outcome=Outcome.TIMEOUT, decision=dead, record=record), State.DEAD),
        )[kind]

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 10**6))
    def somebody_renews(self, pick: int) -> None:
        """Only who still holds the row."""
        claimed = self.claims[pick % len(self.claims)]
        row = self.model(claimed)
        is_ours = row.state is State.CLAIMED and row.token == claimed.token

        kept = self.outbox.renew([claimed], lease_seconds=LEASE)

        assert kept == ({claimed.token} if is_ours else frozenset())
        if is_ours:
            row.due = self.now + LEASE

    @precondition(lambda self: self.rows)
    @rule(pick=st.integers(0, 10**6), verb=st.sampled_from(["release", "resend", "hold", "drop"]))
    def a_person_moves_a_row(self, pick: int, verb: str) -> None:
        """Along the arrows, and nowhere else. (A lost lease makes a row pending when somebody looks.)"""
        row = self.rows[pick % len(self.rows)]
        if row.state is State.CLAIMED and row.due <= self.now:
            return
        begins, ends = {
            "release": ({State.HELD}, State.PENDING),
            "resend": ({State.DEAD}, State.PENDING),
            "hold": ({State.PENDING}, State.HELD),
            "drop": ({State.PENDING, State.HELD}, State.DROPPED),
        }[verb]

        moved = getattr(self.outbox, verb)([str(row.number)], reason="by hand")

        assert moved == ({str(row.number)} if row.state in begins else frozenset())
        if moved:
            row.state, row.due = ends, self.now

    @invariant()
    def they_agree(self) -> None:
        """The same states, row by row; a lease that ran out may have been seen or not."""
        for row, seen in zip(self.rows, self.outbox.rows(), strict=True):
            if row.state is State.CLAIMED and row.due <= self.now:
                assert seen.state in (State.CLAIMED, State.PENDING)
                if seen.state is State.PENDING:
                    row.state, row.token = State.PENDING, ""
                continue
            assert seen.state is row.state, (row, seen)

    @invariant()
    def the_next_moment_is_not_later_than_the_first_lease(self) -> None:
        """A worker that sleeps until `next_due` oversleeps no lost lease and no retry."""
        waits = [row.due for row in self.rows if row.state is State.CLAIMED and row.due > self.now]
        next_due = self.outbox.next_due()

        assert not waits or (next_due is not None and next_due <= min(waits))


class OutboxTest(OutboxMachine.TestCase):  # type: ignore[name-defined,misc]
    """A random walk through the machine; see OutboxMachine."""

    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
