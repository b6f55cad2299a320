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


def _pay_through(stage: Stage, what: str, *script: object) -> tuple[list[str], list[str]]:
    """Verify one payment against a receiver with *script*, its time line printed as it grows.

    Returns:
        The log's lines, and the ids that the receiver has verified.
    """
    stage.newly_verified()
    stage.log.new_lines()
    stage.receiver.plan_faults(*script)
    page.lines([what])
    found: list[str] = []
    stage.pay(1)
    stage.wait_until_sent(lambda: found.extend(_tell(stage.log.new_lines())))
    found += _tell(stage.log.new_lines())
    return found, [str(webhook["webhook_id"]) for webhook in stage.newly_verified()]


def _server_errors(stage: Stage) -> None:
    lines, verified = _pay_through(stage, "503 twice, then 200", 503, 503)
    starts = attempt_starts(lines)
    waits = [later - earlier for earlier, later in pairwise(starts)]
    kept = len(waits) == len(WANTED_WAITS_SECONDS) and all(
        0 <= wait - wanted <= WAIT_TOLERANCE_SECONDS
        for wait, wanted in zip(waits, WANTED_WAITS_SECONDS, strict=True)
    )
    stage.expect.add(
        "503 twice: waits between the three attempts",
        ok=kept,
        measured=" ".join(f"{wait:.2f} s" for wait in waits) or "none",
        wanted="2.00 s 4.00 s",
    )
    stage.expect.equal("503 twice: attempts made, webhooks verified", (len(starts), len(verified)), (3, 1))


def _client_error(stage: Stage) -> None:
    page.blank()
    lines, verified = _pay_through(stage, "400", 400)
    stage.expect.equal(
        "400: attempts made, webhooks verified", (len(attempt_starts(lines)), len(verified)), (1, 0)
    )
    stage.expect.equal(
        "400: given up after one attempt", logbook.count(lines, f"{logbook.FAILED} 1 attempts"), 1
    )


def _silence(stage: Stage, timeout_seconds: float) -> None:
    hang = timeout_seconds * 2
    page.blank()
    what = f"silence for {hang:g} s, with a time-out of {timeout_seconds:g} s"
    lines, verified = _pay_through(stage, what, {"hang": hang})
    moments = [moment(line) for line in lines if "Attempting" in line or "attempt failed" in line]
    first_attempt = moments[1] - moments[0] if len(moments) > 1 else None
    stage.expect.at_most(
        "silence: attempt ended by the time-out + 0.5 s",
        None if first_attempt is None else first_attempt * 1000,
        (timeout_seconds + ATTEMPT_GRACE_SECONDS) * 1000,
        unit="ms",
    )
    stage.expect.equal(
        "silence: delivered in the end, times handled",
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


def _tell(lines: list[str]) -> list[str]:
    """Print the log's own words about attempts, without the date and the ids; return *lines*."""
    page.lines([f"  {_short(line)}" for line in lines if any(word in line for word in ATTEMPT_WORDS)])
    return lines


def _short(line: str) -> str:
    found = STAMP.match(line)
    assert found is not None, line
    text = re.sub(r"(event|endpoint|webhook_id|outcome|elapsed)=[^,\s]+(, )?| \(Webhook .*", "", found[2])
    return f"{found[1][11:]}  {text.rstrip(' ,:')}"
