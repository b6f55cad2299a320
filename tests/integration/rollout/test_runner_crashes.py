"""A crash of the runner at every arrow of the controller's table, over a database."""

from __future__ import annotations

import time

import pytest

from rollout.django.store import TABLE, DjangoRolloutStore
from tests.integration.rollout.staged import ONCE
from tests.unit.rollout.runner_arrows import ARROWS, Arrow, check_deaths
from tests.unit.rollout.runner_world import World
from webhooks_core.django.outbox.database import Database

pytestmark = [pytest.mark.network, pytest.mark.slow]


@ONCE
@pytest.mark.parametrize("arrow", ARROWS, ids=str)
def test_a_crash_on_any_arrow_ends_where_the_arrow_leads(migrated: str, arrow: Arrow) -> None:
    """State, journal, fence and heartbeats are rows: whoever comes next finds them whole."""
    worlds = 0

    def make() -> World:
        nonlocal worlds
        world, worlds = World(), worlds + 1
        database = Database(
            migrated, clock=world.clock, machine_clock=world.clock, monotonic=time.monotonic, table=TABLE
        )
        # An environment of its own instead of emptied tables: a database keeps them apart.
        store = DjangoRolloutStore(database, environment=f"{arrow}-{worlds}")
        world.store = store  # type: ignore[assignment]
        return world

    deaths = check_deaths(arrow, make=make)

    assert deaths == worlds - 1
