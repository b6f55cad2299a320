"""For production: as the runbook's pre-flight wants it. Starts off, with nobody in, and tells no secret.

PostgreSQL, and beside the web processes `manage.py webhooks worker`, which sends, and
`manage.py rollout run`, which drives the plan, under systemd: see deploy/systemd. All of them read the same
environment.

`NOTIFICATIONS_WEBHOOK_ENABLED` is not set here: the environment turns it on, and *off* wins wherever it is
said. Until `manage.py rollout start` the plan lets nobody in, whatever the flag file says. The kill file
stops every process of this host within a second, with the database and the cache down.
"""

from __future__ import annotations

import os

from deltacrown.logs import logging_to
from deltacrown.settings.base import *  # noqa: F403
from deltacrown.settings.base import ROLLOUT, WEBHOOKS

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "")  # empty: Django refuses to start
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "deltacrown.example").split(",")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("DATABASE_NAME", "deltacrown"),
        "USER": os.environ.get("DATABASE_USER", "deltacrown"),
        "PASSWORD": os.environ.get("DATABASE_PASSWORD", ""),
        "HOST": os.environ.get("DATABASE_HOST", ""),
        "PORT": os.environ.get("DATABASE_PORT", ""),
    }
}
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")

# Required once it is on.
WEBHOOK_ENDPOINT = os.environ.get("WEBHOOK_ENDPOINT", "https://api.deltacrown.example/webhooks/inbound")
WEBHOOK_SECRET = os.environ.get("WEBHOOK_SECRET")  # from the secrets manager

# Who is in, how far it goes by itself, and how fast to stop.
ROLLOUT = {
    **ROLLOUT,
    "SOURCE": "file",
    "FILE": os.environ.get("ROLLOUT_FILE", "/etc/deltacrown/flags.json"),
    "KILL_FILE": "/var/lib/rollout/kill",  # the default, said here so that nobody has to look it up
    "DATABASE": "default",  # named, so that a deploy without the plan keeps its ceiling in force
    "PLAN": {
        "stages": [
            {"percentage": "5", "bake": "24h"},
            {"percentage": "25", "bake": "48h"},
            {"percentage": "50", "bake": "48h"},
            {"percentage": "100"},
        ],
    },
}
# After the three attempts within six seconds: a minute, ten minutes, an hour, three hours, six hours later.
WEBHOOKS = {**WEBHOOKS, "ENVIRONMENT": "production", "SLOW_RETRIES": [60, 600, 3_600, 10_800, 21_600]}

LOGGING = logging_to(os.environ.get("DELTACROWN_LOG", "/var/log/deltacrown-prod.log"))
