"""The address policy: every rule at its edges, every carrier, every spelling of a host but the canonical."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from webhooks_core.address import RULES, Allowed, Blocked, Embeds, Name, decide, read_host
from webhooks_core.endpoint import AllowedNetwork

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "64:ff9b::8.8.8.8",
]

# (address, the rule that names it)
REFUSED = [
    ("0.0.0.0", "this network"),
    ("0.255.255.255", "this network"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "shared address space"),
    ("100.127.255.255", "shared address space"),
    ("100.100.100.200", "cloud metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "cloud metadata"),
    ("169.254.0.0", "link-local"),
    ("169.254.169.254", "link-local"),
    ("169.254.170.2", "link-local"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "protocol assignments"),
    ("192.0.0.192", "cloud metadata"),
    ("192.0.2.1", "documentation"),
    ("192.31.196.1", "AS112"),
    ("192.52.193.1", "AMT"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.0.1", "private"),
    ("192.175.48.1", "AS112"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "this network inside IPv4-compatible"),
    ("::127.0.0.1", "loopback inside IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "loopback inside IPv4-mapped"),
    ("::ffff:169.254.169.254", "link-local inside IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("::ffff:0:10.0.0.1", "private inside IPv4-translated"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"),
    ("64:ff9b::127.0.0.1", "loopback inside NAT64"),
    ("64:ff9b::169.254.169.254", "link-local inside NAT64"),
    ("64:ff9b::10.1.2.3", "private inside NAT64"),
    ("64:ff9b:1::127.0.0.1", "loopback inside local NAT64"),
    ("64:ff9b:1:7f00:0:100::", "loopback inside local NAT64"),
    ("64:ff9b:1:a9fe:a9:fe00::", "link-local inside local NAT64"),
    ("64:ff9b:1:c000:2:100::", "documentation inside local NAT64"),
    ("64:ff9b:1::8.8.8.8", "local NAT64"),
    ("100::1", "discard"),
    ("100:0:0:1::1", "dummy"),
    ("1fff::1", "not global unicast"),
    ("2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback inside Teredo"),
    ("2001:0:7f00:1:8000:63bf:f7f7:f7f7", "loopback inside Teredo"),
    ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "Teredo"),
    ("2001:1::1", "protocol assignments"),
    ("2001:2::1", "benchmarking"),
    ("2001:3::1", "AMT"),
    ("2001:4:112::1", "AS112"),
    ("2001:10::1", "ORCHID"),
    ("2001:20::1", "ORCHIDv2"),
    ("2001:30::1", "drone remote id"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback inside 6to4"),
    ("2002:a9fe:a9fe::1", "link-local inside 6to4"),
    ("2002:808:808::1", "6to4"),
    ("2620:4f:8000::1", "AS112"),
    ("3ffe::1", "6bone"),
    ("3fff::1", "documentation"),
    ("3fff:fff::1", "documentation"),
    ("4000::1", "not global unicast"),
    ("5f00::1", "segment routing"),
    ("8000::1", "not global unicast"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "cloud metadata"),
    ("fd00:ec2::23", "cloud metadata"),
    ("fd20:ce::254", "cloud metadata"),
    ("fd00:42::42", "cloud metadata"),
    ("fdff::1", "unique local"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("2606:4700::5efe:127.0.0.1", "loopback inside ISATAP"),
    ("2606:4700::200:5efe:10.0.0.1", "private inside ISATAP"),
    ("2606:4700::5efe:169.254.169.254", "link-local inside ISATAP"),
]

HOSTILE_HOSTS = """
# numbers that inet_aton reads as an address
2130706433  017700000001  0x7f000001  0X7F000001  0x7f.1  0x7f.0.0.1  0x7f.0x0.0x0.0x1  0177.1  0177.0.0.1
0177.0.0.01  0177.0.1  127.1  127.0.1  127.65535  127.16777215  0  00  0x0  0x  1  255  4294967295
4294967296  0xffffffff  037777777777  3232235777  167772161  2886729729  2852039166  0xa9fea9fe
0xa9.0xfe.0xa9.0xfe  0251.0376.0251.0376  0251.254.169.254  169.254.43518  169.16689662  0xa9.254.169.254
169.0xfe.169.254  169.254.0xa9fe  025177524776  10.1  10.0.1  012.0.0.1  0xa.0.0.1  192.168.1  192.168.257
0300.0250.0.1  0xc0a80001  192.11010049  127.0.0.01  127.00.0.1  127.000.000.001  0127.0.0.1  127.0.0.0x1
00127.0.0.1  0000.0.0.0  0.0  0.0.0  00.00.00.00
# quads that are none
256.0.0.1  127.0.0.256  127.0.0.999  1.2.3.4.5  127.0.0.0.1  1.2.3  1.2  300.300.300.300  999.999.999.999
-1.0.0.1  127.0.0.-1  +127.0.0.1  127.0.0.+1  127..0.1  .127.0.0.1  127.0.0.1.  127.0.0.1..  127.1.
2130706433.  0x7f.1.
# dots
.  ..  ...  localhost.  localhost..  .localhost  example.com.  example..com  .example.com
metadata.google.internal.  169.254.169.254.  a.  a..b
# percent, plus, stars and other signs of somebody else's grammar
127.0.0.1%00  127.0.0.1%20  %31%32%37.0.0.1  127%2e0%2e0%2e1  127.0.0.1%2f  localhost%00  local%68ost
%6c%6f%63%61lhost  example.com%2f@127.0.0.1  127.0.0.1%0d%0a  127.0.0.1%23  127.0.0.1%25  %  %2e  %00
127.0.0.1#  127.0.0.1?  127.0.0.1/  127.0.0.1\\  \\127.0.0.1  127.0.0.1@8.8.8.8  8.8.8.8@127.0.0.1
user:pass@127.0.0.1  127.0.0.1:80  localhost:80  a:b  a:b:c  127.0.0.1,8.8.8.8  127.0.0.1;8.8.8.8
127.0.0.1|8.8.8.8  {127.0.0.1}  (127.0.0.1)  <127.0.0.1>  "127.0.0.1"  '127.0.0.1'  `127.0.0.1`  $127.0.0.1
127.0.0.1&  127.0.0.1=  *.example.com  *  ~  !  ^localhost  loc+alhost  loc*lhost  a=b  a&b  a|b  127.0.0.1*
127.0.0.*  10.0.0.0/8  0.0.0.0/0  ::1/128  127.0.0.1-127.0.0.2
# IPv6, without brackets, broken, with zones, with an address of the other family in another spelling
::1  ::  ::ffff:127.0.0.1  fe80::1  fe80::1%eth0  [  ]  []  [[::1]]  [::1  ::1]  [:]  [:::]  [::1::]
[1::2::3]  [::g]  [::1%]  [::1%1]  [::1%25eth0]  [fe80::1%eth0]  [fe80::1%25lo]  [::ffff:127.0.0.1%1]
[::ffff:127.0.0.01]  [::ffff:127.1]  [::ffff:0x7f.0.0.1]  [::ffff:2130706433]  [::127.0.0.1.]  [::1.]
[::1]]  [::1]a  a[::1]  [127.0.0.1]  [localhost]  [0:0]  [::ffff:256.0.0.1]  [12345::1]  [1:2:3:4:5:6:7]
[1:2:3:4:5:6:7:8:9]  [v1.fe80::1]  [vF.x]  [::1;]  [::1,::2]  [::1]:80
# labels that no zone holds
-a.example  a-.example  a_-.example  -  --  a.-b  exa!mple.com  exa$mple.com  a/b  a\\b  a?b  a#b  a@b
1.2.3.0x4  example.0x7f  example.123  a.0x  a.0  a.00  a.08  a.1.  1e3.5  1.2.3.4e0.5
"""

HOSTILE = [host for line in HOSTILE_HOSTS.splitlines() if not line.startswith("#") for host in line.split()]
# What cannot be written in a table of words: blanks, controls, other scripts, lengths.
HOSTILE += [
    "",
    " ",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1 foo",
    "127.0.0.1\t",
    "127.0.0.1\n",
    "127.0.0.1\r\n",
    "127.0.0.1\x00",
    "127.0.0.1\x00.example.com",
    "\x00",
    "\x7f",
    "local\thost",
    "local\nhost",
    "localhost\r\nX-Evil: 1",
    "exam ple.com",
    "１２７.0.0.1",
    "１２７．０．０．１",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.0.0.1",
    "⑯⑨.②⑤④.⑯⑨.②⑤④",
    "²¹³⁰⁷⁰⁶⁴³³",
    "𝟏𝟐𝟕.0.0.1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",
    "ⅼocalhost",
    "loc\u200balhost",
    "loc\u00adalhost",
    "localhost\u3002",
    "ⓔⓧⓐⓜⓟⓛⓔ.com",
    "bücher.example",
    "eⅹample.com",
    "١٢٧.٠.٠.١",
    "१२७.०.०.१",
    "[::ｆfff:127.0.0.1]",
    "[::1\n]",
    "[::1 ]",
    "[ ::1]",
    "a" * 64 + ".example",
    ".".join(["a" * 62] * 4) + ".bc",
    "a" * 254,
    ".".join(["a" * 60] * 5),
    "0" * 300,
    "1" * 5_000,
]

NAMES = [
    "localhost",
    "LOCALHOST",
    "receiver",
    "example.com",
    "Example.COM",
    "hooks.example.co.uk",
    "a-b.example",
    "my_service",
    "_dmarc.example",
    "xn--bcher-kva.example",
    "123.example",
    "1.2.3.4.example",
    "0x7f.example",
    "127.0.0.1.nip.example",
    "a" * 63 + ".example",
    ".".join(["a" * 62] * 4) + ".b",
    "7f",
    "0x7g",
    "1a",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    """What stands beside a blocked network, and ordinary receivers, may be reached."""
    assert decide(address, 443) == Allowed(address=ip_address(address))


@pytest.mark.parametrize(("address", "rule"), REFUSED)
def test_a_special_address_is_refused_by_the_rule_that_names_it(address: str, rule: str) -> None:
    """Each rule refuses what it is about, and the most telling one is named."""
    assert decide(address, 443) == Blocked(rule=rule)
    assert decide(ip_address(address), 443) == Blocked(rule=rule)
    assert decide(ip_address(address).packed, 443) == Blocked(rule=rule)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.network))
def test_first_and_last_address_of_every_network_are_refused(rule: object) -> None:
    """The table has no rule that does nothing; NAT64 alone lets through what it carries."""
    assert isinstance(rule, type(RULES[0]))
    edges = (rule.network[0], rule.network[-1])

    assert all(isinstance(decide(edge, 80), Blocked) for edge in edges)


def test_the_table_names_a_source_for_each_rule_and_no_network_twice() -> None:
    """STYLE §1.11: the reason stands next to the number."""
    networks = [rule.network for rule in RULES]

    assert all(rule.name and rule.source for rule in RULES)
    assert len(set(networks)) == len(networks)
    assert [rule.name for rule in RULES if rule.passes] == ["NAT64"]


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f.0.0.1", "1.2.3.04", "::1%lo0x", b"", b"\x7f\x00\x00"]
)
def test_what_is_no_address_is_refused(text: str | bytes) -> None:
    """`decide` has no opinion on names and no tolerance for other spellings."""
    assert isinstance(decide(text, 80), Blocked)


def test_a_zone_is_refused_even_on_a_public_address() -> None:
    """A zone chooses an interface, which no URL may."""
    assert decide("2606:4700:4700::1111%eth0", 443) == Blocked(rule="zone")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.1.0.0/16"),
        ("192.168.7.7", "0.0.0.0/0"),
        ("::1", "::1/128"),
        ("fd12:3456::1", "fd12:3456::/32"),
    ],
)
def test_an_allowed_network_opens_what_the_table_blocks(address: str, network: str) -> None:
    """The contract §1: ALLOW_NETWORKS, CIDR and port."""
    allow = (AllowedNetwork.parse(network),)

    assert isinstance(decide(address, 8000), Blocked)
    assert isinstance(decide(address, 8000, allow), Allowed)


def test_an_allowed_network_with_a_port_opens_that_port_only() -> None:
    """The contract §1: 127.0.0.1/32:8000 is not 127.0.0.1/32:8001."""
    allow = (AllowedNetwork.parse("127.0.0.1/32:8000"),)

    assert isinstance(decide("127.0.0.1", 8000, allow), Allowed)
    assert decide("127.0.0.1", 8001, allow) == Blocked(rule="loopback")
    assert decide("127.0.0.2", 8000, allow) == Blocked(rule="loopback")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.never], ids=lambda rule: str(rule.network))
def test_no_setting_opens_metadata_or_link_local(rule: object) -> None:
    """The contract §1: link-local and metadata addresses never."""
    assert isinstance(rule, type(RULES[0]))
    allow = (
        AllowedNetwork(network=rule.network),
        AllowedNetwork.parse("0.0.0.0/0"),
        AllowedNetwork.parse("::/0"),
    )

    assert decide(rule.network[0], 80, allow) == Blocked(rule=rule.name)
    assert decide(rule.network[-1], 80, allow) == Blocked(rule=rule.name)


@pytest.mark.parametrize(
    "carrier",
    [
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::1",
        "2606:4700::5efe:169.254.169.254",
    ],
)
def test_no_setting_opens_metadata_inside_a_carrier(carrier: str) -> None:
    """Both views are judged, and `never` holds for the inner one too."""
    allow = (AllowedNetwork.parse("0.0.0.0/0"), AllowedNetwork.parse("::/0"))

    verdict = decide(carrier, 80, allow)

    assert isinstance(verdict, Blocked)
    assert verdict.rule.startswith("link-local inside ")


def test_an_allowed_ipv4_network_does_not_open_its_carriers() -> None:
    """Allowing 127.0.0.0/8 says nothing about ::ffff:127.0.0.1: the outside has a rule of its own."""
    allow = (AllowedNetwork.parse("127.0.0.0/8"),)

    assert decide("::ffff:127.0.0.1", 80, allow) == Blocked(rule="IPv4-mapped")
    assert decide("2002:7f00:1::", 80, allow) == Blocked(rule="6to4")
    assert isinstance(decide("64:ff9b::127.0.0.1", 80, allow), Allowed)


def test_every_carrier_of_the_table_is_one_that_embeds() -> None:
    """A rule either carries IPv4 addresses or it does not."""
    carriers = {rule.name for rule in RULES if rule.embeds is not Embeds.NOTHING}

    assert carriers == {
        "IPv4-compatible",
        "IPv4-mapped",
        "IPv4-translated",
        "NAT64",
        "local NAT64",
        "Teredo",
        "6to4",
    }


def test_the_table_of_hostile_hosts_is_long_enough() -> None:
    """At least 150 different ones."""
    assert len(set(HOSTILE)) >= 150


@pytest.mark.parametrize("host", HOSTILE, ids=ascii)
def test_a_host_in_another_spelling_is_refused(host: str) -> None:
    """One canonical spelling or nothing: what a resolver might read differently is never asked about."""
    assert isinstance(read_host(host), Blocked)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name_in_lower_case(name: str) -> None:
    """Names are left to the resolver, `localhost` included; what they resolve to is judged."""
    assert read_host(name) == Name(text=name.lower())


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "255.255.255.255", "169.254.169.254", "8.8.8.8"])
def test_a_dotted_quad_is_an_address(host: str) -> None:
    """The canonical spelling is read, and `decide` judges it."""
    assert read_host(host) == IPv4Address(host)


@pytest.mark.parametrize(
    "host", ["[::1]", "[::ffff:127.0.0.1]", "[2606:4700:4700::1111]", "[FE80::1]", "[0:0:0:0:0:0:0:1]"]
)
def test_a_bracketed_address_is_an_address(host: str) -> None:
    """IPv6 in brackets is read in any of its own spellings: they name one number, without a resolver."""
    assert read_host(host) == IPv6Address(host[1:-1])


def test_no_refusal_repeats_the_host() -> None:
    """A rule is a name from a short list, whatever was asked."""
    rules = {verdict.rule for host in HOSTILE if isinstance(verdict := read_host(host), Blocked)}

    assert rules == {
        "no host",
        "host is not ASCII",
        "host is too long",
        "host is not a name",
        "address is not canonical",
    }
