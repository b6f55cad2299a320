"""Property: for any bytes and any headers only our errors come out of the verifier (the contract §5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.property.signed_requests import (
    EVENT,
    JSON,
    KEY,
    MILLISECONDS,
    NAMES,
    NOW,
    SCHEMES,
    WEBHOOK_ID,
    body_of,
    signed,
    verifier,
)
from webhooks_core.errors import (
    MalformedHeader,
    MissingHeader,
    VerificationError,
)
from webhooks_core.scheme import Scheme


@given(st.binary(max_size=100), SCHEMES)
def test_bytes_that_are_no_envelope_are_still_only_our_errors(body: bytes, scheme: Scheme) -> None:
    """A correctly signed body that is no JSON comes back or is refused with our error (§5)."""
    try:
        verified = verifier(scheme=scheme).verify(signed(body, scheme=scheme), body, now=NOW)
    except VerificationError:
        return
    assert verified.body == body


@given(st.sampled_from(NAMES), st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))
def test_header_names_have_no_case(name: str, spell: Any) -> None:
    """HTTP header names are case-insensitive, in a mapping and as pairs (RFC 9110 §5.1)."""
    body = body_of()
    headers = {spell(key) if key == name else key: value for key, value in signed(body).items()}

    assert verifier().verify(headers, body, now=NOW).event == EVENT
    assert verifier().verify(list(headers.items()), body, now=NOW).event == EVENT


@given(st.sampled_from(NAMES), st.sampled_from([str.lower, str.upper, str]))
def test_two_values_of_one_header_are_refused(name: str, spell: Any) -> None:
    """One value each, even when both say the same (§5 step 1)."""
    body = body_of()
    headers = signed(body)
    pairs = [*headers.items(), (spell(name), headers[name])]

    with pytest.raises(MalformedHeader):
        verifier().verify(pairs, body, now=NOW)


@given(st.sampled_from(NAMES))
def test_a_header_that_is_not_there_is_missing(name: str) -> None:
    """Each of the four is needed (§5 step 1)."""
    body = body_of()
    headers = {key: value for key, value in signed(body).items() if key != name}

    with pytest.raises(MissingHeader):
        verifier().verify(headers, body, now=NOW)


MANGLED = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["", " ", "+1", "-1", "1_000", "٣" * 13, "1763000000000 ", "1" * 30, "1e12", "0x1", "²", "nan"]
    ),
    st.sampled_from(
        [
            "A" * 64,
            "a" * 63,
            "a" * 65,
            "g" * 64,
            "é" * 64,
            "a" * 64 + "\n",
            "\u0664" * 64,
            "sha256=" + "a" * 64,
        ]
    ),
)


@settings(max_examples=300)  # four headers times many ways to be wrong
@given(st.sampled_from(NAMES), MANGLED)
def test_a_mangled_header_is_refused(name: str, value: str) -> None:
    """Anything else in any of the four headers: refused with our error (§5 step 1)."""
    body = body_of()
    headers = signed(body)
    assume(headers[name] != value)

    with pytest.raises(VerificationError):
        verifier().verify(headers | {name: value}, body, now=NOW)


HEADER_VALUES = st.one_of(
    st.text(max_size=70), st.text("0123456789abcdef", min_size=60, max_size=68), st.just(WEBHOOK_ID)
)
ANY_HEADERS = st.one_of(
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), HEADER_VALUES, max_size=8),
    st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), HEADER_VALUES), max_size=8),
    st.fixed_dictionaries(dict.fromkeys(NAMES, HEADER_VALUES)),
    st.fixed_dictionaries(
        {
            "X-Webhook-Event": st.just(EVENT),
            "X-Webhook-Id": st.just(WEBHOOK_ID) | st.text(max_size=40),
            "X-Webhook-Timestamp": st.integers(MILLISECONDS - 310_000, MILLISECONDS + 40_000).map(str),
            "X-Webhook-Signature": st.text("0123456789abcdef", min_size=64, max_size=64),
        }
    ),
)
BODIES = st.one_of(st.binary(max_size=200), JSON.map(lambda data: json.dumps(data).encode()))


@settings(max_examples=300)  # headers, bytes and scheme are drawn together
@given(ANY_HEADERS, BODIES, SCHEMES, st.floats(allow_nan=False, min_value=-1e12, max_value=1e12))
def test_for_any_bytes_and_headers_only_our_errors_come_out(
    headers: Mapping[str, str] | list[tuple[str, str]], body: bytes, scheme: Scheme, now: float
) -> None:
    """The verifier raises its own error: nobody here knows the secret, so nothing may verify (§5)."""
    with pytest.raises(VerificationError) as caught:
        verifier(scheme=scheme).verify(headers, body, now=now)

    assert caught.value.status in {400, 401, 413}
    assert KEY not in str(caught.value)
    assert caught.value.text


@given(
    st.one_of(JSON, st.lists(st.integers(), max_size=3), st.text(max_size=5), st.integers(), st.none()),
    SCHEMES,
)
@example({"metadata": {"webhook_id": 5}, "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": [], "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": {"webhook_id": None}, "event": EVENT}, Scheme.TIMESTAMPED)
@example({"metadata": None, "event": [EVENT]}, Scheme.BODY)
def test_a_signed_body_of_another_shape_is_only_our_error(whole: object, scheme: Scheme) -> None:
    """A sender with the secret and a strange body cannot make the verifier raise anything else (§5)."""
    body = json.dumps(whole).encode()
    try:
        verified = verifier(scheme=scheme).verify(signed(body, scheme=scheme), body, now=NOW)
    except VerificationError:
        return
    assert verified.payload == whole
    assert isinstance(whole, dict)
    assert whole.get("event") == EVENT
