"""The slow tier of retries, end to end: lines, times, breaker, and what evidence counts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rollout.testing import ManualClock
from webhooks_core.delivery import (
    DeadLettered,
    Delivered,
    Delivery,
    Held,
    Retrying,
    Sender,
    Settlement,
    Tally,
    Waiting,
    tally,
)
from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import ConnectFailed
from webhooks_core.keys import KeyRing
from webhooks_core.observers.log import lines
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter, RetryPolicy, Tier
from webhooks_core.settlement import AttemptRecord
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import Answer, FakeTransport
from webhooks_core.transport.base import Request, Response

NOW = 1_763_000_000.0
DAY = 86_400.0
WEBHOOK_ID = "550e8400-e29b-41d4-a716-446655440000"


class Journey:
    """One delivery from its first attempt to its end, each attempt at the moment that was planned."""

    def __init__(self, secret: str, clock: ManualClock, *, slow: tuple[float, ...] = (60.0, 600.0)) -> None:
        self.clock = clock
        self.endpoint = Endpoint(url="https://receiver.example/in", keys=KeyRing.of(secret))
        self.breakers = MemoryBreakerStore()
        self.seen = RecordingObserver()
        self.policy = RetryPolicy(slow_seconds=slow)

    def go(self, answers: Sequence[Answer], **changes: object) -> list[Settlement]:
        """Let the receiver answer so, 0.1 s each time; return every settlement."""
        sender = Sender(
            FakeTransport([self._slowed(answer) for answer in answers]),
            self.breakers,
            self.policy,
            observer=self.seen,
            clock=self.clock,
            monotonic=self.clock,
            rng=lambda: 0.0,
        )
        values = {"webhook_id": WEBHOOK_ID, "event": "paid", "body": b"{}", "created_at": NOW}
        following = Delivery(**{**values, **changes})  # type: ignore[arg-type]
        settlements: list[Settlement] = []
        for _ in answers:
            settlements.append(sender.attempt(following, self.endpoint))
            following = settlements[-1].delivery
            if isinstance(settlements[-1], Retrying):
                self.clock.advance(settlements[-1].decision.when - self.clock())
        return settlements

    @property
    def failures(self) -> int:
        """How many the breaker has counted."""
        return len(self.breakers.state("default", now=self.clock()).failures)

    def _slowed(self, answer: Answer) -> Answer:
        def answered(_request: Request) -> Response:
            self.clock.advance(0.1)
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, int)
            return Response(status=answer)

        return answered


@pytest.fixture
def journey(secret: str, clock: ManualClock) -> Journey:
    """A delivery with two slow retries after its three attempts."""
    return Journey(secret, clock)


def test_the_slow_tier_follows_the_fast_one_and_ends_in_a_dead_letter(journey: Journey) -> None:
    """Contract §6: five attempts at 0, 2, 6, 66 and 666 s, each a tenth of a second long."""
    settlements = journey.go([503] * 5)

    begun = [settlement.record.started_at - NOW for settlement in settlements if settlement.record]
    assert begun == pytest.approx([0, 2.1, 6.2, 66.3, 666.4])
    assert isinstance(settlements[-1], DeadLettered)
    assert settlements[-1].decision == DeadLetter(reason="5 of 5 attempts failed")


def test_the_lines_count_each_tier_to_its_own_end(journey: Journey) -> None:
    """Contract §9: never `attempt 4/3`; given up is said once, with all attempts."""
    journey.go([503] * 5)

    texts = [text for fact in journey.seen.facts for _, text in lines(fact)]
    told = [text.partition(":")[0] for text in texts if "attempt failed" not in text]
    assert told == [
        "Attempting webhook delivery (attempt 1/3)",
        "Retrying in 2 seconds...",
        "Attempting webhook delivery (attempt 2/3)",
        "Retrying in 4 seconds...",
        "Attempting webhook delivery (attempt 3/3)",
        "Retrying in 60 seconds... (slow tier 1/2)",
        "Attempting webhook delivery (attempt 4/5)",
        "Retrying in 600 seconds... (slow tier 2/2)",
        "Attempting webhook delivery (attempt 5/5)",
        "Webhook delivery failed after 5 attempts",
    ]


def test_an_attempt_is_never_numbered_beyond_its_end(journey: Journey) -> None:
    """A row that waits while WEBHOOK_MAX_RETRIES is lowered."""
    journey.go([200], attempt=5)

    (text,) = lines(journey.seen.facts[0])
    assert "(attempt 5/5)" in text[1]


def test_the_breaker_counts_an_exhausted_delivery_once(journey: Journey) -> None:
    """Contract §7: where its fast tier ends; what fails after that says nothing new."""
    counts = []
    settlements: list[Settlement] = []
    for number in range(1, 6):
        step = journey.go([503], **_state(settlements))
        settlements += step
        counts.append((number, journey.failures))

    assert counts == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]


def _state(settlements: list[Settlement]) -> dict[str, object]:
    """What the next attempt begins with."""
    if not settlements:
        return {}
    delivery = settlements[-1].delivery
    return {"attempt": delivery.attempt, "slow_retries": delivery.slow_retries}


def test_a_client_error_in_the_slow_tier_is_final_and_not_counted_again(journey: Journey) -> None:
    """The delivery has been counted."""
    settlements = journey.go([ConnectFailed()] * 3 + [404])

    assert isinstance(settlements[-1], DeadLettered)
    assert settlements[-1].outcome is Outcome.CLIENT_ERROR
    assert journey.failures == 1


def test_waiting_in_the_slow_tier_is_in_neither_latency_nor_elapsed(journey: Journey) -> None:
    """Contract §9: latency is the attempts, failed ones included; elapsed adds 2 s and 4 s."""
    last = journey.go([503] * 4 + [200])[-1]

    assert isinstance(last, Delivered)
    assert last.latency_seconds == pytest.approx(0.5)
    assert last.elapsed_seconds == pytest.approx(6.5)


def test_a_failed_probe_in_the_slow_tier_spends_nothing_of_it(journey: Journey) -> None:
    """As in the fast one."""
    for _ in range(5):
        journey.go([404])
    journey.clock.advance(60)

    (settlement,) = journey.go([503], attempt=4, slow_retries=1)

    assert isinstance(settlement, Waiting)
    assert (settlement.delivery.attempt, settlement.delivery.slow_retries) == (4, 1)


def test_the_slow_tier_ends_at_the_maximum_age(secret: str, clock: ManualClock) -> None:
    """One more attempt when it is a day old, and then no other, whatever is listed."""
    journey = Journey(secret, clock, slow=(3_600.0, 172_800.0, 60.0))

    settlements = journey.go([503] * 5)

    last = settlements[-1]
    assert isinstance(last, DeadLettered)
    assert last.record is not None
    assert last.record.started_at == pytest.approx(NOW + DAY)
    assert last.decision.reason == "older than the maximum age after 5 attempts"


def test_a_person_who_puts_it_back_gives_it_another_day(journey: Journey) -> None:
    """The age counts from then."""
    journey.clock.advance(3 * DAY)

    (first,) = journey.go([503], attempt=3, waits_since=NOW + 3 * DAY)

    assert isinstance(first, Retrying)
    assert first.decision.tier is Tier.SLOW


@pytest.mark.parametrize(
    ("answers", "tallies"),
    [
        ([200], ["success"]),
        ([503, 200], ["nothing", "success"]),
        ([404], ["failure"]),
        ([503, 503, 503, 200], ["nothing", "nothing", "failure", "recovery"]),
        ([503] * 5, ["nothing", "nothing", "failure", "nothing", "nothing"]),
        ([503, 503, 503, 404], ["nothing", "nothing", "failure", "nothing"]),
    ],
    ids=["at once", "at the second", "never", "slowly", "not even slowly", "refused slowly"],
)
def test_evidence_is_taken_where_the_fast_tier_ends(
    journey: Journey, answers: list[Answer], tallies: list[str]
) -> None:
    """Contract §10: a delivery that goes on to the slow tier is a failure there, and a recovery later."""
    settlements = journey.go(answers)

    assert [tally(settlement).value for settlement in settlements] == tallies


def test_without_a_slow_tier_the_last_attempt_is_the_failure(secret: str, clock: ManualClock) -> None:
    """As the seeds have it."""
    settlements = Journey(secret, clock, slow=()).go([503] * 3)

    assert [tally(settlement) for settlement in settlements][-1] is Tally.FAILURE


def test_what_was_kept_back_or_refused_is_no_sample() -> None:
    """Held, waiting, and refused by a breaker until it was too old."""
    delivery = Delivery(webhook_id=WEBHOOK_ID, event="paid", body=b"{}", created_at=NOW)
    record = AttemptRecord(attempt=1, outcome=Outcome.TIMEOUT, started_at=NOW, elapsed_seconds=10.0)
    refused = DeadLetter(reason="circuit open beyond the maximum age")

    kept: list[Settlement] = [
        Held(delivery=delivery, reason="ceiling 0"),
        Waiting(delivery=delivery, reason="probe failed", retry_at=NOW, record=record),
        DeadLettered(delivery=delivery, outcome=Outcome.CIRCUIT_OPEN, decision=refused),
    ]

    assert {tally(settlement) for settlement in kept} == {Tally.NOTHING}
