"""One attempt end to end: what is asked first, what is sent, what the breaker is told, what follows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import pytest

from rollout.testing import ManualClock
from webhooks_core import events
from webhooks_core.breaker import BreakerPolicy, BreakerState, Failed, State, Ticket
from webhooks_core.delivery import (
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Permit,
    PermitVerdict,
    Retrying,
    Sender,
    SettlementKind,
    Waiting,
    always_send,
)
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.errors import AddressBlocked, ConfigError, ConnectFailed, TimedOut
from webhooks_core.keys import KeyRing
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, DisableEndpoint, RetryPolicy
from webhooks_core.scheme import Scheme
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import Answer, FakeTransport
from webhooks_core.transport.base import Request, Response

NOW = 1_763_000_000.0
WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"
BODY = b'{"event":"payment_verified","data":{"tournament_id":101}}'


def delivery(**changes: object) -> Delivery:
    """A delivery that was created at NOW."""
    values = {"webhook_id": WEBHOOK_ID, "event": "payment_verified", "body": BODY, "created_at": NOW}
    return Delivery(**{**values, **changes})  # type: ignore[arg-type]


class Desk:
    """A sender with everything around it at hand."""

    def __init__(self, secret: str, clock: ManualClock) -> None:
        self.clock = clock
        self.secret = secret
        self.seen = RecordingObserver()
        self.store = MemoryBreakerStore()
        self.permit: Permit | Exception = Permit(verdict=PermitVerdict.SEND)
        self.took = 0.1
        self.endpoint = Endpoint(url="https://receiver.example/in", keys=KeyRing.of(secret))
        self.answers()

    def answers(self, *script: Answer, then: Answer = 200, policy: BreakerPolicy | None = None) -> Desk:
        """Let the receiver answer by *script*; each answer takes `took` seconds."""
        if policy is not None:
            self.store = MemoryBreakerStore(policy)
        self.transport = FakeTransport(self._slow(script), then=self._slowed(then))
        self.sender = Sender(
            self.transport,
            self.store,
            permit=self._ask,
            observer=self.seen,
            clock=self.clock,
            monotonic=self.clock,
            rng=lambda: 0.0,
        )
        return self

    def attempt(self, what: Delivery | None = None) -> object:
        return self.sender.attempt(delivery() if what is None else what, self.endpoint)

    def state(self) -> BreakerState:
        return self.store.state("default", now=self.clock())

    def fail(self, times: int) -> None:
        """Let *times* deliveries fail as far as the breaker knows."""
        for _ in range(times):
            ticket = Ticket(generation=self.state().generation)
            self.store.apply("default", Failed(ticket=ticket), now=self.clock())

    def _ask(self, asked: Delivery) -> Permit:
        if isinstance(self.permit, Exception):
            raise self.permit
        return self.permit

    def _slow(self, script: Iterable[Answer]) -> Iterable[Answer]:
        return [self._slowed(answer) for answer in script]

    def _slowed(self, answer: Answer) -> Answer:
        def answered(request: Request) -> Response:
            self.clock.advance(self.took)
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, (int, Response))
            return Response(status=answer) if isinstance(answer, int) else answer

        return answered


@pytest.fixture
def desk(secret: str, clock: ManualClock) -> Desk:
    """A desk whose receiver answers 200 after 0.1 s."""
    return Desk(secret, clock)


def test_a_delivered_webhook_carries_its_times(desk: Desk) -> None:
    """Latency is the attempts' time; elapsed adds the planned waits."""
    settlement = desk.attempt(delivery(attempt=3, spent_seconds=0.5, planned_wait_seconds=6.0))

    assert isinstance(settlement, Delivered)
    assert settlement.kind is SettlementKind.DELIVERED
    assert settlement.record.status == 200
    assert settlement.record.started_at == NOW
    assert settlement.record.elapsed_seconds == pytest.approx(0.1)
    assert settlement.latency_seconds == pytest.approx(0.6)
    assert settlement.elapsed_seconds == pytest.approx(6.6)
    assert desk.seen.kinds() == ["AttemptStarted", "Delivered"]


def test_the_bytes_are_signed_with_this_attempts_timestamp(desk: Desk) -> None:
    """Milliseconds of now, over the very body, with the first key."""
    desk.clock.advance(1.234)

    desk.attempt()

    [request] = desk.transport.sent
    timestamp = request.headers["X-Webhook-Timestamp"]
    signed = hmac.new(desk.secret.encode(), f"{timestamp}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert timestamp == "1763000001234"
    assert request.headers["X-Webhook-Signature"] == signed
    assert request.headers["X-Webhook-Id"] == WEBHOOK_ID
    assert request.headers["X-Webhook-Event"] == "payment_verified"
    assert request.headers["User-Agent"] == "DeltaCrown-Webhook/1.0"
    assert request.body == BODY
    assert (request.url, request.timeout_seconds) == ("https://receiver.example/in", 10.0)


def test_the_scheme_is_the_endpoints(desk: Desk) -> None:
    """Scheme `body` signs and sends no timestamp."""
    desk.endpoint = Endpoint(
        url="https://receiver.example/in", keys=KeyRing.of(desk.secret), scheme=Scheme.BODY
    )

    desk.attempt()

    assert "X-Webhook-Timestamp" not in desk.transport.sent[0].headers


def test_a_failure_is_retried_two_then_four_seconds_later(desk: Desk) -> None:
    """The moment counts from when the attempt had failed; the next one goes on where this one ended."""
    desk.answers(503, 503)

    first = desk.attempt()
    assert isinstance(first, Retrying)
    second = desk.attempt(first.delivery)

    assert isinstance(second, Retrying)
    assert first.decision.when == pytest.approx(NOW + 0.1 + 2.0)
    assert (first.delivery.attempt, second.delivery.attempt) == (2, 3)
    assert second.decision.wait_seconds == 4.0
    assert second.delivery.spent_seconds == pytest.approx(0.2)
    assert second.delivery.planned_wait_seconds == 6.0
    assert desk.seen.kinds() == ["AttemptStarted", "AttemptFailed", "RetryPlanned"] * 2


def test_the_third_failure_is_the_last(desk: Desk) -> None:
    """One GivenUp with the number of attempts; the breaker is told once for the whole delivery."""
    desk.answers(then=503)
    settlement = desk.attempt()
    while isinstance(settlement, Retrying):
        settlement = desk.attempt(settlement.delivery)

    assert isinstance(settlement, DeadLettered)
    assert settlement.outcome is Outcome.SERVER_ERROR
    assert len(desk.state().failures) == 1
    [given_up] = desk.seen.of(events.GivenUp)
    assert (given_up.attempts, given_up.outcome, given_up.error) == (3, Outcome.SERVER_ERROR, "HTTP 503")
    assert desk.seen.of(events.NotRetried) == []


def test_a_retry_after_is_heard(desk: Desk) -> None:
    """Thirty seconds are longer than two."""
    desk.answers(Response(status=503, headers={"Retry-After": "30"}))

    settlement = desk.attempt()

    assert isinstance(settlement, Retrying)
    assert settlement.decision.wait_seconds == 30.0


def test_a_client_error_is_one_attempt_and_counts_once(desk: Desk) -> None:
    """NotRetried, then GivenUp after one attempt."""
    desk.answers(400)

    settlement = desk.attempt()

    assert isinstance(settlement, DeadLettered)
    assert settlement.decision == DeadLetter(reason="client_error is not retried")
    assert len(desk.state().failures) == 1
    assert desk.seen.kinds() == ["AttemptStarted", "NotRetried", "GivenUp"]
    assert desk.seen.of(events.GivenUp)[0].attempts == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "counted"),
    [
        (302, Outcome.REDIRECT, 1),
        (401, Outcome.SIGNATURE_REJECTED, 1),
        (AddressBlocked("10.0.0.1", "private"), Outcome.BLOCKED_ADDRESS, 0),
    ],
)
def test_other_ends_at_the_first_attempt(desk: Desk, answer: Answer, outcome: Outcome, counted: int) -> None:
    """A blocked address never reached the endpoint and says nothing against it."""
    desk.answers(answer)

    settlement = desk.attempt()

    assert isinstance(settlement, DeadLettered)
    assert settlement.outcome is outcome
    assert len(desk.state().failures) == counted


def test_exhausted_429_is_no_client_error_that_is_not_retried(desk: Desk) -> None:
    """It was retried."""
    desk.answers(429)

    settlement = desk.attempt(delivery(attempt=3))

    assert isinstance(settlement, DeadLettered)
    assert desk.seen.of(events.NotRetried) == []


def test_an_unconfirmed_duplicate_is_listed_and_counts_as_neither(desk: Desk) -> None:
    """A later attempt that meets the mark of an earlier one."""
    desk.answers(Response(status=401, body=b'{"error":"Duplicate webhook (replay detected)"}'))

    settlement = desk.attempt(delivery(attempt=2))

    assert isinstance(settlement, DeadLettered)
    assert settlement.outcome is Outcome.DUPLICATE_UNCONFIRMED
    assert desk.state() == BreakerState()


def test_410_disables_the_endpoint_until_a_person_says_otherwise(desk: Desk) -> None:
    """The next delivery waits; nothing is sent, a century long."""
    desk.answers(410)

    gone = desk.attempt()
    following = desk.attempt()

    assert isinstance(gone, DeadLettered)
    assert isinstance(gone.decision, DisableEndpoint)
    assert desk.seen.of(events.EndpointGone) == [
        events.EndpointGone(endpoint="default", webhook_id=WEBHOOK_ID)
    ]
    assert isinstance(following, Waiting)
    assert following.retry_at > NOW + 99 * 365 * 86_400
    assert len(desk.transport.sent) == 1


def test_hold_keeps_it_for_a_person(desk: Desk) -> None:
    """Nothing is asked of the breaker, nothing is sent."""
    desk.permit = Permit(verdict=PermitVerdict.HOLD, reason="kill switch")

    settlement = desk.attempt()

    assert settlement == Held(delivery=delivery(), reason="kill switch")
    assert settlement.kind is SettlementKind.HELD
    assert desk.transport.sent == []
    assert desk.seen.kinds() == ["Held"]


def test_wait_asks_again_in_two_seconds(desk: Desk) -> None:
    """The flag's state is not known."""
    desk.permit = Permit(verdict=PermitVerdict.WAIT, reason="stale")

    settlement = desk.attempt()

    assert settlement == Waiting(delivery=delivery(), reason="stale", retry_at=NOW + 2.0)
    assert desk.transport.sent == []


def test_a_permit_that_raises_sends_nothing(desk: Desk) -> None:
    """Without an answer it waits, and the reason names the error's kind only."""
    desk.permit = RuntimeError("postgres://user:hunter2@db")

    settlement = desk.attempt()

    assert isinstance(settlement, Waiting)
    assert settlement.reason == "permit failed with RuntimeError"
    assert desk.transport.sent == []


def test_without_a_rollout_everything_is_permitted(desk: Desk) -> None:
    """The default permit says SEND."""
    assert always_send(delivery()).verdict is PermitVerdict.SEND


def test_an_open_breaker_makes_it_wait_without_spending_an_attempt(desk: Desk) -> None:
    """The same delivery, the same attempt, at the time the breaker names."""
    desk.fail(5)

    settlement = desk.attempt()

    assert settlement == Waiting(delivery=delivery(), reason="circuit open", retry_at=NOW + 60)
    assert settlement.kind is SettlementKind.WAITING
    assert desk.transport.sent == []


@pytest.mark.parametrize(("age", "kind"), [(86_399.9, Waiting), (86_400.0, DeadLettered)])
def test_it_waits_for_a_breaker_for_a_day(desk: Desk, age: float, kind: type) -> None:
    """Then it is given up, with the attempts it has had."""
    desk.fail(5)

    settlement = desk.attempt(delivery(created_at=NOW - age, attempt=2))

    assert isinstance(settlement, kind)
    if isinstance(settlement, DeadLettered):
        assert (settlement.outcome, settlement.record) == (Outcome.CIRCUIT_OPEN, None)
        assert desk.seen.of(events.GivenUp)[0].attempts == 1


@pytest.mark.parametrize(("waited", "kind"), [(86_399.9, Waiting), (86_400.0, DeadLettered)])
def test_what_a_person_put_back_waits_for_a_day_from_then(desk: Desk, waited: float, kind: type) -> None:
    """A resend of last week's delivery does not die at once because its breaker is open."""
    desk.fail(5)

    settlement = desk.attempt(delivery(created_at=NOW - 7 * 86_400, waits_since=NOW - waited))

    assert isinstance(settlement, kind)


@pytest.mark.parametrize(
    ("sent_before", "outcome"),
    [(True, Outcome.DUPLICATE_UNCONFIRMED), (False, Outcome.SIGNATURE_REJECTED)],
)
def test_a_receiver_that_knows_the_id_after_a_crash_has_not_rejected_the_signature(
    desk: Desk, sent_before: bool, outcome: Outcome
) -> None:
    """Receivers written to the seeds mark an id before they handle it, and answer 401 from then on."""
    desk.answers(Response(status=401, body=b"Duplicate webhook (replay detected)"))

    settlement = desk.attempt(delivery(sent_before=sent_before))

    assert isinstance(settlement, DeadLettered)
    assert settlement.outcome is outcome
    assert settlement.record is not None
    assert (settlement.record.attempt, settlement.record.outcome) == (1, outcome)


def test_a_request_that_was_written_twice_may_meet_its_own_mark(desk: Desk) -> None:
    """A receiver that dies on a kept connection, its id marked, refuses the repetition in that attempt."""
    duplicate = Response(status=401, body=b"Duplicate webhook (replay detected)", is_repeat=True)
    desk.answers(duplicate)

    settlement = desk.attempt()

    assert isinstance(settlement, DeadLettered)
    assert settlement.outcome is Outcome.DUPLICATE_UNCONFIRMED


@pytest.mark.parametrize("answer", [503, 401, TimedOut()], ids=["retried", "final", "timed-out"])
def test_every_attempt_leaves_word_that_it_was_made(desk: Desk, answer: Answer) -> None:
    """So that the next request of the same id is known to be a later one, whatever its number."""
    desk.answers(answer)

    settlement = desk.attempt()

    assert isinstance(settlement, (Retrying, DeadLettered))
    assert settlement.delivery.sent_before


def test_the_fifth_failed_delivery_opens_and_the_sixth_waits(desk: Desk) -> None:
    """Through the sender: OPENED is told before GivenUp."""
    desk.answers(then=400)
    for _ in range(5):
        desk.attempt()

    assert desk.seen.of(events.BreakerOpened) == [
        events.BreakerOpened(endpoint="default", failures=5, window_seconds=120.0)
    ]
    assert isinstance(desk.attempt(), Waiting)


def test_a_good_probe_delivers_and_closes(desk: Desk) -> None:
    """The attempt of the probe is the delivery's."""
    desk.fail(5)
    desk.clock.advance(60)

    settlement = desk.attempt()

    assert isinstance(settlement, Delivered)
    assert settlement.record.is_probe
    assert desk.state().state is State.CLOSED
    assert desk.seen.kinds() == ["BreakerHalfOpened", "AttemptStarted", "BreakerClosed", "Delivered"]


def test_a_failed_probe_spends_no_attempt(desk: Desk) -> None:
    """It waits for the doubled open time with the attempt it had, and with the time it took."""
    desk.answers(TimedOut())
    desk.fail(5)
    desk.clock.advance(60)

    settlement = desk.attempt(delivery(attempt=3))

    assert isinstance(settlement, Waiting)
    spent = settlement.delivery.spent_seconds
    assert settlement.delivery == delivery(attempt=3, spent_seconds=spent, sent_before=True)
    assert settlement.delivery.spent_seconds == pytest.approx(0.1)
    assert settlement.reason == "probe failed"
    assert settlement.retry_at == pytest.approx(NOW + 60.1 + 120)
    assert settlement.record is not None
    assert settlement.record.outcome is Outcome.TIMEOUT
    assert "BreakerReopened" in desk.seen.kinds()
    assert desk.seen.of(events.GivenUp) == []


def test_a_probe_that_meets_a_client_error_is_final_and_reopens(desk: Desk) -> None:
    """No repetition would change the answer; the endpoint counts as failing."""
    desk.answers(400)
    desk.fail(5)
    desk.clock.advance(60)

    settlement = desk.attempt()

    assert isinstance(settlement, DeadLettered)
    assert desk.state().state is State.OPEN
    assert desk.state().failed_probes == 1


def test_a_probe_to_a_blocked_address_is_given_back(desk: Desk) -> None:
    """It never reached the endpoint: the next delivery gets the probe."""
    desk.answers(AddressBlocked("10.0.0.1", "private"))
    desk.fail(5)
    desk.clock.advance(60)

    desk.attempt()

    assert desk.state().state is State.HALF_OPEN
    assert desk.state().probe_token is None


def test_a_probes_lease_outlasts_the_timeout(desk: Desk) -> None:
    """Sixty seconds of time-out, sixty-five of lease."""
    desk.endpoint = Endpoint(
        url="https://receiver.example/in", keys=KeyRing.of(desk.secret), timeout_seconds=60.0
    )
    leases: list[float] = []

    def look(request: Request) -> Response:
        leases.append(desk.state().retry_at - desk.clock())
        return Response(status=200)

    desk.transport = FakeTransport([look])
    desk.sender = Sender(desk.transport, desk.store, clock=desk.clock, monotonic=desk.clock)
    desk.fail(5)
    desk.clock.advance(60)

    desk.attempt()

    assert leases == [65.0]


def test_an_unexpected_error_is_a_connection_error(desk: Desk) -> None:
    """It is classified, retried and told by its kind; nothing is raised."""
    desk.answers(RuntimeError("http://10.0.0.1/hook?token=hunter2"))

    settlement = desk.attempt()

    assert isinstance(settlement, Retrying)
    assert settlement.record.outcome is Outcome.CONNECTION_ERROR
    assert settlement.record.error == "unexpected RuntimeError"


def test_a_request_that_cannot_be_built_is_an_outcome_too(desk: Desk) -> None:
    """An event name that would end its header line is refused by the transport's request."""
    settlement = desk.attempt(delivery(event="a\r\nX-Evil: 1"))

    assert isinstance(settlement, Retrying)
    assert settlement.record.error == "unexpected ConfigError"
    assert desk.transport.sent == []


def test_an_interrupt_gives_the_probe_back_and_goes_on(desk: Desk) -> None:
    """Ctrl-C in the middle of a probe: the next one to ask gets it."""
    desk.answers(KeyboardInterrupt())
    desk.fail(5)
    desk.clock.advance(60)

    with pytest.raises(KeyboardInterrupt):
        desk.attempt()

    assert desk.state().probe_token is None


def test_the_wrong_endpoint_is_refused(desk: Desk) -> None:
    """A delivery must not go to another receiver, signed for it."""
    with pytest.raises(ConfigError, match="delivery is for eu, not for default"):
        desk.attempt(delivery(endpoint_id=EndpointId("eu")))

    assert desk.transport.sent == []


def test_a_clock_that_jumps_back_gives_no_negative_time(desk: Desk) -> None:
    """Measured times are never below zero."""
    readings = iter([10.0, 5.0])
    sender = Sender(FakeTransport(), MemoryBreakerStore(), monotonic=lambda: next(readings))

    settlement = sender.attempt(delivery(), desk.endpoint)

    assert isinstance(settlement, Delivered)
    assert settlement.latency_seconds == 0.0


def test_an_observer_that_fails_breaks_nothing(desk: Desk) -> None:
    """The delivery arrives all the same."""

    def broken(fact: events.Fact) -> None:
        raise ValueError

    sender = Sender(FakeTransport(), MemoryBreakerStore(), observer=broken)

    assert isinstance(sender.attempt(delivery(), desk.endpoint), Delivered)


def test_connection_errors_are_told_without_their_address(desk: Desk) -> None:
    """The fact's error is in our own words."""
    desk.answers(ConnectFailed("connection to 10.0.0.1 refused"))

    desk.attempt()

    assert desk.seen.of(events.AttemptFailed)[0].error == "connection failed"


def test_the_repr_of_a_delivery_hides_its_body() -> None:
    """Bodies stay out of tracebacks."""
    assert "tournament_id" not in repr(delivery())


def test_the_policy_can_be_another(desk: Desk) -> None:
    """One attempt in total: the first failure is the last."""
    sender = Sender(FakeTransport([503]), MemoryBreakerStore(), RetryPolicy(max_attempts=1))

    assert isinstance(sender.attempt(delivery(), desk.endpoint), DeadLettered)
