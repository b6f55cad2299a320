"""Where a stop is written: put together from as few settings as it takes, the others good or bad.

Invariant: what stops needs no plan, endpoint, secret or evidence; a rollback takes evidence along wherever
the settings let it. Explained in docs/how-to/stop-everything.md.
"""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections

from rollout.django import conf, driving
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.observers.log import LogObserver
from rollout.plan import Plan
from rollout.rollout_state import RolloutState
from rollout.runner import Runner
from rollout.watch import Looked, Watch
from webhooks_core.django import conf as webhooks_conf

__all__ = ["NoDatabase", "others", "rollback_stopper", "stopper"]

# Without these nobody can say which row it is; every other setting may be as bad as it likes.
_NEEDED = ('WEBHOOKS["ENVIRONMENT"]', 'ROLLOUT["FLAG"]', 'ROLLOUT["DATABASE"]')
_FLAGS = "SELECT flag FROM rollout_rollout WHERE environment = %s AND flag <> %s ORDER BY flag"


class NoDatabase(Exception):
    """No rollout is kept in a database, or nobody can say in which; the message says why."""

    def __init__(self, problem: str, *, is_trouble: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_trouble = is_trouble


def stopper() -> tuple[DjangoRolloutStore, FlagKey, Runner]:
    """Return where the rollout is kept, and what stops it without a look at anything; good for nothing else.

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
    if alias not in connections:
        raise NoDatabase(f"no database has the alias {alias!a}", is_trouble=True)
    flag = FlagKey(found.flag)
    store = driving.store_of(alias, environment=sending.environment)
    return store, flag, _runner(store, flag)


def rollback_stopper() -> tuple[DjangoRolloutStore, FlagKey, Runner]:
    """Return the same for a rollback: its entry has the evidence of its moment, wherever that can be had.

    Raises:
        NoDatabase: As `stopper`.
    """
    store, flag, blind = stopper()
    try:
        return store, flag, driving.runner()
    except Exception:  # noqa: BLE001 - whatever keeps the evidence away does not keep a rollback away
        return store, flag, blind


def others(store: DjangoRolloutStore, flag: FlagKey) -> dict[FlagKey, Runner]:
    """Return what gives a kill to each other rollout that *store* keeps, by its flag.

    It is another service's, or one of before the flag was renamed.

    Raises:
        Exception: What the database raises.
    """
    with store.database.reading() as cursor:
        cursor.execute(_FLAGS, [store.environment, flag])
        return {FlagKey(each): _runner(store, FlagKey(each)) for (each,) in cursor.fetchall()}


def _runner(store: DjangoRolloutStore, flag: FlagKey) -> Runner:
    return Runner(flag, store, _Blind(), plan=_no_plan, owner=driving.owner(), observer=LogObserver())


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
