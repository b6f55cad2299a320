"""A table in Django's admin that everybody with the permission may read and nobody may write.

What belongs here: that nothing is added, edited or deleted, and where the rows are read. What must not: any
table; `admin.py` of both apps has them. Explained in docs/how-to/run-the-worker.md.
"""

# ruff: noqa: ARG002 - the shapes of Django's hooks

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:
    Page = admin.ModelAdmin[Model]
else:
    Page = admin.ModelAdmin


class Shown(Page):
    """Show the rows of the database that `alias` names; `manage.py` commands are what changes them."""

    actions: Collection[str] | None = None  # type: ignore[assignment]

    def alias(self) -> str:
        """Return the alias of the database that has the rows, by the settings in force."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Return the rows, where they are kept."""
        return super().get_queryset(request).using(self.alias())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted here: `manage.py webhooks prune` clears an outbox, and nothing a journal."""
        return False
