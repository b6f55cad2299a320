"""The tables of sending and receiving: deliveries, attempts, workers, breakers, rates, ids that were seen.

Columns, constraints and indexes only; who may write what is in `outbox/` and `stores.py`, which go through
plain SQL on the hot paths. Invariants: moments are epoch seconds (UTC) of the store's clock in columns
named `*_at`; a delivery that has ended is in no index but its keys, so that history costs nothing;
deliveries are removed by `prune` alone. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from webhooks_core.outbox.states import State

LABEL = "webhooks"
MAX_KEY_CHARACTERS = 200  # of an ordering key: what an index row of any database holds
MAX_REASON_CHARACTERS = 255

_ALIVE = Q(state__in=[State.PENDING.value, State.CLAIMED.value, State.HELD.value])
_READY = Q(turn__isnull=False)
_KEYED = Q(ordering_key__isnull=False)


class Delivery(models.Model):
    """One event to one endpoint, over all its attempts.

    A pending row is *ready* (`turn` is set), *scheduled* (`due_at` is set) or *parked* behind another row of
    its ordering key (neither is). Of a claimed one `token` is the claim's, and `due_at` the end of its lease.
    """

    id = models.BigAutoField(primary_key=True)
    webhook_id = models.CharField("webhook id", max_length=64)
    environment = models.CharField(max_length=32)
    endpoint_id = models.CharField("endpoint", max_length=64)
    event = models.CharField(max_length=64)
    body = models.BinaryField(help_text="The very bytes that are signed and sent.")
    scheme = models.CharField(max_length=16, blank=True, default="")
    unit = models.TextField(blank=True, default="")
    position = models.CharField(
        max_length=16, blank=True, default="", help_text="First 16 hex digits of the unit's digest."
    )
    admitted_by = models.CharField(max_length=32, blank=True, default="")
    ordering_key = models.CharField(max_length=MAX_KEY_CHARACTERS, null=True, blank=True)  # noqa: DJ001 - None is no key
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in State])
    lane = models.BigIntegerField(help_text="A hash of what has turns of its own; negative once claimed.")
    turn = models.BigIntegerField(null=True, blank=True)
    due_at = models.FloatField(null=True, blank=True)
    token = models.CharField(max_length=32, blank=True, default="")
    worker = models.CharField(max_length=128, blank=True, default="")
    claims = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField("next attempt", default=1)
    spent_seconds = models.FloatField(default=0.0)
    planned_wait_seconds = models.FloatField(default=0.0)
    created_at = models.FloatField()
    changed_at = models.FloatField()
    reason = models.CharField(max_length=MAX_REASON_CHARACTERS, blank=True, default="")
    last_outcome = models.CharField(max_length=32, blank=True, default="")
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    # Added after the first schema, so that code of before them still writes rows: None is no, and "since it
    # was created".
    sent_before = models.BooleanField("a worker died with it", null=True, blank=True)
    waits_since = models.FloatField("put back by a person", null=True, blank=True)
    slow_retries = models.SmallIntegerField("waits of the slow tier", null=True, blank=True)

    class Meta:
        """Names of indexes are part of the schema: a migration knows them."""

        app_label = LABEL
        verbose_name_plural = "deliveries"
        default_permissions = ("view",)
        permissions = (
            ("resend_delivery", "Can send dead deliveries again"),
            ("release_delivery", "Can release held deliveries"),
            ("drop_delivery", "Can drop held and pending deliveries"),
        )
        constraints = (
            # No `unique=True` on the column: on PostgreSQL that would be a second index, for LIKE.
            models.UniqueConstraint(fields=["webhook_id"], name="webhooks_delivery_webhook_id"),
        )
        indexes = (
            models.Index(
                fields=["environment", "endpoint_id", "turn", "id"],
                name="webhooks_ready",
                condition=_READY,
            ),
            models.Index(
                fields=["lane", "turn"],
                name="webhooks_lane",
                condition=_READY,
            ),
            models.Index(
                fields=["environment", "due_at"],
                name="webhooks_due",
                condition=Q(due_at__isnull=False),
            ),
            models.Index(
                fields=["environment", "endpoint_id", "ordering_key", "id"],
                name="webhooks_key",
                condition=_KEYED & _ALIVE,
            ),
            models.Index(
                fields=["environment", "endpoint_id", "ordering_key"],
                name="webhooks_key_ready",
                condition=_KEYED & _READY,
            ),
            models.Index(
                fields=["environment", "endpoint_id", "ordering_key"],
                name="webhooks_key_claimed",
                condition=_KEYED & Q(state=State.CLAIMED.value),
            ),
            models.Index(
                fields=["environment", "state", "changed_at"],
                name="webhooks_people",
                condition=Q(state__in=[State.HELD.value, State.DEAD.value]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint_id}, webhook_id={self.webhook_id}"


class Attempt(models.Model):
    """One HTTP request of a delivery."""

    id = models.BigAutoField(primary_key=True)
    # No constraint in the database: it would look the delivery up once more for each attempt. `prune` removes
    # both in one transaction.
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=32)
    started_at = models.FloatField()
    elapsed_seconds = models.FloatField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=MAX_REASON_CHARACTERS, blank=True, default="")
    is_probe = models.BooleanField(default=False)

    class Meta:
        """Shown beside their delivery only."""

        app_label = LABEL
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.outcome}"


class WorkerBeat(models.Model):
    """A worker that is alive, or was: written by its heartbeat."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=128)
    environment = models.CharField(max_length=32)
    host = models.CharField(max_length=128)
    process = models.PositiveBigIntegerField()
    version = models.CharField(max_length=32)
    phase = models.CharField(max_length=16)
    held = models.PositiveIntegerField(default=0)
    started_at = models.FloatField()
    seen_at = models.FloatField()

    class Meta:
        """One row for each name in each environment."""

        app_label = LABEL
        verbose_name = "worker"
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=["environment", "name"], name="webhooks_worker_name"),)

    def __str__(self) -> str:
        return self.name


class Breaker(models.Model):
    """The circuit breaker of one endpoint; `content` is its state, and `version` counts its changes."""

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    endpoint_id = models.CharField("endpoint", max_length=64)
    version = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=16)
    content = models.TextField()
    changed_at = models.FloatField()

    class Meta:
        """One row for each endpoint in each environment."""

        app_label = LABEL
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=["environment", "endpoint_id"], name="webhooks_breaker_endpoint"),
        )

    def __str__(self) -> str:
        return f"{self.endpoint_id}: {self.state}"


class RateBucket(models.Model):
    """What lies in the token bucket of one endpoint."""

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    endpoint_id = models.CharField("endpoint", max_length=64)
    tokens = models.FloatField()
    filled_at = models.FloatField()
    per_second = models.FloatField(
        "the stage's cap", null=True, blank=True, help_text="In the row without an endpoint."
    )

    class Meta:
        """One row for each endpoint in each environment."""

        app_label = LABEL
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=["environment", "endpoint_id"], name="webhooks_rate_endpoint"),
        )

    def __str__(self) -> str:
        return f"{self.endpoint_id}: {self.tokens:.1f}"


class SeenWebhook(models.Model):
    """An id that a receiver has claimed or handled; it counts until `until_at`."""

    webhook_id = models.CharField("webhook id", max_length=64, primary_key=True)
    token = models.CharField(max_length=32)
    signature = models.CharField(max_length=64, blank=True, default="")
    is_done = models.BooleanField(default=False)
    until_at = models.FloatField(db_index=True)

    class Meta:
        """Nobody edits these."""

        app_label = LABEL
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.webhook_id


class SeenSignature(models.Model):
    """A signature that was seen, and in which claim of which id."""

    signature = models.CharField(max_length=64, primary_key=True)
    webhook_id = models.CharField("webhook id", max_length=64)
    token = models.CharField(max_length=32)
    until_at = models.FloatField(db_index=True)

    class Meta:
        """Nobody edits these."""

        app_label = LABEL
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.webhook_id
