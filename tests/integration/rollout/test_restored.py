"""A database put back from a backup: senders wait, a person's commands know of it, and one word ends it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from django.db import connections

from rollout.actor import Actor
from rollout.commands import RollBack
from rollout.django import driving, wiring
from rollout.django.pulse import BACK_SECONDS, LEASE_SECONDS, Pulse
from tests.integration.rollout.commands import run

pytestmark = [pytest.mark.network]
ANNA = Actor(name="user:17", authenticated=True)
TABLES = ("rollout_rollout", "rollout_sender", "rollout_journalentry", "rollout_configuration")
Kept: TypeAlias = dict[str, tuple[list[str], list[Any]]]


def backup(alias: str) -> Kept:
    """Every row of the rollout, its senders and its journal, and of the flags."""
    found: Kept = {}
    with connections[alias].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table}")
            found[table] = ([column[0] for column in cursor.description], cursor.fetchall())
    return found


def restore(alias: str, kept: Kept) -> None:
    """Put them back as they were."""
    with connections[alias].cursor() as cursor:
        for table, (columns, rows) in kept.items():
            cursor.execute(f"DELETE FROM {table}")
            marks = ", ".join(["%s"] * len(columns))
            into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            cursor.executemany(into, rows)


def test_a_person_accepts_what_a_sender_has_seen_go_back(under_way: dict[str, Any]) -> None:
    """Under a kept epoch nobody's command goes up, and nobody waits any more once it is accepted."""
    wiring.built().poll._refresh_seconds = 0.0  # type: ignore[union-attr]  # no waiting for the next look
    alias, later = driving.store().database.alias, [0.0]
    pulse = Pulse(monotonic=lambda: time.monotonic() + later[0])
    pulse.beat("w1")
    before = backup(alias)
    driving.runner().obey(RollBack(by=ANNA, reason="of this the backup knows nothing"))
    pulse.beat("w1")
    restore(alias, before)

    pulse.beat("w1")
    paused, _ = run("pause")
    waits = not wiring.built().poll.is_confirmed()  # type: ignore[union-attr]
    accepted, said = run("accept-store", "--reason", "restored on purpose")

    assert (paused, waits) == (2, True)
    assert accepted == 0, said
    assert wiring.built().poll.is_confirmed()  # type: ignore[union-attr]


def test_a_backup_of_the_same_epoch_is_accepted_too(under_way: dict[str, Any]) -> None:
    """Only the version went back, which no heartbeat tells: senders wait for it until a person accepts."""
    poll, store = wiring.built().poll, driving.store()
    assert poll is not None
    poll._refresh_seconds = 0.0  # no waiting for the next look
    before = backup(store.database.alias)
    state = store.load(driving.driving().flag)
    store.swap(replace(state, version=state.version + 1), expected_version=state.version)  # as a tick does
    seen = poll.is_confirmed()
    restore(store.database.alias, before)

    waits = not poll.is_confirmed()
    accepted, said = run("accept-store", "--reason", "restored on purpose")

    assert (seen, waits) == (True, True)
    assert accepted == 0, said
    assert poll.is_confirmed()


def test_a_sender_that_waits_for_a_store_gone_back_is_not_taken_for_alive(under_way: dict[str, Any]) -> None:
    """It sends nothing, so that a rollback need not wait for it: it tells what it saw at once, and rarely."""
    wiring.built().poll._refresh_seconds = 0.0  # type: ignore[union-attr]  # no waiting for the next look
    store, later = driving.store(), [0.0]
    pulse = Pulse(monotonic=lambda: time.monotonic() + later[0])
    pulse.beat("w1")
    before = backup(store.database.alias)
    driving.runner().obey(RollBack(by=ANNA, reason="of this the backup knows nothing"))
    pulse.beat("w1")
    restore(store.database.alias, before)
    later[0] = 0.1
    pulse.beat("w1")
    (told,) = store.senders(driving.driving().flag)

    later[0] = BACK_SECONDS / 2
    pulse.beat("w1")
    (meanwhile,) = store.senders(driving.driving().flag)
    later[0] = BACK_SECONDS + 0.1
    pulse.beat("w1")
    (again,) = store.senders(driving.driving().flag)

    assert (told.seen_version, told.lease_seconds) == (2, 0.0)
    assert (told.is_alive(now=store.now() + 0.001), pulse.beats()) == (False, False)
    assert meanwhile == told
    assert again.seen_at > told.seen_at


def test_a_store_that_comes_back_and_goes_back_again_is_told_each_time_at_once(
    under_way: dict[str, Any],
) -> None:
    """Within a second of the last heartbeat, and within ten of the last word that it went back."""
    wiring.built().poll._refresh_seconds = 0.0  # type: ignore[union-attr]  # no waiting for the next look
    store, flag, began = driving.store(), driving.driving().flag, time.monotonic()
    pulse = Pulse(monotonic=lambda: began)  # all of it at one moment
    wiring.built().poll._monotonic = lambda: began  # type: ignore[union-attr]
    pulse.beat("w1")
    before = backup(store.database.alias)
    driving.runner().obey(RollBack(by=ANNA, reason="of this the backup knows nothing"))
    pulse.beat("w1")
    whole = backup(store.database.alias)
    seen = []
    for kept in (before, whole, before):
        restore(store.database.alias, kept)
        (kept_row,) = store.senders(flag)
        pulse.beat("w1")
        (told,) = store.senders(flag)
        seen.append((told.seen_version, told.lease_seconds, pulse.beats(), told.seen_at > kept_row.seen_at))

    assert seen == [(2, 0.0, False, True), (0, LEASE_SECONDS, True, True), (2, 0.0, False, True)]
