"""Chapter 6: the two ways to stop at once. Payments go on; webhooks do not; nothing else notices.

What was recorded and not yet sent is held, not lost: a person looks at it and lets it go.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection, transaction

from apps.tournaments.models import PaymentVerification
from loopback import outbox
from rehearsal import page
from rehearsal.cashier import BETWEEN_SECONDS, cashiers
from rehearsal.stage import Stage

LIMIT_MS = 1000  # from the command's return to the last decision to start an attempt
VERIFIED_BEFORE = 40  # the kill file is touched once so many have arrived
AT_ONCE = 40  # payments in one transaction right before: whatever the machine, something is queued
BEFORE_SECONDS = 10.0  # or, on a machine that is busy, after so long
AFTER_SECONDS = 1.0
PAYMENTS = 20
OTHER_PROCESSES = 2
LIST = ("list", "--state", "held")
RELEASE = ("release", "--all", "--rate", "1000", "--reason", "receiver-is-well", "--yes")
SLOW = [{"hang": 0.05}] * 2000  # a receiver that takes its time, so that something is queued


def show(stage: Stage, number: int) -> None:
    """Touch the kill file in mid-flow, remove it, release, and switch the master switch off and on."""
    page.chapter(
        number,
        "Stopping",
        see="The receiver is slow, so that there is a queue. You see: from the moment the kill file is "
        "touched nothing reaches the receiver, while payments, notifications and e-mails go on; what was "
        "queued is held until a person releases it; the master switch closes the gate of the process where "
        "it is set.",
    )
    table = page.Table(
        page.Column("what is done", 40, left=True),
        page.Column("payments", 8),
        page.Column("verified", 8),
        page.Column("held", 6),
        page.Column("notified", 8),
        page.Column("last arrival", 12),
    )
    table.head()
    _kill(stage, table)
    _alive_again(stage, table)
    _master_off(stage, table)
    _release(stage)


def _kill(stage: Stage, table: page.Table) -> None:
    """Touch the kill file while three processes record and a worker sends."""
    touched: list[float] = []
    paid_by_then: list[int] = []

    def touch() -> None:
        stage.wait_until(lambda: _verified(stage) - verified >= VERIFIED_BEFORE, seconds=BEFORE_SECONDS)
        with transaction.atomic():
            stage.pay(AT_ONCE)
        paid_by_then.append(_paid())
        connection.close()
        stage.project.kill_file.touch()
        touched.append(time.time())

    stage.newly_verified()
    stage.receiver.plan_faults(*SLOW)
    paid, (notified, _), recorded, verified = _paid(), stage.recorded(), outbox.count(), _verified(stage)
    with cashiers(OTHER_PROCESSES):
        threading.Thread(target=touch, daemon=True).start()
        _pay_until(stage, lambda: bool(touched) and time.time() - touched[0] > AFTER_SECONDS)
    stage.wait_until_sent()
    stage.receiver.plan_faults()
    payments, told = _paid() - paid, stage.recorded()[0] - notified
    arrivals = [float(str(webhook["at"])) - touched[0] for webhook in stage.newly_verified()]
    late = [seconds for seconds in arrivals if seconds > 0]
    before, after = paid_by_then[0] - paid, payments - (paid_by_then[0] - paid)
    sent_before, held = len(arrivals) - len(late), outbox.count("held")
    table.row("nothing yet: three processes record", f"{before:,}", f"{sent_before:,}", "", f"{before:,}", "")
    last = page.milliseconds(max(late) * 1000) if late else "none"
    cells = (f"{after:,}", f"{len(late):,}", f"{held:,}", f"{told - before:,}", last)
    table.row("touch kill file, in mid-flow", *cells)
    stage.expect.add(
        "kill file: verified before, payments after",
        ok=sent_before > PAYMENTS and after > PAYMENTS,
        measured=f"{sent_before:,}, {after:,}",
        wanted=f"> {PAYMENTS}, > {PAYMENTS}",
    )
    stopped_ms = max(late, default=0.0) * 1000
    stage.expect.at_most("kill file: last arrival after the touch", stopped_ms, LIMIT_MS, unit="ms")
    stage.expect.equal("kill file: notifications, one a payment", told, payments)
    stage.expect.equal(
        "kill file: recorded, and each verified or held", outbox.count() - recorded, len(arrivals) + held
    )


def _alive_again(stage: Stage, table: page.Table) -> None:
    stage.project.kill_file.unlink()
    time.sleep(0.5)  # two refresh intervals
    verified, told = stage.pay_and_count(PAYMENTS)
    table.row("remove kill file", str(PAYMENTS), str(verified), f"{outbox.count('held'):,}", str(told), "")
    stage.expect.equal("kill file removed: verified again", verified, PAYMENTS)


def _master_off(stage: Stage, table: page.Table) -> None:
    settings.NOTIFICATIONS_WEBHOOK_ENABLED = False  # the runbook's level 1, option B: this process only
    verified, told = stage.pay_and_count(PAYMENTS)
    table.row("NOTIFICATIONS_WEBHOOK_ENABLED = False", str(PAYMENTS), str(verified), "", str(told), "")
    stage.expect.equal("master switch off: verified, notified", (verified, told), (0, PAYMENTS))
    settings.NOTIFICATIONS_WEBHOOK_ENABLED = True
    verified, told = stage.pay_and_count(PAYMENTS)
    table.row("NOTIFICATIONS_WEBHOOK_ENABLED = True", str(PAYMENTS), str(verified), "", str(told), "")
    stage.expect.equal("master switch on again: verified, notified", (verified, told), (PAYMENTS, PAYMENTS))


def _release(stage: Stage) -> None:
    """Look at what is held, as an operator would, and let it go."""
    held = outbox.count("held")
    _console(*LIST, "--limit", "2")
    listed = outbox.command(*LIST, "--limit", "1000000")["deliveries"]
    assert isinstance(listed, list)
    stage.expect.add(
        "held: listed with the reason, by webhooks list",
        ok=0 < held == len(listed) and all("kill" in str(row["reason"]) for row in listed),
        measured=f"{len(listed):,}",
        wanted=f"{held:,}, > 0",
    )
    _console(*RELEASE)
    stage.wait_until_sent()
    _console(*LIST)
    released = {webhook["webhook_id"] for webhook in stage.newly_verified()}
    strangers = released ^ {row["webhook_id"] for row in listed}
    stage.expect.equal("released: ids that differ from those held", len(strangers), 0)


def _console(*arguments: str) -> None:
    """Show a command and what it says, without the headings, ids and gaps cut so that a line fits."""
    page.blank()
    page.lines([f"$ manage.py webhooks {' '.join(arguments)}"])
    lines = [re.sub(r"(?<=[0-9a-f]{8})-[0-9a-f-]{27}", "…", line) for line in outbox.said(*arguments)]
    page.lines([f"  {re.sub('  +', '  ', line)}" for line in lines if not line.startswith("webhook_id")])


def _pay_until(stage: Stage, is_over: Callable[[], bool]) -> None:
    """Verify payments in this process until *is_over* says so."""
    for tournament_id in itertools.cycle(stage.world.tournament_ids):
        stage.world.pay(tournament_id)
        time.sleep(BETWEEN_SECONDS)
        if is_over():
            return


def _verified(stage: Stage) -> int:
    total = stage.receiver.report(since=stage.known)["verified_total"]
    assert isinstance(total, int)
    return total


def _paid() -> int:
    return PaymentVerification.objects.filter(status="verified").count()
