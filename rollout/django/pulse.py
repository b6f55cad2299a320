"""A sender's pulse: it looks at the state four times a second, and says which epoch it obeys.

Called by each worker, in the thread that steps it, between two claims; where the engine is `inline`, before
each attempt, since such a process has no thread to spare and is silent between its events. Invariants: an
epoch is told only after it was read, and from then on obeyed; a sender whose heartbeat could not be written
for its lease starts no attempt, as it promises the runner; none is written in a caller's transaction.
Explained in docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from django.core.signals import setting_changed

from rollout.django import driving, tripping, wiring
from rollout.django.polling import STALENESS_SECONDS
from rollout.django.store import DjangoRolloutStore
from rollout.flags import FlagKey
from rollout.polled import Polled
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.working import installed_version, worker_name
from webhooks_core.per_process import PerProcess
from webhooks_core.worker import WorkerStatus

__all__ = ["BACK_SECONDS", "LEASE_SECONDS", "Pulse", "beat_inline", "beats", "pulse"]

#: How often the heartbeat is written while nothing changes.
BEAT_SECONDS = 1.0
#: After so long without a heartbeat the runner need not wait for a sender: longer than the staleness bound,
#: so that one which reads but cannot write has stopped by then.
LEASE_SECONDS = 3.0
#: How often a sender that waits since the store went back tells again what it had seen: by that the runner,
#: other senders and a person's commands know of it. Its lease is 0 meanwhile, since it sends nothing.
BACK_SECONDS = 10.0


# Epochs, the file that stops the host, and what was seen where the store lacks something of it.
_Told: TypeAlias = tuple[dict[FlagKey, int], str, dict[FlagKey, int]]


class Pulse:
    """One process's pulse.

    Args:
        monotonic: Seconds for measuring.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: _Told | None = None
        self._told_at = float("-inf")
        self._told_back: _Told | None = None
        self._told_back_at = float("-inf")
        # Two containers may have one host name and one process number.
        self._random = secrets.token_hex(4)

    @property
    def has_begun(self) -> bool:
        """Whether this process is a sender that tells its heartbeat."""
        return self._told is not None

    def beats(self) -> bool:
        """Whether the last heartbeat was written within the lease; a process without one need not.

        Only one whose engine is `inline` must have begun: it sends, and nobody beats for it.
        """
        if not self.has_begun:
            return not _sends_inline()
        return self._monotonic() - self._told_at <= LEASE_SECONDS

    def __call__(self, status: WorkerStatus) -> None:
        """Beat for a worker; see `beat`."""
        self.beat(status.worker)

    def beat(self, process: str) -> None:
        """Look, and tell what changed at once, what did not once a second.

        Args:
            process: The sender's name, without its version.

        Raises:
            Exception: What the database raises; the worker takes it for a failure of its outbox.
        """
        poll, store = wiring.built().poll, driving.driving().store
        if poll is None or store is None:
            return
        tripping.report()
        polled = poll.look(strictly=True)
        now = self._monotonic()
        told = _told(polled)
        if polled.went_back:
            if told != self._told_back or now - self._told_back_at >= BACK_SECONDS:
                self._told_at = float("-inf")  # first: it sends nothing until it has beaten again
                self._tell(store, process, told, lease_seconds=0.0)
                self._told_back, self._told_back_at = told, now
            return
        if not polled.is_confirmed(now=now, within_seconds=STALENESS_SECONDS):
            return
        if told == self._told and now - self._told_at < BEAT_SECONDS:
            return
        self._tell(store, process, told, lease_seconds=LEASE_SECONDS)
        self._told, self._told_at, self._told_back = told, now, None

    def _tell(self, store: DjangoRolloutStore, process: str, told: _Told, *, lease_seconds: float) -> None:
        name = f"{process}/{self._random}/{installed_version() or 'unknown'}"
        epochs, stopped_by, seen = told
        store.beat(name, epochs, lease_seconds=lease_seconds, stopped_by=stopped_by, seen=seen)


def _told(polled: Polled) -> _Told:
    """Return what there is to tell of *polled* and of this host."""
    controls = polled.controls.items()
    here = wiring.built().switches.state()
    seen = {flag: control.version for flag, control in controls} if polled.is_lost else {}
    epochs = {flag: control.epoch for flag, control in controls}
    return epochs, here.why if here.killed is not False else "", seen


_pulse = PerProcess(Pulse)


def _forget(**_signal: object) -> None:
    _pulse.forget()


setting_changed.connect(_forget, dispatch_uid="rollout.django.pulse")


def pulse(status: WorkerStatus) -> None:
    """Beat for this process: a worker calls it four times a second, busy or idle."""
    _pulse()(status)


def beat_inline() -> None:
    """Beat, where this process sends as it records and it is time to. Never raises: `beats` tells."""
    if not _sends_inline():
        return
    with suppress(Exception):  # the database is away: nothing is sent once the lease has run out
        store = driving.driving().store
        if store is not None and tripping.is_free(store.database.alias):
            _pulse().beat(worker_name())


def _sends_inline() -> bool:
    return webhooks_conf.current().engine == "inline"


def beats() -> bool:
    """Whether this process may send, as far as its heartbeat goes."""
    return _pulse().beats()
