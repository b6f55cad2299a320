"""Chapter 3: the receiver dies, the breaker opens, and one probe closes it once the receiver lives again.

What comes in meanwhile waits in the outbox. What was given up before is sent again by a person's word.
"""

from __future__ import annotations

import time

from loopback import logbook, outbox
from rehearsal import page
from rehearsal.stage import Stage

FAILURES_TO_OPEN = 5  # WEBHOOK_CB_MAX_FAILS, its default
WAITING = 10
AFTERWARDS = 5
STILL_SECONDS = 0.6  # looked at the open breaker for; below WEBHOOK_CB_OPEN_SECONDS


def show(stage: Stage, number: int) -> None:
    """Kill the receiver process, let five deliveries fail, start it again on the same port."""
    page.chapter(
        number,
        "A receiver that is dead",
        see="You see: five deliveries fail and the breaker opens; then nothing knocks at the dead receiver's "
        "door, and new events wait in the outbox; once it lives again a single probe closes the breaker, and "
        "what waited arrives; what was given up is sent again by a command.",
    )
    table = page.Table(
        page.Column("what happens", 46, left=True),
        page.Column("payments", 8),
        page.Column("attempts", 8),
        page.Column("delivered", 9),
        page.Column("breaker", 9),
    )
    table.head()
    stage.receiver.kill()
    opening = _pay(stage, FAILURES_TO_OPEN)
    table.row("its process is killed; three attempts each", *_counts(stage, opening, FAILURES_TO_OPEN))
    waiting = _pay_and_look(stage)
    table.row("still dead: no attempt, they wait", *_counts(stage, waiting, WAITING))
    kept = outbox.count(*outbox.ON_THE_WAY)
    stage.receiver.start()
    stage.known = 0
    stage.log.new_lines()
    stage.wait_until_sent()
    again = stage.log.new_lines()
    table.row("started again: one probe, then the rest", *_counts(stage, again, 0))
    after = _pay(stage, AFTERWARDS)
    table.row("as if nothing had happened", *_counts(stage, after, AFTERWARDS))
    _expect(stage, opening=opening, waiting=waiting, kept=kept, again=again, after=after)
    _recover(stage, table)


def _expect(
    stage: Stage, *, opening: list[str], waiting: list[str], kept: int, again: list[str], after: list[str]
) -> None:
    expect = stage.expect
    expect.equal("dead receiver: breaker openings", logbook.count(opening, logbook.OPENED), 1)
    expect.equal("open breaker: attempts at the dead receiver", logbook.count(waiting, logbook.ATTEMPTING), 0)
    expect.equal("open breaker: deliveries that wait", kept, WAITING)
    transitions = (logbook.count(again, logbook.HALF_OPEN), logbook.count(again, logbook.CLOSED))
    expect.equal("alive again: probes, breaker closings", transitions, (1, 1))
    delivered = logbook.count(again + after, logbook.DELIVERED)
    expect.equal("alive again: verified by the receiver", len(stage.newly_verified()), delivered)
    expect.equal("alive again: delivered, what had waited too", delivered, WAITING + AFTERWARDS)


def _recover(stage: Stage, table: page.Table) -> None:
    """Send again what was given up while the receiver was dead."""
    arguments = ("recover", "--since", "10m", "--endpoint", "default", "--reason", "receiver repaired")
    dead = outbox.command("list", "--state", "dead", "--since", "10m")["deliveries"]
    assert isinstance(dead, list)
    outbox.command(*arguments, "--yes")
    stage.wait_until_sent()
    lines = stage.log.new_lines()
    table.row("manage.py webhooks recover --since 10m --yes", *_counts(stage, lines, 0))
    expect = stage.expect
    ids = {webhook["webhook_id"] for webhook in stage.newly_verified()}
    expect.equal("recovered: verified, of those given up", len(ids), len(dead))
    strangers = ids ^ {row["webhook_id"] for row in dead}
    expect.equal("recovered: ids that are not those given up", len(strangers), 0)


def _pay(stage: Stage, payments: int) -> list[str]:
    stage.log.new_lines()
    stage.pay(payments)
    stage.wait_until_sent()
    return stage.log.new_lines()


def _pay_and_look(stage: Stage) -> list[str]:
    """Verify payments while the breaker is open, and return the log's lines of the time after."""
    stage.log.new_lines()
    stage.pay(WAITING)
    time.sleep(STILL_SECONDS)
    return stage.log.new_lines()


def _counts(stage: Stage, lines: list[str], payments: int) -> tuple[str, str, str, str]:
    return (
        str(payments),
        str(logbook.count(lines, logbook.ATTEMPTING)),
        str(logbook.count(lines, logbook.DELIVERED)),
        logbook.breaker_state(stage.log.all_lines()),
    )
