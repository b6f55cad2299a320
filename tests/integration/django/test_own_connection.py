"""Small reads on a connection of our own: in time, outside the caller's transaction, never stuck."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections, transaction
from pytest_django.plugin import DjangoDbBlocker

from rollout.django import own_connection
from rollout.django.own_connection import OwnConnection, Unreadable
from tests import databases
from tests.fault_proxy import fault_proxy
from webhooks_core.transport.ssrf import Resolver

pytestmark = pytest.mark.network


@pytest.fixture(scope="module", params=databases.KINDS)
def place(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """A database with a table `t` of one row, under an alias of its own."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        if request.param == "sqlite":
            settings = databases.sqlite(tmp_path_factory.mktemp("own") / "db.sqlite3")
            with databases.alias(name, settings):
                yield _filled(name)
        else:
            with databases.postgres_database(name), databases.alias(name, databases.postgres(name)):
                yield _filled(name)
                connections[name].close()


def _filled(name: str) -> str:
    with connections[name].cursor() as cursor:
        cursor.execute("CREATE TABLE t (id integer, word text, share double precision, empty_one text)")
        cursor.execute("INSERT INTO t VALUES (7, 'ü$1 %% s', 0.25, NULL)".replace("%%", "%"))
    return name


@pytest.fixture
def own(place: str) -> Iterator[OwnConnection]:
    """A connection of our own."""
    connection = OwnConnection(place, timeout_seconds=2.0)
    yield connection
    connection.close()


def test_every_value_comes_as_text_and_null_as_none(own: OwnConnection) -> None:
    """The same on both databases: whoever asks knows the types."""
    rows = own.read("SELECT id, word, share, empty_one FROM t WHERE id = %s AND share < %s", [7, 0.5])

    assert rows == [("7", "ü$1 % s", "0.25", None)]


def test_a_read_has_what_earlier_ones_have_left_of_its_time(own: OwnConnection) -> None:
    """Nothing is asked where nothing is left, and the connection stays as good as it was."""
    own.read("SELECT 1")
    line = own._slot().line

    with pytest.raises(Unreadable, match="TimeoutError"):
        own.read("SELECT 1", spent_seconds=2.0)

    assert own._slot().line is line
    assert own.read("SELECT 1", spent_seconds=1.0) == [("1",)]


def test_a_parameter_is_never_part_of_the_statement(own: OwnConnection) -> None:
    """Text that looks like SQL is text."""
    rows = own.read("SELECT id FROM t WHERE word = %s", ["x' OR '1'='1"])

    assert rows == []


def test_what_a_transaction_has_not_committed_is_not_seen_and_not_waited_for(
    own: OwnConnection, place: str
) -> None:
    """It is another connection: the caller's transaction goes on as if nobody had looked."""
    with pytest.raises(RuntimeError, match="roll back"), transaction.atomic(using=place):
        with connections[place].cursor() as cursor:
            cursor.execute("UPDATE t SET word = 'changed'")

        seen = own.read("SELECT word FROM t")
        raise RuntimeError("roll back")

    assert seen == own.read("SELECT word FROM t")


def test_a_refused_statement_is_unreadable_and_the_next_one_works(own: OwnConnection) -> None:
    """The message names a type: no statement, no value, no password."""
    with pytest.raises(Unreadable) as refused:
        own.read("SELECT secret FROM nowhere")

    assert "secret" not in str(refused.value)
    assert own.read("SELECT id FROM t") == [("7",)]


def test_it_may_be_read_inside_a_running_loop(own: OwnConnection) -> None:
    """Django's own connection raises SynchronousOnlyOperation there."""

    async def view() -> list[tuple[str | None, ...]]:
        return own.read("SELECT id FROM t")

    assert asyncio.run(view()) == [("7",)]


def test_threads_share_it_one_after_the_other(own: OwnConnection) -> None:
    """Eight threads, a hundred reads each: every answer is whole."""
    wrong: list[object] = []

    def look() -> None:
        for _ in range(100):
            rows = own.read("SELECT id, share FROM t")
            if rows != [("7", "0.25")]:
                wrong.append(rows)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_process_opens_one_of_its_own(own: OwnConnection) -> None:
    """The parent's line is not touched by the child."""
    own.read("SELECT 1")
    child = os.fork()
    if child == 0:
        ok = False
        try:
            ok = own.read("SELECT id FROM t") == [("7",)]
        finally:
            os._exit(0 if ok else 1)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert own.read("SELECT id FROM t") == [("7",)]


@pytest.mark.postgres
def test_a_server_that_says_empty_one_costs_no_more_than_the_time(django_db_blocker: DjangoDbBlocker) -> None:
    """A black hole on an open connection, then for a new one: 0.1 s each; then all is well again."""
    parts = databases.postgres("postgres")
    name = f"own_{uuid.uuid4().hex[:8]}"
    with (
        django_db_blocker.unblock(),
        fault_proxy(int(parts["PORT"])) as proxy,
        databases.alias(name, {**parts, "HOST": "127.0.0.1", "PORT": str(proxy.port)}),
    ):
        own = OwnConnection(name)
        warm = OwnConnection(name, timeout_seconds=5.0)
        warm.read("SELECT 1")
        own._slot().line = warm._slot().line
        proxy.silent = True
        took = []

        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(Unreadable, match="TimeoutError"):
                own.read("SELECT 1")
            took.append(time.monotonic() - begun)
        proxy.silent = False
        whole = OwnConnection(name, timeout_seconds=5.0)

        assert max(took) < 0.25  # 0.1 s each; the rest is for a busy machine
        assert whole.read("SELECT 1") == [("1",)]
        whole.close()
        own.close()


@pytest.mark.postgres
def test_a_port_where_nobody_listens_is_unreadable_at_once(django_db_blocker: DjangoDbBlocker) -> None:
    """The server is down: no wait."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    with (
        django_db_blocker.unblock(),
        databases.alias(name, {**databases.postgres("postgres"), "HOST": "127.0.0.1", "PORT": "1"}),
        pytest.raises(Unreadable, match="ConnectionError"),
    ):
        OwnConnection(name, timeout_seconds=5.0).read("SELECT 1")


@pytest.mark.postgres
def test_a_name_server_that_says_nothing_costs_no_more_than_the_time(
    django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host is a name, and nothing can interrupt its lookup: 0.1 s, as with a silent server."""
    let_go = threading.Event()
    resolver = Resolver(lambda _name, _port: [str(let_go.wait(30))])
    monkeypatch.setattr(own_connection, "_resolver", lambda: resolver)
    name = f"own_{uuid.uuid4().hex[:8]}"
    with (
        django_db_blocker.unblock(),
        databases.alias(name, {**databases.postgres("postgres"), "HOST": "database.example"}),
    ):
        begun = time.monotonic()

        with pytest.raises(Unreadable, match="TimedOut"):
            OwnConnection(name).read("SELECT 1")

        took = time.monotonic() - begun
    let_go.set()
    resolver.close()
    assert took < 0.25  # 0.1 s; the rest is for a busy machine


@pytest.mark.postgres
@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::ffff:127.9.9.9", "127.0.0.1"]], ids=["one", "two"])
def test_a_name_leads_to_whichever_of_its_addresses_answers(
    django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """The name itself stays with the connection, for its certificate."""
    resolver = Resolver(lambda _name, _port: addresses)
    monkeypatch.setattr(own_connection, "_resolver", lambda: resolver)
    name = f"own_{uuid.uuid4().hex[:8]}"
    with (
        django_db_blocker.unblock(),
        databases.alias(name, {**databases.postgres("postgres"), "HOST": "database.example"}),
    ):
        own = OwnConnection(name, timeout_seconds=5.0)

        rows = own.read("SELECT 1")

        host = own._slot().line._line.host  # type: ignore[union-attr]
        own.close()
    resolver.close()
    assert (rows, host) == ([("1",)], b"database.example")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="descriptors are numbered otherwise")
def test_a_process_with_two_thousand_open_files_still_reads(own: OwnConnection) -> None:
    """`select` takes no descriptor above 1023, and a server of web sockets has thousands."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(2000)]
    try:
        rows = own.read("SELECT id FROM t")
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert rows == [("7",)]


def test_a_file_that_is_locked_for_good_is_unreadable_in_time(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """SQLite without WAL: somebody holds the exclusive lock."""
    path = tmp_path / "locked.sqlite3"
    name = f"own_{uuid.uuid4().hex[:8]}"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (id integer)")
    holder.execute("BEGIN EXCLUSIVE")
    with django_db_blocker.unblock(), databases.alias(name, {**databases.sqlite(path), "OPTIONS": {}}):
        own = OwnConnection(name)
        begun = time.monotonic()

        with pytest.raises(Unreadable, match="OperationalError"):
            own.read("SELECT id FROM t")

        took = time.monotonic() - begun
        own.close()
    holder.close()
    assert took < 0.5


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    """A reader must not leave an empty database behind."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    with (
        django_db_blocker.unblock(),
        databases.alias(name, databases.sqlite(tmp_path / "none.sqlite3")),
        pytest.raises(Unreadable),
    ):
        OwnConnection(name).read("SELECT 1")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_a_database_in_memory_is_read_through_djangos_connection() -> None:
    """There is no second connection to it; a project's tests still work."""
    assert OwnConnection().read("SELECT %s", ["x"]) == [("x",)]
