"""What every environment of the example shares; installed and untouched, it sends nothing.

The flat `WEBHOOK_…` names are those of the runbook. `NOTIFICATIONS_WEBHOOK_ENABLED` is left out on purpose:
unset is off, and with the setting absent the environment variable of the same name decides (where both are
there, *off* wins).
"""

from __future__ import annotations

from pathlib import Path

from deltacrown.logs import logging_to
from deltacrown.settings.events import EVENTS

BASE_DIR = Path(__file__).resolve().parents[2]

DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "deltacrown.urls"
WSGI_APPLICATION = "deltacrown.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DEFAULT_FROM_EMAIL = "tournaments@deltacrown.example"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rollout.django",
    "webhooks_core.django",
    "apps.tournaments",
    "apps.notifications",
    "apps.receiver",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Webhooks, as the runbook has them; the values are the defaults.
WEBHOOK_TIMEOUT = 10  # seconds for a whole attempt
WEBHOOK_MAX_RETRIES = 3  # attempts in all: at once, after 2 s, after 4 s
WEBHOOK_REPLAY_WINDOW_SECONDS = 300
WEBHOOK_CB_WINDOW_SECONDS = 120
WEBHOOK_CB_MAX_FAILS = 5
WEBHOOK_CB_OPEN_SECONDS = 60

ROLLOUT: dict[str, object] = {"FLAG": "tournament-webhooks", "UNITS": "apps.tournaments.units.tournament_ids"}

# The engine is the default one: `dispatch` writes a row in the caller's transaction, and
# `manage.py webhooks worker` sends it.
WEBHOOKS: dict[str, object] = {"EVENTS": EVENTS}

LOGGING = logging_to(None)
