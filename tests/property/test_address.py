"""Property: whatever an address is wrapped in, a blocked one stays blocked (the contract §1, §6)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from webhooks_core.address import Allowed, Blocked, decide, read_host
from webhooks_core.endpoint import AllowedNetwork

# An independent list, from the IANA registries of special-purpose addresses: not the table under test.
BLOCKED_4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
]  # fmt: skip
BLOCKED_6 = [
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64",
    "2001::/32",
    "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
    "fe80::/10",
    "fec0::/10", "ff00::/8", "4000::/3", "8000::/3", "e000::/4",
]  # fmt: skip
NEVER = ["169.254.0.0/16", "169.254.169.254/32", "fe80::/10", "fd00:ec2::254/128"]
PUBLIC_4 = [
    "8.8.8.8",
    "93.184.216.34",
    "1.1.1.1",
    "203.0.114.1",
    "172.32.0.1",
    "11.0.0.1",
    "192.167.255.255",
    "126.1.2.3",
]
PUBLIC_6 = ["2606:4700:4700::1111", "2a00:1450:4001::64", "2001:4860:4860::8888"]


def within(network: IPv4Network | IPv6Network) -> st.SearchStrategy[int]:
    """Numbers of addresses in a network, its first and last ones often."""
    low, high = int(network.network_address), int(network.broadcast_address)
    return st.integers(low, high) | st.sampled_from([low, high])


INNER = st.sampled_from(BLOCKED_4).flatmap(lambda text: within(ip_network(text))).map(IPv4Address)
PORTS = st.integers(1, 65535)


def carriers(inner: int, low: int) -> dict[str, IPv6Address]:
    """Every IPv6 form that leads to this IPv4 address; *low* fills bits that say nothing."""
    return {
        "mapped": IPv6Address((0xFFFF << 32) | inner),
        "compatible": IPv6Address(inner),
        "translated": IPv6Address((0xFFFF << 48) | inner),
        "NAT64": IPv6Address((0x64FF9B << 96) | inner),
        "local NAT64": IPv6Address((0x64FF9B0001 << 80) | inner),
        "6to4": IPv6Address((0x2002 << 112) | (inner << 80) | low),
        "Teredo": IPv6Address((0x20010000 << 96) | (0x41D0D0D0 << 64) | (inner ^ 0xFFFFFFFF)),
        "ISATAP": IPv6Address((0x2A001450 << 96) | (0x5EFE << 32) | inner),
    }


@given(INNER, st.integers(0, 2**80 - 1), PORTS)
def test_a_blocked_address_is_blocked_in_every_wrapping(inner: IPv4Address, low: int, port: int) -> None:
    """Mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP: judged by what is inside (§1)."""
    assert isinstance(decide(str(inner), port), Blocked)
    for name, outer in carriers(int(inner), low).items():
        for spelling in (str(outer), outer.packed, outer.exploded, outer):
            assert isinstance(decide(spelling, port), Blocked), (name, spelling)


@given(st.sampled_from(BLOCKED_4 + BLOCKED_6), st.data(), PORTS)
def test_any_address_of_a_blocked_network_is_blocked(text: str, data: st.DataObject, port: int) -> None:
    """First, last and any between, as text and packed (§1)."""
    network = ip_network(text)
    number = data.draw(within(network))
    address = IPv4Address(number) if network.version == 4 else IPv6Address(number)

    assert isinstance(decide(str(address), port), Blocked)
    assert isinstance(decide(address.packed, port), Blocked)


@pytest.mark.parametrize("text", [*PUBLIC_4, *PUBLIC_6])
def test_a_public_address_is_allowed(text: str) -> None:
    """Neighbours of blocked networks and well-known public addresses pass (§1: blocked, not everything)."""
    assert isinstance(decide(text, 443), Allowed)


@given(st.sampled_from(NEVER), st.data(), PORTS, st.sampled_from(["0.0.0.0/0", "::/0", "exact", "wider"]))
def test_no_allow_list_opens_link_local_or_metadata(
    text: str, data: st.DataObject, port: int, how: str
) -> None:
    """ALLOW_NETWORKS never reaches link-local and metadata addresses, wrapped ones included (§1)."""
    network = ip_network(text)
    number = data.draw(within(network))
    inner = IPv4Address(number) if network.version == 4 else IPv6Address(number)
    forms: list[IPv4Address | IPv6Address] = [inner]
    if isinstance(inner, IPv4Address):
        forms += carriers(int(inner), 0).values()
    allow = [everything(4), everything(6)]
    if how == "exact":
        allow += allowed(f"{inner}/{inner.max_prefixlen}")
    elif how == "wider":
        allow += allowed(text)

    for form in forms:
        assert isinstance(decide(form, port, [each for each in allow if each]), Blocked), form


def allowed(text: str) -> list[AllowedNetwork]:
    """An allow-list entry, or none where the setting itself refuses it."""
    try:
        return [AllowedNetwork.parse(text)]
    except Exception as error:
        assert type(error).__module__ == "webhooks_core.errors"
        return []


def everything(version: int) -> AllowedNetwork | None:
    """An allow-list entry for all addresses, or None where the setting refuses it."""
    found = allowed("0.0.0.0/0" if version == 4 else "::/0")
    return found[0] if found else None


@given(st.integers(0, 2**32 - 1), PORTS, PORTS)
def test_an_allow_list_opens_its_network_and_port_only(number: int, port: int, other: int) -> None:
    """An entry for 10.1.2.0/24 on one port opens exactly that (§1: CIDR and port)."""
    entry = [AllowedNetwork.parse(f"10.1.2.0/24:{port}")]
    assume(port != other)
    address = IPv4Address(number)

    assert isinstance(decide("10.1.2.3", port, entry), Allowed)
    assert isinstance(decide("10.1.2.3", other, entry), Blocked)
    if address not in ip_network("10.1.2.0/24"):
        assert type(decide(address, port, entry)) is type(decide(address, port))


@given(st.text(max_size=40) | st.binary(max_size=20) | st.text("0123456789abcdefx.:[]%/", max_size=45), PORTS)
def test_any_text_is_judged_without_an_exception(text: str | bytes, port: int) -> None:
    """What is no address is blocked; nothing raises (fail safe)."""
    verdict = decide(text, port)

    assert isinstance(verdict, (Allowed, Blocked))
    if isinstance(verdict, Blocked):
        assert verdict.rule


@given(INNER, st.sampled_from(["decimal", "hex", "octal", "short", "padded", "hexes", "zone", "mapped zone"]))
def test_another_spelling_of_an_address_is_no_host(inner: IPv4Address, spelling: str) -> None:
    """2130706433, 0x7f.1, 0177.0.0.1, 127.1 and zones are refused before anything resolves them (§1)."""
    number, parts = int(inner), str(inner).split(".")
    text = {
        "decimal": str(number),
        "hex": hex(number),
        "octal": ".".join(f"0{int(part):o}" for part in parts),
        "short": f"{parts[0]}.{number & 0xFFFFFF}",
        "padded": ".".join(part.zfill(3) for part in parts),
        "hexes": ".".join(hex(int(part)) for part in parts),
        "zone": "[fe80::1%eth0]",
        "mapped zone": f"[::ffff:{inner}%1]",
    }[spelling]
    assume(text != str(inner))

    assert isinstance(read_host(text), Blocked)


@given(st.text(max_size=60) | st.text("0123456789abcdefx.:[]%-_", max_size=60))
def test_any_host_is_read_or_refused(text: str) -> None:
    """read_host answers for any text, and never with an address in a second spelling (fail safe)."""
    found = read_host(text)

    if isinstance(found, IPv4Address):
        assert str(found) == text
    elif isinstance(found, IPv6Address):
        assert text[0] == "["
        assert IPv6Address(text[1:-1]) == found
