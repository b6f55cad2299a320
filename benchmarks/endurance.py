"""What a worker process has grown by after 100,000 deliveries: memory, file descriptors, threads.

One process of `manage.py webhooks worker` on each database, fed by portions; sampled after each from /proc
(so on Linux alone). It has grown by what it has more after the last portion than after the first, in which it
has opened its connections and filled its caches; each portion is verified at the receiver.

Takes about two minutes for each database. Run: `python benchmarks/endurance.py
[--only=sqlite|postgresql] [--deliveries=N]`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from crew import crew
from databases import databases
from load import ENVIRONMENT, KEYS, deliveries, kinds, option, settings
from witness import Witness, witness

KINDS = kinds()
DELIVERIES, PORTIONS = option("--deliveries", 100_000), 20
MOST_MIB, MOST_DESCRIPTORS = 10.0, 0


class Sample(NamedTuple):
    """What a process has."""

    mib: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        mib = int(values["VmRSS"].split()[0]) / 1024
        return cls(mib, len(os.listdir(f"/proc/{pid}/fd")), int(values["Threads"]))


def feed(alias: str, seen: Witness, rows: int) -> float:
    """Have *rows* delivered, and return how many came in a second."""
    from django.db import transaction

    from webhooks_core.django.outbox import DjangoOutbox, Entry

    outbox = DjangoOutbox(environment=ENVIRONMENT, using=alias)
    with transaction.atomic(using=alias):
        outbox.add_many([Entry(delivery=delivery) for delivery in deliveries(rows)])
    rate = seen.wait(rows).rate(rows)
    seen.verify(rows, KEYS)
    return rate


def endure(alias: str, seen: Witness, pid: int) -> bool:
    """Feed one worker and print what it has after each portion; return whether it has grown too much."""
    portion = max(1, DELIVERIES // PORTIONS)
    print(f"\n{DELIVERIES:,} deliveries by one worker process, {alias}")
    print(f"{'deliveries':>10}  {'per second':>10}  {'MiB':>7}  {'descriptors':>11}  {'threads':>7}")
    samples = []
    for number in range(1, PORTIONS + 1):
        rate = feed(alias, seen, portion)
        time.sleep(0.2)  # it settles the last ones
        samples.append(found := Sample.of(pid))
        row = f"{number * portion:>10,}  {rate:>10,.0f}  {found.mib:>7.1f}"
        print(f"{row}  {found.descriptors:>11}  {found.threads:>7}", flush=True)
    mib = samples[-1].mib - samples[0].mib
    descriptors = samples[-1].descriptors - samples[0].descriptors
    holds = mib <= MOST_MIB and descriptors <= MOST_DESCRIPTORS
    bound = f"<= {MOST_MIB:.0f} MiB, <= {MOST_DESCRIPTORS} descriptors"
    print(f"{'ok  ' if holds else 'MISS'} growth {bound}: {mib:.1f} MiB, {descriptors} descriptors")
    return holds


def main() -> bool:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seen = stack.enter_context(witness())
        aliases = stack.enter_context(databases(KINDS))
        every = True
        for kind in KINDS:
            world = settings(seen.port, database=kind)
            with crew(aliases, world, directory=directory) as workers:
                workers.start()
                every &= endure(kind, seen, workers.pids[0])
        return every


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
