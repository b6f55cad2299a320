"""For a laptop: SQLite, e-mail on the console, the receiver in the same `runserver`, every tournament in.

python manage.py migrate && python manage.py runserver
NOTIFICATIONS_WEBHOOK_ENABLED=true python manage.py webhooks worker
NOTIFICATIONS_WEBHOOK_ENABLED=true python manage.py shell
"""

from __future__ import annotations

import os

from deltacrown.settings.base import *  # noqa: F403
from deltacrown.settings.base import BASE_DIR, ROLLOUT, WEBHOOKS

DEBUG = True
SECRET_KEY = "for-development-only"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH", str(BASE_DIR / "development.sqlite3")),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "timeout": 20,
        },
    }
}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

WEBHOOK_ENDPOINT = os.environ.get("WEBHOOK_ENDPOINT", "http://127.0.0.1:8000/webhooks/inbound")
WEBHOOK_SECRET = os.environ.get("WEBHOOK_SECRET", "development-only-secret-of-no-value-at-all")

ROLLOUT = {
    **ROLLOUT,
    "SOURCE": "settings",
    "FLAGS": {"tournament-webhooks": {"percentage": "100", "unit": "tournament_id"}},
    "KILL_FILE": str(BASE_DIR / "kill"),
}
WEBHOOKS = {**WEBHOOKS, "ENVIRONMENT": "development", "ALLOW_NETWORKS": ["127.0.0.1/32:8000"]}
