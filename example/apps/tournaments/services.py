"""What can happen in a tournament. Each function is one transaction: the change and what it tells to whom.

Whoever calls these need not know about webhooks: `notify` tells everybody, and the gate decides about the
webhook.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from apps.notifications.services import notify
from apps.tournaments.models import Dispute, Match, PaymentVerification, Registration, Tournament

# action: (from, to, event). Anything else is a WrongState.
MATCH_STEPS: dict[str, tuple[Match.Status, Match.Status, str]] = {
    "start": (Match.Status.SCHEDULED, Match.Status.IN_PROGRESS, "match_started"),
    "submit": (Match.Status.IN_PROGRESS, Match.Status.RESULT_SUBMITTED, "result_submitted"),
    "confirm": (Match.Status.RESULT_SUBMITTED, Match.Status.COMPLETED, "result_confirmed"),
    "dispute": (Match.Status.RESULT_SUBMITTED, Match.Status.DISPUTED, "dispute_created"),
    "resolve": (Match.Status.DISPUTED, Match.Status.COMPLETED, "dispute_resolved"),
}


class WrongState(Exception):
    """The record is not in the state that this action starts from; nothing was changed."""


@transaction.atomic
def register(tournament: Tournament, player: AbstractBaseUser) -> Registration:
    """Give *player* a place in *tournament*."""
    return Registration.objects.create(tournament=tournament, player=player)


@transaction.atomic
def submit_payment(registration: Registration, *, amount_cents: int = 500) -> PaymentVerification:
    """Record a payment that somebody has to look at; nobody is told yet."""
    return PaymentVerification.objects.create(registration=registration, amount_cents=amount_cents)


def verify_payment(payment: PaymentVerification) -> None:
    """Accept a pending payment; saving it tells the player (see `signals`)."""
    _decide_payment(payment, PaymentVerification.Status.VERIFIED)


def reject_payment(payment: PaymentVerification) -> None:
    """Turn a pending payment down; saving it tells the player (see `signals`)."""
    _decide_payment(payment, PaymentVerification.Status.REJECTED)


@transaction.atomic
def schedule_match(home: Registration, away: Registration) -> Match:
    """Put two registrations of one tournament against each other and tell both."""
    if home.tournament_id != away.tournament_id:
        raise WrongState("both sides of a match belong to one tournament")
    match = Match.objects.create(tournament_id=home.tournament_id, home=home, away=away)
    _tell_both(match, "match_scheduled")
    return match


@transaction.atomic
def start_match(match: Match) -> None:
    """Start a scheduled match."""
    _step(match, "start")


@transaction.atomic
def submit_result(match: Match, *, winner: Registration) -> None:
    """Record who won, as one side says."""
    if winner.pk not in (match.home_id, match.away_id):
        raise WrongState(f"the winner of {match} must be one of its two sides")
    match.winner = winner
    _step(match, "submit")


@transaction.atomic
def confirm_result(match: Match) -> None:
    """Accept the submitted result; the match is over."""
    _step(match, "confirm")


@transaction.atomic
def open_dispute(match: Match, *, raised_by: Registration) -> Dispute:
    """Object to the submitted result."""
    dispute = Dispute.objects.create(match=match, raised_by=raised_by)
    _step(match, "dispute", dispute_id=dispute.pk)
    return dispute


@transaction.atomic
def resolve_dispute(dispute: Dispute, *, winner: Registration) -> None:
    """Decide a dispute; the match is over."""
    dispute.status = Dispute.Status.RESOLVED
    dispute.save(update_fields=["status"])
    dispute.match.winner = winner
    _step(dispute.match, "resolve", dispute_id=dispute.pk)


@transaction.atomic
def start_tournament(tournament: Tournament) -> None:
    """Begin, and tell everybody who is registered."""
    _move_tournament(tournament, Tournament.Status.OPEN, Tournament.Status.RUNNING)
    _tell_all(tournament, "tournament_starting")


@transaction.atomic
def complete_tournament(tournament: Tournament) -> None:
    """End, and tell everybody who was registered."""
    _move_tournament(tournament, Tournament.Status.RUNNING, Tournament.Status.COMPLETED)
    _tell_all(tournament, "tournament_completed")


@transaction.atomic
def _decide_payment(payment: PaymentVerification, status: PaymentVerification.Status) -> None:
    stored = PaymentVerification.objects.select_for_update().get(pk=payment.pk)
    if stored.status != PaymentVerification.Status.PENDING:
        raise WrongState(f"{payment} is {stored.status}, not pending")
    payment.status = status
    payment.save(update_fields=["status"])


def _step(match: Match, action: str, **ids: int) -> None:
    before, after, event = MATCH_STEPS[action]
    moved = Match.objects.filter(pk=match.pk, status=before).update(status=after, winner=match.winner)
    if not moved:
        raise WrongState(f"{match} is not {before.label.lower()}: cannot {action}")
    match.status = after
    _tell_both(match, event, **ids)


def _move_tournament(tournament: Tournament, before: Tournament.Status, after: Tournament.Status) -> None:
    if not Tournament.objects.filter(pk=tournament.pk, status=before).update(status=after):
        raise WrongState(f"{tournament} is not {before.label.lower()}")
    tournament.status = after


def _tell_both(match: Match, event: str, **ids: int) -> None:
    notify(
        event,
        tournament_id=match.tournament_id,
        recipients=[match.home.player, match.away.player],
        data={"match_id": match.pk, **ids},
    )


def _tell_all(tournament: Tournament, event: str) -> None:
    players = [place.player for place in tournament.registrations.select_related("player")]
    notify(event, tournament_id=tournament.pk, recipients=players)
