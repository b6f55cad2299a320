"""What `manage.py rollout status` takes with a long history in the outbox, and with a short one.

A history is deliveries that arrived, each with its attempts (every twentieth took two), and the evidence of
their minutes; a few rows wait, are held or were given up, and a rollout is under way: the same in both. What
is compared is the command itself, in a process that is there, with the connection that it opens; the same as
a process of its own, interpreter and Django included, stands below it.

Run: `python benchmarks/status.py [--deliveries=N] [--only=sqlite|postgresql] [--rounds=N]`. A million takes
three minutes; the figure that counts is that of `--deliveries=10000000 --only=postgresql`, which takes ten
and 10 GB of disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

from claim import NUMBERS, fill, settle_down
from databases import databases
from evidence import APPS, FLAG, start, world
from load import ENVIRONMENT, kinds, option
from rounds import Target, interleave, report

FEW, MANY = 10_000, option("--deliveries", 1_000_000)
ROUNDS, CALLS = option("--rounds", 9), 10
MOST = 1.5
A_MINUTE = 200
WAITING = {"pending": 64, "held": 8, "dead": 8}
ROOT = Path(__file__).resolve().parents[1]

ATTEMPTS = (
    "INSERT INTO webhooks_attempt"
    " (delivery_id, number, outcome, started_at, elapsed_seconds, status, error, is_probe)"
    " SELECT id, 1, CASE WHEN id % 20 = 0 THEN 'server_error' ELSE 'success' END, created_at, 0.03,"
    " CASE WHEN id % 20 = 0 THEN 500 ELSE 200 END, '', {no} FROM webhooks_delivery WHERE state = 'delivered'",
    "INSERT INTO webhooks_attempt"
    " (delivery_id, number, outcome, started_at, elapsed_seconds, status, error, is_probe)"
    " SELECT id, 2, 'success', created_at + 30, 0.03, 200, '', {no}"
    " FROM webhooks_delivery WHERE state = 'delivered' AND id % 20 = 0",
)
EVIDENCE = {
    "environment": "'{environment}'",
    "flag": "'{flag}'",
    "minute": "{now} - i",
    "endpoint_id": "'default'",
    "writer": "0",
    "ok": "{each}",
    "attempts": "{each}",
}


def history(alias: str, rows: int) -> None:
    """Fill the empty database *alias*: *rows* deliveries that arrived, with all that they left behind."""
    from django.db import connections

    connection = connections[alias]
    fill(alias, ENVIRONMENT, state="delivered", rows=rows)
    for place, (state, waiting) in enumerate(WAITING.items(), 1):
        fill(alias, ENVIRONMENT, state=state, rows=waiting, offset=place)
    names = {"environment": ENVIRONMENT, "flag": FLAG, "now": int(time.time() // 60), "each": A_MINUTE}
    columns = ", ".join(text.format(**names) for text in EVIDENCE.values())
    select = NUMBERS[connection.vendor].format(rows=max(1, rows // A_MINUTE), columns=columns)
    with connection.cursor() as cursor:
        for statement in ATTEMPTS:
            cursor.execute(statement.format(no="false" if connection.vendor == "postgresql" else "0"))
        cursor.execute(f"INSERT INTO rollout_evidenceminute ({', '.join(EVIDENCE)}) {select}")
    start(alias)
    settle_down(alias)


def command(settings: dict[str, Any]) -> Callable[[], float]:
    """Return a case: the milliseconds of the command, called in this process with *settings*."""
    from django.core.management import call_command
    from django.test import override_settings

    def once() -> str:
        out = StringIO()
        with suppress(SystemExit):  # the exit code says how the rollout stands
            call_command("rollout", "status", stdout=out, stderr=out)
        return out.getvalue()

    def run() -> float:
        with override_settings(**settings):
            expected = ("{pending} on their way, {held} held, {dead} given up").format(**WAITING)
            assert expected in once(), once()
            begun = time.perf_counter()
            for _ in range(CALLS):
                once()
            return (time.perf_counter() - begun) / CALLS * 1e3

    return run


def process(aliases: dict[str, Any], settings: dict[str, Any], directory: Path) -> Callable[[], float]:
    """Return a case: the milliseconds of `manage.py rollout status`, from the start of the interpreter."""
    name = f"settings_{settings['ROLLOUT']['DATABASE']}"
    whole = {**settings, "DATABASES": aliases, "USE_TZ": True}
    lines = [f"{key} = {value!r}" for key, value in whole.items()]
    (directory / f"{name}.py").write_text("\n".join(lines))
    paths = os.pathsep.join((str(directory), str(ROOT)))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": name, "PYTHONPATH": paths}

    def run() -> float:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "django", "rollout", "status"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        spent = time.perf_counter() - begun
        assert "on their way" in done.stdout, done.stderr
        return spent * 1e3

    return run


def measure(kind: str, aliases: dict[str, Any], directory: Path) -> bool:
    """Fill both databases of *kind* and print its two tables."""
    few, many = f"{FEW:,} deliveries", f"{MANY:,} deliveries"
    found: dict[str, dict[str, Any]] = {}
    for name, rows in ((few, FEW), (many, MANY)):
        alias = f"{kind}_{rows}"
        begun = time.perf_counter()
        history(alias, rows)
        print(f"{alias}: filled in {time.perf_counter() - begun:.0f} s", flush=True)
        found[name] = world(9, database=alias, directory=directory, plan=True)
    cases = {name: command(settings) for name, settings in found.items()}
    targets = (Target(case=many, peer=few, most=MOST),)
    title = f"rollout status, {kind}, the command"
    holds = report(title, interleave(cases, rounds=ROUNDS), unit="ms", baseline=few, targets=targets)
    cases = {name: process(aliases, settings, directory) for name, settings in found.items()}
    title = f"rollout status, {kind}, a process of its own"
    report(title, interleave(cases, rounds=ROUNDS), unit="ms", baseline=few)
    return holds


def main() -> bool:
    names = [f"{kind}_{rows}" for kind in kinds() for rows in (FEW, MANY)]
    with tempfile.TemporaryDirectory() as directory, databases(names, INSTALLED_APPS=APPS) as aliases:
        results = [measure(kind, aliases, Path(directory)) for kind in kinds()]
    return all(results)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
