"""Settings of a Celery worker under test; by environment: which database, broker, receiver."""

from __future__ import annotations

import json
import os

from tests.engine_project import settings

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
INSTALLED_APPS = ["webhooks_core.django"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
globals().update(
    settings(
        engine="celery",
        environment=os.environ["TEST_ENVIRONMENT"],
        port=int(os.environ["TEST_RECEIVER_PORT"]),
    )
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(message)s"}},
    "handlers": {
        "file": {"class": "logging.FileHandler", "filename": os.environ["TEST_LOG"], "formatter": "plain"}
    },
    "loggers": {"webhooks": {"handlers": ["file"], "level": "INFO", "propagate": False}},
}
CELERY_BROKER_URL = os.environ["TEST_BROKER"]
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE = {
    "webhooks": {
        "task": "webhooks.sweep",
        "schedule": 0.3,
        "options": {"queue": f"{os.environ['TEST_ENVIRONMENT']}.webhooks"},
    }
}
if "TEST_CHANGES" in os.environ:
    globals().update(json.loads(os.environ["TEST_CHANGES"]))
