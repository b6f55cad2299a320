"""Errors carry their facts, say them clearly and survive a pickle."""

from __future__ import annotations

import pickle

import pytest

from rollout.errors import (
    ConfigError,
    FlagNotFound,
    InvalidContext,
    RolloutError,
    TargetingKeyMissing,
)

CASES = [
    (ConfigError("ROLLOUT.FLAG", "must be text"), "ROLLOUT.FLAG: must be text"),
    (FlagNotFound("webhoks", ("webhooks", "hooks")), "no flag 'webhoks' (nearest known: webhooks, hooks)"),
    (FlagNotFound("webhoks"), "no flag 'webhoks'"),
    (
        TargetingKeyMissing("webhooks"),
        "flag 'webhooks': no unit given; pass an integer, a text that is not empty, or a UUID",
    ),
    (InvalidContext("webhooks", "a float is no unit"), "flag 'webhooks': a float is no unit"),
]


@pytest.mark.parametrize(("error", "text"), CASES, ids=lambda case: type(case).__name__)
def test_an_error_says_what_where_and_what_is_allowed(error: RolloutError, text: str) -> None:
    """The message is made of the facts."""
    assert str(error) == text


@pytest.mark.parametrize("error", [error for error, _ in CASES], ids=lambda case: type(case).__name__)
def test_an_error_crosses_processes(error: RolloutError) -> None:
    """Worker pools pickle exceptions: type, facts and message come back."""
    back = pickle.loads(pickle.dumps(error))

    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.__dict__ == error.__dict__


@pytest.mark.parametrize("error", [error for error, _ in CASES], ids=lambda case: type(case).__name__)
def test_one_root_catches_them_all(error: RolloutError) -> None:
    """`except RolloutError` is enough."""
    assert isinstance(error, RolloutError)
