"""The reference names everything there is: each public name has its place in the API pages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("package", ["rollout", "webhooks_core"])
def test_every_public_name_lives_in_a_module_that_the_api_page_documents(package: str) -> None:
    """STYLE §1.18: a public name without an entry fails here."""
    documented = set(re.findall(r"automodule:: ([\w.]+)", (REFERENCE / "api.md").read_text()))
    documented |= set(re.findall(r"automodule:: ([\w.]+)", (REFERENCE / "errors.md").read_text()))
    facade = importlib.import_module(package)

    homes = {name: f"{package}.{module}" for name, module in facade._HOMES.items()}

    assert {name: home for name, home in homes.items() if home not in documented} == {}
