"""A saved payment tells its player: however it was saved, from a view, a command or a shell.

The runbook's snippet is the test: `pv.status = 'verified'; pv.save()` and the webhook goes out. Only a
*change* of status counts, so that saving twice tells once.
"""

from __future__ import annotations

from django.db.models.signals import post_save, pre_save

from apps.notifications.services import notify
from apps.tournaments.models import PaymentVerification

EVENT_OF = {
    PaymentVerification.Status.VERIFIED: "payment_verified",
    PaymentVerification.Status.REJECTED: "payment_rejected",
}


def connect() -> None:
    """Connect both receivers; a second call changes nothing."""
    pre_save.connect(remember_status, sender=PaymentVerification, dispatch_uid="payment-before")
    post_save.connect(tell_player, sender=PaymentVerification, dispatch_uid="payment-after")


def remember_status(instance: PaymentVerification, **_: object) -> None:
    """Keep the stored status on the instance, its row locked where the database can: two savers tell once."""
    rows = PaymentVerification.objects.select_for_update().filter(pk=instance.pk)
    instance._status_before = rows.values_list("status", flat=True).first()  # type: ignore[attr-defined]


def tell_player(instance: PaymentVerification, raw: bool = False, **_: object) -> None:  # noqa: FBT001, FBT002
    """Notify when the status has changed to one that is news; fixtures (*raw*) are not."""
    event = EVENT_OF.get(PaymentVerification.Status(instance.status))
    if raw or event is None or instance.status == instance._status_before:  # type: ignore[attr-defined]
        return
    registration = instance.registration
    notify(event, tournament_id=registration.tournament_id, recipients=[registration.player])
