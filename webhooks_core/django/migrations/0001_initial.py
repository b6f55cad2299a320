"""The tables of sending and receiving."""

# ruff: noqa: RUF012 - Django's own shape

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first schema."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="SeenSignature",
            fields=[
                ("signature", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("webhook_id", models.CharField(max_length=64, verbose_name="webhook id")),
                ("token", models.CharField(max_length=32)),
                ("until_at", models.FloatField(db_index=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SeenWebhook",
            fields=[
                (
                    "webhook_id",
                    models.CharField(
                        max_length=64, primary_key=True, serialize=False, verbose_name="webhook id"
                    ),
                ),
                ("token", models.CharField(max_length=32)),
                ("signature", models.CharField(blank=True, default="", max_length=64)),
                ("is_done", models.BooleanField(default=False)),
                ("until_at", models.FloatField(db_index=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Breaker",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("endpoint_id", models.CharField(max_length=64, verbose_name="endpoint")),
                ("version", models.PositiveBigIntegerField(default=0)),
                ("state", models.CharField(max_length=16)),
                ("content", models.TextField()),
                ("changed_at", models.FloatField()),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("environment", "endpoint_id"), name="webhooks_breaker_endpoint"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("webhook_id", models.CharField(max_length=64, verbose_name="webhook id")),
                ("environment", models.CharField(max_length=32)),
                ("endpoint_id", models.CharField(max_length=64, verbose_name="endpoint")),
                ("event", models.CharField(max_length=64)),
                ("body", models.BinaryField(help_text="The very bytes that are signed and sent.")),
                ("scheme", models.CharField(blank=True, default="", max_length=16)),
                ("unit", models.TextField(blank=True, default="")),
                (
                    "position",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="First 16 hex digits of the unit's digest.",
                        max_length=16,
                    ),
                ),
                ("admitted_by", models.CharField(blank=True, default="", max_length=32)),
                ("ordering_key", models.CharField(blank=True, max_length=200, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("claimed", "claimed"),
                            ("delivered", "delivered"),
                            ("held", "held"),
                            ("dead", "dead"),
                            ("dropped", "dropped"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "lane",
                    models.BigIntegerField(
                        help_text="A hash of what has turns of its own; negative once claimed."
                    ),
                ),
                ("turn", models.BigIntegerField(blank=True, null=True)),
                ("due_at", models.FloatField(blank=True, null=True)),
                ("token", models.CharField(blank=True, default="", max_length=32)),
                ("worker", models.CharField(blank=True, default="", max_length=128)),
                ("claims", models.PositiveIntegerField(default=0)),
                ("attempt", models.PositiveIntegerField(default=1, verbose_name="next attempt")),
                ("spent_seconds", models.FloatField(default=0.0)),
                ("planned_wait_seconds", models.FloatField(default=0.0)),
                ("created_at", models.FloatField()),
                ("changed_at", models.FloatField()),
                ("reason", models.CharField(blank=True, default="", max_length=255)),
                ("last_outcome", models.CharField(blank=True, default="", max_length=32)),
                ("last_status", models.PositiveSmallIntegerField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "permissions": (
                    ("resend_delivery", "Can send dead deliveries again"),
                    ("release_delivery", "Can release held deliveries"),
                    ("drop_delivery", "Can drop held and pending deliveries"),
                ),
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("turn__isnull", False)),
                        fields=["environment", "endpoint_id", "turn", "id"],
                        name="webhooks_ready",
                    ),
                    models.Index(
                        condition=models.Q(("turn__isnull", False)),
                        fields=["lane", "turn"],
                        name="webhooks_lane",
                    ),
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["environment", "due_at"],
                        name="webhooks_due",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("ordering_key__isnull", False), ("state__in", ["pending", "claimed", "held"])
                        ),
                        fields=["environment", "endpoint_id", "ordering_key", "id"],
                        name="webhooks_key",
                    ),
                    models.Index(
                        condition=models.Q(("ordering_key__isnull", False), ("turn__isnull", False)),
                        fields=["environment", "endpoint_id", "ordering_key"],
                        name="webhooks_key_ready",
                    ),
                    models.Index(
                        condition=models.Q(("ordering_key__isnull", False), ("state", "claimed")),
                        fields=["environment", "endpoint_id", "ordering_key"],
                        name="webhooks_key_claimed",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["held", "dead"])),
                        fields=["environment", "state", "changed_at"],
                        name="webhooks_people",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("webhook_id",), name="webhooks_delivery_webhook_id")
                ],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("outcome", models.CharField(max_length=32)),
                ("started_at", models.FloatField()),
                ("elapsed_seconds", models.FloatField()),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("error", models.CharField(blank=True, default="", max_length=255)),
                ("is_probe", models.BooleanField(default=False)),
                (
                    "delivery",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="webhooks.delivery",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RateBucket",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("endpoint_id", models.CharField(max_length=64, verbose_name="endpoint")),
                ("tokens", models.FloatField()),
                ("filled_at", models.FloatField()),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("environment", "endpoint_id"), name="webhooks_rate_endpoint"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkerBeat",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=128)),
                ("environment", models.CharField(max_length=32)),
                ("host", models.CharField(max_length=128)),
                ("process", models.PositiveBigIntegerField()),
                ("version", models.CharField(max_length=32)),
                ("phase", models.CharField(max_length=16)),
                ("held", models.PositiveIntegerField(default=0)),
                ("started_at", models.FloatField()),
                ("seen_at", models.FloatField()),
            ],
            options={
                "verbose_name": "worker",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("environment", "name"), name="webhooks_worker_name")
                ],
            },
        ),
    ]
