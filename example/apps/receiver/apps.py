"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class ReceiverConfig(AppConfig):
    """A receiver of signed webhooks."""

    name = "apps.receiver"
    label = "receiver"
