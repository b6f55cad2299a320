"""Who is in: one question, one answer. Pure.

The order of decision: kill switch, master switch, ceiling 0, flag there and enabled, forced off, forced
on, rules in turn, percentage (the lower of the flag's and the ceiling's), default. The invariants:
evaluating never raises, whatever the context and the configuration, and answers on only when that is
certain. `compiled` does the work for these functions and for the gate alike. Explained in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

from rollout.compiled import Compiled
from rollout.context import EvaluationContext
from rollout.controls import Controls
from rollout.decision import Decision, ErrorCode, Reason
from rollout.flags import FlagKey
from rollout.snapshot import Snapshot, SourceStatus

__all__ = ["compile_flag", "evaluate", "evaluate_strict", "failure"]


def evaluate(snapshot: Snapshot, key: FlagKey, context: EvaluationContext, *, controls: Controls) -> Decision:
    """Decide whether the unit of *context* is in. Never raises.

    Args:
        snapshot: The flags in force. Where nothing was ever read, the answer is off, PROVIDER_NOT_READY.
        key: The flag. One that is not there is off, FLAG_NOT_FOUND.
        context: The unit and its attributes, as the caller gave them.
        controls: Kill switch, master switch and ceilings.
    """
    try:
        compiled = compile_flag(snapshot, key, controls)
        return compiled.decide(context.unit, context.attributes, master=controls.master)
    except Exception as error:  # noqa: BLE001 (any context, any configuration: off, and it says why)
        return failure(key, error)


def evaluate_strict(
    snapshot: Snapshot,
    key: FlagKey,
    unit: object,
    *,
    controls: Controls,
    admitted_by: Reason | None = None,
) -> Decision:
    """Decide again, before an attempt, by what the row of a delivery knows. Never raises.

    Asked are the kill switch, the master switch, the ceiling, flag disabled, forced off and, for a unit
    that a percentage let in, its position under the lower of the flag's and the ceiling's percentage.
    Rules and attributes are not: the row does not hold them, and changing a rule must not change what was
    decided.

    Args:
        admitted_by: The reason of the decision by which the delivery was recorded. TARGETING_MATCH (forced
            on, or a rule) and STATIC (an override): the position is not asked, since it did not let the
            unit in. SPLIT, or None where the row does not say: it is asked, unless the unit is forced on now.

    Returns:
        A decision. Off with ERROR or STALE: the state in force is not known, so *wait* and ask again. Off
        with any other reason: *hold* the delivery until a person releases it.
    """
    try:
        compiled = compile_flag(snapshot, key, controls)
        return compiled.decide_strict(unit, master=controls.master, admitted_by=admitted_by)
    except Exception as error:  # noqa: BLE001 (any context, any configuration: off, and it says why)
        return failure(key, error)


def compile_flag(snapshot: Snapshot, key: FlagKey, controls: Controls) -> Compiled:
    """Fold the flag by *key* and the controls into one object that decides for any number of units."""
    status = snapshot.status
    went_back = status is SourceStatus.STORE_WENT_BACK
    return Compiled(
        key,
        snapshot.flags.get(key),
        version=snapshot.version,
        controls=controls,
        not_ready=str(snapshot.problem) if status is SourceStatus.ERROR else None,
        unsure=f"store went back: {snapshot.problem}" if went_back else None,
    )


def failure(key: object, error: BaseException) -> Decision:
    """Return the decision for what must not happen and did: off, GENERAL, with the error's type only."""
    flag = str.__str__(key) if isinstance(key, str) else type(key).__name__
    detail = f"{type(error).__name__} while evaluating"
    return Decision(
        *(flag, False, "off", Reason.ERROR, ErrorCode.GENERAL, detail, "", None, None, 0),
    )
