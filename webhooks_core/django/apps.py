"""The Django app `webhooks`: its label and the place where its system checks are registered.

Starting the app opens no connection, starts no thread and reads no database. Explained in
docs/reference/settings.md.
"""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class WebhooksConfig(AppConfig):
    """Endpoints, secrets and sending, as Django settings."""

    name = "webhooks_core.django"
    label = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Register the system checks; nothing is built before it is needed."""
        from webhooks_core.django.celery_checks import check_celery
        from webhooks_core.django.checks import check_deployment, check_settings
        from webhooks_core.django.database_checks import check_database, check_outbox
        from webhooks_core.django.redis_checks import check_redis

        checks.register(check_settings, "webhooks")
        checks.register(check_outbox, "webhooks")
        checks.register(check_celery, "webhooks")
        checks.register(check_database, checks.Tags.database)
        checks.register(check_deployment, "webhooks", deploy=True)
        checks.register(check_redis, "webhooks", deploy=True)
