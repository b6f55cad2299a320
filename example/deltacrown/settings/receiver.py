"""For a receiver in a process of its own: no database, no sender, only `/webhooks/inbound` and `…/health`.

    WEBHOOK_SECRET=… DJANGO_SETTINGS_MODULE=deltacrown.settings.receiver python manage.py runserver 8001

It remembers seen ids in memory: those of one process, and gone with it.
"""

from __future__ import annotations

import os

from deltacrown.logs import logging_to

DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
SECRET_KEY = "a receiver signs nothing of its own"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
ROOT_URLCONF = "deltacrown.urls"
INSTALLED_APPS = ["apps.receiver"]
MIDDLEWARE: list[str] = []
DATABASES: dict[str, object] = {}

WEBHOOK_SECRET = os.environ.get("WEBHOOK_SECRET")
# Only for rehearsals: a report of what arrived, and faults on demand. Never where real events arrive.
RECEIVER_REHEARSAL = os.environ.get("RECEIVER_REHEARSAL") == "1"

LOGGING = logging_to(os.environ.get("RECEIVER_LOG"), level="DEBUG" if RECEIVER_REHEARSAL else "INFO")
