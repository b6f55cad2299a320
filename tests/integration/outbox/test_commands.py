"""`manage.py webhooks` list, show, resend, recover, release, drop, sweep and prune, in this process."""

from __future__ import annotations

import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections, transaction
from django.test import override_settings

from tests.integration.django.project import project
from tests.integration.outbox.conftest import ON_POSTGRES, World
from webhooks_core.django import working
from webhooks_core.django.models import WorkerBeat
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.outbox.base import Claimed, Settled
from webhooks_core.outcome import Outcome
from webhooks_core.retry import DeadLetter
from webhooks_core.settlement import AttemptRecord, DeadLettered, Delivered, Delivery, Held
from webhooks_core.worker import WorkerStatus
from webhooks_core.worker.plan import Phase

Command = Callable[..., tuple[int, dict[str, Any]]]
pytestmark = pytest.mark.network


@pytest.fixture
def command(world: World) -> Iterator[Command]:
    """Run a command with `--json`; its exit code and its answer."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        out = StringIO()
        try:
            call_command("webhooks", *arguments, "--json", stdout=out, stderr=StringIO())
        except SystemExit as end:
            return int(str(end.code)), json.loads(out.getvalue())
        return 0, json.loads(out.getvalue())

    with override_settings(**project(WEBHOOKS={"ENGINE": "worker", "DATABASE": world.alias})):
        yield run


def claimed(outbox: DjangoOutbox) -> list[Claimed]:
    """Everything that can be claimed."""
    name = Delivery(webhook_id="x", event="e", body=b"", created_at=0).endpoint_id
    return list(outbox.claim(worker="w1", limit=100, lease_seconds=15, endpoints={name: 100}))


def record(outcome: Outcome) -> AttemptRecord:
    """One attempt."""
    return AttemptRecord(attempt=1, outcome=outcome, started_at=time.time(), elapsed_seconds=0.25, status=500)


def dead(world: World, count: int) -> list[str]:
    """Rows that were given up."""
    world.add(count)
    claims = claimed(world.outbox)
    settlements = [
        DeadLettered(
            delivery=each.delivery,
            outcome=Outcome.SERVER_ERROR,
            decision=DeadLetter(reason="attempts used up"),
            record=record(Outcome.SERVER_ERROR),
        )
        for each in claims
    ]
    world.outbox.settle([Settled(claimed=c, settlement=s) for c, s in zip(claims, settlements, strict=True)])
    return [each.delivery.webhook_id for each in claims]


def held(world: World, count: int) -> list[str]:
    """Rows that the gate stopped."""
    world.add(count)
    claims = claimed(world.outbox)
    world.outbox.settle(
        [Settled(claimed=c, settlement=Held(delivery=c.delivery, reason="ceiling 0")) for c in claims]
    )
    return [each.delivery.webhook_id for each in claims]


def delivered(world: World, count: int) -> list[str]:
    """Rows that arrived."""
    world.add(count)
    claims = claimed(world.outbox)
    world.outbox.settle(
        [
            Settled(
                claimed=c,
                settlement=Delivered(
                    delivery=c.delivery,
                    record=record(Outcome.SUCCESS),
                    latency_seconds=0.1,
                    elapsed_seconds=0.1,
                ),
            )
            for c in claims
        ]
    )
    return [each.delivery.webhook_id for each in claims]


def aged(world: World, ids: list[str], seconds: float) -> None:
    """Let rows be older than they are."""
    with world.outbox.database.transaction() as cursor:
        marks = ", ".join(["%s"] * len(ids))
        cursor.execute(
            "UPDATE webhooks_delivery SET created_at = created_at - %s, changed_at = changed_at - %s"
            f" WHERE webhook_id IN ({marks})",
            [seconds, seconds, *ids],
        )
        cursor.execute(
            "UPDATE webhooks_attempt SET started_at = started_at - %s WHERE delivery_id IN"
            f" (SELECT id FROM webhooks_delivery WHERE webhook_id IN ({marks}))",
            [seconds, *ids],
        )


def state(world: World, webhook_id: str) -> str:
    """The state of one row."""
    row = world.outbox.find(webhook_id)
    assert row is not None
    return row.state


def test_list_tells_rows_counts_and_environments(world: World, command: Command) -> None:
    """Newest last, filtered, without a body."""
    gone = dead(world, 2)
    world.add(3)
    there = DjangoOutbox(environment="staging", using=world.alias)
    there.add(Delivery(webhook_id="elsewhere", event="e", body=b"{}", created_at=time.time()))

    code, answer = command("list", "--state", "dead", "--limit", "1")

    assert code == 0
    assert [row["webhook_id"] for row in answer["deliveries"]] == gone[1:]
    assert answer["counts"] == {"dead": 2, "pending": 3}
    assert answer["foreign"] == {"staging": 1}
    assert "body" not in answer["deliveries"][0]
    assert answer["deliveries"][0]["changed_at"].endswith("Z")


def test_list_says_how_long_ago_a_worker_was_seen(world: World, command: Command) -> None:
    """One that has just ended is listed for a while."""
    command("worker", "--once", "--name", "w1")
    out = StringIO()

    call_command("webhooks", "list", stdout=out)

    assert re.search(r"^Workers: w1 \([0-9]+ s ago\)$", out.getvalue(), re.MULTILINE)


def test_show_tells_every_attempt_and_what_comes_next(world: World, command: Command) -> None:
    """When, outcome, status, latency."""
    (gone,) = dead(world, 1)

    code, answer = command("show", gone)

    assert code == 0
    (attempt,) = answer["attempts"]
    assert (attempt["outcome"], attempt["status"], attempt["latency_ms"]) == ("server_error", 500, 250)
    assert answer["next"] == "next: a person sends it again"
    assert answer["reason"] == "attempts used up"


def test_an_id_that_does_not_exist_is_told_and_nothing_moves(world: World, command: Command) -> None:
    """Exit code 3, for `show` as for `resend`."""
    (gone,) = dead(world, 1)

    assert command("show", "nope")[0] == 3
    assert command("resend", gone, "nope", "--reason", "r", "--yes")[0] == 3
    assert state(world, gone) == "dead"


def test_show_says_where_else_an_id_is(world: World, command: Command) -> None:
    """A worker of another environment leaves it alone; so does `show`, which names that environment."""
    there = DjangoOutbox(environment="staging", using=world.alias)
    there.add(Delivery(webhook_id="elsewhere", event="e", body=b"{}", created_at=time.time()))

    code, answer = command("show", "elsewhere")

    assert (code, answer["error"]) == (3, "there is no delivery elsewhere here: it is of environment staging")


def test_resend_moves_one_and_asks_for_yes_for_more(world: World, command: Command) -> None:
    """--dry-run counts; more than one needs --yes."""
    ids = dead(world, 3)

    assert command("resend", ids[0], "--reason", "repaired")[1]["moved"] == 1
    assert command("resend", *ids[1:], "--reason", "repaired")[0] == 2
    assert command("resend", *ids[1:], "--reason", "repaired", "--dry-run")[1]["found"] == 2
    assert state(world, ids[1]) == "dead"
    assert command("resend", *ids[1:], "--reason", "repaired", "--yes")[1]["moved"] == 2
    assert command("resend", ids[0], "--reason", "again")[0] == 1


def test_what_may_repeat_is_left_unless_said(world: World, command: Command) -> None:
    """Dead after a 5xx eight days ago: the receiver may have acted, and has forgotten the id."""
    ids = dead(world, 2)
    aged(world, ids[:1], 8 * 86_400)

    code, answer = command("recover", "--since", "30d", "--reason", "r", "--yes")
    again = command("resend", ids[0], "--reason", "r", "--may-repeat")[1]

    assert code == 0
    assert (answer["moved"], answer["left"]) == (1, {"may_repeat": 1})
    assert again["moved"] == 1


def test_recover_takes_what_died_since_then(world: World, command: Command) -> None:
    """Older ones stay dead; a moment in the future is refused."""
    old, young = dead(world, 1), dead(world, 2)
    aged(world, old, 7_200)

    assert command("recover", "--since", "1h", "--reason", "r", "--dry-run")[1]["found"] == 2
    assert command("recover", "--since", "1h", "--reason", "r", "--yes")[1]["moved"] == 2
    assert state(world, old[0]) == "dead"
    assert state(world, young[0]) == "pending"
    code, answer = command("recover", "--since", "2999-01-01", "--reason", "r")
    assert (code, answer["error"]) == (2, "2999-01-01 is in the future")
    assert command("recover", "--since", "soon", "--reason", "r")[0] == 2


def test_release_spreads_over_time_and_leaves_what_is_too_old(world: World, command: Command) -> None:
    """Two a second: the first at once, the others later; what is older than a day stays held."""
    ids = held(world, 4)
    aged(world, ids[:1], 2 * 86_400)

    code, answer = command("release", "--all", "--reason", "on again", "--rate", "2", "--yes")

    assert code == 0
    assert (answer["moved"], answer["left"]) == (3, {"too_old": 1})
    assert state(world, ids[0]) == "held"
    assert len(claimed(world.outbox)) == 1
    assert world.outbox.next_due() is not None


def test_release_counts_the_age_of_what_a_person_put_back_from_then(world: World, command: Command) -> None:
    """Sent again today and held once more, last week's delivery is young."""
    (webhook_id,) = dead(world, 1)
    aged(world, [webhook_id], 6 * 86_400)
    world.outbox.resend([webhook_id], reason="repaired")
    world.outbox.hold([webhook_id], reason="wait")

    code, answer = command("release", "--all", "--reason", "on again")

    assert (code, answer["moved"], answer["left"]) == (0, 1, {})


def test_drop_gives_up_and_needs_a_choice(world: World, command: Command) -> None:
    """Ids or --all, never both and never neither; what is dropped stays visible."""
    ids = held(world, 2)
    pending = world.add(1)

    assert command("drop", "--reason", "r")[0] == 2
    assert command("drop", ids[0], "--all", "--reason", "r")[0] == 2
    assert command("drop", "--all", "--reason", "r", "--yes")[1]["moved"] == 2
    assert state(world, pending[0]) == "pending"
    assert command("drop", pending[0], "--reason", "r")[1]["moved"] == 1
    assert command("list", "--state", "dropped")[1]["counts"] == {"dropped": 3}


def test_a_command_that_changes_needs_a_reason(world: World, command: Command) -> None:
    """It stays with the rows."""
    (gone,) = dead(world, 1)

    with pytest.raises(CommandError):
        command("resend", gone)
    command("resend", gone, "--reason", "receiver repaired")

    assert command("show", gone)[1]["reason"] == "receiver repaired"


def test_sweep_wakes_what_is_parked_for_nothing(world: World, command: Command) -> None:
    """A row of a key that nobody would look at again."""
    (webhook_id,) = world.add(1, ordering_key="k")
    with world.outbox.database.transaction() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET due_at = NULL")
    stuck = claimed(world.outbox)

    code, answer = command("sweep")

    assert (code, answer["woken"], answer["ready"]) == (0, 1, ["default"])
    assert not stuck
    assert [each.delivery.webhook_id for each in claimed(world.outbox)] == [webhook_id]


def test_prune_removes_in_portions_what_has_ended_well(world: World, command: Command) -> None:
    """Attempts go with their deliveries; dead ones and young ones stay."""
    old, young, gone = delivered(world, 5), delivered(world, 1), dead(world, 1)
    aged(world, [*old, *gone], 31 * 86_400)

    assert command("prune")[0] == 2
    assert command("prune", "--dry-run")[1]["found"] == 5
    assert command("prune", "--batch", "2", "--yes")[1]["removed"] == 5
    assert [world.outbox.find(webhook_id) for webhook_id in old] == [None] * 5
    assert state(world, young[0]) == "delivered"
    assert state(world, gone[0]) == "dead"
    with world.outbox.database.reading() as cursor:
        cursor.execute("SELECT count(*) FROM webhooks_attempt")
        assert cursor.fetchone()[0] == 2
    assert command("prune", "--dead", "--yes")[1]["removed"] == 1


@ON_POSTGRES
def test_prune_leaves_what_a_person_sends_again_meanwhile(world: World, command: Command) -> None:
    """Dead when it was found, pending when its turn to be removed came: it stays."""
    (gone,) = dead(world, 1)
    aged(world, [gone], 31 * 86_400)
    begun, committed = threading.Event(), threading.Event()

    def resend() -> None:
        with transaction.atomic(using=world.alias), world.outbox.database.transaction():
            world.outbox.resend([gone], reason="needed after all")
            begun.set()
            committed.wait(2)  # prune reads meanwhile; one that waits for this row gets it afterwards
        connections[world.alias].close()

    person = threading.Thread(target=resend)
    person.start()
    begun.wait(10)
    code, answer = command("prune", "--dead", "--yes")
    committed.set()
    person.join(10)

    assert (code, answer["removed"]) == (0, 0)
    assert state(world, gone) == "pending"


def test_what_ever_met_an_unknown_end_may_repeat(world: World, command: Command) -> None:
    """A time-out, then a 400: the receiver may have acted on the first; the last outcome does not decide."""
    ids = dead(world, 2)
    with world.outbox.database.transaction() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET last_outcome = 'client_error', last_status = 400")
        cursor.execute(
            "UPDATE webhooks_attempt SET outcome = 'connection_error' WHERE delivery_id IN"
            " (SELECT id FROM webhooks_delivery WHERE webhook_id = %s)",
            [ids[0]],
        )
        cursor.execute(
            "UPDATE webhooks_attempt SET outcome = 'client_error' WHERE delivery_id IN"
            " (SELECT id FROM webhooks_delivery WHERE webhook_id = %s)",
            [ids[1]],
        )
    aged(world, ids, 8 * 86_400)

    _, answer = command("recover", "--since", "30d", "--reason", "r", "--yes")

    assert (answer["moved"], answer["left"]) == (1, {"may_repeat": 1})
    assert (state(world, ids[0]), state(world, ids[1])) == ("dead", "pending")


def test_what_a_worker_died_with_may_repeat(world: World, command: Command) -> None:
    """Nobody knows whether it was sent, whatever came after."""
    (webhook_id,) = dead(world, 1)
    with world.outbox.database.transaction() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET last_outcome = 'client_error', sent_before = %s", [True])
        cursor.execute("UPDATE webhooks_attempt SET outcome = 'client_error'")
    aged(world, [webhook_id], 8 * 86_400)

    assert command("resend", webhook_id, "--reason", "r")[1]["left"] == {"may_repeat": 1}
    assert state(world, webhook_id) == "dead"


def test_a_release_of_what_may_repeat_says_so(world: World, command: Command) -> None:
    """Timed out, held for eight days: with a longer --max-age it is left unless --may-repeat is said."""
    ids = dead(world, 1)
    aged(world, ids, 8 * 86_400)
    with world.outbox.database.transaction() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET state = 'held'")

    left = command("release", "--all", "--reason", "r", "--max-age", "30d")[1]
    gone = command("release", "--all", "--reason", "r", "--max-age", "30d", "--may-repeat")[1]

    assert (left["moved"], left["left"]) == (0, {"may_repeat": 1})
    assert gone["moved"] == 1


def test_a_named_one_in_another_state_is_counted(world: World, command: Command) -> None:
    """Of two named ones one is pending: it is not passed over in silence, and alone it is no success."""
    (gone,) = dead(world, 1)
    (pending,) = world.add(1)

    both = command("resend", gone, pending, "--reason", "r", "--yes")
    alone = command("release", pending, "--reason", "r")

    assert (both[0], both[1]["moved"], both[1]["left"]) == (0, 1, {"other_state": 1})
    assert (alone[0], alone[1]["left"]) == (1, {"other_state": 1})


@pytest.mark.parametrize("verb", ["list", "recover", "release", "drop"])
def test_an_endpoint_that_nobody_knows_is_told(verb: str, world: World, command: Command) -> None:
    """A slip of the finger must not pass for "none was dead". Exit code 3, with the known ones."""
    dead(world, 1)
    more = {"list": (), "recover": ("--since", "1h", "--reason", "r"), "release": ("--all", "--reason", "r")}
    arguments = more.get(verb, ("--all", "--reason", "r"))

    code, answer = command(verb, "--endpoint", "defualt", *arguments)

    assert (code, answer["error"]) == (3, 'there is no endpoint "defualt"; known are: default')
    assert command(verb, "--endpoint", "default", *arguments)[0] == 0


def test_numbers_that_make_no_sense_are_refused(world: World, command: Command) -> None:
    """With what is allowed."""
    with pytest.raises(CommandError, match="--rate: must be above 0, at most 100000"):
        command("release", "--all", "--reason", "r", "--rate", "0")

    assert command("list", "--limit", "-1")[0] == 2


def test_a_worker_needs_its_engine(world: World, command: Command) -> None:
    """Exit code 2 and the reason."""
    with override_settings(**project(WEBHOOKS={"ENGINE": "inline"})):
        code, answer = command("worker", "--once")

    assert code == 2
    assert "inline" in answer["error"]


def test_a_worker_of_a_host_without_a_name_tells_of_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its row as in its own name: an empty place would look like a row that was never filled."""
    monkeypatch.setattr(platform, "node", lambda: "")
    name = working.worker_name()

    working.Heart(world.outbox)(WorkerStatus(worker=name, phase=Phase.RUNNING, held=0, unsettled=0))

    row = WorkerBeat.objects.using(world.alias).get()
    assert (row.name, row.host) == (f"host:{os.getpid()}", "host")


def test_without_tables_a_command_says_so(command: Command, world: World) -> None:
    """Exit code 4, no traceback."""
    with world.outbox.database.transaction() as cursor:
        cursor.execute("ALTER TABLE webhooks_delivery RENAME TO gone")
    code, answer = command("list")

    assert code == 4
    assert "the database cannot be used" in answer["error"]
