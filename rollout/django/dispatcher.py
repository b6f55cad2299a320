"""`dispatch`: an event of the application, behind the gate, on its way to the endpoints after the commit.

The edge between the application and us. Invariants: it never raises into its caller and never breaks the
caller's transaction; a closed gate costs no query and does nothing else; what is checked for personal data
are the bytes that are sent; a rolled back transaction sends nothing. Explained in
docs/explanation/architecture.md, "The way of an event".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from rollout.context import unit_text
from rollout.decision import Decision, ErrorCode, Reason
from rollout.django import wiring
from rollout.django.handing import after_commit, keep
from rollout.django.permit import reason_of
from rollout.errors import RolloutError
from rollout.increments import of_dispatch, of_envelope
from webhooks_core import pii
from webhooks_core.allowlist import EventFields
from webhooks_core.delivery import Delivery
from webhooks_core.django import wiring as webhooks
from webhooks_core.endpoint import Endpoint
from webhooks_core.envelope import parse_strict, seal
from webhooks_core.errors import ConfigError, EnvelopeError
from webhooks_core.events import Blocked, Skipped, emit
from webhooks_core.observers.safe import safe, words
from webhooks_core.signer import sign

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event for `dispatch_many`; the words are those of `dispatch`."""

    event: str
    data: Mapping[str, object]
    metadata: Mapping[str, object] | None = None
    endpoint: str | None = None
    ordering_key: str | None = None
    context: Mapping[str, object] = field(default_factory=dict)


def dispatch(
    event: str,
    data: Mapping[str, object],
    *,
    metadata: Mapping[str, object] | None = None,
    endpoint: str | None = None,
    using: str | None = None,
    ordering_key: str | None = None,
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
        ordering_key: Such as `match:42`: of the events with this key one is sent at a time, in their order.
            The engine `worker` keeps it; `inline` sends in the order of the calls anyway.
        context: The unit (such as `tournament_id=101`) and whatever the flag's rules ask about.

    Returns:
        The gate's decision and the ids of what is on its way.
    """
    happened = Event(
        event=event,
        data=data,
        metadata=metadata,
        endpoint=endpoint,
        ordering_key=ordering_key,
        context=context,
    )
    return dispatch_many([happened], using=using)[0]


def dispatch_many(events: Iterable[Event], *, using: str | None = None) -> list[Dispatched]:
    """Send several events, each as `dispatch` would; with an outbox they are one INSERT. Never raises.

    Where that INSERT fails none of them is on its way.

    Args:
        events: What happened.
        using: See `dispatch`.

    Returns:
        What became of each, in order.
    """
    begun = time.perf_counter()
    answers: list[Dispatched] = []
    leaving: list[_Leaving] = []
    places: list[int] = []
    for event in events:
        answer, more = _prepared(event)
        places += [len(answers)] * bool(more)
        answers.append(answer)
        leaving += more
    if leaving:
        try:
            _hand_over(leaving, using=using or DEFAULT_DB_ALIAS)
        except Exception as error:  # noqa: BLE001 - the edge: what fails on our side is logged and stays here
            _log(leaving[0].delivery.event, error)
            for place in places:
                answers[place] = Dispatched(decision=_failed(error))
        _count(leaving, seconds=time.perf_counter() - begun)
    return answers


async def adispatch(
    event: str,
    data: Mapping[str, object],
    *,
    metadata: Mapping[str, object] | None = None,
    endpoint: str | None = None,
    using: str | None = None,
    ordering_key: str | None = None,
    **context: object,
) -> Dispatched:
    """Do what `dispatch` does, from async code: in the thread that Django's own async calls use."""
    happened = Event(
        event=event,
        data=data,
        metadata=metadata,
        endpoint=endpoint,
        ordering_key=ordering_key,
        context=context,
    )
    return (await adispatch_many([happened], using=using))[0]


async def adispatch_many(events: Iterable[Event], *, using: str | None = None) -> list[Dispatched]:
    """Do what `dispatch_many` does, from async code: in the thread that Django's own async calls use."""
    return await sync_to_async(dispatch_many)(list(events), using=using)


class _Leaving(NamedTuple):
    """A delivery that is on its way out, and what is noted beside it."""

    delivery: Delivery
    ordering_key: str | None
    scheme: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    """One event that the gate let in."""

    event: str
    data: Mapping[str, object]
    metadata: Mapping[str, object] | None
    decision: Decision
    unit: object

    def sealed_for(self, endpoint: Endpoint, *, now: float) -> Delivery:
        """Return the delivery to *endpoint*, its bytes made once and for all."""
        envelope = seal(self.event, self.data, metadata=self.metadata, webhook_id=webhooks.new_delivery_id())
        return Delivery(
            webhook_id=envelope.webhook_id,
            event=envelope.event,
            body=envelope.body,
            created_at=now,
            endpoint_id=endpoint.id,
            unit=self.decision.unit or _text(self.unit),
            admitted_by=self.decision.reason.value,
        )


def _prepared(event: Event) -> tuple[Dispatched, list[_Leaving]]:
    """Ask the gate, seal and check; return what was decided and what is to leave."""
    try:
        unit = event.context.get(wiring.gate.unit_name())
        decision = wiring.gate(unit, attributes=event.context)
        happened = _Happened(
            event=event.event, data=event.data, metadata=event.metadata, decision=decision, unit=unit
        )
        if not decision:
            emit(webhooks.observer(), Skipped(event=event.event, reason=reason_of(decision)))
            if wiring.is_shadow(decision):
                _shadow(happened, endpoint=event.endpoint)
            return Dispatched(decision=decision), []
        return _sealed(happened, endpoint=event.endpoint, ordering_key=event.ordering_key)
    except Exception as error:  # noqa: BLE001 - the edge: what fails on our side is logged and stays here
        _log(getattr(event, "event", None), error)
        return Dispatched(decision=_failed(error)), []


def _sealed(
    happened: _Happened, *, endpoint: str | None, ordering_key: str | None
) -> tuple[Dispatched, list[_Leaving]]:
    sending = webhooks.sending()
    now = webhooks.clock()
    targets = _targets(sending, happened.event, endpoint)
    nothing = Dispatched(decision=happened.decision)
    try:
        deliveries = [happened.sealed_for(target, now=now) for target in targets]
    except EnvelopeError as error:
        path = pii.shown_path(error.path, _fields(sending, happened.event))
        emit(sending.observer, Blocked(event=happened.event, kind="envelope", path=path))
        return nothing, []
    if not deliveries or _is_blocked(sending, deliveries[0]):
        return nothing, []
    capture = webhooks.capture()
    position = happened.decision.position
    leaving = [
        _Leaving(delivery, ordering_key, target.scheme, "" if position is None else f"{position:016x}")
        for delivery, target in zip(deliveries, targets, strict=True)
        if capture is None or not capture(delivery, happened.decision)
    ]
    ids = tuple(delivery.webhook_id for delivery in deliveries)
    return Dispatched(decision=happened.decision, webhook_ids=ids), leaving


def _hand_over(leaving: list[_Leaving], *, using: str) -> None:
    sending = webhooks.sending()
    outbox = sending.outbox
    if outbox is None:
        after_commit(sending, [each.delivery for each in leaving], using=using, failed=_log)
        return
    from webhooks_core.django.outbox import Entry  # models: only where the app is installed

    keep(outbox, [Entry(**each._asdict()) for each in leaving], using=using)


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


def _is_blocked(sending: webhooks.Sending, delivery: Delivery) -> bool:
    """Look for personal data in the very bytes that would be sent, and tell where it was found."""
    payload = parse_strict(delivery.body)
    findings = pii.check(
        _table(payload["data"]), _table(payload["metadata"]), _fields(sending, delivery.event)
    )
    for finding in findings[:MAX_FINDINGS]:
        emit(sending.observer, Blocked(event=delivery.event, kind=finding.kind, path=finding.path))
    if findings and webhooks.capture() is None:  # a project's own tests stop no host
        from rollout.django import tripping  # models: only where both apps are installed

        tripping.found(delivery.event, next((each for each in findings if each.trips_rollout), findings[0]))
    return bool(findings)


def _shadow(happened: _Happened, *, endpoint: str | None) -> None:
    """Build, check and sign what would be sent, and send nothing: a shadow stage (contract §10)."""
    begun = time.perf_counter()
    sending = webhooks.sending()
    now = webhooks.clock()
    targets = _targets(sending, happened.event, endpoint)
    deliveries = [(each, happened.sealed_for(each, now=now)) for each in targets]
    if not deliveries or _is_blocked(sending, deliveries[0][1]):
        return
    for target, delivery in deliveries:
        sign(
            delivery.body,
            event=delivery.event,
            webhook_id=delivery.webhook_id,
            keys=target.keys,
            scheme=target.scheme,
            now=now,
        )
    _counted(len(deliveries), seconds=time.perf_counter() - begun)


def _count(leaving: list[_Leaving], *, seconds: float) -> None:
    """Count what a dispatch has built and what it has cost its caller, where anybody judges by it."""
    if wiring.built().poll is not None and webhooks.capture() is None:
        _counted(len(leaving), seconds=seconds)


def _counted(envelopes: int, *, seconds: float) -> None:
    from rollout.django.tally import tally  # models: only where both apps are installed

    tally().count(of_envelope(envelopes) + of_dispatch(seconds))
    tally().flush_soon()


def _fields(sending: webhooks.Sending, event: object) -> EventFields | None:
    return sending.settings.events.get(event) if isinstance(event, str) else None


def _table(part: object) -> Mapping[str, object]:
    assert isinstance(part, dict)  # `seal` wrote it
    return part


def _text(unit: object) -> str | None:
    try:
        return unit_text(unit, flag=wiring.gate.flag)
    except RolloutError:  # an override let in what is no unit
        return None


def _failed(error: Exception) -> Decision:
    detail = f"{type(error).__name__} while dispatching"
    return wiring.closed("", Reason.ERROR, ErrorCode.GENERAL, detail=detail)


def _log(event: object, error: Exception) -> None:
    """Log the type and the place of *error*, never its text: it may hold what was to be sent.

    A `ConfigError` is our own and never holds it: it tells the setting and what is wrong.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    at = "?" if place is None else f"{place.tb_frame.f_globals.get('__name__', '?')}:{place.tb_lineno}"
    name = safe(event if isinstance(event, str) else None)
    more = _remedy(error)
    if isinstance(error, ConfigError):
        more = f", setting={safe(error.path)}, problem={words(error.problem)}"
    wiring.log_failure(f"Webhook dispatch failed: event={name}, error={type(error).__name__}, at={at}{more}")


def _remedy(error: Exception) -> str:
    """Return what to do about *error*, where it is the project that was not migrated."""
    if not isinstance(error, DatabaseError):
        return ""
    from webhooks_core.django import schema  # models: only where the app is installed

    return f", problem={schema.REMEDY}" if schema.is_behind(error) else ""
