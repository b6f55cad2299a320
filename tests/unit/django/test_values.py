"""Readers of one value, and `Reading`, which gathers what is wrong and never raises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_core.django.values import (
    BadValue,
    Reading,
    Spot,
    clean,
    count,
    is_dotted_path,
    matching,
    nearest,
    number,
    one_of,
    shown,
    switch,
    unknown_key,
)

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
    st.just(object()),
)


def spot(raw: object) -> Spot:
    """A value that somebody wrote somewhere."""
    return Spot(id="webhooks.E999", setting="WEBHOOK_X", raw=raw)


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("true", True),
        ("1", True),
        ("yes", True),
        ("ON", True),
        (" True\r\n", True),
        ('"yes"', True),
        ("'off'", False),
        ("false", False),
        ("0", False),
        ("NO", False),
        ("Off\n", False),
        ("", False),
        ('""', False),
    ],
)
def test_a_switch_reads_the_words_of_the_contract(raw: object, meaning: bool) -> None:
    """Contract §1: any case, quotes and line ends stripped; empty is off."""
    assert switch(raw) is meaning


@pytest.mark.parametrize(
    "raw", ["maybe", "tru", "2", 2, 1.0, 0.0, None, b"true", [], {}, object(), "yes please"]
)
def test_a_switch_refuses_everything_else(raw: object) -> None:
    """An unknown word is an error, not a guess."""
    with pytest.raises(BadValue, match="must be True or False"):
        switch(raw)


@pytest.mark.parametrize(("raw", "value"), [(10, 10.0), (0.5, 0.5), ("10", 10.0), ("2.5", 2.5), (60, 60.0)])
def test_a_number_is_read_also_from_text_of_digits(raw: object, value: float) -> None:
    """The environment only has text."""
    assert number(above=0, at_most=60)(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        0,
        -1,
        60.001,
        61,
        math.nan,
        math.inf,
        -math.inf,
        True,
        "ten",
        "1e1",
        "-1",
        "+1",
        " 10",
        "1_0",
        "١",
        b"1",
        [],
        pytest.param(10**400, id="overflow"),
    ],
)
def test_a_number_out_of_bounds_or_of_another_type_is_refused(raw: object) -> None:
    """The message says what is allowed and not what was there."""
    with pytest.raises(BadValue, match=r"^must be a number above 0 and at most 60$"):
        number(above=0, at_most=60)(raw)


def test_a_number_may_be_bounded_below_only() -> None:
    """`at_least` includes its bound."""
    read = number(at_least=1)

    assert read(1) == 1.0
    with pytest.raises(BadValue, match=r"^must be a number of at least 1$"):
        read(0.999)


@pytest.mark.parametrize(("raw", "value"), [(1, 1), (20, 20), ("3", 3), ("020", 20)])
def test_a_count_is_read_also_from_text_of_digits(raw: object, value: int) -> None:
    """The environment only has text."""
    assert count(at_least=1, at_most=20)(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        0,
        21,
        -3,
        3.0,
        True,
        "3.0",
        "three",
        "-1",
        "",
        pytest.param("9" * 5000, id="nines"),
        pytest.param(10**5000, id="huge"),
        None,
        [],
    ],
)
def test_a_count_out_of_bounds_or_of_another_type_is_refused(raw: object) -> None:
    """A float is no count, whatever its value."""
    with pytest.raises(BadValue, match=r"^must be a whole number of at least 1 and at most 20$"):
        count(at_least=1, at_most=20)(raw)


def test_a_count_without_an_upper_bound_says_so() -> None:
    """9999 and more is allowed for the breaker."""
    assert count(at_least=1)(10_000) == 10_000
    with pytest.raises(BadValue, match=r"^must be a whole number of at least 1$"):
        count(at_least=1)(0)


def test_a_word_must_be_one_of_the_known_ones() -> None:
    """The message lists them."""
    assert one_of(["inline"])("inline") == "inline"
    with pytest.raises(BadValue, match="must be one of inline, worker"):
        one_of(["inline", "worker"])("celery")
    with pytest.raises(BadValue):
        one_of(["inline"])(["inline"])


def test_matching_text_is_matched_as_a_whole() -> None:
    """A line end at the end is not overlooked."""
    read = matching(r"[a-z]+", "must be letters")

    assert read("abc") == "abc"
    for raw in ("abc\n", "abc1", "", 1, None):
        with pytest.raises(BadValue, match="must be letters"):
            read(raw)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ("a.b", True),
        ("a.b.c_d", True),
        ("a", False),
        ("a.", False),
        (".a", False),
        ("a b.c", False),
        ("1.2", False),
        ("a." + "b" * 300, False),
        (None, False),
        (3, False),
    ],
)
def test_a_dotted_path_looks_like_one(raw: object, answer: bool) -> None:
    """A hex or base64 secret has no dot between words."""
    assert is_dotted_path(raw) is answer


def test_env_files_leave_quotes_and_line_ends_which_are_stripped() -> None:
    """`docker --env-file` does not strip quotes."""
    assert clean(' "https://x.example/"\r\n') == "https://x.example/"
    assert clean("'10'") == "10"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ENVIROMENT", "ENVIRONMENT"),
        ("environment", "ENVIRONMENT"),
        ("EVENT", "EVENTS"),
        ("ZZZ", None),
        (3, None),
    ],
)
def test_the_nearest_known_name_is_found(name: object, near: str | None) -> None:
    """Case does not matter for a misspelling."""
    assert nearest(name, ["ENVIRONMENT", "EVENTS"]) == near


def test_an_unknown_key_names_the_nearest_or_all() -> None:
    """One is enough where one comes near."""
    assert unknown_key("EVENT", ["EVENTS", "ENGINE"]) == 'is not known; did you mean "EVENTS"?'
    assert unknown_key("ZZZ", ["EVENTS", "ENGINE"]) == "is not known; known are EVENTS, ENGINE"


def test_a_strange_key_is_not_shown() -> None:
    """A key may hold anything, also an address."""
    assert shown("eu-1") == '"eu-1"'
    assert shown("somebody@example.org") == "?"
    assert shown(3) == "?"


def test_a_reading_keeps_the_default_and_notes_the_problem() -> None:
    """The process goes on; the problem names setting, type and what is allowed."""
    reading = Reading()

    value = reading.value(spot(-1), number(above=0), default=10.0)

    assert value == 10.0
    assert [str(problem) for problem in reading.problems] == ["WEBHOOK_X (int): must be a number above 0"]
    assert reading.problems[0].id == "webhooks.E999"


def test_an_unset_value_is_no_problem() -> None:
    """None is how Django projects write *not set*."""
    reading = Reading()

    assert reading.value(spot(None), number(above=0), default=10.0) == 10.0
    assert reading.problems == []


def test_a_reader_that_breaks_becomes_a_problem_without_the_error_s_text() -> None:
    """A hostile value must not stop the process, nor speak in a log."""

    def broken(raw: object) -> float:
        raise RuntimeError("very secret")

    reading = Reading()
    reading.value(spot("x"), broken, default=1.0)

    assert [str(problem) for problem in reading.problems] == [
        "WEBHOOK_X (str): could not be read (RuntimeError)"
    ]


def test_a_table_keeps_known_keys_and_names_the_others() -> None:
    """Contract §1: unknown keys are errors with the nearest known name."""
    reading = Reading()

    table = reading.table(spot({"EVENTS": 1, "EVENT": 2, 3: 4}), ["EVENTS"])

    assert table == {"EVENTS": 1}
    assert [str(problem) for problem in reading.problems] == [
        'WEBHOOK_X["EVENT"] (str): is not known; did you mean "EVENTS"?',
        "WEBHOOK_X[?] (int): is not known; known are EVENTS",
    ]


@pytest.mark.parametrize("raw", ["text", 3, [], [("EVENTS", 1)], object()])
def test_what_is_no_dictionary_is_a_problem(raw: object) -> None:
    """An empty table is what is left."""
    reading = Reading()

    assert reading.table(spot(raw), ["EVENTS"]) == {}
    assert str(reading.problems[0]).endswith("must be a dictionary")


@given(ANYTHING)
def test_no_value_makes_a_reading_raise(raw: object) -> None:
    """The invariant of the module."""
    for read in (
        switch,
        number(above=0, at_most=60),
        count(at_least=1),
        one_of(["a"]),
        matching("a", "must be a"),
    ):
        reading = Reading()
        reading.value(spot(raw), read, default=None)  # type: ignore[arg-type]
        assert len(reading.problems) <= 1
    Reading().table(spot(raw), ["A"])


def test_a_spot_does_not_show_its_value() -> None:
    """It may be a secret, and tracebacks show locals."""
    assert "hunter2" not in repr(spot("hunter2"))
