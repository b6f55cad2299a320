"""The tables of a rollout: flags, states, journal, senders, evidence.

Columns, constraints and indexes only; who may write what is in the stores beside this file. Invariants:
moments are epoch seconds (UTC) of the store's clock in columns named `*_at`; a journal entry is added and
never changed or removed by any code path; every row bears the environment it was written in. Explained in
docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models

from rollout.counters import COLUMNS

LABEL = "rollout"
MAX_FLAG_CHARACTERS = 128


class Configuration(models.Model):
    """All flags of an environment as one document, the same as a flag file; `version` only grows."""

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    version = models.PositiveBigIntegerField()
    content = models.TextField(help_text="The document, as in a flag file.")
    changed_at = models.FloatField()

    class Meta:
        """One row for each environment."""

        app_label = LABEL
        default_permissions = ("view", "change")
        constraints = (
            models.UniqueConstraint(fields=["environment"], name="rollout_configuration_environment"),
        )

    def __str__(self) -> str:
        return f"flags of {self.environment}, version {self.version}"


class Rollout(models.Model):
    """Where the rollout of one flag stands. `content` is the truth; what senders poll stands beside it.

    `ceiling` is what the gate obeys, as exact decimal text; empty is none. The fence is the runner's lease
    and no part of the state.
    """

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    flag = models.CharField(max_length=MAX_FLAG_CHARACTERS)
    version = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=24)
    ceiling = models.CharField(max_length=32, blank=True, default="")
    epoch = models.PositiveBigIntegerField(default=0)
    is_killed = models.BooleanField(default=False)
    is_shadow = models.BooleanField(default=False)
    content = models.TextField()
    changed_at = models.FloatField(default=0.0)
    fence_token = models.PositiveBigIntegerField(default=0)
    fence_holder = models.CharField(max_length=128, blank=True, default="")
    fence_until_at = models.FloatField(default=0.0)

    class Meta:
        """One row for each flag in each environment; people act through permissions of their own."""

        app_label = LABEL
        default_permissions = ("view",)
        permissions = (
            ("drive_rollout", "Can start, pause, approve, advance and roll back"),
            ("kill_rollout", "Can pull and release the kill switch"),
            ("clear_trip", "Can clear a trip on personal data"),
        )
        constraints = (models.UniqueConstraint(fields=["environment", "flag"], name="rollout_rollout_flag"),)

    def __str__(self) -> str:
        return f"{self.flag}: {self.state}"


class Entries(models.QuerySet["JournalEntry"]):
    """Rows of the journal: read, and never changed or removed, one or many."""

    def update(self, **_values: object) -> NoReturn:
        """Refuse: a journal is only added to."""
        raise TypeError("a journal entry is never changed")

    def bulk_update(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: a journal is only added to."""
        raise TypeError("a journal entry is never changed")

    def delete(self) -> NoReturn:
        """Refuse: a journal is only added to."""
        raise TypeError("a journal entry is never removed")

    def _raw_delete(self, *_args: object) -> NoReturn:
        self.delete()


class JournalEntry(models.Model):
    """One change of a rollout. `content` is the entry byte by byte; the other columns are for finding it."""

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    flag = models.CharField(max_length=MAX_FLAG_CHARACTERS)
    version = models.PositiveBigIntegerField()
    at = models.FloatField()
    actor = models.CharField(max_length=128)
    cause = models.CharField(max_length=64)
    content = models.TextField()
    hash = models.CharField(max_length=64)

    objects = Entries.as_manager()

    class Meta:
        """Two entries for one version cannot be: the second writer lost the race."""

        app_label = LABEL
        default_permissions = ("view",)
        verbose_name_plural = "journal entries"
        constraints = (
            models.UniqueConstraint(
                fields=["environment", "flag", "version"], name="rollout_journal_version"
            ),
        )

    def __str__(self) -> str:
        return f"{self.flag} {self.version}: {self.cause} by {self.actor}"

    def save(self, *args: Any, **options: Any) -> None:
        """Add it; refuse one that has a key, and so may be there."""
        if self.pk:
            raise TypeError("a journal entry is never changed")
        super().save(*args, **options)

    def delete(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: a journal is only added to."""
        raise TypeError("a journal entry is never removed")


class Sender(models.Model):
    """A process that sends; `epochs` is JSON: of each flag the epoch it obeys and since when.

    `stopped_by` is the file of its host that stops it, empty where none does.
    """

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    name = models.CharField(max_length=128)
    epochs = models.TextField()
    seen_at = models.FloatField()
    lease_seconds = models.FloatField()
    stopped_by = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        """One row for each name in each environment."""

        app_label = LABEL
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=["environment", "name"], name="rollout_sender_name"),)

    def __str__(self) -> str:
        return self.name


class EvidenceMinute(models.Model):
    """The counts of one minute, endpoint and writer; one column each of `rollout.counters.COLUMNS`.

    A writer is a small number of its process's: two workers that settle at the same time add to two rows and
    wait for nobody. NULL is 0, and takes no room.
    """

    id = models.BigAutoField(primary_key=True)
    environment = models.CharField(max_length=32)
    flag = models.CharField(max_length=MAX_FLAG_CHARACTERS)
    minute = models.PositiveBigIntegerField(help_text="Epoch seconds divided by 60.")
    endpoint_id = models.CharField("endpoint", max_length=64, blank=True, default="")
    writer = models.PositiveSmallIntegerField(default=0)

    class Meta:
        """The key is in the order in which the runner reads."""

        app_label = LABEL
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(
                fields=["environment", "flag", "minute", "endpoint_id", "writer"],
                name="rollout_evidence_minute",
            ),
        )

    def __str__(self) -> str:
        return f"{self.flag} {self.endpoint_id} minute {self.minute}"


# No PositiveIntegerField: its check for each of so many columns would be made again with every addition.
for _name in COLUMNS:
    EvidenceMinute.add_to_class(_name, models.IntegerField(null=True))
