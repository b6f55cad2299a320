"""Settings of a worker process under test; the test says by environment which database and which receiver."""

from __future__ import annotations

import json
import os

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
INSTALLED_APPS = ["webhooks_core.django"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PORT = os.environ.get("TEST_RECEIVER_PORT", "9")
WEBHOOK_ENDPOINT = f"http://127.0.0.1:{PORT}/webhooks/inbound"
WEBHOOK_SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
WEBHOOKS = {
    "ENVIRONMENT": "test",
    "ENGINE": "worker",
    "ALLOW_HTTP": True,
    "ALLOW_NETWORKS": [f"127.0.0.1/32:{PORT}"],
    "EVENTS": {"payment_verified": {"tournament_id": "integer"}},
    "RETRY_BASE_SECONDS": 0.2,
    "NOTIFY": os.environ.get("TEST_NOTIFY", "no"),
}
