"""`record_outcome`: evidence of an application that sends by itself.

Invariants: it never raises into its caller and never breaks the caller's transaction; where no plan asks for
evidence it does nothing. Explained in docs/how-to/feed-the-guard-from-your-own-sender.md.
"""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction

from rollout.django import driving, wiring
from rollout.errors import ConfigError
from rollout.increments import of_outcome
from webhooks_core.observers.safe import safe

__all__ = ["record_outcome"]


def record_outcome(
    outcome: str,
    *,
    endpoint: str = "default",
    attempts: int = 1,
    latency_seconds: float | None = None,
    met_5xx: bool = False,
) -> bool:
    """Count how one delivery ended, for the guard of this project's rollout. Never raises.

    For an application that sends by itself; what our workers send is counted already. It is one INSERT in a
    savepoint, in the caller's transaction where one is open.

    Args:
        outcome: `success`, or the class of the failure in which it ended: `client_error`, `server_error`,
            `timeout`, `connection_error`, `tls_error`, `redirect`, `blocked_address`, `signature_rejected`,
            `duplicate_unconfirmed`.
        endpoint: A short id of the receiver, never its URL.
        attempts: How many it took, 1 or more.
        latency_seconds: Time spent in attempts; None where it is not known.
        met_5xx: Whether one of them met a 5xx.

    Returns:
        Whether it was counted; what kept it from being so is logged.
    """
    try:
        table = driving.evidence()
        if table is None:
            return False
        counts = of_outcome(outcome, attempts=attempts, latency_seconds=latency_seconds, met_5xx=met_5xx)
        with transaction.atomic(using=table.database.alias):
            table.add({endpoint: counts})
    except Exception as error:  # noqa: BLE001 - the edge: the caller has delivered, and goes on
        why = f", problem={safe(error.problem)}" if isinstance(error, ConfigError) else ""
        with suppress(Exception):
            wiring.log_failure(f"Outcome not recorded: error={type(error).__name__}{why}")
        return False
    return True
