#!/usr/bin/env python3
"""Smoke test of the matches flow: start, result, confirmation, dispute; writes staging_matches_output.json.

    python scripts/staging_smoke_matches.py
    WEBHOOK_SECRET=… python scripts/staging_smoke_matches.py --endpoint https://staging-receiver.example/inbound

A real run: the example project, a temporary database, a worker, real HTTP. Exit status 0 only when every
expectation held, 1 when one did not, 2 when it refused to start (ENVIRONMENT is production). See
docs/runbook/index.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "example"), str(ROOT)]

from loopback import smoke  # noqa: E402 (found only now)
from loopback.deliveries import Recorded, hmac_check, latency, pii_check  # noqa: E402

PLAIN = ["match_started", "result_submitted", "result_confirmed"]
DISPUTED = ["match_started", "result_submitted", "dispute_created", "dispute_resolved"]


def main() -> int:
    """Run the smoke test and return its exit status."""
    parser = smoke.parser("Smoke test of the matches flow.", output="staging_matches_output.json")
    parser.add_argument(
        "--matches", type=smoke.at_least_one, default=5, help="default 5; one more is disputed"
    )
    options = parser.parse_args()
    try:
        with smoke.smoke_run(options) as run:
            return smoke.finish(options, _matches(run, options))
    except smoke.Refused as refusal:
        smoke.say(f"refused: {refusal}")
        return smoke.REFUSED


def _matches(run: smoke.SmokeRun, options: argparse.Namespace) -> dict[str, object]:
    from rehearsal import world

    cups = world.build(options.matches + 1)
    *plain, disputed = cups.tournament_ids
    smoke.say(f"{options.matches} matches …")
    played = []
    for tournament_id in plain:
        played.append(cups.play_scheduled_match(tournament_id))
        run.settle()
        smoke.pause(options, options.matches)
    deliveries = run.deliveries()
    mark = len(run.attempts)
    smoke.say("one match with a dispute …")
    contested = cups.play_scheduled_match(disputed, contested=True)
    run.settle()
    dispute = run.since(mark)
    everything = run.deliveries()
    pii = pii_check(everything, flagged_log_lines=run.flagged_log_lines())
    hmac = hmac_check(everything, secret=run.secret)
    per_match = len(PLAIN)
    expectations = _expectations(run, options, deliveries, dispute=dispute, pii=pii, hmac=hmac)
    return {
        "test_run": run.header(
            {"total_matches": len(played), "events_triggered": per_match * len(played)}, deliveries
        ),
        "sample_match": _match(played[0], deliveries[:per_match]),
        "sample_dispute": _match(contested, dispute),
        "pii_check": pii,
        "hmac_check": hmac,
        "latency": latency(deliveries),
        "deliveries": [delivery.as_json() for delivery in everything],
        "expectations": expectations,
        "ok": all(expectation["ok"] for expectation in expectations),
    }


def _match(match: object, deliveries: list[Recorded]) -> dict[str, object]:
    """Return one match as the guide shows it."""
    match.refresh_from_db()  # type: ignore[attr-defined]
    return {
        "id": match.pk,  # type: ignore[attr-defined]
        "status": match.status,  # type: ignore[attr-defined]
        "events": [delivery.event for delivery in deliveries],
        "webhook_responses": [
            {
                "event": delivery.event,
                "status_code": delivery.attempts[-1].status,
                "latency_ms": round(delivery.latency_ms),
            }
            for delivery in deliveries
        ],
    }


def _expectations(
    run: smoke.SmokeRun,
    options: argparse.Namespace,
    deliveries: list[Recorded],
    *,
    dispute: list[Recorded],
    pii: dict[str, object],
    hmac: dict[str, object],
) -> list[dict[str, object]]:
    from apps.notifications.models import Notification
    from apps.tournaments.models import Match

    expect = smoke.expectation
    everything = [*deliveries, *dispute]
    events = len(PLAIN) * options.matches
    found = [
        expect("matches completed", Match.objects.filter(status="completed").count(), options.matches + 1),
        expect("events of each match, in order", [d.event for d in deliveries], PLAIN * options.matches),
        expect("events of the disputed match, in order", [d.event for d in dispute], DISPUTED),
        expect(
            "notifications recorded, two an event", Notification.objects.count(), 2 * (events + len(DISPUTED))
        ),
        expect("webhooks answered 2xx", sum(d.succeeded for d in everything), events + len(DISPUTED)),
        expect("deliveries left in the outbox", run.left(), 0),
        expect("every request has a valid signature of 64 hex digits", hmac["status"], "PASS"),
        expect("personal data in bodies and logs", pii["status"], "PASS"),
    ]
    ids = run.verified_ids()
    if ids is not None:
        delivered = {delivery.webhook_id for delivery in everything if delivery.succeeded}
        found.append(expect("ids delivered that the receiver did not verify", len(delivered ^ ids), 0))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
