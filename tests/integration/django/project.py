"""The settings of a project that sends: both apps on, one event, everybody in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from webhooks_core.delivery import Delivery, Permit, PermitVerdict

URL = "https://api.example.com/webhooks/inbound"
SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
FLAG = "tournament-webhooks"
# A host of this process's own: what trips here must not stop the next test, nor the machine.
KILL_FILE = f"{tempfile.gettempdir()}/rollout-tests-{os.getpid()}/kill"
EVENTS = {"payment_verified": {"tournament_id": "integer", "recipient_count": "count", "note": "text"}}

Override = Callable[..., AbstractContextManager[Any]]


def project(percentage: object = 100, **changes: Any) -> dict[str, Any]:
    """Settings of a project that sends; *changes* of `ROLLOUT` and `WEBHOOKS` are merged in."""
    settings: dict[str, Any] = {
        "NOTIFICATIONS_WEBHOOK_ENABLED": True,
        "WEBHOOK_ENDPOINT": URL,
        "WEBHOOK_SECRET": SECRET,
        "ROLLOUT": {
            "FLAGS": {FLAG: {"percentage": percentage}},
            "REFRESH_SECONDS": 0,
            "KILL_FILE": KILL_FILE,
        },
        "WEBHOOKS": {"ENVIRONMENT": "test", "EVENTS": EVENTS},
    }
    for name, value in changes.items():
        merges = name in ("ROLLOUT", "WEBHOOKS") and isinstance(value, dict)
        settings[name] = {**settings[name], **value} if merges else value
    return settings


def hold_everything(delivery: Delivery) -> Permit:
    """A permit such as a project may write."""
    return Permit(verdict=PermitVerdict.HOLD, reason="holidays")
