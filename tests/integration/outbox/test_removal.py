"""Taking it all out, in the order of docs/how-to/remove-it.md: nothing that was queued is lost unseen."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from rollout.django import dispatch
from tests.integration.django.project import project
from tests.integration.outbox.conftest import World
from webhooks_core.django import wiring
from webhooks_core.testing.captured import real_delivery

pytestmark = [pytest.mark.network, pytest.mark.slow]

OURS = ("webhooks_", "rollout_")


def tables(world: World) -> set[str]:
    """The tables of the project."""
    return set(connections[world.alias].introspection.table_names())


def counts(world: World) -> dict[str, int]:
    """What `webhooks list` says is left, by state."""
    code, said, errors = world.run("list", "--json")
    assert code == 0, errors
    return dict(json.loads(said)["counts"])


def test_what_is_queued_is_sent_or_dropped_and_then_the_tables_go(world: World) -> None:
    """Drain, drop what stays, migrate to zero; what is not ours stays."""
    call_command("migrate", "rollout", database=world.alias, verbosity=0)
    with connections[world.alias].cursor() as cursor:
        cursor.execute("CREATE TABLE tournament (id integer)")
    sent, kept = world.add(3), world.add(1)
    world.outbox.hold(kept, reason="to be looked at")

    world.run("worker", "--drain")
    after_drain = counts(world)
    world.run("drop", "--all", "--reason", "removed", "--yes")
    after_drop = counts(world)
    for app in ("webhooks", "rollout"):
        call_command("migrate", app, "zero", database=world.alias, verbosity=0)

    assert (after_drain, after_drop) == ({"delivered": 3, "held": 1}, {"delivered": 3, "dropped": 1})
    assert world.receiver.effects == dict.fromkeys(sent, 1)
    assert "tournament" in tables(world)
    assert [name for name in tables(world) if name.startswith(OURS)] == []


def test_they_come_back_by_one_migrate(world: World) -> None:
    """The way back: empty tables, and everything works."""
    call_command("migrate", "webhooks", "zero", database=world.alias, verbosity=0)
    call_command("migrate", "webhooks", database=world.alias, verbosity=0)

    (webhook_id,) = world.add(1)
    world.run("worker", "--once")

    assert world.receiver.effects == {webhook_id: 1}


def test_whoever_still_records_while_the_tables_are_gone_is_not_disturbed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that was forgotten: its events are not recorded, and its log says why."""
    call_command("migrate", "webhooks", "zero", database=world.alias, verbosity=0)

    with override_settings(**project(WEBHOOKS={"DATABASE": world.alias})), real_delivery():
        sent = dispatch("payment_verified", {"tournament_id": 1}, tournament_id=1, using=world.alias)
    wiring.sending.forget()

    assert not sent
    assert "run: manage.py migrate webhooks" in caplog.text
