"""One claimed row to its settlement: what is broken is held, what may pass waits, nothing is raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.unit.webhooks_core.worker.bench import ENDPOINTS, NOW, A, Bench
from webhooks_core import events
from webhooks_core.delivery import Sender
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.errors import ConfigError, KeyFormatError
from webhooks_core.outbox.base import Claimed
from webhooks_core.settlement import Delivered, Held, Settlement, Waiting
from webhooks_core.worker.attempting import Attempter


class Provider(dict[EndpointId, Endpoint]):
    """Endpoints of which looking one up does what a test says."""

    def __init__(self, look_up: Callable[[], Endpoint]) -> None:
        super().__init__(ENDPOINTS)
        self._look_up = look_up

    def __getitem__(self, name: EndpointId) -> Endpoint:
        return self._look_up()


class Case:
    """An attempter, and one claim to attempt."""

    def __init__(self, endpoints: Mapping[EndpointId, Endpoint] = ENDPOINTS) -> None:
        self.bench = Bench()
        self.bench.add(1)
        (self.claimed,) = self.bench.outbox.claim(worker="w", limit=1, lease_seconds=15, endpoints={A: 1})
        self.attempter = Attempter(self.bench.sender, endpoints, max_off_seconds=20.0)

    def settlement(self, claimed: Claimed | None = None, *, clock_off: float = 0.0) -> Settlement:
        """Attempt it."""
        return self.attempter.settlement(claimed or self.claimed, clock_off=clock_off)

    @property
    def sent(self) -> int:
        """How many requests left."""
        return len(self.bench.transport.sent)


def raising(error: Exception) -> Callable[[], Endpoint]:
    """Return a look-up that fails."""

    def look_up() -> Endpoint:
        raise error

    return look_up


def test_a_good_row_is_attempted() -> None:
    """As the sender does it."""
    case = Case()

    assert isinstance(case.settlement(), Delivered)
    assert case.sent == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"problem": "unknown state 'frozen'"}, "unknown state 'frozen'"),
        ({"body": b"{"}, "the row's body cannot be read: not JSON"),
        ({"event": "other"}, "the row's event is not that of its body"),
        ({"endpoint_id": EndpointId("gone")}, "endpoint is not configured"),
    ],
)
def test_a_row_that_can_never_be_sent_is_held_with_its_reason(change: dict[str, object], reason: str) -> None:
    """Kept for a person, told once, nothing sent."""
    case = Case()
    problem = change.pop("problem", "")
    broken = replace(case.claimed, delivery=replace(case.claimed.delivery, **change), problem=problem)  # type: ignore[arg-type]

    settlement = case.settlement(broken)

    assert settlement == Held(delivery=broken.delivery, reason=reason)
    assert [fact.reason for fact in case.bench.seen.of(events.Held)] == [reason]
    assert case.sent == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyFormatError("SECRET", "none is given"), "endpoint cannot be used: SECRET: none is given"),
        (ConfigError("a.url", "must have a host"), "endpoint cannot be used: a.url: must have a host"),
        (KeyError("a"), "endpoint is not configured"),
    ],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_used_holds_its_rows(error: Exception, reason: str) -> None:
    """A secret that is missing at send time: a person must bring it."""
    assert Case(Provider(raising(error))).settlement() == Held(
        delivery=Case().claimed.delivery, reason=reason
    )


def test_a_provider_that_is_away_is_asked_again_soon() -> None:
    """No secrets right now is no reason for a person to come; the error's text stays out."""
    case = Case(Provider(raising(TimeoutError("https://user:pw@vault"))))

    settlement = case.settlement()

    assert isinstance(settlement, Waiting)
    assert (settlement.reason, settlement.retry_at) == ("endpoint unavailable: TimeoutError", NOW + 2)


@pytest.mark.parametrize(("off", "sends"), [(20.0, True), (-20.0, True), (20.5, False), (-3600.0, False)])
def test_a_clock_too_far_off_signs_nothing(off: float, sends: bool) -> None:
    """Twenty seconds is still good (contract §10)."""
    case = Case()

    settlement = case.settlement(clock_off=off)

    assert isinstance(settlement, Delivered if sends else Waiting)
    assert case.sent == sends


def broken_sender(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Case:
    """Have a sender that raises what no sender should."""
    case = Case()

    def attempt(self: Sender, delivery: object, endpoint: object) -> Settlement:
        raise error

    monkeypatch.setattr(Sender, "attempt", attempt)
    return case


def test_an_attempt_that_breaks_waits_and_is_held_after_ten_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken row neither stops the others nor is sent for ever."""
    case = broken_sender(monkeypatch, ZeroDivisionError("body of 300 bytes"))

    early, late = case.settlement(), case.settlement(replace(case.claimed, claims=10))

    assert isinstance(early, Waiting)
    assert (early.reason, early.retry_at) == ("attempt broke with ZeroDivisionError", NOW + 60)
    maybe_sent = replace(case.claimed.delivery, sent_before=True)
    assert early.delivery == maybe_sent
    assert late == Held(delivery=maybe_sent, reason="attempt broke with ZeroDivisionError")


def test_an_attempt_that_is_refused_for_its_settings_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own errors say what to repair."""
    case = broken_sender(monkeypatch, ConfigError("endpoint", "is another one"))

    assert case.settlement() == Held(
        delivery=case.claimed.delivery, reason="cannot be sent: endpoint: is another one"
    )


@pytest.mark.parametrize(("open_seconds", "wait"), [(30.0, 30.0), (86_400.0 * 365, 60.0)])
def test_a_row_waits_a_minute_at_most_before_it_is_looked_at_again(open_seconds: float, wait: float) -> None:
    """An endpoint that answered 410 is closed for a hundred years, until a person opens it."""
    case = Case()
    word = events_force(until=NOW + open_seconds)
    case.bench.breakers.apply("a", word, now=NOW)

    settlement = case.settlement()

    assert isinstance(settlement, Waiting)
    assert settlement.retry_at == NOW + wait


def events_force(*, until: float) -> object:
    """A person's word that keeps a breaker open."""
    from webhooks_core.breaker import Force, ForcedMode

    return Force(mode=ForcedMode.FORCED_OPEN, actor="a", reason="r", until=until)
