"""Gated by flagd (file), LaunchDarkly (test data), Unleash (its client), under our switch, ceiling, guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api

from rollout import Decision, ErrorCode, FlagKey, Gate, KillFile, Percentage, Reason
from rollout.actor import Actor
from rollout.commands import Start
from rollout.plan import Plan
from rollout.remote import Remote, RemoteFlags
from rollout.rollout_state import State
from rollout.runner import Runner
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock
from rollout.watch import Watch
from tests.guarding import BEGIN, WELL, row
from tests.integration.openfeature.peers import FLAG, Flagd, LaunchDarkly, Peer, Unleash
from tests.waiting import until

KEY, DOMAIN = FlagKey("tournament-webhooks"), "peer"


FRANK = [pytest.param(Flagd, id="flagd"), pytest.param(LaunchDarkly, id="launchdarkly")]
UNLEASH = pytest.param(Unleash, id="unleash", marks=pytest.mark.network)


@pytest.fixture(params=[*FRANK, UNLEASH])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    """A real provider that lets everybody in, and is ready."""
    made: Peer = request.param(tmp_path)
    api.set_provider_and_wait(made.provider, DOMAIN)
    yield made
    api.shutdown()
    made.close()


def gate(folder: Path, *, flag: str = FLAG, **options: Any) -> Gate:
    """A gate over it, with a kill file of the test's own."""
    remote = Remote(
        flags={KEY: flag}, domain=DOMAIN, timeout_seconds=5, fixed={"kind": "tournament"}, names={}
    )
    given = {"kill": KillFile(str(folder / "kill")), "refresh_seconds": 0} | options
    return Gate(KEY, RemoteFlags(remote, **given))


def test_it_decides_and_its_change_is_seen(peer: Peer, tmp_path: Path) -> None:
    """On, off, on: at the gate and before sending."""
    asked = gate(tmp_path)

    on = asked(101, attributes={"tournament_id": 101, "region": "eu"})  # which the unit did not need
    peer.says(False)
    off, held = asked(101), asked.recheck("101", admitted_by=on.reason)
    peer.says(True)

    assert on.value
    assert (off.value, off.error_code) == (held.value, held.error_code) == (False, None)
    assert held.reason not in (Reason.ERROR, Reason.STALE)  # held, not waited for
    assert asked(101).value


@pytest.mark.parametrize("peer", FRANK, indirect=True)
def test_disabled_there_is_disabled_here(peer: Peer, tmp_path: Path) -> None:
    """What attributes let in is held too."""
    asked = gate(tmp_path)

    peer.disables()
    held = asked.recheck("101", admitted_by=Reason.TARGETING_MATCH)

    assert (held.value, held.reason) == (False, Reason.DISABLED)


@pytest.mark.parametrize("peer", [UNLEASH], indirect=True)
def test_unleash_does_not_say_why_it_is_off(peer: Unleash, tmp_path: Path) -> None:
    """Disabled, or not there, is one bare no: what attributes let in only our own controls can hold."""
    asked = gate(tmp_path)
    by_unit = asked(101, attributes={"region": "eu"})

    peer.disables()
    missing = gate(tmp_path, flag="missing")(101)
    held = asked.recheck("101", admitted_by=by_unit.reason)
    sent = asked.recheck("101", admitted_by=Reason.TARGETING_MATCH)
    KillFile(str(tmp_path / "kill")).pull("test")
    killed = asked.recheck("101", admitted_by=Reason.TARGETING_MATCH)

    assert by_unit.reason is Reason.UNKNOWN
    assert (missing.value, missing.reason, missing.error_code) == (False, Reason.UNKNOWN, None)
    assert (held.value, held.reason, held.error_code) == (False, Reason.UNKNOWN, None)
    assert sent.value
    assert (killed.value, killed.reason) == (False, Reason.DISABLED)


@pytest.mark.parametrize("peer", [UNLEASH], indirect=True)
def test_unleash_that_lost_its_server_goes_on_and_our_switch_stops_it(
    peer: Peer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It never says that it is stale, so that nobody can know: the kill switch stands above."""
    asked = gate(tmp_path)

    peer.close()
    until(lambda: "fetch failed" in caplog.text, seconds=10, or_else=lambda: "Unleash did not ask its server")
    after = asked(101).value
    KillFile(str(tmp_path / "kill")).pull("test")

    assert after
    assert not asked(101).value


@pytest.mark.parametrize("peer", FRANK, indirect=True)
def test_a_flag_it_does_not_have_is_off(peer: Peer, tmp_path: Path) -> None:
    """With its code."""
    decision = gate(tmp_path, flag="missing")(101)

    assert (decision.value, decision.error_code) == (False, ErrorCode.FLAG_NOT_FOUND)


def test_our_kill_switch_and_ceiling_stand_above_it(peer: Peer, tmp_path: Path) -> None:
    """It says True to everybody all the while."""
    ceiling = {KEY: Percentage.parse(25)}
    asked = gate(tmp_path, ceilings=lambda: ceiling)

    quarter = sum(asked(unit).value for unit in range(400))
    KillFile(str(tmp_path / "kill")).pull("test")
    killed = sum(asked(unit).value for unit in range(400))

    assert 70 < quarter < 130
    assert killed == 0


class Evidence:
    """Rows of (minute, endpoint) that a test writes."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def rows(self, flag: FlagKey, *, from_minute: int) -> list[Any]:
        """Return what there is."""
        return [each for each in self.kept if each.minute >= from_minute]


def test_our_guard_rolls_back_what_it_lets_in(peer: Peer, tmp_path: Path) -> None:
    """A rollout of 5 %: well at first; then the receiver fails, and nobody is let in though it says True."""
    clock, evidence = ManualClock(BEGIN), Evidence()
    store = MemoryRolloutStore(clock=clock)
    runner = Runner(KEY, store, Watch(evidence), plan=lambda: Plan(flag=KEY), owner="test")

    def ceilings() -> dict[FlagKey, Percentage]:
        found = store.load(KEY).ceiling
        return {} if found is None else {KEY: found}

    asked = gate(tmp_path, ceilings=ceilings)
    runner.obey(Start(by=Actor(name="anna", authenticated=True), reason="go"))
    admitted = [unit for unit in range(400) if asked(unit)]
    for minute in range(10):
        counts = WELL if minute < 4 else {"ok": 5, "failed_server_error": 25, "attempts": 30}
        evidence.kept.append(row(minute, counts))
        clock.advance(60)
        runner.tick()
    rechecked: list[Decision] = [asked.recheck(str(unit), admitted_by=Reason.SPLIT) for unit in admitted]

    assert 5 < len(admitted) < 40
    assert store.load(KEY).state in (State.ROLLING_BACK, State.ROLLED_BACK)
    assert {(each.value, each.detail) for each in rechecked} == {(False, "ceiling 0")}
    assert not any(asked(unit) for unit in range(400))
