"""Run the simulation by hand: `python -m tests.simulation --seeds 20000 --jobs 2`.

`--store orm` runs the same scenarios over the product's stores on SQLite. A failing seed is printed with the
command that replays it, line by line: `--seed S --trace`.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext

from tests.simulation.running import STORES, Runner, ready
from tests.simulation.teeth import bugs

CHUNK = 50


def main() -> int:
    """Run what the command line asks for; 1 where a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="what the rows are kept in")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happened")
    parser.add_argument(
        "--digest", action="store_true", help="print the digest of all traces and nothing else"
    )
    parser.add_argument("--bug", help="run with a bug put in, see teeth.py and teeth_orm.py")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with ready(arguments.store) as runner:
        if arguments.digest:
            print(digest(line for seed in seeds for line in runner(seed, trace=True).trace))
            return 0
        known = bugs(arguments.store)
        if arguments.bug and arguments.bug not in known:
            parser.error(f"--bug: one of {', '.join(sorted(known))}")
        with known[arguments.bug]() if arguments.bug else nullcontext():
            if arguments.seed is not None:
                return one(runner, arguments.seed, trace=arguments.trace)
            return many(runner, seeds, jobs=arguments.jobs)


def one(runner: Runner, seed: int, *, trace: bool) -> int:
    """Run one seed and print its trace, or the digest of it."""
    outcome = runner(seed, trace=True)
    if trace:
        print("\n".join(outcome.trace))
    print(f"seed {seed}: {outcome.violation or 'all held'}; {outcome.events} events, {outcome.steps} steps, "
          f"trace {digest(outcome.trace)}")  # fmt: skip
    return 1 if outcome.violation else 0


def digest(trace: Iterable[str]) -> str:
    """Return the digest of a trace: the same for the same seed, everywhere."""
    return hashlib.sha256("\n".join(trace).encode()).hexdigest()[:16]


def many(runner: Runner, seeds: range, *, jobs: int) -> int:
    """Run many seeds and print those that failed, and the rate."""
    begun = time.perf_counter()
    if jobs == 1:
        outcomes = [runner(seed) for seed in seeds]
    else:
        with multiprocessing.Pool(jobs) as pool:
            outcomes = list(pool.imap_unordered(runner, seeds, chunksize=CHUNK))
    seconds = time.perf_counter() - begun
    failed = sorted((outcome for outcome in outcomes if outcome.violation), key=lambda outcome: outcome.seed)
    for outcome in failed[:20]:
        print(f"seed {outcome.seed}: {outcome.violation} ({runner.replay(outcome.seed)})")
    events = sum(outcome.events for outcome in outcomes)
    print(f"{len(outcomes)} seeds over {runner.store}, {events} events, {len(failed)} failed; "
          f"{seconds:.1f} s, {len(outcomes) / seconds:.0f} seeds/s with {jobs} process(es)")  # fmt: skip
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
