"""The map says where a change belongs: each module stands in a ring, and each file it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
RINGS = "\n".join(line for line in PAGE.splitlines() if re.match(r"\| [0-4] ", line))
CHANGES = PAGE.partition("## Where does a change belong?")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("package", "column"), [("rollout", 2), ("webhooks_core", 3)])
def test_every_module_stands_in_a_ring(package: str, column: int) -> None:
    """Of the files at the top of a package, none is left out of its column."""
    told = "".join(line.split("|")[column] for line in RINGS.splitlines())
    modules = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}

    assert modules - set(re.findall(r"`([a-z_0-9]+)`", told)) == set()


def test_every_file_that_the_table_of_changes_names_is_there() -> None:
    """A name without a package belongs to the one named before it in its row."""
    missing = []
    for row in CHANGES.splitlines():
        folder = ROOT
        for name in re.findall(r"`([a-z_/0-9]+(?:\.py|\.json|/))`", row):
            path = ROOT / name if (ROOT / name.split("/")[0]).is_dir() else folder / name
            folder = path if name.endswith("/") else path.parent
            if not path.exists():
                missing.append(name)

    assert missing == []
    assert CHANGES.count("\n| ") > 10
