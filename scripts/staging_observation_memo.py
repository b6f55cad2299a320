#!/usr/bin/env python3
"""Write staging_observation_memo.md from the deliveries that the smoke tests recorded.

    python scripts/staging_observation_memo.py [--payments FILE] [--matches FILE] [--output FILE]

Every figure is counted here from the recorded attempts. Exit status 0 when all gates of the guide are met, 1
when one is not, 2 when there is nothing to read. Standard library only. Explained in docs/runbook/index.md.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

WINDOW = timedelta(minutes=30)  # the guide's observation
Z = 1.645  # one-sided 95 %, the contract §10
WANTED_DELAYS_MS = (0, 2000, 4000)
TOLERANCE_MS = 250
Gate = tuple[str, str, str, bool]


def main() -> int:
    """Read the two artifacts, write the memo, and return the exit status."""
    options = argparse.ArgumentParser(description="Write the observation memo from recorded deliveries.")
    options.add_argument("--payments", type=Path, default=Path("staging_payments_output.json"))
    options.add_argument("--matches", type=Path, default=Path("staging_matches_output.json"))
    options.add_argument("--output", type=Path, default=Path("staging_observation_memo.md"))
    chosen = options.parse_args()
    try:
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in (chosen.payments, chosen.matches)]
    except (OSError, ValueError) as error:
        print(f"cannot read the artifacts: {error}; run both smoke tests first", file=sys.stderr)
        return 2
    memo, met = write(runs)
    chosen.output.write_text(memo, encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without check marks is no reason to fail
    print(memo)
    return 0 if met else 1


def write(runs: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """Return the memo and whether every gate is met."""
    deliveries = [delivery for run in runs for delivery in run["deliveries"]]
    faults = next((run["fault_injection"] for run in runs if run.get("fault_injection")), None)
    begun = min(_moment(run["test_run"]["timestamp"]) for run in runs)
    ended = max(_moment(run["test_run"]["ended"]) for run in runs)
    gates = [*_gates(deliveries, runs), *_fault_gates(faults)]
    met = all(ok for *_, ok in gates)
    parts = [
        "# Staging observation\n",
        f"**Date**: {begun:%Y-%m-%d}  ",
        f"**Time Window**: {begun:%H:%M:%S} - {ended:%H:%M:%S} UTC  ",
        f"**Environment**: {runs[0]['test_run']['environment'].capitalize()}, receiver: "
        f"{runs[0]['test_run']['receiver']}\n",
        "**Results**:\n",
        *(
            f"- {'✅' if ok else '❌'} **{name}**: {measured} (wanted {wanted})"
            for name, measured, wanted, ok in gates
        ),
        "",
        *_timelines(faults),
        _verdict(met, ended - begun),
        "",
    ]
    return "\n".join(parts), met


def _gates(deliveries: list[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> list[Gate]:
    total = len(deliveries)
    good = sum(delivery["delivered"] for delivery in deliveries)
    retried = sum(len(delivery["attempts"]) > 1 for delivery in deliveries)
    ended_4xx = sum(400 <= (delivery["attempts"][-1]["status_code"] or 0) < 500 for delivery in deliveries)
    met_5xx = sum(
        any((attempt["status_code"] or 0) >= 500 for attempt in delivery["attempts"])
        for delivery in deliveries
    )
    latencies = sorted(delivery["latency_ms"] for delivery in deliveries)
    p50, p95 = _rank(latencies, 50), _rank(latencies, 95)
    checked = sum(run["hmac_check"]["requests_checked"] for run in runs)
    valid = sum(run["hmac_check"]["valid"] for run in runs)
    leaks = sum(value for run in runs for name, value in run["pii_check"].items() if name.endswith("_found"))
    leaks += sum(run["pii_check"]["log_lines_flagged"] for run in runs)
    missed = sum(not expectation["ok"] for run in runs for expectation in run["expectations"])
    low = wilson_low(good, total)
    return [
        (
            "Success Rate",
            f"{_share(good, total)} ({good}/{total} webhooks)",
            "≥ 95 %",
            good >= 0.95 * total > 0,
        ),
        ("Lower bound of the success rate", f"{low:.1%}", "≥ 90 %, so that it is no luck", low >= 0.90),
        ("P50 Latency", f"{p50} ms", "< 500 ms", p50 < 500),
        ("P95 Latency", f"{p95} ms, retries included", "< 2000 ms", p95 < 2000),
        ("Retry Rate", f"{_share(retried, total)} ({retried}/{total})", "< 20 %", retried < 0.20 * total),
        ("4xx Rate", f"{_share(ended_4xx, total)} ({ended_4xx}/{total})", "< 5 %", ended_4xx < 0.05 * total),
        ("5xx Rate", f"{_share(met_5xx, total)} ({met_5xx}/{total})", "< 15 %", met_5xx < 0.15 * total),
        ("PII Leaks", f"{leaks} (bodies and logs)", "0", leaks == 0),
        (
            "HMAC Verification",
            f"{_share(valid, checked)} ({valid}/{checked} requests)",
            "100 %",
            valid == checked > 0,
        ),
        ("Expectations of the smoke tests that were missed", str(missed), "0", missed == 0),
    ]


def _fault_gates(faults: dict[str, Any] | None) -> list[Gate]:
    if not faults:
        return []
    server, client = faults["server_error"], faults["client_error"]
    delays = [attempt["delay_ms"] for attempt in server["attempts"]]
    kept = len(delays) == len(WANTED_DELAYS_MS) and all(
        abs(got - want) <= TOLERANCE_MS for got, want in zip(delays, WANTED_DELAYS_MS, strict=True)
    )
    tries = len(client["attempts"])
    return [
        ("Retry behavior", ", ".join(f"{delay / 1000:.1f} s" for delay in delays), "0 s, 2 s, 4 s", kept),
        (
            "4xx handling",
            f"{tries} attempt{'s' * (tries != 1)}",
            "1 attempt",
            tries == 1 and not client["delivered"],
        ),
    ]


def _timelines(faults: dict[str, Any] | None) -> list[str]:
    if not faults:
        return ["No faults were injected: the receiver was not ours to make ill.\n"]
    return [
        "**Retry Behavior** (5xx injection test):\n",
        _timeline(faults["server_error"]),
        "**4xx Handling** (invalid payload test):\n",
        _timeline(faults["client_error"]),
    ]


def _timeline(delivery: dict[str, Any]) -> str:
    """Return the attempts of one delivery in the guide's words, each at the moment when it began or ended."""
    lines, attempts = [], delivery["attempts"]
    most = max(3, len(attempts))
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=True):
        begun = _moment(attempt["started_at"])
        ended = begun + timedelta(milliseconds=attempt["latency_ms"])
        number = f"{attempt['attempt']}/{most}"
        lines.append(f"[{begun:%H:%M:%S}] Attempt {number}: {_answer(attempt)} ({_delay(attempt)} delay)")
        if following is not None:
            lines.append(f"[{ended:%H:%M:%S}] Retrying in {round(following['delay_ms'] / 1000)} seconds...")
    if delivery["delivered"]:
        lines.append(f"[{ended:%H:%M:%S}] Webhook delivery successful")
    else:
        if 400 <= (attempts[-1]["status_code"] or 0) < 500:
            lines.append(f"[{ended:%H:%M:%S}] Client errors (4xx) are not retried")
        plural = "s" * (len(attempts) != 1)
        lines.append(f"[{ended:%H:%M:%S}] Webhook delivery aborted after {len(attempts)} attempt{plural}")
    return "\n".join(["```", *lines, "```\n"])


def _verdict(met: bool, window: timedelta) -> str:  # noqa: FBT001 (private)
    if not met:
        return "**Verdict**: ❌ **NOT APPROVED**\n\nA gate above is not met. Mend, and observe again."
    text = "**Verdict**: ✅ **APPROVED FOR PRODUCTION CANARY**"
    if window < WINDOW:
        seconds = window.total_seconds()
        text += f", once it has been observed for 30 minutes (so far: {seconds:.0f} s; see `--over-seconds`)"
    return f"{text}\n\n**Recommendation**: Proceed with 5 % production canary rollout."


def wilson_low(good: int, total: int) -> float:
    """Return how bad *good* of *total* may truly be: the lower end of Wilson's interval, one-sided, 95 %."""
    if total == 0:
        return 0.0
    share, square = good / total, Z * Z
    middle = share + square / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return (middle - spread) / (1 + square / total)


def _rank(ordered: list[int], percent: int) -> int:
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else sys.maxsize


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "nothing to count"


def _answer(attempt: dict[str, Any]) -> str:
    if attempt["status_code"] is None:
        return str(attempt["error"])
    status = HTTPStatus(attempt["status_code"])
    return f"HTTP {status.value} {status.phrase}"


def _delay(attempt: dict[str, Any]) -> str:
    return "0ms" if attempt["attempt"] == 1 else f"{attempt['delay_ms'] / 1000:.1f}s"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    raise SystemExit(main())
