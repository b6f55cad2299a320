"""Secrets that cannot be shown, and the ring of them that is used while one replaces another.

What belongs here: `Secret`, `KeyRing` and the rules a text must meet to be a secret. What must not: what is
signed (signer.py). The invariant: nothing shows a secret: not `repr`, `str`, `format`, a pickle or a local
variable in a traceback; the text itself is not even kept, only the two SHA-256 states that HMAC starts from.
Explained in docs/how-to/rotate-a-secret.md and docs/explanation/security-model.md.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import NoReturn

from webhooks_core.errors import KeyFormatError
from webhooks_core.scheme import Scheme

MIN_CHARACTERS = 32
"""The contract §1. `secrets.token_hex(32)` gives 64."""

# The example that both of the user's documents print, one of them with the words "DO NOT USE THIS".
PUBLISHED_EXAMPLE = "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456"  # gitleaks:allow

WHSEC_PREFIX = "whsec_"
WHSEC_BYTES = range(24, 65)
"""Source: Standard Webhooks, "Signature scheme": a symmetric secret has 24 to 64 bytes."""

_BLOCK_BYTES = 64  # SHA-256's block. Source: RFC 2104, section 2 (B).
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104, section 2: ipad
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))  # RFC 2104, section 2: opad


class SecretFormat(StrEnum):
    """Say how a secret's text becomes the bytes of the key."""

    TEXT = "text"
    """The text itself, as UTF-8: the schemes `timestamped` and `body`."""

    WHSEC = "whsec"
    """``whsec_`` and base64, as Standard Webhooks writes secrets."""

    @classmethod
    def of(cls, scheme: Scheme | str) -> SecretFormat:
        """Return how the secrets of *scheme* are written."""
        return cls.WHSEC if scheme == Scheme.STANDARD else cls.TEXT


class _Hidden(bytes):
    """The bytes of a key on their way into a `Secret`; a traceback that shows locals shows nothing."""

    def __repr__(self) -> str:
        return "Hidden(…)"


class Secret:
    """Hold the key of an HMAC-SHA256 and show it to nobody.

    Args:
        text: At least 32 characters, without white space at either end (a line end from a file would silently
            become part of the key), not the example that the documents print.
        path: The name of the setting, for the error's words.
        format: `SecretFormat.TEXT` uses the text as UTF-8; `SecretFormat.WHSEC` decodes it.

    Raises:
        KeyFormatError: The text cannot serve as a secret. The text itself is in no message and no local.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(
        self, text: str | _Hidden, *, path: str = "WEBHOOK_SECRET", format: SecretFormat = SecretFormat.TEXT
    ) -> None:
        key = text if isinstance(text, _Hidden) else _key_bytes(text, format)
        del text
        if isinstance(key, str):
            raise KeyFormatError(path, key)
        block = (sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(block.translate(_INNER_PAD))
        self._outer = sha256(block.translate(_OUTER_PAD))

    def hexdigest(self, prefix: bytes, body: bytes) -> str:
        """Return HMAC-SHA256 of *prefix* followed by *body* as 64 lower-case hex digits.

        The two keyed states are copied instead of made anew for every message, and *body* is never joined to
        *prefix*: the same result as ``hmac.new(key, prefix + body, "sha256").hexdigest()`` for less work.

        Source: RFC 2104, section 4 ("Implementation note").
        """
        inner = self._inner.copy()
        if prefix:
            inner.update(prefix)
        inner.update(body)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._outer.digest(), other._outer.digest())

    def __hash__(self) -> int:
        return hash(self._outer.digest())

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: hand the setting's name over and read it again")


class KeyRing:
    """Hold the secrets of one endpoint, newest first: the first signs, all of them verify.

    Make one with `KeyRing.of`. Equal rings hold equal secrets in the same order.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: tuple[Secret, ...]) -> None:
        self._secrets = secrets

    @classmethod
    def of(
        cls, *texts: object, path: str = "WEBHOOK_SECRET", format: SecretFormat = SecretFormat.TEXT
    ) -> KeyRing:
        """Make a ring from texts or secrets, newest first; one list or tuple of them serves as well.

        Raises:
            KeyFormatError: None at all, one that is no text, too short or an example, or one given twice. The
                path names its place, e.g. ``WEBHOOK_SECRET[1]``.
        """
        listed = len(texts) == 1 and isinstance(texts[0], list | tuple)
        many: tuple[object, ...] = tuple(texts[0]) if listed else texts  # type: ignore[arg-type]
        del texts
        if not many:
            raise KeyFormatError(path, "no secret is given; make one: python -c 'import secrets; "
                                       "print(secrets.token_hex(32))'")  # fmt: skip
        one = len(many) == 1 and not listed
        keys = [item if isinstance(item, Secret) else _key_bytes(item, format) for item in many]
        del many
        secrets: list[Secret] = []
        for place, key in enumerate(keys):
            where = path if one else f"{path}[{place}]"
            if isinstance(key, str):
                raise KeyFormatError(where, key)
            secret = key if isinstance(key, Secret) else Secret(key, path=where)
            if secret in secrets:
                raise KeyFormatError(where, "the same secret stands in the list twice")
            secrets.append(secret)
        return cls(tuple(secrets))

    @property
    def signing(self) -> Secret:
        """Return the secret that signs: the first."""
        return self._secrets[0]

    def __iter__(self) -> Iterator[Secret]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyRing):
            return NotImplemented
        return self._secrets == other._secrets

    def __hash__(self) -> int:
        return hash(self._secrets)

    def __repr__(self) -> str:
        return f"KeyRing({len(self._secrets)} secrets)"


def _key_bytes(text: object, format: SecretFormat) -> _Hidden | str:
    """Return the bytes of the key, or what is wrong with *text* in words that do not quote it."""
    if not isinstance(text, str):
        return f"a secret is text of at least {MIN_CHARACTERS} characters, not {type(text).__name__}"
    if len(text) < MIN_CHARACTERS:
        return f"a secret has at least {MIN_CHARACTERS} characters, this one has {len(text)}"
    if text != text.strip():
        return "white space at the start or the end (the line end of a file?) would become part of the secret"
    if text.lower() == PUBLISHED_EXAMPLE:
        return "this is the published example secret; make one of your own"
    if format is SecretFormat.WHSEC:
        return _decoded(text)
    try:
        return _Hidden(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "a secret is text that can be written as UTF-8; this one holds a lone surrogate"


def _decoded(text: str) -> _Hidden | str:
    if not text.startswith(WHSEC_PREFIX):
        return f"a secret of Standard Webhooks begins with {WHSEC_PREFIX}"
    try:
        key = _Hidden(binascii.a2b_base64(text[len(WHSEC_PREFIX) :], strict_mode=True))
    except ValueError:
        return f"what follows {WHSEC_PREFIX} is not base64"
    if len(key) not in WHSEC_BYTES:
        return f"a secret of Standard Webhooks has 24 to 64 bytes, this one has {len(key)}"
    return key
