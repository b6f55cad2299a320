"""The rate cap of a stage, from the rollout's state to the workers.

Invariants: a way up finds the lower of the old cap and the new one in force, and a cap is lifted only after
the state that goes without it was written; what is in force follows from the state alone, so that whoever
looks next puts right what a process that died in between has left. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from rollout.rollout_state import RolloutState
from webhooks_core.django import conf, wiring
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.rate import MOST_PER_SECOND

__all__ = ["apply_rate", "tighten"]


def tighten(state: RolloutState) -> bool:
    """Put the cap of *state*'s stage in force where a higher one is, or none; return whether it was so.

    Called before *state*, which lets more through, is written.

    Raises:
        Exception: What the database raises.
    """
    wanted = _wanted(state)
    rates = None if wanted is None else _rates()
    if wanted is None or rates is None:
        return False
    in_force = rates.stage_rate()
    if in_force is not None and in_force <= wanted:
        return False
    rates.set_stage_rate(wanted)
    return True


def apply_rate(state: RolloutState) -> bool:
    """Put the cap of *state*'s stage in force, where another one is; return whether it was another one.

    Called after *state* was written. Without an outbox (the engine `inline`) there is nothing to cap.

    Raises:
        Exception: What the database raises.
    """
    rates, wanted = _rates(), _wanted(state)
    if rates is None or rates.stage_rate() == wanted:
        return False
    rates.set_stage_rate(wanted)
    return True


def _wanted(state: RolloutState) -> float | None:
    rate = state.rate_per_second
    return None if rate is None else min(float(rate), MOST_PER_SECOND)


def _rates() -> DatabaseRateStore | None:
    found = conf.current()
    if found.engine == "inline":
        return None
    outbox = wiring.outbox(found)
    return DatabaseRateStore(outbox.database, environment=outbox.environment)
