"""`dispatch`: an event of the application, behind the gate, on its way to the endpoints after the commit.

The edge between the application and us. Invariants: it never raises into its caller and never breaks the
caller's transaction; a closed gate costs no query and does nothing else; what is checked for personal data
are the bytes that are sent; a rolled back transaction sends nothing. Explained in
docs/explanation/architecture.md, "The way of an event".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from rollout.context import unit_text
from rollout.decision import Decision, ErrorCode, Reason
from rollout.django import wiring
from rollout.django.permit import GatedDelivery, reason_of
from rollout.errors import RolloutError
from webhooks_core import pii
from webhooks_core.allowlist import EventFields
from webhooks_core.django import wiring as webhooks
from webhooks_core.endpoint import Endpoint
from webhooks_core.envelope import parse_strict, seal
from webhooks_core.errors import ConfigError, EnvelopeError
from webhooks_core.events import Blocked, Skipped, emit
from webhooks_core.observers.safe import safe

MAX_FINDINGS = 10  # a body full of addresses must not fill the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """What became of a dispatch. True where something is on its way.

    Args:
        decision: What the gate said and why; reason ERROR where something went wrong on our side.
        webhook_ids: One id for each endpoint that the event goes to; none where it was blocked.
    """

    decision: Decision
    webhook_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.webhook_ids)


def dispatch(
    event: str,
    data: Mapping[str, object],
    *,
    metadata: Mapping[str, object] | None = None,
    endpoint: str | None = None,
    using: str | None = None,
    **context: object,
) -> Dispatched:
    """Send *event* to the endpoints that want it, if the gate is open for its unit. Never raises.

    Inside a transaction it goes out after the commit, and not at all after a roll-back.

    Args:
        event: Name of the event, `[a-z0-9_.]{1,64}`.
        data: What happened: ids and counts, no personal data.
        metadata: Facts about the event, such as counts of notifications.
        endpoint: Id of the one endpoint to send to; all that want the event when left out.
        using: Alias of the database whose commit is waited for; the default database when left out.
        context: The unit (such as `tournament_id=101`) and whatever the flag's rules ask about.

    Returns:
        The gate's decision and the ids of what is on its way.
    """
    try:
        unit = context.get(wiring.gate.unit_name())
        decision = wiring.gate(unit, attributes=context)
        if not decision:
            emit(webhooks.observer(), Skipped(event=event, reason=reason_of(decision)))
            return Dispatched(decision=decision)
        happened = _Happened(event=event, data=data, metadata=metadata, decision=decision, unit=unit)
        return _record(happened, endpoint=endpoint, using=using or DEFAULT_DB_ALIAS)
    except Exception as error:  # noqa: BLE001 - the edge: what fails on our side is logged and stays here
        _log(event, error)
        return Dispatched(decision=_failed(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    """One event that the gate let in."""

    event: str
    data: Mapping[str, object]
    metadata: Mapping[str, object] | None
    decision: Decision
    unit: object

    def sealed_for(self, endpoint: Endpoint, *, now: float) -> GatedDelivery:
        """Return the delivery to *endpoint*, its bytes made once and for all."""
        envelope = seal(self.event, self.data, metadata=self.metadata, webhook_id=webhooks.new_delivery_id())
        return GatedDelivery(
            webhook_id=envelope.webhook_id,
            event=envelope.event,
            body=envelope.body,
            created_at=now,
            endpoint_id=endpoint.id,
            unit=self.decision.unit or _text(self.unit),
            admitted_by=self.decision.reason,
        )


def _record(happened: _Happened, *, endpoint: str | None, using: str) -> Dispatched:
    """Seal, check and schedule; nothing is sent before the commit."""
    sending = webhooks.sending()
    now = webhooks.clock()
    targets = _targets(sending, happened.event, endpoint)
    try:
        deliveries = [happened.sealed_for(target, now=now) for target in targets]
    except EnvelopeError as error:
        path = pii.shown_path(error.path, _fields(sending, happened.event))
        emit(sending.observer, Blocked(event=happened.event, kind="envelope", path=path))
        return Dispatched(decision=happened.decision)
    if not deliveries or _is_blocked(sending, deliveries[0]):
        return Dispatched(decision=happened.decision)
    capture = webhooks.capture()
    waiting = [
        delivery for delivery in deliveries if capture is None or not capture(delivery, happened.decision)
    ]
    if waiting:
        _after_commit(lambda: _deliver(sending, waiting), using=using)
    return Dispatched(
        decision=happened.decision, webhook_ids=tuple(delivery.webhook_id for delivery in deliveries)
    )


def _targets(sending: webhooks.Sending, event: str, endpoint: str | None) -> list[Endpoint]:
    if endpoint is None:
        return [target for target in sending.endpoints.values() if target.accepts(event)]
    known = sending.endpoints.get(endpoint)
    if known is not None and known.accepts(event):
        return [known]
    problem = "unknown endpoint" if known is None else "endpoint does not take this event"
    wiring.log_failure(
        f"Webhook dispatch failed: event={safe(event)}, error={problem}, endpoint={safe(endpoint)}"
    )
    return []


def _is_blocked(sending: webhooks.Sending, delivery: GatedDelivery) -> bool:
    """Look for personal data in the very bytes that would be sent, and tell where it was found."""
    payload = parse_strict(delivery.body)
    findings = pii.check(
        _table(payload["data"]), _table(payload["metadata"]), _fields(sending, delivery.event)
    )
    for finding in findings[:MAX_FINDINGS]:
        emit(sending.observer, Blocked(event=delivery.event, kind=finding.kind, path=finding.path))
    return bool(findings)


def _fields(sending: webhooks.Sending, event: object) -> EventFields | None:
    return sending.settings.events.get(event) if isinstance(event, str) else None


def _table(part: object) -> Mapping[str, object]:
    assert isinstance(part, dict)  # `seal` wrote it
    return part


def _after_commit(run: Callable[[], None], *, using: str) -> None:
    """Call *run* once the transaction on *using* has committed; right away where there is none.

    No connection is opened to find out: one that was never opened is in no transaction. In a running event
    loop, where Django has no transactions, a thread does it, so that the loop never waits for a receiver.
    """
    connection = connections[using]
    is_open = connection.connection is not None
    autocommits = connection.autocommit if is_open else connection.settings_dict.get("AUTOCOMMIT", True)
    if connection.in_atomic_block or not autocommits:
        transaction.on_commit(run, using=using, robust=True)
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        run()
        return
    loop.run_in_executor(None, copy_context().run, run)


def _deliver(sending: webhooks.Sending, deliveries: list[GatedDelivery]) -> None:
    """Hand each delivery to the engine; what fails with one of them does not touch the next."""
    for delivery in deliveries:
        try:
            sending.deliver(delivery)
        except Exception as error:  # noqa: BLE001 - the caller's request goes on; the failure is logged
            _log(delivery.event, error)


def _text(unit: object) -> str | None:
    try:
        return unit_text(unit, flag=wiring.gate.flag)
    except RolloutError:  # an override let in what is no unit
        return None


def _failed(error: Exception) -> Decision:
    detail = f"{type(error).__name__} while dispatching"
    return wiring.closed("", Reason.ERROR, ErrorCode.GENERAL, detail=detail)


def _log(event: object, error: Exception) -> None:
    """Log the type and the place of *error*, never its text: it may hold what was to be sent."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    at = "?" if place is None else f"{place.tb_frame.f_globals.get('__name__', '?')}:{place.tb_lineno}"
    name = safe(event if isinstance(event, str) else None)
    setting = f", setting={safe(error.path)}" if isinstance(error, ConfigError) else ""
    wiring.log_failure(
        f"Webhook dispatch failed: event={name}, error={type(error).__name__}, at={at}{setting}"
    )
