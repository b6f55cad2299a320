"""What a flag is evaluated for: the unit and its attributes; and the one text every unit has.

A context holds whatever the caller gave: evaluating must not raise, so judging it is left to `unit_text`. The
invariant: 101 and "101" are one unit, and nothing that is not clearly an id is a unit at all. Explained in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from rollout.errors import InvalidContext, TargetingKeyMissing

__all__ = ["EvaluationContext", "unit_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationContext:
    """The unit a flag is evaluated for, and what rules may ask about it.

    Args:
        unit: The id the percentage is taken of: an integer, a text or a UUID.
        attributes: Names and values that rules compare: text, numbers, booleans, UUIDs.
    """

    unit: object = None
    attributes: Mapping[str, object] = field(default_factory=dict)


def unit_text(unit: object, *, flag: str) -> str:
    """Return the text of *unit* that is hashed: digits of an integer, a text as it is, a UUID's canonical
    form.

    Nothing is trimmed, folded or normalised: "0101", " 101" and "Ä" written in two ways are units of their
    own.

    Args:
        unit: An integer, a text that is not empty and can be written as UTF-8, or a UUID.
        flag: The flag's key, for the message.

    Raises:
        TargetingKeyMissing: *unit* is None or "".
        InvalidContext: *unit* is a boolean, a float, bytes or any other type; holds half a surrogate pair;
            or is an integer of more digits than Python writes (4,300).
    """
    if isinstance(unit, int) and unit is not True and unit is not False:
        try:
            return int.__repr__(unit)
        except ValueError:
            raise InvalidContext(flag, "the unit is an integer with too many digits") from None
    if unit is None:
        raise TargetingKeyMissing(flag)
    if isinstance(unit, str):
        return _utf8(str.__str__(unit), flag=flag)
    if isinstance(unit, UUID):
        return UUID.__str__(unit)
    raise InvalidContext(
        flag, f"a unit is an integer, a text or a UUID, not {type(unit).__name__}; pass its id"
    )


def _utf8(text: str, *, flag: str) -> str:
    if not text:
        raise TargetingKeyMissing(flag)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidContext(flag, "the unit holds half a surrogate pair, which has no UTF-8 form") from None
    return text
