"""Chapter 7: an e-mail address gets into a payload. Nothing leaves, the host stops, no log says it."""

from __future__ import annotations

import time

from loopback import logbook, outbox
from loopback.worker import POLL_SECONDS
from rehearsal import page
from rehearsal.stage import Stage
from rollout.django import dispatch
from rollout.sources.kill import KillFile
from rollout.sources.trip import Tripwire

LOOKS = 3  # of the worker, which would have found a row by then
PAYMENTS = 5
REFRESHED_SECONDS = 0.5  # two refresh intervals
ADDRESS = "zoe.almeida@example.org"


def show(stage: Stage, number: int) -> None:
    """Dispatch one payload with an address in it."""
    page.chapter(
        number,
        "Personal data in a payload",
        see="You see: a payload with an e-mail address is blocked before anything is stored or sent, and the "
        "whole host stops until a person has looked; log and trip file name the place and the kind, never "
        "the value.",
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
    _stopped(stage)
    texts = [*stage.log.all_lines(), stage.project.trip_file.read_text(encoding="utf-8")]
    told = sum(ADDRESS in text or ADDRESS.split("@", maxsplit=1)[0] in text for text in texts)
    stage.expect.equal("personal data: log lines that hold the value", told, 0)
    _cleared(stage)


def _stopped(stage: Stage) -> None:
    """Show what the host knows, and that it sends nothing."""
    (trip,) = Tripwire(KillFile(str(stage.project.kill_file))).trips()
    page.blank()
    page.lines(
        [f"{stage.project.trip_file.name}: {trip.kind} at {trip.place} in {trip.event}, {trip.process}"]
    )
    stage.expect.equal(
        "personal data: host stopped: verified, notified", stage.pay_and_count(PAYMENTS), (0, PAYMENTS)
    )


def _cleared(stage: Stage) -> None:
    """Remove the trip file, as a person does once the call is corrected."""
    stage.project.trip_file.unlink()
    time.sleep(REFRESHED_SECONDS)
    stage.expect.equal(
        "trip file removed: verified, notified", stage.pay_and_count(PAYMENTS), (PAYMENTS, PAYMENTS)
    )
