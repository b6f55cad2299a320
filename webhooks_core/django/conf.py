"""The settings of sending: read once, turned into one frozen value, with a list of what is wrong.

The only place of this app that looks at Django's settings and at the environment. A bad value never stops
the process: it stands in `WebhookSettings.problems`, which system checks report and the gate takes for
*closed, ERROR*. Invariant: where `problems` is empty, everything downstream can be built. Listed in
docs/reference/settings.md.
"""

from __future__ import annotations

import json
import os

from django.conf import settings
from django.core.signals import setting_changed

from webhooks_core.django.parsed import FLAT, NEVER_OPENS, TABLE, WebhookSettings, load
from webhooks_core.django.test_environment import was_debug
from webhooks_core.django.values import clean, nearest

__all__ = ["FLAT", "NEVER_OPENS", "TABLE", "WebhookSettings", "current", "forget", "load", "misspelt"]


def from_django(name: str) -> object:
    """Return a setting; where it is unset, the environment variable of the same name for the flat ones."""
    value = getattr(settings, name, None)
    if name in FLAT:
        return from_environment(name) if value is None or value == "" else value
    return value


def from_environment(name: str) -> object:
    """Return an environment variable without quotes and line ends; None where it is not set or empty.

    A secret is left as it is, except that one which begins with `[` is a JSON list; where it is none, what is
    returned is no text, so that nothing signs with brackets and quotes.
    """
    text = os.environ.get(name)
    if not text:
        return None
    if name != "WEBHOOK_SECRET":
        return clean(text) or None
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return BrokenJsonList()
    return text


class BrokenJsonList:
    """In place of a text that begins with `[` and is no JSON; its name is what a problem says of it."""


_current: WebhookSettings | None = None


def current() -> WebhookSettings:
    """Return the settings in force, parsed at the first call and again after `setting_changed`."""
    global _current  # noqa: PLW0603 - one value per process, replaced in one assignment
    found = _current
    if found is None:
        _current = found = load(from_django, debug=bool(settings.DEBUG) or was_debug())
    return found


def forget(*, setting: str = "WEBHOOKS", **_signal: object) -> None:
    """Parse again at the next call, when *setting* is one of ours (`override_settings` sends it)."""
    global _current  # noqa: PLW0603
    if setting in (*FLAT, "WEBHOOKS", "CACHES", "DEBUG", "INSTALLED_APPS"):
        _current = None


def misspelt() -> list[tuple[str, str]]:
    """Return settings and environment variables that are nearly ours, each with the one it is near to."""
    names = {name for name in (*dir(settings), *os.environ) if name.startswith("WEBHOOK")}
    found = ((name, nearest(name, FLAT, cutoff=0.8)) for name in sorted(names - {*FLAT, "WEBHOOKS"}))
    return [(name, near) for name, near in found if near is not None]


setting_changed.connect(forget, dispatch_uid="webhooks_core.django.conf")
