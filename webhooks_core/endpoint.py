"""Where webhooks go: `Endpoint` (URL, keys, limits) and the rules a URL must meet before it is believed.

Only values and their checks: names are resolved and addresses judged at send time (`address.py`,
`transport/`).
Invariant: an `Endpoint` that exists has a well-formed http(s) URL without userinfo and fragment, and its
`repr` shows neither URL nor keys (either may hold a token). Settings are explained in
docs/reference/settings.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NewType
from urllib.parse import urlsplit

from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.scheme import Scheme

EndpointId = NewType("EndpointId", str)

DEFAULT_ID = EndpointId("default")
DEFAULT_USER_AGENT = "DeltaCrown-Webhook/1.0"  # contract §4
DEFAULT_TIMEOUT_SECONDS = 10.0  # contract §1, WEBHOOK_TIMEOUT
MAX_TIMEOUT_SECONDS = 60.0  # contract §1
MAX_URL_CHARACTERS = (
    2_048  # what proxies and log pipelines are known to carry; RFC 9110 §4.1 asks for 8,000 at least
)

# A short id, never a URL: it becomes a log value and a metric label.
ENDPOINT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
# Printable ASCII without space, `"`, `<`, `>`, `\`, `^`, backtick, braces and `|` (RFC 3986 §2): parsers
# disagree on the rest.
_URL_TEXT = re.compile(r"[!#-;=?-\[\]_a-z~]+\Z")
_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?\Z"
)
HEADER_TEXT = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedNetwork:
    """A network that may be reached although it is not public: CIDR, and one port or (None) all of them."""

    network: IPv4Network | IPv6Network
    port: int | None = None

    @classmethod
    def parse(cls, text: object, *, path: str = "ALLOW_NETWORKS") -> AllowedNetwork:
        """Read `"127.0.0.1/32:8000"`, `"10.1.0.0/16"` or `"::1/128:8000"`.

        Args:
            text: Address, `/`, prefix length, and optionally `:` and a port from 1 to 65535.
            path: Name of the setting, for the error.

        Raises:
            ConfigError: Anything else, host bits set included.
        """
        if not isinstance(text, str):
            raise ConfigError(path, f"must be text such as '127.0.0.1/32:8000', not {type(text).__name__}")
        address, slash, rest = text.partition("/")
        prefix, colon, port = rest.partition(":")
        if not slash or not _is_number(prefix) or (colon and not _is_port(port)):
            raise ConfigError(path, "must be a network and optionally a port, such as '127.0.0.1/32:8000'")
        try:
            network = ip_network(f"{address}/{prefix}")
        except ValueError:
            raise ConfigError(path, "must be a network without host bits, such as '10.1.0.0/16'") from None
        return cls(network=network, port=int(port) if colon else None)

    def contains(self, address: IPv4Address | IPv6Address, port: int) -> bool:
        """Return whether *address* and *port* are inside."""
        return (self.port is None or self.port == port) and address in self.network

    def __str__(self) -> str:
        return f"{self.network}" if self.port is None else f"{self.network}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One receiver: where it is, with which keys it is signed for, and how far a request may go.

    `events` None means every event. `url`, `health_url`, `proxy` and `keys` are left out of the repr.
    """

    url: str = field(repr=False)
    keys: KeyRing = field(repr=False)
    id: EndpointId = DEFAULT_ID
    scheme: Scheme = Scheme.TIMESTAMPED
    events: frozenset[str] | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    health_url: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    client_cert: str | tuple[str, str] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    allow_networks: tuple[AllowedNetwork, ...] = ()
    user_agent: str = DEFAULT_USER_AGENT

    def __post_init__(self) -> None:
        """Check every field that can be wrong; whether plain http is allowed is `check_url`'s question."""
        if not _is_text(self.id, ENDPOINT_ID):
            raise ConfigError(
                "endpoint.id", "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
            )
        check_url(self.url, allow_http=True, path=f"{self.id}.url")
        if self.health_url is not None:
            check_url(self.health_url, allow_http=True, path=f"{self.id}.health_url")
        if not isinstance(self.keys, KeyRing):
            raise ConfigError(f"{self.id}.keys", f"must be a KeyRing, not {type(self.keys).__name__}")
        check_timeout(self.timeout_seconds, path=f"{self.id}.timeout_seconds")
        if not _is_text(self.user_agent, HEADER_TEXT):
            raise ConfigError(f"{self.id}.user_agent", "must be 1 to 256 printable ASCII characters")

    def accepts(self, event: str) -> bool:
        """Return whether this endpoint wants *event*."""
        return self.events is None or event in self.events


def check_timeout(value: object, *, path: str = "WEBHOOK_TIMEOUT") -> float:
    """Return *value* as seconds.

    Raises:
        ConfigError: Not a number, not above 0, or above 60 (contract §1).
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(path, f"must be seconds above 0 and at most 60, not {type(value).__name__}")
    if not 0 < value <= MAX_TIMEOUT_SECONDS:
        raise ConfigError(path, "must be seconds above 0 and at most 60")
    return float(value)


def check_url(url: object, *, allow_http: bool, path: str = "WEBHOOK_ENDPOINT") -> str:
    """Return *url* when it may be an endpoint. No message repeats it: it may hold a token.

    Args:
        url: Absolute URL in ASCII (an international host in its `xn--` form).
        allow_http: Whether plain http is good enough (DEBUG, or allowed by setting).
        path: Name of the setting, for the error.

    Raises:
        ConfigError: No host, userinfo, fragment, another scheme, plain http where it is not allowed, a port
            outside 1–65535, characters that parsers disagree about.
    """
    if not isinstance(url, str):
        raise ConfigError(path, f"must be an http(s) URL, not {type(url).__name__}")
    if len(url) > MAX_URL_CHARACTERS:
        raise ConfigError(path, f"must be at most {MAX_URL_CHARACTERS} characters, not {len(url)}")
    if not _URL_TEXT.match(url):
        raise ConfigError(
            path, "must be ASCII without spaces, quotes and backslashes (an international host as xn--)"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(
            path, "must be an http(s) URL with a valid host and a port from 1 to 65535"
        ) from None
    if parts.scheme not in ("http", "https"):
        raise ConfigError(path, "must begin with https:// (or http:// where that is allowed)")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ConfigError(path, "must not contain userinfo (user:password@)")
    if "#" in url:
        raise ConfigError(path, "must not contain a fragment (#)")
    if not host or not (_HOST.match(host) or "[" in parts.netloc) or len(host) > 253:
        raise ConfigError(path, "must have a host")
    if port == 0 or parts.netloc.endswith(":"):
        raise ConfigError(path, "must have a port from 1 to 65535, or none")
    if parts.scheme == "http" and not allow_http:
        raise ConfigError(path, "must be https:// (plain http needs DEBUG or WEBHOOKS['ALLOW_HTTP'])")
    return url


def _is_text(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.match(value) is not None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535
