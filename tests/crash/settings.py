"""Settings of the processes of a crash run; the run says by environment which databases and which port."""

from __future__ import annotations

import json
import os

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
DATABASES = json.loads(os.environ["CRASH_DATABASES"])
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rollout.django",
    "webhooks_core.django",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PORT = os.environ.get("CRASH_PORT", "9")
NOTIFICATIONS_WEBHOOK_ENABLED = True
WEBHOOK_ENDPOINT = f"http://127.0.0.1:{PORT}/webhooks/inbound"
WEBHOOK_SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
WEBHOOK_TIMEOUT = 2
WEBHOOK_MAX_RETRIES = 20  # a receiver that is killed again and again must not make a dead letter
WEBHOOK_CB_MAX_FAILS = int(os.environ.get("CRASH_BREAKER_FAILS", "9999"))  # 9999: it never opens
WEBHOOK_CB_OPEN_SECONDS = 1
ROLLOUT = {"FLAGS": {"tournament-webhooks": {"percentage": 100}}}
WEBHOOKS = {
    "ENVIRONMENT": "test",
    "ENGINE": "worker",
    "ALLOW_HTTP": True,
    "ALLOW_NETWORKS": [f"127.0.0.1/32:{PORT}"],
    "EVENTS": {"payment_verified": {"tournament_id": "integer"}},
    "RETRY_BASE_SECONDS": 0.2,
}
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    WEBHOOKS["NOTIFY"] = True
if os.environ.get("CRASH_REDIS"):
    WEBHOOKS |= {"REDIS": os.environ["CRASH_REDIS"], "BREAKER_STORE": "redis"}
