"""From `WEBHOOKS["EVENTS"]` to the allow-list of each event: the fields it may carry, with their types.

A table, its keys and the types are settings; what a type accepts is `webhooks_core.pii`'s business.
Invariant: an event that is not listed is not sent once there is a list. Explained in
docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from webhooks_core.django.values import BadValue, shown
from webhooks_core.envelope import EVENT_NAME
from webhooks_core.errors import ConfigError

if TYPE_CHECKING:
    from webhooks_core.pii import EventFields


def read_allow_lists(raw: object) -> dict[str, EventFields]:
    """Read the allow-lists of all events, by name."""
    from webhooks_core.pii import EventFields

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
