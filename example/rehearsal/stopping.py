"""Chapter 5: the two ways to stop at once. Payments go on; webhooks do not; nothing else notices."""

from __future__ import annotations

import itertools
import threading
import time

from django.conf import settings
from django.db import connection

from apps.tournaments.models import PaymentVerification
from rehearsal import page
from rehearsal.cashier import cashiers
from rehearsal.stage import Stage

LIMIT_MS = 1000  # from the command's return to the last decision to start an attempt
BEFORE_SECONDS = 0.4
AFTER_SECONDS = 1.2
PAYMENTS = 20
OTHER_PROCESSES = 2


def show(stage: Stage, number: int) -> None:
    """Touch the kill file in mid-flow, remove it, and switch the master switch off and on."""
    page.chapter(
        number,
        "Stopping",
        see="You see: from the moment the kill file is touched nothing reaches the receiver, while payments, "
        "notifications and e-mails go on; the master switch does the same in the process where it is set.",
    )
    table = page.Table(
        page.Column("what is done", 40, left=True),
        page.Column("payments", 8),
        page.Column("verified", 8),
        page.Column("notified", 8),
        page.Column("last arrival", 12),
    )
    table.head()
    _kill(stage, table)
    _alive_again(stage, table)
    _master_off(stage, table)


def _kill(stage: Stage, table: page.Table) -> None:
    """Touch the kill file while three processes send."""
    touched: list[float] = []
    paid_by_then: list[int] = []

    def touch() -> None:
        paid_by_then.append(_paid())
        connection.close()
        stage.project.kill_file.touch()
        touched.append(time.time())

    stage.newly_verified()
    paid, (notified, _) = _paid(), stage.recorded()
    with cashiers(OTHER_PROCESSES):
        timer = threading.Timer(BEFORE_SECONDS, touch)
        timer.daemon = True
        timer.start()
        _pay_for(stage, BEFORE_SECONDS + AFTER_SECONDS)
    payments, told = _paid() - paid, stage.recorded()[0] - notified
    arrivals = [float(str(webhook["at"])) - touched[0] for webhook in stage.newly_verified()]
    late = [seconds for seconds in arrivals if seconds > 0]
    before, after = paid_by_then[0] - paid, payments - (paid_by_then[0] - paid)
    sent_before = len(arrivals) - len(late)
    table.row("nothing yet: three processes send", f"{before:,}", f"{sent_before:,}", f"{before:,}", "")
    last = page.milliseconds(max(late) * 1000) if late else "none"
    table.row("touch kill file, in mid-flow", f"{after:,}", f"{len(late):,}", f"{told - before:,}", last)
    stage.expect.add(
        "kill file: verified before, payments after",
        ok=sent_before > PAYMENTS and after > PAYMENTS,
        measured=f"{sent_before:,}, {after:,}",
        wanted=f"> {PAYMENTS}, > {PAYMENTS}",
    )
    stopped_ms = max(late, default=0.0) * 1000
    stage.expect.at_most("kill file: last arrival after the touch", stopped_ms, LIMIT_MS, unit="ms")
    stage.expect.equal("kill file: notifications, one a payment", told, payments)


def _alive_again(stage: Stage, table: page.Table) -> None:
    stage.project.kill_file.unlink()
    time.sleep(0.5)  # two refresh intervals
    verified, told = _pay_some(stage)
    table.row("remove kill file", str(PAYMENTS), str(verified), str(told), "")
    stage.expect.equal("kill file removed: verified again", verified, PAYMENTS)


def _master_off(stage: Stage, table: page.Table) -> None:
    settings.NOTIFICATIONS_WEBHOOK_ENABLED = False  # the runbook's level 1, option B: this process only
    verified, told = _pay_some(stage)
    table.row("NOTIFICATIONS_WEBHOOK_ENABLED = False", str(PAYMENTS), str(verified), str(told), "")
    stage.expect.equal("master switch off: verified, notified", (verified, told), (0, PAYMENTS))
    settings.NOTIFICATIONS_WEBHOOK_ENABLED = True
    verified, told = _pay_some(stage)
    table.row("NOTIFICATIONS_WEBHOOK_ENABLED = True", str(PAYMENTS), str(verified), str(told), "")
    stage.expect.equal("master switch on again: verified, notified", (verified, told), (PAYMENTS, PAYMENTS))


def _pay_for(stage: Stage, seconds: float) -> None:
    """Verify payments for *seconds* in this process."""
    begun = time.monotonic()
    for tournament_id in itertools.cycle(stage.world.tournament_ids):
        stage.world.pay(tournament_id)
        if time.monotonic() - begun > seconds:
            return


def _paid() -> int:
    return PaymentVerification.objects.filter(status="verified").count()


def _pay_some(stage: Stage) -> tuple[int, int]:
    """Verify some payments; return how many the receiver verified and how many were notified."""
    stage.newly_verified()
    before, _ = stage.recorded()
    for tournament_id in stage.world.tournament_ids[:PAYMENTS]:
        stage.world.pay(tournament_id)
    return len(stage.newly_verified()), stage.recorded()[0] - before
