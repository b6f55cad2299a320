"""What each event adds to its row: a delivery is a sample once, where its fast tier ends."""

from __future__ import annotations

import pytest

from rollout.counters import FAILURES, Counts
from rollout.errors import ConfigError
from rollout.increments import of_breaker, of_dispatch, of_envelope, of_outcome, of_pii, of_settlement
from rollout.latency import LATENCY


def settled(kind: str, outcome: str | None, **more: object) -> dict[str, int]:
    values = {"attempts": 1, "latency_seconds": 0.142, **more}
    return of_settlement(kind=kind, outcome=outcome, **values).as_dict()  # type: ignore[arg-type]


def test_a_delivery_that_arrives_at_once_is_one_success() -> None:
    """One sample, one attempt, one latency."""
    assert settled("delivered", "success") == {"ok": 1, "attempts": 1, LATENCY.column(0.142): 1}


def test_a_delivery_that_arrives_after_a_5xx_is_retried_and_has_met_it() -> None:
    """Both shares count deliveries, once each, however many attempts there were."""
    counts = settled("delivered", "success", attempts=3, met_5xx=True)

    assert counts == {"ok": 1, "attempts": 1, "retried": 1, "met_5xx": 1, LATENCY.column(0.142): 1}


def test_an_attempt_that_will_be_retried_is_no_sample() -> None:
    """The fast tier goes on: only the attempt counts."""
    assert settled("retrying", "server_error") == {"attempts": 1}
    assert settled("retrying", "timeout") == {"attempts": 1, "unanswered": 1}


@pytest.mark.parametrize("outcome", FAILURES)
def test_giving_up_is_one_failure_of_its_class(outcome: str) -> None:
    """Every class has its column; the time of a failure is no latency."""
    counts = settled("dead_letter", outcome, attempts=3)

    assert counts[FAILURES[outcome]] == 1
    assert counts["retried"] == 1
    assert not any(column.startswith("latency") for column in counts)
    assert counts.get("met_5xx", 0) == (outcome == "server_error")


def test_a_delivery_that_goes_on_to_the_slow_tier_has_failed_there() -> None:
    """Evidence is taken where the fast tier ends (contract §10)."""
    counts = settled("retrying", "connection_error", attempts=3, ends_fast_tier=True)

    assert counts == {"attempts": 1, "unanswered": 1, "failed_connection_error": 1, "retried": 1}


def test_the_slow_tier_is_no_sample_and_an_arrival_there_a_recovery() -> None:
    """The same delivery never counts twice."""
    assert settled("delivered", "success", attempts=4, in_slow_tier=True) == {"attempts": 1, "recovered": 1}
    assert settled("dead_letter", "timeout", attempts=6, in_slow_tier=True) == {
        "attempts": 1,
        "unanswered": 1,
    }


@pytest.mark.parametrize(
    ("kind", "outcome", "more", "counts"),
    [
        ("held", None, {}, {}),
        ("waiting", None, {}, {}),
        ("dead_letter", "pii_blocked", {}, {}),
        ("waiting", "circuit_open", {}, {"refused": 1}),
        ("dead_letter", "circuit_open", {}, {"expired": 1}),
        ("waiting", "server_error", {}, {"attempts": 1}),
        ("waiting", "connection_error", {}, {"attempts": 1, "unanswered": 1}),
    ],
)
def test_what_proves_nothing_is_no_sample(
    kind: str, outcome: str | None, more: dict[str, object], counts: dict[str, int]
) -> None:
    """Holds, an open breaker's refusals and failed probes end no delivery."""
    assert settled(kind, outcome, **more) == counts


@pytest.mark.parametrize(("kind", "outcome"), [("sent", "success"), ("delivered", "fine")])
def test_a_word_that_the_contract_does_not_have_is_refused(kind: str, outcome: str) -> None:
    """The message lists the words."""
    with pytest.raises(ConfigError, match="must be one of"):
        settled(kind, outcome)


def test_an_application_with_its_own_sender_gives_the_same_evidence() -> None:
    """`of_outcome` is one settle at the end; without a latency there is no latency sample."""
    assert of_outcome("success", latency_seconds=0.142).as_dict() == settled("delivered", "success")
    assert of_outcome("timeout", attempts=3).as_dict() == settled("dead_letter", "timeout", attempts=3)
    assert of_outcome("success") == Counts({"ok": 1, "attempts": 1})


def test_an_outcome_that_ends_no_delivery_is_refused() -> None:
    """An open breaker is no outcome of a delivery, and no delivery takes less than one attempt."""
    with pytest.raises(ConfigError, match="success or one of"):
        of_outcome("circuit_open")
    with pytest.raises(ConfigError, match="1 or more"):
        of_outcome("success", attempts=0)


def test_the_other_events_have_a_column_each() -> None:
    """Breakers, dispatch, envelopes and personal data."""
    assert of_breaker(openings=1, open_seconds=15) == Counts({"openings": 1, "open_seconds": 15})
    assert of_dispatch(0.0012) == Counts({"dispatch_04": 1})
    assert of_envelope() == Counts({"envelopes": 1})
    assert of_pii(free_text=False) == Counts({"pii": 1})
    assert of_pii(free_text=True) == Counts({"pii_free_text": 1})
