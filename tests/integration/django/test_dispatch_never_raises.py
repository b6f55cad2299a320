"""`dispatch` for anything: no exception into the caller, nothing captured that a receiver cannot read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from rollout.django import Dispatched, dispatch
from tests.integration.django.project import project
from webhooks_core.envelope import parse_strict
from webhooks_core.testing import outbox

LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(), max_size=20)
    | st.binary(max_size=8)
    | st.uuids()
    | st.datetimes()
    | st.builds(object)
)
ANY = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9) | LEAF, inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["tournament_id", "region", "match_id", "user"])


@given(event=ANY, data=ANY, metadata=ANY, endpoint=LEAF, context=st.dictionaries(NAMES, ANY, max_size=3))
def test_no_argument_makes_it_raise(
    event: Any, data: Any, metadata: Any, endpoint: Any, context: dict[str, Any]
) -> None:
    """At 100 %, with every argument from anywhere."""
    with override_settings(**project()):
        dispatched = dispatch(event, data, metadata=metadata, endpoint=endpoint, **context)

    assert isinstance(dispatched, Dispatched)


@given(unit=st.integers() | st.uuids() | st.text(min_size=1), recipient_count=st.integers(0, 2**70))
def test_what_is_captured_is_what_a_receiver_reads(unit: int | UUID | str, recipient_count: int) -> None:
    """For every unit there is, or the gate is closed."""
    outbox.clear()
    with override_settings(**project()):
        dispatched = dispatch("payment_verified", {"recipient_count": recipient_count}, tournament_id=unit)

    assert bool(dispatched) is dispatched.decision.value
    for captured in outbox:
        assert parse_strict(captured.body)["data"] == {"recipient_count": recipient_count}
        assert captured.unit == str(unit)
