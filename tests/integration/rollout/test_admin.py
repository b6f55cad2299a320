"""Rollouts in the admin: shown with reasons, moved with a permission each, by an authenticated actor."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import Client, override_settings
from django.urls import reverse

from rollout.actor import Actor
from rollout.commands import Pause, RollBack, Start
from rollout.django import admin_acts, conf, dispatch, driving
from rollout.django.models import JournalEntry, Rollout, Sender
from rollout.errors import KillFileStuck, StoreConflict
from rollout.rollout_state import RolloutState, State
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire
from tests.integration.django.project import project
from tests.integration.django.test_admin import SETTINGS
from webhooks_core.delivery import Delivery
from webhooks_core.django import wiring as webhooks
from webhooks_core.django.models import Delivery as Queued
from webhooks_core.django.outbox import Entry
from webhooks_core.testing.captured import real_delivery

pytestmark = pytest.mark.django_db(transaction=True)
LISTED = "admin:rollout_rollout_changelist"
STAGES = [{"percentage": "5", "bake": "1h"}, {"percentage": "100", "approval": True}]
ANNA = Actor(name="anna")


@pytest.fixture(autouse=True)
def _admin(tmp_path: Path) -> Iterator[None]:
    rollout = {"PLAN": {"stages": STAGES}, "KILL_FILE": str(tmp_path / "kill")}
    # Breakers in the database have a thread, and that a connection, which nobody can close in memory.
    webhooks = {"ENGINE": "worker", "BREAKER_STORE": "memory"}
    with override_settings(**project(WEBHOOKS=webhooks, ROLLOUT=rollout), **SETTINGS):
        driving.runner().obey(Start(by=ANNA, reason="go"))
        yield


def person(*permissions: str, name: str = "bert") -> Client:
    """Somebody of the staff with these permissions, logged in."""
    user = User.objects.create(username=name, is_staff=True, is_active=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="rollout", codename__in=permissions)
    )
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *, reason: str = "", **filled_in: str) -> str:
    """Choose an action for the rollout; return the page that follows."""
    picked = [str(row.pk) for row in Rollout.objects.all()]
    data = {"action": action, "_selected_action": picked, "reason": reason, **filled_in}
    return unescape(client.post(reverse(LISTED), data, follow=True).content.decode())


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)


def test_state_stage_ceiling_and_reason_are_shown() -> None:
    """On the list and on the page of one; with the reason in its own words."""
    client = person("view_rollout")
    driving.runner().obey(Pause(by=ANNA, reason="the receiver deploys"))

    listed = client.get(reverse(LISTED)).content.decode()
    shown = client.get(reverse("admin:rollout_rollout_change", args=[Rollout.objects.get().pk]))

    for text in ("PAUSED", "1 of 2", "the receiver deploys", "anna"):
        assert text in listed
        assert text in shown.content.decode()


def test_a_long_reason_is_cut_in_the_list_and_whole_on_its_page() -> None:
    """A verdict names every measure."""
    reason = "word " * 60 + "end"
    driving.runner().obey(Pause(by=ANNA, reason=reason))
    client = person("view_rollout", "view_journalentry")
    entry = JournalEntry.objects.order_by("version").last()
    assert entry is not None

    lists = [client.get(reverse(f"admin:rollout_{each}_changelist")) for each in ("rollout", "journalentry")]
    page = client.get(reverse("admin:rollout_journalentry_change", args=[entry.pk]))

    for listed in lists:
        assert "word word" in listed.content.decode()
        assert reason not in listed.content.decode()
        assert "KILLED" not in listed.content.decode()
    assert reason in page.content.decode()


def test_a_row_that_cannot_be_read_is_said_to_be_so() -> None:
    """The page comes all the same."""
    Rollout.objects.update(content="{")

    listed = person("view_rollout").get(reverse(LISTED))

    assert listed.status_code == 200
    assert "content cannot be read" in listed.content.decode()


@pytest.mark.parametrize("model", ["rollout", "journalentry", "sender"])
def test_nothing_can_be_added_edited_or_deleted(model: str) -> None:
    """Whatever permissions somebody has."""
    driving.store().beat("app-1/1.0", {}, lease_seconds=3.0)
    found = {"rollout": Rollout, "journalentry": JournalEntry, "sender": Sender}[model]
    (key,) = found.objects.values_list("pk", flat=True)
    client = person("view_rollout", "view_journalentry", "view_sender", "change_rollout", "drive_rollout")

    codes = [
        client.get(reverse(f"admin:rollout_{model}_add")).status_code,
        client.get(reverse(f"admin:rollout_{model}_delete", args=[key])).status_code,
        client.post(reverse(f"admin:rollout_{model}_change", args=[key]), {"state": "X"}).status_code,
    ]

    assert codes == [403, 403, 403]
    assert client.get(reverse(f"admin:rollout_{model}_changelist")).status_code == 200


def test_evidence_is_not_listed() -> None:
    """A row a minute is nothing to look through."""
    from django.contrib import admin

    from rollout.django.models import EvidenceMinute

    assert not admin.site.is_registered(EvidenceMinute)


@pytest.mark.parametrize("action", ["start", "pause", "roll_back", "kill", "unkill", "clear_trip"])
def test_each_act_needs_its_permission(action: str, tmp_path: Path) -> None:
    """Who may look may not move; no file is made either."""
    before = state()
    act(person("view_rollout"), action, reason="because", confirmed="on")

    assert state() == before
    assert not (tmp_path / "kill").exists()


def test_pause_resume_and_approve_go_the_runners_way() -> None:
    """The journal has the person's key, as authenticated, and the reason."""
    client = person("view_rollout", "drive_rollout")

    act(client, "pause", reason="lunch")
    paused = state()
    act(client, "resume")
    act(client, "approve")

    user = User.objects.get()
    entries = driving.store().journal(state().flag)
    assert (paused.state, paused.reason, paused.actor) == (State.PAUSED, "lunch", f"user:{user.pk}")
    assert [str(each.percentage) for each in state().approvals] == ["100"]
    assert all(entry.authenticated for entry in entries[1:])


def test_roll_back_needs_a_reason_and_lets_nobody_in() -> None:
    """Without one nothing is changed."""
    client = person("view_rollout", "drive_rollout")

    refused = act(client, "roll_back")
    before = state().state
    act(client, "roll_back", reason="complaints")

    assert "Give a reason" in refused
    assert (before, state().state, str(state().ceiling)) == (State.RUNNING, State.ROLLING_BACK, "0")


@pytest.fixture
def _rolled_back() -> None:
    runner = driving.runner()
    runner.obey(RollBack(by=ANNA, reason="complaints"))
    runner.tick()


def units() -> list[int]:
    """The units of a small project: nobody is in at 5 %."""
    return [1, 2]


def hold(count: int) -> None:
    """Have deliveries held from before."""
    body = b'{"event":"test","data":{},"metadata":{"webhook_id":"1"}}'
    outbox = webhooks.sending().outbox
    assert outbox is not None
    ids = [webhooks.new_delivery_id() for _ in range(count)]
    deliveries = [
        Delivery(webhook_id=each, event="test", body=body, created_at=time.time(), unit="1") for each in ids
    ]
    outbox.add_many([Entry(delivery=each) for each in deliveries])
    Queued.objects.update(state="held", due_at=None, turn=None)


@pytest.mark.usefixtures("_rolled_back")
def test_a_start_says_what_it_would_do_and_begins_once_it_is_confirmed() -> None:
    """The command's rules: the first stage, a reason, an authenticated actor in the journal."""
    client = person("view_rollout", "drive_rollout")

    blank = act(client, "start", confirmed="on")
    asked = act(client, "start", reason="receiver repaired")
    before = state().state
    done = act(client, "start", reason="receiver repaired", confirmed="on")

    entry = driving.store().journal(state().flag)[-1]
    assert "Give a reason" in blank
    assert "Stage 1 of 2: 5 %, for 1 h 0 min." in asked
    assert "Nothing was changed: tick “confirmed” to begin." in asked
    assert before is State.ROLLED_BACK
    assert "ROLLED_BACK at 0 % -> RUNNING at 5 %, stage 1 of 2, by user:" in done
    assert (state().state, state().reason, entry.authenticated) == (State.RUNNING, "receiver repaired", True)


@pytest.mark.usefixtures("_rolled_back")
def test_a_start_tells_of_an_empty_cohort_before_it_is_confirmed() -> None:
    """5 % of two tournaments is nobody; whoever confirms it has been told."""
    client = person("view_rollout", "drive_rollout")
    with override_settings(ROLLOUT={**settings.ROLLOUT, "UNITS": f"{__name__}.units"}):
        asked = act(client, "start", reason="go")
        done = act(client, "start", reason="go", confirmed="on")

    assert "Look: nobody is in: the cohort is empty." in asked
    assert "0 units are in." in done
    assert state().state is State.RUNNING


@pytest.mark.usefixtures("_rolled_back")
def test_a_start_asks_what_becomes_of_held_deliveries() -> None:
    """Nothing is released or dropped without a choice, nor by whom the outbox's page would not let."""
    hold(2)
    client = person("view_rollout", "drive_rollout")

    asked = act(client, "start", reason="go")
    open_question = act(client, "start", reason="go", confirmed="on")
    not_theirs = act(client, "start", reason="go", confirmed="on", held="drop")
    before = (state().state, Queued.objects.filter(state="held").count())
    kept = act(client, "start", reason="go", confirmed="on", held="keep")

    assert "Held from before: 2; choose what becomes of them." in asked
    assert "Here: choose under “held deliveries”." in open_question
    assert "takes the permission webhooks.drop_delivery. Nothing was changed." in not_theirs
    assert before == (State.ROLLED_BACK, 2)
    assert "2 held: kept." in kept
    assert (state().state, Queued.objects.filter(state="held").count()) == (State.RUNNING, 2)


@pytest.mark.usefixtures("_rolled_back")
def test_whoever_may_drop_may_drop_at_a_start() -> None:
    """The same act as the outbox's own."""
    hold(2)
    client = person("view_rollout", "drive_rollout")
    User.objects.get().user_permissions.add(Permission.objects.get(codename="drop_delivery"))

    done = act(client, "start", reason="go", confirmed="on", held="drop")

    assert "Held before:" in done
    assert (state().state, Queued.objects.filter(state="held").count()) == (State.RUNNING, 0)


def test_what_is_under_way_cannot_be_started_again() -> None:
    """Said before anybody confirms."""
    said = act(person("view_rollout", "drive_rollout"), "start", reason="go")

    assert "possible only while NOT_STARTED, ROLLED_BACK" in said
    assert state().reason == "go"


@pytest.mark.parametrize("action", ["kill", "roll_back"])
def test_a_stop_says_who_has_stopped_now_and_at_each_reload(action: str) -> None:
    """The page does not wait; it says whom the stop has not reached."""
    client = person("view_rollout", "kill_rollout", "drive_rollout")
    store, flag = driving.store(), state().flag
    for name in ("web-1/1.0", "web-2/1.0"):
        store.beat(name, {flag: state().epoch}, lease_seconds=60.0)

    said = act(client, action, reason="garbage")
    store.beat("web-1/1.0", {flag: state().epoch}, lease_seconds=60.0)
    listed = client.get(reverse(LISTED)).content.decode()
    changing = reverse("admin:rollout_rollout_change", args=[Rollout.objects.get().pk])
    page = client.get(changing).content.decode()

    assert "0 of 2 stopped; waiting for web-1/1.0, web-2/1.0. Reload this page" in said
    assert re.search(r"1 of 2 stopped, slowest \d", listed)
    assert re.search(r"web-1/1\.0: stopped after \d\.\d", page)
    assert re.search(r"web-2/1\.0: NOT REACHED, last seen \d\.\d", page)


def test_a_stop_with_nobody_to_reach_says_so() -> None:
    """And once it is over, the page has nothing to wait for."""
    client = person("view_rollout", "kill_rollout")

    said = act(client, "kill", reason="garbage")
    under_way = client.get(reverse(LISTED)).content.decode()
    driving.runner().tick()
    over = client.get(reverse(LISTED)).content.decode()

    assert "No sender that tells its heartbeat was alive." in said
    assert "no sender was alive" in under_way
    assert "no sender was alive" not in over


def test_a_kill_is_told_as_done_where_only_its_reach_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written: a page that failed now would say the opposite."""

    def away(*_arguments: object) -> None:
        raise OperationalError("gone")

    person("view_rollout", "kill_rollout")
    with monkeypatch.context() as patched:
        patched.setattr("rollout.django.management.stopping.look", away)
        said = admin_acts.act(
            "kill",
            User.objects.get(),
            form=admin_acts.Form(reason="garbage"),
            picked=list(Rollout.objects.all()),
        )

    assert said.done
    assert "Who has stopped cannot be read: OperationalError." in said.text
    assert state().killed


def test_what_cannot_be_followed_says_why() -> None:
    """A resume of what is not paused."""
    said = act(person("view_rollout", "drive_rollout"), "resume")

    assert "possible only while PAUSED" in said
    assert state().state is State.RUNNING


def test_kill_and_unkill_reach_host_and_rollout(tmp_path: Path) -> None:
    """The file and the row; back again, it is not started by that."""
    client = person("view_rollout", "kill_rollout")

    act(client, "kill", reason="garbage")
    killed = (state().killed, (tmp_path / "kill").exists())
    act(client, "unkill", reason="drill is over")

    assert killed == (True, True)
    assert (state().killed, (tmp_path / "kill").exists()) == (False, False)
    assert str(state().ceiling) == "0"


def test_a_kill_tells_whoever_finds_the_file_when_who_where_and_why(tmp_path: Path) -> None:
    """In one line, as the commands write it."""
    client = person("view_rollout", "kill_rollout")

    act(client, "kill", reason="garbage  since noon")

    line = (tmp_path / "kill").read_text(encoding="utf-8")
    who = f"user:{User.objects.get().pk}"
    assert re.fullmatch(rf"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ {who}@\S+: garbage since noon\n", line)


def test_an_unkill_of_this_host_alone_says_what_it_did(tmp_path: Path) -> None:
    """Its file was made where no rollout heard of it: the file goes, as by the command."""
    (tmp_path / "kill").touch()

    said = act(person("view_rollout", "kill_rollout"), "unkill", reason="drill is over")

    assert "Nothing was changed" not in said
    assert "ournament-webhooks is RUNNING at 5 %." in said
    assert not (tmp_path / "kill").exists()


def test_an_unkill_that_cannot_be_written_leaves_the_file(tmp_path: Path) -> None:
    """Nothing was changed, then, as it says: the rollout is looked for first, as the command does."""
    client = person("view_rollout", "kill_rollout")
    act(client, "kill", reason="garbage")

    with override_settings(ROLLOUT={"KILL_FILE": str(tmp_path / "kill")}):
        said = act(client, "unkill", reason="over")

    assert "Nothing was changed." in said
    assert (state().killed, (tmp_path / "kill").exists()) == (True, True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OperationalError("gone"), "The database cannot be used: OperationalError."),
        (StoreConflict("version 1", "version 2"), "Nothing was changed."),
    ],
    ids=["away", "conflict"],
)
def test_an_unkill_that_the_rollout_does_not_hear_leaves_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, told: str
) -> None:
    """What lets more through comes last: in doubt this host stays stopped."""

    def refuse(_self: object, _command: object) -> None:
        raise error

    client = person("view_rollout", "kill_rollout")
    act(client, "kill", reason="garbage")
    monkeypatch.setattr("rollout.runner.Runner.obey", refuse)

    said = act(client, "unkill", reason="over")

    assert told in said
    assert (state().killed, (tmp_path / "kill").exists()) == (True, True)


def test_an_unkill_while_the_store_went_back_changes_nothing(tmp_path: Path) -> None:
    """A sender has seen what the store does not know: a person accepts the store first."""
    client = person("view_rollout", "kill_rollout")
    act(client, "kill", reason="garbage")
    driving.store().beat("web-1", {state().flag: 99}, lease_seconds=60.0)

    said = act(client, "unkill", reason="over")

    assert "store went back" in said and "Nothing was changed." in said
    assert (state().killed, (tmp_path / "kill").exists()) == (True, True)


def test_an_unkill_tells_what_is_held_and_what_else_stops(tmp_path: Path) -> None:
    """Nothing becomes of held ones by it, a trip still stops this host, and other hosts have their files."""
    client = person("view_rollout", "kill_rollout")
    act(client, "kill", reason="garbage")
    hold(2)
    found = Trip(at=0.0, flag="f", event="e", kind="address", place="data.note", process="web:1")
    Tripwire(KillFile(str(tmp_path / "kill"))).trip(found)

    said = act(client, "unkill", reason="over")

    assert "2 deliveries are held: a start asks what becomes of them." in said
    assert "STILL STOPPED: personal data was found" in said and "clear the trip" in said
    assert "Other hosts have files of their own." in said
    assert (state().killed, Queued.objects.filter(state="held").count()) == (False, 2)


def test_a_kill_without_a_place_for_its_file_tells_the_rollout_all_the_same(tmp_path: Path) -> None:
    """And says that this host has no file."""
    (tmp_path / "kill").symlink_to(tmp_path / "no" / "folder")

    said = act(person("view_rollout", "kill_rollout"), "kill", reason="garbage")

    assert "NOT STOPPED BY A FILE" in said
    assert state().killed


def test_the_rollout_of_another_environment_is_left_alone() -> None:
    """A dump of production in staging."""
    Rollout.objects.update(environment="elsewhere")

    said = act(person("view_rollout", "drive_rollout"), "pause", reason="x")

    assert "this process drives no other" in said
    assert Rollout.objects.get().state == "RUNNING"


def test_a_trip_is_cleared_by_another_person_with_a_reason(tmp_path: Path) -> None:
    """Contract §8: authenticated in the admin; who let the units in cannot."""
    with real_delivery():
        for unit in range(100):  # a few of them are in
            payload = {"tournament_id": unit, "recipient_count": "a@example.com"}
            dispatch("payment_verified", payload, tournament_id=unit)
    tripped = (tmp_path / "kill.trip").exists()
    anna, bert = person("view_rollout", "clear_trip", name="anna"), person("view_rollout", "clear_trip")

    same = act(anna, "clear_trip", reason="corrected")
    blank = act(bert, "clear_trip")
    still = (tmp_path / "kill.trip").exists()
    done = act(bert, "clear_trip", reason="corrected")
    again = act(bert, "clear_trip", reason="corrected")

    entry = driving.store().journal(state().flag)[-1]
    assert (tripped, still, (tmp_path / "kill.trip").exists()) == (True, True, False)
    assert "another person clears" in same
    assert "Give a reason" in blank
    assert "is removed" in done
    assert "no trip file" in again
    assert (entry.actor, entry.authenticated) == (f"user:{User.objects.get(username='bert').pk}", True)
    assert "example.com" not in done + entry.dumps()


def test_the_journal_shows_reason_numbers_and_who_was_checked() -> None:
    """A star stands where nobody checked the name."""
    with override_settings(WEBHOOK_ENDPOINT=None):  # no breakers: the numbers can be read
        driving.runner().tick()
    driving.runner().obey(RollBack(by=Actor(name="user:9", authenticated=True), reason="enough"))
    client = person("view_journalentry")
    held = JournalEntry.objects.get(cause="the guard holds")

    listed = client.get(reverse("admin:rollout_journalentry_changelist")).content.decode()
    shown = client.get(reverse("admin:rollout_journalentry_change", args=[held.pk])).content.decode()

    assert "anna *" in listed
    assert "user:9" in listed
    assert "user:9 *" not in listed
    assert "0 of 0 deliveries arrived; 25 deliveries are needed at least" in shown


def test_the_settings_flag_is_the_one_that_is_driven() -> None:
    """What the tests above rest on."""
    assert (Rollout.objects.get().flag, Rollout.objects.get().environment) == (conf.current().flag, "test")


def test_a_kill_that_the_database_does_not_hear_stops_this_host_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file comes first, and stays."""

    def away(_self: object, _command: object) -> None:
        raise OperationalError("gone")

    client = person("view_rollout", "kill_rollout")
    driver = person("view_rollout", "drive_rollout", name="carl")
    monkeypatch.setattr("rollout.runner.Runner.obey", away)

    said = act(client, "kill", reason="garbage")

    assert "THE ROLLOUT WAS NOT TOLD: OperationalError. This host is stopped by its file." in said
    assert (tmp_path / "kill").exists()
    assert "The database cannot be used: OperationalError" in act(driver, "pause", reason="x")


def test_a_kill_file_that_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollout comes first: it is put back, nobody is in, and this host is stopped still."""

    def stuck(self: KillFile) -> bool:
        raise KillFileStuck(self.path, "could not be removed (PermissionError)")

    client = person("view_rollout", "kill_rollout")
    act(client, "kill", reason="garbage")
    monkeypatch.setattr(KillFile, "release", stuck)

    said = act(client, "unkill", reason="over")

    assert "STILL STOPPED on this host" in said and "could not be removed (PermissionError)" in said
    assert (state().killed, str(state().ceiling)) == (False, "0")


@pytest.mark.parametrize("action", ["kill", "pause", "roll_back"])
def test_somebody_whose_key_is_an_address_acts_by_its_digest(action: str, tmp_path: Path) -> None:
    """A project whose users are known by their e-mail address: no page breaks, and none shows it."""

    class Anna:
        pk = "anna@example.com"

        def get_username(self) -> str:
            return self.pk

        def has_perm(self, _perm: str) -> bool:
            return True

    said = admin_acts.act(
        action, Anna(), form=admin_acts.Form(reason="fire"), picked=list(Rollout.objects.all())
    )

    entry = driving.store().journal(state().flag)[-1]
    assert said.done
    assert entry.authenticated and re.fullmatch(r"user:[0-9a-f]{16}", entry.actor)
    assert "anna@" not in said.text + entry.dumps()
