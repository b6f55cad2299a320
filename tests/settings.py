"""Settings of this repository's own tests: both apps installed, everything off, one database in memory."""

from __future__ import annotations

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},  # or the outbox's check warns
    }
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rollout.django",
    "webhooks_core.django",
]
WEBHOOKS = {"ENVIRONMENT": "test"}
STATIC_URL = "/static/"  # the live server of pytest-django takes it apart
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # wanted by Django 6.1
