"""What one endpoint leaves behind: two ways to count its failures, whether it fails, its openings."""

from __future__ import annotations

import pytest

from rollout.counters import Counts
from rollout.endpoints import Endpoint

MINUTE = 29_383_334


def after(endpoint: Endpoint, **counts: int) -> tuple[Endpoint, int, int]:
    return endpoint.after(MINUTE, Counts(counts), limit=3)


def test_answers_that_fail_all_count_where_most_do_not_succeed() -> None:
    """Ten 5xx: three for while most succeed, ten for otherwise."""
    _, capped, judged = after(Endpoint(), failed_server_error=10)

    assert (capped, judged) == (3, 10)


def test_failures_without_an_answer_count_up_to_three_in_a_row_in_any_case() -> None:
    """How long a receiver may stay away is said by the row on unreachable receivers."""
    endpoint, capped, judged = after(
        Endpoint(), failed_connection_error=6, failed_timeout=2, failed_tls_error=2
    )
    _, capped_next, judged_next = after(endpoint, failed_connection_error=10)

    assert (capped, judged) == (3, 3)
    assert (capped_next, judged_next) == (0, 0)


def test_an_answer_ends_a_run_without_answers() -> None:
    """A 5xx says that somebody is there: it counts, and so do three others of the minute."""
    _, _, judged = after(Endpoint(), failed_connection_error=5, failed_server_error=2)

    assert judged == 5


@pytest.mark.parametrize(
    ("counts", "is_failing"),
    [
        ({"failed_server_error": 2}, False),
        ({"failed_server_error": 3}, True),
        ({"failed_server_error": 3, "ok": 3}, False),
        ({"failed_server_error": 4, "ok": 3}, True),
        ({"failed_server_error": 2, "ok": 1}, False),
        ({"ok": 1}, False),
    ],
    ids=str,
)
def test_it_fails_with_three_in_a_row_or_more_failures_than_successes(
    counts: dict[str, int], is_failing: bool
) -> None:
    """Three failures at least; beside successes there must be more of them."""
    endpoint, _, _ = after(Endpoint(), **counts)

    assert endpoint.is_failing is is_failing


def test_a_minute_without_samples_leaves_that_as_it_was() -> None:
    """Refusals of an open breaker say nothing new, but the endpoint is in use."""
    endpoint, capped, judged = after(Endpoint(is_failing=True), refused=4)

    assert (endpoint.is_failing, capped, judged) == (True, 0, 0)
    assert endpoint.seen == MINUTE


def test_personal_data_and_dispatch_times_are_no_use_of_an_endpoint() -> None:
    """Their rows have no endpoint, or one that nothing was sent to."""
    endpoint, _, _ = after(Endpoint(), pii=1, dispatch_03=4, open_seconds=60)

    assert endpoint.seen == 0


def test_openings_are_kept_by_the_minute() -> None:
    """A day of them, counted from any minute on, forgotten before another."""
    endpoint, _, _ = after(Endpoint(openings=((MINUTE - 2, 1), (MINUTE - 1, 2))), openings=4)

    assert endpoint.openings_since(MINUTE - 1) == 6
    assert endpoint.without_openings_before(MINUTE).openings == ((MINUTE, 4),)
    assert endpoint.without_openings_before(MINUTE - 2) is endpoint
    assert Endpoint().without_openings_before(MINUTE) == Endpoint()
