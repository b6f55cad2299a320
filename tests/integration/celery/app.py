"""The Celery app of the project under test, as the how-to writes it."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integration.celery.settings")

app = Celery("engine_under_test")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
