"""Chapter 7: an e-mail address gets into a payload. Nothing leaves, and the log does not say it."""

from __future__ import annotations

import time

from loopback import logbook, outbox
from loopback.worker import POLL_SECONDS
from rehearsal import page
from rehearsal.stage import Stage
from rollout.django import dispatch

LOOKS = 3  # of the worker, which would have found a row by then
ADDRESS = "zoe.almeida@example.org"


def show(stage: Stage, number: int) -> None:
    """Dispatch one payload with an address in it."""
    page.chapter(
        number,
        "Personal data in a payload",
        see="You see: a payload with an e-mail address is blocked before anything is stored or sent; the log "
        "names the place and the kind, never the value.",
    )
    stage.log.new_lines()
    requests, recorded = stage.requests(), outbox.count()
    tournament_id = stage.world.tournament_ids[0]
    dispatch(
        "payment_verified",
        {"tournament_id": tournament_id, "recipient_count": 1, "contact": ADDRESS},
        tournament_id=tournament_id,
    )
    stage.expect.equal("personal data: rows recorded", outbox.count() - recorded, 0)
    time.sleep(LOOKS * POLL_SECONDS)
    lines = stage.log.new_lines()
    page.lines([line[24:] for line in lines if logbook.BLOCKED in line])
    stage.expect.equal("personal data: requests that left", stage.requests() - requests, 0)
    stage.expect.add(
        "personal data: blocked, and its kind is told",
        ok=any(logbook.BLOCKED in line and "kind=address" in line for line in lines),
        measured=logbook.count(lines, logbook.BLOCKED),
        wanted=">= 1",
    )
    told = sum(ADDRESS in line or ADDRESS.split("@", maxsplit=1)[0] in line for line in stage.log.all_lines())
    stage.expect.equal("personal data: log lines that hold the value", told, 0)
