"""Run the demo: prepare a project, a worker and a receiver, play the chapters, compare numbers and claims.

Three kinds of processes, as in a real installation: this one records events (as web processes do), a worker
(`manage.py webhooks worker`) sends them, the receiver verifies them.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

from loopback import logbook
from loopback.logbook import Logbook, personal_data
from loopback.project import Project, prepare
from loopback.receiver_process import ReceiverProcess
from loopback.worker import POLL_SECONDS, Workers
from rehearsal import page
from rehearsal.expectations import Expectations

# name: (value here, default). Nothing else differs from a real installation.
SHORTENED = {
    "WEBHOOK_TIMEOUT": ("1", "10"),
    "WEBHOOK_CB_WINDOW_SECONDS": ("5", "120"),
    "WEBHOOK_CB_OPEN_SECONDS": ("3", "60"),
}
TOURNAMENTS = 200
QUICK_TOURNAMENTS = 60


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return its exit status: 0 only when every expectation holds."""
    options = _options(arguments)
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # a script that runs it in the background has SIGINT ignored
        signal.signal(number, _stop)
    expect = Expectations()
    begun = time.monotonic()
    try:
        with ExitStack() as stack:
            folder = _folder(stack, options.folder)
            _play(folder, expect, tournaments=QUICK_TOURNAMENTS if options.quick else TOURNAMENTS)
    except KeyboardInterrupt:
        print("\nstopped, and all that it had started", flush=True)
        return 130
    except Exception as error:  # noqa: BLE001 (the end of the line: told to the reader, and in the JSON)
        traceback.print_exc()
        expect.add("the demo ran to its end", ok=False, measured=type(error).__name__, wanted="no error")
    _summary(expect, seconds=time.monotonic() - begun)
    if options.json:
        print(expect.as_json(), flush=True)
    return 0 if expect.ok else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description="Watch real webhooks pass a percentage; then break things."
    )
    parser.add_argument(
        "--json", action="store_true", help="print all expectations as one JSON object, as the last line"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_TOURNAMENTS} tournaments instead of {TOURNAMENTS}"
    )
    parser.add_argument("--folder", type=Path, help="keep logs, flag file and database in this new folder")
    options = parser.parse_args(arguments)
    if options.folder is not None and options.folder.exists():
        parser.error("--folder must not exist yet")
    return options


def _folder(stack: ExitStack, wanted: Path | None) -> Path:
    """Return the folder of this run: the wanted one, which stays, or a temporary one."""
    if wanted is not None:
        wanted.mkdir(parents=True)
        return wanted.resolve()
    temporary = tempfile.TemporaryDirectory(prefix="rollout-demo-", ignore_cleanup_errors=True)
    return Path(stack.enter_context(temporary))


def _play(folder: Path, expect: Expectations, *, tournaments: int) -> None:
    page.title("Webhooks behind a percentage")
    page.paragraph(
        f"{tournaments} tournaments, real payments and matches in this process, `manage.py webhooks worker` "
        "and a receiver in processes of their own, one SQLite file, real HTTP on the loopback interface. "
        "About a minute and a half. Ctrl-C ends everything."
    )
    page.blank()
    page.paragraph("Shortened here by settings, so that it fits into a minute:")
    page.lines([f"  {name} = {value} (default {default})" for name, (value, default) in SHORTENED.items()])
    page.lines([f"  webhooks worker --poll {POLL_SECONDS:g} (default 1)"])
    page.paragraph("The waits between attempts are the real ones: 2 s, then 4 s.")
    secret = secrets.token_hex(32)
    with ReceiverProcess(secret=secret, folder=folder) as receiver:
        shortened = {name: value for name, (value, _) in SHORTENED.items()}
        project = prepare(folder, endpoint=receiver.url, secret=secret, percentage="0", environment=shortened)
        with Workers(log=project.log) as workers:
            _chapters(project, receiver, workers, expect=expect, tournaments=tournaments)


def _chapters(
    project: Project, receiver: ReceiverProcess, workers: Workers, *, expect: Expectations, tournaments: int
) -> None:
    """Play all chapters. Imported here, because models exist only once Django is set up."""
    from rehearsal import crash, faults, itself, outage, privacy, replays, steps, stopping, world
    from rehearsal.stage import Stage

    stage = Stage(
        world=world.build(tournaments),
        project=project,
        receiver=receiver,
        workers=workers,
        worker=workers.start("worker-1"),
        expect=expect,
        log=Logbook(project.log),
    )
    expect.equal("the receiver says that it is", json.loads(receiver.health().body)["status"], "healthy")
    steps.show(stage, 1)
    faults.show(stage, 2, timeout_seconds=float(SHORTENED["WEBHOOK_TIMEOUT"][0]))
    outage.show(stage, 3)
    crash.show(stage, 4)
    replays.show(stage, 5)
    stopping.show(stage, 6)
    privacy.show(stage, 7)
    itself.show(stage, 8)
    ours = stage.log.all_lines()
    failed = sum(logbook.count(ours, words) for words in logbook.OUR_FAILURES)
    expect.equal("log lines about failures on our side", failed, 0)
    lines = ours + Logbook(receiver.log).all_lines()
    expect.equal("log lines that the runbook's PII greps find", len(personal_data(lines)), 0)


def _summary(expect: Expectations, *, seconds: float) -> None:
    page.chapter(
        9,
        "What was expected, and what was measured",
        see="You see: one line for each claim. `verified` is always the receiver's own count.",
    )
    expect.show()
    page.blank()
    missed = sum(not expectation.ok for expectation in expect.all)
    verdict = "all hold" if expect.ok else f"{missed} MISSED"
    page.paragraph(f"{len(expect.all)} expectations, {verdict}; {seconds:.0f} s.")


def _stop(_number: int, _frame: object) -> None:
    """Make either signal end the demo, its receiver included."""
    raise KeyboardInterrupt
