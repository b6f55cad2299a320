"""Where a kill is written: put together from as few settings as it takes, the others good or bad.

Invariant: nothing here reads a plan, an endpoint, a secret or evidence. Explained in
docs/how-to/stop-everything.md.
"""

from __future__ import annotations

import time

from django.db import DEFAULT_DB_ALIAS

from rollout.django import conf, driving
from rollout.django.store import TABLE, DjangoRolloutStore
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.observers.log import LogObserver
from rollout.plan import Plan
from rollout.rollout_state import RolloutState
from rollout.runner import Runner
from rollout.watch import Looked, Watch
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.outbox.database import Database

__all__ = ["NoDatabase", "stopper", "store_of"]

# Without these nobody can say which row it is; every other setting may be as bad as it likes.
_NEEDED = ('WEBHOOKS["ENVIRONMENT"]', 'ROLLOUT["FLAG"]', 'ROLLOUT["DATABASE"]')


class NoDatabase(Exception):
    """No rollout is kept in a database, or nobody can say in which; the message says why."""

    def __init__(self, problem: str, *, is_trouble: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_trouble = is_trouble


def stopper() -> tuple[DjangoRolloutStore, FlagKey, Runner]:
    """Return where the rollout is kept, and what gives it a kill; good for nothing else.

    Raises:
        NoDatabase: Nowhere, or the settings do not say whose rows or where.
    """
    found, sending = conf.current(), webhooks_conf.current()
    bad = {problem.setting for problem in (*found.problems, *sending.problems)}
    missing = [name for name in _NEEDED if name in bad]
    if missing:
        raise NoDatabase(f"{missing[0]} is bad: nobody can say which rollout is meant", is_trouble=True)
    alias = found.state_database
    if alias is None and 'ROLLOUT["PLAN"]' in bad:
        alias = DEFAULT_DB_ALIAS  # where a plan that can be read would have it
    if alias is None:
        raise NoDatabase("no rollout is kept in a database", is_trouble="ROLLOUT" in bad)
    flag = FlagKey(found.flag)
    store = store_of(alias, environment=sending.environment)
    runner = Runner(flag, store, _Blind(), plan=_no_plan, owner=driving.owner(), observer=LogObserver())
    return store, flag, runner


def store_of(alias: str, *, environment: str) -> DjangoRolloutStore:
    """Return where the rollouts of *environment* are kept in the database *alias*."""
    database = Database(alias, clock=None, machine_clock=time.time, monotonic=time.monotonic, table=TABLE)
    return DjangoRolloutStore(database, environment=environment)


class _Blind(Watch):
    """Look at nothing: a kill rests on no evidence."""

    __slots__ = ()

    def __init__(self) -> None:
        """Need no source."""

    def look(self, state: RolloutState, *, now: float) -> Looked:  # noqa: ARG002 - the shape of a watch
        """Return that nothing was looked at."""
        return Looked()


def _no_plan() -> Plan:
    raise ConfigError("plan", "a kill asks for none")
