"""What the pages tell people to type: each command line of the manual is one that the command understands."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
from pathlib import Path
from typing import NoReturn

import pytest

from rollout.cli import parser as rolloutctl_parser
from rollout.django.management.commands.rollout import Command as RolloutCommand
from webhooks_core.django.management.commands.webhooks import Command as WebhooksCommand

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "example/README.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]
BLOCK = re.compile(r"^ *```(?P<language>[^\n]*)\n(?P<lines>.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = ("console", "")
# In a block a whole line; within a sentence what stands in back-ticks, which may leave out what is required.
TYPED = re.compile(
    r"^ *(?:\$ )?(?:sudo )?(?:-E )?(?:python )?"
    r"(?:manage\.py (?P<tree>rollout|webhooks)|(?P<alone>rolloutctl)) (?P<rest>[^|;&\n]*)",
    re.MULTILINE,
)
SAID = re.compile(r"`(?:manage\.py )?(?P<tree>rollout|webhooks|rolloutctl) (?P<rest>[a-z][^`]*)`")


class NotUnderstood(Exception):
    """The command would have ended with 2."""


@functools.cache
def trees() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers, each of which raises where it would end the process."""
    found = {
        "rollout": RolloutCommand().create_parser("manage.py", "rollout"),
        "webhooks": WebhooksCommand().create_parser("manage.py", "webhooks"),
        "rolloutctl": rolloutctl_parser(),
    }
    for parser in found.values():
        raise_on_error(parser)
    return found


def raise_on_error(parser: argparse.ArgumentParser) -> None:
    """Let *parser*, and those below it, raise."""

    def error(message: str) -> NoReturn:
        raise NotUnderstood(message)

    parser.error = error  # type: ignore[method-assign]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                raise_on_error(below)


def typed(page: Path) -> list[tuple[str, str]]:
    """Return the command lines in the blocks of *page*: tree and what follows."""
    blocks = [block["lines"] for block in BLOCK.finditer(page.read_text()) if block["language"] in SHELL]
    lines = "\n".join(blocks).replace("\\\n", " ")
    return [(found["tree"] or found["alone"], found["rest"]) for found in TYPED.finditer(lines)]


def words(rest: str) -> list[str]:
    """Split as a shell does; three dots stand for something that a person knows."""
    return shlex.split(rest.replace("…", "10"), comments=True)


TYPED_LINES = [
    pytest.param(tree, rest, id=f"{page.stem}-{tree}-{number}")
    for page in PAGES
    for number, (tree, rest) in enumerate(typed(page))
]


@pytest.mark.parametrize(("tree", "rest"), TYPED_LINES)
def test_a_command_line_that_a_page_shows_is_understood(tree: str, rest: str) -> None:
    """With every option that it needs, and none that is not there."""
    parser = trees()[tree]

    understood = parser.parse_args(words(rest))

    assert vars(understood)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_option_that_a_sentence_names_is_one_of_its_command(page: Path) -> None:
    """A sentence may leave out what is required, and may not make anything up."""
    parsers = trees()
    made_up = []

    for found in SAID.finditer(page.read_text()):
        missing = _made_up(parsers[found["tree"]], found["rest"])
        made_up += [f"{found[0]}: {missing}"] if missing else []

    assert made_up == []


def _made_up(parser: argparse.ArgumentParser, rest: str) -> str:
    """Return what of *rest* neither *parser* nor one below it knows; empty where it knows all."""
    told = rest.split()
    while told and (
        below := next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
    ):
        if told[0].rstrip(",") not in below.choices:
            return told[0]
        parser = below.choices[told.pop(0).rstrip(",")]
    known = {name for action in parser._actions for name in action.option_strings}
    options = re.findall(r"--[a-z-]+", " ".join(told))
    return " ".join(option for option in options if option not in known)
