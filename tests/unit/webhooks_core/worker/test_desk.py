"""What a worker holds, and whom it hands what."""

from __future__ import annotations

from itertools import count

from webhooks_core.endpoint import EndpointId
from webhooks_core.outbox.base import Claimed, Settled
from webhooks_core.settlement import Delivery, Held
from webhooks_core.worker.desk import Desk, Job
from webhooks_core.worker.policy import WorkerPolicy

NOW = 1_000.0
NUMBERS = count(1)


def claims(text: str) -> list[Claimed]:
    """One claim for each letter, which names its endpoint."""
    made = []
    for letter in text:
        number = next(NUMBERS)
        delivery = Delivery(
            webhook_id=f"id{number}",
            event="tested",
            body=b"{}",
            created_at=0.0,
            endpoint_id=EndpointId(letter),
        )
        made.append(Claimed(delivery=delivery, token=f"t{number}", lease_until=0.0))
    return made


def desk_with(text: str, *, is_alone: bool = False, threads: int = 8, ahead: int = 0) -> Desk:
    """A desk that has just taken claims in, leased until NOW + 15."""
    desk = Desk(WorkerPolicy(threads=threads, ahead=ahead), is_alone=is_alone)
    desk.take_in(claims(text), until=NOW + 15)
    return desk


def handed(desk: Desk, *, now: float = NOW) -> tuple[str, list[Job]]:
    """Hand out, and return the endpoints' letters and the jobs."""
    jobs = desk.hand_out(now=now)
    return "".join(job.endpoint_id for job in jobs), jobs


def settled(job: Job) -> Settled:
    """Some settlement of a job."""
    return Settled(claimed=job.claimed, settlement=Held(delivery=job.claimed.delivery, reason="r"))


def begun(jobs: list[Job], *, at: float) -> None:
    """Say that threads began these."""
    for job in jobs:
        job.started_at = at


def test_hands_out_one_endpoint_after_the_other() -> None:
    """Ten of a do not stand before one of b."""
    letters, _ = handed(desk_with("aaaaaaaaaab"))

    assert letters == "abaaa"  # a: half of eight threads


def test_hands_out_fewer_ahead_the_longer_attempts_take() -> None:
    """Two threads: as many ahead before anything is known, all of what is quick, none of what is slow."""
    desk = desk_with("a" * 4_000, is_alone=True, threads=2, ahead=20)
    sizes = []

    for took in (0.001, 0.3, 0.3):
        jobs = handed(desk)[1]
        sizes.append(len(jobs))
        for _ in range(40):
            begun(jobs, at=NOW)
            for job in jobs:
                desk.came_back(job, settled(job), now=NOW + took)
            jobs = handed(desk)[1]
        for job in jobs:
            desk.came_back(job, None, now=NOW)

    assert sizes == [4, 22, 2]


def test_begins_with_another_endpoint_each_time() -> None:
    """With one slot it is everybody's turn in time."""
    desk = desk_with("aaabbb", threads=1)
    seen = ""
    for _ in range(4):
        letters, jobs = handed(desk)
        seen += letters
        desk.came_back(jobs[0], settled(jobs[0]), now=NOW)

    assert sorted(seen) == ["a", "a", "b", "b"]


def test_an_endpoint_that_is_alone_gets_every_slot() -> None:
    """Threads, and those ahead of them."""
    letters, _ = handed(desk_with("a" * 50, is_alone=True, ahead=4))

    assert letters == "a" * 12


def test_slots_are_free_again_when_jobs_come_back() -> None:
    """Two slots, three jobs."""
    desk = desk_with("aaa", is_alone=True, threads=2)
    _, jobs = handed(desk)
    none, _ = handed(desk)
    desk.came_back(jobs[0], settled(jobs[0]), now=NOW)

    assert len(jobs) == 2
    assert none == ""
    assert handed(desk)[0] == "a"


def test_a_slow_endpoint_is_held_to_a_quarter_and_all_slow_ones_to_half() -> None:
    """Two hang for more than a second; the third finds its threads."""
    desk = desk_with("aabb")
    _, jobs = handed(desk)
    begun(jobs, at=NOW)
    desk.take_in(claims("aaaabbbbcccc"), until=NOW + 30)

    letters, _ = handed(desk, now=NOW + 1.5)

    assert letters == "cccc"
    assert desk.is_slow(EndpointId("a"), now=NOW + 1.5)
    assert not desk.is_slow(EndpointId("a"), now=NOW + 1.0)


def test_slow_endpoints_share_their_half_of_the_threads() -> None:
    """Four slow endpoints, eight threads: four jobs in all."""
    desk = desk_with("abcd")
    _, jobs = handed(desk)
    begun(jobs, at=NOW)
    for job in jobs:
        desk.came_back(job, settled(job), now=NOW + 2)
    desk.take_in(claims("aabbccdd"), until=NOW + 30)

    letters, _ = handed(desk, now=NOW + 2)

    assert sorted(letters) == ["a", "b", "c", "d"]


def test_an_endpoint_is_slow_until_it_is_quick() -> None:
    """One long attempt marks it, one short one clears it; one that was not begun says nothing."""
    desk = desk_with("aaa")
    name = EndpointId("a")
    _, jobs = handed(desk)
    begun(jobs[:2], at=NOW)
    desk.came_back(jobs[0], settled(jobs[0]), now=NOW + 1.1)
    after_long = desk.is_slow(name, now=NOW + 1.1)
    desk.came_back(jobs[2], None, now=NOW + 1.1)
    after_unbegun = desk.is_slow(name, now=NOW + 1.1)
    jobs[1].started_at = NOW + 1.0
    desk.came_back(jobs[1], settled(jobs[1]), now=NOW + 1.2)

    assert after_long
    assert after_unbegun
    assert not desk.is_slow(name, now=NOW + 1.2)


def test_hands_out_nothing_whose_lease_is_half_over() -> None:
    """It stays queued until it is renewed."""
    desk = desk_with("a")

    late, _ = handed(desk, now=NOW + 7.6)
    desk.to_renew(now=NOW + 7.6)[0].until = NOW + 30

    assert late == ""
    assert handed(desk, now=NOW + 7.6)[0] == "a"


def test_what_was_not_begun_is_queued_again_in_front() -> None:
    """A job whose lease was too short goes out again before younger ones."""
    desk = desk_with("aa", is_alone=True, threads=1)
    _, (first,) = handed(desk)
    desk.came_back(first, None, now=NOW)

    assert desk.hand_out(now=NOW) == [first]


def test_counts_what_is_in_hand() -> None:
    """Held: queued and out. All: with what is not settled yet."""
    desk = desk_with("aab", threads=1)
    _, (job,) = handed(desk)
    out = (desk.held, len(desk), desk.held_for(EndpointId("a")))
    desk.came_back(job, settled(job), now=NOW)
    back = (desk.held, len(desk), desk.held_for(EndpointId("a")))
    desk.settled(list(desk.unsettled), now=NOW)

    assert out == (3, 3, 2)
    assert back == (2, 3, 1)
    assert (desk.held, len(desk), len(desk.unsettled)) == (2, 2, 0)
    assert desk.held_for(EndpointId("z")) == 0


def test_remembers_since_when_something_is_unsettled() -> None:
    """The oldest counts; what was written begins it anew."""
    desk = desk_with("aaa", is_alone=True)
    _, jobs = handed(desk)
    for job, at in zip(jobs, (1.0, 2.0, 3.0), strict=True):
        desk.came_back(job, settled(job), now=NOW + at)
    since = desk.unsettled_since
    desk.settled([settled(jobs[0])], now=NOW + 5)

    assert since == NOW + 1
    assert desk.unsettled_since == NOW + 5
    assert [each.claimed for each in desk.unsettled] == [jobs[1].claimed, jobs[2].claimed]


def test_renews_together_what_needs_it_at_about_the_same_time() -> None:
    """A third of 15 s is used at 5 s; leases that would be renewed within 1.5 s go along."""
    desk = desk_with("a")
    desk.take_in(claims("b"), until=NOW + 16)
    desk.take_in(claims("c"), until=NOW + 20)

    assert desk.renew_at() == NOW + 5
    assert desk.to_renew(now=NOW) == []
    assert [job.endpoint_id for job in desk.to_renew(now=NOW + 5)] == ["a", "b"]


def test_the_first_lease_to_renew_is_known_whatever_came_and_went() -> None:
    """Renewed, lost, settled and forgotten: what is left in hand decides."""
    desk = desk_with("ab")
    desk.take_in(claims("c"), until=NOW + 16)
    first, second, third = desk.queued()

    moments = []
    desk.renewed(first, until=NOW + 20)
    moments.append(desk.renew_at())
    desk.lose(second)
    desk.renewed(second, until=NOW + 30)
    moments.append(desk.renew_at())
    desk.forget(third)
    moments.append(desk.renew_at())
    desk.settle_unsent(first, settled(first), now=NOW)
    desk.settled([settled(first)], now=NOW)
    moments.append(desk.renew_at())

    assert moments == [NOW + 5, NOW + 6, NOW + 10, None]


def test_an_empty_desk_has_nothing_to_renew() -> None:
    """No lease, no moment."""
    assert desk_with("").renew_at() is None


def test_a_lost_job_is_forgotten_where_no_thread_has_it() -> None:
    """One that is out is forgotten when it comes back; neither is renewed any more."""
    desk = desk_with("ab", threads=1)
    _, (out,) = handed(desk)
    (queued,) = desk.queued()

    desk.lose(queued)
    desk.lose(out)

    assert len(desk) == 1
    assert desk.renew_at() is None
    assert desk.to_renew(now=NOW + 99) == []
    assert out.is_lost


def test_a_queued_job_can_be_settled_without_an_attempt() -> None:
    """As a worker does that stops."""
    desk = desk_with("a")
    (job,) = desk.queued()

    desk.settle_unsent(job, settled(job), now=NOW)

    assert (desk.held, len(desk.unsettled), desk.queued()) == (0, 1, [])
