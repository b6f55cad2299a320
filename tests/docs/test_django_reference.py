"""The reference has an entry for every setting, check, command, option and exit code of the Django side."""

from __future__ import annotations

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.cli import parser as rolloutctl_parser
from rollout.django import conf as rollout_conf
from rollout.django.management.commands.rollout import Command as RolloutCommand
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django import endpoints
from webhooks_core.django.answer import Exit
from webhooks_core.django.management.commands.webhooks import Command as WebhooksCommand

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def rows(page: str, heading: str) -> list[str]:
    """The first cells of the first table below *heading*, without their back-ticks."""
    text = "\n" + (REFERENCE / page).read_text()
    below = text[text.index(f"\n{heading}\n") :]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return [re.sub(r"`", "", line.split("|")[1]).strip() for line in table[0].splitlines()[2:]]


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("## Flat settings", (rollout_conf.MASTER_SWITCH, *webhooks_conf.FLAT)),
        ("## `ROLLOUT`", rollout_conf.TABLE),
        ("## `WEBHOOKS`", webhooks_conf.TABLE),
        ("### An endpoint", endpoints.KEYS),
    ],
)
def test_each_setting_has_exactly_one_row(heading: str, known: tuple[str, ...]) -> None:
    """STYLE §1.18: a setting without an entry fails here, and so does an entry without a setting."""
    assert sorted(rows("settings.md", heading)) == sorted(known)


# How the source writes an id: in full, or as the number that a helper puts behind the app's name.
FULL = re.compile(r'"((?:rollout|webhooks)\.[EW][0-9]{3})"')
NUMBER = re.compile(r"\b(?:key|flat|spot|_spot|_exported|_id)\(\s*([0-9]{1,2})[,)]")


def used_ids(app: str) -> set[str]:
    """Every check id that the source of an app can emit."""
    package = {"rollout": ROOT / "rollout" / "django", "webhooks": ROOT / "webhooks_core" / "django"}[app]
    text = "\n".join(file.read_text() for file in sorted(package.rglob("*.py")))
    return set(FULL.findall(text)) | {f"{app}.E{int(number):03d}" for number in NUMBER.findall(text)}


@pytest.mark.parametrize(
    ("app", "heading"), [("webhooks", "## Sending: `webhooks.…`"), ("rollout", "## The gate: `rollout.…`")]
)
def test_each_check_has_exactly_one_row(app: str, heading: str) -> None:
    """An id is stable, so it must be written down."""
    documented = rows("checks.md", heading)

    assert sorted(documented) == sorted(used_ids(app))
    assert len(documented) == len(set(documented))


# Django's own, and the one that every command has.
SHARED = {
    *("--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback"),
    *("--no-color", "--force-color", "--skip-checks", "--json"),
}


def commands(parser: ArgumentParser, path: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Every command below *parser*, with the options of its own."""
    subparsers = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not subparsers:
        options = [
            name for action in parser._actions for name in action.option_strings if name.startswith("--")
        ]
        yield " ".join(path), [name for name in options if name not in SHARED]
    for action in subparsers:
        for name, below in action.choices.items():
            yield from commands(below, (*path, name))


TREES = [
    *commands(RolloutCommand().create_parser("manage.py", "rollout"), ("rollout",)),
    *commands(WebhooksCommand().create_parser("manage.py", "webhooks"), ("webhooks",)),
    *commands(rolloutctl_parser(), ("rolloutctl",)),
]


@pytest.mark.parametrize(("command", "options"), TREES)
def test_each_command_has_a_heading_with_its_options(command: str, options: list[str]) -> None:
    """And `--json`, which all of them have."""
    headings = [
        line for line in (REFERENCE / "commands.md").read_text().splitlines() if line.startswith("## ")
    ]

    (heading,) = [line for line in headings if line.startswith(f"## `{command}")]
    assert [option for option in options if option not in heading] == []


def test_no_command_is_documented_that_is_not_there() -> None:
    """The other direction."""
    headings = re.findall(
        r"^## `(\w+(?: [a-z][a-z-]+)+)", (REFERENCE / "commands.md").read_text(), re.MULTILINE
    )

    assert sorted(headings) == sorted(command for command, _ in TREES)


def test_each_exit_code_is_documented() -> None:
    """Contract §14: documented exit codes."""
    assert rows("commands.md", "# Commands") == [str(int(code)) for code in Exit]
