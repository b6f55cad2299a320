"""System checks of the engine `celery`: what would keep our messages from a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app import app_or_default
from django.test import override_settings
from kombu import Queue

from tests.integration.django.project import project
from webhooks_core.django import hinting
from webhooks_core.django.celery_checks import check_celery
from webhooks_core.django.waking import wake
from webhooks_core.errors import ConfigError
from webhooks_core.events import HintFailed


@pytest.fixture(autouse=True)
def _current_app() -> Iterator[None]:
    before = app_or_default()
    with override_settings(**project(100, WEBHOOKS={"ENGINE": "celery"})):
        yield
    before.set_current()
    hinting._forget()


def found() -> list[str | None]:
    """The ids of what the check says."""
    return [message.id for message in check_celery()]


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, []),
        ({"accept_content": ["application/json"]}, []),
        ({"accept_content": ["pickle"]}, ["webhooks.E052"]),
        ({"task_create_missing_queues": False}, ["webhooks.E053"]),
        ({"task_create_missing_queues": False, "task_queues": [Queue("test.webhooks")]}, []),
        ({"task_always_eager": True}, ["webhooks.W050"]),
        ({"broker_url": "memory://"}, ["webhooks.W051"]),
    ],
    ids=["ordinary", "json by its type", "pickle only", "no queue", "own queue", "eager", "memory"],
)
def test_an_app_that_would_lose_our_messages_is_told(settings: dict[str, Any], ids: list[str]) -> None:
    """Each with an id of its own."""
    app = Celery("project", broker="amqp://127.0.0.1:9//")
    app.conf.update(settings)

    told = found()

    assert told == ids


def test_a_project_without_an_app_is_told() -> None:
    """Celery would make one up, whose broker is nobody's."""
    Celery("default")

    assert found() == ["webhooks.E051"]


def test_celery_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the check; and an event is recorded all the same, with a line in the log."""
    told: list[HintFailed] = []
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.setitem(sys.modules, "celery.app", None)
    monkeypatch.setattr(hinting.wiring, "observer", lambda: told.append)

    ids, hint = found(), hinting.wanted()

    assert ids == ["webhooks.E050"]
    assert hint is None
    assert [fact.error for fact in told] == ["ModuleNotFoundError"]


@pytest.mark.parametrize("engine", ["worker", "inline"])
def test_other_engines_want_no_app(engine: str) -> None:
    """And no hint."""
    Celery("default")

    with override_settings(**project(100, WEBHOOKS={"ENGINE": engine})):
        ids, hint = found(), hinting.wanted()

    assert (ids, hint) == ([], None)


def test_waking_without_rows_is_refused() -> None:
    """The engine `inline` keeps none: whoever wakes it has set up something else than they think."""
    with override_settings(**project(100, WEBHOOKS={"ENGINE": "inline"})), pytest.raises(ConfigError):
        wake()
