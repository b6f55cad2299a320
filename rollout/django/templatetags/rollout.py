"""Ask a flag in a template: `{% load rollout %}{% flag_is_on "new-bracket" tournament.id as is_new %}`.

The flags of the project's settings answer, and never raise. Explained in docs/how-to/ask-a-flag-in-django.md.
"""

from __future__ import annotations

from django import template

from rollout.django.wiring import SettingsFlags

register = template.Library()
_flags = SettingsFlags()


@register.simple_tag
def flag_is_on(key: str, unit: object = None, **attributes: object) -> bool:
    """Say whether *unit* is in; everything else by name is an attribute for rules.

    Args:
        unit: An integer, a text or a UUID. A variable that is not there is "", which is no unit: off.
    """
    return _flags.decide(key, unit, attributes or None).value
