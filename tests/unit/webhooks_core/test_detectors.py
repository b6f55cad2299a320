"""The shapes of personal data: what is one, what only looks like one, and that a long text costs no more."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_core.detectors import FORBIDDEN_KEYS, Kind, detect, is_forbidden_key, readable

ADDRESSES = [
    "alice@example.com",
    "a@b.co",
    "Alice <alice.b+tag@mail.example.co.uk>,",
    "mailto:alice%40example.com",
    '"a b"@example.org',
    "alice @ example.com",
    "alice@[10.0.0.1]",
    "用户@例子.公司",
    "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "alice\ufe6bexample.com",
    "al\u200bice\u00ad@exam\u2060ple.c\ufeffom",
    "alice@example\u3002com",
]
HANDLES = [
    "@bob",
    "thanks @bob_1!",
    "＠bob",
    "@\u200bbob",
    "%40bob",
    "user@localhost",
    "@Ж",
    "a@b.co and @bob",
]
NETWORKS = [
    "192.168.1.1",
    "1.2.3.4",
    "0.0.0.0",
    "255.255.255.255",
    "from 10.0.0.1.",
    "http://10.0.0.1:8080/x",
    "10.0.0.0/8",
    "srv.10.0.0.1",
    "192.168.001.001",
    "１９２.168.1.1",
    "١٩٢.١٦٨.١.١",
    "1\u3002 2.3.4, 8.8.8.8",
    "2001:db8::1",
    "2001:DB8::1",
    "[2001:db8::1]:443",
    "::1",
    "1::",
    "::ffff:10.0.0.1",
    "64:ff9b::192.0.2.33",
    "fe80::1%eth0",
    "2001:0db8:0000:0000:0000:ff00:0042:8329",
    "1:2:3:4:5:6:7::",
    "ip:2001:db8::1",
    "tel:fe80::1",
    "client:2a00:1450:4001::64",
    "source:2001:db8:0:0:0:0:0:1",
    "address 2001:db8::1: is",
    "is it 2001:db8::1.",
]
PHONES = [
    "+15551234567",
    "+1 555 123 4567",
    "+1 (555) 123-4567",
    "+880 1712-345678",
    "+49 (0) 171 2345678",
    "+44 20 7946 0958",
    "tel:+4915112345678",
    "＋１ ５５５ １２３ ４５６７",
    "+1\u2011555\u2011123\u20114567",
    "(555) 123-4567",
    "(030) 1234567",
    "555-123-4567",
    "555.123.4567",
    "call 555 123 4567 now",
    "01712-345678",
    "0171 2345678",
    "020 7946 0958",
    "1-415-555-0132",
    "1.415.555.0132",
    "1 415 555 0132",
    "0044 20 7946 0958",
    "00 44 20 7946 0958",
    "0049-171-2345678",
    "0049 1712345678",
]
HARMLESS = [
    "",
    "payment_verified",
    "101",
    "4711090210",
    "0123456789",
    "01712345678",
    "550e8400-e29b-41d4-a716-446655440000",
    "00000000-0000-4000-8000-000000000000",
    "12345678-1234-4123-8123-123456789012",
    "d41d8cd98f00b204e9800998ecf8427e",
    "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7",
    "12345678901234567890123456789012",
    "sha256:deadbeef",
    "2025-11-13",
    "13.11.2025",
    "13/11/2025",
    "01-02-2025",
    "2025-11-13T14:30:00Z",
    "2025-11-13 14:30:00",
    "2025-11-13T14:30:00.123456+06:00",
    "2025-11-13T14:30:00+0600",
    "1763000000",
    "1763000000123",
    "1763000000.123",
    "1.2.3",
    "v1.2.3.4",
    "1.2.3-rc.1+20251113",
    "10.0.19045.1",
    "120.0.6099.109",
    "1.3.6.1.4.1.311",
    "256.1.1.1",
    "1.2.3.4567",
    "12:30:45",
    "00:1a:2b:3c:4d:5e",
    "::",
    ":::1",
    "1::2::3",
    "12345::1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "Foo::Bar",
    "std::vector",
    "16:9",
    "@",
    "a @ b",
    "5 @ 3",
    "100 %",
    "3-2",
    "2025-2026",
    "1,234,567.89",
    "1 234 567",
    "+5",
    "+12 points",
    "ORD-0012-345678",
    "0012-345678",
    "0001-01-01",
    "0020-01-01 00:00",
    "1-2-3",
    "1.41.55",
    "at:12:30:45",
    "urn:isbn:0451450523",
    "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
    "key:ab:cd",
    "std::bad",
    "cafe:12:30",
    "INV-2025-000123",
    "(2025) 12",
    "最新",
    "\u200b",
]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_e_mail_address_is_found(text: str) -> None:
    """Whatever form its letters have, and whatever stands around it."""
    assert Kind.ADDRESS in detect(text)


@pytest.mark.parametrize("text", HANDLES)
def test_a_handle_is_found(text: str) -> None:
    """The seeds' pattern `@[a-zA-Z0-9_]+`, in any script."""
    assert Kind.HANDLE in detect(text)


@pytest.mark.parametrize("text", ["alice@example.com", "a@b.co, c@d.org"])
def test_an_address_is_not_a_handle_as_well(text: str) -> None:
    """Each hit has one kind."""
    assert detect(text) == (Kind.ADDRESS,)


@pytest.mark.parametrize("text", NETWORKS)
def test_a_network_address_is_found(text: str) -> None:
    """IPv4 with numbers of 0 to 255, IPv6 in each of its forms."""
    assert Kind.NETWORK in detect(text)


@pytest.mark.parametrize("text", PHONES)
def test_a_telephone_number_is_found(text: str) -> None:
    """As people write it: a plus, brackets, groups, or a leading zero with a separator."""
    assert Kind.PHONE in detect(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    """Ids, UUIDs, hashes, moments, versions, money, scores."""
    assert detect(text) == ()


def test_several_kinds_are_told_each_once_in_a_fixed_order() -> None:
    """One text may show them all."""
    text = "@bob a@b.co c@d.org 10.0.0.1 ::1 +15551234567"

    assert detect(text) == (Kind.ADDRESS, Kind.HANDLE, Kind.NETWORK, Kind.PHONE)


@pytest.mark.parametrize(
    "seed",
    [
        "a",
        "1",
        "1.",
        "@",
        "a@",
        "+1",
        ":",
        "1:",
        "0123 ",
        "(",
        "1 ",
        "%40",
        "1-",
        "0.0.0.",
        "z",
        "z:",
        "z:1:",
        "001 ",
        "a" + "\u0301" * 99_999 + "\u0327" * 99_999,
        "\u0344",
        "\u0301\uff9e",
        "\u0f75\u0f73",
    ],
    ids=lambda seed: ascii(seed[:8]),
)
def test_a_long_text_costs_no_more_than_its_length(seed: str) -> None:
    """Some 50 ms for 200,000 characters; with the square of the length it would take minutes."""
    text = (seed * (200_000 // len(seed) + 1))[:200_000] + "x"

    begun = time.perf_counter()
    detect(text)

    assert time.perf_counter() - begun < 3


@given(st.lists(st.sampled_from("a@1\u0301\u0327\u0344\u200d\uac00é"), max_size=60).map("".join))
def test_a_text_with_few_marks_in_a_row_loses_none(text: str) -> None:
    """Thirty behind a letter are more than any language has; what is beyond them is left out."""
    few = re.sub("([\u0301\u0327\u0344]{30})[\u0301\u0327\u0344]*", r"\1", text)

    assert readable(text) == unicodedata.normalize("NFKC", few).replace("\u200d", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("ﬁ＠①", "fi@1"),
        ("a\u200bb\u00adc\ufe0f", "abc"),
        ("१२३", "123"),
        ("a\u2013b\u2212c", "a-b-c"),
        ("a\u3002b", "a.b"),
    ],
)
def test_a_text_is_read_as_a_person_reads_it(text: str, expected: str) -> None:
    """NFKC; invisible characters dropped; digits and dashes of any script as ASCII."""
    assert readable(text) == expected


@pytest.mark.parametrize(
    "key",
    [
        "email",
        "EMAIL",
        "e-mail",
        "e_mail",
        "ｅｍａｉｌ",
        "ipAddress",
        "IP-Address",
        "user name",
        "name",
        "phone",
    ],
)
def test_a_key_that_names_personal_data_is_forbidden(key: str) -> None:
    """Without case, separators and camel humps."""
    assert is_forbidden_key(key)


@pytest.mark.parametrize(
    "key", ["email_sent", "emails", "tournament_name", "names", "phone_calls", "ip_count", "zip", ""]
)
def test_a_key_that_only_contains_such_a_name_is_not(key: str) -> None:
    """The count `email_sent` is not one."""
    assert not is_forbidden_key(key)


def test_the_forbidden_names_are_written_as_they_are_compared() -> None:
    """A name with a capital or a separator in the list would never match."""
    assert all(name.isascii() and name.isalpha() and name == name.lower() for name in FORBIDDEN_KEYS)
