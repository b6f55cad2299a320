"""The page of the address policy shows the table in force; run as a script, this file draws it anew."""

from __future__ import annotations

import re
from pathlib import Path

from webhooks_core.address import RULES, Blocked, Name, read_host
from webhooks_core.errors import AddressBlocked
from webhooks_core.transport.target import read_target

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "address-policy.md"
DRAWN = re.compile(r"(<!-- rules: begin [^\n]*-->\n)(.*?)(<!-- rules: end -->)", re.DOTALL)


def table() -> str:
    """Return the table of the rules, in their order."""
    lines = [
        "",
        "| network | rule | opened by `ALLOW_NETWORKS` | carries IPv4 in | source |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        opened = "open if what it carries is" if rule.passes else "never" if rule.never else "yes"
        # Python 3.13 writes mapped addresses as dotted quads.
        network = str(rule.network).replace("::ffff:0.0.0.0/", "::ffff:0:0/")
        lines.append(f"| `{network}` | {rule.name} | {opened} | {rule.embeds.value} | {rule.source} |")
    return "\n".join([*lines, "", ""])


def test_the_table_on_the_page_is_the_one_in_force() -> None:
    """A rule that changes changes the page with it."""
    drawn = DRAWN.search(PAGE.read_text())

    assert drawn is not None
    assert drawn[2] == table(), "stale: run python tests/docs/test_address_policy.py"


def test_every_example_of_a_refused_host_is_refused_by_its_rule() -> None:
    """The second table of the page, row by row."""
    rows = re.findall(
        r"^\| `([a-zA-Z0-9 -]+)` \| (.*) \|$", PAGE.read_text().partition("## Hosts")[2], re.MULTILINE
    )
    wrong = []
    for rule, examples in rows:
        for example in re.findall(r"`([^`]+)`", examples.partition("(write")[0]):
            found = refusal(example)
            if found != rule:
                wrong.append((example, rule, found))

    assert len(rows) == 7
    assert wrong == []
    assert read_host("xn--bcher-kva.example") == Name(text="xn--bcher-kva.example")


def refusal(example: str) -> str | None:
    """Return the rule that refuses a URL or a host."""
    if "://" not in example:
        found = read_host(example)
        return found.rule if isinstance(found, Blocked) else None
    try:
        read_target(example)
    except AddressBlocked as error:
        return error.rule
    return None


if __name__ == "__main__":
    PAGE.write_text(DRAWN.sub(lambda found: found[1] + table() + found[3], PAGE.read_text()))
