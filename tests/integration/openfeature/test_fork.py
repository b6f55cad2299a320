"""A provider with a thread of its own, and forks: off or right in the child, never on by what was once so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from openfeature import api

from rollout import FlagKey, Gate, KillFile
from rollout.remote import Remote, RemoteFlags
from tests.integration.openfeature.peers import FLAG, Flagd, LaunchDarkly
from tests.integration.openfeature.test_processes import ask, ask_both, gunicorn_over, in_a_child

KEY, DOMAIN = FlagKey("tournament-webhooks"), "peer"
PATIENCE_SECONDS = 20

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.mark.parametrize("kind", [Flagd, LaunchDarkly], ids=["flagd", "launchdarkly"])
def test_a_provider_set_before_a_fork_closes_the_childs_gate(kind: Any, tmp_path: Path) -> None:
    """It would answer yes there for ever, whatever the other side says: off, and a sender waits."""
    peer = kind(tmp_path)
    api.set_provider_and_wait(peer.provider, DOMAIN)
    kill = KillFile(str(tmp_path / "kill"))
    gate = Gate(KEY, RemoteFlags(Remote(flags={KEY: FLAG}, domain=DOMAIN, timeout_seconds=5), kill=kill))
    before = gate(101).value

    def child() -> list[Any]:
        return [gate(101).value, str(gate(101).error_code), str(gate.recheck("101").reason)]

    in_child = in_a_child(child)
    after = gate(101).value

    assert (before, after) == (True, True)
    assert in_child == [False, "PROVIDER_NOT_READY", "ERROR"]


@pytest.mark.network
@pytest.mark.parametrize("made_in", ["worker", "parent"])
def test_under_gunicorns_preload_a_worker_is_right_or_closed(made_in: str, tmp_path: Path) -> None:
    """Named in the settings it is made in each worker, and follows its file; set in the parent: closed."""
    peer = Flagd(tmp_path)
    environ = {
        "PRELOADED_FLAGS": str(peer.path),
        "PRELOADED_KILL": str(tmp_path / "kill"),
        "PRELOADED_MADE_IN": made_in,
    }

    with gunicorn_over("tests.integration.openfeature.preloaded_flagd", environ) as address:
        first = ask(address)
        opens = made_in == "parent" or settles(address, value=True)
        peer._write(value=False)
        closes = settles(address, value=False)

    assert opens
    assert closes
    assert made_in == "worker" or (first["gate"], "before a fork" in first["why"]) == (False, True)


def settles(address: str, *, value: bool) -> bool:
    """Ask until both workers answer *value*; whether that came to pass."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        both = ask_both(address)
        if both[0]["pid"] != both[1]["pid"] and {each["gate"] for each in both} == {value}:
            return True
    return False
