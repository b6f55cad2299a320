"""The suite of engines: whatever runs a delivery, the same comes of it; see `contracts/__init__`.

An engine is more than its port: `inline` is called, `worker` finds rows, `celery` is told of them. So the
suite asks for no object but for a play: a delivery, a receiver's answers, and what became of it. Invariant:
what an engine may choose (when, in which thread, in which process) is not asked; states, attempts, outcomes,
requests and log lines are.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from webhooks_core.delivery import PermitVerdict
from webhooks_core.outbox.states import State
from webhooks_core.outcome import Outcome
from webhooks_core.retry import RetryPolicy

EVENT = "payment_verified"
BODY = b'{"event":"payment_verified","data":{"tournament_id":101},"metadata":{}}'
RETRY = RetryPolicy(max_attempts=3, base_seconds=0.2)
"""The policy that every engine under test is built with: its waits are slept for real."""

_NUMBERS = re.compile(r"(latency|elapsed)=[0-9]+ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What happens around one delivery of `EVENT` with `BODY`, to an endpoint of its own.

    Args:
        name: Such as `flaky`; the endpoint's id.
        answers: The receiver's statuses, in turn; the last one for ever.
        verdict: What the permit says.
        is_open: The endpoint's breaker is forced open.
    """

    name: str
    answers: tuple[int, ...] = (200,)
    verdict: PermitVerdict = PermitVerdict.SEND
    is_open: bool = False


CASES = (
    Case(name="taken"),
    Case(name="flaky", answers=(500, 200)),
    Case(name="refused", answers=(400,)),
    Case(name="gone", answers=(410,)),
    Case(name="broken", answers=(500,)),
    Case(name="kept", verdict=PermitVerdict.HOLD),
    Case(name="unsure", verdict=PermitVerdict.WAIT),
    Case(name="open", is_open=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as the receiver saw it."""

    webhook_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of a delivery once nothing more happens to it.

    Args:
        webhook_id: Its id.
        state: Where its row stands, or would where there are no rows.
        attempts: Number, outcome and status of each.
        requests: What the receiver saw.
        lines: What was logged about it, in order.
    """

    webhook_id: str
    state: State
    attempts: tuple[tuple[int, Outcome, int | None], ...]
    requests: tuple[Sent, ...]
    lines: tuple[str, ...]

    @property
    def story(self) -> list[str]:
        """The lines, without what differs from one delivery to the next: its id and durations."""
        return [_NUMBERS.sub(r"\1=*", line).replace(self.webhook_id, "*") for line in self.lines]


class EngineContract(ABC):
    """What an engine must do with a delivery."""

    @abstractmethod
    def play(self, case: Case) -> Played:
        """Have one new delivery sent, by `RETRY`, and return once nothing more happens to it by itself."""

    def test_what_the_receiver_takes_is_delivered(self) -> None:
        """One attempt, one request with the bytes as they were stored."""
        played = self.play(CASES[0])

        assert played.state is State.DELIVERED
        assert played.attempts == ((1, Outcome.SUCCESS, 200),)
        assert played.requests == (Sent(webhook_id=played.webhook_id, body=BODY),)
        assert played.story == [_attempting(1, "taken"), _delivered(1, "taken")]

    def test_a_server_error_is_tried_again(self) -> None:
        """The second attempt has the same id and bytes."""
        played = self.play(CASES[1])

        assert played.state is State.DELIVERED
        assert played.attempts == ((1, Outcome.SERVER_ERROR, 500), (2, Outcome.SUCCESS, 200))
        assert played.requests == (Sent(webhook_id=played.webhook_id, body=BODY),) * 2
        assert played.story == [
            _attempting(1, "flaky"),
            *_failed("0,2"),
            _attempting(2, "flaky"),
            _delivered(2, "flaky"),
        ]

    def test_a_client_error_is_given_up_at_once(self) -> None:
        """A 4xx gets no better."""
        played = self.play(CASES[2])

        assert played.state is State.DEAD
        assert played.attempts == ((1, Outcome.CLIENT_ERROR, 400),)
        assert played.story == [
            _attempting(1, "refused"),
            f"Client errors (4xx) are not retried: event={EVENT}, status=400, error=HTTP 400, "
            "endpoint=refused, webhook_id=*",
            _given_up(1, "refused", "client_error", 400),
        ]

    def test_an_endpoint_that_is_gone_is_disabled(self) -> None:
        """A 410 opens its breaker until a person closes it."""
        played = self.play(CASES[3])

        assert played.state is State.DEAD
        assert played.attempts == ((1, Outcome.CLIENT_ERROR, 410),)
        assert "Webhook endpoint disabled: endpoint=gone, reason=HTTP 410, webhook_id=*" in played.story
        assert played.story[-1] == _given_up(1, "gone", "client_error", 410)

    def test_attempts_that_are_used_up_are_the_end(self) -> None:
        """Three attempts, then a dead letter."""
        played = self.play(CASES[4])

        assert played.state is State.DEAD
        assert played.attempts == tuple((number, Outcome.SERVER_ERROR, 500) for number in (1, 2, 3))
        assert len(played.requests) == 3
        assert played.story == [
            _attempting(1, "broken"),
            *_failed("0,2"),
            _attempting(2, "broken"),
            *_failed("0,4"),
            _attempting(3, "broken"),
            _given_up(3, "broken", "server_error", 500),
        ]

    def test_what_the_permit_holds_is_not_sent(self) -> None:
        """It is kept for a person, without an attempt."""
        played = self.play(CASES[5])

        assert (played.state, played.attempts, played.requests) == (State.HELD, (), ())
        assert len(played.story) == 1
        assert played.story[0].startswith(
            f"Webhook held: event={EVENT}, endpoint=kept, webhook_id=*, reason="
        )

    def test_what_the_permit_does_not_know_waits(self) -> None:
        """It is asked again later, without an attempt."""
        played = self.play(CASES[6])

        assert (played.state, played.attempts, played.requests) == (State.PENDING, (), ())
        assert played.story[0].startswith(f"Webhook waiting: event={EVENT}, endpoint=unsure, webhook_id=*")

    def test_what_an_open_breaker_refuses_waits(self) -> None:
        """No attempt is spent. An engine with rows leaves it where it is, and has nothing to tell."""
        played = self.play(CASES[7])

        assert (played.state, played.attempts, played.requests) == (State.PENDING, (), ())
        assert all(line.startswith(f"Webhook waiting: event={EVENT}, endpoint=open") for line in played.story)


def _attempting(attempt: int, endpoint: str) -> str:
    return (
        f"Attempting webhook delivery (attempt {attempt}/3): event={EVENT}, endpoint={endpoint}, webhook_id=*"
    )


def _delivered(attempt: int, endpoint: str) -> str:
    return (
        f"Webhook delivered successfully: event={EVENT}, status=200, attempt={attempt}, latency=*, "
        f"elapsed=*, endpoint={endpoint}, webhook_id=* (Webhook delivery successful)"
    )


def _failed(wait: str) -> tuple[str, str]:
    return (
        f"Webhook attempt failed: event={EVENT}, status=500, outcome=server_error, error=HTTP 500",
        f"Retrying in {wait} seconds...",
    )


def _given_up(attempts: int, endpoint: str, outcome: str, status: int) -> str:
    return (
        f"Webhook delivery failed after {attempts} attempts: event={EVENT}, outcome={outcome}, "
        f"error=HTTP {status}, endpoint={endpoint}, webhook_id=*"
    )
