"""`manage.py rollout status`: the exit code in every case, the lines, the JSON, and what it costs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connections
from django.test import override_settings

from rollout.controls import KillState
from rollout.django import driving
from rollout.django.management import queued, screen, status, status_data
from rollout.django.management.queued import Count, Queue
from rollout.django.management.standing import Host, Seen, Standing, Watcher, exit_of
from rollout.flags import FlagKey
from rollout.fleet import Sender
from rollout.percentage import Percentage
from rollout.plan import Plan, Stage
from rollout.rollout_state import RolloutState, State
from rollout.situation import Situation
from rollout.sources.trip import Trip
from rollout.verdict import Reading, Verdict
from rollout.verdict import Standing as Measured
from tests.conftest import NOW
from tests.integration.rollout.commands import run, run_json
from webhooks_core.django.answer import Exit
from webhooks_core.django.models import Delivery

pytestmark = pytest.mark.network
FLAG = FlagKey("tournament-webhooks")
PLAN = Plan(
    flag=FLAG,
    stages=(
        Stage(percentage=Percentage.parse(5), bake_seconds=3_600),
        Stage(percentage=Percentage.parse(100), bake_seconds=3_600, approval=True),
    ),
)
KILLED = KillState(killed=True, why="'/kill' is there")
AT_WORK = Watcher(holder="web-1/17/ab", until_at=NOW + 20)


def verdict(measured: Measured, *, count: int = 1) -> Verdict:
    """What a guard says."""
    readings = [
        Reading(
            measure="success_rate",
            scope=f"endpoint-{number}",
            value=99.5,
            sample=200,
            needed=25,
            go_on=">= 95 %",
            standing=measured,
            why="199 of 200 deliveries arrived",
        )
        for number in range(count)
    ]
    return Verdict.of(readings, at=NOW, rule_version=1)


def at(where: State, measured: Measured | None = Measured.GO_ON, **more: Any) -> Seen:
    """A rollout that stands there."""
    ceiling = None if where is State.NOT_STARTED else Percentage.parse(0 if "ROLL" in where else 5)
    state = RolloutState(
        flag=FLAG,
        state=where,
        ceiling=ceiling,
        plan=PLAN,
        epoch=2,
        epoch_at=NOW,
        version=7,
        reason="so it is",
    )
    state = replace(state, **more.pop("state", {}))
    situation = Situation(
        now=NOW,
        plan=more.pop("plan", PLAN),
        verdict=None if measured is None else verdict(measured, count=more.pop("count", 1)),
        senders=tuple(more.pop("senders", ())),
        seen_version=more.pop("seen_version", 0),
        next_cohort=more.pop("next_cohort", None),
    )
    return Seen(state=state, situation=situation, watcher=more.pop("watcher", AT_WORK), **more)


def standing(seen: Seen | None, *, problem: str = "", **host: Any) -> Standing:
    """The whole of it."""
    return Standing(flag=FLAG, environment="test", host=Host(**host), seen=seen, problem=problem)


RUNNING = at(State.RUNNING)
CASES: dict[str, tuple[Standing, Exit]] = {
    "healthy": (standing(RUNNING), Exit.DONE),
    "by-a-timer": (
        standing(at(State.RUNNING, watcher=Watcher(holder="a", until_at=NOW - 59))),
        Exit.DONE,
    ),
    "nobody-drives": (
        standing(at(State.RUNNING, watcher=Watcher(holder="a", until_at=NOW - 61))),
        Exit.UNDECIDED,
    ),
    "nobody-ever-drove": (standing(at(State.RUNNING, watcher=Watcher())), Exit.UNDECIDED),
    "undecided": (standing(at(State.RUNNING, Measured.UNDECIDED)), Exit.UNDECIDED),
    "undecided-and-held": (standing(at(State.HOLD, Measured.UNDECIDED)), Exit.UNDECIDED),
    "unreadable-evidence": (standing(at(State.RUNNING, None)), Exit.UNDECIDED),
    "hold": (standing(at(State.HOLD, Measured.HOLD)), Exit.HOLD),
    "hold-that-passes-again": (standing(at(State.HOLD)), Exit.HOLD),
    "a-breach-not-acted-on-yet": (standing(at(State.RUNNING, Measured.ROLL_BACK)), Exit.HOLD),
    "store-went-back": (standing(at(State.RUNNING, seen_version=9)), Exit.HOLD),
    "store-went-back-before-the-start": (
        standing(at(State.NOT_STARTED, None, seen_version=9)),
        Exit.HOLD,
    ),
    "paused": (standing(at(State.PAUSED)), Exit.PAUSED),
    "awaiting-approval": (standing(at(State.AWAITING_APPROVAL)), Exit.PAUSED),
    "rolling-back": (standing(at(State.ROLLING_BACK, None)), Exit.ROLLED_BACK),
    "rolled-back": (standing(at(State.ROLLED_BACK, None)), Exit.ROLLED_BACK),
    "killed": (standing(at(State.ROLLED_BACK, None, state={"killed": True})), Exit.KILLED),
    "kill-file": (standing(RUNNING, kill=KILLED), Exit.KILLED),
    "trip-file": (standing(RUNNING, trip=KILLED), Exit.KILLED),
    "kill-file-and-no-database": (standing(None, problem="away", kill=KILLED), Exit.KILLED),
    "no-database": (standing(None, problem="away"), Exit.UNREADABLE),
    "bad-setting": (standing(RUNNING, bad_settings=("WEBHOOK_TIMEOUT",)), Exit.UNREADABLE),
    "not-started": (standing(at(State.NOT_STARTED, None)), Exit.DONE),
    "completed": (standing(at(State.COMPLETED, Measured.UNDECIDED)), Exit.DONE),
    "completed-and-below-its-measures": (standing(at(State.COMPLETED, Measured.HOLD)), Exit.DONE),
    "completed-and-a-breach-not-acted-on-yet": (
        standing(at(State.COMPLETED, Measured.ROLL_BACK)),
        Exit.HOLD,
    ),
    "completed-and-nobody-drives": (standing(at(State.COMPLETED, watcher=Watcher())), Exit.UNDECIDED),
    "no-rollout-at-all": (standing(None), Exit.DONE),
}


@pytest.mark.parametrize("name", CASES)
def test_the_exit_code_says_how_it_stands(name: str) -> None:
    """The documented codes, the surest and worst first."""
    found, code = CASES[name]

    assert exit_of(found) is code
    assert screen.as_lines(status.lines_of(found), is_plain=True)[0].startswith(f"{FLAG} (test): ")


def test_everything_that_stops_it_is_on_the_first_lines() -> None:
    """As an operator at three in the morning reads them."""
    seen = at(State.ROLLED_BACK, None, state={"killed": True, "actor": "user:17"}, seen_version=9)
    found = standing(seen, kill=KILLED, trip=KILLED, master=False, bad_settings=("WEBHOOK_TIMEOUT: no",))

    lines = screen.as_lines(status.lines_of(found), is_plain=True)[:10]

    assert lines == [
        "tournament-webhooks (test): ROLLED_BACK at 0 %",
        "KILLED on this host: '/kill' is there",
        "TRIPPED on this host: '/kill' is there",
        "  once the call that sent it is mended, another person says so: `rollout clear-trip`",
        "MASTER SWITCH: off",
        "BAD SETTING, every gate is closed: WEBHOOK_TIMEOUT: no",
        "KILLED: `rollout unkill` puts the switch back",
        "why: so it is (by user:17)",
        "STORE WENT BACK: store went back: version 7, seen 9; a person must `accept-store`, or roll back",
        "",
    ]


def test_a_trip_says_what_was_found_and_how_it_is_cleared() -> None:
    """Kind and masked place, each once; a program gets all."""
    trips = [
        Trip(at=NOW, flag="f", event="paid", kind=kind, place="data.note", process=f"web:{process}")
        for kind in ("address", "phone", "handle", "network")
        for process in (1, 2)
    ]
    found = standing(RUNNING, trip=KillState(killed=True, why="'/kill.trip' is there"), trips=tuple(trips))

    lines = screen.as_lines(status.lines_of(found), is_plain=True)
    said = status_data.as_dict(found)["trip_file"]

    assert lines[1:3] == [
        "TRIPPED on this host: '/kill.trip' is there: address at data.note in paid,"
        " phone at data.note in paid, handle at data.note in paid and 1 more",
        "  once the call that sent it is mended, another person says so: `rollout clear-trip`",
    ]
    assert len(said["trips"]) == 8  # type: ignore[index,call-overload]
    assert said["trips"][0] == {"event": "paid", "kind": "address", "place": "data.note"}  # type: ignore[index,call-overload]


def test_what_the_next_stage_waits_for_is_said_and_a_long_list_is_cut() -> None:
    """The readings that do not pass come first; a program gets all of them."""
    senders = [
        Sender(
            name=f"web-{number}", epoch=1 + (number > 0), acknowledged_at=NOW, seen_at=NOW, lease_seconds=3
        )
        for number in range(50)
    ]
    found = standing(
        at(
            State.HOLD,
            Measured.HOLD,
            count=60,
            senders=senders,
            next_cohort=9,
            state={"reason": "x" * 200},
            queue=Queue(
                pending=Count(number=10_000, is_least=True), held=Count(number=3), dead=Count(number=0)
            ),
        )
    )

    text = "\n".join(screen.as_lines(status.lines_of(found), is_plain=True))

    assert "next: 100 %, 9 units, after a person's approval" in text
    assert "  waits for bake: held 0 s of 1 h 0 min" in text
    assert "  waits for verdict: hold: success_rate, success_rate" in text
    assert "  waits for approval: 100 % waits for a person's approval: `rollout approve`" in text
    assert "and 20 more readings: --json has all" in text
    assert "senders: 50 alive, 49 obey epoch 2\n  web-0: seen 0.0 s ago, still at epoch 1" in text
    assert "  and 10 more" in text
    assert "queue: 10000+ on their way, 3 held, 0 given up" in text
    assert f"why: {'x' * 159}… (by )" in text
    whole = status_data.as_dict(found)
    assert len(whole["verdict"]["readings"]) == 60  # type: ignore[index]
    assert whole["queue"] == {"pending": 10_000, "held": 3, "dead": 0, "at_least": ["pending"]}


def test_a_sender_that_a_file_of_its_host_stops_is_named() -> None:
    """Nobody on another host sees that file; it is not healthy because it obeys."""
    senders = [
        Sender(name=name, epoch=2, acknowledged_at=NOW, seen_at=NOW, lease_seconds=3, stopped_by=stopped_by)
        for name, stopped_by in (("web-1", ""), ("web-2", "'/kill' is there"))
    ]
    found = standing(at(State.RUNNING, senders=senders))

    text = "\n".join(screen.as_lines(status.lines_of(found), is_plain=True))
    said: Any = status_data.as_dict(found)["senders"]

    assert (
        "senders: 2 alive, 2 obey epoch 2, 1 stopped by a file of their host"
        "\n  web-2: seen 0.0 s ago, STOPPED on its host: '/kill' is there\n  web-1: seen 0.0 s ago\n" in text
    )
    assert [each["stopped_by"] for each in said] == ["", "'/kill' is there"]


def test_who_has_seen_more_than_the_store_has_is_named() -> None:
    """Which process, what it had seen and when it last said so: whether to wait for it or to accept."""
    senders = [
        Sender(name="w-1", epoch=2, acknowledged_at=NOW, seen_at=NOW - 90, lease_seconds=0, seen_version=9),
        Sender(name="w-2", epoch=5, acknowledged_at=NOW, seen_at=NOW - 4, lease_seconds=3),
        Sender(name="w-3", epoch=2, acknowledged_at=NOW, seen_at=NOW, lease_seconds=3),
    ]
    found = standing(at(State.RUNNING, senders=senders))

    text = "\n".join(screen.as_lines(status.lines_of(found), is_plain=True))
    said: Any = status_data.as_dict(found)["senders"]

    assert (
        "or roll back\n  w-1 had seen version 9, and said so 1 min 30 s ago"
        "\n  w-2 had seen epoch 5, and said so 4 s ago\n" in text
    )
    assert [each["seen_version"] for each in said] == [9, 0, 0]


def test_why_the_guard_does_not_pass_is_said_once_for_all_it_is_true_of() -> None:
    """Under the table, in the guard's own sentences; what passes needs none."""
    away = "cannot be read: their store does not answer"
    few = {"value": None, "sample": 3, "needed": 50, "standing": Measured.UNDECIDED}
    readings = [
        *verdict(Measured.GO_ON).readings,
        Reading(measure="breaker_openings", **few, why=away),
        Reading(measure="retried", **few, why="3 deliveries in the window; 50 are needed"),
        Reading(measure="receiver_unreachable", **few, why=away),
        Reading(measure="latency_p95", scope="partner", **{**few, "standing": Measured.HOLD}, why="3 s"),
    ]
    seen = at(State.HOLD)
    said = Verdict.of(readings, at=NOW, rule_version=1)
    seen = replace(seen, situation=replace(seen.situation, verdict=said))

    text = "\n".join(screen.as_lines(status.lines_of(standing(seen)), is_plain=True))

    assert (
        "\n  latency p95 of partner: 3 s"
        "\n  breaker openings, receiver unreachable: cannot be read: their store does not answer"
        "\n  retried: 3 deliveries in the window; 50 are needed\n\n"
    ) in text
    assert "199 of 200" not in text


def test_evidence_that_cannot_be_read_is_said_instead_of_a_table_of_nothing() -> None:
    """What kind of error it was stands beside the verdict and under what is waited for."""
    seen = at(State.HOLD, Measured.UNDECIDED)
    problem = "the evidence cannot be read (OperationalError)"
    seen = replace(seen, situation=replace(seen.situation, evidence_problem=problem))

    lines = screen.as_lines(status.lines_of(standing(seen)), is_plain=True)

    assert lines[lines.index(f"guard: undecided: {problem}") + 1] == ""
    assert f"  waits for verdict: {problem}" in lines


def test_the_last_stage_says_its_drift_and_its_end() -> None:
    """Where nothing follows, drift is in nobody's way and is said all the same."""
    other = Plan(flag=FLAG, stages=(Stage(percentage=Percentage.parse(100), bake_seconds=60),))
    seen = at(State.RUNNING, plan=other, state={"ceiling": Percentage.parse(100)})

    text = "\n".join(screen.as_lines(status.lines_of(standing(seen)), is_plain=True))

    assert "drift: the plan was edited after it was pinned" in text
    assert "next: the plan is done" in text


def test_colours_are_for_a_person_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """With rich: the same words; without it, or where nobody looks: plain."""
    lines = status.lines_of(standing(RUNNING))

    coloured = "\n".join(screen.as_lines(lines, is_plain=False))
    piped = screen.as_lines(lines)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    without = screen.as_lines(lines, is_plain=False)

    assert "\x1b[32mRUNNING\x1b[0m" in coloured and "success_rate" in coloured
    assert without == piped == screen.as_lines(lines, is_plain=True)
    assert "\x1b" not in "".join(piped)


def test_the_keys_of_the_json_are_always_the_same(under_way: dict[str, Any]) -> None:
    """Whether the database answers or not; those of the page, and `ok` and `exit_code`."""
    code, said = run_json("status")
    with override_settings(WEBHOOK_TIMEOUT=0):
        bad_code, bad = run_json("status")

    assert (code, bad_code) == (11, 4)
    assert list(said) == list(bad)
    assert (said["state"], bad["state"]) == ("RUNNING", None)
    page = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text()
    assert [key for key in said if f"`{key}`" not in page] == []


def test_a_watched_status_is_shown_again_until_somebody_has_seen_enough(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends it with the code of the last look."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", nap)
    code, _ = run("status", "--watch")

    assert (code, naps) == (11, [2.0, 2.0])
    assert capsys.readouterr().out.count("RUNNING at 100 %") == 2


def test_a_watched_status_as_json_is_one_object_a_line(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a program that reads on; and into a pipe nothing clears a screen, as text neither."""

    def enough(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", enough)
    last = run("status", "--watch", "--json")[1]
    first = capsys.readouterr().out
    run("status", "--watch")
    plain = capsys.readouterr().out

    for line in (first, last):
        assert (json.loads(line)["state"], line.count("\n")) == ("RUNNING", 1)
    assert plain.startswith("tournament-webhooks (test): RUNNING")


@pytest.mark.parametrize("said", ["-1", "nan", "inf", "3601", "soon"])
def test_a_time_to_wait_that_is_none_is_refused_and_never_keeps_a_kill_back(
    under_way: dict[str, Any], said: str
) -> None:
    """Before anything is done; a kill waits as if nothing had been said."""
    for command in (["status"], ["rollback", "--reason", "x"]):
        with pytest.raises(CommandError, match=r"--timeout: must be from 0 to 3600 \(seconds\)"):
            run(*command, "--timeout", said)
    before = driving.store().load(FLAG).state
    killed = run_json("kill", "--reason", "x", "--timeout", said)

    assert before is State.RUNNING
    assert (killed[0], killed[1]["database"]) == (0, True)


def test_counts_go_along_indexes_of_what_has_not_ended(under_way: dict[str, Any]) -> None:
    """Ten million past deliveries cost nothing: no plan scans the table."""
    connection = connections[under_way["ROLLOUT"]["DATABASE"]]
    is_postgres = connection.vendor == "postgresql"
    explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
    plans = {}
    with connection.cursor() as cursor:
        for name, statement in queued.STATEMENTS.items():
            cursor.execute(explain + statement, ["test"])
            plans[name] = " ".join(str(row) for row in cursor.fetchall())

    indexes = {"held": "people", "dead": "people", "ready": "ready", "timed": "due", "parked": "key"}
    assert [name for name, index in indexes.items() if f"webhooks_{index}" not in plans[name]] == []
    assert "Seq Scan" not in str(plans) and "TEMP B-TREE" not in str(plans)


def test_counts_tell_what_waits_and_stop_at_a_bound(
    under_way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready, scheduled, claimed and parked ones are on their way; ended ones are not counted."""
    ways = [
        ("pending", {"turn": 1}),
        ("pending", {"due_at": NOW}),
        ("claimed", {"due_at": NOW, "ordering_key": "a"}),
        ("pending", {"ordering_key": "a"}),
        ("held", {}),
        ("dead", {}),
        ("delivered", {"ordering_key": "a"}),
        ("dropped", {}),
    ]
    Delivery.objects.using(under_way["ROLLOUT"]["DATABASE"]).bulk_create(
        Delivery(
            webhook_id=f"id-{number}", environment="test", endpoint_id="a", event="e", body=b"{}",
            state=state, lane=1, created_at=NOW, changed_at=NOW, **more,
        )
        for number, (state, more) in enumerate(ways)
    )  # fmt: skip

    counted = queued.queue()
    monkeypatch.setattr(queued, "MOST", 0)
    bounded = queued.held()

    assert counted is not None
    assert counted.as_dict() == {"pending": 4, "held": 1, "dead": 1, "at_least": []}
    assert str(bounded) == "0+"
    with override_settings(WEBHOOKS={"ENVIRONMENT": "test", "ENGINE": "inline"}):
        assert queued.queue() is None and queued.held().number == 0
