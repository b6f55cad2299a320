"""Make any text fit for a log line: no line break, no forged field, no personal data by the runbook's checks.

Pure text in, pure text out. Invariants, for any input: `safe` returns 1 to 128 characters of
`[A-Za-z0-9_.:/+%-]` (`words` also single spaces, `place` also `*[]`); nothing in it matches `FORBIDDEN` or a
dotted or colon-separated IP address; what was not masked can be read back by percent-decoding. Explained in
docs/reference/log-lines.md.
"""

from __future__ import annotations

import re

MOST_CHARACTERS = 128  # contract §8
MASKED_IPV4 = "x.x.x.x"
MASKED_IPV6 = "x:x"

# The seeds' checks: the runbook's quick one, and the staging guide's. A match means "personal data, roll
# back".
FORBIDDEN = re.compile(r"@|email|username|ip_address|192\.168|10\.|172\.", re.IGNORECASE | re.ASCII)

_OTHER = re.compile(r"[^A-Za-z0-9_.:/+-]", re.ASCII)
_OTHER_BUT_SPACE = re.compile(r"[^A-Za-z0-9_.:/+ -]", re.ASCII)
_OTHER_BUT_PLACE = re.compile(r"[^A-Za-z0-9_.:/+*\[\]-]", re.ASCII)
# Nothing in it needs a look but the words: no dot and no colon is no address. Ids and names mostly are so.
_PLAIN = re.compile(rf"[A-Za-z0-9_-]{{1,{MOST_CHARACTERS}}}", re.ASCII)
_IPV4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)
# Eight groups, or fewer with `::`; `12:30:00` is a time.
_IPV6 = re.compile(r"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|[0-9a-f:]*::[0-9a-f:]*", re.IGNORECASE | re.ASCII)
# Which character of a match is written as %XX so that it no longer matches, and what stays readable.
_BREAK_AT = {"email": 1, "username": 3, "ip_address": 2, "192.168": 1, "10.": 1, "172.": 2}


def safe(value: str | None) -> str:
    """Return a value from outside as one word; None and the empty text are `-`."""
    return _cleaned(value or "", _OTHER)


def words(text: str) -> str:
    """Return our own words (a reason, an error) as they are; whatever else got into them is encoded."""
    return _cleaned(" ".join(text.split()), _OTHER_BUT_SPACE)


def place(path: str) -> str:
    """Return the path of a field, `data.players[3].*`, as one word that keeps its stars and brackets."""
    return _cleaned(path, _OTHER_BUT_PLACE)


def _cleaned(text: str, other: re.Pattern[str]) -> str:
    if _PLAIN.fullmatch(text) and not FORBIDDEN.search(text):
        return text
    # A character becomes at most twelve (four bytes, %XX each), and at least one: no more are needed to
    # fill a value.
    text = _IPV6.sub(MASKED_IPV6, _IPV4.sub(MASKED_IPV4, text[: 4 * MOST_CHARACTERS]))
    text = other.sub(lambda found: _encoded(found[0]), text)
    text = _IPV4.sub(MASKED_IPV4, text)
    # Twice at most: `usernamemail` is `username` and, over its last letter, `email`.
    while FORBIDDEN.search(text):
        text = FORBIDDEN.sub(_broken, text)
    cut = text[:MOST_CHARACTERS]
    return re.sub(r"%[0-9A-F]?\Z", "", cut).strip() or "-"


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _broken(found: re.Match[str]) -> str:
    text = found[0]
    at = _BREAK_AT[text.lower()]
    return f"{text[:at]}%{ord(text[at]):02X}{text[at + 1 :]}"
