"""OpenFeature's state is the process's: each test begins and ends with none of it, and owns its domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from openfeature import api


@pytest.fixture(autouse=True)
def _no_openfeature_left_behind() -> Iterator[None]:
    """Providers, hooks, handlers, contexts: gone afterwards."""
    api.shutdown()
    yield
    api.shutdown()


def pytest_bdd_apply_tag(tag: str, function: Callable[..., object]) -> bool:
    """Take no tag of the specification for a marker of ours."""
    return True


def pytest_configure(config: pytest.Config) -> None:
    """Know the tags of the specification's examples, which pytest-bdd makes markers without asking."""
    for tag in ("hooks", "transaction"):
        config.addinivalue_line("markers", f"{tag}: a tag of the OpenFeature specification's examples")
