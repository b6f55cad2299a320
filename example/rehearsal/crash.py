"""Chapter 4: a worker process dies by `kill -9` in the middle of a batch, and another one goes on.

The receiver takes its time here, so that there is a middle. What the dead worker had in hand is sent again by
the other one once its lease has run out, with the same id; the receiver's guard makes the effect happen once.
"""

from __future__ import annotations

import time
from collections import Counter

from loopback import outbox
from rehearsal import page
from rehearsal.stage import Stage

PAYMENTS = 120
SLOW_SECONDS = 0.05  # that the receiver takes for each request
VERIFIED_BEFORE = 20
LEASE_SECONDS = 2  # default 15
TAKEN_OVER_SECONDS = 15.0  # lease, poll, and a machine that is busy


def show(stage: Stage, number: int) -> None:
    """Stop the worker politely, kill the next one, and let a third one finish."""
    page.chapter(
        number,
        "A worker that dies",
        see="You see: SIGTERM lets a worker finish what it has begun; kill -9 does not, and yet nothing is "
        "lost: another worker goes on at once, and sends what the dead one had in hand when its lease has "
        f"run out ({LEASE_SECONDS} s here, default 15); each payment has one effect.",
    )
    table = page.Table(
        page.Column("what happens", 46, left=True),
        page.Column("ready", 6),
        page.Column("in hand", 7),
        page.Column("delivered", 9),
        page.Column("verified", 8),
    )
    table.head()
    stage.expect.equal("SIGTERM: exit status of the worker", stage.worker.stop(), 0)
    before, delivered = _told(stage), outbox.count("delivered")
    stage.newly_verified()
    stage.worker = stage.workers.start("worker-2", "--lease", str(LEASE_SECONDS))
    stage.receiver.plan_faults(*[{"hang": SLOW_SECONDS}] * (2 * PAYMENTS))
    stage.pay(PAYMENTS)
    stage.wait_until(lambda: _told(stage)[1] - before[1] >= VERIFIED_BEFORE)
    stage.worker.kill()
    died_at, in_hand = time.monotonic(), outbox.count("claimed")
    _row(stage, table, f"{PAYMENTS} payments; kill -9 in the middle", delivered=delivered, verified=before[1])
    stage.worker = stage.workers.start("worker-3")
    _row(stage, table, "another worker starts", delivered=delivered, verified=before[1])
    stage.wait_until_sent()
    seconds = time.monotonic() - died_at
    _row(stage, table, f"all sent, {seconds:.1f} s later", delivered=delivered, verified=before[1])
    stage.receiver.plan_faults()
    _expect(stage, in_hand=in_hand, seconds=seconds, twice=_told(stage)[0] - before[0])


def _expect(stage: Stage, *, in_hand: int, seconds: float, twice: int) -> None:
    effects = Counter(str(webhook["webhook_id"]) for webhook in stage.newly_verified())
    page.blank()
    page.paragraph(
        f"{in_hand} deliveries were in the dead worker's hands. {twice} of them had reached the receiver: it "
        "recognised the second request by its id and answered `duplicate`."
    )
    expect = stage.expect
    expect.add("kill -9: deliveries in the worker's hands", ok=in_hand > 0, measured=in_hand, wanted="> 0")
    expect.equal("kill -9: payments with a verified webhook", len(effects), PAYMENTS)
    expect.equal("kill -9: webhooks handled more than once", sum(n > 1 for n in effects.values()), 0)
    expect.at_most(
        "kill -9: all delivered by another worker", seconds * 1000, TAKEN_OVER_SECONDS * 1000, unit="ms"
    )


def _told(stage: Stage) -> tuple[int, int]:
    """Return how many duplicates the receiver has answered, and how many webhooks it has verified."""
    report = stage.receiver.report()
    answers, verified = report["answers"], report["verified_total"]
    assert isinstance(answers, dict)
    assert isinstance(verified, int)
    return answers.get("200 duplicate", 0), verified


def _row(stage: Stage, table: page.Table, what: str, *, delivered: int, verified: int) -> None:
    table.row(
        what,
        str(outbox.count("pending")),
        str(outbox.count("claimed")),
        str(outbox.count("delivered") - delivered),
        str(_told(stage)[1] - verified),
    )
