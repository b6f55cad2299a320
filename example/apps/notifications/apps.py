"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Who was told what."""

    name = "apps.notifications"
    label = "notifications"
