"""Flags from environment variables."""

from __future__ import annotations

import pytest

from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import SourceStatus
from rollout.sources.env import EnvironmentSource, variable_of

KEY = FlagKey("tournament-webhooks")
NAME = "ROLLOUT_FLAG_TOURNAMENT_WEBHOOKS"


@pytest.mark.parametrize(
    ("key", "name"), [(KEY, NAME), ("a.b_C-1", "ROLLOUT_FLAG_A_B_C_1"), ("x", "ROLLOUT_FLAG_X")]
)
def test_a_flag_has_a_variable(key: str, name: str) -> None:
    """Capitals, and `_` for all but letters and digits."""
    assert variable_of(key) == name


@pytest.mark.parametrize("text", ["5", " 5 ", "5\r\n", '"5"', "'5'", '" 5"', "5.0"])
def test_a_variable_is_a_percentage(text: str) -> None:
    """Line ends and quotes of files of variables are stripped."""
    flags = EnvironmentSource([KEY], environ={NAME: text}).snapshot().flags

    assert flags[KEY].percentage == Percentage.parse(5)


def test_a_variable_may_be_a_whole_flag() -> None:
    """As JSON, by the same schema."""
    text = '{"percentage": "12.5", "forced_on": [101]}'

    flag = EnvironmentSource([KEY], environ={NAME: text}).snapshot().flags[KEY]

    assert (flag.percentage, flag.forced_on) == (Percentage.parse("12.5"), {"101"})


@pytest.mark.parametrize("environ", [{}, {NAME: ""}, {NAME: '""'}, {NAME: " \n"}])
def test_no_variable_is_no_flag(environ: dict[str, str]) -> None:
    """Ready, and the flag is not there: off."""
    snapshot = EnvironmentSource([KEY], environ=environ).snapshot()

    assert (snapshot.status, snapshot.flags) == (SourceStatus.READY, {})


@pytest.mark.parametrize(
    "text", ["50%", "NaN", "-1", "101", "1e400", "true", "on", "{", '{"percent": 5}', "'", "\udcff"]
)
def test_a_bad_value_is_refused(text: str) -> None:
    """With nothing read before: no flags, and the message names the flag or its variable."""
    snapshot = EnvironmentSource([KEY], environ={NAME: text}).snapshot()

    assert (snapshot.status, snapshot.flags) == (SourceStatus.ERROR, {})
    assert KEY in str(snapshot.problem) or NAME in str(snapshot.problem)


def test_a_change_within_the_process_is_heard() -> None:
    """Good, bad, good: the last good stays in between."""
    environ = {NAME: "5"}
    source = EnvironmentSource([KEY], environ=environ)
    first = source.snapshot()
    assert source.snapshot() is first

    environ[NAME] = "500"
    stale = source.snapshot()
    assert (stale.status, stale.flags) == (SourceStatus.STALE, first.flags)
    environ[NAME] = "50"

    assert source.snapshot().flags[KEY].percentage == Percentage.parse(50)


def test_two_flags_with_one_variable_are_refused() -> None:
    """One of them would silently have the other's percentage."""
    with pytest.raises(ConfigError, match=r"ROLLOUT_FLAG_A_B: is the variable of two"):
        EnvironmentSource(["a-b", "a.b"], environ={})
    EnvironmentSource(["a-b", "a-b"], environ={})


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.environ`, looked at live."""
    source = EnvironmentSource([KEY])

    monkeypatch.setenv(NAME, "7")

    assert source.snapshot().flags[KEY].percentage == Percentage.parse(7)
