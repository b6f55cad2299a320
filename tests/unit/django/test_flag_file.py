"""A percentage changed in a flag file: told before, done in one step or not at all."""

from __future__ import annotations

import json
import os
import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.django import flag_file
from rollout.django.flag_file import Change, plan_change, write_change
from rollout.errors import ConfigError, FlagNotFound
from rollout.sources.schema import dumps, loads_json

KEY = "tournament-webhooks"
FULL = {
    "schema": 1,
    "version": 7,
    "flags": {
        KEY: {
            "percentage": "5",
            "unit": "tournament_id",
            "salt": "old-salt",
            "forced_on": ["7"],
            "forced_off": ["8"],
            "rules": [{"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": "on"}],
        },
        "other": {"percentage": "50", "unit": "match_id", "enabled": False},
    },
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A flag file with two flags."""
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(FULL))
    return path


def test_a_change_says_from_where_to_where(file: Path) -> None:
    """Before anything is written."""
    change = plan_change(file, KEY, "12.5")

    assert (str(change.came_from), str(change.to), change.drops) == ("5", "12.5", False)
    assert change.share == Decimal("7.5")
    assert json.loads(file.read_text()) == FULL


@pytest.mark.parametrize(
    ("to", "drops"), [("4.99", True), ("0", True), ("5", False), ("5.01", False), ("100", False)]
)
def test_only_a_lower_percentage_drops_units(file: Path, to: str, drops: bool) -> None:
    """Raising only adds."""
    assert plan_change(file, KEY, to).drops is drops


def test_nothing_but_percentage_and_version_changes(file: Path) -> None:
    """Salt, algorithm, rules and forced units are for life, or for a person."""
    write_change(plan_change(file, KEY, "25"))

    wanted = json.loads(json.dumps(FULL))
    wanted["version"] = 8
    wanted["flags"][KEY]["percentage"] = "25"
    assert json.loads(file.read_text()) == wanted


def test_the_units_that_come_in_and_go_out_are_counted_exactly(file: Path) -> None:
    """Forced units do not move; what is counted is what the evaluator says."""
    units = list(range(1000))

    up, down = plan_change(file, KEY, "25").counted(units), plan_change(file, KEY, "1").counted(units)

    assert (up.units, up.lost) == (1000, 0)
    assert up.after == up.before + up.gained
    assert 150 < up.gained < 250
    assert (down.gained, down.after) == (0, down.before - down.lost)
    assert 20 < down.lost < 70


def test_what_is_no_unit_is_counted_out(file: Path) -> None:
    """A project's callable may return anything."""
    assert plan_change(file, KEY, "100").counted([None, True, 1.5, b"x"]).after == 0


@pytest.mark.parametrize("bad", ["101", "-1", "50%", "1e2", "NaN", "", "five", 12.5, True, None])
def test_a_bad_percentage_is_refused(file: Path, bad: object) -> None:
    """With what is allowed."""
    with pytest.raises(ConfigError, match="percentage"):
        plan_change(file, KEY, bad)


def test_an_unknown_flag_names_the_nearest(file: Path) -> None:
    """A flag is never made by a misspelling."""
    with pytest.raises(FlagNotFound) as caught:
        plan_change(file, "tournament-webhook", 5)

    assert caught.value.known_near == (KEY,)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"schema": 2, "flags": {}}'])
def test_a_file_that_cannot_be_read_is_not_written_to(file: Path, text: bytes) -> None:
    """A person mends it."""
    file.write_bytes(text)

    with pytest.raises(ConfigError):
        plan_change(file, KEY, 5)

    assert file.read_bytes() == text


def test_a_file_that_is_missing_or_a_directory_is_named(tmp_path: Path) -> None:
    """With what the system says."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            plan_change(path, KEY, 5)


def test_toml_is_left_to_a_person(tmp_path: Path) -> None:
    """A command would lose its comments."""
    with pytest.raises(ConfigError, match="is TOML"):
        plan_change(tmp_path / "flags.toml", KEY, 5)


def test_mode_and_link_are_kept(file: Path, tmp_path: Path) -> None:
    """The web server's user can read it as before."""
    file.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(file)

    write_change(plan_change(link, KEY, "25"))

    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert '"25"' in file.read_text()


def test_the_word_checksum_inside_a_flag_seals_nothing(file: Path) -> None:
    """Or a person's next edit would be refused for a checksum that nobody asked for."""
    file.write_text(json.dumps(FULL).replace('"region"', '"checksum"'))

    write_change(plan_change(file, KEY, "25"))

    assert "checksum" not in json.loads(file.read_text())


def test_a_sealed_file_is_sealed_again(file: Path) -> None:
    """Its checksum holds for the new content."""
    file.write_text(dumps(loads_json(file.read_bytes()), sealed=True))

    write_change(plan_change(file, KEY, "25"))

    assert "checksum" in json.loads(file.read_text())
    assert loads_json(file.read_bytes()).version == 8


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(file: Path) -> None:
    """Two people, one file."""
    mine, yours = plan_change(file, KEY, "25"), plan_change(file, KEY, "50")
    write_change(yours)
    after_yours = file.read_bytes()

    with pytest.raises(ConfigError, match="was changed meanwhile"):
        write_change(mine)

    assert file.read_bytes() == after_yours


def test_of_many_at_once_one_wins_and_the_file_is_whole(file: Path) -> None:
    """No lost update, no mixture."""
    changes = [plan_change(file, KEY, str(percent)) for percent in range(10, 18)]
    refused: list[ConfigError] = []

    def write(change: Change) -> None:
        try:
            write_change(change)
        except ConfigError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == len(changes) - 1
    assert loads_json(file.read_bytes()).version == 8


def test_a_crash_while_writing_leaves_the_old_file_and_no_rubbish(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader sees the old file or the new one."""
    change, before = plan_change(file, KEY, "25"), file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flag_file.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_change(change)

    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@given(st.decimals(min_value=0, max_value=100, places=4), st.decimals(min_value=0, max_value=100, places=4))
def test_there_and_back_is_the_same_flag(
    tmp_path_factory: pytest.TempPathFactory, there: Decimal, back: Decimal
) -> None:
    """Exact decimals both ways; each step is one version."""
    path = tmp_path_factory.mktemp("flags") / "flags.json"
    path.write_text(json.dumps(FULL))

    write_change(plan_change(path, KEY, str(there)))
    write_change(plan_change(path, KEY, str(back)))
    write_change(plan_change(path, KEY, "5"))

    read = loads_json(path.read_bytes())
    assert read.version == 10
    assert {key: flag.percentage for key, flag in read.flags.items()} == {
        key: flag.percentage for key, flag in loads_json(json.dumps(FULL)).flags.items()
    }
