"""Run simulated worlds by hand: `python -m tests.worlds --worlds 10000 --jobs 2`.

Prints the thresholds beside what they do; ends with 1 where a promise did not hold. `--set NAME=VALUE`
changes a threshold, `--like TEXT` keeps the worlds whose name has the text in it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import defaultdict

from rollout.criteria import Criteria
from rollout.testing.worlds import CATALOGUE, Outcome, Task, broken, short_run, simulate, spread, table


def main() -> int:
    """Run what the command line asks for; 1 where a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--worlds", type=int, help="how many worlds; without it the short run of CI")
    parser.add_argument("--first", type=int, default=0, help="the first seed of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--like", default="", help="only worlds whose name has this in it")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a threshold")
    arguments = parser.parse_args()
    pairs = dict(one.split("=", 1) for one in arguments.set)
    criteria = Criteria.from_mapping({name: json.loads(value) for name, value in pairs.items()})
    kinds = [kind for kind in CATALOGUE if arguments.like in kind.world.name]
    tasks = (
        spread(arguments.worlds, first=arguments.first, kinds=kinds) if arguments.worlds else short_run(kinds)
    )
    begun = time.perf_counter()
    outcomes = run(tasks, criteria=criteria, jobs=arguments.jobs)
    print(table(outcomes, criteria=criteria, kinds=kinds))
    problems = broken(outcomes, kinds)
    print(f"\n{len(tasks)} worlds in {time.perf_counter() - begun:.0f} s with {arguments.jobs} process(es)")
    print("\n".join(f"NOT KEPT: {problem}" for problem in problems) or "every promise held")
    return 1 if problems else 0


def run(tasks: list[Task], *, criteria: Criteria, jobs: int) -> dict[str, list[Outcome]]:
    """Run *tasks* on *jobs* processes; outcomes by the world's name."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    with multiprocessing.Pool(jobs) as pool:
        for name, outcome in pool.imap_unordered(one, [(task, criteria) for task in tasks], chunksize=4):
            outcomes[name].append(outcome)
    return outcomes


def one(job: tuple[Task, Criteria]) -> tuple[str, Outcome]:
    """Run one world."""
    task, criteria = job
    return task.kind.world.name, simulate(task.kind.world, task.seed, criteria=criteria)


if __name__ == "__main__":
    sys.exit(main())
