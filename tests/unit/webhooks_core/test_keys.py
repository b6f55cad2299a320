"""Secrets: what may be one, what nobody may see, and that the key is HMAC's."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest

from webhooks_core.errors import KeyFormatError
from webhooks_core.keys import PUBLISHED_EXAMPLE, KeyRing, Secret, SecretFormat

OTHER = "0f" * 32


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
@pytest.mark.parametrize("size", [0, 1, 55, 56, 64, 300, 8192])
def test_the_digest_is_that_of_the_standard_library(length: int, size: int) -> None:
    """Keys below, at and above SHA-256's block of 64 bytes; bodies around its padding."""
    text, body = "k" * length, bytes(index % 251 for index in range(size))

    mine = Secret(text).hexdigest(b"1763000000000.", body)

    assert mine == hmac.new(text.encode(), b"1763000000000." + body, hashlib.sha256).hexdigest()


def test_rfc_4231_test_case_6_holds() -> None:
    """Source: RFC 4231, section 4.7: a key of 131 bytes, which is hashed first."""
    key = "whsec_" + base64.b64encode(b"\xaa" * 24).decode()
    expected = hmac.new(b"\xaa" * 24, b"Test", hashlib.sha256).hexdigest()

    assert Secret(key, format=SecretFormat.WHSEC).hexdigest(b"", b"Test") == expected
    assert Secret("\u00aa" * 131).hexdigest(b"", b"x") == (
        hmac.new(("\u00aa" * 131).encode(), b"x", hashlib.sha256).hexdigest()
    )


def test_text_is_used_as_utf_8() -> None:
    """A secret with letters beyond ASCII signs with its UTF-8 bytes."""
    text = "schlüssel" * 4

    assert Secret(text).hexdigest(b"", b"x") == hmac.new(text.encode(), b"x", "sha256").hexdigest()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at least 32 characters, this one has 0"),
        ("k" * 31, "at least 32 characters, this one has 31"),
        (PUBLISHED_EXAMPLE, "published example"),
        (PUBLISHED_EXAMPLE.upper(), "published example"),
        ("k" * 64 + "\n", "white space at the start or the end"),
        (" " + "k" * 64, "white space at the start or the end"),
        ("k" * 40 + "\ud800", "lone surrogate"),
        (None, "text of at least 32 characters, not NoneType"),
        (b"k" * 64, "not bytes"),
        (12345, "not int"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_being_quoted(text: object, problem: str) -> None:
    """The error names the setting, what is wrong and what is allowed; never the text."""
    with pytest.raises(KeyFormatError) as raised:
        KeyRing.of(text, path="WEBHOOK_SECRET")

    assert problem in str(raised.value)
    assert str(raised.value).startswith("WEBHOOK_SECRET: ")
    if text:
        assert str(text).strip() not in str(raised.value)


@pytest.mark.parametrize("build", [lambda text: Secret(text), lambda text: KeyRing.of("k" * 40, text)])
def test_no_local_variable_of_a_traceback_shows_the_secret(build: object) -> None:
    """A debug page prints the locals of every frame: ours hold nothing to print."""
    text = "very-secret-but-with-a-line-end-behind-it\n"

    try:
        build(text)  # type: ignore[operator]
    except KeyFormatError as error:
        ours = [
            frame
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_filename.endswith("/webhooks_core/keys.py")
        ]

    assert ours
    assert not any("very-secret" in repr(value) for frame in ours for value in frame.f_locals.values())


def test_nothing_shows_a_secret(secret: str) -> None:
    """repr, str, format, and the repr and asdict of a dataclass that holds one."""

    @dataclass(frozen=True)
    class Holder:
        key: Secret
        ring: KeyRing

    holder = Holder(Secret(secret), KeyRing.of(secret, OTHER))
    shown = [
        repr(holder),
        str(holder.key),
        f"{holder.key}",
        f"{holder.key:>40}",
        f"{holder.key!r}",
        str(holder.ring),
    ]

    assert not any(secret[:8] in text for text in [*shown, repr(asdict(holder)), repr(vars(holder))])
    assert repr(holder.key) == "Secret(…)"
    assert repr(holder.ring) == "KeyRing(2 secrets)"


def test_a_secret_is_never_pickled_but_may_be_copied(secret: str) -> None:
    """A pickle would write it down; a copy within the process is the thing itself."""
    one = Secret(secret)

    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(one)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(KeyRing.of(one))
    assert copy.copy(one) is one
    assert copy.deepcopy({"key": one})["key"] is one


def test_secrets_are_equal_by_their_key(secret: str) -> None:
    """Two endpoints with one secret can be told; nothing else compares equal."""
    assert Secret(secret) == Secret(secret)
    assert Secret(secret) != Secret(OTHER)
    assert Secret(secret) != secret
    assert len({Secret(secret), Secret(secret), Secret(OTHER)}) == 2


def test_the_first_of_a_ring_signs_and_all_are_listed(secret: str) -> None:
    """Newest first: the order of the list is the order of the ring."""
    ring = KeyRing.of([secret, OTHER])

    assert ring.signing == Secret(secret)
    assert list(ring) == [Secret(secret), Secret(OTHER)]
    assert len(ring) == 2
    assert ring == KeyRing.of(secret, Secret(OTHER)) == KeyRing.of((secret, OTHER))
    assert ring != KeyRing.of(OTHER, secret)
    assert ring != [secret, OTHER]
    assert hash(ring) == hash(KeyRing.of(secret, OTHER))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "WEBHOOK_SECRET: no secret is given"),
        (["k" * 40, "short"], r"WEBHOOK_SECRET\[1\]: a secret has at least 32"),
        (["k" * 40, "k" * 40], r"WEBHOOK_SECRET\[1\]: the same secret stands in the list twice"),
        (["k" * 40, None], r"WEBHOOK_SECRET\[1\]: .*NoneType"),
        ([["k" * 40]], r"WEBHOOK_SECRET\[0\]: .*not list"),
    ],
)
def test_a_bad_list_names_the_place(given: list[object], message: str) -> None:
    """The path tells which entry of the list it is."""
    with pytest.raises(KeyFormatError, match=message):
        KeyRing.of(given)


def test_no_secret_at_all_says_how_to_make_one() -> None:
    """The command is the runbook's own."""
    with pytest.raises(KeyFormatError, match=r"secrets\.token_hex\(32\)"):
        KeyRing.of()


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_standard_webhooks_secret_is_decoded(size: int) -> None:
    """`whsec_` and base64 of 24 to 64 bytes."""
    key = bytes(range(size))
    text = "whsec_" + base64.b64encode(key).decode()

    ring = KeyRing.of(text, format=SecretFormat.WHSEC)

    assert ring.signing.hexdigest(b"", b"x") == hmac.new(key, b"x", "sha256").hexdigest()


def test_without_the_format_whsec_is_plain_text() -> None:
    """The scheme decides how a secret is read, never its looks."""
    text = "whsec_" + base64.b64encode(bytes(32)).decode()

    assert Secret(text).hexdigest(b"", b"x") == hmac.new(text.encode(), b"x", "sha256").hexdigest()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("k" * 40, "begins with whsec_"),
        ("whsec_" + "!" * 40, "not base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 bytes, this one has 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes, this one has 65"),
    ],
)
def test_a_bad_standard_webhooks_secret_is_refused(text: str, problem: str) -> None:
    """Source: Standard Webhooks, "Signature scheme"."""
    with pytest.raises(KeyFormatError, match=problem):
        Secret(text, format=SecretFormat.WHSEC)


def test_the_bytes_on_their_way_are_hidden_too() -> None:
    """A traceback from inside the making shows `Hidden(…)`."""
    from webhooks_core.keys import _Hidden

    assert repr(_Hidden(b"secret")) == "Hidden(…)"
