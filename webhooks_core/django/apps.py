"""The Django app `webhooks`: its label and the place where its system checks are registered.

Starting the app opens no connection, starts no thread and reads no database. Explained in docs/reference/settings.md.
"""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Endpoints, secrets and sending, as Django settings."""

    name = "webhooks_core.django"
    label = "webhooks"
    verbose_name = "Webhooks"
