"""The unit file in `deploy/` starts a command that there is, and gives it the time that it needs to stop."""

from __future__ import annotations

import shlex
from collections import defaultdict
from pathlib import Path

from webhooks_core.django.answer import Exit
from webhooks_core.django.management.commands.webhooks import Command
from webhooks_core.worker import WorkerPolicy

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "webhooks-worker.service"


def unit() -> dict[str, list[str]]:
    """The unit's settings; one that stands there twice has two values."""
    found = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[name].append(value)
    return found


def test_it_starts_the_worker_with_options_that_there_are() -> None:
    """The command line is the one of `manage.py webhooks worker`."""
    _, manage, tree, *arguments = shlex.split(unit()["ExecStart"][0])

    parsed = Command().create_parser(manage, tree).parse_args(arguments)

    assert (manage, tree, parsed.verb) == ("manage.py", "webhooks", "worker")


def test_it_lets_the_worker_finish_and_starts_it_again() -> None:
    """Longer than the worker drains; every end but a wrong command line is followed by a start."""
    found = unit()

    assert found["KillSignal"] == ["SIGTERM"]
    assert float(found["TimeoutStopSec"][0]) > WorkerPolicy().drain_seconds
    assert (found["Restart"], found["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert found["RestartPreventExitStatus"] == [str(int(Exit.REFUSED))]


def test_it_gives_the_worker_no_more_than_it_needs() -> None:
    """Not root, no capability, nothing to write but the log, no secret in the file."""
    found = unit()

    assert found["User"] == ["deltacrown"]
    assert found["CapabilityBoundingSet"] == [""]
    assert (found["ProtectSystem"], found["NoNewPrivileges"]) == (["strict"], ["true"])
    assert found["ReadWritePaths"] == ["/var/log/deltacrown-prod.log"]
    assert "SECRET" not in UNIT.read_text()
