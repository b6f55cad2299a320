"""Chapter 1: the percentage goes up by editing a file, and only ever adds tournaments.

What passes the gate is a row in the outbox, written with the payment; the worker, another process, sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from loopback import logbook
from rehearsal import page
from rehearsal.stage import Stage
from rehearsal.world import Round
from rollout.django import gate

PERCENTAGES = ("5", "25", "50", "100")
A_MATCH = ["match_scheduled", "match_started", "result_submitted", "result_confirmed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was measured at one percentage."""

    percentage: str
    played: Round
    in_order: bool  # the events of each match, as they arrived
    let_in: frozenset[object]  # by the gate, asked for every tournament
    seen: frozenset[object]  # by the receiver, from verified bodies
    sent: int
    verified: int
    skipped: int
    p50: float | None
    p95: float | None
    picked_up_seconds: float


def show(stage: Stage, number: int) -> None:
    """Raise the percentage in four steps and print one row for each."""
    page.chapter(
        number,
        "Raising the percentage by editing the flag file",
        see="You see: each step adds tournaments and drops none; what passes is recorded with the payment, "
        "and a worker process sends it; what is sent is what the receiver verified; the rest is skipped, "
        "and its notifications and e-mails go out all the same.",
    )
    table = page.Table(
        page.Column("flag", 5),
        page.Column("tournaments in", 14),
        page.Column("events", 6),
        page.Column("sent", 6),
        page.Column("verified", 8),
        page.Column("skipped", 7),
        page.Column("p50", 7),
        page.Column("p95", 7),
        page.Column("picked up in", 12),
    )
    table.head()
    notifications_before, emails_before = stage.recorded()
    steps = []
    for percentage in PERCENTAGES:
        steps.append(_step(stage, percentage))
        _row(table, steps[-1], of=len(stage.world.places))
    notifications, emails = stage.recorded()
    page.blank()
    told = sum(step.played.told for step in steps)
    page.paragraph(
        f"Whatever the gate said: {notifications - notifications_before:,} notifications recorded and "
        f"{emails - emails_before:,} e-mails sent for {told:,} persons to tell."
    )
    stage.expect.equal(
        "notifications recorded, gate open or closed", notifications - notifications_before, told
    )
    stage.expect.equal("e-mails sent, gate open or closed", emails - emails_before, told)
    _expect(stage, steps)


def _step(stage: Stage, percentage: str) -> Step:
    picked_up = stage.set_percentage(percentage)
    stage.log.new_lines()
    stage.newly_verified()
    played = stage.world.play()
    stage.wait_until_sent()
    lines = stage.log.new_lines()
    verified = stage.newly_verified()
    latencies = logbook.latencies_ms(lines)
    return Step(
        percentage=percentage,
        played=played,
        in_order=_in_order(verified),
        let_in=frozenset(unit for unit in stage.world.tournament_ids if gate.is_open(unit)),
        seen=frozenset(webhook["tournament_id"] for webhook in verified),
        sent=logbook.count(lines, logbook.DELIVERED),
        verified=len({webhook["webhook_id"] for webhook in verified}),
        skipped=logbook.count(lines, logbook.SKIPPED),
        p50=logbook.quantile(latencies, 0.50),
        p95=logbook.quantile(latencies, 0.95),
        picked_up_seconds=picked_up,
    )


def _in_order(verified: list[Mapping[str, object]]) -> bool:
    """Return whether the four events of each match arrived as they happened; one a tournament and round."""
    matches: dict[object, list[object]] = {}
    for webhook in verified:
        if webhook["event"] in A_MATCH:
            matches.setdefault(webhook["tournament_id"], []).append(webhook["event"])
    return all(events == A_MATCH for events in matches.values())


def _row(table: page.Table, step: Step, *, of: int) -> None:
    table.row(
        f"{step.percentage} %",
        f"{len(step.seen)} of {of}",
        f"{step.played.events:,}",
        f"{step.sent:,}",
        f"{step.verified:,}",
        f"{step.skipped:,}",
        page.milliseconds(step.p50),
        page.milliseconds(step.p95),
        page.milliseconds(step.picked_up_seconds * 1000),
    )


def _expect(stage: Stage, steps: list[Step]) -> None:
    events = sum(step.played.events for step in steps)
    sent = sum(step.sent for step in steps)
    expect = stage.expect
    expect.equal(
        "webhooks that the receiver verified, of those sent", sum(step.verified for step in steps), sent
    )
    expect.equal(
        "webhooks sent or skipped, of all events", sent + sum(step.skipped for step in steps), events
    )
    expect.equal(
        "steps where receiver and gate name the same ones",
        sum(step.seen == step.let_in for step in steps),
        len(steps),
    )
    expect.equal("steps where each match came in its order", sum(step.in_order for step in steps), len(steps))
    pairs = list(pairwise(steps))
    expect.equal(
        "tournaments dropped by raising the percentage",
        sum(len(before.seen - after.seen) for before, after in pairs),
        0,
    )
    expect.equal(
        "steps that added tournaments", sum(before.seen < after.seen for before, after in pairs), len(pairs)
    )
    expect.equal("tournaments in at 100 %", len(steps[-1].seen), len(stage.world.places))
    slowest = max(step.picked_up_seconds for step in steps) * 1000
    expect.at_most("edit of the flag file picked up, slowest", slowest, 1000, unit="ms")
    worst = max((step.p95 for step in steps if step.p95 is not None), default=None)
    expect.at_most("delivery on loopback, worst p95", worst, 2000, unit="ms")
