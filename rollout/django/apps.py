"""The Django app `rollout`: its label and the place where its system checks are registered.

Starting the app opens no connection, starts no thread and reads no database. Explained in
docs/reference/settings.md.
"""

from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage


class RolloutConfig(AppConfig):
    """The joint of the two packages in a Django project: the gate in front of a dispatch."""

    name = "rollout.django"
    label = "rollout"
    verbose_name = "Rollout"

    def ready(self) -> None:
        """Register the system checks; nothing is built before it is needed."""
        checks.register(_check, "webhooks")
        _follow_provider()


def _follow_provider() -> None:
    """Where another OpenFeature provider owns the flag: know in a child that it was set before the fork."""
    from rollout.django import conf

    found = conf.current()
    if found.openfeature is not None and not found.problems:
        with suppress(ImportError):  # a broken SDK closes the gate; the kill switch goes without it
            from rollout.inherited import follow

            follow(found.openfeature.domain)


def _check(**kwargs: object) -> list[CheckMessage]:
    from rollout.django.checks import check_settings

    return check_settings(**kwargs)
