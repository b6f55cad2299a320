"""OpenFeature's state is the process's: each test begins and ends with none of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openfeature import api


@pytest.fixture(autouse=True)
def _no_openfeature_left_behind() -> Iterator[None]:
    """Providers, hooks, handlers, contexts: gone afterwards."""
    api.shutdown()
    yield
    api.shutdown()
