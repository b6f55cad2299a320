"""Chapter 6: the two ways to stop at once. Payments go on; webhooks do not; nothing else notices."""

from __future__ import annotations

import threading
import time

from django.conf import settings

from rehearsal import page
from rehearsal.stage import Stage

LIMIT_MS = 1000  # from the command's return to the last decision to start an attempt
BEFORE_SECONDS = 0.4
AFTER_SECONDS = 1.2
PAYMENTS = 20


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
        page.Column("last one after", 14),
    )
    table.head()
    _kill(stage, table)
    _alive_again(stage, table)
    _master_off(stage, table)
    page.blank()


def _kill(stage: Stage, table: page.Table) -> None:
    touched: list[float] = []

    def touch() -> None:
        stage.project.kill_file.touch()
        touched.append(time.time())

    stage.newly_verified()
    timer = threading.Timer(BEFORE_SECONDS, touch)
    timer.daemon = True
    timer.start()
    paid_at, told = _pay_for(stage, BEFORE_SECONDS + AFTER_SECONDS)
    arrivals = [float(str(webhook["at"])) for webhook in stage.newly_verified()]
    after = [moment for moment in arrivals if moment > touched[0]]
    stopped_ms = (max(after) - touched[0]) * 1000 if after else 0.0
    payments_after = sum(moment > touched[0] for moment in paid_at)
    before = len(arrivals) - len(after)
    table.row("webhooks flow", str(len(paid_at) - payments_after), str(before), "", "")
    table.row(
        "touch kill file (in mid-flow)",
        str(payments_after),
        str(len(after)),
        "",
        page.milliseconds(stopped_ms),
    )
    stage.expect.add(
        "kill file: webhooks flowed before it, payments went on after it",
        ok=before > 0 and payments_after > PAYMENTS,
        measured=f"{before} / {payments_after}",
        wanted=f"> 0 / > {PAYMENTS}",
    )
    stage.expect.at_most("kill file: the last arrival after the touch", stopped_ms, LIMIT_MS, unit="ms")
    stage.expect.equal("kill file: notifications went on, one a payment", told, len(paid_at))


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


def _pay_for(stage: Stage, seconds: float) -> tuple[list[float], int]:
    """Verify payments for *seconds*; return when each began, and how many notifications were recorded."""
    before, _ = stage.recorded()
    begun = time.monotonic()
    moments: list[float] = []
    while time.monotonic() - begun < seconds:
        moments.append(time.time())
        stage.world.pay(stage.world.tournament_ids[len(moments) % len(stage.world.places)])
    return moments, stage.recorded()[0] - before


def _pay_some(stage: Stage) -> tuple[int, int]:
    """Verify some payments; return how many the receiver verified and how many were notified."""
    stage.newly_verified()
    before, _ = stage.recorded()
    for tournament_id in stage.world.tournament_ids[:PAYMENTS]:
        stage.world.pay(tournament_id)
    return len(stage.newly_verified()), stage.recorded()[0] - before
