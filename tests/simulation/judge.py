"""What must hold in every run, whatever goes wrong; a `Violation` ends the run.

It looks from outside: at claims and settlements as the store sees them, at requests on the wire, at effects
in the receiver. It uses no code of the product to decide. Invariant: nothing in here changes the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from webhooks_core.breaker import (
    Admit,
    BreakerState,
    Cancelled,
    Command,
    Failed,
    Force,
    Step,
    Succeeded,
    Ticket,
)
from webhooks_core.outbox.base import Claimed, Row, Settled, State
from webhooks_core.settlement import DeadLettered, Delivery, Retrying, Tally, tally
from webhooks_core.transport.base import Request

LEASE = 15.0
MOST_OFF = 20.5  # a worker whose clock is further off sends nothing, and gives nothing up
States = dict[str, State]
ENDED = {State.DELIVERED, State.DEAD, State.DROPPED}


class Violation(BaseException):
    """Something happened that never may. No `except Exception` of the product may swallow it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a breaker by one command: what was shared before and after, and what the process got.

    `was_away`: the process could not reach the store, or does not know whether it did.
    """

    before: BreakerState
    step: Step
    after: BreakerState
    was_away: bool = False

    @property
    def is_unmoved(self) -> bool:
        """Whether nothing has changed but counted successes."""
        return replace(self.before, cells=()) == replace(self.after, cells=())


@dataclass(slots=True)
class Probe:
    """A probe that is out; `until` is the end of its lease, by the store's clock."""

    ticket: Ticket
    until: float


@dataclass(slots=True)
class Event:
    """One committed event and what was seen of it."""

    delivery: Delivery
    key: str | None
    number: int
    effects: int = 0
    requests: int = 0
    owner: object = None
    token: str = ""
    leased_at: float = 0.0  # true time of the last claim or renewal
    lease_until: float = 0.0  # by the store's clock
    due_at: float = 0.0
    waits_since: float = 0.0  # by the store's clock: its creation, or when a person put it back
    not_before: float = 0.0  # true time of the next planned attempt
    is_out_of_order: bool = False  # given up or dropped at least once: later ones need not wait
    attempts_this_round: int = 0
    tallies: list[Tally] = field(default_factory=list)  # what this round has added to the evidence
    tokens: set[str] = field(default_factory=set)


class Judge:
    """Watch a run.

    Args:
        max_attempts: That of the retry policy, both tiers together.
        max_age_seconds: How long a delivery waits for an open breaker, at least.
        store_clock_is_right: Nobody sets the store's clock, so that planned moments can be checked.
    """

    def __init__(self, *, max_attempts: int, max_age_seconds: float, store_clock_is_right: bool) -> None:
        self.events: dict[str, Event] = {}
        self.probes: dict[str, Probe] = {}
        self.changes = 0  # grows with every row that moved
        self._max_attempts = max_attempts
        self._max_age_seconds = max_age_seconds
        self.store_clock_is_right = store_clock_is_right
        self._planned: dict[str, float] = {}

    def added(self, delivery: Delivery, key: str | None) -> None:
        """An event was committed."""
        self.changes += 1
        created_at = delivery.created_at
        event = Event(delivery, key, len(self.events), due_at=created_at, waits_since=created_at)
        self.events[delivery.webhook_id] = event

    # --- the store --------------------------------------------------------------------------------------

    def claimed(
        self,
        claims: list[Claimed],
        owner: object,
        states: Callable[[], States],
        *,
        now: float,
        store_now: float,
    ) -> None:
        """*owner*, a process, got *claims*; *states* tells what the store shows right after."""
        seen: States = {}
        for claimed in claims:
            event = self.events.get(claimed.delivery.webhook_id)
            require(event is not None, "claimed an event that nobody committed")
            assert event is not None
            if self.store_clock_is_right:
                require(not event.token or store_now >= event.lease_until, "claimed under another's lease")
                require(store_now >= event.due_at, "claimed a row before it was due")
            require(claimed.token not in event.tokens, "a token came again")
            require(claimed.delivery.body == event.delivery.body, "the bytes of a row changed")
            event.owner, event.token = owner, claimed.token
            event.tokens.add(claimed.token)
            event.leased_at, event.lease_until = now, claimed.lease_until
            if event.key is not None:
                seen = seen or states()
                self._claimed_in_order(event, seen)

    def _claimed_in_order(self, event: Event, states: States) -> None:
        for other in self.events.values():
            if (
                other is event
                or other.key != event.key
                or other.delivery.endpoint_id != event.delivery.endpoint_id
            ):
                continue
            state = states[other.delivery.webhook_id]
            require(state is not State.CLAIMED, "two rows of one ordering key are out")
            require(
                other.number > event.number or state in ENDED or other.is_out_of_order,
                "a later row of a key went before an earlier one",
            )

    def renewed(self, claims: list[Claimed], owner: object, *, now: float, until: float) -> None:
        """The store says that *claims* are still *owner*'s."""
        for claimed in claims:
            event = self.events[claimed.delivery.webhook_id]
            require(
                event.owner is owner and event.token == claimed.token, "renewed a claim that is another's"
            )
            event.leased_at, event.lease_until = now, until

    def settled(self, settled: Settled, owner: object, row: Row, *, store_now: float) -> None:
        """The store took *settled* from *owner*; *row* is what it shows right after."""
        self.changes += 1
        event = self.events[settled.claimed.delivery.webhook_id]
        require(
            event.owner is owner and event.token == settled.claimed.token, "a stale worker's word was taken"
        )
        event.owner, event.token = None, ""
        event.due_at = store_now if row.due_at is None else row.due_at
        settlement = settled.settlement
        retries = isinstance(settlement, Retrying) and self.store_clock_is_right
        event.not_before = self._planned.get(settled.claimed.token, 0.0) if retries else 0.0
        record = settlement.record
        if record is not None and not record.is_probe:
            event.attempts_this_round += 1
            require(event.attempts_this_round <= self._max_attempts, "more attempts than the policy has")
        if isinstance(settlement, DeadLettered) and record is None and self.store_clock_is_right:
            waited = store_now - event.waits_since
            require(waited >= self._max_age_seconds - MOST_OFF, "given up for its age before its time")
        self._tallied(event, tally(settlement))
        if row.state is State.DELIVERED:
            require(event.effects > 0, "settled as delivered without an effect")
        event.is_out_of_order |= row.state is State.DEAD

    def moved(self, webhook_id: str, verb: str, *, store_now: float) -> None:
        """A person moved a row: *verb* is release, resend, hold or drop."""
        self.changes += 1
        event = self.events[webhook_id]
        event.is_out_of_order |= verb == "drop"
        event.due_at, event.not_before = store_now, 0.0
        if verb in ("resend", "release"):
            event.waits_since = store_now
        if verb == "resend":
            event.attempts_this_round = 0
            event.tallies.clear()

    def _tallied(self, event: Event, what: Tally) -> None:
        """A settlement adds *what* to the evidence, in its transaction."""
        if what is Tally.NOTHING:
            return
        event.tallies.append(what)
        told = event.tallies in ([Tally.SUCCESS], [Tally.FAILURE], [Tally.FAILURE, Tally.RECOVERY])
        require(told, f"evidence of one delivery: {', '.join(event.tallies)}")

    # --- the wire and the receiver ----------------------------------------------------------------------

    def begun(self, webhook_id: str, owner: object, *, now: float) -> None:
        """*owner* begins an attempt."""
        event = self.events[webhook_id]
        require(now >= event.not_before - 0.01, "an attempt began before its planned moment")
        if event.owner is owner:
            require(
                now - event.leased_at <= LEASE / 2 + 0.01, "an attempt began with less than half of its lease"
            )

    def sent(
        self, delivery: Delivery, request: Request, *, wall: float, is_killed: bool, ticket: Ticket | None
    ) -> None:
        """A request leaves; *wall* is its sender's clock, *ticket* what its breaker gave."""
        headers, body = request.headers, request.body
        require(not is_killed, "sent while the kill switch was on")
        require(ticket is not None, "sent although the breaker gave no ticket")
        require(headers["X-Webhook-Id"] == delivery.webhook_id, "sent under another id")
        event = self.events.get(headers["X-Webhook-Id"])
        require(event is not None and event.delivery.body == body, "sent bytes that nobody committed")
        assert event is not None
        is_told = delivery.attempt > 1 or delivery.sent_before
        require(event.requests == 0 or is_told, "a row that was sent before does not say so")
        event.requests += 1
        signed = int(headers["X-Webhook-Timestamp"]) / 1000
        require(abs(signed - wall) < 0.01, "a timestamp that is not this attempt's")

    def attempted(self, settled: Settled, *, now: float, ticket: Ticket | None) -> None:
        """An attempt ended at *now*; *ticket* is one that its breaker gave and that did not come back."""
        require(ticket is None, "a breaker's ticket was not handed back")
        if isinstance(settled.settlement, Retrying):
            self._planned[settled.claimed.token] = now + settled.settlement.decision.wait_seconds

    def effect(self, webhook_id: str) -> None:
        """The receiver's handler acted."""
        event = self.events.get(webhook_id)
        require(event is not None, "an effect of an event that nobody committed")
        assert event is not None
        event.effects += 1
        require(event.effects == 1, "two effects of one event")
        if event.key is None:
            return
        for other in self.events.values():
            if other.key == event.key and other.number < event.number and not other.is_out_of_order:
                same = other.delivery.endpoint_id == event.delivery.endpoint_id
                require(not same or other.effects > 0, "the effect of a later row of a key came first")

    # --- the breakers -----------------------------------------------------------------------------------

    def breaker(self, endpoint: str, command: Command, moved: Moved, *, store_now: float) -> None:
        """A command was applied to a breaker."""
        probe, step = self.probes.get(endpoint), moved.step
        if isinstance(command, Force):
            self.probes.pop(endpoint, None)
        elif isinstance(command, Admit):
            if isinstance(step.answer, Ticket) and step.answer.is_probe:
                # A clock that was set back by more than that: the probe counts as lost.
                is_lost = probe is None or not 0 < probe.until - store_now <= 2 * command.lease_seconds
                require(is_lost, "a second probe is out")
                self.probes[endpoint] = Probe(step.answer, store_now + command.lease_seconds)
        elif isinstance(command, (Succeeded, Failed, Cancelled)):
            if command.ticket.generation != moved.before.generation:
                require(moved.is_unmoved, "a stale result moved a breaker")
            elif probe is not None and command.ticket is probe.ticket:
                is_back = moved.after.probe_token is None
                require(is_back or moved.was_away, "a probe that came back was not given back")
                if is_back:
                    del self.probes[endpoint]

    def died_telling(self, endpoint: str, command: Command, after: BreakerState) -> None:
        """A process died in the middle of *command*, which may have been carried out: *after* says so."""
        probe = self.probes.get(endpoint)
        if (
            probe is not None
            and after.probe_token is None
            and getattr(command, "ticket", None) is probe.ticket
        ):
            del self.probes[endpoint]

    # --- the end ----------------------------------------------------------------------------------------

    def ended(self, rows: dict[str, Row], *, allowed: frozenset[State]) -> None:
        """The faults are over and time enough has passed: nothing may be lost or stuck."""
        states = {webhook_id: row.state for webhook_id, row in rows.items()}
        for webhook_id, event in self.events.items():
            row = rows.get(webhook_id)
            require(row is not None, "an event vanished")
            assert row is not None
            at_rest = row.state in allowed or self._is_behind_held(event, states)
            require(at_rest, f"stuck as {row.state}: {row.reason or 'no reason'}")
            require(row.state is not State.DELIVERED or event.effects == 1, "delivered without an effect")

    def is_at_rest(self, states: States, *, allowed: frozenset[State]) -> bool:
        """Whether nothing is left that could move by itself."""
        return all(
            state in allowed or self._is_behind_held(self.events[webhook_id], states)
            for webhook_id, state in states.items()
        )

    def _is_behind_held(self, event: Event, states: States) -> bool:
        """Whether a row waits, as it should, for an earlier one of its key that is held."""
        if event.key is None or states[event.delivery.webhook_id] is not State.PENDING:
            return False
        return any(
            other.number < event.number and states[other.delivery.webhook_id] is State.HELD
            for other in self.events.values()
            if other.key == event.key and other.delivery.endpoint_id == event.delivery.endpoint_id
        )


def require(holds: object, what: str) -> None:
    """Raise a violation unless *holds*."""
    if not holds:
        raise Violation(what)
