"""Tell people: a record, an e-mail, and then the webhook, which alone stands behind the gate.

The first two happen whatever the rollout says; the gate can only ever take the webhook away. What goes into
the webhook are ids and counts. Names and addresses are in the e-mail, and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from smtplib import SMTPException

from django.contrib.auth.models import AbstractUser
from django.core.mail import EmailMessage, get_connection
from django.db import transaction

from apps.notifications.models import Notification
from rollout.django import dispatch

log = logging.getLogger("deltacrown.notifications")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What `notify` did.

    Attributes:
        created: Notifications recorded.
        email_sent: E-mails handed to the mail server.
        webhook_ids: Ids of the deliveries that were begun; empty where the gate was closed.
    """

    created: int
    email_sent: int
    webhook_ids: tuple[str, ...]


@transaction.atomic
def notify(
    event: str,
    *,
    tournament_id: int,
    recipients: Sequence[AbstractUser],
    data: Mapping[str, object] | None = None,
) -> Told:
    """Record *event* for each recipient, e-mail them, and dispatch its webhook.

    Runs inside the caller's transaction: when that is rolled back, no webhook leaves. The webhooks of one
    match leave in the order of their events.

    Args:
        event: One of the ten names in `deltacrown.settings.events`.
        tournament_id: The rollout's unit.
        recipients: Who is told; only their number reaches the webhook.
        data: Further ids of the event, as its allow-list permits.
    """
    email_sent = _send_emails(event, tournament_id, recipients)
    Notification.objects.bulk_create(
        Notification(
            event=event, tournament_id=tournament_id, recipient=person, email_sent=place < email_sent
        )
        for place, person in enumerate(recipients)
    )
    dispatched = dispatch(
        event,
        {"tournament_id": tournament_id, "recipient_count": len(recipients), **(data or {})},
        metadata={"created": len(recipients), "email_sent": email_sent},
        ordering_key=_ordering_key(data or {}),
        tournament_id=tournament_id,
    )
    return Told(created=len(recipients), email_sent=email_sent, webhook_ids=tuple(dispatched.webhook_ids))


def _ordering_key(data: Mapping[str, object]) -> str | None:
    """Return the key by which the events of one match leave in their order; other events need none."""
    match_id = data.get("match_id")
    return None if match_id is None else f"match:{match_id}"


def _send_emails(event: str, tournament_id: int, recipients: Sequence[AbstractUser]) -> int:
    """E-mail each recipient and return how many went out; a mail server that is down stops nothing else."""
    subject = event.replace("_", " ").capitalize()
    messages = [
        EmailMessage(subject, f"Tournament {tournament_id}: {subject}.", to=[p.email]) for p in recipients
    ]
    try:
        return get_connection().send_messages(messages) or 0
    except (SMTPException, OSError) as error:
        log.warning("E-mail not sent: event=%s, error=%s", event, type(error).__name__)
        return 0
