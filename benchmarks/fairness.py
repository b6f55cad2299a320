"""What one endpoint that never answers does to the others: how late the slowest of their events are.

50 endpoints on loopback, 200 events a second for ten seconds, one in ten of them for the first endpoint. One
worker process with the default number of threads; it looks for new rows every 50 ms (`--poll 0.05`), so that
waiting is not all that is measured. Late is from the commit to the receiver, the worst of a hundred (p99) of
the 49 others: once where the first endpoint answers as they do, once where it hangs, and once where it hangs
and the worker keeps no share of its threads for anybody (as a queue that is served first in, first out).

Events that have not arrived 10 s after the last one was recorded count as that late. Each that arrived is
verified, and comes once. Takes about five minutes. Run: `python benchmarks/fairness.py
[--only=sqlite|postgresql] [--seconds=N] [--rounds=N] [--json]`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crew import crew
from databases import databases
from load import ENVIRONMENT, SECRET, deliveries, kinds, option, settings
from rounds import Target, report
from witness import Arrival, Witness, witness

from webhooks_core.endpoint import EndpointId
from webhooks_core.keys import KeyRing
from webhooks_core.verifier import Verifier

if TYPE_CHECKING:
    from webhooks_core.engines.worker import WorkerShell

KINDS = kinds()
SECONDS, ROUNDS = option("--seconds", 10), option("--rounds", 3)
PER_SECOND, ENDPOINTS, EVERY = 200, 50, 10
TICK_SECONDS, PATIENCE_SECONDS = 0.05, 10.0
POLICY = {"poll_seconds": 0.05}
TROUBLED, *HEALTHY = (EndpointId(f"e{number:02d}") for number in range(ENDPOINTS))
SECRETS = {name: f"{name}-{SECRET}" for name in (TROUBLED, *HEALTHY)}
ALL_WELL, HANGS, NO_SHARES = "all of them answer", "one hangs", "one hangs, first in first out"
TABLES = ("attempt", "delivery", "breaker", "workerbeat")


def no_shares(shell: WorkerShell) -> None:
    """Let one endpoint have every thread, as if it were the only one."""
    shell._worker._desk.is_alone = True


def endpoints(seen: Witness, *, hangs: bool) -> dict[str, dict[str, Any]]:
    """Return `WEBHOOKS["ENDPOINTS"]`."""
    base = f"http://127.0.0.1:{seen.port}"
    found = {name: {"URL": f"{base}/{name}", "SECRET": SECRETS[name]} for name in HEALTHY}
    path = "hang" if hangs else "answer"
    found[TROUBLED] = {"URL": f"{base}/{path}", "SECRET": SECRETS[TROUBLED]}
    return found


def record(alias: str) -> dict[str, float]:
    """Commit events as time goes by, and return when those of the healthy endpoints were committed, by id."""
    from django.db import transaction

    from webhooks_core.django.outbox import DjangoOutbox, Entry

    outbox = DjangoOutbox(environment=ENVIRONMENT, using=alias)
    mixed = [name for place in range(len(HEALTHY)) for name in _ten(place)]
    events = deliveries(SECONDS * PER_SECOND, endpoints=mixed)
    committed: dict[str, float] = {}
    begun = time.perf_counter()
    for tick in range(round(SECONDS / TICK_SECONDS)):
        time.sleep(max(0.0, begun + tick * TICK_SECONDS - time.perf_counter()))
        some = [next(events) for _ in range(round(PER_SECOND * TICK_SECONDS))]
        with transaction.atomic(using=alias):
            outbox.add_many([Entry(delivery=delivery) for delivery in some])
        now = time.time()
        committed |= {event.webhook_id: now for event in some if event.endpoint_id != TROUBLED}
    return committed


def _ten(place: int) -> list[EndpointId]:
    """Return ten endpoints in turn, the first of which is the troubled one."""
    share = EVERY - 1
    return [TROUBLED, *(HEALTHY[(place * share + step) % len(HEALTHY)] for step in range(share))]


def lateness(committed: Mapping[str, float], seen: Witness) -> list[float]:
    """Return the seconds from commit to arrival, of each event of a healthy endpoint."""
    verifier = Verifier(KeyRing.of(list(SECRETS.values())))
    arrived: dict[str, float] = {}
    until = time.time() + PATIENCE_SECONDS
    while len(arrived) < len(committed) and time.time() < until:
        time.sleep(0.25)
        for got in seen.take():
            webhook_id = _verified(got, verifier)
            if webhook_id in committed:
                assert webhook_id not in arrived, "an event came twice"
                arrived[webhook_id] = got.at
    now = time.time()
    return [max(0.0, arrived.get(name, now) - at) for name, at in committed.items()]


def _verified(got: Arrival, verifier: Verifier) -> str:
    return verifier.verify(got.headers(), got.body, now=got.at).webhook_id or ""


def measure(
    alias: str,
    seen: Witness,
    aliases: dict[str, dict[str, Any]],
    directory: Path,
    *,
    hangs: bool,
    after: Callable[[WorkerShell], None] | None = None,
) -> float:
    """Return the p99 in milliseconds, of a worker process and an outbox of its own."""
    from django.db import connections

    with connections[alias].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM webhooks_{table}")
    seen.take()
    world = settings(seen.port, database=alias, ENDPOINTS=endpoints(seen, hangs=hangs))
    del world["WEBHOOK_ENDPOINT"], world["WEBHOOK_SECRET"]
    with crew(aliases, world, directory=directory, policy=POLICY, after=after) as workers:
        workers.start()
        late = lateness(record(alias), seen)
    if after is None:
        tell_what_is_left(alias)
    return statistics.quantiles(late, n=100)[98] * 1000


def tell_what_is_left(alias: str) -> None:
    """Print why events of healthy endpoints have not been delivered, where there are such."""
    from django.db.models import Count

    from webhooks_core.django.models import Delivery

    rows = Delivery.objects.using(alias).exclude(endpoint_id=TROUBLED).exclude(state="delivered")
    for found in rows.values("state", "attempt", "last_outcome", "reason").annotate(rows=Count("id")):
        print(f"not delivered to healthy endpoints: {found}")


def main() -> bool:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seen = stack.enter_context(witness())
        aliases = stack.enter_context(databases(KINDS))
        every = True
        for kind in KINDS:
            world = (kind, seen, aliases, directory)
            figures: dict[str, list[float]] = {ALL_WELL: [], HANGS: [], NO_SHARES: []}
            for _ in range(max(2, ROUNDS)):
                figures[ALL_WELL].append(measure(*world, hangs=False))
                figures[HANGS].append(measure(*world, hangs=True))
                figures[NO_SHARES].append(measure(*world, hangs=True, after=no_shares))
            title = f"p99 of 49 healthy endpoints, {kind}, {SECONDS} s"
            bounds = (Target(case=HANGS, peer=ALL_WELL, most=1.5),)
            every &= report(title, figures, unit="ms", baseline=ALL_WELL, targets=bounds)
        return every


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
