"""The port through which an attempt leaves: one request in, one response or one typed error out.

Values and a protocol only: no socket, no clock, no third-party module. The invariant: what a `Request` holds
can be written to the wire as it is (no header can end its line or frame another body), and its `repr` shows
neither URL, headers nor body, so that a traceback with locals tells nothing. Explained in
docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from webhooks_core.errors import ConfigError

if TYPE_CHECKING:
    from webhooks_core.endpoint import Endpoint

MAX_RESPONSE_BYTES = 16_384  # the contract §6: at most 16 KiB of the response are read
METHODS = ("POST", "GET")  # POST delivers; GET asks an endpoint's HEALTH_URL

# RFC 9110 §5.6.2 (token) and §5.5 (field values; we write visible ASCII, space and tab, and nothing else).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
# The transport frames the message and owns the connection; a caller who sets one of these could frame a
# second message.
_OWNED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"}
    | {"accept", "accept-encoding", "proxy-authorization"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one attempt sends.

    Args:
        url: Absolute http(s) URL, as configured. Never shown by `repr`.
        headers: Names (RFC 9110 tokens) to values (visible ASCII, space, tab). `Host`, `Content-Length` and
            what else frames a message belong to the transport and are refused.
        body: The envelope's bytes, sent as they are.
        timeout_seconds: Wall clock for the whole attempt, name resolution included; above 0, finite.
        endpoint: Whose networks, proxy, CA bundle and client certificate apply.
        method: `POST`, or `GET` for a health URL.

    Raises:
        ConfigError: A header that cannot be written safely, a time-out that is no time, another method.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_seconds: float
    endpoint: Endpoint = field(repr=False)
    method: str = "POST"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError("method", f"one of {', '.join(METHODS)} is allowed")
        if not (self.timeout_seconds > 0 and math.isfinite(self.timeout_seconds)):
            raise ConfigError("timeout_seconds", "must be a finite number of seconds above 0")
        if _UNSENDABLE.search("".join(self.headers.values())):
            raise ConfigError(
                "headers",
                f"the value of {self._first_unsendable()} holds a character that ends a line or is not ASCII",
            )
        problem = _problem_of_names(tuple(self.headers))
        if problem is not None:
            raise ConfigError("headers", problem)

    def _first_unsendable(self) -> str:
        return next(
            name if _TOKEN.fullmatch(name) else "?"
            for name, value in self.headers.items()
            if _UNSENDABLE.search(value)
        )


@lru_cache(maxsize=256)  # an application sends the same handful of names all its life
def _problem_of_names(names: tuple[str, ...]) -> str | None:
    if not all(_TOKEN.fullmatch(name) for name in names):
        return "a name holds a character that RFC 9110 does not allow"
    lower = [name.lower() for name in names]
    if len(set(lower)) < len(lower):
        return "a name is there twice"
    owned = next((name for name in lower if name in _OWNED), None)
    return None if owned is None else f"{owned} belongs to the transport and cannot be set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back, whatever its status: a 500 or a 302 is a response, not an error.

    Args:
        status: 200 to 599.
        headers: Lower-case names; only those that somebody decides by (`retry-after`, `content-type`).
        body: At most `MAX_RESPONSE_BYTES`, undecoded, possibly cut. Never shown by `repr`.
        elapsed_seconds: From the call until here, name resolution included.
        is_repeat: The request was written once before within this attempt, on a kept connection that dropped,
            and may have arrived then.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    elapsed_seconds: float = 0.0
    is_repeat: bool = False


@runtime_checkable
class Transport(Protocol):
    """Send one attempt. Safe to share between threads; usable in a child after a fork."""

    def send(self, request: Request) -> Response:
        """Put *request* on the wire once and return what came back within its time-out plus 0.5 s.

        Raises:
            TransportError: One of its children, without URL, address or body in its text.
            AddressBlocked: The host is, or resolves to, an address that the policy refuses. Nothing was sent.
        """
        ...

    def close(self) -> None:
        """Close every idle connection. A later `send` opens new ones."""
        ...
