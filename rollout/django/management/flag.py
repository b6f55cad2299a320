"""`manage.py rollout flag {list,show}`: what the flags say, and why a gate is open or closed.

Each function answers one command; `commands/rollout.py` parses and prints. Invariant: nothing is changed,
and a bad setting is shown instead of standing in the way. Explained in docs/reference/commands.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollout.decision import Decision
from rollout.django import conf, wiring
from rollout.django.management.standing import this_host
from rollout.errors import FlagNotFound
from rollout.flags import Flag, FlagKey
from rollout.snapshot import Snapshot, SourceStatus
from webhooks_core.django.answer import Answer, Exit, table


def list_flags() -> Answer:
    """Say what is in force: every flag, its owner, and the switches above."""
    found = conf.current()
    snapshot = wiring.source_of(found).snapshot()
    host = this_host()
    rows = [
        (
            flag.key,
            percent_of(flag),
            "yes" if flag.enabled else "no",
            flag.unit,
            len(flag.forced_on),
            len(flag.forced_off),
            len(flag.rules),
        )
        for flag in snapshot.flags.values()
    ]
    lines = [
        *table(("flag", "percentage", "enabled", "unit", "forced on", "forced off", "rules"), rows),
        "",
        f"owner: {found.source} ({snapshot.origin}), version {snapshot.version}, {snapshot.status}",
        f"master switch: {_switch(host.master)} (decided by: {conf.master_source()})",
        f"kill switch: {host.kill.why if host.kill.killed else 'not pulled'}",
        f"tripped: {host.trip.why if host.trip.killed else 'no'}",
        *([f"problem: {snapshot.problem}"] if snapshot.problem else []),
        *[f"bad setting, every gate is closed: {problem}" for problem in host.bad_settings],
    ]
    data = {
        "flags": [_data(flag) for flag in snapshot.flags.values()],
        "owner": found.source,
        "origin": snapshot.origin,
        "version": snapshot.version,
        "status": snapshot.status,
        "problem": snapshot.problem,
        "master_switch": host.master,
        "master_switch_decided_by": conf.master_source(),
        "killed": host.kill.killed,
        "tripped": host.trip.killed,
        "bad_settings": list(host.bad_settings),
    }
    code = Exit.UNREADABLE if snapshot.status is SourceStatus.ERROR else Exit.DONE
    return Answer(code=code, lines=lines, data=data)


def show_flag(key: str, *, unit: str | None = None, attributes: Iterable[str] = ()) -> Answer:
    """Say what one flag is, and, with *unit*, what the gate decides for it and why."""
    found = conf.current()
    snapshot = wiring.source_of(found).snapshot()
    flag = snapshot.flags.get(FlagKey(key))
    if flag is None:
        return no_such_flag(FlagNotFound(key, tuple(sorted(snapshot.flags)[:5])), snapshot)
    lines = [
        f"{flag.key}: {percent_of(flag)} of {flag.unit}, {'enabled' if flag.enabled else 'disabled'}",
        f"salt {flag.salt}, algorithm {flag.algorithm}; owner: {found.source} ({snapshot.origin})",
        f"forced on: {_names(flag.forced_on)}; forced off: {_names(flag.forced_off)}",
        *[f"rule {number}: {rule} -> {rule.serve}" for number, rule in enumerate(flag.rules, start=1)],
    ]
    data: dict[str, object] = {"flag": _data(flag), "owner": found.source, "version": snapshot.version}
    if unit is not None:
        given = dict(each.partition("=")[::2] for each in attributes)
        decision = wiring.built().flags.decide(key, unit, {**given, flag.unit: unit})
        lines.append(decision.explain())
        data["decision"] = {"value": decision.value, **reasons_of(decision)}
    return Answer(lines=lines, data=data)


def no_such_flag(error: FlagNotFound, snapshot: Snapshot | None = None) -> Answer:
    """Answer that there is no such flag, and why there may be none at all."""
    lines = [str(error), *([str(snapshot.problem)] if snapshot is not None and snapshot.problem else [])]
    return Answer(
        code=Exit.NOT_FOUND, lines=lines, data={"error": str(error), "known_near": error.known_near}
    )


def percent_of(flag: Flag) -> str:
    """Return a flag's percentage for a person."""
    return "nobody" if flag.percentage is None else f"{flag.percentage} %"


def _switch(master: bool | None) -> str:  # noqa: FBT001 - the value of a switch, not an option
    return "an unknown word, which counts as off" if master is None else "on" if master else "off"


def _data(flag: Flag) -> dict[str, object]:
    return {
        "key": flag.key,
        "percentage": None if flag.percentage is None else str(flag.percentage),
        "enabled": flag.enabled,
        "unit": flag.unit,
        "salt": flag.salt,
        "algorithm": flag.algorithm,
        "forced_on": sorted(flag.forced_on),
        "forced_off": sorted(flag.forced_off),
        "rules": [str(rule) for rule in flag.rules],
    }


def _names(units: Iterable[str]) -> str:
    return ", ".join(sorted(units)) or "nobody"


def reasons_of(decision: Decision) -> dict[str, object]:
    """Return why *decision* is as it is, for a program."""
    return {
        "reason": decision.reason,
        "error_code": decision.error_code,
        "detail": decision.detail,
        "position": decision.position,
        "threshold": decision.threshold,
        "turns_on_at": None if decision.turns_on_at is None else str(decision.turns_on_at),
        "explained": decision.explain(),
    }
