#!/usr/bin/env python3
"""Smoke test of the payments flow: pending, verified, webhook; writes staging_payments_output.json.

    python scripts/staging_smoke_payments.py
    WEBHOOK_SECRET=… python scripts/staging_smoke_payments.py --endpoint https://staging-receiver.example/inbound

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
from loopback.deliveries import Recorded, hmac_check, latency, pii_check, response_of  # noqa: E402

WAITS_MS = [0, 2000, 4000]  # before attempts 1, 2 and 3
TOLERANCE_MS = 250


def main() -> int:
    """Run the smoke test and return its exit status."""
    parser = smoke.parser("Smoke test of the payments flow.", output="staging_payments_output.json")
    parser.add_argument("--payments", type=smoke.at_least_one, default=10, help="default 10")
    options = parser.parse_args()
    try:
        with smoke.smoke_run(options) as run:
            return smoke.finish(options, _payments(run, options))
    except smoke.Refused as refusal:
        smoke.say(f"refused: {refusal}")
        return smoke.REFUSED


def _payments(run: smoke.SmokeRun, options: argparse.Namespace) -> dict[str, object]:
    from rehearsal import world

    cups = world.build(options.payments)
    smoke.say(f"{options.payments} payments …")
    payments = []
    for tournament_id in cups.tournament_ids:
        payments.append(cups.pay(tournament_id))
        run.settle()
        smoke.pause(options, options.payments)
    deliveries = run.deliveries()
    injected = _inject(run, cups) if run.receiver else None
    everything = run.deliveries()
    pii = pii_check(everything, flagged_log_lines=run.flagged_log_lines())
    hmac = hmac_check(everything, secret=run.secret)
    sample = payments[0]
    sample.refresh_from_db()
    expectations = _expectations(run, options, deliveries, injected=injected, pii=pii, hmac=hmac)
    return {
        "test_run": run.header({"total_payments": len(payments)}, deliveries),
        "sample_payment": {
            "id": sample.pk,
            "status": sample.status,
            "webhook_response": response_of(deliveries[0]) if deliveries else None,
        },
        "pii_check": pii,
        "hmac_check": hmac,
        "latency": latency(deliveries),
        "fault_injection": injected and {name: delivery.as_json() for name, delivery in injected.items()},
        "deliveries": [delivery.as_json() for delivery in deliveries],
        "expectations": expectations,
        "ok": all(expectation["ok"] for expectation in expectations),
    }


def _inject(run: smoke.SmokeRun, cups: object) -> dict[str, Recorded]:
    """Make the receiver answer 503 twice and then, to another payment, 400."""
    found = {}
    for name, script in (("server_error", (503, 503)), ("client_error", (400,))):
        smoke.say(f"a receiver that answers {', '.join(map(str, script))} …")
        assert run.receiver is not None
        run.receiver.plan_faults(*script)
        mark = len(run.attempts)
        cups.pay(cups.tournament_ids[0])  # type: ignore[attr-defined]
        run.settle()
        found[name] = run.since(mark)[0]
    return found


def _expectations(
    run: smoke.SmokeRun,
    options: argparse.Namespace,
    deliveries: list[Recorded],
    *,
    injected: dict[str, Recorded] | None,
    pii: dict[str, object],
    hmac: dict[str, object],
) -> list[dict[str, object]]:
    from apps.notifications.models import Notification
    from apps.tournaments.models import PaymentVerification

    expect = smoke.expectation
    paid = options.payments + len(injected or {})
    succeeded = [delivery for delivery in deliveries if delivery.succeeded]
    found = [
        expect("payments verified", PaymentVerification.objects.filter(status="verified").count(), paid),
        expect("notifications recorded", Notification.objects.filter(event="payment_verified").count(), paid),
        expect("one webhook a payment", len(deliveries), options.payments),
        expect("webhooks answered 2xx", len(succeeded), options.payments),
        expect("deliveries left in the outbox", run.left(), 0),
        expect("every request has a valid signature of 64 hex digits", hmac["status"], "PASS"),
        expect("personal data in bodies and logs", pii["status"], "PASS"),
    ]
    ids = run.verified_ids()
    if ids is not None and injected:
        delivered = {
            delivery.webhook_id for delivery in [*deliveries, *injected.values()] if delivery.succeeded
        }
        server, client = injected["server_error"], injected["client_error"]
        waits = zip(server.delays_ms, WAITS_MS, strict=False)
        late = [got for got, want in waits if abs(got - want) > TOLERANCE_MS]
        found += [
            expect("ids delivered that the receiver did not verify", len(delivered ^ ids), 0),
            expect("503, 503, 200: attempts", [a.status for a in server.attempts], [503, 503, 200]),
            expect(f"503, 503, 200: waits off by more than {TOLERANCE_MS} ms", len(late), 0),
            expect("400: attempts", [a.status for a in client.attempts], [400]),
        ]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
