"""One attempt, end to end: `Sender.attempt` asks, signs, sends, classifies, reports, and says what follows.

A service over ports (`Transport`, `BreakerStore`, `SendPermit`); every decision is made elsewhere, in pure
functions. Invariants: nothing is sent unless the permit says SEND and the breaker gives a ticket; every
ticket is handed back exactly once; no error of a transport, a permit or a receiver leaves `attempt`. Who
sleeps between attempts is an engine's business. Explained in docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from secrets import SystemRandom
from typing import TypedDict

from webhooks_core import breaker, events, outcome
from webhooks_core.breaker import (
    Admit,
    Cancelled,
    Command,
    Failed,
    Force,
    ForcedMode,
    Refused,
    Step,
    Succeeded,
    Ticket,
)
from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import ConfigError
from webhooks_core.events import Observer, emit
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, DisableEndpoint, RetryAt, RetryPolicy, Tier
from webhooks_core.settlement import (
    REFUSED_BY_BREAKER,
    AttemptRecord,
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Retrying,
    Settlement,
    SettlementKind,
    Tally,
    Waiting,
    tally,
)
from webhooks_core.signer import sign
from webhooks_core.stores.breakers import BreakerStore
from webhooks_core.transport.base import Request, Response, Transport

__all__ = [
    "ASK_AGAIN_SECONDS",
    "MAX_AGE_SECONDS",
    "AttemptRecord",
    "DeadLettered",
    "Delivered",
    "Delivery",
    "Held",
    "Permit",
    "PermitVerdict",
    "Retrying",
    "SendPermit",
    "Sender",
    "Settlement",
    "SettlementKind",
    "Tally",
    "Waiting",
    "always_send",
    "tally",
]

MAX_AGE_SECONDS = 86_400.0  # contract §6: a delivery waits for a breaker up to 24 h
ASK_AGAIN_SECONDS = 2.0  # DESIGN §5: the staleness bound; a sender that cannot learn the flag's state waits
LEASE_SLACK_SECONDS = (
    5.0  # contract §7: a probe's lease is longer than the time-out (which may run 0.5 s over)
)
DISABLED_SECONDS = 100 * 365 * 86_400.0  # contract §6: a 410 disables "until a person re-enables it"
CHANCE = SystemRandom().random


class PermitVerdict(StrEnum):
    """Name what a permit says: send, keep for a person, or ask again soon."""

    SEND = "send"
    HOLD = "hold"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The answer to "may this be sent now?", asked before each attempt."""

    verdict: PermitVerdict
    reason: str = ""


SendPermit = Callable[[Delivery], Permit]

_SEND = Permit(verdict=PermitVerdict.SEND)


def always_send(delivery: Delivery) -> Permit:  # noqa: ARG001 - the shape of SendPermit
    """Permit every delivery: for senders without a rollout."""
    return _SEND


class Sender:
    """Attempt deliveries. Safe to share between threads where its transport and its store are.

    Args:
        transport: Puts a request on the wire.
        breakers: Where the breakers of the endpoints are kept.
        retry: What follows on a failure.
        permit: Asked before each attempt; where it raises, the delivery waits and nothing is sent.
        observer: Told of everything that happens.
        max_age_seconds: How long a delivery may wait for a breaker: from its creation, or from when a person
            put it back.
        clock: Epoch seconds, UTC; signs and dates.
        monotonic: Seconds for measuring.
        rng: Chance in [0, 1), for jitter.
    """

    def __init__(  # noqa: PLR0913 - its ports, and the world's defaults by keyword
        self,
        transport: Transport,
        breakers: BreakerStore,
        retry: RetryPolicy | None = None,
        *,
        permit: SendPermit = always_send,
        observer: Observer | None = None,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = CHANCE,
    ) -> None:
        self.retry = RetryPolicy() if retry is None else retry
        self.clock = clock
        self._transport = transport
        self._breakers = breakers
        self._permit = permit
        self._observer = observer
        self._max_age_seconds = max_age_seconds
        self._monotonic = monotonic
        self._rng = rng

    def attempt(self, delivery: Delivery, endpoint: Endpoint) -> Settlement:
        """Attempt *delivery* once, if it may be sent now.

        Raises:
            ConfigError: *endpoint* is not the one that *delivery* is for. Nothing was sent.
        """
        if delivery.endpoint_id != endpoint.id:
            raise ConfigError("endpoint", f"delivery is for {delivery.endpoint_id}, not for {endpoint.id}")
        permit = self._asked(delivery)
        now = self.clock()
        if permit.verdict is PermitVerdict.HOLD:
            return self.held(delivery, reason=permit.reason)
        if permit.verdict is not PermitVerdict.SEND:
            return self.waiting(delivery, reason=permit.reason, retry_at=now + ASK_AGAIN_SECONDS)
        lease = endpoint.timeout_seconds + LEASE_SLACK_SECONDS
        answer = self._report(endpoint, Admit(token=delivery.webhook_id, lease_seconds=lease), now=now).answer
        if isinstance(answer, Ticket):
            return self._sent(delivery, endpoint, answer, now=now)
        assert isinstance(answer, Refused)
        return self._refused(delivery, retry_at=answer.retry_at, now=now)

    def held(self, delivery: Delivery, *, reason: str) -> Held:
        """Settle *delivery* as held for a person and tell the observer why."""
        self._tell(events.Held(**_names(delivery), reason=reason))
        return Held(delivery=delivery, reason=reason)

    def waiting(
        self, delivery: Delivery, *, reason: str, retry_at: float, record: AttemptRecord | None = None
    ) -> Waiting:
        """Settle *delivery* as waiting and tell the observer why."""
        self._tell(events.Waiting(**_names(delivery), reason=reason))
        return Waiting(delivery=delivery, reason=reason, retry_at=retry_at, record=record)

    def _asked(self, delivery: Delivery) -> Permit:
        try:
            return self._permit(delivery)
        except Exception as error:  # noqa: BLE001 - told as the reason; nothing is sent
            return Permit(verdict=PermitVerdict.WAIT, reason=f"permit failed with {type(error).__name__}")

    def _refused(self, delivery: Delivery, *, retry_at: float, now: float) -> Settlement:
        if now - delivery.ages_from < self._max_age_seconds:
            return self.waiting(delivery, reason=REFUSED_BY_BREAKER, retry_at=retry_at)
        decision = DeadLetter(reason="circuit open beyond the maximum age")
        given_up = Outcome.CIRCUIT_OPEN
        attempts = delivery.attempt - 1
        self._tell(
            events.GivenUp(
                **_names(delivery), attempts=attempts, outcome=given_up, error="older than the maximum age"
            )
        )
        return DeadLettered(delivery=delivery, outcome=given_up, decision=decision)

    def _sent(self, delivery: Delivery, endpoint: Endpoint, ticket: Ticket, *, now: float) -> Settlement:
        most = max(delivery.attempt, self.retry.most(delivery.tier))
        self._tell(events.AttemptStarted(**_names(delivery), attempt=delivery.attempt, max_attempts=most))
        begun = self._monotonic()
        try:
            result = self._exchanged(delivery, endpoint, now=now)
        except BaseException:  # an interrupt: the ticket goes back, the interrupt goes on
            self._report(endpoint, Cancelled(ticket=ticket), now=self.clock())
            raise
        record = AttemptRecord(
            attempt=delivery.attempt,
            outcome=outcome.classify(
                result, attempt=delivery.attempt, sent_before=delivery.sent_before or _is_repeat(result)
            ),
            started_at=now,
            elapsed_seconds=max(0.0, self._monotonic() - begun),
            status=None if isinstance(result, Exception) else result.status,
            error=outcome.describe(result),
            is_probe=ticket.is_probe,
        )
        spent = delivery.spent_seconds + record.elapsed_seconds
        delivery = replace(delivery, spent_seconds=spent, sent_before=True)
        if not isinstance(result, Exception) and outcome.is_success(record.outcome):
            self._report(endpoint, Succeeded(ticket=ticket), now=self.clock())
            return self._delivered(delivery, record, status=result.status)
        wish = None if isinstance(result, Exception) else result.headers.get("retry-after")
        return self._failed(delivery, endpoint, ticket, record=record, retry_after=wish)

    def _exchanged(self, delivery: Delivery, endpoint: Endpoint, *, now: float) -> Response | Exception:
        try:
            headers = sign(
                delivery.body,
                event=delivery.event,
                webhook_id=delivery.webhook_id,
                keys=endpoint.keys,
                scheme=endpoint.scheme,
                now=now,
                user_agent=endpoint.user_agent,
            )
            request = Request(
                url=endpoint.url,
                headers=headers,
                body=delivery.body,
                timeout_seconds=endpoint.timeout_seconds,
                endpoint=endpoint,
            )
            return self._transport.send(request)
        except Exception as error:  # noqa: BLE001 - every failure becomes an outcome, and its kind is told
            return error

    def _delivered(self, delivery: Delivery, record: AttemptRecord, *, status: int) -> Delivered:
        latency = delivery.spent_seconds
        elapsed = latency + delivery.planned_wait_seconds
        self._tell(
            events.Delivered(
                **_names(delivery),
                status=status,
                attempt=record.attempt,
                latency_seconds=latency,
                elapsed_seconds=elapsed,
            )
        )
        return Delivered(delivery=delivery, record=record, latency_seconds=latency, elapsed_seconds=elapsed)

    def _failed(
        self,
        delivery: Delivery,
        endpoint: Endpoint,
        ticket: Ticket,
        *,
        record: AttemptRecord,
        retry_after: str | None,
    ) -> Settlement:
        now = self.clock()
        decision = self.retry.next(
            record.outcome,
            attempt=delivery.attempt,
            now=now,
            status=record.status,
            retry_after=retry_after,
            rng_value=self._rng(),
            slow_taken=delivery.slow_retries,
            latest=delivery.ages_from + self._max_age_seconds,
        )
        # Contract §7: failures are counted once per delivery, where its fast tier ends; an attempt that is
        # repeated before says nothing, nor does one after. A probe's always does; one that may be repeated
        # spends no attempt: its delivery waits.
        goes_on = isinstance(decision, RetryAt) and decision.tier is Tier.FAST
        ends = ticket.is_probe or not (goes_on or delivery.slow_retries)
        blames = ends and outcome.counts_for_breaker(record.outcome)
        step = self._report(endpoint, Failed(ticket=ticket) if blames else Cancelled(ticket=ticket), now=now)
        if ticket.is_probe and outcome.is_retried(record.outcome, status=record.status):
            self._tell_failed(delivery, record)
            return self.waiting(delivery, reason="probe failed", retry_at=step.state.retry_at, record=record)
        if isinstance(decision, RetryAt):
            return self._retrying(delivery, record, decision)
        if isinstance(decision, DisableEndpoint):
            self._disable(delivery, endpoint, decision, now=now)
        return self._dead_lettered(delivery, record, decision)

    def _retrying(self, delivery: Delivery, record: AttemptRecord, decision: RetryAt) -> Retrying:
        self._tell_failed(delivery, record)
        is_slow, wait = decision.tier is Tier.SLOW, decision.wait_seconds
        following = replace(
            delivery,
            attempt=delivery.attempt + 1,
            # Contract §9: time in the slow tier is in neither latency nor elapsed.
            planned_wait_seconds=delivery.planned_wait_seconds + (0.0 if is_slow else wait),
            slow_retries=delivery.slow_retries + is_slow,
        )
        self._tell(
            events.RetryPlanned(
                **_names(delivery),
                attempt=following.attempt,
                wait_seconds=wait,
                slow_retry=following.slow_retries,
                slow_retries=len(self.retry.slow_seconds),
            )
        )
        return Retrying(delivery=following, record=record, decision=decision)

    def _dead_lettered(self, delivery: Delivery, record: AttemptRecord, decision: DeadLetter) -> DeadLettered:
        status, given_up = record.status, record.outcome
        if status is not None and 400 <= status < 500 and not outcome.is_retried(given_up, status=status):
            self._tell(events.NotRetried(**_names(delivery), status=status, error=record.error))
        self._tell(
            events.GivenUp(**_names(delivery), attempts=record.attempt, outcome=given_up, error=record.error)
        )
        return DeadLettered(delivery=delivery, outcome=given_up, decision=decision, record=record)

    def _disable(
        self, delivery: Delivery, endpoint: Endpoint, decision: DisableEndpoint, *, now: float
    ) -> None:
        self._tell(events.EndpointGone(endpoint=endpoint.id, webhook_id=delivery.webhook_id))
        until = now + DISABLED_SECONDS
        mode = ForcedMode.FORCED_OPEN
        self._report(endpoint, Force(mode=mode, actor="sender", reason=decision.reason, until=until), now=now)

    def _report(self, endpoint: Endpoint, command: Command, *, now: float) -> Step:
        jitter_value = self._rng() if isinstance(command, Failed) else 0.0
        step = self._breakers.apply(endpoint.id, command, now=now, jitter_value=jitter_value)
        for fact in breaker.facts(endpoint.id, self._breakers.policy, command, step, now=now):
            self._tell(fact)
        return step

    def _tell_failed(self, delivery: Delivery, record: AttemptRecord) -> None:
        self._tell(
            events.AttemptFailed(
                **_names(delivery),
                attempt=record.attempt,
                outcome=record.outcome,
                error=record.error,
                status=record.status,
            )
        )

    def _tell(self, fact: events.Fact) -> None:
        emit(self._observer, fact)


def _is_repeat(result: Response | Exception) -> bool:
    """Return whether the request was written twice within its attempt, so that the first may have arrived."""
    return not isinstance(result, Exception) and result.is_repeat


class _Names(TypedDict):
    event: str
    endpoint: str
    webhook_id: str


def _names(delivery: Delivery) -> _Names:
    return {"event": delivery.event, "endpoint": delivery.endpoint_id, "webhook_id": delivery.webhook_id}
