"""`manage.py rollout flag …`: answers, exit codes, and the file source."""

from __future__ import annotations

import json
import logging
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from rollout.django import gate
from rollout.sources.kill import KillFile
from rollout.sources.trip import Trip, Tripwire
from tests.integration.django.project import FLAG, Override

UNITS = list(range(200))


def all_units() -> list[int]:
    """What `ROLLOUT["UNITS"]` names."""
    return UNITS


def no_units() -> list[int]:
    """A callable that fails."""
    raise RuntimeError("database away")


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed, to either stream."""
    out = StringIO()
    try:
        call_command("rollout", *arguments, stdout=out, stderr=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def run_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The same with `--json`: one object, and the exit code in it."""
    code, text = run(*arguments, "--json")
    said = json.loads(text)
    assert (said["ok"], said["exit_code"]) == (code == 0, code)
    return code, said


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A flag file with one flag at 5 %."""
    path = tmp_path / "flags.json"
    path.write_text(
        json.dumps({"schema": 1, "version": 7, "flags": {FLAG: {"percentage": "5", "forced_on": ["7"]}}})
    )
    return path


@pytest.fixture
def owned(using: Override, file: Path) -> Any:
    """A project whose percentage is owned by the file."""
    with using(ROLLOUT={"FLAGS": None, "FILE": str(file), "UNITS": f"{__name__}.all_units"}):
        yield file


def test_list_says_every_flag_its_owner_and_the_switches(owned: Path) -> None:
    """As a table, and as an object."""
    code, text = run("flag", "list")

    assert code == 0
    assert text.splitlines()[0].split() == [
        "flag",
        "percentage",
        "enabled",
        "unit",
        "forced",
        "on",
        "forced",
        "off",
        "rules",
    ]
    assert text.splitlines()[1].split() == [FLAG, "5", "%", "yes", "tournament_id", "1", "0", "0"]
    assert f"owner: file ({owned}), version 7, READY" in text
    assert "master switch: on (decided by: setting)" in text
    assert "kill switch: not pulled" in text
    assert "tripped: no" in text

    code, said = run_json("flag", "list")
    assert (said["owner"], said["version"], said["flags"][0]["percentage"]) == ("file", 7, "5")


def test_list_says_that_this_host_has_tripped(using: Override, tmp_path: Path) -> None:
    """Beside the kill switch, which nobody pulled: either of the two stops everything here."""
    kill = KillFile(str(tmp_path / "kill"))
    found = {"event": "payment_verified", "kind": "address", "place": "data.note", "process": "web:1"}
    assert Tripwire(kill).trip(Trip(at=1.0, flag=FLAG, **found))

    with using(ROLLOUT={"FLAGS": {FLAG: {"percentage": 5}}, "KILL_FILE": kill.path}):
        code, text = run("flag", "list")
        _, said = run_json("flag", "list")

    assert code == 0
    assert "kill switch: not pulled" in text
    assert f"tripped: personal data was found: {Tripwire(kill).path!a} is there" in text
    assert (said["killed"], said["tripped"]) == (False, True)


def test_list_shows_bad_settings_instead_of_being_stopped_by_them(using: Override) -> None:
    """A bad setting must not disable the tool that finds it."""
    with using(WEBHOOK_TIMEOUT=0, NOTIFICATIONS_WEBHOOK_ENABLED="maybe"):
        code, text = run("flag", "list")

    assert code == 0
    assert "every gate is closed: WEBHOOK_TIMEOUT (int): must be a number above 0" in text
    assert "an unknown word, which counts as off" in text


def test_list_ends_with_4_where_no_flags_can_be_read(using: Override, tmp_path: Path) -> None:
    """And says why."""
    with using(ROLLOUT={"FLAGS": None, "FILE": str(tmp_path / "none.json")}):
        code, text = run("flag", "list")

    assert code == 4
    assert "problem: " in text


def test_show_explains_a_decision(owned: Path) -> None:
    """The value, the step, the position: enough to explain it a year later."""
    code, said = run_json("flag", "show", FLAG, "--unit", "101")

    decision = said["decision"]
    assert code == 0
    assert decision["value"] is gate(101).value
    assert decision["explained"] == gate(101).explain()
    assert decision["turns_on_at"] == str(gate(101).turns_on_at)
    assert run_json("flag", "show", FLAG, "--unit", "7")[1]["decision"]["reason"] == "TARGETING_MATCH"
    assert gate(101).explain() in run("flag", "show", FLAG, "--unit", "101")[1]


def test_show_takes_attributes_for_rules(using: Override) -> None:
    """`--attribute region=eu`."""
    rule = {"if": [{"attribute": "region", "op": "equals", "value": "eu"}], "serve": "on"}
    with using(ROLLOUT={"FLAGS": {FLAG: {"percentage": 0, "rules": [rule]}}}):
        _, inside = run_json("flag", "show", FLAG, "--unit", "1", "--attribute", "region=eu")
        _, outside = run_json("flag", "show", FLAG, "--unit", "1")

    assert (inside["decision"]["value"], outside["decision"]["value"]) == (True, False)
    assert inside["flag"]["rules"] == ["region equals 'eu'"]


def test_show_of_an_unknown_flag_ends_with_3(owned: Path) -> None:
    """And names what is there."""
    code, text = run("flag", "show", "tournament")

    assert code == 3
    assert FLAG in text


def test_set_raises_at_once_and_tells_what_it_did(owned: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From, to, expected share, exact numbers; the running gate sees it."""
    caplog.set_level(logging.WARNING, logger="webhooks")
    before = {unit for unit in UNITS if gate(unit)}

    code, text = run("flag", "set", FLAG, "25", "--reason", "24 h good")

    after = {unit for unit in UNITS if gate(unit)}
    assert code == 0
    assert f"{FLAG}: 5 % -> 25 % in {owned}, version 7 -> 8" in text
    assert "about 20 % of the units come in" in text
    assert f"of 200 units {len(after - before)} come in and 0 go out: {len(before)} -> {len(after)}" in text
    assert before < after
    line = next(record.getMessage() for record in caplog.records if "Rollout changed" in record.getMessage())
    assert line.startswith(f"Rollout changed: flag={FLAG}, from=500, to=2500, state=manual, actor=")


def test_set_that_drops_units_needs_a_word(owned: Path) -> None:
    """Contract §2: told before it is made, with the numbers; else exit code 2 and nothing changed."""
    run("flag", "set", FLAG, "50")
    text_before = owned.read_bytes()

    code, said = run_json("flag", "set", FLAG, "10")

    assert (code, said["needs"], said["changed"], said["drops"]) == (2, "--yes", False, True)
    assert said["lost"] > 0
    assert said["gained"] == 0
    assert owned.read_bytes() == text_before

    code, said = run_json("flag", "set", FLAG, "10", "--yes")
    assert (code, said["changed"], said["version"]) == (0, True, 9)


def test_a_dry_run_changes_nothing(owned: Path) -> None:
    """Also where units would go out, which it tells."""
    before = owned.read_bytes()

    assert run_json("flag", "set", FLAG, "25", "--dry-run")[1]["changed"] is False
    assert run("flag", "set", FLAG, "0", "--dry-run")[0] == 0
    assert owned.read_bytes() == before


def test_setting_what_is_there_already_changes_nothing(owned: Path) -> None:
    """No new version for nothing."""
    before = owned.read_bytes()

    code, text = run("flag", "set", FLAG, "5.0")

    assert code == 0
    assert "it is there already" in text
    assert owned.read_bytes() == before


def test_units_that_cannot_be_counted_do_not_stand_in_the_way(using: Override, file: Path) -> None:
    """The change does not need them."""
    with using(ROLLOUT={"FLAGS": None, "FILE": str(file), "UNITS": f"{__name__}.no_units"}):
        code, text = run("flag", "set", FLAG, "25")

    assert code == 0
    assert "could not be counted" in text
    assert "database away" not in text


def test_without_units_the_expected_share_is_what_is_told(using: Override, file: Path) -> None:
    """`ROLLOUT["UNITS"]` is optional."""
    with using(ROLLOUT={"FLAGS": None, "FILE": str(file)}):
        _, said = run_json("flag", "set", FLAG, "12.5")

    assert said["expected_share"] == "7.5"
    assert "units" not in said


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((FLAG, "101"), 2),
        ((FLAG, "-1"), 2),
        ((FLAG, "50%"), 2),
        (("tournament-webhok", "5"), 3),
        ((FLAG, "1e2"), 2),
    ],
)
def test_a_bad_order_is_refused(owned: Path, arguments: tuple[str, str], code: int) -> None:
    """With what is allowed; nothing is changed."""
    before = owned.read_bytes()

    try:
        found, _ = run("flag", "set", *arguments)
    except CommandError:  # argparse takes -1 for an option
        found = 2

    assert found == code
    assert owned.read_bytes() == before


def test_a_broken_file_is_not_written(owned: Path) -> None:
    """Exit code 4."""
    owned.write_text("{")

    assert run("flag", "set", FLAG, "25")[0] == 4
    assert owned.read_text() == "{"


def test_a_file_that_cannot_be_written_is_named(owned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, and nothing changed."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("rollout.django.flag_file.os.replace", refuse)
    code, text = run("flag", "set", FLAG, "25")

    assert code == 4
    assert "Read-only file system" in text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({}, 'ROLLOUT["FLAGS"] in the settings owns the percentage'),
        ({"FLAGS": None, "SOURCE": "environment"}, "ROLLOUT_FLAG_TOURNAMENT_WEBHOOKS owns the percentage"),
        (
            {"FLAGS": None, "SOURCE": "openfeature", "OPENFEATURE": {"DOMAIN": "peer"}},
            'the OpenFeature provider of ROLLOUT["OPENFEATURE"] owns the percentage',
        ),
    ],
)
def test_a_percentage_that_somebody_else_owns_is_refused(
    using: Override, source: dict[str, Any], says: str
) -> None:
    """It says who."""
    with using(ROLLOUT=source):
        code, text = run("flag", "set", FLAG, "25")

    assert code == 2
    assert says in text


GOOD = {"schema": 1, "version": 8, "flags": {FLAG: {"percentage": "25"}}}


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({}, 0, "1 flags, version 8: good"),
        ({"version": 6}, 1, "6 is older than 7"),
        ({"flags": {FLAG: {"percentage": "25", "salt": "new"}}}, 1, "deal every unit again"),
        ({"flags": {FLAG: {"percentage": "1"}}}, 0, "5 % -> 1 %: units would go out"),
        ({"flags": {FLAG: {}}}, 0, "5 % -> nobody: units would go out"),
        ({"flags": {}}, 0, "would be gone, and closed for everybody"),
        ({"flags": {FLAG: {"percentage": "101"}}}, 1, f"flags.{FLAG}.percentage"),
        ({"flags": {FLAG: {"percentge": "1"}}}, 1, "percentge"),
        ({"schema": 2}, 1, "schema"),
        ({"flags": {FLAG: {"percentage": "25"}, "new": {"percentage": "1"}}}, 0, "2 flags"),
    ],
)
def test_lint_judges_a_file_before_it_is_put_in_force(
    owned: Path, tmp_path: Path, changes: dict[str, Any], code: int, says: str
) -> None:
    """By the schema, and by what is in force."""
    candidate = tmp_path / "candidate.json"
    candidate.write_text(json.dumps({**GOOD, **changes}))

    found, text = run("flag", "lint", str(candidate))

    assert found == code
    assert says in text


def test_lint_without_a_name_judges_the_file_in_force(owned: Path) -> None:
    """Exit code 0, or 1 where it is broken."""
    assert run_json("flag", "lint")[1]["errors"] == []
    owned.write_text('{"schema": 1')
    assert run("flag", "lint")[0] == 1
    owned.unlink()
    assert run("flag", "lint")[0] == 4


def test_lint_reads_toml(owned: Path, tmp_path: Path) -> None:
    """By its ending."""
    candidate = tmp_path / "flags.toml"
    candidate.write_text(f'schema = 1\nversion = 8\n[flags.{FLAG}]\npercentage = "25"\n')

    assert run("flag", "lint", str(candidate))[0] == 0


def test_lint_without_any_file_is_refused(using: Override) -> None:
    """There is none to judge."""
    with using(ROLLOUT={"FLAGS": None}):
        assert run("flag", "lint")[0] == 2


def test_a_command_that_is_incomplete_is_a_usage_error() -> None:
    """As argparse says it."""
    for arguments in ([], ["flag"], ["flag", "set"], ["nonsense"]):
        with pytest.raises(CommandError):
            call_command("rollout", *arguments)
