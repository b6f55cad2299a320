#!/usr/bin/env python3
"""Verify a received webhook with nothing but Python: a class for a receiver, and a command for a person.

What belongs here: the checks of docs/reference/wire-format.md, once more and on their own, so that a receiver
can copy this one file. What must not: an import of this project, and a secret on the command line. The
invariant: for any bytes and any texts the answer is yes or a short reason; a missing timestamp never turns a
check of `timestamp.body` into a check of the body alone. Explained in docs/how-to/receive-webhooks.md.

    WEBHOOK_SECRET=… verify_webhook_signature.py body.json --signature … --timestamp … --id … --event …
    WEBHOOK_SECRET=… verify_webhook_signature.py body.json --scheme body --signature …

Exit status: 0 the webhook is good, 1 it is refused, 2 the command or the secret cannot be used.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import hmac
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_BODY_BYTES = 262_144
MIN_SECRET_CHARACTERS = 32
# The example that the user's documents print with the words "DO NOT USE THIS".
PUBLISHED_EXAMPLE = "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456"  # gitleaks:allow
SCHEMES = ("timestamped", "body")

_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,14}|0")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_EVENT = re.compile(r"[a-z0-9_.]{1,64}")
_LEFT_OUT = object()


class _Key(bytes):
    """The bytes of a secret; a traceback that shows local variables shows nothing of them."""

    def __repr__(self) -> str:
        return "Key(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Hold the answer; it is true or false, and unpacks as ``ok, error = …``."""

    ok: bool
    reason: str | None = None
    age_seconds: float | None = None

    def __bool__(self) -> bool:
        return self.ok

    def __iter__(self) -> Iterator[bool | str | None]:
        return iter((self.ok, self.reason))


class WebhookVerifier:
    """Verify the webhooks of one sender; one object serves any number of threads.

    Args:
        secret: The secret, or a list of them while one replaces another. At least 32 characters each.
        scheme: `timestamped` or `body` fixes what the signature covers. None (the default) takes it from the
            form of the call: with a timestamp, or without that argument at all.
        window_seconds: How old a timestamp may be; exactly so old is still good.
        skew_seconds: How far ahead a timestamp may be; exactly so far is still good.
        remember_seconds: How long an id is remembered in this process after it was accepted.
        clock: Seconds since the epoch, UTC.

    Raises:
        ValueError: The secret or the scheme cannot be used; the words do not quote the secret.
    """

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        scheme: str | None = None,
        window_seconds: int = 300,
        skew_seconds: int = 30,
        remember_seconds: int = 900,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys: list[_Key] = []
        keys = _keys(secret)
        del secret  # so that no traceback shows it
        if isinstance(keys, str):
            raise ValueError(keys)
        if scheme is not None and scheme not in SCHEMES:
            raise ValueError(f"scheme: one of {', '.join(SCHEMES)} is wanted")
        self._keys = keys
        self._scheme = scheme
        self._window_ms = window_seconds * 1000
        self._skew_ms = skew_seconds * 1000
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next_sweep = 0.0
        self._ids: dict[str, float] = {}
        self._signatures: dict[str, tuple[float, str]] = {}

    def __repr__(self) -> str:
        return f"WebhookVerifier({len(self._keys)} secrets)"

    def verify_webhook(
        self,
        body: str | bytes,
        signature: str | None,
        timestamp: str | object | None = _LEFT_OUT,
        webhook_id: str | None = None,
        *,
        event: str | None = None,
    ) -> Verification:
        """Return whether the webhook is good, with the reason where it is not.

        Args:
            body: The raw body as it came; text is taken as UTF-8.
            signature: `X-Webhook-Signature`; None, a header that did not come, is refused.
            timestamp: `X-Webhook-Timestamp`. Leave the argument out only where the sender signs the body
            alone;
                None, a header that did not come, is refused.
            webhook_id: `X-Webhook-Id`: accepted once, for as long as this process remembers it. When your
                handling fails, `forget` it, so that the sender's next attempt is accepted.
            event: `X-Webhook-Event`, to be compared with the event inside the body.
        """
        timed = self._scheme == "timestamped" or (self._scheme is None and timestamp is not _LEFT_OUT)
        stamp = None if timestamp is _LEFT_OUT else timestamp
        wanted: list[tuple[object, re.Pattern[str]]] = [(signature, _SIGNATURE)]
        wanted += [(stamp, _TIMESTAMP)] if timed else []
        wanted += [(value, form) for value, form in ((webhook_id, _ID), (event, _EVENT)) if value is not None]
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
        reason = "Body too large" if len(raw) > MAX_BODY_BYTES else _form_problem(wanted)
        if reason is not None:
            return Verification(ok=False, reason=reason)
        now = self._clock()
        prefix = f"{stamp}.".encode() if timed else b""
        age_ms = round(now * 1000) - int(str(stamp)) if timed else 0
        reason = self._age_problem(age_ms)
        if reason is None and not self._signature_holds(prefix + raw, str(signature)):
            reason = "Invalid signature"
        if reason is None:
            reason = _repetition_problem(raw, webhook_id, event)
        if reason is None and webhook_id is not None:
            reason = self._memory_problem(webhook_id.lower(), str(signature) if timed else None, now)
        return Verification(ok=reason is None, reason=reason, age_seconds=age_ms / 1000 if timed else None)

    def forget(self, webhook_id: str) -> None:
        """Forget an id whose handling failed, with its signature."""
        with self._lock:
            self._ids.pop(webhook_id.lower(), None)
            self._signatures = {
                known: entry for known, entry in self._signatures.items() if entry[1] != webhook_id.lower()
            }

    def _age_problem(self, age_ms: int) -> str | None:
        if age_ms > self._window_ms:
            return "Timestamp too old"
        return "Timestamp in future" if age_ms < -self._skew_ms else None

    def _signature_holds(self, signed: bytes, signature: str) -> bool:
        """Compare with every secret, a match or not, each in constant time."""
        holds = False
        for key in self._keys:
            holds |= hmac.compare_digest(hmac.new(key, signed, hashlib.sha256).hexdigest(), signature)
        return holds

    def _memory_problem(self, webhook_id: str, signature: str | None, now: float) -> str | None:
        """Take the id and the signature in one step, or tell that one of them was seen."""
        with self._lock:
            if now >= self._next_sweep:
                self._next_sweep = now + self._remember_seconds / 4
                self._ids = {known: until for known, until in self._ids.items() if until > now}
                self._signatures = {known: seen for known, seen in self._signatures.items() if seen[0] > now}
            if self._ids.get(webhook_id, now) > now:
                return "Duplicate webhook (replay detected)"
            if signature is not None and self._signatures.get(signature, (now, ""))[0] > now:
                return "Duplicate webhook (replay detected)"
            self._ids[webhook_id] = until = now + self._remember_seconds
            if signature is not None:
                self._signatures[signature] = (until, webhook_id)
            return None


def _keys(secret: object) -> list[_Key] | str:
    """Return the keys of a secret or a list of them, or what is wrong in words that quote none."""
    keys: list[_Key] = []
    for text in secret if isinstance(secret, list | tuple) else [secret]:
        if not isinstance(text, str) or len(text) < MIN_SECRET_CHARACTERS:
            return f"a secret is text of at least {MIN_SECRET_CHARACTERS} characters"
        if text != text.strip():
            return "a secret does not begin or end with white space (the line end of a file?)"
        if text.lower() == PUBLISHED_EXAMPLE:
            return "this is the published example secret; make one of your own"
        keys.append(_Key(text.encode("utf-8", "surrogatepass")))
    return keys or "no secret is given"


def _form_problem(wanted: list[tuple[object, re.Pattern[str]]]) -> str | None:
    for value, form in wanted:
        if value is None:
            return "Missing header"
        if not isinstance(value, str) or form.fullmatch(value) is None:
            return "Malformed header"
    return None


def _repetition_problem(raw: bytes, webhook_id: str | None, event: str | None) -> str | None:
    """Compare what the headers repeat with what is signed; a body without an id is taken as it is."""
    if webhook_id is None and event is None:
        return None
    try:
        payload = json.loads(str(raw, "utf-8"))
    except (ValueError, RecursionError):
        return "Malformed body"
    if not isinstance(payload, dict):
        return "Malformed body"
    metadata = payload.get("metadata")
    signed_id = metadata.get("webhook_id", webhook_id) if isinstance(metadata, dict) else webhook_id
    if webhook_id is not None and signed_id != webhook_id:
        return "Invalid signature"
    return "Invalid signature" if event is not None and payload.get("event") != event else None


def main(arguments: Sequence[str] | None = None, *, clock: Callable[[], float] = time.time) -> int:
    """Verify one saved webhook; see the top of this file."""
    parser = _options()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # not repeated: it may be a secret that somebody tried to pass
        names = [text.partition("=")[0] for text in unknown if text.startswith("--")]
        parser.error(f"unknown: {', '.join(names) or 'a word without an option'}")
    try:
        body = sys.stdin.buffer.read() if options.body == "-" else Path(options.body).read_bytes()
        moment = clock if options.at is None else lambda: options.at
        verifier = WebhookVerifier(_read_secret(options), scheme=options.scheme, clock=moment)
    except (OSError, ValueError, EOFError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    facts = {"webhook_id": options.id, "event": options.event}
    result = verifier.verify_webhook(body, options.signature, options.timestamp, **facts)
    hint = ""
    if result.reason == "Invalid signature" and body.endswith(b"\n"):
        shorter = body.removesuffix(b"\n").removesuffix(b"\r")
        if verifier.verify_webhook(shorter, options.signature, options.timestamp, **facts):
            hint = "without the line end at the end of the body the signature is valid"
    if options.json:
        told = {
            "ok": result.ok,
            "reason": result.reason,
            "age_seconds": result.age_seconds,
            "hint": hint or None,
        }
        print(json.dumps(told))
    else:
        age = "" if result.age_seconds is None else f" (timestamp age {result.age_seconds:g} s)"
        print(f"valid{age}" if result.ok else f"refused: {result.reason}{age}")
        if hint:
            print(f"hint: {hint}")
    return 0 if result.ok else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Verify one saved webhook. Exit status: 0 good, 1 refused, 2 not usable.",
        epilog="The secret is read from the environment, a file, standard input or a prompt, never from the "
        "command line.",
    )
    parser.add_argument(
        "body", nargs="?", default="-", help="file with the raw body; - (the default) is stdin"
    )
    parser.add_argument("--signature", help="X-Webhook-Signature")
    parser.add_argument("--timestamp", help="X-Webhook-Timestamp (milliseconds)")
    parser.add_argument("--id", help="X-Webhook-Id")
    parser.add_argument("--event", help="X-Webhook-Event")
    parser.add_argument("--scheme", choices=SCHEMES, default="timestamped", help="what the sender signs")
    parser.add_argument("--at", type=float, metavar="SECONDS", help="judge the age as of this Unix time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--secret-variable",
        metavar="NAME",
        default="WEBHOOK_SECRET",
        help="environment variable with the secret",
    )
    source.add_argument("--secret-file", metavar="FILE", help="file with the secret, on one line; - is stdin")
    source.add_argument("--ask-secret", action="store_true", help="ask for the secret at the terminal")
    return parser


def _read_secret(options: argparse.Namespace) -> str:
    if options.ask_secret:
        return getpass.getpass("Webhook secret: ")
    if options.secret_file == "-":
        if options.body == "-":
            raise ValueError("body and secret come from standard input: one of them, not both")
        return _without_line_end(sys.stdin.buffer.read().decode("utf-8"))
    if options.secret_file is not None:
        return _without_line_end(Path(options.secret_file).read_text(encoding="utf-8"))
    secret = os.environ.get(options.secret_variable)
    if not secret:
        is_name = len(options.secret_variable) < MIN_SECRET_CHARACTERS  # or it is the secret itself
        raise ValueError(f"the environment variable {options.secret_variable if is_name else '…'} is not set")
    return secret


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


if __name__ == "__main__":
    raise SystemExit(main())
