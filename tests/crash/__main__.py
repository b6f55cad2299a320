"""`python -m tests.crash --cycles 20`: kill real processes again and again, then check that nothing was lost.

Exit status 1 where something was, with the ids. The seed says whom to kill and after how long; the timing of
the processes is the machine's, so a run cannot be repeated exactly.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main() -> int:
    """Run what the command line asks for."""
    import django

    parser = argparse.ArgumentParser(prog="dev.py crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=20, help="kills of a worker (default: %(default)s)")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--lease", type=float, default=2.0, help="seconds (default: %(default)s)")
    parser.add_argument("--poll", type=float, default=0.1, help="seconds (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="whom to kill, and after how long (default: any)")
    parser.add_argument("--workers", type=int, default=3, help="worker processes (default: %(default)s)")
    parser.add_argument("--breaker", action="store_true", help="let the breaker open, too")
    parser.add_argument("--keep", type=Path, help="keep notes, output and SQLite files in this new folder")
    chosen = parser.parse_args()
    django.setup()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    both = ("sqlite", "postgres") if chosen.database == "both" else (chosen.database,)
    if "postgres" in both and not _answers():
        print("PostgreSQL does not answer; --database sqlite does without", file=sys.stderr)
        return 2
    return max(_one(chosen, database, seed) for database in both)


def _answers() -> bool:
    import psycopg

    from tests.databases import SERVER

    try:
        psycopg.connect(SERVER).close()
    except psycopg.OperationalError:
        return False
    return True


def _one(chosen: argparse.Namespace, database: str, seed: int) -> int:
    from tests.crash.course import Course, run
    from tests.crash.scene import a_folder

    course = Course(
        cycles=chosen.cycles,
        seed=seed,
        lease_seconds=chosen.lease,
        poll_seconds=chosen.poll,
        workers=chosen.workers,
        has_breaker=chosen.breaker,
    )
    with a_folder(None if chosen.keep is None else chosen.keep / database) as folder:
        ran = run(course, database=database, folder=folder)
    print(f"{ran.report}\n  seed {seed}", flush=True)
    return 1 if ran.problems else 0


if __name__ == "__main__":
    sys.exit(main())
