"""The receiver's effect and *done* commit together in the database's replay store, or neither does."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.db import connections

from tests.integration.django.project import SECRET
from tests.integration.outbox.conftest import World
from webhooks_core.django.stores.replay import DatabaseReplayStore
from webhooks_core.envelope import seal
from webhooks_core.errors import StoreUnavailable
from webhooks_core.keys import KeyRing
from webhooks_core.receiving import Receiver
from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign
from webhooks_core.stores.replay import Claim, EffectStore
from webhooks_core.verifier import Verified, Verifier

pytestmark = pytest.mark.network
NOW = 1_763_000_000.0
KEYS = KeyRing.of(SECRET)


class Clock:
    """A clock that the test moves."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def request(webhook_id: str, *, now: float = NOW) -> tuple[dict[str, str], bytes]:
    """One signed attempt."""
    body = seal("payment_verified", {"tournament_id": 1}, webhook_id=webhook_id).body
    headers = sign(
        body,
        event="payment_verified",
        webhook_id=webhook_id,
        keys=KEYS,
        scheme=Scheme.TIMESTAMPED,
        now=now,
        user_agent="test/1",
    )
    return headers, body


class Ledger:
    """The handler's effect: a row in a table of its own, in the same database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.then: Callable[[], None] = lambda: None
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE TABLE ledger (webhook_id varchar(64))")

    def __call__(self, verified: Verified) -> None:
        with connections[self.alias].cursor() as cursor:
            cursor.execute("INSERT INTO ledger VALUES (%s)", [verified.webhook_id])
        self.then()

    def count(self) -> int:
        with connections[self.alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ledger")
            return int(cursor.fetchone()[0])


def receiver(world: World, ledger: Ledger, clock: Clock) -> Receiver:
    """A receiver on the world's database."""
    store = DatabaseReplayStore(using=world.alias)
    assert isinstance(store, EffectStore)
    return Receiver(Verifier(KEYS), store, ledger, clock=clock)


def test_the_effect_happens_once_whatever_is_sent_again(world: World) -> None:
    """A second attempt with a new timestamp is a duplicate."""
    ledger, clock, webhook_id = Ledger(world.alias), Clock(), str(uuid.uuid4())
    receives = receiver(world, ledger, clock)
    first = receives.receive(*request(webhook_id))
    clock.now += 5
    second = receives.receive(*request(webhook_id, now=clock.now))

    assert (first.status, second.status) == (200, 200)
    assert b"duplicate" in second.body
    assert ledger.count() == 1


def test_a_handler_that_fails_after_its_effect_leaves_none(world: World) -> None:
    """Effect undone, claim given back: the next attempt acts."""
    ledger, clock, webhook_id = Ledger(world.alias), Clock(), str(uuid.uuid4())
    receives = receiver(world, ledger, clock)
    ledger.then = lambda: 1 / 0  # type: ignore[assignment,return-value]
    failed = receives.receive(*request(webhook_id))
    after_failure = ledger.count()
    ledger.then = lambda: None
    clock.now += 2
    again = receives.receive(*request(webhook_id, now=clock.now))

    assert failed.status == 500
    assert after_failure == 0
    assert again.status == 200
    assert ledger.count() == 1


def test_an_effect_whose_claim_was_lost_is_undone(world: World) -> None:
    """The handler took longer than its lease, and another attempt took over and acted: one effect."""
    ledger, clock, webhook_id = Ledger(world.alias), Clock(), str(uuid.uuid4())
    slow = DatabaseReplayStore(using=world.alias, lease_seconds=1)
    claim = slow.claim(webhook_id, None, now=NOW)
    clock.now += 2
    receiver(world, ledger, clock).receive(*request(webhook_id, now=clock.now))

    with (
        pytest.raises(StoreUnavailable, match="claim was lost"),
        slow.handling(claim, clock=clock),
        connections[world.alias].cursor() as cursor,
    ):
        cursor.execute("INSERT INTO ledger VALUES ('twice')")

    assert ledger.count() == 1


def test_a_process_that_dies_between_effect_and_done_has_done_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit at that very moment: the effect vanishes with the transaction."""
    ledger, clock, webhook_id = Ledger(world.alias), Clock(), str(uuid.uuid4())
    receives = receiver(world, ledger, clock)

    def die(self: DatabaseReplayStore, claim: Claim, *, now: float) -> bool:
        raise SystemExit(1)

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseReplayStore, "done", die)
        with pytest.raises(SystemExit):
            receives.receive(*request(webhook_id))
    died = ledger.count()
    clock.now += 20
    again = receives.receive(*request(webhook_id, now=clock.now))

    assert died == 0
    assert again.status == 200
    assert ledger.count() == 1


def test_what_counts_no_more_is_forgotten_in_portions(world: World) -> None:
    """Ids after the lease or a week, signatures after 330 s."""
    store = DatabaseReplayStore(using=world.alias)
    for number in range(5):
        claim = store.claim(str(uuid.uuid4()), f"{number:064x}", now=NOW)
        assert store.done(claim, now=NOW)

    assert store.forget(now=NOW + 329) == 0
    assert store.forget(now=NOW + 331, most=3) == 3
    assert store.forget(now=NOW + 331) == 2
    assert store.forget(now=NOW + 8 * 86_400) == 5
