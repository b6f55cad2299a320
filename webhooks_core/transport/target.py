"""Take a URL apart once, so that what is checked is what is connected to.

Pure. The invariant: whatever this accepts has one reading, and everything downstream (policy, resolver,
`Host`, SNI, request target) takes its parts from here; nobody parses the URL again. Explained in
docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from webhooks_core.address import Address, Blocked, Name, read_host
from webhooks_core.errors import AddressBlocked

DEFAULT_PORTS = {"http": 80, "https": 443}

# No `@`, blank or control character before the path, then visible ASCII; no fragment; no quote (it ends a URL
# in too many places) and no backslash (some parsers read a slash).
_REST = r"[!$-\[\]-~]*"
_URL = re.compile(rf"(https?)://([^/?#@\\\x00-\x20\x7f]+)((?:/{_REST})?(?:\?{_REST})?)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_SHOWABLE = re.compile(r"[^A-Za-z0-9.:\[\]_-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL points.

    Args:
        scheme: `http` or `https`.
        host: What `read_host` made of it.
        port: 1 to 65535, the scheme's where the URL names none.
        path: Request target: path and query. Not shown by `repr`, it may hold a token.
    """

    scheme: str
    host: Address | Name
    port: int
    path: str = field(repr=False)

    @property
    def name(self) -> str:
        """Return the host as certificates and resolvers write it, IPv6 without brackets."""
        return self.host.text if isinstance(self.host, Name) else str(self.host)

    @property
    def bracketed(self) -> str:
        """Return the host as URLs and CONNECT write it, IPv6 in brackets."""
        return f"[{self.name}]" if isinstance(self.host, IPv6Address) else self.name

    @property
    def host_header(self) -> str:
        """Return the value of `Host`: without the port where it is the scheme's (RFC 9110 §7.2)."""
        return self.bracketed if self.port == DEFAULT_PORTS[self.scheme] else f"{self.bracketed}:{self.port}"


def read_target(url: str) -> Target:
    """Take *url* apart.

    Raises:
        AddressBlocked: It is no http(s) URL of one reading, or its host is refused by `read_host`.
    """
    found = _URL.fullmatch(url)
    authority = _AUTHORITY.fullmatch(found[2]) if found else None
    if found is None or authority is None:
        raise AddressBlocked("the URL", "malformed URL")
    host = read_host(authority[1])
    if isinstance(host, Blocked):
        raise AddressBlocked(showable(authority[1]), host.rule)
    scheme = found[1].lower()
    port = int(authority[2]) if authority[2] else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise AddressBlocked(showable(authority[1]), "port outside 1-65535")
    path = found[3] if found[3].startswith("/") else f"/{found[3]}"
    return Target(scheme=scheme, host=host, port=port, path=path)


def showable(host: str) -> str:
    """Return *host* fit for a log line: at most 80 letters, digits and `. : [ ] _ -`."""
    return _SHOWABLE.sub("?", host[:80])
