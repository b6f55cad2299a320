"""The records of a tournament platform, and which state may follow which.

A change of state and its notification are one transaction: see `PaymentVerification.save` for what a plain
`save()` does, and `services` for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import models, transaction


class Tournament(models.Model):
    """A tournament; its id is the unit of which a percentage is rolled out."""

    class Status(models.TextChoices):
        """Where a tournament stands."""

        OPEN = "open"
        RUNNING = "running"
        COMPLETED = "completed"

    name = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)

    def __str__(self) -> str:
        return f"tournament {self.pk}"


class Registration(models.Model):
    """A player's place in a tournament."""

    tournament = models.ForeignKey(Tournament, on_delete=models.CASCADE, related_name="registrations")
    player = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="registrations"
    )

    class Meta:
        """One place for each player."""

        constraints = (models.UniqueConstraint(fields=["tournament", "player"], name="one_place_a_player"),)

    def __str__(self) -> str:
        return f"registration {self.pk}"


class PaymentVerification(models.Model):
    """A payment that a person looks at: pending, then verified or rejected."""

    class Status(models.TextChoices):
        """What the person found."""

        PENDING = "pending"
        VERIFIED = "verified"
        REJECTED = "rejected"

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="payments")
    amount_cents = models.PositiveIntegerField(default=500)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)

    def __str__(self) -> str:
        return f"payment {self.pk}"

    def save(
        self,
        *,
        force_insert: bool | tuple[type[models.Model], ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save the payment and what its signals do (the notification) in one transaction, or neither."""
        with transaction.atomic(using=using):
            super().save(
                force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields
            )


class Match(models.Model):
    """Two registrations against each other."""

    class Status(models.TextChoices):
        """Where a match stands; `services.MATCH_STEPS` says what may follow what."""

        SCHEDULED = "scheduled"
        IN_PROGRESS = "in_progress"
        RESULT_SUBMITTED = "result_submitted"
        COMPLETED = "completed"
        DISPUTED = "disputed"

    tournament = models.ForeignKey(Tournament, on_delete=models.CASCADE, related_name="matches")
    home = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="home_matches")
    away = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="away_matches")
    winner = models.ForeignKey(
        Registration, on_delete=models.SET_NULL, related_name="won_matches", null=True, blank=True
    )
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.SCHEDULED)

    class Meta:
        """Django's own plural would be right, but say it."""

        verbose_name_plural = "matches"

    def __str__(self) -> str:
        return f"match {self.pk}"


class Dispute(models.Model):
    """A player's objection to a submitted result."""

    class Status(models.TextChoices):
        """Open until somebody decides."""

        OPEN = "open"
        RESOLVED = "resolved"

    match = models.ForeignKey(Match, on_delete=models.CASCADE, related_name="disputes")
    raised_by = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="disputes")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)

    def __str__(self) -> str:
        return f"dispute {self.pk}"
