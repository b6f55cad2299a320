"""Where a worker is put together from the settings: outbox, sender, breakers, rates, heartbeat, threads.

The composition of a process that sends, beside `wiring.py`'s of one that records. Invariants: a connection
to PostgreSQL whose other end is gone is noticed by the operating system or the watchdog within 30 s; each
worker is named after its host and process, and proves nothing by that name. Explained in
docs/how-to/run-the-worker.md.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from webhooks_core.django import wiring
from webhooks_core.django.listening import Ear
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.django.rates import rate_of
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.engines.shift import Shift
from webhooks_core.engines.worker import WorkerShell
from webhooks_core.errors import ConfigError
from webhooks_core.observers.worker_log import WorkerLogObserver
from webhooks_core.worker import Claiming, Worker, WorkerPolicy, WorkerStatus
from webhooks_core.worker.plan import Phase
from webhooks_core.worker.service import Heartbeat

_BEAT = (
    "INSERT INTO webhooks_workerbeat"
    " (name, environment, host, process, version, phase, held, started_at, seen_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (environment, name) DO UPDATE SET"
    " phase = excluded.phase, held = excluded.held, seen_at = excluded.seen_at"
)


#: How often a worker's row is written.
BEAT_SECONDS = WorkerPolicy().beat_seconds
#: How often a worker looks at the rollout: a change reaches it within a second (contract §10).
PULSE_SECONDS = 0.25


def worker_name() -> str:
    """Return the name of a worker in this process: host and process number."""
    return f"{_host()}:{os.getpid()}"


def _host() -> str:
    return platform.node() or "host"  # a machine without a name is one all the same


def shell(policy: WorkerPolicy | None = None, *, name: str | None = None) -> WorkerShell:
    """Return a worker for the settings in force, ready to `run` in the calling thread.

    Raises:
        ConfigError: The engine is another one, or a setting is bad.
    """
    outbox, worker = _outbox(), _worker(policy, name=name)
    interrupt = outbox.database.interrupter()
    ear = None
    if outbox.notifies:
        ear = Ear(outbox.database.alias, outbox.environment, worker=worker.name, tell=worker.tell)
    return WorkerShell(worker, on_stuck=lambda _call: interrupt(), listen=ear)


def shift() -> Shift:
    """Return a worker for the settings in force that works whenever it is woken.

    Raises:
        ConfigError: The engine is another one, or a setting is bad.
    """
    return Shift(_worker(), line=_outbox().database.interrupter)


def _outbox() -> DjangoOutbox:
    sending = wiring.sending()
    if sending.outbox is None:
        raise ConfigError(
            'WEBHOOKS["ENGINE"]', f'is "{sending.settings.engine}": there is nothing to work on'
        )
    return sending.outbox


def _worker(policy: WorkerPolicy | None = None, *, name: str | None = None) -> Worker:
    sending, outbox = wiring.sending(), _outbox()
    outbox.database.notice_silence()
    policy = WorkerPolicy() if policy is None else policy
    pulse = wiring.pulse()
    if pulse is not None:
        policy = replace(policy, beat_seconds=min(policy.beat_seconds, PULSE_SECONDS))
    endpoints = cast("dict[EndpointId, Endpoint]", dict(sending.endpoints))
    breakers = sending.breakers
    rates = DatabaseRateStore(outbox.database, environment=outbox.environment)
    return Worker(
        outbox,
        sending.sender,
        endpoints,
        breakers=breakers,
        name=worker_name() if name is None else name,
        policy=policy,
        claiming=Claiming(
            endpoints,
            breakers,
            policy,
            clock=sending.sender.clock,
            rates=rates,
            rate_of=rate_of(sending.settings, rates),
        ),
        heartbeat=Heart(outbox, pulse=pulse),
        observer=WorkerLogObserver(sending.observer),
    )


class Heart:
    """Write a worker's row: who it is, what it runs, when it was last seen; at most once in `BEAT_SECONDS`.

    Args:
        outbox: Where the row is.
        pulse: Called at each beat, before the row: how a worker follows the rollout.
        monotonic: Seconds for measuring.
    """

    def __init__(
        self,
        outbox: DjangoOutbox,
        *,
        pulse: Heartbeat | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._pulse = pulse
        self._monotonic = monotonic
        self._started_at: float | None = None
        self._told: tuple[Phase, float] | None = None

    def __call__(self, status: WorkerStatus) -> None:
        """Tell the database that the worker lives."""
        if self._pulse is not None:
            self._pulse(status)
        now = self._monotonic()
        if self._told is not None and self._told[0] is status.phase and now - self._told[1] < BEAT_SECONDS:
            return
        self._write(status)
        self._told = (status.phase, now)

    def _write(self, status: WorkerStatus) -> None:
        with self._outbox.database.transaction() as cursor:
            now = self._outbox.database.now(cursor)
            self._started_at = now if self._started_at is None else self._started_at
            cursor.execute(
                _BEAT,
                [
                    status.worker[:128],
                    self._outbox.environment,
                    _host()[:128],
                    os.getpid(),
                    version()[:32],
                    status.phase.value,
                    status.held,
                    self._started_at,
                    now,
                ],
            )


def installed_version() -> str | None:
    """Return the version of this package that is installed; None where it runs from elsewhere."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rollout-webhooks")
    except PackageNotFoundError:
        return None


def version() -> str:
    """Return the version of this package that runs, or `unknown` where it is not installed."""
    return installed_version() or f"unknown, Python {sys.version_info.major}.{sys.version_info.minor}"
