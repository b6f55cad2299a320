"""Where the objects of sending and receiving are built from the settings: the app's one composition root.

Built when first asked for, once per process, and again after a fork or when a setting changes under a test.
Importing this opens nothing and starts nothing. Invariant: while Django's test environment is set up, no
delivery gets past `capture` unless a test asks for it. Explained in docs/explanation/architecture.md.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.apps import apps
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from webhooks_core.delivery import Delivery, Sender, SendPermit, Settlement, always_send
from webhooks_core.django import conf, sharing, test_environment
from webhooks_core.endpoint import DEFAULT_ID, Endpoint
from webhooks_core.engines.base import Engine
from webhooks_core.engines.inline import InlineEngine
from webhooks_core.errors import ConfigError
from webhooks_core.observers.log import LogObserver
from webhooks_core.outbox.base import SettleSink
from webhooks_core.per_process import PerProcess
from webhooks_core.receiving import Handler, Receiver
from webhooks_core.retry import RetryPolicy
from webhooks_core.stores.breakers import BreakerStore, MemoryBreakerStore
from webhooks_core.stores.replay import ReplayStore
from webhooks_core.transport.base import Transport
from webhooks_core.verifier import Verifier

if TYPE_CHECKING:
    from webhooks_core.django.outbox import DjangoOutbox
    from webhooks_core.worker.service import Heartbeat

# Named, not imported: this package does not know `rollout`. In force where that app is installed.
ROLLOUT_APP = "rollout.django"
ROLLOUT_PERMIT = "rollout.django.permit.send_permit"
ROLLOUT_SINK = "rollout.django.sink.settle_sink"
ROLLOUT_PULSE = "rollout.django.pulse.pulse"
ROLLOUT_TEST_PERMIT = "rollout.django.permit.test_permit"
# Named, not imported: production code does not load testing code.
CAPTURE = "webhooks_core.testing.captured.in_force"

Capture = Callable[[Delivery, object], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What one process sends with; `outbox` is there unless the engine is `inline`."""

    settings: conf.WebhookSettings
    endpoints: Mapping[str, Endpoint]
    transport: Transport
    sender: Sender
    engine: Engine
    observer: LogObserver
    breakers: BreakerStore
    outbox: DjangoOutbox | None = None

    def deliver(self, delivery: Delivery) -> Settlement:
        """Take *delivery* as far as the engine gets it."""
        return self.engine.deliver(delivery, self.endpoints[delivery.endpoint_id])


observer = PerProcess(LogObserver)


def _build() -> Sending:
    found = conf.current()
    if found.problems:
        raise ConfigError(found.problems[0].setting, found.problems[0].allowed)
    transport = _transport()
    permit = _named(found.send_permit or (ROLLOUT_PERMIT if apps.is_installed(ROLLOUT_APP) else None))
    breakers = sharing.breakers(found)
    sender = _sender(found, transport, breakers, permit=permit)
    return Sending(
        settings=found,
        endpoints={name: endpoint.build() for name, endpoint in found.endpoints.items()},
        transport=transport,
        sender=sender,
        engine=InlineEngine(sender),
        observer=observer(),
        breakers=breakers,
        outbox=outbox(found) if found.engine != "inline" else None,
    )


def _transport() -> Transport:
    from webhooks_core.transport.requests import RequestsTransport  # the only edge that needs `requests`

    return RequestsTransport()


def _named(path: str | None) -> SendPermit:
    if path is None:
        return always_send
    permit: SendPermit = import_string(path)
    return permit


def outbox(found: conf.WebhookSettings) -> DjangoOutbox:
    """Return the outbox of the settings *found*, whatever their engine is: people look into it, too."""
    from webhooks_core.django.outbox import DjangoOutbox  # models: only where the app is installed

    named = found.settle_sink or (ROLLOUT_SINK if apps.is_installed(ROLLOUT_APP) else None)
    sink: SettleSink | None = None if named is None else import_string(named)
    return DjangoOutbox(environment=found.environment, using=found.database, sink=sink, notify=found.notify)


def _sender(
    found: conf.WebhookSettings,
    transport: Transport,
    breakers: BreakerStore,
    *,
    permit: SendPermit,
    is_test: bool = False,
) -> Sender:
    keeps_rows = found.engine != "inline" and not is_test  # without one a slow retry would wait in a thread
    retry = RetryPolicy(
        max_attempts=1 if is_test else found.max_attempts,
        base_seconds=found.retry_base_seconds,
        jitter=found.jitter,
        slow_seconds=found.slow_retries if keeps_rows else (),
    )
    return Sender(transport, breakers, retry, permit=permit, observer=observer())


def _close(built: Sending) -> None:
    built.transport.close()
    close = getattr(built.breakers, "close", None)
    if close is not None:
        close()


sending = PerProcess(_build, close=_close)


def sender_of_tests(transport: Transport) -> Sender:
    """Return a sender for one attempt that no percentage decides about, with breakers of its own.

    A test send is an operator's explicit act and no evidence: it works before anything is switched on, and
    neither trips nor asks the breaker in force. Only the kill switch stops it.
    """
    permit = _named(ROLLOUT_TEST_PERMIT if apps.is_installed(ROLLOUT_APP) else None)
    found = sending().settings
    breakers = MemoryBreakerStore(sharing.breaker_policy(found))
    return _sender(found, transport, breakers, permit=permit, is_test=True)


def pulse() -> Heartbeat | None:
    """Return what a worker calls four times a second to follow the rollout; None without one."""
    if not apps.is_installed(ROLLOUT_APP):
        return None
    found: Heartbeat = import_string(ROLLOUT_PULSE)
    return found


def capture() -> Capture | None:
    """Return what takes deliveries in place of the network while Django's test environment is set up."""
    if not test_environment.is_set_up():
        return None
    in_force: Callable[[], Capture | None] = import_string(CAPTURE)
    return in_force()


def new_delivery_id() -> str:
    """Return a new id of a delivery: a UUID v4."""
    return str(uuid.uuid4())


def clock() -> float:
    """Return the epoch seconds, UTC."""
    return time.time()


def receiver(handler: Handler, *, endpoint: str = DEFAULT_ID, store: ReplayStore | None = None) -> Receiver:
    """Return a receiver that verifies with the settings of one endpoint: secrets, scheme, replay window.

    Args:
        handler: Called once for each webhook that is new.
        endpoint: Whose secrets; `default` is `WEBHOOK_SECRET`, which needs no `WEBHOOK_ENDPOINT`.
        store: Where handled ids are remembered; when left out, what `WEBHOOKS["REPLAY_STORE"]` says.

    Raises:
        ConfigError: There is no such secret, or no such store.
    """
    found = conf.current()
    keys, scheme = found.verifying(endpoint)
    verifier = Verifier(keys, scheme=scheme, window_seconds=found.replay_window_seconds)
    store = sharing.replays(found, endpoint) if store is None else store
    return Receiver(verifier, store, handler, observer=observer())


def _forget(**_signal: object) -> None:
    sending.forget()
    sharing.forget()


setting_changed.connect(_forget, dispatch_uid="webhooks_core.django.wiring")
