"""Recognise personal data in one text by its shape: addresses, handles, networks, phone numbers, key names.

What belongs here: the shapes, and the reading of a text as a person would read it (compatibility forms
folded, invisible characters dropped). What must not: where a text stands in an envelope, and what follows
from a hit (pii.py). The invariant: a text is judged by shape alone, in time linear in its length, and is
never returned. Explained in docs/explanation/security-model.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from enum import StrEnum


class Kind(StrEnum):
    """Name what was found; the first five are personal data, the last two only an unfinished declaration."""

    ADDRESS = "address"
    """An e-mail address."""
    HANDLE = "handle"
    """``@somebody``."""
    NETWORK = "network"
    """An IPv4 or IPv6 address."""
    PHONE = "phone"
    """A telephone number as people write it; a bare run of digits is an id."""
    KEY = "key"
    """A key that names personal data, such as ``ip_address``."""
    UNKNOWN_FIELD = "unknown_field"
    """A field that the event's allow-list does not have."""
    WRONG_TYPE = "wrong_type"
    """A value that is not of the declared type."""


# Compared without case, separators and camel humps: `ip_address`, `IP-Address` and `ipAddress` are one name.
FORBIDDEN_KEYS = frozenset(
    {"address", "birthdate", "birthday", "city", "dateofbirth", "displayname", "dob", "email", "emailaddress"}
    | {
        "firstname",
        "fullname",
        "gamertag",
        "handle",
        "ip",
        "ipaddr",
        "ipaddress",
        "lastname",
        "login",
        "mail",
    }
    | {"mobile", "mobilenumber", "msisdn", "name", "nickname", "phone", "phonenumber", "postcode", "realname"}
    | {"remoteaddr", "screenname", "street", "surname", "telephone", "useragent", "username", "zipcode"}
)

# An address has something before the sign and a dotted name after it; any other sign before a word is a
# handle (the seeds look for `@[a-zA-Z0-9_]+`). Anchored at the sign, so that a long text costs no more than
# its length.
_ADDRESS = re.compile(r"""(?<=[\w.%+'"\])-])\s?@\s?\[?[\w-]{1,63}(?:\.[\w-]{1,63})+""")
_HANDLE = re.compile(r"@\w")

# Four numbers of 0 to 255, not part of a longer row of numbers and not behind a letter: `1.2.3.4` is an
# address by shape, `v1.2.3.4`, `1.2.3`, `10.0.19045.1` and `1.3.6.1.4` are not.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4 = re.compile(rf"(?<![\w])(?<![0-9]\.){_OCTET}(?:\.{_OCTET}){{3}}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?!\w)")
# Behind a word that says what it is: `ip:2001:db8::1`. The word has a letter that is no digit of an address.
_LABELLED_IPV6 = re.compile(
    r"(?<!\w)\w{0,24}[G-Zg-z_]\w{0,24}:([0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?!\w)"
)

# International with its plus and 7 to 15 digits (ITU-T E.164); national only with the separators that
# people write: brackets, the three groups of North America (with its leading 1 or without), or a leading
# zero; two zeros stand for the plus. Dates, money and ids have none of them.
_PHONES = (
    re.compile(r"(?<![\w+])\+\s?\(?[0-9](?:[\s().\-/]{0,2}[0-9]){6,14}(?!\w)"),
    re.compile(r"(?<![\w-])\([0-9]{2,5}\)[\s\-/]?[0-9]{3,4}[\s-]?[0-9]{3,5}(?![\w-])"),
    re.compile(r"(?<![\w.-])(?:1[\s.-])?[0-9]{3}([\s.-])[0-9]{3}\1[0-9]{4}(?![\w-]|\.[0-9])"),
    re.compile(r"(?<![\w.-])0[1-9][0-9]{1,3}[\s\-/][0-9]{3,4}(?:[\s-]?[0-9]{2,4}){1,2}(?![\w-]|\.[0-9])"),
    re.compile(
        r"(?<![\w.+-])00\s?[1-9][0-9]{0,2}"
        r"(?:\s[0-9]{7,12}|(?:[\s.\-/][0-9]{1,4}){1,4}[\s.\-/][0-9]{3,8})(?![\w-]|\.[0-9])"
    ),
)
_SEPARATORS = re.compile(r"[\s_.-]+")

# Normalising sorts the marks behind one letter, in time that is the square of their number; no language has
# more than a handful (Unicode Standard Annex 15, stream-safe text format).
_MOST_MARKS = 30


def readable(text: str) -> str:
    """Return *text* as a person reads it: NFKC, any script's digits and dashes as ASCII, nothing invisible.

    Of more than 30 combining marks in a row the first 30 are kept. Source: Unicode Standard Annex 15 (NFKC,
    stream-safe text format); general categories Cf, Nd and Pd.
    """
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", "".join(_with_few_marks(text)))
    return "".join(_plain(character) for character in folded)


def _with_few_marks(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        # Asked of what it becomes: five characters are letters by themselves, and decompose into marks.
        is_mark = not character.isascii() and unicodedata.combining(
            unicodedata.normalize("NFKD", character)[0]
        )
        marks = marks + 1 if is_mark else 0
        if marks <= _MOST_MARKS:
            yield character


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd" or character == "\u2212":  # the minus sign
        return "-"
    return "." if character == "\u3002" else character


def detect(text: str) -> tuple[Kind, ...]:
    """Return the kinds of personal data that *text* shows, each once, in a fixed order."""
    text = readable(text)
    return tuple(kind for kind, shows in _DETECTORS if shows(text))


def is_forbidden_key(key: str) -> bool:
    """Return whether *key* names personal data; only the whole name counts (`email_sent` is none)."""
    return _SEPARATORS.sub("", readable(key)).casefold() in FORBIDDEN_KEYS


def _shows_address(text: str) -> bool:
    if "@" not in text and "%40" not in text:
        return False
    return _ADDRESS.search(text.replace("%40", "@")) is not None


def _shows_handle(text: str) -> bool:
    if "@" not in text and "%40" not in text:
        return False
    text = text.replace("%40", "@")
    return _HANDLE.search(_ADDRESS.sub(" ", text)) is not None


def _shows_network(text: str) -> bool:
    if "." in text and _IPV4.search(text):
        return True
    if text.count(":") < 2:
        return False
    found = (
        match.group(match.lastindex or 0)
        for shape in (_IPV6, _LABELLED_IPV6)
        for match in shape.finditer(text)
    )
    return any(map(_is_ipv6, found))


def _is_ipv6(text: str) -> bool:
    """Return whether *text* is an IPv6 address (RFC 4291, section 2.2); `12:30:45` and `::` are none."""
    if text.endswith(":") and not text.endswith("::"):
        text = text[:-1]
    parts = text.split(":")
    if not any(parts) or any(len(part) > 4 for part in parts):
        return False
    if "::" not in text:
        return len(parts) == 8 and all(parts)
    return text.count("::") == 1 and ":::" not in text and sum(map(bool, parts)) <= 7


def _shows_phone(text: str) -> bool:
    return any(shape.search(text) for shape in _PHONES)


_DETECTORS: tuple[tuple[Kind, Callable[[str], bool]], ...] = (
    (Kind.ADDRESS, _shows_address),
    (Kind.HANDLE, _shows_handle),
    (Kind.NETWORK, _shows_network),
    (Kind.PHONE, _shows_phone),
)
