"""For staging: everything from the environment, and the percentage from a file.

export NOTIFICATIONS_WEBHOOK_ENABLED=true
export WEBHOOK_ENDPOINT=https://staging-receiver.deltacrown.example/webhooks/inbound
export WEBHOOK_SECRET=…    # 64 hex digits, from the secrets store, not from a shell history
"""

from __future__ import annotations

import os

from deltacrown.logs import logging_to
from deltacrown.settings.base import *  # noqa: F403
from deltacrown.settings.base import ROLLOUT, WEBHOOKS

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "staging.deltacrown.example").split(",")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH", "/var/lib/deltacrown/staging.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "timeout": 20,
        },
    }
}
EMAIL_BACKEND = os.environ.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")

WEBHOOK_ENDPOINT = os.environ.get("WEBHOOK_ENDPOINT")
WEBHOOK_SECRET = os.environ.get("WEBHOOK_SECRET")

ROLLOUT = {
    **ROLLOUT,
    "SOURCE": "file",
    "FILE": os.environ.get("ROLLOUT_FILE", "/etc/deltacrown/flags.json"),
}
WEBHOOKS = {**WEBHOOKS, "ENVIRONMENT": "staging"}

LOGGING = logging_to(os.environ.get("DELTACROWN_LOG"))
