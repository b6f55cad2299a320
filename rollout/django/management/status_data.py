"""The same as JSON: the schema of `status --json`, whose keys are always there.

Invariant: keys are added and never change their meaning within a major version. Listed in
docs/reference/commands.md.
"""

from __future__ import annotations

from rollout.django.management.standing import Seen, Standing
from rollout.django.management.words import moment_text
from rollout.fleet import stopping
from rollout.plan_text import plan_hash
from rollout.rollout_state import LATCHED
from rollout.situation import following_stage

__all__ = ["as_dict"]

_FROM_THE_DATABASE = (
    *("state", "version", "epoch", "percentage", "reason", "actor", "stage", "next", "verdict"),
    *("waiting_for", "senders", "stopping", "runner", "queue", "plan"),
)


def as_dict(found: Standing) -> dict[str, object]:
    """Return *found* as JSON types; what the database did not say is null."""
    host = found.host
    data: dict[str, object] = {
        "flag": found.flag,
        "environment": found.environment,
        "problem": found.problem,
        "kill_file": {"killed": host.kill.killed, "why": host.kill.why},
        "trip_file": {
            "killed": host.trip.killed,
            "why": host.trip.why,
            "trips": [each.as_dict() for each in host.trips],
        },
        "master_switch": host.master,
        "bad_settings": list(host.bad_settings),
        "killed": None,
    }
    if found.seen is None:
        return data | dict.fromkeys(_FROM_THE_DATABASE)
    return data | _seen(found.seen)


def _seen(seen: Seen) -> dict[str, object]:
    state, situation, now = seen.state, seen.situation, seen.situation.now
    presence = seen.watcher.presence(now=now)
    return {
        "killed": state.killed,
        "state": state.state.value,
        "version": state.version,
        "epoch": state.epoch,
        "percentage": None if state.ceiling is None else str(state.ceiling),
        "reason": state.reason,
        "actor": state.actor,
        "stage": _stage(seen),
        "next": _next(seen),
        "verdict": None if seen.verdict is None else seen.verdict.as_dict(),
        "waiting_for": [{"kind": each.kind.value, "text": each.text} for each in seen.obstacles],
        "senders": [
            {
                "name": each.name,
                "epoch": each.epoch,
                "seen_seconds_ago": round(max(0.0, now - each.seen_at), 3),
                "alive": each.is_alive(now=now),
                "obeys": each.epoch >= state.epoch,
                "stopped_by": each.stopped_by,
                "seen_version": each.seen_version,
            }
            for each in situation.senders
        ],
        "stopping": _stopping(seen),
        "runner": {
            "holder": seen.watcher.holder or None,
            "presence": presence.value,
            "lease_seconds_left": round(seen.watcher.until_at - now, 3) if seen.watcher.holder else None,
        },
        "queue": None if seen.queue is None else seen.queue.as_dict(),
        "plan": {
            "pinned": None if state.plan is None else plan_hash(state.plan),
            "written": None if situation.plan is None else plan_hash(situation.plan),
            "drift": situation.drift(state) if state.plan is not None else "",
            "went_back": situation.went_back(state),
        },
    }


def _stage(seen: Seen) -> dict[str, object] | None:
    state, stage = seen.state, seen.state.stage_plan
    if state.plan is None or stage is None or state.stage is None:
        return None
    rate = state.rate_per_second
    return {
        "number": state.stage + 1,
        "of": len(state.plan.stages),
        "percentage": str(stage.percentage),
        "shadow": state.is_shadow,
        "entered_at": moment_text(state.stage_entered_at),
        "baked_seconds": round(state.progress.baked_seconds, 3),
        "bake_seconds": stage.bake_seconds,
        "rate_per_second": None if rate is None else str(rate),
    }


def _next(seen: Seen) -> dict[str, object] | None:
    following = following_stage(seen.state)
    if following is None:
        return None
    return {
        "percentage": str(following.percentage),
        "needs_approval": following.approval and not seen.state.has_approved(following.percentage),
        "cohort": seen.situation.next_cohort,
        "cohort_note": seen.situation.cohort_note(),
    }


def _stopping(seen: Seen) -> dict[str, object] | None:
    state, situation = seen.state, seen.situation
    if state.state not in LATCHED:
        return None
    found = stopping(situation.senders, epoch=state.epoch, since=state.epoch_at, now=situation.now)
    return found.as_dict()
