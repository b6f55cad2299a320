"""Whether a row can be sent at all: what a damaged or hand-edited row looks like.

Pure. Invariant: what is told of a row names the place and never repeats its content.
"""

from __future__ import annotations

from webhooks_core.envelope import EVENT_NAME, parse_strict
from webhooks_core.errors import EnvelopeError
from webhooks_core.settlement import Delivery


def problem_of(delivery: Delivery) -> str:
    """Return why *delivery* cannot be sent, or nothing where it can."""
    if not EVENT_NAME.fullmatch(delivery.event):
        return "the row's event is not a valid name"
    try:
        payload = parse_strict(delivery.body)
    except EnvelopeError as error:
        return f"the row's body cannot be read: {error.problem}"
    if payload.get("event") != delivery.event:
        return "the row's event is not that of its body"
    metadata = payload.get("metadata")
    if isinstance(metadata, dict) and metadata.get("webhook_id", delivery.webhook_id) != delivery.webhook_id:
        return "the row's id is not that of its body"
    return ""
