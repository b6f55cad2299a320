"""A replica is promoted that lacks the last decision: nobody goes on without it, whoever writes there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import ClearTrip, Kill, Pause, Resume, Spoken, Start, Unkill
from rollout.django import driving, flag_rows, record_outcome, running, wiring
from rollout.django.flag_file import change_in
from rollout.django.permit import send_permit
from rollout.django.polling import DatabasePoll
from rollout.django.pulse import Pulse
from rollout.percentage import Percentage
from rollout.rollout_state import RolloutState
from rollout.runner import Outcome, Runner
from tests.integration.django.project import project
from tests.integration.rollout.commands import run, run_json
from tests.integration.rollout.test_every_door import queued
from tests.integration.rollout.test_restored import backup, restore
from webhooks_core.delivery import PermitVerdict
from webhooks_core.testing.captured import real_delivery

pytestmark = [pytest.mark.network]
ANNA = Actor(name="user:17", authenticated=True)
IN = "11"  # a unit that is in at 25 %
LEFT_OUT = ["latency", "dispatch_time", "breaker_openings", "retried", "client_errors", "server_errors"]
PLAN = {
    "stages": [{"percentage": "25", "bake": "1s"}, {"percentage": "50", "bake": "1h"}],
    "criteria": {"leave_out": LEFT_OUT},
}
# What a sender may do that has obeyed it: nobody is in after a kill; a pause keeps the percentage.
MAY = {Kill: PermitVerdict.HOLD, Pause: PermitVerdict.WAIT}
KILL, PAUSE = Kill(by=ANNA, reason="garbage"), Pause(by=ANNA, reason="we look into it")


@pytest.fixture
def fleet(alias: str, tmp_path: Path) -> Iterator[str]:
    """A rollout at 25 % whose next stage is due, and one sender that has told of it."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias, "BREAKER_STORE": "database"},
        ROLLOUT={"PLAN": PLAN, "DATABASE": alias, "KILL_FILE": str(tmp_path / "kill")},
    )
    with override_settings(**values), real_delivery():
        poll()._refresh_seconds = 0.0  # no waiting for the next look
        driving.runner().obey(Start(by=ANNA, reason="go"))
        for _ in range(60):
            record_outcome("success", latency_seconds=0.1)
        yield alias


def poll() -> DatabasePoll:
    """What this process knows of the database."""
    found = wiring.built().poll
    assert found is not None
    return found


def state() -> RolloutState:
    """Where the rollout stands in the database."""
    return driving.store().load(driving.driving().flag)


def lose(alias: str, sender: Pulse, command: Spoken) -> None:
    """A command that the sender has obeyed, and that the promoted replica never got."""
    sender.beat("w1")
    kept = backup(alias)
    driving.runner().obey(command)
    sender.beat("w1")
    restore(alias, kept)


def baked(runner: Runner) -> Runner:
    """Ticks until only the next one is missing."""
    runner.tick()
    time.sleep(1.1)  # the stage's bake time, by the database's clock
    return runner


@pytest.mark.parametrize("command", [KILL, PAUSE], ids=["kill", "pause"])
@pytest.mark.parametrize("who", ["a-beat-task", "a-standby", "the-one-at-work"])
def test_no_runner_undoes_what_a_sender_has_obeyed(
    fleet: str, *, command: Spoken, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever runner comes first: the sender says so while it is heard, the stage stays, nobody sends."""
    sender = Pulse()
    runner = baked(driving.runner())
    lose(fleet, sender, command)
    if who != "the-one-at-work":
        with connections[fleet].cursor() as cursor:
            cursor.execute("UPDATE rollout_rollout SET fence_until_at = 0")
        runner = driving.runner()
    runner._wait = lambda _seconds: sender.beat("w1")  # the sender's thread, while it is heard
    monkeypatch.setattr(driving, "runner", lambda **_options: runner)

    right_after = send_permit(queued(IN)).verdict
    outcomes = {(running.once() if who == "a-beat-task" else runner.tick()).outcome for _ in range(3)}

    assert outcomes == {Outcome.STORE_WENT_BACK}
    assert str(state().ceiling) == "25"
    assert (right_after, send_permit(queued(IN)).verdict) == (MAY[type(command)], MAY[type(command)])


@pytest.mark.parametrize("command", [KILL, PAUSE], ids=["kill", "pause"])
def test_no_number_of_writes_hides_a_lost_decision(fleet: str, *, command: Spoken) -> None:
    """Nobody was heard yet; others write at the same version and beyond it: the sender waits, and says so."""
    sender = Pulse()
    lose(fleet, sender, command)
    verdicts = []
    for _ in range(4):
        driving.runner().obey(ClearTrip(by=ANNA, reason="whatever makes a version"))
        verdicts.append(send_permit(queued(IN)).verdict)
    sender.beat("w1")
    told = run_json("status")[1]["plan"]["went_back"]
    refused = run("resume", "--reason", "go on")

    assert set(verdicts) == {MAY[type(command)]}
    assert "store went back" in told
    assert refused[0] == 2


def test_a_sender_that_has_just_begun_waits_because_another_has_seen_more(fleet: str) -> None:
    """A deploy, or a crash, in the middle of the fail-over: who knows of nothing asks the others."""
    lose(fleet, sender := Pulse(), KILL)
    old = poll()
    sender.beat("w1")

    wiring.built.forget()
    fresh = poll()
    fresh._refresh_seconds = 0.0
    waits = send_permit(queued(IN)).verdict
    lost = fresh.look().is_lost
    run("accept-store", "--reason", "it is right")
    accepted = send_permit(queued(IN)).verdict

    assert fresh is not old
    assert (waits, lost, accepted) == (PermitVerdict.WAIT, False, PermitVerdict.SEND)


def test_one_word_of_a_person_ends_it(fleet: str) -> None:
    """Senders go on by what is there, runners go up again, and nothing is told any more."""
    lose(fleet, sender := Pulse(), PAUSE)
    sender.beat("w1")

    accepted, said = run("accept-store", "--reason", "the pause is not needed")
    verdict = send_permit(queued(IN)).verdict
    sender.beat("w1")

    assert accepted == 0, said
    assert verdict is PermitVerdict.SEND
    assert [each.seen_version for each in driving.store().senders(state().flag)] == [0]
    assert run_json("status")[1]["plan"]["went_back"] == ""


def test_the_store_that_has_everything_ends_it_too(fleet: str) -> None:
    """The old primary is back with the kill: it is obeyed at once, without anybody's word."""
    sender = Pulse()
    sender.beat("w1")
    before = backup(fleet)
    driving.runner().obey(KILL)
    sender.beat("w1")
    whole = backup(fleet)
    restore(fleet, before)
    went_back = poll().look(strictly=True).went_back

    restore(fleet, whole)
    sender.beat("w1")

    assert went_back
    assert send_permit(queued(IN)).verdict is PermitVerdict.HOLD
    assert poll().look().problem == ""


def test_a_killed_rollout_that_was_begun_again_there_is_not_obeyed(fleet: str) -> None:
    """By persons who did not know of the kill: two commands, at its version and above."""
    lose(fleet, Pulse(), KILL)

    driving.runner().obey(PAUSE)
    at_the_same_version = poll().look(strictly=True).went_back
    driving.runner().obey(Resume(by=ANNA, reason="go on"))
    driving.runner().obey(Kill(by=ANNA, reason="another"))
    driving.runner().obey(Unkill(by=ANNA, reason="over"))
    ceilings = poll().look(strictly=True).ceilings()

    assert at_the_same_version
    assert poll().look().went_back
    assert set(ceilings.values()) == {Percentage.NOBODY}


def test_flags_that_were_changed_again_at_a_lost_version_are_not_obeyed(alias: str, tmp_path: Path) -> None:
    """50 % was lost, 1 % has its version now: a worker waits, and a person's word puts 1 % in force."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias, "BREAKER_STORE": "database"},
        ROLLOUT={"SOURCE": "database", "DATABASE": alias, "KILL_FILE": str(tmp_path / "kill")},
    )
    flag = driving.driving().flag

    def set_to(percentage: str) -> None:
        stored = flag_rows.read(driving.store())
        change = change_in(stored.text, flag, percentage, origin="database")
        flag_rows.write(
            driving.store(), change.after, expected=stored, by=ANNA, reason="x", observer=lambda _fact: None
        )

    def in_force() -> str:
        return str(poll().snapshot().flags[flag].percentage)

    del values["ROLLOUT"]["FLAGS"]
    with override_settings(**values):
        poll()._refresh_seconds = 0.0
        document = tmp_path / "flags.json"
        document.write_text(f'{{"schema": 1, "flags": {{"{flag}": {{"percentage": "5"}}}}}}')
        run("flag", "load", str(document))
        kept = backup(alias)
        set_to("50")
        seen = in_force()
        restore(alias, kept)
        set_to("1")
        after, waits = in_force(), not poll().is_confirmed()
        accepted, said = run("accept-store", "--reason", "1 % is right")

        assert (seen, after, waits) == ("50", "50", True)
        assert accepted == 0, said
        assert (in_force(), poll().is_confirmed()) == ("1", True)


def test_two_senders_of_one_name_are_two(fleet: str) -> None:
    """Two containers with one host name and the process number 1: an epoch is acknowledged by each."""
    one, other = Pulse(), Pulse()
    one.beat("node:1")
    other.beat("node:1")
    before = len(driving.store().senders(state().flag))
    driving.runner().obey(KILL)

    one.beat("node:1")

    epochs = [sender.epoch for sender in driving.store().senders(state().flag)]
    assert before == 2
    assert sorted(epochs) == [state().epoch - 1, state().epoch]
