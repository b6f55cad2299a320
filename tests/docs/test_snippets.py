"""Every Python block of the manual and the README runs: page by page, top to bottom, one namespace a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.openfeature.conftest import _no_openfeature_left_behind

__all__ = ["_no_openfeature_left_behind"]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^(?P<fence>`{3,})python[^\n]*\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page that has a Python block."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if "_build" not in page.parts and BLOCK.search(page.read_text())]


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return each block of *page* with the line it begins on."""
    text = page.read_text()
    return [(text.count("\n", 0, match.start("code")), match["code"]) for match in BLOCK.finditer(text)]


@pytest.mark.network
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docs that run. A page's files go to a temporary directory; the tests that it defines run too."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": f"snippets_of_{page.stem.replace('-', '_')}"}

    for line, code in blocks(page):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)

    for name, made in list(namespace.items()):
        if name.startswith("test_") and callable(made):
            made()
    assert namespace
