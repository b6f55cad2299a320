"""The rate cap of a stage, from the rollout's state to the workers.

Invariant: what is in force follows from the state alone, so that whoever looks next puts right what a process
that died in between has left. Explained in docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from rollout.rollout_state import RolloutState
from webhooks_core.django import conf, wiring
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.rate import MOST_PER_SECOND

__all__ = ["apply_rate"]


def apply_rate(state: RolloutState) -> bool:
    """Put the cap of *state*'s stage in force, where another one is; return whether it was another one.

    Without an outbox (the engine `inline`) there is nothing to cap.

    Raises:
        Exception: What the database raises.
    """
    found = conf.current()
    if found.engine == "inline":
        return False
    outbox = wiring.outbox(found)
    rates = DatabaseRateStore(outbox.database, environment=outbox.environment)
    rate = state.rate_per_second
    wanted = None if rate is None else min(float(rate), MOST_PER_SECOND)
    if rates.stage_rate() == wanted:
        return False
    rates.set_stage_rate(wanted)
    return True
