"""From `WEBHOOKS["EVENTS"]` to the allow-list of each event: the fields it may carry, with their types.

A table by event name is a setting; what a type accepts is `webhooks_core.allowlist`'s business. Invariant:
one bad list makes all of them bad, and a bad setting closes the gate. Explained in
docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from webhooks_core.allowlist import EventFields
from webhooks_core.django.values import BadValue, shown
from webhooks_core.envelope import EVENT_NAME
from webhooks_core.errors import ConfigError


def read_event_lists(raw: object) -> dict[str, EventFields]:
    """Read the allow-lists of all events, by name."""
    if not isinstance(raw, Mapping):
        raise BadValue("must be a dictionary: event name to its fields and their types")
    found: dict[str, EventFields] = {}
    for name, fields in raw.items():
        if not isinstance(name, str) or not EVENT_NAME.fullmatch(name):
            raise BadValue(
                f"[{shown(name)}] must be the name of an event: a-z 0-9 _ . and at most 64 characters"
            )
        try:
            found[name] = EventFields.parse(fields, path=f'["{name}"]')
        except ConfigError as error:
            raise BadValue(f"{error.path}: {error.problem}") from None
    return found
