"""A share of the units, exact: the decimal a person wrote and the threshold of the bucket that follows
from it.

No binary float lives here: 12.5 % is the text "12.5". The invariant is `threshold = floor(percentage ·
2^64 / 100)`, so that 0 is nobody and 100 is everybody by rule. Explained in docs/explanation/bucketing.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import lru_cache
from typing import ClassVar

from rollout.errors import ConfigError

__all__ = ["EVERYBODY", "MAX_DIGITS", "NOBODY", "POSITIONS", "Percentage"]

# One more than the highest position: the first 8 bytes of a digest as a number (the contract §2).
POSITIONS = 2**64
# Digits after the point. 2^64 positions tell apart steps of 5.4e-18 %; 20 digits are beyond what anybody
# can see.
MAX_DIGITS = 20

_TEXT = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,20})?", re.ASCII)
_ALLOWED = 'write a number from 0 to 100, at most 20 digits after the point, such as 5 or "12.5"'
# Own precision: the caller's decimal context may round, and a rounded percentage is another one.
_EXACT = Context(prec=60, traps=[])
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Percentage:
    """A share of the units from 0 to 100, exact to 20 digits after the point. Build it with `parse`.

    Args:
        value: The percentage as a decimal. Trailing zeros carry no meaning and are dropped.

    Raises:
        ConfigError: *value* is no finite decimal from 0 to 100, or has more than 20 digits after the point.
    """

    value: Decimal
    #: Positions below it are in: 0 to 2^64.
    threshold: int = field(init=False, repr=False, compare=False)

    NOBODY: ClassVar[Percentage]
    EVERYBODY: ClassVar[Percentage]

    def __post_init__(self) -> None:
        value: object = self.value
        if not isinstance(value, Decimal):
            raise ConfigError(
                "percentage", f"must be a Decimal, got {type(value).__name__}; use Percentage.parse"
            )
        exact = _checked(value, path="percentage")
        object.__setattr__(self, "value", exact)
        units = int(_EXACT.scaleb(exact, MAX_DIGITS))
        object.__setattr__(self, "threshold", units * POSITIONS // (100 * 10**MAX_DIGITS))

    @classmethod
    def parse(cls, value: object, *, path: str = "percentage") -> Percentage:
        """Read a percentage that a person wrote.

        Args:
            value: An integer, a `Decimal`, or text such as "12.5": ASCII digits and at most one point; no
                sign, exponent, space or percent sign. A float is refused: 0.1 is not a tenth in binary.
            path: Where it stands, for the message.

        Raises:
            ConfigError: *value* is anything else, or not from 0 to 100.
        """
        if isinstance(value, Percentage):
            return value
        if isinstance(value, str):
            if not _TEXT.fullmatch(value):
                raise ConfigError(path, f"{_shown(value)} is no percentage: {_ALLOWED}")
            return _of_text(str.__str__(value), path)
        if isinstance(value, float):
            raise ConfigError(path, f'a float is not exact: write it as text, such as "{value:.10g}"')
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise ConfigError(path, f"got {type(value).__name__}: {_ALLOWED}")
        if isinstance(value, int) and not 0 <= value <= 100:
            raise ConfigError(path, f"an integer outside 0 to 100: {_ALLOWED}")
        return cls(value=_checked(Decimal(value), path=path))

    @property
    def basis_points(self) -> str:
        """The percentage in hundredths of a percent as text: 5 % is "500", 0.125 % is "12.5"."""
        return _plain(_EXACT.multiply(self.value, _HUNDRED))

    def __str__(self) -> str:
        return _plain(self.value)


def _checked(value: Decimal, *, path: str) -> Decimal:
    if not value.is_finite() or not 0 <= value <= 100:
        raise ConfigError(path, f"not a number from 0 to 100: {_ALLOWED}")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DIGITS:
        raise ConfigError(path, f"more than {MAX_DIGITS} digits after the point: {_ALLOWED}")
    return Decimal(_plain(_EXACT.abs(value)))


def _plain(value: Decimal) -> str:
    return format(_EXACT.normalize(value), "f")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 24 else text[:24] + "…")


@lru_cache(maxsize=1024)
def _of_text(text: str, path: str) -> Percentage:
    value = Decimal(text)
    return Percentage(value=_checked(value, path=path))


NOBODY = Percentage.NOBODY = Percentage(value=Decimal(0))
EVERYBODY = Percentage.EVERYBODY = Percentage(value=_HUNDRED)
