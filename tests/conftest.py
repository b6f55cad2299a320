"""What every test may use: one moment, a clock that only a test moves, a secret, no network by surprise."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from pytest_django.plugin import DjangoDbBlocker

from rollout.testing import ManualClock
from tests import databases
from tests.integration.django.project import KILL_FILE

NOW = 1_763_000_000.0
SECRET = (
    "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow (fixed, tests only)
)

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("laptop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture
def now() -> float:
    """One fixed moment, seconds since the epoch, UTC."""
    return NOW


@pytest.fixture
def clock() -> ManualClock:
    """A clock that starts at NOW and moves only when told."""
    return ManualClock(NOW)


@pytest.fixture
def secret() -> str:
    """A secret of 64 hex digits that is not the seeds' example."""
    return SECRET


@pytest.fixture(scope="session")
def postgres_template(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A migrated database on PostgreSQL, of this process's own, to which nobody is connected: for copies."""
    name = f"rollout_template_{os.getpid()}"
    with databases.postgres_database(name):
        with django_db_blocker.unblock(), databases.alias("template", databases.postgres(name)) as alias:
            databases.migrated(alias)
        yield name


@pytest.fixture(autouse=True, scope="session")
def _host() -> Iterator[None]:
    """The folder of this process's kill file, which nobody else may write to."""
    folder = os.path.dirname(KILL_FILE)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_trip_left_behind() -> Iterator[None]:
    """Clear what a test has tripped: the tests of one process share a host."""
    yield
    with contextlib.suppress(OSError):
        os.unlink(f"{KILL_FILE}.trip")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that opens an IP connection without saying so with `@pytest.mark.network` or `postgres`."""
    if request.node.get_closest_marker("network") or request.node.get_closest_marker("postgres"):
        return
    real = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test without the network marker tried to connect to {address!r}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed run: what is not there must be missed, not passed over."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nnothing skips in CI: {len(reporter.stats['skipped'])} did")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured: `record_property("figures", ...)`."""
    for report in [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]:
        for name, value in report.user_properties:
            if name == "figures" and report.when == "call":
                terminalreporter.write_line(str(value))
