"""The database of a simulation: Django set up, one SQLite file of this process's own, and its line.

`Wire` stands between Django and SQLite and strikes where it is armed, so that trouble comes in the middle of
real transactions and real rollbacks follow. Nothing here needs Django's models, which `orm.py` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import django
from django.apps import apps
from django.core.management import call_command
from django.db import OperationalError, connections
from django.db.backends.utils import CursorWrapper

from tests import databases
from tests.simulation.judge import Violation

ALIAS = "simulation"
MOST_STATEMENTS = 8  # a transaction of ours has about as many, its COMMIT counted


def set_up() -> None:
    """Set Django up, where nobody has done so."""
    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        django.setup()


def opened(folder: Path) -> None:
    """Open this process's database in *folder*, where that is not done."""
    if ALIAS in connections.settings:
        return
    path = folder / f"simulation-{os.getpid()}.sqlite3"
    set_up()
    described = databases.sqlite(path)
    # Nothing survives the run, so nothing is made durable: the journal in memory, no fsync.
    described["OPTIONS"]["init_command"] = "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF"
    connections.settings[ALIAS] = connections.configure_settings({**connections.settings, ALIAS: described})[
        ALIAS
    ]
    call_command("migrate", "webhooks", database=ALIAS, verbosity=0)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("CREATE TABLE simulation_effect (id INTEGER PRIMARY KEY, webhook_id TEXT NOT NULL)")
    Wire.wrap()


def close() -> None:
    """Close this process's database, where there is one."""
    if ALIAS in connections.settings:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]


class Wire:
    """The line to the database, which strikes where it is armed: before a statement or before a COMMIT."""

    strike: Callable[[], NoReturn] | None = None
    place = 0
    dead: object = None  # the connection that was cut

    @classmethod
    def wrap(cls) -> None:
        """Stand between Django and its connection."""
        connection = connections[ALIAS]
        commit = connection._commit

        def committed() -> None:
            cls._passed()
            commit()

        def executed(execute: Callable[..., Any], *arguments: Any) -> Any:
            cls._passed()
            return execute(*arguments)

        connection._commit = committed
        connection.execute_wrappers.append(executed)

    @classmethod
    @contextmanager
    def armed(cls, strike: Callable[[], NoReturn], place: int) -> Iterator[None]:
        """Let *strike* happen at the statement or COMMIT with that place, from 0, if the block comes so far.

        A connection that was cut must have been let go when the block ends: the next call opens another one.
        """
        cls.strike, cls.place = strike, place
        try:
            yield
        finally:
            cls.strike = None
            connection = connections[ALIAS]
            dead, cls.dead = cls.dead, None
            if dead is not None and connection.connection is dead:
                connection.close()
                raise Violation("a broken connection was kept")

    @classmethod
    @contextmanager
    def safe(cls) -> Iterator[CursorWrapper]:
        """Ask something that is not of the run; the arms rest meanwhile."""
        strike, cls.strike = cls.strike, None
        try:
            with connections[ALIAS].cursor() as cursor:
                yield cursor
        finally:
            cls.strike = strike

    @classmethod
    def cut(cls) -> None:
        """Close the connection behind Django's back: what was not committed is rolled back."""
        cls.dead = connections[ALIAS].connection
        connections[ALIAS].connection.close()

    @classmethod
    def _passed(cls) -> None:
        if cls.strike is None:
            return
        if cls.place == 0:
            strike, cls.strike = cls.strike, None
            strike()
        cls.place -= 1


def locked() -> NoReturn:
    """Wait for a lock for too long."""
    raise OperationalError("database is locked")


def deadlocked() -> NoReturn:
    """Be the one that the database chose."""
    raise OperationalError("deadlock detected")


def cut() -> NoReturn:
    """Lose the connection, and what was not committed with it."""
    Wire.cut()
    raise OperationalError("server closed the connection unexpectedly")


STRIKES = (locked, deadlocked, cut)
