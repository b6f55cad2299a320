"""The modules, names and files that the manual speaks of are there under those names."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]
NAME = re.compile(r"`((?:rollout|webhooks_core)(?:\.[A-Za-z_]\w*)+)")
FOLDERS = "rollout|webhooks_core|tests|benchmarks|deploy|docs|example|scripts"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w/.-]+)`")
CHECK = re.compile(r"\w+\.[EW][0-9]{3}")
# A task of Celery's and permissions of Django's: names, and no Python.
NO_PYTHON = {"rollout.tick", "rollout.drive_rollout", "rollout.kill_rollout", "rollout.clear_trip"}


def is_there(name: str) -> bool:
    """Return whether *name* is a module, or can be reached from one."""
    parts = name.split(".")
    found: object = import_module(parts[0])
    for place, part in enumerate(parts[1:], start=2):
        if isinstance(found, ModuleType) and not hasattr(found, part):
            try:
                found = import_module(".".join(parts[:place]))
            except ImportError:
                return False
        elif hasattr(found, part):
            found = getattr(found, part)
        else:
            return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_name_that_a_page_gives_is_there(page: Path) -> None:
    """STYLE §1.18: who renames something finds the page that still has the old name."""
    told = set(NAME.findall(page.read_text())) - NO_PYTHON

    gone = {name for name in told if not CHECK.fullmatch(name) and not is_there(name)}

    assert gone == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_that_a_page_gives_is_there(page: Path) -> None:
    """The same for paths from the project's root."""
    told = set(FILE.findall(page.read_text()))

    gone = {path for path in told if not (ROOT / path).exists()}

    assert gone == set()
