"""What `ROLLOUT["OPENFEATURE"]` says: which other OpenFeature provider owns the flag, and how it is asked.

A part of `conf`, which brings the value; nothing here imports the SDK, which need not be installed.
Invariant: a bad value becomes a problem, never a crash and never an open gate. Listed in
docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from webhooks_core.django.secret_settings import read_callable_path
from webhooks_core.django.values import BadValue, Reading, Spot, matching, number

if TYPE_CHECKING:
    from rollout.remote import Remote

KEYS = ("DOMAIN", "PROVIDER", "FLAGS", "UNIT", "TIMEOUT", "STALE_SECONDS", "ATTRIBUTES", "CONTEXT")
ID = "rollout.E017"
MAX_TIMEOUT_SECONDS = 5  # as rollout.remote has it, which needs the SDK
MAX_STALE_SECONDS = 30  # contract §3: a snapshot may be 30 s old

_name = matching(r"\S.{0,127}", "must be text of at most 128 characters")
_unit = matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "must be a name, such as tournament_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFeatureSettings:
    """The parsed table; the words are those of `rollout.remote.Remote`.

    Args:
        provider: The dotted path of a callable that returns a provider, set in each process; None: the
            project sets one itself.
    """

    domain: str | None = None
    provider: str | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    unit: str = "tournament_id"
    timeout_seconds: float = 0.1
    stale_seconds: float = float(MAX_STALE_SECONDS)
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def remote(self, flag: str) -> Remote:
        """Return which provider is asked for the flag that the settings name, and for those they map."""
        from rollout.flags import FlagKey
        from rollout.remote import Remote

        theirs = {flag: flag, **self.flags}
        return Remote(
            flags={FlagKey(key): name for key, name in theirs.items()},
            domain=self.domain,
            unit=self.unit,
            timeout_seconds=self.timeout_seconds,
            stale_seconds=self.stale_seconds,
            names=self.names,
            fixed=self.fixed,
        )


def read(reading: Reading, raw: object) -> OpenFeatureSettings:
    """Parse the table (None: unset); what is wrong becomes a problem of *reading*."""
    setting = 'ROLLOUT["OPENFEATURE"]'
    if find_spec("openfeature") is None:
        reading.add(
            Spot(id=ID, setting=setting, raw=raw), "needs openfeature-sdk: rollout-webhooks[openfeature]"
        )
    table = {} if raw is None else reading.table(Spot(id=ID, setting=setting, raw=raw), KEYS)

    def spot(key: str) -> Spot:
        return Spot(id=ID, setting=f'{setting}["{key}"]', raw=table.get(key))

    return OpenFeatureSettings(
        domain=reading.value(spot("DOMAIN"), _name, default=None),
        provider=reading.value(spot("PROVIDER"), read_callable_path, default=None),
        flags=reading.value(spot("FLAGS"), _names, default={}),
        unit=reading.value(spot("UNIT"), _unit, default="tournament_id"),
        timeout_seconds=reading.value(
            spot("TIMEOUT"), number(above=0, at_most=MAX_TIMEOUT_SECONDS), default=0.1
        ),
        stale_seconds=reading.value(
            spot("STALE_SECONDS"),
            number(at_least=0, at_most=MAX_STALE_SECONDS),
            default=float(MAX_STALE_SECONDS),
        ),
        names=reading.value(spot("ATTRIBUTES"), _names, default={}),
        fixed=reading.value(spot("CONTEXT"), _fixed, default={}),
    )


def _names(raw: object) -> dict[str, str]:
    allowed = "must be a dictionary of names there by names here"
    if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
        raise BadValue(allowed)
    try:
        return {key: _name(value) for key, value in raw.items()}
    except BadValue as error:
        raise BadValue(f"{allowed}; each {error}") from None


def _fixed(raw: object) -> dict[str, str | int | float | bool]:
    if not isinstance(raw, Mapping) or not all(
        isinstance(key, str) and isinstance(value, (str, int, float, bool)) for key, value in raw.items()
    ):
        raise BadValue("must be a dictionary of text, numbers and booleans by name")
    return dict(raw)
