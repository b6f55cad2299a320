"""The outbox in Django's admin: list, show, release, drop, resend. Nothing is added, edited or deleted there.

Each act asks for its permission and goes through the outbox's own doors, so that it does what the command of
the same name does. Invariant: no page shows a body, a URL or a secret. Explained in
docs/how-to/run-the-worker.md.
"""

# ruff: noqa: ARG002 - the shapes of Django's hooks

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from webhooks_core.delivery import MAX_AGE_SECONDS
from webhooks_core.django import conf
from webhooks_core.django.management.moving import PER_SECOND, sendable
from webhooks_core.django.management.picking import Refused, outbox, shown_at
from webhooks_core.django.models import Attempt, Breaker, Delivery, RateBucket, WorkerBeat
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.shown import Shown

_LEFT_ALONE = (
    "The others are in another state or environment, too old, or may have had their effect: "
    "manage.py webhooks says which."
)
MOST = 5_000  # of one act in the admin; more is the command's business, which counts first


if TYPE_CHECKING:
    Lines = admin.TabularInline[Attempt, Delivery]
else:
    Lines = admin.TabularInline


class Sending(Shown):
    """A table beside the deliveries."""

    def alias(self) -> str:
        """Return the outbox's database."""
        return conf.current().database


class AttemptLines(Lines):
    """Every attempt below its delivery."""

    model = Attempt
    extra = 0
    can_delete = False
    fields = ("number", "started", "outcome", "status", "latency", "error", "is_probe")
    readonly_fields = fields

    @admin.display
    def started(self, attempt: Attempt) -> str:
        """When, UTC."""
        return shown_at(attempt.started_at)

    @admin.display
    def latency(self, attempt: Attempt) -> str:
        """How long it took."""
        return f"{attempt.elapsed_seconds * 1000:.0f} ms"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited here."""
        return False


@admin.register(Delivery)
class DeliveryAdmin(Sending):
    """Deliveries of this environment and, visibly, of others."""

    inlines = (AttemptLines,)
    list_display = ("webhook_id", "event", "endpoint_id", "state", "attempt", "changed", "due", "reason")
    list_filter = ("state", "endpoint_id", "event", "environment")
    search_fields = ("=webhook_id",)
    ordering = ("-id",)
    show_full_result_count = False  # counting a million rows is not what somebody came for
    list_per_page = 50
    fields = (
        "webhook_id", "environment", "event", "endpoint_id", "state", "reason", "unit", "position",
        "admitted_by", "scheme", "ordering_key", "attempt", "claims", "worker", "created", "changed", "due",
        "last_outcome", "last_status",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("release", "resend", "drop")

    @admin.display(ordering="created_at")
    def created(self, row: Delivery) -> str:
        """When it was recorded, UTC."""
        return shown_at(row.created_at)

    @admin.display(ordering="changed_at")
    def changed(self, row: Delivery) -> str:
        """When it last changed, UTC."""
        return shown_at(row.changed_at)

    @admin.display(ordering="due_at")
    def due(self, row: Delivery) -> str:
        """When it is looked at again, UTC."""
        return shown_at(row.due_at)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whether this person may release."""
        return request.user.has_perm("webhooks.release_delivery")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Whether this person may resend."""
        return request.user.has_perm("webhooks.resend_delivery")

    def has_drop_permission(self, request: HttpRequest) -> bool:
        """Whether this person may drop."""
        return request.user.has_perm("webhooks.drop_delivery")

    @admin.action(permissions=["release"], description="Release held deliveries")
    def release(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Let held ones go that are neither too old nor may repeat their effect, spread over time."""

        def released(kept: DjangoOutbox, why: str) -> frozenset[str]:
            now = kept.now()
            ids, _ = sendable(rows, now=now, oldest=now - MAX_AGE_SECONDS)
            return kept.release(ids, reason=why, per_second=PER_SECOND)

        self._act(request, rows, released)

    @admin.action(permissions=["resend"], description="Send dead deliveries again")
    def resend(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Send dead ones again, except where that may repeat their effect."""

        def sent_again(kept: DjangoOutbox, why: str) -> frozenset[str]:
            ids, _ = sendable(rows, now=kept.now())
            return kept.resend(ids, reason=why, per_second=PER_SECOND)

        self._act(request, rows, sent_again)

    @admin.action(permissions=["drop"], description="Drop held or pending deliveries for good")
    def drop(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Give them up."""

        def dropped(kept: DjangoOutbox, why: str) -> frozenset[str]:
            return kept.drop(list(rows.values_list("webhook_id", flat=True)), reason=why)

        self._act(request, rows, dropped)

    def _act(
        self,
        request: HttpRequest,
        rows: QuerySet[Delivery],
        moved: Callable[[DjangoOutbox, str], frozenset[str]],
    ) -> None:
        """Move, and say how many of how many."""
        picked = rows.count()
        if picked > MOST:
            text = f"{picked} are too many for one act here: use manage.py webhooks, which counts first."
            self.message_user(request, text, messages.ERROR)
            return
        try:
            done = moved(outbox(), f"by {request.user.get_username()} in the admin")
        except Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        level = messages.SUCCESS if len(done) == picked else messages.WARNING
        why = "" if level == messages.SUCCESS else f" {_LEFT_ALONE}"
        self.message_user(request, f"{len(done)} of {picked} deliveries moved.{why}", level)


@admin.register(WorkerBeat)
class WorkerAdmin(Sending):
    """Who is working, and since when."""

    list_display = ("name", "environment", "version", "phase", "held", "seen")

    @admin.display(ordering="seen_at")
    def seen(self, worker: WorkerBeat) -> str:
        """When its heart last beat, UTC."""
        return shown_at(worker.seen_at)


@admin.register(Breaker)
class BreakerAdmin(Sending):
    """The breakers of the endpoints."""

    list_display = ("endpoint_id", "environment", "state", "changed")
    fields = ("endpoint_id", "environment", "state", "version", "changed")
    readonly_fields = fields

    @admin.display(ordering="changed_at")
    def changed(self, breaker: Breaker) -> str:
        """When it last changed, UTC."""
        return shown_at(breaker.changed_at)


@admin.register(RateBucket)
class RateAdmin(Sending):
    """What lies in the token buckets."""

    list_display = ("endpoint_id", "environment", "tokens")
