"""Flags that the database owns: loaded, changed and read, on each database, with a journal row for each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import RollBack, Start
from rollout.django import driving, flag_rows, wiring
from rollout.django.flag_file import change_in
from rollout.errors import StoreConflict
from rollout.events import Fact
from rollout.flags import FlagKey
from rollout.journal import replay, verify
from rollout.percentage import Percentage
from rollout.rollout_state import State
from tests.integration.django.project import FLAG, project
from tests.integration.rollout.commands import run, run_json

pytestmark = [pytest.mark.network]
KEY = FlagKey(FLAG)
ANNA = Actor(name="user:17", authenticated=True)
CAUSE = "a person changes the flag in the database"


def units() -> list[int]:
    """A hundred tournaments: each asks the database anew."""
    return list(range(100))


@pytest.fixture
def owned(alias: str, tmp_path: Path) -> Iterator[str]:
    """A project whose flags the database owns; nothing is there yet, and there is no plan."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias},
        ROLLOUT={
            "SOURCE": "database",
            "DATABASE": alias,
            "KILL_FILE": str(tmp_path / "kill"),
            "UNITS": f"{__name__}.units",
        },
    )
    del values["ROLLOUT"]["FLAGS"]
    with override_settings(**values):
        yield alias


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A flag file: 5 %, and another flag."""
    path = tmp_path / "flags.json"
    flags = {FLAG: {"percentage": "5"}, "other": {"percentage": "50", "unit": "match_id"}}
    path.write_text(json.dumps({"schema": 1, "version": 7, "flags": flags}))
    return path


def share() -> int:
    """How many of a hundred the gate of this process lets in."""
    return sum(wiring.gate.is_open(unit) for unit in units())


def test_a_file_is_loaded_and_is_in_force(owned: str, document: Path) -> None:
    """At the version of the file where there was none; told first, with the units that come in."""
    before = (share(), wiring.gate(1).reason)

    code, text = run("flag", "load", str(document), "--reason", "moved here")

    stored = flag_rows.read(driving.store())
    assert before == (0, "ERROR")
    assert code == 0, text
    assert "tournament-webhooks: the flag's own percentage, none -> 5 %" in text
    assert "of 100 units 3 come in and 0 go out: 0 -> 3" in text
    assert text.endswith("Done: version 7.\n")
    assert (stored.version, share()) == (7, 3)


def test_a_percentage_is_set_and_reaches_the_gate(owned: str, document: Path) -> None:
    """Its version grows, and the journal has who, from where and where to."""
    run("flag", "load", str(document))
    share()

    code, text = run("flag", "set", FLAG, "25", "--reason", "a good day")

    entry = driving.store().journal(KEY)[-1]
    assert code == 0, text
    assert "tournament-webhooks: 5 % -> 25 % in database, version 7 -> 8" in text
    assert share() == 23
    assert (entry.cause, entry.reason) == (CAUSE, "the flag's own percentage, 5 % -> 25 %; a good day")
    assert verify(driving.store().journal(KEY)) == driving.store().load(KEY).head
    assert replay(KEY, driving.store().journal(KEY)).state is State.NOT_STARTED


def test_what_drops_units_takes_a_word(owned: str, document: Path) -> None:
    """By both commands; without it nothing is changed."""
    run("flag", "load", str(document))
    lower = json.loads(document.read_text())
    lower["flags"] = {FLAG: {"percentage": "3"}}
    document.write_text(json.dumps(lower))

    refused = (run("flag", "set", FLAG, "3")[0], run("flag", "load", str(document))[0])
    kept = share()
    code, said = run_json("flag", "load", str(document), "--yes")

    assert (refused, kept) == ((2, 2), 3)
    assert (code, said["changed"], said["version"]) == (0, True, 8)
    assert said["flags"] == {
        FLAG: "the flag's own percentage, 5 % -> 3 %",
        "other": "the flag's own percentage, 50 % -> none",
    }
    assert share() == 1


@pytest.mark.parametrize(
    "change",
    [{"enabled": False}, {"forced_off": ["8"]}, {"forced_on": []}],
    ids=["disabled", "forced off", "not forced on"],
)
def test_units_that_go_out_at_the_same_percentage_take_a_word_too(
    owned: str, document: Path, change: dict[str, Any]
) -> None:
    """They are out as surely as by a lower one."""
    content = json.loads(document.read_text())
    content["flags"][FLAG]["forced_on"] = ["7"]
    document.write_text(json.dumps(content))
    run("flag", "load", str(document))
    content["flags"][FLAG] |= change
    document.write_text(json.dumps(content))

    refused, told = run("flag", "load", str(document))
    done, _ = run("flag", "load", str(document), "--yes")

    assert (refused, done) == (2, 0)
    assert f"flags.{FLAG}: " in told


@pytest.mark.parametrize("change", [{"salt": "new"}, {"percentage": "five"}], ids=["salt", "bad"])
def test_what_would_not_be_put_in_force_is_not_stored(
    owned: str, document: Path, change: dict[str, str]
) -> None:
    """A flag keeps its salt for life; what is no configuration is none."""
    run("flag", "load", str(document))
    text = json.loads(document.read_text())
    text["flags"][FLAG] |= change
    document.write_text(json.dumps(text))

    code, _ = run("flag", "load", str(document), "--yes")

    assert code in (2, 4)
    assert (flag_rows.read(driving.store()).version, share()) == (7, 3)


def test_nothing_is_written_for_nothing(owned: str, document: Path) -> None:
    """The same file again, the same percentage again, a dry run."""
    run("flag", "load", str(document))

    said = [
        run("flag", "load", str(document))[1],
        run("flag", "set", FLAG, "5")[1],
        run("flag", "set", FLAG, "25", "--dry-run")[1],
    ]

    assert all("Nothing was changed" in each for each in said)
    assert flag_rows.read(driving.store()).version == 7
    assert len(driving.store().journal(KEY)) == 1


def test_without_flags_there_the_command_says_how_they_come_there(owned: str) -> None:
    """No flag is made by a misspelling."""
    code, text = run("flag", "set", FLAG, "25")

    assert code == 4
    assert "holds no flags yet: `rollout flag load FILE` puts them there" in text


def test_a_document_that_cannot_be_read_is_replaced_by_one_that_can(owned: str, document: Path) -> None:
    """Somebody wrote it by hand; gates kept the last good one meanwhile."""
    run("flag", "load", str(document))
    in_force = share()
    with connections[owned].cursor() as cursor:
        cursor.execute("UPDATE rollout_configuration SET content = 'oops', version = version + 1")

    meanwhile = (share(), run("flag", "set", FLAG, "25")[0])
    code, text = run("flag", "load", str(document))

    assert (in_force, meanwhile) == (3, (3, 4))
    assert code == 0, text
    assert "says nothing that can be read" in text
    assert (flag_rows.read(driving.store()).version, share()) == (9, 3)


def test_a_ceiling_stands_above_and_the_rollouts_journal_goes_on(owned: str, document: Path) -> None:
    """Raised under a rollback: nobody comes in, and the chain of the rollout's journal holds."""
    from django.conf import settings

    planned = settings.ROLLOUT | {"PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]}}
    with override_settings(ROLLOUT=planned):
        run("flag", "load", str(document))
        driving.runner().obey(Start(by=ANNA, reason="go"))
        started = share()
        driving.runner().obey(RollBack(by=ANNA, reason="stop"))

        code, _ = run("flag", "set", FLAG, "100")

        journal = driving.store().journal(KEY)
        assert (code, started, share()) == (0, 3, 0)
        assert [each.cause for each in journal][-1] == CAUSE
        assert replay(KEY, journal).state is State.ROLLING_BACK
        assert verify(journal)


def test_of_many_writers_each_version_has_one(owned: str, document: Path) -> None:
    """Eight at once go by the same version: one is written, the others are told, the chain holds."""
    run("flag", "load", str(document))
    store, stored = driving.store(), flag_rows.read(driving.store())
    refused: list[Exception] = []

    def write(percentage: int) -> None:
        change = change_in(stored.text, FLAG, str(percentage), origin="database")
        try:
            flag_rows.write(store, change.after, expected=stored, by=ANNA, reason="race", observer=_nobody)
        except StoreConflict as error:
            refused.append(error)
        finally:
            connections[owned].close()

    threads = [threading.Thread(target=write, args=(10 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 7
    assert flag_rows.read(store).version == 8
    assert [each.cause for each in store.journal(KEY)] == [CAUSE, CAUSE]
    assert verify(store.journal(KEY)) == store.load(KEY).head


def test_in_a_store_that_went_back_no_flag_is_changed(owned: str, document: Path) -> None:
    """A person decides about that first: a row more could hide it, and let in what was rolled back."""
    run("flag", "load", str(document))
    driving.store().beat("w1", {KEY: 9}, lease_seconds=3.0)

    said = [run("flag", "set", FLAG, "25"), run("flag", "load", str(document), "--dry-run")]
    document.write_text(document.read_text().replace('"5"', '"25"'))
    said.append(run("flag", "load", str(document)))

    assert [code for code, _ in said] == [2, 0, 2]
    assert all("senders have seen 9" in said[each][1] for each in (0, 2))
    assert len(driving.store().journal(KEY)) == 1
    assert flag_rows.read(driving.store()).flags.flags[KEY].percentage == Percentage.parse("5")


def test_a_rollout_that_was_written_meanwhile_is_tried_again(
    owned: str, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner writes its state several times a minute; only another change of the flags is a conflict."""
    run("flag", "load", str(document))
    store, tries = driving.store(), []
    real = store.swap

    def swap(*args: Any, **options: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreConflict("1", "2")
        real(*args, **options)

    monkeypatch.setattr(store, "swap", swap)
    stored = flag_rows.read(store)
    change = change_in(stored.text, FLAG, "25", origin="database")
    flag_rows.write(store, change.after, expected=stored, by=ANNA, reason="again", observer=_nobody)

    assert len(tries) == 3
    assert flag_rows.read(store).version == 8


def _nobody(_fact: Fact, /) -> None:
    """Hear of it, and do nothing."""


def test_the_past_is_told_by_the_percentage_of_then(owned: str, document: Path) -> None:
    """Unit 101 stands at 15.4 %: out at 5 %, in at 25 %, whatever the flag says today."""
    run("flag", "load", str(document))
    run("flag", "set", FLAG, "25")
    run("flag", "set", FLAG, "0", "--yes")
    moments = [each.at for each in driving.store().journal(KEY)]

    asked = [-1.0, *(0.000001,) * len(moments)]
    said = [
        run_json("explain", "101", "--at", datetime.fromtimestamp(at + later, UTC).isoformat())[1]
        for at, later in zip([moments[0], *moments], asked, strict=True)
    ]

    assert [(each["flag_percentage"], each["is_in"]) for each in said] == [
        *(("0", False), ("5", False), ("25", True), ("0", False)),
    ]
    assert {each["flag_percentage_of"] for each in said} == {"then"}
