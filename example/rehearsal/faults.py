"""Chapter 2: the receiver is ill: server errors, a client error, silence; each with its time line."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise

from loopback import logbook
from rehearsal import page
from rehearsal.stage import Stage

ATTEMPT_WORDS = (
    "Attempting",
    "Webhook attempt failed",
    "Retrying in",
    "delivered successfully",
    "(4xx)",
    "failed after",
)
STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) \[\w+\] (.*)$")
WANTED_WAITS_SECONDS = (2, 4)  # the defaults; nothing in this demo shortens them
WAIT_TOLERANCE_SECONDS = 0.25
ATTEMPT_GRACE_SECONDS = 0.5  # an attempt ends within the time-out and this


def show(stage: Stage, number: int, *, timeout_seconds: float) -> None:
    """Show a 503 twice, a 400, and a receiver that says nothing."""
    page.chapter(
        number,
        "A receiver that is ill",
        see="You see: what passes is tried again after 2 and 4 seconds; what cannot pass is tried once; "
        "silence ends at the time-out; and nothing is handled twice.",
    )
    _server_errors(stage)
    _client_error(stage)
    _silence(stage, timeout_seconds)


def _pay_through(stage: Stage, *script: object) -> tuple[list[str], list[str]]:
    """Verify one payment against a receiver with *script*; return the log's lines and the ids it verified."""
    stage.newly_verified()
    stage.log.new_lines()
    stage.receiver.plan_faults(*script)
    stage.world.pay(stage.world.tournament_ids[0])
    lines = stage.log.new_lines()
    return lines, [str(webhook["webhook_id"]) for webhook in stage.newly_verified()]


def _server_errors(stage: Stage) -> None:
    lines, verified = _pay_through(stage, 503, 503)
    _tell("503 twice, then 200", lines)
    starts = attempt_starts(lines)
    waits = [later - earlier for earlier, later in pairwise(starts)]
    kept = len(waits) == len(WANTED_WAITS_SECONDS) and all(
        0 <= wait - wanted <= WAIT_TOLERANCE_SECONDS
        for wait, wanted in zip(waits, WANTED_WAITS_SECONDS, strict=True)
    )
    stage.expect.add(
        "503 twice: waits between attempts",
        ok=kept,
        measured=" ".join(f"{wait:.2f} s" for wait in waits) or "none",
        wanted="2.00 s 4.00 s",
    )
    stage.expect.equal("503 twice: attempts until delivered", (len(starts), len(verified)), (3, 1))


def _client_error(stage: Stage) -> None:
    lines, verified = _pay_through(stage, 400)
    _tell("400", lines)
    stage.expect.equal(
        "400: attempts, webhooks verified", (len(attempt_starts(lines)), len(verified)), (1, 0)
    )
    stage.expect.equal("400: given up, once", logbook.count(lines, f"{logbook.FAILED} 1 attempts"), 1)


def _silence(stage: Stage, timeout_seconds: float) -> None:
    hang = timeout_seconds * 2
    lines, verified = _pay_through(stage, {"hang": hang})
    _tell(f"silence for {hang:g} s, with a time-out of {timeout_seconds:g} s", lines)
    moments = [moment(line) for line in lines if "Attempting" in line or "attempt failed" in line]
    first_attempt = moments[1] - moments[0] if len(moments) > 1 else None
    stage.expect.at_most(
        "silence: the attempt ended within the time-out + 0.5 s",
        None if first_attempt is None else first_attempt * 1000,
        (timeout_seconds + ATTEMPT_GRACE_SECONDS) * 1000,
        unit="ms",
    )
    stage.expect.equal(
        "silence: delivered in the end, handled once",
        (logbook.count(lines, logbook.DELIVERED), len(verified)),
        (1, 1),
    )


def moment(line: str) -> float:
    """Return when *line* was written, in seconds since the epoch."""
    found = STAMP.match(line)
    assert found is not None, line
    return datetime.strptime(found[1] + "+0000", "%Y-%m-%d %H:%M:%S,%f%z").timestamp()


def attempt_starts(lines: list[str]) -> list[float]:
    """Return when each attempt in *lines* began, in seconds since the epoch."""
    return [moment(line) for line in lines if logbook.ATTEMPTING in line]


def _tell(what: str, lines: list[str]) -> None:
    """Print the time line of one delivery: the log's own words, without the date and the ids."""
    page.lines([what])
    page.lines(
        [
            f"  {short}"
            for line in lines
            if any(word in line for word in ATTEMPT_WORDS)
            for short in [_short(line)]
        ]
    )
    page.blank()


def _short(line: str) -> str:
    found = STAMP.match(line)
    assert found is not None, line
    text = re.sub(r", (endpoint|webhook_id|event)=[^,\s]+|event=[^,]+, ", "", found[2])
    return f"{found[1][11:]}  {text}"
