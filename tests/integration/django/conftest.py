"""Fixtures of a project that sends, and an outbox that begins empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.integration.django.project import Override, project
from webhooks_core.django import wiring
from webhooks_core.testing import FakeTransport
from webhooks_core.testing.captured import outbox, real_delivery


@pytest.fixture(autouse=True)
def _empty_outbox() -> Iterator[None]:
    """As the pytest plugin does where the package is installed."""
    outbox.clear()
    yield
    outbox.clear()


@pytest.fixture
def sends() -> Iterator[None]:
    """The project sends, and everybody is in."""
    with override_settings(**project()):
        yield


@pytest.fixture
def using() -> Override:
    """Override the settings by those of a project that sends, with changes."""
    return lambda *args, **changes: override_settings(**project(*args, **changes))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTransport]:
    """Deliver for real inside the test, over a transport that answers 200 and opens no socket."""
    transport = FakeTransport()
    monkeypatch.setattr(wiring, "_transport", lambda: transport)
    wiring.sending.forget()
    with real_delivery():
        yield transport
    wiring.sending.forget()
