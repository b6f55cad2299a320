"""What we ship for users' tests does what it says."""

from __future__ import annotations

import pytest

from webhooks_core import testing
from webhooks_core.endpoint import Endpoint
from webhooks_core.errors import TimedOut
from webhooks_core.events import Received, Rejected
from webhooks_core.keys import KeyRing
from webhooks_core.testing.observer import RecordingObserver
from webhooks_core.testing.transport import FakeTransport
from webhooks_core.transport.base import Request, Response


@pytest.fixture
def request_(secret: str) -> Request:
    """A request to nowhere."""
    endpoint = Endpoint(url="https://receiver.example/in", keys=KeyRing.of(secret))
    return Request(url=endpoint.url, headers={}, body=b"{}", timeout_seconds=1.0, endpoint=endpoint)


def test_a_script_may_hold_statuses_responses_errors_and_functions(request_: Request) -> None:
    """One entry for each request, then `then`."""
    transport = FakeTransport(
        [503, Response(status=204), TimedOut(), lambda _: Response(status=418)], then=201
    )

    statuses = [transport.send(request_).status, transport.send(request_).status]
    with pytest.raises(TimedOut):
        transport.send(request_)
    statuses += [transport.send(request_).status, transport.send(request_).status]

    assert statuses == [503, 204, 418, 201]
    assert transport.sent == [request_] * 5


def test_closing_is_remembered() -> None:
    """A test can ask for it."""
    transport = FakeTransport()

    transport.close()

    assert transport.closed


def test_a_recording_observer_can_be_asked_by_kind() -> None:
    """Facts of one kind, the kinds in order, and a fresh start."""
    seen = RecordingObserver()
    seen(Received(event="test", webhook_id="id"))
    seen(Rejected(reason="Invalid signature"))

    assert seen.of(Rejected) == [Rejected(reason="Invalid signature")]
    assert seen.kinds() == ["Received", "Rejected"]
    seen.clear()
    assert seen.facts == []


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_can_be_loaded(name: str) -> None:
    """The façade finds what it lists."""
    assert getattr(testing, name) is not None
    assert name in dir(testing)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        testing.nothing  # type: ignore[attr-defined]
