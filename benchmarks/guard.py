"""A tick of the runner, in CPU time: 100 endpoints, after 48 h of evidence, 5 deliveries a minute each.

First the guard's part alone, without a database: read back what was remembered, take the rows of the last
minutes (all columns), judge, and write down what is remembered. Then the whole of `runner.tick()` on SQLite,
every five seconds of a clock that the benchmark moves: the fence, the state, the rows and the 100 breakers in
the database, the heartbeats of 20 senders, and once a minute the state that is written; and the same with the
breakers in Redis, where a redis-server is installed. None may depend on how long the stage is: the tables
have the same after one hour. Target: at most 20 ms each.

Run: `python benchmarks/guard.py [--ticks=N]`.
"""

from __future__ import annotations

import gc
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from databases import databases
from load import ENVIRONMENT, SECRET, option

from rollout import evidence_text
from rollout.counters import COLUMNS, Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of
from rollout.guard import look
from rollout.increments import of_dispatch, of_settlement
from tests.redis_server import own_server

ENDPOINTS = 100
HOURS = 48
A_MINUTE = 5
TICKS = option("--ticks", 48)
SECONDS = 5  # between two ticks, as `rollout run` has it
SENDERS = 20
MOST_MILLISECONDS = 20.0
# So that the longest stage ends now: a store of breakers goes by a clock of its own.
BEGIN = time.time() // 60 * 60 - HOURS * 3_600
CRITERIA = Criteria()


def database_rows(chance: random.Random) -> list[dict[str, int]]:
    """Return a stock of rows: every column, most of them 0."""
    stock = []
    for _ in range(200):
        counts = Counts.sum([_delivery(chance) for _ in range(A_MINUTE)] + [of_dispatch(0.001)] * A_MINUTE)
        stock.append({column: counts.get(column) for column in COLUMNS})
    return stock


def _delivery(chance: random.Random) -> Counts:
    if chance.random() < 0.03:
        return of_settlement(kind="dead_letter", outcome="server_error", attempts=3)
    seconds = chance.lognormvariate(-2.0, 0.7)
    return of_settlement(kind="delivered", outcome="success", attempts=1, latency_seconds=seconds)


def after(hours: int, stock: list[dict[str, int]]) -> Evidence:
    """Return the evidence of a stage that is so old."""
    since = BEGIN + (HOURS - hours) * 3_600
    evidence, first = Evidence(since=since), minute_of(since)
    for minute in range(first, first + hours * 60):
        rows = [Row(minute, f"endpoint-{number}", Counts.of_row(stock[(minute * 7 + number) % len(stock)]))
                for number in range(ENDPOINTS)]  # fmt: skip
        evidence = evidence.fold(rows, criteria=CRITERIA, until=minute + 1)
    return evidence


def tick_of(evidence: Evidence, stock: list[dict[str, int]]) -> float:
    """Return the CPU milliseconds of one tick: three minutes of rows, the last of them not over."""
    text, now = evidence_text.dumps(evidence), evidence.until * 60.0 + 150.0
    minutes = range(evidence.until, evidence.until + 3)
    begun = time.process_time()
    rows = [Row(minute, f"endpoint-{number}", Counts.of_row(stock[number]))
            for minute in minutes for number in range(ENDPOINTS)]  # fmt: skip
    remembered = evidence_text.loads(text)
    assert remembered is not None
    found = look(CRITERIA, remembered, rows, now=now)
    evidence_text.dumps(found.keep)
    return (time.process_time() - begun) * 1_000


class Driven:
    """A rollout on SQLite, as the settings put it together, on a clock that the benchmark moves."""

    def __init__(self, stock: list[dict[str, int]]) -> None:
        from rollout.actor import Actor
        from rollout.commands import Start
        from rollout.django import driving
        from rollout.django.evidence import EvidenceTable
        from rollout.django.store import TABLE, DjangoRolloutStore
        from webhooks_core.django import conf
        from webhooks_core.django.outbox.database import Database
        from webhooks_core.per_process import PerProcess

        self.now, self._stock, flag = BEGIN, stock, driving.driving().flag
        self.flag = flag
        database = Database(
            "sqlite", clock=lambda: self.now, machine_clock=time.time, monotonic=time.monotonic, table=TABLE
        )
        environment = conf.current().environment
        self.store = DjangoRolloutStore(database, environment=environment)
        self.table = EvidenceTable(database, environment=environment, flag=flag)
        made = driving.Driving(flag=flag, store=self.store, evidence=self.table)
        driving.driving = PerProcess(lambda: made)
        self.runner = driving.runner()
        self.runner.obey(Start(by=Actor(name="benchmark"), reason="begin"))

    def remember(self, evidence: Evidence) -> None:
        """Be where the guard remembers *evidence*."""
        state = self.store.load(self.flag)
        progress = replace(state.progress, evidence=evidence_text.dumps(evidence))
        changed = replace(
            state, version=state.version + 1, progress=progress, stage_entered_at=evidence.since
        )
        self.store.swap(changed, expected_version=state.version)
        self.now = evidence.until * 60.0
        for minute in range(evidence.until, evidence.until + 2):
            self._count(minute)
            self.now += 60.0

    def _count(self, minute: int) -> None:
        counts = {
            (minute, f"endpoint-{number}"): Counts.of_row(
                self._stock[(minute * 7 + number) % len(self._stock)]
            )
            for number in range(ENDPOINTS)
        }
        with self.table.database.transaction() as cursor:
            self.table.add_minutes(counts, cursor)

    def tick(self) -> float:
        """Return the CPU milliseconds of the next tick; what is counted and told before it costs nothing."""
        minute, self.now = minute_of(self.now), self.now + SECONDS
        if minute_of(self.now) != minute:
            self._count(minute_of(self.now))
        for number in range(SENDERS):
            self.store.beat(f"web-{number}", {self.flag: 1}, lease_seconds=3.0)
        begun = time.process_time()
        made = self.runner.tick()
        spent = (time.process_time() - begun) * 1_000
        assert made.situation is not None
        assert made.situation.verdict is not None
        assert made.situation.evidence_problem == ""
        assert not any(each.why.startswith("cannot be read") for each in made.situation.verdict.readings)
        return spent


def fail_now_and_then(chance: random.Random) -> None:
    """Let the breakers have something to remember: some failures each, and one of ten is open."""
    from webhooks_core.breaker import Admit, Failed, Ticket
    from webhooks_core.django import wiring

    breakers = wiring.sending().breakers
    assert breakers is not None
    for number in range(ENDPOINTS):
        name = f"endpoint-{number}"
        for _ in range(breakers.policy.max_fails if number % 10 == 0 else chance.randrange(4)):
            ticket = breakers.apply(name, Admit(), now=BEGIN).answer
            assert isinstance(ticket, Ticket)
            breakers.apply(name, Failed(ticket=ticket), now=BEGIN)


def settings(directory: str) -> dict[str, Any]:
    """Return Django's settings of a project with so many endpoints and a plan."""
    endpoints = {
        f"endpoint-{number}": {"URL": f"https://host-{number}.example/in", "SECRET": f"{number:03}{SECRET}"}
        for number in range(ENDPOINTS)
    }
    return {
        "INSTALLED_APPS": ["rollout.django", "webhooks_core.django"],
        "NOTIFICATIONS_WEBHOOK_ENABLED": True,
        "WEBHOOKS": {
            "ENVIRONMENT": ENVIRONMENT,
            "ENGINE": "worker",
            "DATABASE": "sqlite",
            "BREAKER_STORE": "database",
            "ENDPOINTS": endpoints,
        },
        "ROLLOUT": {
            "FLAGS": {"tournament-webhooks": {"percentage": "100"}},
            "PLAN": {"stages": [{"percentage": "100", "bake": "96h"}]},
            "DATABASE": "sqlite",
            "KILL_FILE": str(Path(directory) / "kill"),
        },
    }


def measured(title: str, case: Callable[[Evidence], list[float]], stock: list[dict[str, int]]) -> float:
    """Print the ticks of a short and of a long stage; return the slowest."""
    print(f"\n{title}\n{'stage':>8} {'median':>8} {'worst':>8} {'remembered':>12}")
    worst = 0.0
    for hours in (1, HOURS):
        evidence = after(hours, stock)
        gc.collect()
        gc.freeze()  # what the benchmark has made is not for the tick's collector to look through
        figures = sorted(case(evidence))
        worst = max(worst, figures[-1])
        kept = len(evidence_text.dumps(evidence)) / 1_024
        print(f"{hours:>6} h {statistics.median(figures):>8.1f} {figures[-1]:>8.1f} {kept:>8.0f} KiB")
    return worst


def whole_tick(breakers: str, stock: list[dict[str, int]], **more: object) -> float:
    """Print the ticks of a rollout whose breakers are kept in *breakers*; return the slowest."""
    from django.conf import settings
    from django.test import override_settings

    changed = {"BREAKER_STORE": breakers, "ENVIRONMENT": f"{ENVIRONMENT}-{breakers}", **more}
    with override_settings(WEBHOOKS={**settings.WEBHOOKS, **changed}):
        fail_now_and_then(random.Random(7))
        driven = Driven(stock)

        def ticks(evidence: Evidence) -> list[float]:
            driven.remember(evidence)
            return [driven.tick() for _ in range(TICKS)]

        return measured(f"the whole tick, SQLite, breakers in {breakers}", ticks, stock)


def main() -> int:
    """Measure and print; 1 where the target is missed."""
    stock = database_rows(random.Random(7))
    print(f"{ENDPOINTS} endpoints, {A_MINUTE} deliveries a minute each; CPU ms a tick, {TICKS} ticks")
    worst = measured("the guard", lambda evidence: [tick_of(evidence, stock) for _ in range(TICKS)], stock)
    with (
        tempfile.TemporaryDirectory() as directory,
        databases(["sqlite"], **settings(directory)),
    ):
        worst = max(worst, whole_tick("database", stock))
        if shutil.which("redis-server"):
            with own_server() as server:
                worst = max(worst, whole_tick("redis", stock, REDIS=server.url))
        else:
            print("\nleft out: the breakers in Redis, no redis-server is installed")
    missed = worst > MOST_MILLISECONDS
    print(f"\n{'MISSED' if missed else 'met'}: worst tick <= {MOST_MILLISECONDS:g} ms")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
