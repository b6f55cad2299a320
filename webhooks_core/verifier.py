"""Decide whether a received request is what an endpoint's secret signed, and fresh.

What belongs here: the first four checks of the contract §5, in its order. What must not: the clock, and the
memory of what was seen (stores/replay.py, joined in receiving.py). The invariant: for any bytes and any
headers `Verifier.verify` returns or raises a child of `VerificationError`; every secret is compared, each in
constant time; nothing in a request can choose the scheme.
Explained in docs/reference/wire-format.md and docs/explanation/security-model.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from operator import itemgetter
from typing import NamedTuple, NoReturn

from webhooks_core import standard
from webhooks_core.envelope import EVENT_NAME, MAX_BODY_BYTES, parse_strict
from webhooks_core.errors import (
    BodyTooLarge,
    ConfigError,
    EnvelopeError,
    MalformedBody,
    MalformedHeader,
    MissingHeader,
    SignatureInvalid,
    TimestampTooNew,
    TimestampTooOld,
)
from webhooks_core.keys import KeyRing, Secret
from webhooks_core.scheme import Scheme
from webhooks_core.signer import EVENT, SIGNATURE, TIMESTAMP, WEBHOOK_ID, milliseconds

Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Header names in any case with their values: a mapping, or pairs (text, or the bytes of ASGI)."""

WINDOW_SECONDS = 300
"""How old an attempt may be. The contract §5; Stripe and Standard Webhooks use the same five minutes."""

SKEW_SECONDS = 30
"""How far the sender's clock may be ahead. The contract §5."""

MAX_EVENT_CHARACTERS = 128
"""A name in a body of the scheme `standard` that is longer than this, or no text, is left empty."""

# One form each, so that one request cannot be read in two ways. A timestamp of 15 digits lasts until the year
# 33658; a leading zero is refused, since the signature covers the text and not the number.
_HEX = "[0-9A-Fa-f]"
_FORMS = {
    SIGNATURE: (r"[0-9a-f]{64}", "64 lower-case hex digits are wanted"),
    TIMESTAMP: (r"[1-9][0-9]{0,14}|0", "1 to 15 digits are wanted, without a leading zero"),
    WEBHOOK_ID: (_HEX.join((r"", r"{8}-", r"{4}-", r"{4}-", r"{4}-", r"{12}")), "a UUID is wanted"),
    EVENT: (EVENT_NAME.pattern, "1 to 64 of a-z, 0-9, _ and . are wanted"),
    standard.SIGNATURE: (
        standard.SIGNATURE_FORM,
        "v1, and base64 are wanted, 1 to 16 with one space between",
    ),
    standard.ID: (standard.ID_FORM, "1 to 128 of A-Z, a-z, 0-9 and _:=+/@- are wanted"),
    standard.TIMESTAMP: (standard.TIMESTAMP_FORM, "1 to 12 digits are wanted, without a leading zero"),
}
_WANTED = {
    Scheme.TIMESTAMPED: (SIGNATURE, WEBHOOK_ID, EVENT, TIMESTAMP),
    Scheme.BODY: (SIGNATURE, WEBHOOK_ID, EVENT),
    Scheme.STANDARD: (standard.SIGNATURE, standard.ID, standard.TIMESTAMP),
}


class Verified(NamedTuple):
    """Hold a request whose signature holds; neither the body nor the signature is shown by `repr`.

    A tuple, because a frozen dataclass of this size takes as long to make as the signature.
    """

    webhook_id: str
    """The delivery's id: the same on every attempt, so handle each id once."""
    event: str
    """The event's name; in the scheme `standard` the body's `event` or `type`, empty where it has neither."""
    body: bytes
    """The bytes that were signed."""
    payload: Mapping[str, object]
    """The body as one JSON object: ``event``, ``data``, ``metadata``."""
    signature: str
    timestamp_ms: int | None
    """Unix milliseconds of the attempt; None in the scheme `body`, which signs none. Whole seconds in the
    scheme `standard`."""
    age_seconds: float | None
    """Now minus the timestamp, exact to the millisecond; None in the scheme `body`."""

    def __repr__(self) -> str:
        return (
            f"Verified(webhook_id={self.webhook_id!r}, event={self.event!r}, age_seconds={self.age_seconds})"
        )


class Verifier:
    """Verify the requests of one endpoint: its keys, its one scheme, its window.

    Args:
        keys: Every secret that is valid now, newest first.
        scheme: What the sender signs.
        window_seconds: An attempt of exactly this age is still good. Whole seconds, at least 1.
        skew_seconds: An attempt exactly so far ahead is still good. Whole seconds, at least 0.

    Raises:
        ConfigError: A window or skew out of range, or an unknown scheme.
    """

    __slots__ = ("_form", "_names", "_pick", "_scheme", "_secrets", "_skew_ms", "_wanted", "_window_ms")

    def __init__(
        self,
        keys: KeyRing,
        *,
        scheme: Scheme | str = Scheme.TIMESTAMPED,
        window_seconds: int = WINDOW_SECONDS,
        skew_seconds: int = SKEW_SECONDS,
    ) -> None:
        if scheme not in _WANTED:
            raise ConfigError("scheme", f"one of {', '.join(_WANTED)} is wanted")
        for name, value, least in (("window", window_seconds, 1), ("skew", skew_seconds, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"{name}_seconds", f"whole seconds, {least} or more, are wanted")
        # A ring that cannot change is read once; one that follows its provider is read at each request.
        self._secrets: tuple[Secret, ...] | KeyRing = tuple(keys) if type(keys) is KeyRing else keys
        self._scheme = Scheme(scheme)
        self._wanted = _WANTED[self._scheme]
        # Looked up by the lower-case name: names of HTTP fields have no case. Source: RFC 9110, section 5.1.
        self._names = {name.lower(): name for name in self._wanted}
        self._pick = itemgetter(*[name.lower() for name in self._wanted])
        self._form = re.compile("\n".join(f"(?:{_FORMS[name][0]})" for name in self._wanted)).fullmatch
        self._window_ms = window_seconds * 1000
        self._skew_ms = skew_seconds * 1000

    @property
    def scheme(self) -> Scheme:
        """Return the one scheme that is accepted."""
        return self._scheme

    @property
    def signature_seconds(self) -> int:
        """Return how long after its arrival a signature can still pass: the window and the skew together."""
        return (self._window_ms + self._skew_ms) // 1000

    def verify(self, headers: Headers, body: bytes, *, now: float) -> Verified:
        """Check size, headers, age, signature and what the headers repeat, in this order.

        Args:
            headers: All headers of the request, or at least the four of ours; names in any case.
            body: The raw bytes as they came, never JSON that was read and written again.
            now: Seconds since the epoch, UTC.

        Raises:
            VerificationError: Always one of its children; nothing else escapes.
        """
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(MAX_BODY_BYTES)
        values = self._read(headers)
        if self._scheme is Scheme.STANDARD:
            return self._verify_standard(values, body, now)
        given, webhook_id, event = values[:3]
        timestamp_ms = age_seconds = None
        prefix = b""
        if len(values) > 3:
            timestamp_ms = int(values[3])
            age_seconds = self._age_seconds(timestamp_ms, now)
            prefix = f"{timestamp_ms}.".encode()
        self._check_signature(given, prefix, body)
        payload = _parsed(body)
        self._check_repeated(event, webhook_id, payload)
        return Verified(webhook_id, event, body, payload, given, timestamp_ms, age_seconds)

    def _verify_standard(self, values: Sequence[str], body: bytes, now: float) -> Verified:
        """Check age and signature of Standard Webhooks; what it signs holds the id, and names the event."""
        given, webhook_id, timestamp = values
        timestamp_ms = int(timestamp) * 1000
        age_seconds = self._age_seconds(timestamp_ms, now)
        prefix = standard.signed_prefix(webhook_id, timestamp)
        secrets = tuple(self._secrets)
        if not standard.matches(given, body, secrets=secrets, prefix=prefix):
            raise SignatureInvalid(keys_tried=len(secrets))
        payload = _parsed(body)
        named = payload.get("event", payload.get("type"))
        event = named if isinstance(named, str) and len(named) <= MAX_EVENT_CHARACTERS else ""
        # Ours, whatever the header holds beside it: who drops one of two signatures has the same one still.
        signature = secrets[0].hexdigest(prefix, body)
        return Verified(webhook_id, event, body, payload, signature, timestamp_ms, age_seconds)

    def _age_seconds(self, timestamp_ms: int, now: float) -> float:
        # Whole milliseconds, so that no rounding moves the edge.
        age_ms = milliseconds(now) - timestamp_ms
        if age_ms > self._window_ms or age_ms < -self._skew_ms:
            self._tell_age(age_ms / 1000)
        return age_ms / 1000

    def _read(self, headers: Headers) -> Sequence[str]:
        """Return the wanted headers in the order of `_WANTED`, each of them there once and well-formed."""
        try:
            # The usual case: a plain dictionary with text. Its length tells whether a name came in two cases.
            if isinstance(headers, dict):
                found: dict[str, str] = {name.lower(): value for name, value in headers.items()}
                values: Sequence[str] = self._pick(found)
                # No form has a line end in it, so that nothing can slip from one value into the next.
                if len(found) == len(headers) and self._form("\n".join(values)) is not None:
                    return values
        except (KeyError, TypeError, AttributeError):
            pass  # Judged step by step below, where each fault has its name.
        return self._judged(_collect(headers, self._names))

    def _judged(self, found: dict[str, object]) -> Sequence[str]:
        for name in self._wanted:
            if name not in found:
                raise MissingHeader(name)
        return [self._well_formed(name, found[name]) for name in self._wanted]

    def _well_formed(self, name: str, value: object) -> str:
        pattern, problem = _FORMS[name]
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise MalformedHeader(name, problem)

    def _tell_age(self, age_seconds: float) -> NoReturn:
        if age_seconds > 0:
            raise TimestampTooOld(age_seconds=age_seconds, tolerance_seconds=self._window_ms // 1000)
        raise TimestampTooNew(age_seconds=age_seconds, tolerance_seconds=self._skew_ms // 1000)

    def _check_signature(self, given: str, prefix: bytes, body: bytes) -> None:
        """Compare with every secret, a match or not, so that the time tells nothing of which one it was."""
        matches = False
        for secret in self._secrets:
            matches |= compare_digest(secret.hexdigest(prefix, body), given)
        if not matches:
            raise SignatureInvalid(keys_tried=len(self._secrets))

    def _check_repeated(self, event: str, webhook_id: str, payload: Mapping[str, object]) -> None:
        """Compare what the headers repeat with what is signed; a body without the id is taken as it is."""
        if payload.get("event") != event:
            raise SignatureInvalid(keys_tried=len(self._secrets), problem="not the event of the body")
        metadata = payload.get("metadata")
        if isinstance(metadata, dict) and metadata.get("webhook_id", webhook_id) != webhook_id:
            raise SignatureInvalid(keys_tried=len(self._secrets), problem="not the id of the body")


def _parsed(body: bytes) -> Mapping[str, object]:
    try:
        return parse_strict(body)
    except EnvelopeError as error:
        raise MalformedBody(error.problem) from None


def _collect(headers: Headers, names: Mapping[str, str]) -> dict[str, object]:
    """Return the headers of *names* by their written names; the same name twice, in any case, is refused."""
    found: dict[str, object] = {}
    try:
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            written = names.get(_text(name).lower())
            if written is not None:
                if written in found:
                    raise MalformedHeader(written, "one value is wanted, not two")
                found[written] = _text(value) if isinstance(value, bytes | bytearray) else value
    except (TypeError, ValueError, AttributeError):
        raise MalformedHeader("headers", "a mapping or pairs of name and value are wanted") from None
    return found


def _text(given: object) -> str:
    """Return text as it is and bytes as text; what is not ASCII becomes characters that no form has."""
    if isinstance(given, str):
        return given
    if isinstance(given, bytes | bytearray):
        return given.decode("latin-1")
    raise TypeError
