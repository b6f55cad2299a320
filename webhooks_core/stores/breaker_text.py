"""Breakers as text, for stores outside this process: a state, and a command with all that decides it.

What lives here: both directions of a compact JSON form. What must not: any decision. Invariants: what is read
equals what was written, floats to the last bit; a record carries the policy and the chance of whoever wrote
it, so that everybody who applies it to one state gets one step. Explained in docs/explanation/breaker.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from webhooks_core.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Cancelled,
    Cell,
    Command,
    Failed,
    Force,
    Forced,
    ForcedMode,
    Release,
    State,
    Step,
    Succeeded,
    Ticket,
    decide,
)

_RESULTS: dict[str, type[Failed | Cancelled]] = {"f": Failed, "c": Cancelled}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A command, the policy of whoever gave it, and the chance (in [0, 1)) that goes with it."""

    command: Command
    policy: BreakerPolicy
    jitter_value: float = 0.0

    def applied(self, state: BreakerState, *, now: float) -> Step:
        """Return the step that this record makes of *state* at *now*, epoch seconds."""
        return decide(self.policy, state, self.command, now=now, jitter_value=self.jitter_value)


def dump_record(record: Record) -> str:
    """Write *record* as one line of JSON."""
    policy = record.policy
    numbers = (
        policy.window_seconds,
        policy.max_fails,
        policy.open_seconds,
        policy.max_open_seconds,
        policy.probe_lease_seconds,
    )
    return _dumps([numbers, record.jitter_value, *_command_fields(record.command)])


def load_record(text: str) -> Record:
    """Read what `dump_record` wrote.

    Raises:
        ValueError: It is no such text.
    """
    try:
        (window, fails, opens, longest, lease), jitter_value, kind, *fields = json.loads(text)
        policy = BreakerPolicy(
            window_seconds=window,
            max_fails=fails,
            open_seconds=opens,
            max_open_seconds=longest,
            probe_lease_seconds=lease,
        )
        return Record(command=_command(kind, fields), policy=policy, jitter_value=jitter_value)
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("not a record of a breaker") from error


def dump_state(state: BreakerState) -> str:
    """Write *state* as one line of JSON; at most about 10 KB, as the state itself is bounded."""
    forced = state.forced
    return _dumps(
        {
            "state": state.state,
            "generation": state.generation,
            "failures": state.failures,
            "cells": [(cell.second, cell.successes, cell.failures) for cell in state.cells],
            "retry_at": state.retry_at,
            "open_for_seconds": state.open_for_seconds,
            "failed_probes": state.failed_probes,
            "probe_token": state.probe_token,
            "probe_lease_seconds": state.probe_lease_seconds,
            "openings": state.openings,
            "forced": forced and (forced.mode, forced.actor, forced.reason, forced.until),
        }
    )


def load_state(text: str) -> BreakerState:
    """Read what `dump_state` wrote.

    Raises:
        ValueError: It is no such text.
    """
    try:
        found = json.loads(text)
        forced = found["forced"]
        return BreakerState(
            state=State(found["state"]),
            generation=found["generation"],
            failures=tuple(found["failures"]),
            cells=tuple(Cell(second=at, successes=well, failures=ill) for at, well, ill in found["cells"]),
            retry_at=found["retry_at"],
            open_for_seconds=found["open_for_seconds"],
            failed_probes=found["failed_probes"],
            probe_token=found["probe_token"],
            probe_lease_seconds=found["probe_lease_seconds"],
            openings=tuple(found["openings"]),
            forced=forced
            and Forced(mode=ForcedMode(forced[0]), actor=forced[1], reason=forced[2], until=forced[3]),
        )
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("not the state of a breaker") from error


def _command_fields(command: Command) -> tuple[object, ...]:
    if isinstance(command, Admit):
        return "a", command.token, command.lease_seconds
    if isinstance(command, Force):
        return "F", command.mode, command.actor, command.reason, command.until
    if isinstance(command, Release):
        return "R", command.actor, command.reason
    ticket = (command.ticket.generation, command.ticket.is_probe, command.ticket.token)
    if isinstance(command, Succeeded):
        return "s", *ticket, command.count
    return "f" if isinstance(command, Failed) else "c", *ticket


def _command(kind: str, fields: list[object]) -> Command:
    if kind == "a":
        token, lease = fields
        return Admit(token=token, lease_seconds=lease)  # type: ignore[arg-type]
    if kind == "F":
        mode, actor, reason, until = fields
        return Force(mode=ForcedMode(mode), actor=actor, reason=reason, until=until)  # type: ignore[arg-type]
    if kind == "R":
        actor, reason = fields
        return Release(actor=actor, reason=reason)  # type: ignore[arg-type]
    generation, is_probe, token = fields[:3]
    ticket = Ticket(generation=generation, is_probe=is_probe, token=token)  # type: ignore[arg-type]
    if kind == "s":
        return Succeeded(ticket=ticket, count=fields[3])  # type: ignore[arg-type]
    return _RESULTS[kind](ticket=ticket)


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
