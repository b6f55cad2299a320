"""The tables of a rollout."""

# ruff: noqa: RUF012 - Django's own shape

from __future__ import annotations

from django.db import migrations, models

# Frozen as they were: a column that is added later has a migration of its own.
COUNTS = (
    "ok",
    "failed_client_error",
    "failed_server_error",
    "failed_timeout",
    "failed_connection_error",
    "failed_tls_error",
    "failed_redirect",
    "failed_blocked_address",
    "failed_signature_rejected",
    "failed_duplicate_unconfirmed",
    "retried",
    "met_5xx",
    "recovered",
    "expired",
    "attempts",
    "unanswered",
    "refused",
    "openings",
    "open_seconds",
    "envelopes",
    "pii",
    "pii_free_text",
    *(f"latency_{number:02}" for number in range(96)),
    *(f"dispatch_{number:02}" for number in range(14)),
)


class Migration(migrations.Migration):
    """The first schema."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Configuration",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("version", models.PositiveBigIntegerField()),
                ("content", models.TextField(help_text="The document, as in a flag file.")),
                ("changed_at", models.FloatField()),
            ],
            options={
                "default_permissions": ("view", "change"),
                "constraints": [
                    models.UniqueConstraint(fields=("environment",), name="rollout_configuration_environment")
                ],
            },
        ),
        migrations.CreateModel(
            name="EvidenceMinute",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("flag", models.CharField(max_length=128)),
                ("minute", models.PositiveBigIntegerField(help_text="Epoch seconds divided by 60.")),
                (
                    "endpoint_id",
                    models.CharField(blank=True, default="", max_length=64, verbose_name="endpoint"),
                ),
                ("writer", models.PositiveSmallIntegerField(default=0)),
                *((name, models.IntegerField(null=True)) for name in COUNTS),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("environment", "flag", "minute", "endpoint_id", "writer"),
                        name="rollout_evidence_minute",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("flag", models.CharField(max_length=128)),
                ("version", models.PositiveBigIntegerField()),
                ("at", models.FloatField()),
                ("actor", models.CharField(max_length=128)),
                ("cause", models.CharField(max_length=64)),
                ("content", models.TextField()),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name_plural": "journal entries",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("environment", "flag", "version"), name="rollout_journal_version"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Rollout",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("flag", models.CharField(max_length=128)),
                ("version", models.PositiveBigIntegerField(default=0)),
                ("state", models.CharField(max_length=24)),
                ("ceiling", models.CharField(blank=True, default="", max_length=32)),
                ("epoch", models.PositiveBigIntegerField(default=0)),
                ("is_killed", models.BooleanField(default=False)),
                ("is_shadow", models.BooleanField(default=False)),
                ("content", models.TextField()),
                ("changed_at", models.FloatField(default=0.0)),
                ("fence_token", models.PositiveBigIntegerField(default=0)),
                ("fence_holder", models.CharField(blank=True, default="", max_length=128)),
                ("fence_until_at", models.FloatField(default=0.0)),
            ],
            options={
                "permissions": (
                    ("drive_rollout", "Can start, pause, approve, advance and roll back"),
                    ("kill_rollout", "Can pull and release the kill switch"),
                    ("clear_trip", "Can clear a trip on personal data"),
                ),
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("environment", "flag"), name="rollout_rollout_flag")
                ],
            },
        ),
        migrations.CreateModel(
            name="Sender",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("environment", models.CharField(max_length=32)),
                ("name", models.CharField(max_length=128)),
                ("epochs", models.TextField()),
                ("seen_at", models.FloatField()),
                ("lease_seconds", models.FloatField()),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("environment", "name"), name="rollout_sender_name")
                ],
            },
        ),
    ]
