"""A worker's ear where nothing can be heard: told once, tried again, and never in the worker's way."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from webhooks_core.django import listening
from webhooks_core.django.listening import Ear
from webhooks_core.worker.events import OutboxFailed


class Soon(Event):
    """Set at the third wait, and never waited for."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Count."""
        self.waits += 1
        if self.waits == 3:
            self.set()
        return self.is_set()


def test_what_cannot_be_heard_is_told_once_and_tried_again(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """SQLite knows no LISTEN: as good as a server that is away for three tries."""
    told: list[OutboxFailed] = []
    hints: list[str] = []
    ended = Soon()

    with django_db_blocker.unblock(), databases.alias("deaf", databases.sqlite(tmp_path / "x")) as alias:
        Ear(alias, "test", worker="w1", tell=told.append)(lambda: hints.append("heard"), ended)

    assert ended.waits == 3
    assert hints == []
    again = listening.AGAIN_SECONDS
    assert told == [
        OutboxFailed(worker="w1", operation="listen", error="OperationalError", retry_seconds=again)
    ]


def test_a_worker_that_has_ended_listens_no_more() -> None:
    """No connection is opened for it."""
    ended = Event()
    ended.set()

    Ear("nowhere", "test", worker="w1", tell=lambda _: pytest.fail("told"))(lambda: None, ended)
