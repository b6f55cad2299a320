"""What flagd and LaunchDarkly say when they are broken, in their own packages: off, with the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ldclient.interfaces import DataSourceState
from openfeature import api
from openfeature.provider import ProviderStatus

from rollout import Decision, ErrorCode, FlagKey, KillFile, Reason
from rollout.remote import Remote, RemoteFlags
from tests import waiting
from tests.integration.openfeature.peers import FLAG, Flagd, LaunchDarkly

KEY, DOMAIN = FlagKey("tournament-webhooks"), "peer"


@pytest.fixture
def flagd(tmp_path: Path) -> Iterator[Flagd]:
    """Flagd over a file that lets everybody in."""
    peer = Flagd(tmp_path)
    api.set_provider_and_wait(peer.provider, DOMAIN)
    yield peer
    api.shutdown()


@pytest.fixture
def launchdarkly(tmp_path: Path) -> Iterator[LaunchDarkly]:
    """LaunchDarkly over test data that let everybody in, connected."""
    peer = LaunchDarkly(tmp_path)
    api.set_provider_and_wait(peer.provider, DOMAIN)
    peer.lives(DataSourceState.VALID)
    yield peer
    api.shutdown()


def flags(folder: Path, **options: Any) -> RemoteFlags:
    """What our gate asks, with a kill file of the test's own."""
    remote = Remote(flags={KEY: FLAG}, domain=DOMAIN, timeout_seconds=5)
    return RemoteFlags(remote, kill=KillFile(str(folder / "kill")), refresh_seconds=0, **options)


def until(asked: RemoteFlags, holds: Callable[[Decision], bool]) -> Decision:
    """Ask until *holds*: their packages notice on threads of their own."""
    end = time.monotonic() + 10
    while not holds(decision := asked.decide(KEY, 101)):
        assert time.monotonic() < end, decision.explain()
        time.sleep(0.005)
    return decision


def status_becomes(wanted: ProviderStatus) -> None:
    """Wait for what the SDK knows of the provider."""
    status = api.get_client(DOMAIN).get_provider_status
    waiting.until(lambda: status() is wanted, seconds=10, or_else=status)


@pytest.mark.parametrize(
    "yes", [pytest.param("true", id="text"), pytest.param(1, id="number"), pytest.param({}, id="object")]
)
def test_a_flagd_variant_of_another_type_is_off(flagd: Flagd, tmp_path: Path, yes: Any) -> None:
    """However true it sounds."""
    asked = flags(tmp_path)
    before = asked.decide(KEY, 101).value

    flag = {"state": "ENABLED", "variants": {"yes": yes}, "defaultVariant": "yes"}
    flagd.writes(json.dumps({"flags": {FLAG: flag}}))
    decision = until(asked, lambda answer: not answer.value)

    assert before
    assert (decision.reason, decision.error_code) == (Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert asked.decide_strict(KEY, 101).reason is Reason.ERROR  # a sender waits


def test_a_file_of_flagd_that_cannot_be_read_is_off_until_it_can(flagd: Flagd, tmp_path: Path) -> None:
    """Flagd goes on answering what it had; that it is in error counts."""
    asked = flags(tmp_path)
    before = asked.decide(KEY, 101).value

    flagd.writes('{"flags": {')
    corrupt = until(asked, lambda answer: not answer.value)
    waits = asked.decide_strict(KEY, 101)
    flagd.says(True)
    again = until(asked, lambda answer: answer.value)

    assert before
    assert (corrupt.reason, corrupt.error_code) == (Reason.ERROR, ErrorCode.GENERAL)
    assert "in error" in corrupt.detail
    assert (waits.value, waits.reason) == (False, Reason.ERROR)
    assert again.error_code is None


def test_a_file_of_flagd_that_is_gone_is_off_until_it_is_back(flagd: Flagd, tmp_path: Path) -> None:
    """Somebody deploys it by deleting the old one first."""
    asked = flags(tmp_path)
    before = asked.decide(KEY, 101).value

    flagd.path.unlink()
    gone = until(asked, lambda answer: not answer.value)
    flagd.says(True)
    again = until(asked, lambda answer: answer.value)

    assert before
    assert (gone.reason, gone.error_code) == (Reason.ERROR, ErrorCode.GENERAL)
    assert "in error" in gone.detail
    assert again.error_code is None


def test_launchdarkly_without_its_connection_is_believed_for_a_while(
    launchdarkly: LaunchDarkly, tmp_path: Path
) -> None:
    """Stale: 2 s before sending, 30 s at the gate; connected again, it is believed again."""
    now = [0.0]
    asked = flags(tmp_path, monotonic=lambda: now[0])
    assert asked.decide(KEY, 101).value

    launchdarkly.lives(DataSourceState.INTERRUPTED)
    status_becomes(ProviderStatus.STALE)
    at_once = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)
    now[0] = 3
    soon = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)
    now[0] = 31
    late = asked.decide(KEY, 101)
    launchdarkly.lives(DataSourceState.VALID)
    status_becomes(ProviderStatus.READY)
    again = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)

    assert [each.value for each in (*at_once, *soon, late, *again)] == [
        *(True, True),
        *(True, False),
        False,
        *(True, True),
    ]
    assert (soon[1].reason, late.reason) == (Reason.STALE, Reason.STALE)
    assert "for 31 s" in late.detail


def test_launchdarkly_that_is_shut_off_is_an_error(launchdarkly: LaunchDarkly, tmp_path: Path) -> None:
    """Its key was revoked, say: it answers what it had, and that is nobody's word any more."""
    asked = flags(tmp_path)
    before = asked.decide(KEY, 101).value

    launchdarkly.lives(DataSourceState.OFF)
    status_becomes(ProviderStatus.ERROR)
    decision, waits = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)

    assert before
    assert (decision.value, decision.reason, decision.error_code) == (
        *(False, Reason.ERROR),
        ErrorCode.GENERAL,
    )
    assert waits.reason is Reason.ERROR


def test_a_launchdarkly_flag_of_another_type_is_off(launchdarkly: LaunchDarkly, tmp_path: Path) -> None:
    """However true it sounds."""
    data = launchdarkly.data
    data.update(data.flag(FLAG).variations("true", "false").fallthrough_variation(0).on(True))

    decision = flags(tmp_path).decide(KEY, 101)

    assert (decision.value, decision.error_code) == (False, ErrorCode.TYPE_MISMATCH)
