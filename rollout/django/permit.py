"""Whether a delivery that was let in may still be sent: asked strictly, before each attempt.

This is the joint's answer to `webhooks_core.delivery.SendPermit`; `WEBHOOKS["SEND_PERMIT"]` names it by
default. It reads kill switch, master switch, ceiling, flag disabled, forced off and position right now,
never rules or attributes. Invariant: a state that is not known is WAIT, never SEND; a clear no is HOLD.
Explained in docs/explanation/architecture.md.
"""

from __future__ import annotations

from rollout.decision import Decision, Reason
from rollout.django.wiring import UNCONFIRMED, built, gate
from webhooks_core.delivery import Delivery, Permit, PermitVerdict

_UNKNOWN = frozenset({Reason.ERROR, Reason.STALE})


def send_permit(delivery: Delivery) -> Permit:
    """Ask the gate again, strictly, by what *delivery* knows."""
    is_driven = built().poll is not None
    if is_driven:
        _beat_inline()  # first: the decision below obeys whatever was told
    decision = gate.recheck(delivery.unit, admitted_by=_reason(delivery.admitted_by))
    if decision.detail == UNCONFIRMED or (decision and is_driven and not _beats()):
        return Permit(verdict=PermitVerdict.WAIT, reason=UNCONFIRMED)
    if decision:
        return Permit(verdict=PermitVerdict.SEND)
    verdict = PermitVerdict.WAIT if decision.reason in _UNKNOWN else PermitVerdict.HOLD
    return Permit(verdict=verdict, reason=reason_of(decision))


def _beat_inline() -> None:
    from rollout.django.pulse import beat_inline  # models: only where a rollout is driven by the database

    beat_inline()


def _beats() -> bool:
    from rollout.django.pulse import beats

    return beats()


def _reason(text: str | None) -> Reason | None:
    """Return the reason by which a delivery was let in; None for a word that is no reason of this gate."""
    try:
        return None if text is None else Reason(text)
    except ValueError:
        return None


def test_permit(_delivery: Delivery) -> Permit:
    """Let a test send go unless the kill switch is pulled: it is an operator's act, before anything is on."""
    state = built().switches.state()
    if state.killed:
        return Permit(verdict=PermitVerdict.HOLD, reason="kill switch")
    return Permit(verdict=PermitVerdict.SEND)


def reason_of(decision: Decision) -> str:
    """Return why a gate is closed as a log line says it: the reason, then the error's code or the step."""
    step = decision.error_code or decision.detail.partition(":")[0].replace(" ", "-")
    return f"{decision.reason}:{step}"
