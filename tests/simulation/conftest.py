"""Runners of seeds over each store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.simulation.running import STORES, Runner, ready


@pytest.fixture(scope="module")
def run_over_orm(django_db_blocker: DjangoDbBlocker) -> Iterator[Runner]:
    """A runner over the ORM, with a database of its own."""
    with django_db_blocker.unblock(), ready("orm") as runner:
        yield runner


@pytest.fixture(params=STORES)
def run(request: pytest.FixtureRequest) -> Runner:
    """A runner over each store."""
    runner: Runner = (
        request.getfixturevalue("run_over_orm") if request.param == "orm" else Runner(request.param)
    )
    return runner
