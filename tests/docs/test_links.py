"""Every page is found from an index, and every link of the manual leads somewhere; so do the README's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
BESIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "example/README.md")]
FENCE = re.compile(r"^(`{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Return where the links of *page* lead to, code and other sites left out."""
    return [to for to in LINK.findall(FENCE.sub("", page.read_text())) if "://" not in to]


def anchors(page: Path) -> set[str]:
    """Return the headings of *page* as links name them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != DOCS / "index.md"],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_a_page_is_linked_from_the_index_above_it(page: Path) -> None:
    """By a link that is read everywhere, not only where Sphinx has made a tree of it."""
    index = page.parent / "index.md" if page.name != "index.md" else page.parent.parent / "index.md"
    there = {(index.parent / to.partition("#")[0]).resolve() for to in links(index)}

    assert page in there


@pytest.mark.parametrize("page", [*BESIDE, *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_page_and_a_heading_that_are_there(page: Path) -> None:
    """Of the README and its like, too, which Sphinx does not read."""
    lost = []

    for to in links(page):
        path, _, heading = to.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in anchors(target)):
            lost.append(to)

    assert lost == []
