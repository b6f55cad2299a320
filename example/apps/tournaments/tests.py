"""What happens in a tournament is told: a record, an e-mail, and behind the gate one webhook of ids."""

from __future__ import annotations

from unittest.mock import patch

from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.db import transaction
from django.test import TestCase

from apps.notifications.models import Notification
from apps.tournaments import services
from apps.tournaments.models import PaymentVerification, Registration, Tournament
from rollout.testing import override_flag
from webhooks_core.testing import outbox


class World(TestCase):
    """One tournament with two registered players."""

    def setUp(self) -> None:
        """Create them."""
        self.cup = Tournament.objects.create(name="Winter Cup")
        self.home, self.away = (self._place(name) for name in ("zoe", "kai"))

    def _place(self, name: str) -> Registration:
        return services.register(self.cup, User.objects.create(username=name, email=f"{name}@example.org"))


class PaymentTests(World):
    """A payment is verified or rejected, and its player is told once."""

    def test_the_shell_snippet_of_the_runbook_triggers_the_webhook(self) -> None:
        """`pv.status = 'verified'; pv.save()` sends the payload that the staging guide shows."""
        services.submit_payment(self.home)

        pv = PaymentVerification.objects.filter(status="pending").first()
        assert pv is not None
        pv.status = "verified"
        pv.save()

        self.assertEqual(outbox.events(), ["payment_verified"])
        self.assertEqual(outbox[0].data, {"tournament_id": self.cup.pk, "recipient_count": 1})
        metadata = {"created": 1, "email_sent": 1, "webhook_id": outbox[0].webhook_id}
        self.assertEqual(outbox[0].metadata, metadata)
        self.assertEqual(outbox[0].unit, str(self.cup.pk))

    def test_saving_twice_tells_once(self) -> None:
        """Only a change of status is news."""
        payment = services.submit_payment(self.home)
        services.verify_payment(payment)

        payment.save()
        PaymentVerification.objects.get(pk=payment.pk).save()

        self.assertEqual(outbox.events(), ["payment_verified"])

    def test_a_rejected_payment_is_told_too(self) -> None:
        """The other way a payment ends."""
        services.reject_payment(services.submit_payment(self.home))

        self.assertEqual(outbox.events(), ["payment_rejected"])

    def test_a_payment_is_decided_once(self) -> None:
        """A second decision is refused and changes nothing."""
        payment = services.submit_payment(self.home)
        services.verify_payment(payment)

        with self.assertRaises(services.WrongState):
            services.reject_payment(PaymentVerification.objects.get(pk=payment.pk))

        self.assertEqual(PaymentVerification.objects.get(pk=payment.pk).status, "verified")
        self.assertEqual(len(outbox), 1)

    def test_a_payment_that_cannot_be_told_is_not_saved(self) -> None:
        """`save()` and its notification are one transaction."""
        payment = services.submit_payment(self.home)

        with (
            patch.object(Notification.objects, "bulk_create", side_effect=RuntimeError),
            self.assertRaises(RuntimeError),
            transaction.atomic(),
        ):
            payment.status = "verified"
            payment.save()

        self.assertEqual(PaymentVerification.objects.get(pk=payment.pk).status, "pending")


class MatchTests(World):
    """A match from its schedule to its end, with and without a dispute."""

    def test_a_match_tells_its_four_events_to_both_players(self) -> None:
        """Scheduled, started, submitted, confirmed: ids only."""
        match = services.schedule_match(self.home, self.away)
        services.start_match(match)
        services.submit_result(match, winner=self.home)
        services.confirm_result(match)

        self.assertEqual(
            outbox.events(), ["match_scheduled", "match_started", "result_submitted", "result_confirmed"]
        )
        wanted = {"tournament_id": self.cup.pk, "recipient_count": 2, "match_id": match.pk}
        self.assertEqual([item.data for item in outbox], [wanted] * 4)
        self.assertEqual((match.status, match.winner), ("completed", self.home))

    def test_a_dispute_is_created_and_resolved(self) -> None:
        """The other way a match ends; the dispute's id is in both events."""
        match = services.schedule_match(self.home, self.away)
        services.start_match(match)
        services.submit_result(match, winner=self.home)
        dispute = services.open_dispute(match, raised_by=self.away)
        services.resolve_dispute(dispute, winner=self.away)

        self.assertEqual(outbox.events()[-2:], ["dispute_created", "dispute_resolved"])
        self.assertEqual({item.data["dispute_id"] for item in outbox[-2:]}, {dispute.pk})
        match.refresh_from_db()
        self.assertEqual((match.status, match.winner), ("completed", self.away))

    def test_a_step_out_of_order_changes_and_tells_nothing(self) -> None:
        """A match that was not started has no result."""
        match = services.schedule_match(self.home, self.away)

        with self.assertRaises(services.WrongState):
            services.submit_result(match, winner=self.home)

        self.assertEqual(outbox.events(), ["match_scheduled"])


class TournamentTests(World):
    """A tournament's beginning and end are told to everybody in it."""

    def test_everybody_registered_is_told(self) -> None:
        """Two events, two players, two e-mails each."""
        services.start_tournament(self.cup)
        services.complete_tournament(self.cup)

        self.assertEqual(outbox.events(), ["tournament_starting", "tournament_completed"])
        self.assertEqual(outbox[0].data, {"tournament_id": self.cup.pk, "recipient_count": 2})
        self.assertEqual(len(mail.outbox), 4)

    def test_a_tournament_completes_once(self) -> None:
        """It has to be running."""
        with self.assertRaises(services.WrongState):
            services.complete_tournament(self.cup)


class GateTests(World):
    """What the gate can take away, and what it cannot."""

    def test_a_closed_gate_takes_the_webhook_and_nothing_else(self) -> None:
        """Record and e-mail are as ever."""
        with override_flag("tournament-webhooks", on=False):
            services.verify_payment(services.submit_payment(self.home))

        self.assertEqual(outbox.events(), [])
        self.assertEqual(Notification.objects.filter(email_sent=True).count(), 1)
        self.assertEqual(len(mail.outbox), 1)

    def test_a_transaction_that_is_rolled_back_leaves_the_player_untold_on_record(self) -> None:
        """The notification's row goes with the payment's."""
        payment = services.submit_payment(self.home)

        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            services.verify_payment(payment)
            raise ZeroDivisionError

        self.assertEqual(Notification.objects.count(), 0)

    def test_a_mail_server_that_is_down_stops_neither_record_nor_webhook(self) -> None:
        """`email_sent` then says 0."""
        with patch("apps.notifications.services.get_connection", side_effect=OSError):
            services.verify_payment(services.submit_payment(self.home))

        self.assertEqual(outbox[0].metadata["email_sent"], 0)
        self.assertEqual(Notification.objects.filter(email_sent=False).count(), 1)

    def test_the_allow_list_has_the_ten_events(self) -> None:
        """Each event that the services tell, and no other."""
        wanted = {
            "payment_verified",
            "payment_rejected",
            "match_scheduled",
            "match_started",
            "result_submitted",
            "result_confirmed",
            "dispute_created",
            "dispute_resolved",
            "tournament_starting",
            "tournament_completed",
        }
        self.assertEqual(set(settings.WEBHOOKS["EVENTS"]), wanted)
