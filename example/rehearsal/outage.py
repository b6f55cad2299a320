"""Chapter 3: the receiver dies, the breaker opens, and one probe closes it once the receiver lives again."""

from __future__ import annotations

import time

from loopback import logbook
from rehearsal import page
from rehearsal.stage import Stage

FAILURES_TO_OPEN = 5  # WEBHOOK_CB_MAX_FAILS, its default
REFUSED = 10
AFTERWARDS = 5


def show(stage: Stage, number: int, *, open_seconds: float) -> None:
    """Kill the receiver process, let five deliveries fail, start it again on the same port."""
    page.chapter(
        number,
        "A receiver that is dead",
        see="You see: five deliveries fail and the breaker opens; then nothing knocks at the dead receiver's "
        "door; once it lives again a single probe closes the breaker.",
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
    opening = _pay_at_once(stage, FAILURES_TO_OPEN)
    opened_at = time.monotonic()
    table.row("its process is killed; three attempts each", *_counts(stage, opening, FAILURES_TO_OPEN))
    refused = _pay_in_turn(stage, REFUSED)
    table.row("still dead: refused without an attempt", *_counts(stage, refused, REFUSED))
    stage.receiver.start()
    stage.known = 0
    time.sleep(
        max(0.0, open_seconds * 1.25 - (time.monotonic() - opened_at))
    )  # jitter can lengthen it a little
    probe = _pay_in_turn(stage, 1)
    table.row("started again on the same port: one probe", *_counts(stage, probe, 1))
    after = _pay_in_turn(stage, AFTERWARDS)
    table.row("as if nothing had happened", *_counts(stage, after, AFTERWARDS))
    _expect(stage, opening=opening, refused=refused, probe=probe, after=after)


def _expect(
    stage: Stage, *, opening: list[str], refused: list[str], probe: list[str], after: list[str]
) -> None:
    expect = stage.expect
    expect.equal("dead receiver: breaker openings", logbook.count(opening, logbook.OPENED), 1)
    expect.equal("open breaker: attempts at the dead receiver", logbook.count(refused, logbook.ATTEMPTING), 0)
    expect.equal(
        "open breaker: deliveries logged as waiting", logbook.count(refused, logbook.WAITING), REFUSED
    )
    transitions = (logbook.count(probe, logbook.HALF_OPEN), logbook.count(probe, logbook.CLOSED))
    expect.equal("alive again: probes, breaker closings", transitions, (1, 1))
    expect.equal(
        "alive again: verified by the receiver",
        len(stage.newly_verified()),
        logbook.count(probe + after, logbook.DELIVERED),
    )
    expect.equal("alive again: delivered", logbook.count(probe + after, logbook.DELIVERED), 1 + AFTERWARDS)


def _pay_in_turn(stage: Stage, payments: int) -> list[str]:
    stage.log.new_lines()
    for tournament_id in stage.world.tournament_ids[:payments]:
        stage.world.pay(tournament_id)
    return stage.log.new_lines()


def _pay_at_once(stage: Stage, payments: int) -> list[str]:
    """Verify *payments* payments in as many threads: their waits of 2 and 4 s then pass at the same time."""
    stage.log.new_lines()
    for thread in stage.pay_in_threads(stage.world.tournament_ids[:payments]):
        thread.join()
    return stage.log.new_lines()


def _counts(stage: Stage, lines: list[str], payments: int) -> tuple[str, str, str, str]:
    return (
        str(payments),
        str(logbook.count(lines, logbook.ATTEMPTING)),
        str(logbook.count(lines, logbook.DELIVERED)),
        logbook.breaker_state(stage.log.all_lines()),
    )
