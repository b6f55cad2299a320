"""Who was told what, and whether the e-mail went out. Webhooks leave no trace here."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Notification(models.Model):
    """One person told of one event."""

    event = models.CharField(max_length=64)
    tournament_id = models.BigIntegerField(db_index=True)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    email_sent = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"notification {self.pk} ({self.event})"
