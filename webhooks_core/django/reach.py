"""How far a URL of the settings may go: its form, its scheme, and the address it names where it names one.

No name is resolved here; the transport judges what a name resolves to, at send time. Invariant: no problem
repeats a URL (it may hold a token), and no setting opens what the address table never opens. The rules are
in docs/reference/settings.md.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from webhooks_core.address import Blocked, decide, read_host
from webhooks_core.address import Name as HostName
from webhooks_core.django.values import BadValue, Reading, Spot
from webhooks_core.endpoint import AllowedNetwork, check_url
from webhooks_core.errors import ConfigError


class Reach:
    """Judge a URL: its form, its scheme, and the address it names where it names one."""

    def __init__(self, reading: Reading, *, allow_http: bool, networks: tuple[AllowedNetwork, ...]) -> None:
        self._reading = reading
        self._allow_http = allow_http
        self._networks = networks

    def url(self, spot: Spot) -> str | None:
        """Return the URL at *spot* when it may be asked; otherwise None, with a problem that says why."""
        if self._reading.value(spot, _any_url, default=None) is None:
            return None
        before = len(self._reading.problems)
        if not self._allow_http:
            self._reading.value(replace(spot, id="webhooks.E002"), _https_url, default=None)
        self._reading.value(replace(spot, id="webhooks.E003"), self._reachable, default=None)
        return str(spot.raw) if len(self._reading.problems) == before else None

    def _reachable(self, raw: object) -> str:
        parts = urlsplit(str(raw))
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = read_host(f"[{host}]" if ":" in host else host)
        if not isinstance(found, (Blocked, HostName)):
            verdict = decide(found, port, self._networks)
            found = verdict if isinstance(verdict, Blocked) else found
        if isinstance(found, Blocked):
            raise BadValue(
                f"must name a public address in its usual spelling, or one that ALLOW_NETWORKS opens; "
                f"this one is refused by the rule: {found.rule}"
            )
        return str(raw)


def _any_url(raw: object) -> str:
    """Read an http(s) URL."""
    return _checked(raw, allow_http=True)


def read_proxy(raw: object) -> str:
    """Read the URL of a proxy: what the transport can use, `http://host:port` and nothing behind it."""
    url = _checked(raw, allow_http=True)
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.path not in ("", "/") or "?" in url:
        raise BadValue("must be http://host:port")
    return url


def _https_url(raw: object) -> str:
    return _checked(raw, allow_http=False)


def _checked(raw: object, *, allow_http: bool) -> str:
    try:
        return check_url(raw, allow_http=allow_http)
    except ConfigError as error:
        raise BadValue(error.problem) from None


def read_networks(raw: object) -> tuple[AllowedNetwork, ...]:
    """Read a list of networks, each with a port or without, none of them one that is never reachable."""
    if not isinstance(raw, (list, tuple)):
        raise BadValue("must be a list such as ['10.1.0.0/16', '127.0.0.1/32:8000']")
    try:
        networks = tuple(AllowedNetwork.parse(item) for item in raw)
    except ConfigError as error:
        raise BadValue(f"each {error.problem}") from None
    for network in networks:
        # Decided by the table itself: what stays blocked although this very network allows it, never opens.
        verdict = decide(network.network.network_address, network.port or 443, (network,))
        if isinstance(verdict, Blocked):
            raise BadValue(f"{network} can never be reached: {verdict.rule}")
    return networks
