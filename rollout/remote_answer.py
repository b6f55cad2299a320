"""What an answer of another OpenFeature provider is worth: asked in its words, judged in ours. Pure.

The invariants: nothing but the value True, of a provider that is ready, without an error, not stale for too
long, is on; whatever the other side made up reaches a log only as a few harmless characters. Explained in
docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus

from rollout.decision import ErrorCode, Reason

__all__ = ["Answer", "judged", "mapped", "off", "recorded"]

_HARMLESS = re.compile(r"[^A-Za-z0-9_.:/+-]")
_MOST_LETTERS = 64
_NOT_READY = frozenset({ProviderStatus.NOT_READY, ProviderStatus.FATAL})
# OpenFeature's code for a provider that will never be ready; ours knows no difference.
_FATAL = "PROVIDER_FATAL"


class Answer(NamedTuple):
    """What the other provider's answer comes to."""

    value: bool
    reason: Reason
    code: ErrorCode | None
    detail: str


def off(code: ErrorCode, problem: str) -> Answer:
    """Return the answer where there is none: off, ERROR."""
    return Answer(False, Reason.ERROR, code, f"openfeature: {problem}")  # noqa: FBT003 (a named tuple's value)


def judged(
    details: FlagEvaluationDetails[bool], status: ProviderStatus, *, stale_for: float | None, most: float
) -> Answer:
    """Return what *details* is worth.

    Args:
        details: What the client returned; nothing in it is believed but the value True.
        status: What the SDK says of the provider.
        stale_for: Seconds since the provider became stale; None: it is not.
        most: How long, in seconds, a stale provider is still believed.
    """
    if status in _NOT_READY:
        return off(ErrorCode.PROVIDER_NOT_READY, "the provider is not ready")
    if status is ProviderStatus.ERROR:
        return off(ErrorCode.GENERAL, "the provider is in error")
    reason = _shown(details.reason)
    if details.error_code is not None or reason == Reason.ERROR:
        code = _code(details.error_code)
        return off(code, f"the provider answered {code}")
    value: object = details.value
    if value is not True and value is not False:
        return off(ErrorCode.TYPE_MISMATCH, f"the flag is {_shown(type(value).__name__)}, not boolean")
    if stale_for is not None and stale_for > most:
        return Answer(False, Reason.STALE, None, f"openfeature stale: for {stale_for:.0f} s")  # noqa: FBT003
    return Answer(value, _reason(reason), None, f"openfeature: {reason} {_shown(details.variant)}".rstrip())


def recorded(answer: Answer, *, by_attributes: bool) -> Answer:
    """Return *answer* with the reason that a delivery's row is to keep, which says what may be asked again.

    Args:
        answer: What the other side's answer is worth.
        by_attributes: It would not let the unit in by itself: TARGETING_MATCH, whatever its own word is.
    """
    if answer.value and by_attributes:
        return answer._replace(reason=Reason.TARGETING_MATCH)
    if answer.value and answer.reason is Reason.TARGETING_MATCH:
        return answer._replace(reason=Reason.SPLIT)
    return answer


def _code(code: object) -> ErrorCode:
    if str(code) == _FATAL:
        return ErrorCode.PROVIDER_NOT_READY
    try:
        return ErrorCode(str(code))
    except ValueError:
        return ErrorCode.GENERAL


def _reason(word: str) -> Reason:
    """Return the reason that *word* is; a provider may use words of its own, such as FALLTHROUGH."""
    try:
        return Reason(word)
    except ValueError:
        return Reason.UNKNOWN


def _shown(text: object) -> str:
    return "" if text is None else _HARMLESS.sub("_", str(text))[:_MOST_LETTERS]


def mapped(
    attributes: Mapping[str, object], *, names: Mapping[str, str]
) -> dict[str, EvaluationContextAttribute]:
    """Return *attributes* as OpenFeature knows them, under the names that the other side uses.

    A UUID becomes its text, a Decimal a number. What is neither text, a number, a boolean nor a moment is
    left out, so that no rule matches it.

    Args:
        names: Their names by ours; an attribute that is not in it keeps its name.
    """
    plain = {names.get(name, name): _plain(value) for name, value in attributes.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: object) -> EvaluationContextAttribute | None:
    if isinstance(value, (bool, int, float, str, datetime)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value) if isinstance(value, UUID) else None
