"""`manage.py webhooks reconcile`: the outbox of each database against a receiver's log."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.outbox.conftest import World
from tests.integration.outbox.test_commands import Command, aged, command, dead, delivered

__all__ = ["command"]
pytestmark = pytest.mark.network


def log(path: Path, ids: Sequence[str]) -> str:
    """Write a receiver's log in which each of *ids* was handled once."""
    lines = [f"12:00:00 INFO webhooks Received webhook: event=e, webhook_id={name}\n" for name in ids]
    path.write_text("".join(lines))
    return str(path)


def test_two_sides_with_the_same_ids_agree(world: World, command: Command, tmp_path: Path) -> None:
    """Every hour has the same count and digest on both sides, and the exit code is 0."""
    old = delivered(world, 3)
    aged(world, old, 7_200)
    new = delivered(world, 2)

    code, answer = command("reconcile", log(tmp_path / "log", [*new, *old]), "--endpoint", "default")

    assert (code, answer["agrees"]) == (0, True)
    assert [(hour["delivered"], hour["received"]) for hour in answer["hours"]] == [(3, 3), (2, 2)]
    assert all(hour["delivered_digest"] == hour["received_digest"] for hour in answer["hours"])


def test_each_missing_doubled_and_unknown_id_is_named(world: World, command: Command, tmp_path: Path) -> None:
    """What one side has and the other has not, by id; what is dead here and arrived there, with its state."""
    missing, doubled, fine = delivered(world, 3)
    (lost,) = dead(world, 1)
    text = log(tmp_path / "log", [doubled, doubled, fine, lost, "somebody-elses"])

    code, answer = command("reconcile", text, "--endpoint", "default")

    (hour,) = answer["hours"]
    assert (code, answer["agrees"]) == (1, False)
    assert (hour["missing"], hour["doubled"]) == ([missing], [doubled])
    assert (answer["unconfirmed"], answer["unknown"]) == ({lost: "dead"}, ["somebody-elses"])


def test_what_was_delivered_at_another_time_is_neither_missing_nor_unknown(
    world: World, command: Command, tmp_path: Path
) -> None:
    """A log that is longer than the time that is looked at tells nothing wrong."""
    old = delivered(world, 2)
    aged(world, old, 7_200)
    new = delivered(world, 1)
    text = log(tmp_path / "log", [*old, *new])

    code, answer = command("reconcile", text, "--endpoint", "default", "--since", "1h")

    assert (code, len(answer["hours"]), answer["unknown"]) == (0, 1, [])


def test_a_log_from_standard_input_with_one_id_a_line(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver of another make hands over its ids."""
    ids = delivered(world, 2)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(ids)))

    code, answer = command("reconcile", "-", "--endpoint", "default")

    assert (code, answer["matched"]) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("empty",), 2, "none of the 1 lines names a webhook"),
        (("nowhere",), 4, "the log cannot be read (FileNotFoundError)"),
        (("empty", "--since", "2999-01-01"), 2, "is in the future"),
        (("empty", "--until", "48h"), 2, "--until must be later than --since"),
    ],
    ids=["no-id", "no-file", "future", "upside-down"],
)
def test_what_cannot_be_compared_is_told(
    world: World,
    command: Command,
    tmp_path: Path,
    *,
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    """A log that says nothing must not look like one in which everything is missing."""
    (tmp_path / "empty").write_text(f"nothing here at {time.time():.0f}\n")

    ended, answer = command(
        "reconcile", str(tmp_path / arguments[0]), "--endpoint", "default", *arguments[1:]
    )

    assert ended == code
    assert says in answer["error"]
