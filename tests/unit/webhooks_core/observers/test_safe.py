"""Whatever comes from outside leaves as one harmless word."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from webhooks_core.observers.safe import FORBIDDEN, place, safe, words

IPV4 = re.compile(r"\b([0-9]{1,3}\.){3}[0-9]{1,3}\b")
PIECES = [
    "10.", "172.", "192.168", "email", "Username", "ip_address", "@", "%", "\n", "\x10", ".", "1", "0", "::",
    "1.2.3.4", "e", "mail", "user", "name", "\udcff", "é", "72", "17", "2E", " ", "x", "E", "IP_", "address",
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        ("payment_verified", "payment_verified"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("2025-11-13T12:30:00Z", "2025-11-13T12:30:00Z"),
        ("a/b+c:d.e-f_g", "a/b+c:d.e-f_g"),
        ("", "-"),
        (None, "-"),
        ("a b", "a%20b"),
        ("a, outcome=success", "a%2C%20outcome%3Dsuccess"),
        ("a\r\nWebhook delivered successfully", "a%0D%0AWebhook%20delivered%20successfully"),
        ("\x1b[31mred", "%1B%5B31mred"),
        ("100%", "100%25"),
        ("müsli", "m%C3%BCsli"),
        ("\ud800", "%ED%A0%80"),
        ("\u202e", "%E2%80%AE"),
        ("jane@example.com", "jane%40example.com"),
        ("email_sent", "e%6Dail_sent"),
        ("EMAIL", "E%4DAIL"),
        ("username", "use%72name"),
        ("usernamemail", "use%72name%6Dail"),
        ("ip_address", "ip%5Faddress"),
        ("round10.done", "round1%30.done"),
        ("a172.b", "a17%32.b"),
        ("192.168", "1%392.168"),
        ("10.0.0.1", "x.x.x.x"),
        ("host-203.0.113.9:443", "host-x.x.x.x:443"),
        ("[2001:db8::1]:443", "%5Bx:x%5D:443"),
        ("1:2:3:4:5:6:7:8", "x:x"),
    ],
)
def test_a_value_becomes_one_word(value: str | None, logged: str) -> None:
    """Allowed characters stay, addresses are masked, all else is percent-encoded."""
    assert safe(value) == logged


@pytest.mark.parametrize(
    "value", ["payment", "a b", "email", "round10.done", "müsli", "100%", "usernamemail"]
)
def test_what_is_not_masked_can_be_read_back(value: str) -> None:
    """Percent-decoding gives the value."""
    assert unquote(safe(value)) == value


def test_long_values_are_cut_between_characters() -> None:
    """128 characters at most, and never half an encoded byte."""
    assert safe("x" * 1_000_000) == "x" * 128
    assert len(safe("é" * 1_000)) == 126
    assert safe("x" * 127 + "é") == "x" * 127
    assert safe("x" * 126 + "é") == "x" * 126


def test_our_own_words_keep_their_spaces() -> None:
    """Single ones, inside; line breaks become spaces."""
    assert words("3 of 3 attempts failed") == "3 of 3 attempts failed"
    assert words("  a \n\t b  ") == "a b"
    assert words("Duplicate webhook (replay detected)") == "Duplicate webhook %28replay detected%29"
    assert words(" ") == "-"
    assert words("x" * 127 + " x") == "x" * 127


def test_a_path_keeps_its_stars_and_brackets() -> None:
    """Where something was found can be read at a glance; a listed key that trips the checks is encoded."""
    assert place("data.players[3].*") == "data.players[3].*"
    assert place("metadata.email_sent") == "metadata.e%6Dail_sent"
    assert place("data.a b\n") == "data.a%20b%0A"


@pytest.mark.parametrize("first", PIECES)
@pytest.mark.parametrize("second", PIECES)
def test_no_three_pieces_trip_the_checks(first: str, second: str) -> None:
    """Every three of the awkward pieces side by side: nothing forbidden appears, not even by encoding."""
    for third in PIECES:
        for made in (safe(first + second + third), words(first + second + third)):
            assert not FORBIDDEN.search(made)
            assert not IPV4.search(made)
            assert re.fullmatch(r"[A-Za-z0-9_.:/+% -]{1,128}", made)
