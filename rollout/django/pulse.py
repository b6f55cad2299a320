"""A sender's pulse: it looks at the state four times a second, and says which epoch it obeys.

Called by each worker, in the thread that steps it, between two claims. Invariants: an epoch is told only
after it was read, and from then on obeyed; a sender whose heartbeat could not be written for its lease starts
no attempt, as it promises the runner. Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.signals import setting_changed

from rollout.django import driving, tripping, wiring
from rollout.django.polling import STALENESS_SECONDS
from rollout.flags import FlagKey
from webhooks_core.django.working import installed_version
from webhooks_core.per_process import PerProcess
from webhooks_core.worker import WorkerStatus

__all__ = ["LEASE_SECONDS", "Pulse", "pulse"]

#: How often the heartbeat is written while nothing changes.
BEAT_SECONDS = 1.0
#: After so long without a heartbeat the runner need not wait for a sender: longer than the staleness bound,
#: so that one which reads but cannot write has stopped by then.
LEASE_SECONDS = 3.0


class Pulse:
    """One process's pulse.

    Args:
        monotonic: Seconds for measuring.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[FlagKey, int] | None = None
        self._told_at = float("-inf")

    @property
    def has_begun(self) -> bool:
        """Whether this process is a sender that tells its heartbeat."""
        return self._told is not None

    def beats(self) -> bool:
        """Whether the last heartbeat was written within the lease; a process without one need not."""
        return not self.has_begun or self._monotonic() - self._told_at <= LEASE_SECONDS

    def __call__(self, status: WorkerStatus) -> None:
        """Look, and tell what changed at once, what did not once a second.

        Raises:
            Exception: What the database raises; the worker takes it for a failure of its outbox.
        """
        poll, store = wiring.built().poll, driving.driving().store
        if poll is None or store is None:
            return
        tripping.report()
        polled = poll.look(strictly=True)
        now = self._monotonic()
        if not polled.is_confirmed(now=now, within_seconds=STALENESS_SECONDS):
            return
        epochs = {flag: control.epoch for flag, control in polled.controls.items()}
        if epochs == self._told and now - self._told_at < BEAT_SECONDS:
            return
        name = f"{status.worker}/{installed_version() or 'unknown'}"
        store.beat(name, epochs, lease_seconds=LEASE_SECONDS)
        self._told, self._told_at = epochs, now


_pulse = PerProcess(Pulse)


def _forget(**_signal: object) -> None:
    _pulse.forget()


setting_changed.connect(_forget, dispatch_uid="rollout.django.pulse")


def pulse(status: WorkerStatus) -> None:
    """Beat for this process; what `WEBHOOKS["HEARTBEAT"]` names by default."""
    _pulse()(status)


def beats() -> bool:
    """Whether this process may send, as far as its heartbeat goes."""
    return _pulse().beats()
