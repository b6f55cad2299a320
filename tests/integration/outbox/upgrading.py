"""Settings, and with an argument a program, of a project in an upgrade: run by the code of either release.

Copied out of this tree before it is used, so that nothing of the tree beside it is imported by accident.
Only what both releases have to know: settings and `dispatch`.
"""

from __future__ import annotations

import json
import os
import sys

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
INSTALLED_APPS = ["rollout.django", "webhooks_core.django"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PORT = os.environ["TEST_RECEIVER_PORT"]
NOTIFICATIONS_WEBHOOK_ENABLED = True
WEBHOOK_ENDPOINT = f"http://127.0.0.1:{PORT}/webhooks/inbound"
WEBHOOK_SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
ROLLOUT = {"FLAGS": {"tournament-webhooks": {"percentage": "100"}}, "KILL_FILE": os.path.abspath("kill")}
WEBHOOKS = {
    "ENVIRONMENT": "test",
    "ALLOW_HTTP": True,
    "ALLOW_NETWORKS": [f"127.0.0.1/32:{PORT}"],
    "EVENTS": {"payment_verified": {"tournament_id": "integer"}},
}


def record(count: int) -> None:
    """Record *count* events and say whose code did it."""
    import django

    django.setup()
    from rollout.django import dispatch, dispatcher

    ids = []
    for number in range(count):
        sent = dispatch("payment_verified", {"tournament_id": number}, tournament_id=number)
        ids += list(sent.webhook_ids)
    print(json.dumps({"ids": ids, "code": os.path.abspath(dispatcher.__file__)}))


if __name__ == "__main__":
    record(int(sys.argv[1]))
