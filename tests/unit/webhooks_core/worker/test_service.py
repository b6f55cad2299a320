"""A worker, step by step: what it claims, attempts, settles, renews, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.webhooks_core.worker.bench import BOOT, NOW, A, B, Bench, policy_of
from webhooks_core.delivery import Permit, PermitVerdict
from webhooks_core.outbox.base import State
from webhooks_core.outbox.memory import MemoryOutbox
from webhooks_core.outcome import Outcome
from webhooks_core.rate import RatePolicy
from webhooks_core.stores.rates import MemoryRateStore
from webhooks_core.transport.base import Response
from webhooks_core.worker.events import ClaimLost, ClockOff, ForeignRows, OutboxFailed, OutboxRecovered
from webhooks_core.worker.plan import Phase
from webhooks_core.worker.service import WorkerStatus


def test_an_event_is_delivered() -> None:
    """Claimed, sent, settled; then the worker sleeps until its next poll."""
    bench = Bench()
    webhook_id = bench.add(1)

    bench.work()

    assert bench.row(webhook_id).state is State.DELIVERED
    assert len(bench.transport.sent) == 1
    assert bench.monotonic() < bench.worker.step() <= BOOT + 1.1


def test_a_retry_wakes_the_worker_at_its_moment() -> None:
    """503 at NOW: attempt 2 at NOW + 2, not a moment before; then it is delivered."""
    policy = policy_of(poll_seconds=600.0)
    bench = Bench([503], policy=policy)
    webhook_id = bench.add(1)
    bench.work()

    wake_at = bench.worker.step()
    bench.now += 1.999
    bench.work()
    early = len(bench.transport.sent)
    bench.now += 0.001
    bench.work()

    assert wake_at == pytest.approx(BOOT + 2.0)
    assert early == 1
    assert bench.row(webhook_id).state is State.DELIVERED
    assert [record.attempt for record in bench.row(webhook_id).attempts] == [1, 2]


def test_a_hint_claims_at_once() -> None:
    """A row that came in while the worker sleeps waits for no poll."""
    bench = Bench()
    bench.work()
    bench.add(1)
    asleep = bench.worker.step()
    bench.worker.hint()

    assert asleep > bench.monotonic()
    bench.work()
    assert bench.states() == [State.DELIVERED]


def test_claims_more_as_long_as_it_gets_all_it_asks_for() -> None:
    """Thirty rows, batches of eight: no poll in between."""
    bench = Bench()
    for number in range(30):
        bench.add(number)

    bench.work()

    assert bench.states() == [State.DELIVERED] * 30


def test_what_the_permit_holds_is_held_and_what_it_cannot_tell_waits() -> None:
    """Two verdicts, two states, nothing sent."""
    verdicts = iter([PermitVerdict.HOLD, PermitVerdict.WAIT])
    bench = Bench(permit=lambda _: Permit(verdict=next(verdicts), reason="ceiling 0"))
    bench.add(1)
    bench.add(2)

    bench.work()

    assert bench.states() == [State.HELD, State.PENDING]
    assert bench.outbox.rows()[1].due_at == NOW + 2
    assert bench.transport.sent == []


def test_nothing_is_claimed_for_an_open_breaker_and_one_row_for_its_probe() -> None:
    """Two dead letters open it; for a minute nothing is claimed, then exactly one row."""
    bench = Bench([404, 404], max_fails=2)
    for number in range(6):
        bench.add(number)
    bench.work()
    bench.now += 1
    bench.work()
    sent = len(bench.transport.sent)
    claimed_then = [row.claims for row in bench.outbox.rows()]
    bench.now += 60
    bench.worker.step()
    probes = bench.worker.hand_out()

    assert sent == 2
    assert len(probes) == 1
    assert sum(row.claims for row in bench.outbox.rows()) == sum(claimed_then) + 1


def test_an_endpoint_that_fails_does_not_stop_another() -> None:
    """Rows of b go out while those of a wait for its breaker."""
    bench = Bench(endpoints="ab", max_fails=1)
    bench.transport = bench.sender._transport = type(bench.transport)(  # type: ignore[assignment]
        then=lambda request: _answer(404 if request.endpoint.id == A else 200)
    )
    for number in range(12):
        bench.add(number, endpoint=A if number % 2 else B)

    bench.work()

    states = {row.delivery.webhook_id[-2:]: row.state for row in bench.outbox.rows()}
    assert all(states[f"{number:02d}"] is State.DELIVERED for number in range(0, 12, 2))


def _answer(status: int) -> object:
    from webhooks_core.transport.base import Response

    return Response(status=status)


def test_a_lease_is_renewed_while_the_worker_lives() -> None:
    """An attempt of 40 s keeps its row, and its settlement is taken."""
    bench = Bench()
    webhook_id = bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    assert bench.worker.begin(job)
    for _ in range(8):
        bench.now += 5
        bench.worker.step()
    bench.worker.came_back(job, bench.worker.attempt(job))
    bench.worker.step()

    assert bench.row(webhook_id).state is State.DELIVERED
    assert bench.row(webhook_id).claims == 1


def test_an_attempt_is_not_begun_with_less_than_half_of_its_lease() -> None:
    """The process slept for 8 s between claim and attempt; renewed, it goes."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.now += 8
    begun = bench.worker.begin(job)
    bench.worker.came_back(job, None)
    bench.work()

    assert not begun
    assert bench.states() == [State.DELIVERED]


def test_a_worker_that_slept_through_its_lease_is_told_so() -> None:
    """Another one delivered meanwhile: the late settlement is refused, and told as a fact."""
    bench = Bench()
    webhook_id = bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    settled = bench.worker.attempt(job)
    bench.now += 15
    other = bench.outbox.claim(worker="w2", limit=1, lease_seconds=15, endpoints={A: 1})
    bench.worker.came_back(job, settled)
    bench.worker.step()

    assert bench.seen.of(ClaimLost) == [ClaimLost(worker="w1", endpoint="a", webhook_id=webhook_id)]
    assert bench.row(webhook_id).state is State.CLAIMED
    assert other[0].claims == 2
    assert bench.worker.left == 0


def test_a_job_whose_lease_was_lost_is_not_begun_and_forgotten() -> None:
    """The renewal says that it is another's by now."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.now += 15
    bench.outbox.claim(worker="w2", limit=1, lease_seconds=15, endpoints={A: 1})
    bench.worker.step()
    begun = bench.worker.begin(job)
    bench.worker.came_back(job, None)

    assert not begun
    assert bench.worker.left == 0
    assert len(bench.seen.of(ClaimLost)) == 1


def test_an_outbox_that_is_away_is_waited_for_and_nothing_is_lost() -> None:
    """Told, backed off from, recovered by itself; what was in hand is settled then."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    bench.worker.came_back(job, bench.worker.attempt(job))
    bench.flaky.is_down = True
    wake_at = bench.worker.step()
    calls = len(bench.flaky.calls)
    bench.worker.step()
    untouched = len(bench.flaky.calls) == calls
    bench.flaky.is_down = False
    bench.now += 0.25
    bench.worker.step()

    assert wake_at == BOOT + 0.25
    assert untouched
    assert [fact.operation for fact in bench.seen.of(OutboxFailed)] == ["settle"]
    assert bench.seen.of(OutboxRecovered) == [OutboxRecovered(worker="w1", failures=1)]
    assert bench.states() == [State.DELIVERED]


def test_a_settle_that_was_carried_out_and_failed_is_not_counted_twice() -> None:
    """Commit unknown: told again, the outbox says that it is settled; the row is delivered once."""
    bench = Bench()
    webhook_id = bench.add(1)
    bench.flaky.applied = {"settle"}
    bench.work()
    bench.flaky.applied = set()
    bench.now += 0.25
    bench.worker.step()

    assert bench.row(webhook_id).state is State.DELIVERED
    assert len(bench.row(webhook_id).attempts) == 1
    assert bench.worker.left == 0


def test_one_settlement_that_cannot_be_written_does_not_keep_the_others() -> None:
    """A sink chokes on one row: the others are settled one by one, and batches come back after it."""
    bench = Bench()
    poison = bench.add(0)
    others = [bench.add(number) for number in range(1, 4)]

    def sink(settlements: object) -> None:
        ids = [each.claimed.delivery.webhook_id for each in settlements]  # type: ignore[attr-defined]
        if poison in ids:
            raise ValueError("no such minute")

    bench.outbox._sink = sink
    bench.work()
    for _ in range(12):
        bench.now += 5
        bench.worker.step()

    assert [bench.row(webhook_id).state for webhook_id in others] == [State.DELIVERED] * 3
    assert bench.row(poison).state is State.CLAIMED
    bench.outbox._sink = None
    bench.now += 5
    bench.worker.step()
    assert bench.row(poison).state is State.DELIVERED


def test_claims_that_failed_after_they_were_made_come_back_by_their_lease() -> None:
    """Rows that nobody knows of are due again after 15 s."""
    bench = Bench()
    bench.add(1)
    bench.flaky.applied = {"claim"}
    bench.worker.step()
    bench.flaky.applied = set()
    bench.now += 15.5
    bench.work()

    assert bench.states() == [State.DELIVERED]


def test_a_renewal_that_fails_is_tried_again() -> None:
    """The lease has two thirds left when it is first asked for."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    bench.now += 5
    bench.flaky.is_down = True
    bench.worker.step()
    bench.flaky.is_down = False
    bench.now += 1
    bench.worker.step()
    bench.now += 9.5
    bench.worker.step()

    assert [fact.operation for fact in bench.seen.of(OutboxFailed)] == ["renew"]
    assert not bench.outbox.claim(worker="w2", limit=1, lease_seconds=15, endpoints={A: 1})


# --- sweeping ---------------------------------------------------------------------------------------


def test_rows_of_an_endpoint_that_is_gone_are_held_and_the_others_go_on() -> None:
    """Deleted while deliveries wait: kept, visible, with a reason."""
    bench = Bench()
    orphan, good = bench.add(1, endpoint=B), bench.add(2)

    bench.work()

    assert bench.row(good).state is State.DELIVERED
    assert bench.row(orphan).state is State.HELD
    assert bench.row(orphan).reason == "endpoint is not configured"


def test_what_waited_for_an_open_breaker_beyond_its_age_is_given_up() -> None:
    """Never claimed while the breaker is open, a row would else wait for ever."""
    policy = policy_of(threads=1, max_age_seconds=100.0, sweep_seconds=10.0)
    bench = Bench([404], max_fails=1, policy=policy)
    bench.add(0)
    bench.work()
    old, young = bench.add(1), None
    bench.breakers.apply("a", _forced_open(), now=bench.now)
    for _ in range(11):
        bench.now += 10
        if young is None and bench.now > NOW + 50:
            young = bench.add(2)
        bench.work()

    assert bench.row(old).state is State.DEAD
    assert bench.row(old).reason == "circuit open beyond the maximum age"
    assert young is not None
    assert bench.row(young).state is State.PENDING


def test_a_resend_older_than_the_maximum_age_waits_for_its_breaker_from_then() -> None:
    """A person sends last week's delivery again while the breaker is open: it is not given up at once."""
    policy = policy_of(threads=1, max_age_seconds=100.0, sweep_seconds=10.0)
    bench = Bench([404], max_fails=1, policy=policy)
    old = bench.add(0)
    bench.work()
    bench.now += 1_000
    bench.breakers.apply("a", _forced_open(), now=bench.now)
    bench.outbox.resend([old], reason="repaired")
    states = []
    for _ in range(12):
        bench.now += 10
        bench.work()
        states.append(bench.row(old).state)

    assert states[:9] == [State.PENDING] * 9
    assert states[-1] is State.DEAD


@pytest.mark.parametrize("death", ["crash", "resend"])
def test_a_receiver_that_marks_first_is_not_taken_for_one_that_rejects_signatures(death: str) -> None:
    """It has seen the id, whoever sends it now: that is for a person, and no evidence against the secret."""
    duplicate = Response(status=401, body=b"Duplicate webhook (replay detected)")
    bench = Bench([404, duplicate] if death == "resend" else [duplicate])
    webhook_id = bench.add(0)
    if death == "resend":
        bench.work()
        bench.outbox.resend([webhook_id], reason="repaired")
    else:
        bench.outbox.claim(worker="w0", limit=1, lease_seconds=15.0, endpoints={A: 1})
    bench.now += 15

    bench.work()

    last = bench.row(webhook_id).attempts[-1]
    assert (last.attempt, last.outcome) == (1, Outcome.DUPLICATE_UNCONFIRMED)
    assert bench.row(webhook_id).state is State.DEAD


def _forced_open() -> object:
    from webhooks_core.breaker import Force, ForcedMode

    return Force(mode=ForcedMode.FORCED_OPEN, actor="a", reason="r", until=NOW + 9_999)


def test_says_how_many_rows_of_another_environment_it_leaves_alone() -> None:
    """At its first sweep, and at every one."""
    bench = Bench()
    there = MemoryOutbox(rows=bench.rows, environment="production", clock=lambda: bench.now)
    bench.add(1)
    there.add(replace(bench.outbox.rows()[0].delivery, webhook_id="elsewhere"))

    bench.work()

    assert bench.seen.of(ForeignRows) == [ForeignRows(worker="w1", environment="production", count=1)]
    assert there.rows()[0].state is State.PENDING


def test_says_that_its_clock_is_off_and_signs_nothing_when_it_is_far_off() -> None:
    """6 s: told. 30 s: told, and the row waits."""
    slightly, badly = Bench(), Bench()
    slightly.clock_ahead, badly.clock_ahead = -6.0, 30.0
    for bench in (slightly, badly):
        bench.add(1)
        bench.work()

    assert [round(fact.seconds) for fact in slightly.seen.of(ClockOff)] == [6]
    assert slightly.states() == [State.DELIVERED]
    assert [round(fact.seconds) for fact in badly.seen.of(ClockOff)] == [-30]
    assert badly.states() == [State.PENDING]
    assert badly.transport.sent == []
    assert badly.outbox.rows()[0].reason == "clock is -30 s off the store's"


def test_a_clock_that_is_set_during_an_attempt_does_not_move_the_retry() -> None:
    """The machine's clock jumps an hour ahead: attempt 2 is due two seconds later by the store's clock."""
    bench = Bench([503])
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    bench.clock_ahead = 3_600.0
    bench.transport._script = iter([503])
    settled = bench.worker.attempt(job)

    assert settled.after().due_at == pytest.approx(NOW + 2)


def test_a_sweep_whose_outbox_fails_is_no_end() -> None:
    """The next one is in its time."""
    bench = Bench()
    bench.flaky.is_down = True
    bench.worker.step()
    bench.flaky.is_down = False
    bench.now += 61
    bench.add(1, endpoint=B)
    bench.work()

    assert bench.states() == [State.HELD]


@pytest.mark.parametrize("failing", ["now", "ready_endpoints"])
def test_a_sweep_that_is_cut_short_claims_nothing(failing: str) -> None:
    """The store's clock, or its endpoints, could not be read: the next sweep is in its time."""
    bench = Bench()
    orphan = bench.add(1, endpoint=B)
    bench.flaky.applied = {failing}
    bench.work()
    cut_short = bench.row(orphan).state
    bench.flaky.applied = set()
    bench.now += 61
    bench.work()

    assert cut_short is State.PENDING
    assert bench.row(orphan).state is State.HELD


# --- rates, heartbeat, ends -------------------------------------------------------------------------


def test_a_rate_cap_spreads_rows_over_time() -> None:
    """Two a second, three at once: seven rows take two seconds."""
    bench = Bench(rate_of=lambda _: RatePolicy(per_second=2.0, burst=3.0))
    for number in range(7):
        bench.add(number)
    sent = []
    for _ in range(5):
        bench.work()
        sent.append(len(bench.transport.sent))
        bench.now += 0.5

    assert sent == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("failing", ["take", "give_back"])
def test_a_rate_store_that_is_away_is_waited_for_as_the_outbox_is(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker neither ends nor sends without leave; once the store is back, all goes on."""
    bench = Bench(rate_of=lambda name: RatePolicy(per_second=10.0, burst=10.0))
    webhook_id = bench.add(1)

    def broken(*_: object, **__: object) -> None:
        raise ConnectionError("no rates")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryRateStore, failing, broken)
        bench.turn()
        assert bench.worker.link.is_down
    bench.now += 1
    bench.work()

    assert bench.row(webhook_id).state is State.DELIVERED
    assert [fact.operation for fact in bench.seen.of(OutboxFailed)] == ["rates"]


@pytest.mark.parametrize("asked", ["take", "give_back"])
def test_a_rate_store_that_does_not_come_back_is_seen_by_the_watchdog(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the outbox's connection: what breaks that one for the outbox must do it here, too."""
    bench = Bench(rate_of=lambda name: RatePolicy(per_second=10.0, burst=10.0))
    bench.add(1)
    seen = []
    real = getattr(MemoryRateStore, asked)

    def looked_at(*arguments: object, **named: object) -> object:
        seen.append(bench.worker.link.call)
        return real(*arguments, **named)

    monkeypatch.setattr(MemoryRateStore, asked, looked_at)

    bench.turn()

    assert [call and call.operation for call in seen] == ["rates"]


def test_tokens_that_were_not_needed_are_given_back() -> None:
    """One row: the other two of the burst are there for the next ones at once."""
    bench = Bench(rate_of=lambda _: RatePolicy(per_second=0.001, burst=3.0))
    bench.add(1)
    bench.work()
    bench.add(2)
    bench.add(3)
    bench.worker.hint()
    bench.work()

    assert bench.states() == [State.DELIVERED] * 3


def test_tells_its_heartbeat_every_five_seconds() -> None:
    """Who, what about, how much in hand; one that fails counts as the outbox failing."""
    beats: list[WorkerStatus] = []
    bench = Bench(heartbeat=beats.append)
    for _ in range(12):
        bench.work()
        bench.now += 1

    quiet = Bench()
    quiet.work()

    assert beats[0] == WorkerStatus(worker="w1", phase=Phase.RUNNING, held=0, unsettled=0)
    assert len(beats) == 3


def test_drains_what_is_under_way_and_gives_back_the_rest() -> None:
    """One attempt runs, three rows are queued: those anybody may take at once."""
    policy = policy_of(threads=1)
    bench = Bench(policy=policy)
    for number in range(4):
        bench.add(number)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    bench.worker.drain()
    bench.worker.drain()
    bench.worker.step()
    given_back = bench.outbox.claim(worker="w2", limit=9, lease_seconds=15, endpoints={A: 9})
    running = bench.worker.is_finished()
    bench.worker.came_back(job, bench.worker.attempt(job))
    bench.worker.step()

    assert len(given_back) == 3
    assert not running
    assert bench.worker.is_finished()
    assert bench.worker.left == 0
    assert bench.worker.hand_out() == []


def test_what_was_handed_out_and_not_begun_is_given_back_too() -> None:
    """A job that waits for a thread when the worker is asked to stop is not begun any more."""
    bench = Bench()
    webhook_id = bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.drain()
    begun = bench.worker.begin(job)
    bench.worker.came_back(job, None)
    bench.worker.step()

    assert not begun
    assert bench.row(webhook_id).state is State.PENDING
    assert bench.row(webhook_id).reason == "worker stops"
    assert bench.worker.is_finished()


def test_a_drain_ends_when_its_time_is_over() -> None:
    """An attempt that does not come back holds nobody up for longer than 20 s."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    (job,) = bench.worker.hand_out()
    bench.worker.begin(job)
    bench.worker.drain()
    bench.now += 19.9
    before = bench.worker.is_finished()
    bench.now += 0.1

    assert not before
    assert bench.worker.is_finished()
    assert bench.worker.left == 1


def test_a_worker_that_is_stopped_ends_at_once() -> None:
    """What is in hand is left to its lease."""
    bench = Bench()
    bench.add(1)
    bench.worker.step()
    bench.worker.stop()

    assert bench.worker.is_finished()
    assert bench.worker.step() == float("inf")
    assert bench.states() == [State.CLAIMED]


def test_is_idle_when_nothing_is_in_hand_and_nothing_is_due() -> None:
    """Not before the first claim, not with work in hand, not while the outbox is away."""
    bench = Bench()
    bench.add(1)
    fresh = bench.worker.is_idle
    bench.worker.step()
    busy = bench.worker.is_idle
    bench.work()
    done = bench.worker.is_idle
    bench.flaky.is_down = True
    bench.now += 5
    bench.worker.step()

    assert (fresh, busy, done, bench.worker.is_idle) == (False, False, True, False)


def test_is_not_idle_while_a_rate_keeps_back_what_is_due() -> None:
    """Whoever works until nothing is due (`--once`, a Celery task) stays for it."""
    bench = Bench(rate_of=lambda _: RatePolicy(per_second=1.0))
    bench.add(1)
    bench.add(2)
    bench.work()
    kept_back = bench.worker.is_idle
    bench.now += 1
    bench.work()

    assert (kept_back, bench.worker.is_idle) == (False, True)
    assert bench.states() == [State.DELIVERED] * 2


def test_room_that_comes_free_is_claimed_for_at_once() -> None:
    """Of two endpoints one may hold two and a batch of one; when one comes back the next is claimed."""
    policy = policy_of(ahead=8, batch=1, poll_seconds=600.0)
    bench = Bench(endpoints="ab", policy=policy)
    for number in range(9):
        bench.add(number)

    bench.work(turns=60)

    assert bench.states() == [State.DELIVERED] * 9


def test_a_store_clock_that_is_set_back_does_not_make_the_worker_spin() -> None:
    """It believes that a row is due, the store does not: asked for its clock, it says when."""
    bench = Bench([503], policy=policy_of(poll_seconds=600.0))
    bench.add(1)
    bench.work()
    ahead = [0.0]
    bench.outbox._clock = lambda: bench.now + ahead[0]
    ahead[0] = -30.0
    bench.now += 2
    bench.work()

    assert bench.worker.step() == pytest.approx(bench.monotonic() + 30.0)
