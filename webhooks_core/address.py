"""Which addresses a webhook may go to: a table of networks, and the two questions asked of it.

`read_host` says what the host of a URL is (a literal address, a name, or refused); `decide` judges one
address. Pure: no name is resolved here (`transport/ssrf.py` does) and nothing is connected. The invariants:
every view of an address is judged, the one on the outside and the IPv4 addresses that translators and tunnels
would take out of it; and no setting opens a rule marked `never`. Not `ipaddress.is_global`, whose answer
changes with the Python version and which lets translated and multicast addresses through. The table is
printed in docs/reference/address-policy.md and explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhooks_core.endpoint import AllowedNetwork

Address = IPv4Address | IPv6Address


class Embeds(StrEnum):
    """Where an IPv6 network carries IPv4 addresses."""

    NOTHING = ""
    LAST_32 = "last 32 bits"
    TRANSLATED_48 = "last 32 bits, or bits 48-63 and 72-87"  # RFC 6052 §2.2, prefixes of 96 and 48
    AFTER_16 = "bits 16-47"  # RFC 3056 §2
    TEREDO = "bits 32-63, and the last 32 bits inverted"  # RFC 4380 §4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One network of the table.

    Args:
        network: Addresses it is about.
        name: What a person reads in an error or a log line.
        source: RFC, or the vendor whose metadata service lives there.
        never: True when no `AllowedNetwork` opens it.
        embeds: Where IPv4 addresses are inside; each of them is judged as well.
        passes: True when the outside alone is no reason to refuse, only what it embeds.
    """

    network: IPv4Network | IPv6Network
    name: str
    source: str
    never: bool = False
    embeds: Embeds = Embeds.NOTHING
    passes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The address may be connected to."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The address or host may not be connected to.

    Args:
        rule: Name of the rule, e.g. `loopback` or `loopback inside NAT64`; never the address.
    """

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A host that has to be resolved: ASCII, lower case, no trailing dot."""

    text: str


def _rule(network: str, name: str, source: str, *, never: bool = False) -> Rule:
    return Rule(network=ip_network(network), name=name, source=source, never=never)


def _carrier(network: str, name: str, source: str, *, embeds: Embeds, passes: bool = False) -> Rule:
    return Rule(network=ip_network(network), name=name, source=source, embeds=embeds, passes=passes)


# Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses and the RFCs they cite. Networks
# that the registry calls globally reachable but that hold no receiver (anycast sinks, relays) are in it too.
# The longest match names the reason.
RULES: tuple[Rule, ...] = (
    # Metadata services and link-local: one request there can hand out a machine's credentials. No setting
    # opens them.
    _rule("169.254.0.0/16", "link-local", "RFC 3927; cloud metadata services", never=True),
    _rule("100.100.100.200/32", "cloud metadata", "Alibaba Cloud", never=True),
    _rule("168.63.129.16/32", "cloud metadata", "Microsoft Azure", never=True),
    _rule("192.0.0.192/32", "cloud metadata", "Oracle Cloud", never=True),
    _rule("fe80::/10", "link-local", "RFC 4291 §2.5.6", never=True),
    _rule("fd00:ec2::/32", "cloud metadata", "Amazon EC2 (fd00:ec2::254 and its neighbours)", never=True),
    _rule("fd20:ce::/32", "cloud metadata", "Google Cloud (fd20:ce::254)", never=True),
    _rule("fd00:42::42/128", "cloud metadata", "Scaleway", never=True),
    # IPv4
    _rule("0.0.0.0/8", "this network", "RFC 791 §3.2"),
    _rule("10.0.0.0/8", "private", "RFC 1918"),
    _rule("100.64.0.0/10", "shared address space", "RFC 6598"),
    _rule("127.0.0.0/8", "loopback", "RFC 1122 §3.2.1.3"),
    _rule("172.16.0.0/12", "private", "RFC 1918"),
    _rule("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    _rule("192.0.2.0/24", "documentation", "RFC 5737"),
    _rule("192.31.196.0/24", "AS112", "RFC 7535"),
    _rule("192.52.193.0/24", "AMT", "RFC 7450"),
    _rule("192.88.99.0/24", "6to4 relay", "RFC 7526"),
    _rule("192.168.0.0/16", "private", "RFC 1918"),
    _rule("192.175.48.0/24", "AS112", "RFC 7534"),
    _rule("198.18.0.0/15", "benchmarking", "RFC 2544"),
    _rule("198.51.100.0/24", "documentation", "RFC 5737"),
    _rule("203.0.113.0/24", "documentation", "RFC 5737"),
    _rule("224.0.0.0/4", "multicast", "RFC 5771"),
    _rule("240.0.0.0/4", "reserved", "RFC 1112 §4"),
    _rule("255.255.255.255/32", "broadcast", "RFC 919"),
    # IPv6: only 2000::/3 is global unicast; the two halves around it are refused as a whole.
    _rule("::/3", "not global unicast", "RFC 4291 §2.4, IANA ipv6-address-space"),
    _rule("4000::/2", "not global unicast", "RFC 4291 §2.4, IANA ipv6-address-space"),
    _rule("8000::/1", "not global unicast", "RFC 4291 §2.4, IANA ipv6-address-space"),
    _rule("::/128", "unspecified", "RFC 4291 §2.5.2"),
    _rule("::1/128", "loopback", "RFC 4291 §2.5.3"),
    _carrier("::/96", "IPv4-compatible", "RFC 4291 §2.5.5.1", embeds=Embeds.LAST_32),
    _carrier("::ffff:0:0/96", "IPv4-mapped", "RFC 4291 §2.5.5.2", embeds=Embeds.LAST_32),
    _carrier("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 §2.1", embeds=Embeds.LAST_32),
    # A host with IPv6 only reaches every IPv4 receiver through it (DNS64), so what is inside decides.
    _carrier("64:ff9b::/96", "NAT64", "RFC 6052 §2.1", embeds=Embeds.LAST_32, passes=True),
    _carrier("64:ff9b:1::/48", "local NAT64", "RFC 8215", embeds=Embeds.TRANSLATED_48),
    _rule("100::/64", "discard", "RFC 6666"),
    _rule("100:0:0:1::/64", "dummy", "RFC 9780"),
    _rule("2001::/23", "protocol assignments", "RFC 2928"),
    _carrier("2001::/32", "Teredo", "RFC 4380", embeds=Embeds.TEREDO),
    _rule("2001:2::/48", "benchmarking", "RFC 5180"),
    _rule("2001:3::/32", "AMT", "RFC 7450"),
    _rule("2001:4:112::/48", "AS112", "RFC 7535"),
    _rule("2001:10::/28", "ORCHID", "RFC 4843"),
    _rule("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    _rule("2001:30::/28", "drone remote id", "RFC 9374"),
    _rule("2001:db8::/32", "documentation", "RFC 3849"),
    _carrier("2002::/16", "6to4", "RFC 3056", embeds=Embeds.AFTER_16),
    _rule("2620:4f:8000::/48", "AS112", "RFC 7534"),
    _rule("3ffe::/16", "6bone", "RFC 3701"),
    _rule("3fff::/20", "documentation", "RFC 9637"),
    _rule("5f00::/16", "segment routing", "RFC 9602"),
    _rule("fc00::/7", "unique local", "RFC 4193"),
    _rule("fec0::/10", "site-local", "RFC 3879"),
    _rule("ff00::/8", "multicast", "RFC 4291 §2.7"),
)

_NEVER = tuple(rule for rule in RULES if rule.never)
_LONGEST_FIRST = tuple(sorted(RULES, key=lambda rule: -rule.network.prefixlen))
# RFC 5214 §6.1: the interface identifier of ISATAP, with the universal bit clear or set, below any prefix at
# all.
_ISATAP_IDS = frozenset({0x0000_5EFE, 0x0200_5EFE})

_DOTTED_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What resolvers (inet_aton) take for a number: then the whole host would be an address in another spelling.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_MAX_NAME = 253  # RFC 1035 §2.3.4, without the root label


def decide(
    address: str | bytes | Address, port: int, allow: Iterable[AllowedNetwork] = ()
) -> Allowed | Blocked:
    """Judge one address, in all its views.

    Args:
        address: Text (IPv4 dotted quad, IPv6 without zone), packed network order (4 or 16 bytes), or parsed.
        port: TCP port that would be connected to.
        allow: Networks that are reachable although the table blocks them, rules marked `never` excepted.
    """
    try:
        outer = ip_address(address)
    except ValueError:
        return Blocked(rule="not an address")
    if isinstance(outer, IPv6Address) and outer.scope_id is not None:
        return Blocked(rule="zone")
    networks = tuple(allow)
    for inner, carrier in _inside(outer):
        reason = _reason(inner, port, networks)
        if reason is not None:
            return Blocked(rule=f"{reason} inside {carrier}")
    reason = _reason(outer, port, networks)
    return Allowed(address=outer) if reason is None else Blocked(rule=reason)


def read_host(text: str) -> Address | Name | Blocked:
    """Say what the host part of a URL is, in its one canonical spelling or not at all.

    Args:
        text: As it stands in the URL: a name, a dotted quad, or an IPv6 address in brackets. Other spellings
            of an address (`0177.1`, `2130706433`, `0x7f.1`), a trailing dot, zones, percent signs and
            non-ASCII are refused.
    """
    if not text:
        return Blocked(rule="no host")
    if not text.isascii():
        return Blocked(rule="host is not ASCII")
    if text[0] == "[":
        return _read_bracketed(text)
    if _DOTTED_QUAD.fullmatch(text):
        try:
            return IPv4Address(text)
        except ValueError:
            return Blocked(rule="address is not canonical")
    return _read_name(text.lower())


def _read_bracketed(text: str) -> IPv6Address | Blocked:
    inside = _IN_BRACKETS.fullmatch(text)
    try:
        return IPv6Address(inside[1]) if inside else Blocked(rule="address is not canonical")
    except ValueError:
        return Blocked(rule="address is not canonical")


def _read_name(text: str) -> Name | Blocked:
    if len(text) > _MAX_NAME:
        return Blocked(rule="host is too long")
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]) or (labels[-1] == "" and _NUMBER.fullmatch(labels[-2])):
        return Blocked(rule="address is not canonical")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return Blocked(rule="host is not a name")
    return Name(text=text)


def _reason(address: Address, port: int, allow: tuple[AllowedNetwork, ...]) -> str | None:
    """Return the name of the rule that refuses this one view, or None."""
    for rule in _NEVER:
        if address in rule.network:
            return rule.name
    if any(network.contains(address, port) for network in allow):
        return None
    for rule in _LONGEST_FIRST:
        if address in rule.network:
            return None if rule.passes else rule.name
    return None


def _inside(address: Address) -> list[tuple[IPv4Address, str]]:
    """List the IPv4 addresses that *address* carries, each with the carrier's name."""
    if isinstance(address, IPv4Address):
        return []
    bits = int(address)
    found = [(IPv4Address(bits & 0xFFFF_FFFF), "ISATAP")] if (bits >> 32) & 0xFFFF_FFFF in _ISATAP_IDS else []
    for rule in _LONGEST_FIRST:
        if address in rule.network:
            found.extend((IPv4Address(value), rule.name) for value in _embedded(bits, rule.embeds))
            break
    return found


def _embedded(bits: int, where: Embeds) -> tuple[int, ...]:
    """Return the 32-bit numbers at the places that *where* names."""
    last = bits & 0xFFFF_FFFF
    if where is Embeds.LAST_32:
        return (last,)
    if where is Embeds.TRANSLATED_48:
        # With a prefix of 48 bits the address goes around bits 64 to 71 and leaves the end of the suffix
        # zero.
        return (last or ((bits >> 64) & 0xFFFF) << 16 | (bits >> 40) & 0xFFFF,)
    if where is Embeds.AFTER_16:
        return ((bits >> 80) & 0xFFFF_FFFF,)
    if where is Embeds.TEREDO:
        return ((bits >> 64) & 0xFFFF_FFFF, last ^ 0xFFFF_FFFF)
    return ()
