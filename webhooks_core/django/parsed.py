"""From raw values to `WebhookSettings`, the one frozen value that sending and receiving are built from.

No Django and no environment in here: `conf.py` brings the values by name. Invariant: parsing never raises;
what is wrong stands in `problems`, and where that is empty everything downstream can be built. The settings
are listed in docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from webhooks_core.allowlist import EventFields
from webhooks_core.django.endpoints import (
    PLACE,
    Defaults,
    EndpointSettings,
    read_acceptances,
    read_endpoints,
    read_file,
    read_rate,
    read_scheme,
    read_timeout,
)
from webhooks_core.django.event_lists import read_event_lists
from webhooks_core.django.reach import read_networks
from webhooks_core.django.secret_settings import fetch, read_callable_path, read_secret
from webhooks_core.django.shared_state import SharedState, read_shared_state
from webhooks_core.django.values import (
    Problem,
    Reading,
    Spot,
    count,
    matching,
    number,
    one_of,
    several,
    switch,
)
from webhooks_core.endpoint import DEFAULT_ID, DEFAULT_TIMEOUT_SECONDS, DEFAULT_USER_AGENT, HEADER_TEXT
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.retry import MAX_SLOW_RETRIES, MAX_SLOW_SECONDS
from webhooks_core.scheme import Scheme

FLAT = (
    "WEBHOOK_ENDPOINT",
    "WEBHOOK_SECRET",
    "WEBHOOK_TIMEOUT",
    "WEBHOOK_MAX_RETRIES",
    "WEBHOOK_REPLAY_WINDOW_SECONDS",
    "WEBHOOK_CB_WINDOW_SECONDS",
    "WEBHOOK_CB_MAX_FAILS",
    "WEBHOOK_CB_OPEN_SECONDS",
)
TABLE = (
    "ENVIRONMENT",
    "ENDPOINTS",
    "EVENTS",
    "ENGINE",
    "SCHEME",
    "BODY_ACCEPTED",
    "USER_AGENT",
    "ALLOW_HTTP",
    "ALLOW_NETWORKS",
    "CA_BUNDLE",
    "JITTER",
    "RETRY_BASE_SECONDS",
    "RATE",
    "SLOW_RETRIES",
    "SEND_PERMIT",
    "SETTLE_SINK",
    "DATABASE",
    "NOTIFY",
    "REDIS",
    "BREAKER_STORE",
    "REPLAY_STORE",
)
ENGINES = ("inline", "worker", "celery")  # all but the first keep rows
NEVER_OPENS = 9999  # contract §1: the runbook's level 2
Raw = Callable[[str], object]

_environment = matching(
    r"[a-z0-9][a-z0-9_-]{0,31}", "must be a name such as production or staging: a-z 0-9 _ -, at most 32"
)
_user_agent = matching(HEADER_TEXT, "must be 1 to 256 printable ASCII characters")
_alias = matching(r"[^\s].{0,63}", "must be the alias of a database in DATABASES")
_seconds = number(at_least=1)
_waits = several(number(at_least=1, at_most=MAX_SLOW_SECONDS), at_most=MAX_SLOW_RETRIES)
T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Everything that sending and receiving take from the settings, parsed.

    `keys`, `provider` and `scheme` are what `WEBHOOK_SECRET` and `WEBHOOKS["SCHEME"]` say: a project that
    only receives has no endpoint.
    """

    debug: bool
    environment: str
    endpoints: Mapping[str, EndpointSettings]
    events: Mapping[str, EventFields]
    engine: str
    jitter: float
    retry_base_seconds: float
    slow_retries: tuple[float, ...]
    max_attempts: int
    replay_window_seconds: int
    breaker_window_seconds: float
    breaker_max_fails: int
    breaker_open_seconds: float
    send_permit: str | None
    settle_sink: str | None
    database: str
    notify: bool
    shared: SharedState
    keys: KeyRing | None
    provider: str | None
    scheme: str
    problems: tuple[Problem, ...] = field(default=())

    @property
    def without_secret(self) -> tuple[str, ...]:
        """Return the settings of secrets that are needed as soon as anything is sent, and not set."""
        return tuple(
            endpoint.secret_setting
            for endpoint in self.endpoints.values()
            if endpoint.keys is None and endpoint.provider is None
        )

    def verifying(self, endpoint: str) -> tuple[KeyRing, Scheme]:
        """Return the secrets and the scheme that requests signed for *endpoint* are verified with.

        Raises:
            ConfigError: There is no such endpoint, or it has no secret.
        """
        known = self.endpoints.get(endpoint)
        if known is not None:
            return known.fetched(), Scheme(known.scheme)
        if endpoint != DEFAULT_ID:
            raise ConfigError(PLACE, f'there is no endpoint "{endpoint}"')
        keys = self.keys or (
            fetch(self.provider, setting="WEBHOOK_SECRET", scheme=self.scheme) if self.provider else None
        )
        if keys is None:
            raise ConfigError("WEBHOOK_SECRET", "is not set")
        return keys, Scheme(self.scheme)


class _Names:
    """The values by name, each read where it was found."""

    def __init__(self, reading: Reading, raw: Raw) -> None:
        self.reading = reading
        self.raw = raw
        self.table = reading.table(Spot(id=_id(13), setting="WEBHOOKS", raw=raw("WEBHOOKS")), TABLE)

    def flat(self, number: int, name: str, read: Callable[[object], T], *, default: D) -> T | D:
        """Read a flat setting."""
        return self.reading.value(
            Spot(id=_id(number), setting=name, raw=self.raw(name)), read, default=default
        )

    def spot(self, number: int, name: str) -> Spot:
        """Return a key of `WEBHOOKS` where it was found."""
        return Spot(id=_id(number), setting=f'WEBHOOKS["{name}"]', raw=self.table.get(name))

    def key(self, number: int, name: str, read: Callable[[object], T], *, default: D) -> T | D:
        """Read a key of `WEBHOOKS`."""
        return self.reading.value(self.spot(number, name), read, default=default)


def load(raw: Raw, *, debug: bool) -> WebhookSettings:
    """Parse the settings that *raw* gives by name (None: unset)."""
    reading = Reading()
    names = _Names(reading, raw)
    key, flat = names.key, names.flat
    if not debug and names.table.get("ENVIRONMENT") is None:
        reading.add(names.spot(14, "ENVIRONMENT"), "must be set outside DEBUG, e.g. to production")
    defaults = _defaults(names, debug=debug)
    events, endpoints = _sent(names, defaults)
    keys, provider = _of_a_receiver(raw("WEBHOOK_SECRET"), scheme=defaults.scheme)
    environment = key(15, "ENVIRONMENT", _environment, default="")
    engine = key(22, "ENGINE", one_of(ENGINES), default="worker")
    parsed = WebhookSettings(
        debug=debug,
        environment=environment,
        endpoints=endpoints,
        events=events,
        engine=engine,
        jitter=key(26, "JITTER", number(at_least=0, at_most=1), default=0.0),
        retry_base_seconds=key(32, "RETRY_BASE_SECONDS", number(above=0, at_most=60), default=2.0),
        slow_retries=key(44, "SLOW_RETRIES", _waits, default=()),
        max_attempts=flat(8, "WEBHOOK_MAX_RETRIES", count(at_least=1, at_most=20), default=3),
        replay_window_seconds=flat(9, "WEBHOOK_REPLAY_WINDOW_SECONDS", count(at_least=1), default=300),
        breaker_window_seconds=flat(10, "WEBHOOK_CB_WINDOW_SECONDS", _seconds, default=120.0),
        breaker_max_fails=flat(11, "WEBHOOK_CB_MAX_FAILS", count(at_least=1), default=5),
        breaker_open_seconds=flat(12, "WEBHOOK_CB_OPEN_SECONDS", _seconds, default=60.0),
        send_permit=key(29, "SEND_PERMIT", read_callable_path, default=None),
        settle_sink=key(33, "SETTLE_SINK", read_callable_path, default=None),
        database=key(34, "DATABASE", _alias, default="default"),
        notify=key(46, "NOTIFY", switch, default=False),
        shared=read_shared_state(
            reading, names.spot, caches=raw("CACHES"), engine=engine, environment=environment
        ),
        keys=keys,
        provider=provider,
        scheme=defaults.scheme,
    )
    return replace(parsed, problems=tuple(reading.problems))


def _sent(
    names: _Names, defaults: Defaults
) -> tuple[Mapping[str, EventFields], Mapping[str, EndpointSettings]]:
    """Read what is sent, and where to."""
    nothing: dict[str, EventFields] = {}
    events = names.key(20, "EVENTS", read_event_lists, default=nothing)
    endpoints = read_endpoints(
        names.reading,
        names.table.get("ENDPOINTS"),
        flat={"URL": names.raw("WEBHOOK_ENDPOINT"), "SECRET": names.raw("WEBHOOK_SECRET")},
        defaults=defaults,
        events=events,
    )
    return events, endpoints


def _of_a_receiver(secret: object, *, scheme: str) -> tuple[KeyRing | None, str | None]:
    """Read the flat secret once more; what is wrong with it was noted with the endpoint."""
    return read_secret(Reading(), Spot(id=_id(4), setting="WEBHOOK_SECRET", raw=secret), scheme=scheme)


def _defaults(names: _Names, *, debug: bool) -> Defaults:
    key = names.key
    return Defaults(
        scheme=key(23, "SCHEME", read_scheme, default=Scheme.TIMESTAMPED.value),
        body_accepted=key(48, "BODY_ACCEPTED", read_acceptances, default=()),
        timeout_seconds=names.flat(7, "WEBHOOK_TIMEOUT", read_timeout, default=DEFAULT_TIMEOUT_SECONDS),
        rate=key(45, "RATE", read_rate, default=None),
        user_agent=key(25, "USER_AGENT", _user_agent, default=DEFAULT_USER_AGENT),
        allow_http=key(30, "ALLOW_HTTP", switch, default=False) or debug,
        allow_networks=key(24, "ALLOW_NETWORKS", read_networks, default=()),
        ca_bundle=key(27, "CA_BUNDLE", read_file, default=None),
    )


def _id(number: int) -> str:
    return f"webhooks.E{number:03d}"
