"""The tasks that the page about other queues writes are what it says; with Django 6 the first one runs."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import django
import pytest

from tests.integration.django.project import project

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "wake-with-procrastinate-or-django-tasks.md"
BLOCKS = re.findall(r"^```\{code-block\} python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["django.tasks", "procrastinate"])
def test_a_task_is_woken_with_an_id_and_has_no_schedule_or_retry_of_its_own(code: str) -> None:
    """What follows on a failure stands in the row."""
    compile(code, str(PAGE), "exec")

    assert "wake(webhook_id)" in code
    assert not re.search(r"retry|run_after|schedule|countdown|priority", code)


if django.VERSION >= (6, 0):

    def test_the_task_for_django_tasks_is_enqueued_after_the_commit(
        monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any, db: None
    ) -> None:
        """On the back end for tests, which keeps what was enqueued."""
        from django.tasks import default_task_backend
        from django.test import override_settings

        namespace: dict[str, Any] = {"__name__": __name__}
        woken: list[object] = []
        backend = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
        with override_settings(TASKS=backend, **project()):
            monkeypatch.setitem(globals(), "wake_webhooks", None)
            exec(compile(BLOCKS[0], str(PAGE), "exec"), namespace)
            globals()["wake_webhooks"] = namespace["wake_webhooks"]
            with django_capture_on_commit_callbacks(execute=True):
                sent = namespace["send_webhook"]("payment_verified", {"tournament_id": 1}, tournament_id=1)
                before = len(default_task_backend.results)
            (result,) = default_task_backend.results
            namespace["wake"] = lambda webhook_id: woken.append(webhook_id) or len(woken) == 1
            namespace["wake_webhooks"].func(str(uuid.UUID(int=1)))

        assert before == 0
        assert result.args == [sent.webhook_ids[0]]
        assert woken == [str(uuid.UUID(int=1))]
