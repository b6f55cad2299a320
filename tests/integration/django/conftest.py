"""Fixtures of a project that sends, and an outbox that begins empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

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
def using(request: pytest.FixtureRequest) -> Override:
    """Override the settings by those of a project that sends, with changes.

    A module of tests may name its engine in `ENGINE`; else it is the default one.
    """
    engine = getattr(request.module, "ENGINE", None)
    said = {} if engine is None else {"ENGINE": engine}

    def override(*args: Any, **changes: Any) -> AbstractContextManager[Any]:
        webhooks = changes.pop("WEBHOOKS", {})
        merged = {**said, **webhooks} if isinstance(webhooks, dict) else webhooks
        return override_settings(**project(*args, WEBHOOKS=merged, **changes))

    return override


@pytest.fixture
def sends(using: Override) -> Iterator[None]:
    """The project sends, and everybody is in."""
    with using():
        yield


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTransport]:
    """Deliver for real inside the test, over a transport that answers 200 and opens no socket."""
    transport = FakeTransport()
    monkeypatch.setattr(wiring, "_transport", lambda: transport)
    wiring.sending.forget()
    with real_delivery():
        yield transport
    wiring.sending.forget()
