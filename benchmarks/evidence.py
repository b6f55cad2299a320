"""What it costs a worker that its deliveries are evidence: the same deliveries with a plan and without one.

With a plan a worker looks at the rollout four times a second and before attempts, writes a heartbeat once a
second, and each settle adds to the counts of (minute, endpoint) in its transaction. Without one the same gate
is asked, from memory. One process, the same receiver, every delivery verified.

Run: `python benchmarks/evidence.py [--only=sqlite|postgresql] [--threads=N] [--rows=N] [--rounds=N]`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from crew import Crew, crew
from databases import databases
from load import ENVIRONMENT, KEYS, deliveries, kinds, option, settings
from rounds import Target, interleave, report
from witness import Witness, witness

THREADS, ROWS, ROUNDS = option("--threads", 4), option("--rows", 3_000), option("--rounds", 9)
KINDS = kinds()
FLAG = "tournament-webhooks"
APPS = ["rollout.django", "webhooks_core.django"]
PLAN = {"stages": [{"percentage": "100", "bake": "1h"}]}
LEAST = 0.9  # evidence may cost 10 % of the throughput


def world(port: int, *, database: str, directory: Path, plan: bool) -> dict[str, Any]:
    """Return the settings of a worker, with a plan or without one."""
    rollout: dict[str, Any] = {
        "FLAGS": {FLAG: {"percentage": "100"}},
        "KILL_FILE": str(directory / "kill"),
    }
    if plan:
        rollout |= {"PLAN": PLAN, "DATABASE": database}
    return {
        **settings(port, database=database),
        "INSTALLED_APPS": APPS,
        "NOTIFICATIONS_WEBHOOK_ENABLED": True,
        "ROLLOUT": rollout,
    }


def case(alias: str, seen: Witness, workers: Crew) -> Callable[[], float]:
    """Return a case: deliveries a second through the outbox on *alias*."""

    def run() -> float:
        from django.db import transaction

        from webhooks_core.django.outbox import DjangoOutbox, Entry

        with transaction.atomic(using=alias):
            outbox = DjangoOutbox(environment=ENVIRONMENT, using=alias)
            outbox.add_many([Entry(delivery=delivery) for delivery in deliveries(ROWS)])
        spent = workers.run()
        seen.verify(ROWS, KEYS)
        return ROWS / spent

    return run


def start(alias: str) -> None:
    """Begin the rollout on *alias*: its workers are let through."""
    import time

    from rollout.actor import Actor
    from rollout.commands import Start
    from rollout.controller import step
    from rollout.django.store import TABLE, DjangoRolloutStore
    from rollout.flags import FlagKey
    from rollout.plan_text import parse_plan
    from rollout.situation import Situation
    from webhooks_core.django.outbox.database import Database

    database = Database(alias, clock=None, machine_clock=time.time, monotonic=time.monotonic, table=TABLE)
    store, flag = DjangoRolloutStore(database, environment=ENVIRONMENT), FlagKey(FLAG)
    plan = parse_plan(flag, PLAN)
    by = Actor(name="benchmark")
    made = step(store.load(flag), Start(by=by, reason="begin"), Situation(now=store.now(), plan=plan))
    store.swap(made.state, made.entry, expected_version=0)


def counted(alias: str) -> int:
    """Return how many deliveries the evidence on *alias* has as arrived."""
    from django.db.models import Sum

    from rollout.django.models import EvidenceMinute

    total = EvidenceMinute.objects.using(alias).aggregate(total=Sum("ok"))["total"]
    return int(total or 0)


def main() -> bool:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seen = stack.enter_context(witness())
        aliases = stack.enter_context(databases(KINDS, INSTALLED_APPS=APPS))
        found: dict[str, Callable[[], float]] = {}
        for kind in KINDS:
            start(kind)
            for plan in (True, False):
                there = world(seen.port, database=kind, directory=directory, plan=plan)
                workers = stack.enter_context(
                    crew(aliases, there, directory=directory, policy={"threads": THREADS, "batch": 128})
                )
                found[f"{'with' if plan else 'without'} a plan, {kind}"] = case(kind, seen, workers)
        figures = interleave(found, rounds=ROUNDS)
        holds = True
        for kind in KINDS:
            mine = {name: each for name, each in figures.items() if name.endswith(kind)}
            without = f"without a plan, {kind}"
            bound = Target(case=f"with a plan, {kind}", peer=without, least=LEAST)
            title = f"{ROWS} deliveries, {THREADS} threads, {kind}: evidence of {counted(kind)} written"
            holds = report(title, mine, unit="per second", baseline=without, targets=(bound,)) and holds
            assert counted(kind) >= ROWS * ROUNDS
        return holds


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
