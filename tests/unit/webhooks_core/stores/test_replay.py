"""The memory of a receiver: one winner, leases, what is remembered and for how long."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from webhooks_core.errors import ConfigError
from webhooks_core.stores.replay import Claim, ClaimOutcome, MemoryReplayStore

NOW = 1_763_000_000.0
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "650e8400-e29b-41d4-a716-446655440000"
SIGNATURE = "a" * 64
OTHER_SIGNATURE = "b" * 64
NEW, BUSY, DONE = ClaimOutcome.NEW, ClaimOutcome.BUSY, ClaimOutcome.DONE


def numbered(number: int) -> tuple[str, str]:
    """An id and a signature of their own."""
    return str(UUID(int=number)), f"{number:064x}"[::-1]


def test_a_claim_goes_from_claimed_to_done() -> None:
    """Unknown, claimed, done: each second asker is told what it is."""
    store = MemoryReplayStore()

    claim = store.claim(ID, SIGNATURE, now=NOW)
    during = store.claim(ID, SIGNATURE, now=NOW + 1.2)
    ended = store.done(claim, now=NOW + 2)
    after = store.claim(ID, OTHER_SIGNATURE, now=NOW + 3)

    assert (claim.outcome, claim.is_mine, claim.retry_after_seconds) == (NEW, True, 0)
    assert (during.outcome, during.is_mine, during.retry_after_seconds) == (BUSY, False, 14)
    assert ended is True
    assert (after.outcome, after.retry_after_seconds) == (DONE, 0)
    assert len(store) == 1


def test_given_back_the_next_attempt_is_handled() -> None:
    """The same id under the same signature, or a new one: both are new again."""
    store = MemoryReplayStore()

    assert store.give_back(store.claim(ID, SIGNATURE, now=NOW), now=NOW)
    assert store.give_back(store.claim(ID, SIGNATURE, now=NOW), now=NOW)
    assert store.claim(ID, OTHER_SIGNATURE, now=NOW).is_mine


def test_a_lease_ends_at_its_second_and_not_before() -> None:
    """15 s: at 14.999 still busy, at 15 free."""
    store = MemoryReplayStore()
    store.claim(ID, SIGNATURE, now=NOW)

    almost = store.claim(ID, OTHER_SIGNATURE, now=NOW + 14.999)
    free = store.claim(ID, OTHER_SIGNATURE, now=NOW + 15)

    assert (almost.outcome, almost.retry_after_seconds) == (BUSY, 1)
    assert free.is_mine


def test_whoever_lost_the_lease_cannot_end_the_claim_of_another() -> None:
    """Tokens fence: the late one's done and give_back are ignored."""
    store = MemoryReplayStore()
    late = store.claim(ID, SIGNATURE, now=NOW)
    mine = store.claim(ID, OTHER_SIGNATURE, now=NOW + 15)

    assert store.done(late, now=NOW + 16) is False
    assert store.give_back(late, now=NOW + 16) is False
    assert store.claim(ID, SIGNATURE, now=NOW + 16).outcome is BUSY
    assert store.done(mine, now=NOW + 16) is True
    assert store.done(mine, now=NOW + 16) is False
    assert store.give_back(mine, now=NOW + 16) is False


def test_a_late_done_counts_when_nobody_took_over() -> None:
    """The effect happened: better remembered late than handled twice."""
    store = MemoryReplayStore()
    claim = store.claim(ID, SIGNATURE, now=NOW)

    assert store.done(claim, now=NOW + 60) is True
    assert store.claim(ID, OTHER_SIGNATURE, now=NOW + 61).outcome is DONE


def test_the_process_that_died_is_followed_by_the_same_attempt() -> None:
    """After the lease the same id and signature are taken over: the signature is its own."""
    store = MemoryReplayStore()
    store.claim(ID, SIGNATURE, now=NOW)

    assert store.claim(ID, SIGNATURE, now=NOW + 15).is_mine


@pytest.mark.parametrize(
    "claim", [Claim(outcome=BUSY, webhook_id=ID), Claim(outcome=NEW, webhook_id=ID, token=99)]
)
def test_a_claim_that_was_never_given_out_ends_nothing(claim: Claim) -> None:
    """Neither of an id that is claimed, nor of one that is not."""
    store = MemoryReplayStore()

    assert store.done(claim, now=NOW) is False
    store.claim(ID, SIGNATURE, now=NOW)
    assert store.done(claim, now=NOW) is False
    assert store.give_back(claim, now=NOW) is False


def test_done_ids_are_remembered_for_seven_days_and_not_longer() -> None:
    """The default: as long as a sender may send again by itself."""
    store = MemoryReplayStore()
    store.done(store.claim(ID, SIGNATURE, now=NOW), now=NOW)

    assert store.claim(ID, OTHER_SIGNATURE, now=NOW + 7 * 86_400 - 0.001).outcome is DONE
    assert store.claim(ID, OTHER_SIGNATURE, now=NOW + 7 * 86_400).is_mine


def test_a_signature_under_another_id_is_seen_for_330_seconds() -> None:
    """A captured request sent again under a fresh id; later its timestamp is too old by itself."""
    store = MemoryReplayStore()
    store.done(store.claim(ID, SIGNATURE, now=NOW), now=NOW)

    assert store.claim(OTHER_ID, SIGNATURE, now=NOW + 329.999).outcome is DONE
    assert store.claim(OTHER_ID, SIGNATURE, now=NOW + 330).is_mine


def test_a_signature_in_flight_under_another_id_is_busy() -> None:
    """Whether it will be done is not known yet; once its lease ran out, it has been seen."""
    store = MemoryReplayStore()
    store.claim(ID, SIGNATURE, now=NOW)
    store.claim(str(UUID(int=1)), OTHER_SIGNATURE, now=NOW)

    during = store.claim(OTHER_ID, SIGNATURE, now=NOW + 5)
    later = store.claim(OTHER_ID, SIGNATURE, now=NOW + 15)

    assert (during.outcome, during.retry_after_seconds) == (BUSY, 10)
    assert later.outcome is DONE


def test_an_older_signature_of_a_claim_that_was_taken_over_stays_seen() -> None:
    """The id is free again, the first attempt's bytes are not."""
    store = MemoryReplayStore()
    store.claim(ID, SIGNATURE, now=NOW)
    second = store.claim(ID, OTHER_SIGNATURE, now=NOW + 15)
    store.give_back(second, now=NOW + 16)

    assert store.claim(ID, SIGNATURE, now=NOW + 17).outcome is DONE
    assert store.claim(ID, OTHER_SIGNATURE, now=NOW + 17).is_mine


def test_without_a_signature_only_the_id_counts() -> None:
    """The scheme `body`: two equal bodies have one signature, so it tells nothing."""
    store = MemoryReplayStore()
    first = store.claim(ID, None, now=NOW)

    assert store.claim(OTHER_ID, None, now=NOW).is_mine
    assert store.claim(ID, None, now=NOW).outcome is BUSY
    assert store.give_back(first, now=NOW)
    assert store.claim(ID, None, now=NOW).is_mine


def test_the_case_of_an_id_does_not_matter() -> None:
    """A UUID is a number."""
    store = MemoryReplayStore()
    store.done(store.claim(ID, None, now=NOW), now=NOW)

    assert store.claim(ID.upper(), None, now=NOW).outcome is DONE


@pytest.mark.parametrize("webhook_id", ["", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "x" * 32, "ä", "\ud800"])
@pytest.mark.parametrize("signature", ["", "v1,abc", "x" * 64, "ä" * 40])
def test_ids_and_signatures_of_other_forms_are_remembered_too(webhook_id: str, signature: str) -> None:
    """Another scheme may bring them; they are kept by their hash."""
    store = MemoryReplayStore()
    store.done(store.claim(webhook_id, signature, now=NOW), now=NOW)

    assert store.claim(webhook_id, None, now=NOW).outcome is DONE
    assert store.claim(ID, signature, now=NOW).outcome is DONE
    assert store.claim(ID, SIGNATURE, now=NOW).is_mine


def test_beyond_its_bound_the_oldest_done_id_is_forgotten() -> None:
    """Documented as weaker; the newest are kept."""
    store = MemoryReplayStore(max_ids=3)
    for number in range(5):
        store.done(store.claim(*numbered(number), now=NOW + number), now=NOW + number)

    outcomes = [store.claim(numbered(number)[0], None, now=NOW + 9).outcome for number in range(5)]

    assert outcomes == [NEW, NEW, DONE, DONE, DONE]


def test_what_has_run_out_is_forgotten_as_new_ones_come() -> None:
    """The memory follows the traffic: two old ones go for each that comes."""
    store = MemoryReplayStore(remember_seconds=900, signature_seconds=330)
    for number in range(100):
        store.done(store.claim(*numbered(number), now=NOW), now=NOW)
    assert len(store) == 100

    for number in range(100, 160):
        store.done(store.claim(*numbered(number), now=NOW + 1000), now=NOW + 1000)

    assert len(store) == 60
    assert len(store._signatures) == 60


def test_claims_that_nobody_ended_do_not_pile_up() -> None:
    """At the bound, those whose lease ran out are dropped."""
    store = MemoryReplayStore(max_ids=10)
    for number in range(10):
        store.claim(*numbered(number), now=NOW)

    store.claim(*numbered(10), now=NOW + 15)

    assert len(store) == 1


def test_a_done_id_that_comes_back_later_is_the_newest_again() -> None:
    """Its place in the order of forgetting is the last one."""
    store = MemoryReplayStore(remember_seconds=900, max_ids=2)
    for moment, number in ((0, 1), (1, 2), (900, 1)):
        store.done(store.claim(numbered(number)[0], None, now=NOW + moment), now=NOW + moment)
    store.done(store.claim(numbered(3)[0], None, now=NOW + 900), now=NOW + 900)

    assert store.claim(numbered(1)[0], None, now=NOW + 900).outcome is DONE


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"remember_seconds": 899}, "remember_seconds"),
        ({"remember_seconds": float("inf")}, "remember_seconds"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"lease_seconds": float("nan")}, "lease_seconds"),
        ({"signature_seconds": -1}, "signature_seconds"),
        ({"max_ids": 0}, "max_ids"),
    ],
)
def test_a_memory_that_would_be_too_short_is_refused(options: dict[str, float], path: str) -> None:
    """Done ids are kept 900 s at least (the contract §5)."""
    with pytest.raises(ConfigError) as raised:
        MemoryReplayStore(**options)  # type: ignore[arg-type]

    assert raised.value.path == path


@pytest.mark.parametrize("turn", range(20))
def test_of_many_threads_that_claim_one_id_one_wins(turn: int) -> None:
    """Asking and setting are one step."""
    store = MemoryReplayStore()
    barrier = threading.Barrier(8)
    outcomes: list[ClaimOutcome] = []

    def ask() -> None:
        barrier.wait()
        outcomes.append(store.claim(ID, SIGNATURE, now=NOW).outcome)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [BUSY] * 7 + [NEW]
