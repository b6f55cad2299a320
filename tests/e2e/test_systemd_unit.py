"""The unit files in `deploy/` start commands that there are, and give them the time that it takes to stop."""

from __future__ import annotations

import shlex
from collections import defaultdict
from pathlib import Path

import pytest
from django.core.management import BaseCommand

from rollout.django.management.commands.rollout import Command as Rollout
from rollout.django.management.running_command import run_rollout
from rollout.django.running import INTERVAL_SECONDS
from webhooks_core.django.answer import Exit
from webhooks_core.django.management.commands.webhooks import Command as Webhooks
from webhooks_core.worker import WorkerPolicy

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
WORKER, RUNNER = "webhooks-worker.service", "rollout-runner.service"
BOTH = pytest.mark.parametrize("name", [WORKER, RUNNER])


def unit(name: str) -> dict[str, list[str]]:
    """The unit's settings; one that stands there twice has two values."""
    found = defaultdict(list)
    for line in (UNITS / name).read_text().splitlines():
        setting, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[setting].append(value)
    return found


def started(name: str, command: BaseCommand) -> tuple[list[str], dict[str, object]]:
    """The words of the command line, and what its options are read as."""
    _, *words = shlex.split(unit(name)["ExecStart"][0])
    manage, tree, *arguments = words
    return words, vars(command.create_parser(manage, tree).parse_args(arguments))


def test_it_starts_the_worker_with_options_that_there_are() -> None:
    """The command line is the one of `manage.py webhooks worker`."""
    words, parsed = started(WORKER, Webhooks())

    assert (words[:2], parsed["verb"]) == (["manage.py", "webhooks"], "worker")


def test_it_starts_the_runner_with_options_that_there_are() -> None:
    """The command line is the one of `manage.py rollout run`, and it goes on until somebody stops it."""
    words, parsed = started(RUNNER, Rollout())

    assert words == ["manage.py", "rollout", "run"]
    assert (parsed["answer"], parsed["once"], parsed["interval"]) == (run_rollout, False, INTERVAL_SECONDS)


@BOTH
def test_it_lets_the_process_finish_and_starts_it_again(name: str) -> None:
    """Longer than a worker drains; every end but a wrong command line is followed by a start."""
    found = unit(name)

    assert found["KillSignal"] == ["SIGTERM"]
    assert float(found["TimeoutStopSec"][0]) > WorkerPolicy().drain_seconds
    assert (found["Restart"], found["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert found["RestartPreventExitStatus"] == [str(int(Exit.REFUSED))]


@BOTH
def test_it_gives_the_process_no_more_than_it_needs(name: str) -> None:
    """Not root, no capability, nothing to write but the log, no secret in the file."""
    found = unit(name)

    assert found["User"] == ["deltacrown"]
    assert found["CapabilityBoundingSet"] == [""]
    assert (found["ProtectSystem"], found["NoNewPrivileges"]) == (["strict"], ["true"])
    assert found["ReadWritePaths"] == ["/var/log/deltacrown-prod.log"]
    assert "SECRET" not in (UNITS / name).read_text()
