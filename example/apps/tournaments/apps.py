"""The app's configuration; connects the signals."""

from __future__ import annotations

from django.apps import AppConfig


class TournamentsConfig(AppConfig):
    """Tournaments, registrations, payments, matches, disputes."""

    name = "apps.tournaments"
    label = "tournaments"

    def ready(self) -> None:
        """Connect the signals, once."""
        from apps.tournaments import signals

        signals.connect()
