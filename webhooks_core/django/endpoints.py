"""From the settings of a receiver to `EndpointSettings`: what is known before its secret is fetched.

Pure but for one thing: files named by a setting are looked for. Nothing is resolved or connected, and no
secret's provider is called until `EndpointSettings.build`. Invariant: a problem never repeats a URL or a
secret (either may hold a token). The keys are listed in docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webhooks_core.django.reach import Reach, read_networks, read_proxy
from webhooks_core.django.secret_settings import fetch, read_secret
from webhooks_core.django.values import (
    BadValue,
    Reading,
    Spot,
    matching,
    number,
    one_of,
    several,
    shown,
    unknown_key,
)
from webhooks_core.endpoint import DEFAULT_ID, ENDPOINT_ID, AllowedNetwork, Endpoint, EndpointId
from webhooks_core.envelope import EVENT_NAME
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.rate import MOST_PER_SECOND
from webhooks_core.scheme import Scheme, acceptance

KEYS = (
    "URL",
    "SECRET",
    "SCHEME",
    "EVENTS",
    "TIMEOUT",
    "RATE",
    "HEALTH_URL",
    "CA_BUNDLE",
    "CLIENT_CERT",
    "PROXY",
    "ALLOW_NETWORKS",
)
PLACE = 'WEBHOOKS["ENDPOINTS"]'
FLAT = {"URL": "WEBHOOK_ENDPOINT", "SECRET": "WEBHOOK_SECRET"}
_event_name = matching(EVENT_NAME, "must be names of events, each of a-z 0-9 _ . and at most 64 characters")
_endpoint_id = matching(ENDPOINT_ID, "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
read_timeout = number(above=0, at_most=60)
read_rate = number(above=0, at_most=MOST_PER_SECOND)
read_scheme = one_of(scheme.value for scheme in Scheme)
_acceptance = matching(r"[A-Za-z0-9._-]{1,64}:[0-9a-f]{16}", "must be what `webhooks send-test` has printed")
read_acceptances = several(_acceptance, at_most=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What an endpoint takes over from the settings around it."""

    scheme: str
    body_accepted: tuple[str, ...]
    timeout_seconds: float
    rate: float | None
    user_agent: str
    allow_http: bool
    allow_networks: tuple[AllowedNetwork, ...]
    ca_bundle: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """One endpoint as configured. `keys` None and `provider` None: its secret is not set (yet)."""

    id: str
    secret_setting: str
    url: str = field(repr=False)
    keys: KeyRing | None
    provider: str | None
    scheme: str
    events: frozenset[str] | None
    timeout_seconds: float
    rate: float | None
    health_url: str | None = field(repr=False)
    ca_bundle: str | None
    client_cert: str | tuple[str, str] | None
    proxy: str | None = field(repr=False)
    allow_networks: tuple[AllowedNetwork, ...]
    user_agent: str

    def build(self) -> Endpoint:
        """Return the endpoint, asking the secret's provider where there is one.

        Raises:
            ConfigError: There is no secret, or what the provider returned cannot be one.
        """
        return Endpoint(
            id=EndpointId(self.id),
            url=self.url,
            keys=self.fetched(),
            scheme=Scheme(self.scheme),
            events=self.events,
            timeout_seconds=self.timeout_seconds,
            health_url=self.health_url,
            ca_bundle=self.ca_bundle,
            client_cert=self.client_cert,
            proxy=self.proxy,
            allow_networks=self.allow_networks,
            user_agent=self.user_agent,
        )

    def fetched(self) -> KeyRing:
        """Return the secrets, asking their provider where there is one.

        Raises:
            ConfigError: There is none, or what the provider returned cannot be one.
        """
        if self.keys is not None:
            return self.keys
        if self.provider is None:
            raise ConfigError(self.secret_setting, "is not set")
        return fetch(self.provider, setting=self.secret_setting, scheme=self.scheme)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One endpoint's dictionary, and what each of its keys is called in a message."""

    values: dict[str, object] = field(repr=False)
    names: dict[str, str]

    def spot(self, number: int, key: str) -> Spot:
        """Return the value of *key* where it was found."""
        return Spot(id=f"webhooks.E{number:03d}", setting=self.names[key], raw=self.values.get(key))


def read_endpoints(
    reading: Reading,
    raw: object,
    *,
    flat: Mapping[str, object],
    defaults: Defaults,
    events: Mapping[str, object],
) -> dict[str, EndpointSettings]:
    """Read all endpoints.

    Args:
        raw: `WEBHOOKS["ENDPOINTS"]`.
        flat: URL and SECRET of the endpoint `default`, from the flat settings; None where unset.
        events: The events that have an allow-list.
    """
    nothing: dict[str, object] = {}
    listed = reading.value(Spot(id="webhooks.E016", setting=PLACE, raw=raw), _tables, default=nothing)
    if flat["URL"] is not None and DEFAULT_ID not in listed:
        listed = {DEFAULT_ID: {}, **listed}
    elif flat["SECRET"] is not None and DEFAULT_ID not in listed:
        spot = Spot(id="webhooks.E004", setting=FLAT["SECRET"], raw=flat["SECRET"])
        read_secret(reading, spot, scheme=defaults.scheme)  # a receiver
    found: dict[str, EndpointSettings] = {}
    for name, given in listed.items():
        place = f"{PLACE}[{shown(name)}]"
        if not reading.value(Spot(id="webhooks.E016", setting=place, raw=name), _endpoint_id, default=""):
            continue
        values = reading.table(Spot(id="webhooks.E017", setting=place, raw=given), KEYS)
        table = _Table(values=values, names={key: f'{place}["{key}"]' for key in KEYS})
        if name == DEFAULT_ID:
            _take_flat(reading, table, flat)
        endpoint = _read_endpoint(reading, name, table, defaults=defaults)
        if endpoint is not None:
            found[name] = endpoint
    _cross_check(reading, found, events)
    _refuse_untried(reading, found, accepted=defaults.body_accepted)
    return found


def _tables(raw: object) -> dict[str, object]:
    if not isinstance(raw, Mapping):
        raise BadValue("must be a dictionary of endpoints by id")
    return dict(raw.items())


def _take_flat(reading: Reading, table: _Table, flat: Mapping[str, object]) -> None:
    """Let the flat settings say what the table of the endpoint `default` leaves out; both is an error."""
    for key, setting in FLAT.items():
        if flat[key] is not None and table.values.get(key) is not None:
            reading.add(table.spot(19, key), f"must not be set beside {setting}: two owners")
        if table.values.get(key) is None:
            table.values[key], table.names[key] = flat[key], setting


def _cross_check(
    reading: Reading, endpoints: Mapping[str, EndpointSettings], events: Mapping[str, object]
) -> None:
    """Note what is wrong between endpoints: a shared secret, an event that nobody may send."""
    owners: dict[object, str] = {}
    for name, endpoint in endpoints.items():
        for secret in {*(endpoint.keys or ()), endpoint.provider} - {None}:
            owner = owners.setdefault(secret, name)
            if owner != name:
                spot = Spot(id="webhooks.E018", setting=endpoint.secret_setting, raw=secret)
                reading.add(spot, f'must not be shared: endpoint "{owner}" has the same secret')
        for event in sorted(endpoint.events or ()):
            if events and event not in events:
                spot = Spot(id="webhooks.E021", setting=f'{PLACE}["{name}"]["EVENTS"]', raw=event)
                reading.add(spot, f'"{event}" {unknown_key(event, events)}; see WEBHOOKS["EVENTS"]')


def _refuse_untried(
    reading: Reading, endpoints: Mapping[str, EndpointSettings], *, accepted: Iterable[str]
) -> None:
    """Note each endpoint of scheme `body` that was not seen to accept it (contract §10, level 3)."""
    for name, endpoint in endpoints.items():
        if endpoint.scheme == Scheme.BODY and acceptance(name, endpoint.url) not in accepted:
            spot = Spot(id="webhooks.E048", setting='WEBHOOKS["BODY_ACCEPTED"]', raw=accepted or None)
            reading.add(
                spot,
                f'endpoint "{name}" was not seen to accept its scheme body at this URL: with another one set,'
                f" run `webhooks send-test --scheme body --endpoint {name}`, which prints what to list here",
            )


def _read_endpoint(
    reading: Reading, name: str, table: _Table, *, defaults: Defaults
) -> EndpointSettings | None:
    """Read one endpoint; None where it has no usable URL (a problem says why)."""
    read = reading.value
    networks = read(table.spot(24, "ALLOW_NETWORKS"), read_networks, default=()) + defaults.allow_networks
    reach = Reach(reading, allow_http=defaults.allow_http, networks=networks)
    url = reach.url(table.spot(1, "URL"))
    scheme = read(table.spot(23, "SCHEME"), read_scheme, default=defaults.scheme)
    keys, provider = read_secret(reading, table.spot(4, "SECRET"), scheme=scheme)
    if table.values.get("URL") is None:
        reading.add(table.spot(19, "URL"), "must be the URL of the receiver")
    if url is None:
        return None
    return EndpointSettings(
        id=name,
        secret_setting=table.names["SECRET"],
        url=url,
        keys=keys,
        provider=provider,
        scheme=scheme,
        events=read(table.spot(21, "EVENTS"), _event_names, default=None),
        timeout_seconds=read(table.spot(7, "TIMEOUT"), read_timeout, default=defaults.timeout_seconds),
        rate=read(table.spot(45, "RATE"), read_rate, default=defaults.rate),
        health_url=reach.url(table.spot(1, "HEALTH_URL")),
        ca_bundle=read(table.spot(27, "CA_BUNDLE"), read_file, default=defaults.ca_bundle),
        client_cert=read(table.spot(27, "CLIENT_CERT"), _client_cert, default=None),
        proxy=read(table.spot(28, "PROXY"), read_proxy, default=None),
        allow_networks=networks,
        user_agent=defaults.user_agent,
    )


def read_file(raw: object) -> str:
    """Read the path of a file that is there."""
    if isinstance(raw, (str, Path)) and str(raw) and "\0" not in str(raw) and Path(raw).is_file():
        return str(raw)
    raise BadValue("must be the path of a file that is there")


def _client_cert(raw: object) -> str | tuple[str, str]:
    if isinstance(raw, (list, tuple)):
        if len(raw) != 2:
            raise BadValue("must be a file, or a pair of files: certificate and key")
        return read_file(raw[0]), read_file(raw[1])
    return read_file(raw)


def _event_names(raw: object) -> frozenset[str]:
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Iterable):
        raise BadValue("must be a list of names of events")
    return frozenset(_event_name(name) for name in raw)
