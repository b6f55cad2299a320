"""Real worker processes, killed at random moments: no event is lost, and a guarded receiver acts once."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest

from tests.integration.outbox.conftest import World

pytestmark = [pytest.mark.network, pytest.mark.slow]
CYCLES = int(os.environ.get("OUTBOX_KILLS", "4"))
WORKER = ("worker", "--lease", "2", "--poll", "0.1", "--threads", "4")


def test_nothing_is_lost_and_nothing_happens_twice_when_workers_are_killed(world: World) -> None:
    """`kill -9` at a random moment, again and again; then one worker ends what is left."""
    chance = random.Random(20261121)
    ids: list[str] = []
    for _ in range(CYCLES):
        ids += world.add(80)
        worker = world.start(*WORKER)
        seen = world.receiver.requests
        _until(lambda seen=seen: world.receiver.requests > seen)
        time.sleep(chance.uniform(0.0, 0.15))
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    code, _, err = world.run("worker", "--drain", "--lease", "2", "--poll", "0.1")

    assert code == 0, err
    assert world.states() == {"delivered"}
    assert set(world.receiver.effects) == set(ids)
    assert set(world.receiver.effects.values()) == {1}


def test_the_order_of_a_key_survives_a_kill(world: World) -> None:
    """Twenty events of one key: whatever is killed, the receiver acts on them in their order."""
    ids = world.add(20, ordering_key="match:42")
    worker = world.start(*WORKER)
    _until(lambda: len(world.receiver.effects) >= 5)
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    code, _, err = world.run("worker", "--drain", "--lease", "2", "--poll", "0.1")

    assert code == 0, err
    assert list(world.receiver.effects) == ids
    assert set(world.receiver.effects.values()) == {1}


def test_sigterm_finishes_what_is_under_way_and_leaves_the_rest_to_others(world: World) -> None:
    """The first SIGTERM drains: exit code 0, nothing claimed is left behind, nothing is sent twice."""
    ids = world.add(400)
    worker = world.start(*WORKER)
    _until(lambda: world.receiver.requests > 10)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=30)

    assert worker.returncode == 0, err
    assert "claimed" not in world.states()
    assert world.run("worker", "--drain", "--poll", "0.1")[0] == 0
    assert world.receiver.requests == len(ids)


def test_a_drain_does_not_wait_for_what_waits_for_a_person(world: World) -> None:
    """A row behind a held one of its key goes nowhere by itself: the drain ends, and says so."""
    first, *later = world.add(3, ordering_key="match:42")
    world.outbox.hold([first], reason="to be looked at")

    code, out, err = world.run("worker", "--drain", "--json")

    assert code == 0, err
    assert json.loads(out)["behind_held"] == len(later)
    assert world.receiver.requests == 0


def test_sigterm_ends_a_drain_that_waits(world: World) -> None:
    """Also between two looks, when nothing is in hand: exit code 0, and the row waits on."""
    (webhook_id,) = world.add(1)
    with world.outbox.database.transaction() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET turn = NULL, due_at = %s", [time.time() + 600])
    worker = world.start("worker", "--drain")
    _until(lambda: json.loads(world.run("list", "--json")[1])["workers"])
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=30)

    assert (worker.returncode, err) == (0, "")
    assert "0 deliveries left in hand" in out
    row = world.outbox.find(webhook_id)
    assert row is not None
    assert row.state == "pending"


def test_two_workers_share_the_work(world: World) -> None:
    """Two processes at once: each event goes once, and both have a heartbeat."""
    ids = world.add(300)
    workers = [world.start("worker", "--once", "--poll", "0.1") for _ in range(2)]
    for worker in workers:
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err

    assert world.run("worker", "--drain")[0] == 0
    assert set(world.receiver.effects) == set(ids)
    assert world.receiver.requests == len(ids)
    code, out, _ = world.run("list", "--json")
    assert code == 0
    assert out.count('"seen_at"') >= 2


def _until(holds: object, *, seconds: float = 30.0) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)
