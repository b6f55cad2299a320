"""What a sender's look asks of a real database: each flag's own journal, and its own environment's rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from rollout.actor import Actor
from rollout.commands import AcceptStore, Pause, Resume, Spoken, Start
from rollout.controller import step
from rollout.django.own_connection import OwnConnection
from rollout.django.polling import DatabasePoll
from rollout.django.store import DjangoRolloutStore
from rollout.flags import FlagKey
from rollout.plan import Plan
from rollout.situation import Situation
from webhooks_core.django.outbox.database import Database

pytestmark = [pytest.mark.network]
FLAG, OTHER = FlagKey("tournament-webhooks"), FlagKey("other")
ANNA = Actor(name="user:17", authenticated=True)


@pytest.fixture
def store(database: Database) -> DjangoRolloutStore:
    """Where this environment's rollouts are kept: both are under way, and one was paused."""
    found = DjangoRolloutStore(database, environment="test")
    give(found, FLAG, Start(by=ANNA, confirm=True))
    give(found, OTHER, Start(by=ANNA, confirm=True), Pause(by=ANNA))
    return found


@pytest.fixture
def staging(database: Database) -> DjangoRolloutStore:
    """The same flag in another environment of the same database."""
    found = DjangoRolloutStore(database, environment="staging")
    give(found, FLAG, Start(by=ANNA, confirm=True))
    return found


@pytest.fixture
def poll(alias: str, store: DjangoRolloutStore) -> Iterator[DatabasePoll]:
    """A sender of this environment, which has read everything."""
    own = OwnConnection(alias, timeout_seconds=2.0)
    found = DatabasePoll(own, environment=store.environment, refresh_seconds=0)
    found.look(strictly=True)
    yield found
    found.close()


def give(store: DjangoRolloutStore, flag: FlagKey, *commands: Spoken) -> None:
    """Have persons' commands followed."""
    for command in commands:
        state = store.load(flag)
        senders = tuple(store.senders(flag))
        made = step(state, command, Situation(now=store.now(), plan=Plan(flag=flag), senders=senders))
        store.swap(made.state, made.entry, expected_version=state.version)


def in_sql(alias: str, statement: str, *parameters: object) -> None:
    """What no code of ours does."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)


def test_each_flag_is_read_with_the_last_entry_of_its_own_journal(
    poll: DatabasePoll, store: DjangoRolloutStore, staging: DjangoRolloutStore
) -> None:
    """Two flags, as many journals, of different lengths, a longer one elsewhere; each goes on by itself."""
    give(staging, FLAG, Pause(by=ANNA), Resume(by=ANNA), Pause(by=ANNA), Resume(by=ANNA))
    first = {flag: (each.head, each.entry) for flag, each in poll.look().controls.items()}
    wanted = {flag: (store.load(flag).head, store.load(flag).version) for flag in (FLAG, OTHER)}
    give(store, OTHER, Resume(by=ANNA), Pause(by=ANNA))
    give(store, FLAG, Pause(by=ANNA))

    later = poll.look(strictly=True)

    assert first == wanted
    assert (poll.is_confirmed(), later.problem) == (True, "")
    assert {flag: each.entry for flag, each in later.controls.items()} == {FLAG: 2, OTHER: 4}


def test_the_flag_whose_decision_is_lacking_is_named_and_no_other(
    poll: DatabasePoll, store: DjangoRolloutStore, alias: str
) -> None:
    """Both have gone on; one of them past another entry than the one that was obeyed."""
    give(store, FLAG, Pause(by=ANNA))
    give(store, OTHER, Resume(by=ANNA))
    in_sql(alias, "UPDATE rollout_journalentry SET hash = 'x' WHERE flag = %s AND version = 2", OTHER)

    problem = poll.look(strictly=True).problem

    assert problem == "store went back: other from version 2 to another 3"


def test_another_environments_sender_that_waits_keeps_nobody_waiting_here(
    poll: DatabasePoll, staging: DjangoRolloutStore, alias: str
) -> None:
    """It has seen more of its own store."""
    staging.beat("w1", {FLAG: 1}, lease_seconds=0.0, seen={FLAG: 9})
    own = OwnConnection(alias, timeout_seconds=2.0)
    theirs = DatabasePoll(own, environment=staging.environment, refresh_seconds=0)

    confirmed = (poll.is_confirmed(), theirs.is_confirmed())

    own.close()
    assert confirmed == (True, False)


def test_another_environments_journal_and_a_persons_word_there_count_nothing_here(
    poll: DatabasePoll, store: DjangoRolloutStore, staging: DjangoRolloutStore, alias: str
) -> None:
    """The entry that was obeyed is in staging's journal only; there a person has accepted, too."""
    give(store, FLAG, Pause(by=ANNA))
    before = poll.is_confirmed()
    moved = "UPDATE rollout_journalentry SET environment = %s"
    whose = " WHERE environment = %s AND version = 2 AND flag = %s"
    in_sql(alias, moved + whose, staging.environment, store.environment, FLAG)
    staging.beat("w1", {FLAG: 1}, lease_seconds=0.0, seen={FLAG: 1_000})
    give(staging, FLAG, AcceptStore(by=ANNA, reason="staging was restored"))

    after = poll.is_confirmed()

    assert staging.load(FLAG).version > 1_000
    assert (before, after) == (True, False)
    assert poll.look().problem == "store went back: tournament-webhooks from version 2 to another 2"


@pytest.mark.parametrize("migrated", ["sqlite"], indirect=True)
def test_what_was_obeyed_is_found_by_the_journals_unique_index(
    poll: DatabasePoll, store: DjangoRolloutStore, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a journal is, and four times a second while a sender waits."""
    plain, plans = OwnConnection.read, []

    def explained(self: OwnConnection, sql: str, parameters: list[str], **options: float) -> object:
        if "hash = " in sql:
            plans.extend(row[-1] for row in plain(self, f"EXPLAIN QUERY PLAN {sql}", parameters))
        return plain(self, sql, parameters, **options)

    monkeypatch.setattr(OwnConnection, "read", explained)
    for flag in (FLAG, OTHER):
        give(store, flag, Pause(by=ANNA) if flag == FLAG else Resume(by=ANNA))
    poll.look(strictly=True)

    searches = [plan for plan in plans if plan and plan.startswith("SEARCH")]
    assert len(searches) == 2
    assert all("(environment=? AND flag=? AND version=?)" in plan for plan in searches)
