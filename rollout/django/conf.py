"""The settings of the gate: read once, turned into one frozen value, with a list of what is wrong.

The only place of this app that looks at Django's settings and at the environment. The master switch alone
is read live, at each gate, and *off wins*: if the setting or the environment says off, it is off.
Invariant: a bad value never stops the process and never opens the gate. Listed in
docs/reference/settings.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from django.conf import Settings, settings
from django.core.signals import setting_changed

from rollout.django import openfeature_settings
from rollout.django.openfeature_settings import OpenFeatureSettings
from rollout.errors import ConfigError
from rollout.plan import Plan
from rollout.plan_text import parse_plan
from rollout.sources.env import variable_of
from rollout.sources.kill import VARIABLE
from webhooks_core.django.secret_settings import read_callable_path
from webhooks_core.django.values import (
    SWITCH_ALLOWED,
    BadValue,
    Problem,
    Reading,
    Spot,
    clean,
    matching,
    nearest,
    number,
    one_of,
    switch,
)

T = TypeVar("T")
D = TypeVar("D")

MASTER_SWITCH = "NOTIFICATIONS_WEBHOOK_ENABLED"
TABLE = (
    *("FLAG", "SOURCE", "FLAGS", "FILE", "KILL_FILE", "REFRESH_SECONDS", "UNITS"),
    *("PLAN", "DATABASE", "LAST_KNOWN_GOOD", "OPENFEATURE"),
)
DEFAULT_FLAG = "tournament-webhooks"
DEFAULT_DATABASE = "default"
MAX_REFRESH_SECONDS = 30  # contract §3: a snapshot may be 30 s old


class SourceName(StrEnum):
    """Who owns the percentage."""

    SETTINGS = "settings"
    ENVIRONMENT = "environment"
    FILE = "file"
    DATABASE = "database"
    OPENFEATURE = "openfeature"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSettings:
    """Everything that the gate takes from the settings, parsed; the master switch is not among it."""

    flag: str
    source: SourceName
    flags: Mapping[str, object]
    file: str | None
    kill_file: str | None
    refresh_seconds: float
    units: str | None
    plan: Plan | None = None
    database: str | None = None
    last_known_good: str | None = None
    openfeature: OpenFeatureSettings | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def state_database(self) -> str | None:
        """The alias where flags, rollouts and evidence are kept; None where no setting asks for any."""
        wanted = self.plan is not None or self.source is SourceName.DATABASE
        return self.database or (DEFAULT_DATABASE if wanted else None)


_alias = matching(r"[^\s].{0,63}", "must be the alias of a database in DATABASES")
_flag_key = matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "must be a flag's key: A-Z a-z 0-9 . _ -, at most 128"
)


def load(raw: object, *, environ: Mapping[str, str]) -> RolloutSettings:
    """Parse the dictionary `ROLLOUT` (None: unset), and what *environ* says of kill file and percentage.

    `ROLLOUT_KILL_FILE` overrides the setting: the command line works without settings and must look at the
    same file.
    """
    reading = Reading()
    table = reading.table(Spot(id="rollout.E002", setting="ROLLOUT", raw=raw), TABLE)

    def key(number: int, name: str, read: Callable[[object], T], *, default: D) -> T | D:
        return reading.value(_spot(number, name, table.get(name)), read, default=default)

    flag = key(7, "FLAG", _flag_key, default=DEFAULT_FLAG)
    named = key(3, "SOURCE", one_of(SourceName), default=None)
    variable = variable_of(flag)
    owners = {
        SourceName.SETTINGS: _spot(4, "FLAGS", table.get("FLAGS")),
        SourceName.FILE: _spot(4, "FILE", table.get("FILE")),
        SourceName.ENVIRONMENT: _exported(4, variable, environ),
        SourceName.OPENFEATURE: _spot(4, "OPENFEATURE", table.get("OPENFEATURE")),
    }
    kill_file = key(9, "KILL_FILE", _absolute, default=None)
    flags = key(5, "FLAGS", _mapping, default=None)
    owner = _owner(reading, owners, named=SourceName(named) if named else None)
    asks = owner is SourceName.OPENFEATURE
    parsed = RolloutSettings(
        flag=flag,
        source=owner,
        openfeature=openfeature_settings.read(reading, table.get("OPENFEATURE")) if asks else None,
        flags=flags or {},
        file=key(6, "FILE", _absolute, default=None),
        kill_file=reading.value(_exported(9, VARIABLE, environ), _absolute, default=kill_file) or kill_file,
        refresh_seconds=key(
            8, "REFRESH_SECONDS", number(at_least=0, at_most=MAX_REFRESH_SECONDS), default=0.25
        ),
        units=key(11, "UNITS", read_callable_path, default=None),
        plan=key(13, "PLAN", lambda raw: _plan(raw, flag=flag), default=None),
        database=key(14, "DATABASE", _alias, default=None),
        last_known_good=key(15, "LAST_KNOWN_GOOD", _absolute, default=None),
    )
    return replace(parsed, problems=tuple(reading.problems))


def _spot(number: int, key: str, raw: object) -> Spot:
    return Spot(id=f"rollout.E{number:03d}", setting=f'ROLLOUT["{key}"]', raw=raw)


def _exported(number: int, variable: str, environ: Mapping[str, str]) -> Spot:
    text = clean(environ.get(variable, ""))
    return Spot(id=f"rollout.E{number:03d}", setting=f"environment variable {variable}", raw=text or None)


def _owner(reading: Reading, owners: Mapping[SourceName, Spot], *, named: SourceName | None) -> SourceName:
    """Say which source owns the percentage: the named one, or the only one that has something."""
    has = [source for source, spot in owners.items() if spot.raw is not None]
    owner = named or (has[0] if has else SourceName.SETTINGS)
    for other in has:
        if other is not owner:
            reading.add(
                owners[other],
                f'must not be set while "{owner}" owns the percentage: two owners; '
                'take one of them out, or name the other in ROLLOUT["SOURCE"]',
            )
    if owner is SourceName.FILE and owner not in has:
        reading.add(_spot(6, "FILE", None), "must be set: the file owns the percentage")
    return owner


def _plan(raw: object, *, flag: str) -> Plan:
    try:
        return parse_plan(flag, raw, path='ROLLOUT["PLAN"]')
    except ConfigError as error:
        raise BadValue(f"{error.path}: {error.problem}") from None


def _mapping(raw: object) -> Mapping[str, object]:
    if not isinstance(raw, Mapping):
        raise BadValue("must be a dictionary of flags by key")
    return dict(raw)


def _absolute(raw: object) -> str:
    if isinstance(raw, (str, Path)) and "\0" not in str(raw) and Path(raw).is_absolute():
        return str(raw)
    raise BadValue("must be an absolute path")


_current: RolloutSettings | None = None


def current() -> RolloutSettings:
    """Return the settings in force, parsed at the first call and again after `setting_changed`."""
    global _current  # noqa: PLW0603 - one value per process, replaced in one assignment
    found = _current
    if found is None:
        _current = found = load(getattr(settings, "ROLLOUT", None), environ=os.environ)
    return found


def forget(*, setting: str = "ROLLOUT", **_signal: object) -> None:
    """Parse again at the next call, when *setting* is ours (`override_settings` sends it)."""
    global _current  # noqa: PLW0603
    if setting in ("ROLLOUT", "INSTALLED_APPS"):
        _current = None


setting_changed.connect(forget, dispatch_uid="rollout.django.conf")


# --- The master switch: read live, at each gate ---

_UNSET = object()
_KEY = os.environ.encodekey(MASTER_SWITCH)
# Django keeps what was read from `settings` in this very dictionary; its proxy costs 250 ns more.
_cache: dict[str, object] = object.__getattribute__(settings, "__dict__")
# What was read last, and what it meant: replaced in one assignment, so that threads see all of it or none.
_seen: tuple[object, object, bool | None] = (_UNSET, _UNSET, False)


def master() -> bool | None:
    """Return whether the master switch is on; None for an unknown word: off, reason ERROR."""
    said = _cache.get(MASTER_SWITCH, _UNSET)
    if said is _UNSET:
        wrapped = _cache.get("_wrapped")
        # A settings module that does not have it costs a look; only a test's or a shell's holder is asked.
        absent = type(wrapped) is Settings and MASTER_SWITCH not in wrapped.__dict__
        said = None if absent else getattr(settings, MASTER_SWITCH, None)
    environ = os.environ
    try:
        exported = environ._data.get(_KEY)  # type: ignore[attr-defined]
    except AttributeError:  # somebody put another mapping there
        exported = environ.get(MASTER_SWITCH)
    seen = _seen
    if said is seen[0] and exported is seen[1]:
        return seen[2]
    return _decide(said, exported)


def _decide(said: object, exported: object) -> bool | None:
    global _seen  # noqa: PLW0603
    text = os.environ.get(MASTER_SWITCH)
    answers = [_read(value) for value in (said, text) if value is not None]
    meaning = False if False in answers or not answers else None if None in answers else True
    _seen = (said, exported, meaning)
    return meaning


def _read(value: object) -> bool | None:
    try:
        return switch(value)
    except BadValue:
        return None


def master_problems() -> tuple[Problem, ...]:
    """Return what is wrong with the master switch, in the setting and in the environment."""
    places = (
        (MASTER_SWITCH, getattr(settings, MASTER_SWITCH, None)),
        (f"environment variable {MASTER_SWITCH}", os.environ.get(MASTER_SWITCH)),
    )
    reading = Reading()
    for place, value in places:
        if value is not None and _read(value) is None:
            spot = Spot(id="rollout.E001", setting=place, raw=value)
            reading.add(spot, f"{SWITCH_ALLOWED}; it counts as off")
    return tuple(reading.problems)


def misspelt() -> list[str]:
    """Return settings and environment variables that are nearly the master switch, and have no effect."""
    names = {name for name in (*dir(settings), *os.environ) if name.startswith("NOTIFICATION")}
    return sorted(
        name for name in names - {MASTER_SWITCH} if nearest(name, [MASTER_SWITCH], cutoff=0.9) is not None
    )


def master_source() -> str:
    """Say which of the two decided: `setting`, `environment`, or `default` (off) where neither is set."""
    said, text = getattr(settings, MASTER_SWITCH, None), os.environ.get(MASTER_SWITCH)
    if said is None:
        return "default" if text is None else "environment"
    return "setting" if text is None or _read(said) is not True else "environment"
