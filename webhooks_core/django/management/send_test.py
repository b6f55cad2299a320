"""`manage.py webhooks send-test`: one signed event to one endpoint, now, and what came of it.

An operator's explicit act, to see whether the receiver verifies what we sign before anything is switched
on: it asks neither master switch nor percentage and is no evidence. Invariant: the kill switch stops it,
and the answer shows no URL, no secret and only the beginning of the signature. Explained in
docs/reference/commands.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from webhooks_core import standard
from webhooks_core.delivery import Delivered, Delivery, Held, Settlement
from webhooks_core.django import wiring
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.endpoint import Endpoint
from webhooks_core.envelope import seal
from webhooks_core.errors import ConfigError, EnvelopeError
from webhooks_core.events import SIGNATURE_SHOWN
from webhooks_core.scheme import Scheme, acceptance
from webhooks_core.signer import SIGNATURE
from webhooks_core.transport.base import Request, Response, Transport

DATA = {"test": "canary"}  # as in the runbook's own sample
TRIED = (Scheme.TIMESTAMPED, Scheme.BODY)  # one secret signs for both


class NotingTransport:
    """A transport that remembers the signature it has sent."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.signature: str | None = None

    def send(self, request: Request) -> Response:
        """Send, after noting how the signature begins."""
        shown = request.headers.get(SIGNATURE) or request.headers[standard.SIGNATURE]
        self.signature = shown[:SIGNATURE_SHOWN]
        return self._transport.send(request)

    def close(self) -> None:
        """Leave the connections to whoever owns them."""


def add(verbs: Any) -> None:
    """Add the command."""
    about = "send one signed event to an endpoint now, whatever master switch and percentage say"
    test = verbs.add_parser("send-test", help=about, description=about)
    test.add_argument("--endpoint", default="default", help="id of the endpoint (default: %(default)s)")
    test.add_argument("--event", default="test", help="name of the event (default: %(default)s)")
    about = "sign it so, whatever the settings say: does the receiver accept it? (2 where it does not)"
    test.add_argument("--scheme", choices=[each.value for each in TRIED], help=about)
    test.set_defaults(
        answer=lambda options: send_test(
            endpoint_id=options["endpoint"], event=options["event"], scheme=options["scheme"]
        )
    )


def send_test(*, endpoint_id: str, event: str, scheme: str | None = None) -> Answer:
    """Send one event and say what came of it.

    Args:
        endpoint_id: Where to.
        event: The event's name.
        scheme: Another scheme than the endpoint's, to see whether the receiver accepts it.
    """
    try:
        sending = wiring.sending()
    except ConfigError as error:
        return _not_sent(Exit.UNREADABLE, f"{error}")
    endpoint = sending.endpoints.get(endpoint_id)
    if endpoint is None:
        known = ", ".join(sending.endpoints) or "none"
        return _not_sent(Exit.NOT_FOUND, f'there is no endpoint "{endpoint_id}"; known are: {known}')
    if scheme is not None:
        if endpoint.scheme is Scheme.STANDARD:  # its secrets are the bytes of a whsec_ text
            return _not_sent(
                Exit.REFUSED, f"{endpoint.id} is of scheme standard, whose secrets sign no other"
            )
        endpoint = replace(endpoint, scheme=Scheme(scheme))
    try:
        envelope = seal(event, DATA, webhook_id=wiring.new_delivery_id())
    except EnvelopeError as error:
        return _not_sent(Exit.REFUSED, f"{error}")
    delivery = Delivery(
        webhook_id=envelope.webhook_id,
        event=envelope.event,
        body=envelope.body,
        created_at=wiring.clock(),
        endpoint_id=endpoint.id,
    )
    capture = wiring.capture()
    if capture is not None and capture(delivery, None):
        return _captured(delivery)
    noting = NotingTransport(sending.transport)
    settlement = wiring.sender_of_tests(noting).attempt(delivery, endpoint)
    answer = _answer(settlement, endpoint, signature=noting.signature)
    return answer if scheme is None or answer.code is Exit.KILLED else _verdict(answer, endpoint)


def _verdict(answer: Answer, endpoint: Endpoint) -> Answer:
    """Say whether the endpoint may be sent to by the scheme that was tried."""
    accepts = answer.code is Exit.DONE
    said = (
        f"{endpoint.id} accepts scheme {endpoint.scheme}."
        if accepts
        else f"REFUSED: {endpoint.id} was not seen to accept scheme {endpoint.scheme}. Do not set it: every"
        " delivery would end like this one."
    )
    code = Exit.DONE if accepts else Exit.REFUSED
    lines, data = [*answer.lines, said], {**answer.data, "accepted": accepts}
    if accepts and endpoint.scheme is Scheme.BODY:
        data["body_accepted"] = seen = acceptance(endpoint.id, endpoint.url)
        lines.append(f'It may be set once WEBHOOKS["BODY_ACCEPTED"] lists "{seen}".')
    return Answer(
        code=code,
        lines=lines,
        data=data,
        is_report=answer.is_report,
    )


def _answer(settlement: Settlement, endpoint: Endpoint, *, signature: str | None) -> Answer:
    if isinstance(settlement, Held):
        return _not_sent(Exit.KILLED, f"{settlement.reason}: nothing was sent")
    record = settlement.record
    if record is None:
        return _not_sent(Exit.FAILED, f"not sent: {settlement.kind}")
    latency_ms = round(record.elapsed_seconds * 1000)
    delivered = isinstance(settlement, Delivered)
    data = {
        **_about(settlement.delivery),
        "outcome": record.outcome,
        "status": record.status,
        "latency_ms": latency_ms,
        "signature": signature,
        "scheme": endpoint.scheme,
        "error": None if delivered else record.error,
    }
    said = f"status {record.status}" if record.status is not None else record.error
    lines = [
        f"{'Delivered' if delivered else 'Not delivered'}: {settlement.delivery.event} to {endpoint.id}, "
        f"{said}, {record.outcome}, {latency_ms} ms",
        f"webhook_id {settlement.delivery.webhook_id}, signature {signature}..., scheme {endpoint.scheme}",
    ]
    return Answer(code=Exit.DONE if delivered else Exit.FAILED, lines=lines, data=data)


def _captured(delivery: Delivery) -> Answer:
    line = "Captured by webhooks_core.testing.outbox: a test does not reach a network."
    return Answer(lines=[line], data={**_about(delivery), "outcome": "captured"})


def _about(delivery: Delivery) -> dict[str, object]:
    return {"endpoint": delivery.endpoint_id, "event": delivery.event, "webhook_id": delivery.webhook_id}


def _not_sent(code: Exit, error: str) -> Answer:
    return Answer(code=code, lines=[f"Not sent: {error}."], data={"error": error})
