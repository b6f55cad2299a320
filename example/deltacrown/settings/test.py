"""For the example's own tests: `DJANGO_SETTINGS_MODULE=deltacrown.settings.test python manage.py test`.

Webhooks are captured, like e-mails: nothing reaches a network. The flag is at 100 %; tests that want it
otherwise say so with `rollout.testing.override_flag`.
"""

from __future__ import annotations

from deltacrown.logs import logging_to
from deltacrown.settings.base import *  # noqa: F403
from deltacrown.settings.base import BASE_DIR, ROLLOUT, WEBHOOKS

SECRET_KEY = "for-tests-only"
ALLOWED_HOSTS = ["testserver"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

NOTIFICATIONS_WEBHOOK_ENABLED = True
WEBHOOK_ENDPOINT = "https://receiver.deltacrown.example/webhooks/inbound"
WEBHOOK_SECRET = "for-tests-only-0123456789abcdef0123456789abcdef"

ROLLOUT = {
    **ROLLOUT,
    "SOURCE": "settings",
    "FLAGS": {"tournament-webhooks": {"percentage": "100", "unit": "tournament_id"}},
    "KILL_FILE": str(BASE_DIR / "kill-of-tests"),  # not the host's: neither stops the other
}
WEBHOOKS = {**WEBHOOKS, "ENVIRONMENT": "test"}

LOGGING = logging_to(None, level="CRITICAL")
