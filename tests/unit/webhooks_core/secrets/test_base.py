"""The memory before a place of secrets: two limits of age, one thread that asks, and nothing shown."""

from __future__ import annotations

import pickle
import threading
import traceback

import pytest

from rollout.testing import ManualClock
from webhooks_core.errors import ConfigError
from webhooks_core.secrets import CachedSecrets, SecretText
from webhooks_core.secrets.base import listed, parsed

OLD, NEW = "o" * 40, "n" * 40


class Place:
    """A place that a test changes and breaks."""

    def __init__(self, *texts: str) -> None:
        self.texts: object = list(texts)
        self.broken = False
        self.asked = 0

    def __call__(self) -> object:
        self.asked += 1
        if self.broken:
            raise OSError(f"the vault that holds {self.texts} is away")
        return self.texts


@pytest.fixture
def ticks() -> ManualClock:
    return ManualClock(0.0)


def cached(place: Place, ticks: ManualClock) -> CachedSecrets:
    return CachedSecrets(place, ttl_seconds=60, stale_seconds=3600, monotonic=ticks)


def test_a_place_is_asked_once_in_its_time(ticks: ManualClock) -> None:
    """59 s later what is known still serves, 60 s later the place is asked; nothing new, the same tuple."""
    place = Place(OLD)
    secrets = cached(place, ticks)
    first = secrets()
    ticks.advance(59)
    again = secrets()
    asked = place.asked
    ticks.advance(1)
    place.texts = [NEW, OLD]

    rotated = secrets()

    assert (list(first), again is first, asked) == ([OLD], True, 1)
    assert list(rotated) == [NEW, OLD]


def test_an_answer_that_has_not_changed_is_the_same_object(ticks: ManualClock) -> None:
    """So that whoever parses it knows."""
    secrets = cached(Place(OLD), ticks)
    first = secrets()
    ticks.advance(61)

    assert secrets() is first


def test_a_place_that_fails_is_covered_for_its_limit_and_no_longer(ticks: ManualClock) -> None:
    """An hour after the last answer it still serves, a second later the error comes out."""
    place = Place(OLD)
    secrets = cached(place, ticks)
    first = secrets()
    place.broken = True
    ticks.advance(3600)
    covered = secrets()
    ticks.advance(1)
    within_pause = secrets()
    ticks.advance(5)

    assert covered is within_pause is first
    with pytest.raises(OSError, match="away"):
        secrets()


def test_a_place_that_fails_is_left_alone_for_five_seconds(ticks: ManualClock) -> None:
    """An outage is not made worse."""
    place = Place(OLD)
    secrets = cached(place, ticks)
    secrets()
    place.broken = True
    ticks.advance(60)
    for _ in range(10):
        secrets()
    asked = place.asked
    ticks.advance(5)
    place.broken = False
    place.texts = [NEW]

    assert asked == 2
    assert list(secrets()) == [NEW]


def test_without_any_answer_the_error_comes_out(ticks: ManualClock) -> None:
    """And the place is asked again the next time."""
    place = Place(OLD)
    place.broken = True
    secrets = cached(place, ticks)
    with pytest.raises(OSError, match="away"):
        secrets()
    place.broken = False

    assert list(secrets()) == [OLD]


def test_while_one_thread_asks_the_others_go_on(ticks: ManualClock) -> None:
    """A slow place holds up one thread and no other."""
    asking, answer = threading.Event(), threading.Event()
    texts = [OLD]

    def slow() -> list[str]:
        if texts == [NEW]:
            asking.set()
            answer.wait(10)
        return texts

    secrets = CachedSecrets(slow, ttl_seconds=60, stale_seconds=3600, monotonic=ticks)
    first = secrets()
    texts[:] = [NEW]
    ticks.advance(60)
    thread = threading.Thread(target=secrets)
    thread.start()
    asking.wait(10)

    meanwhile = secrets()
    answer.set()
    thread.join(10)

    assert meanwhile is first
    assert list(secrets()) == [NEW]


@pytest.mark.parametrize(
    "numbers",
    [
        {"ttl_seconds": -1},
        {"ttl_seconds": float("nan")},
        {"ttl_seconds": 10, "stale_seconds": 9},
        {"stale_seconds": float("inf")},
    ],
)
def test_limits_that_make_no_sense_are_refused(numbers: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(ConfigError, match="_seconds"):
        CachedSecrets(Place(OLD), **numbers)


@pytest.mark.parametrize("found", [None, 7, b"x" * 40, [], [OLD, None], {OLD: 1}])
def test_what_is_neither_a_text_nor_texts_is_refused_without_quoting_it(found: object) -> None:
    """The type is told."""
    with pytest.raises(ConfigError) as caught:
        listed(found)

    assert OLD not in str(caught.value)


def test_one_text_is_a_list_of_one_and_none_stands_twice() -> None:
    """AWS gives one version at both stages until the first rotation."""
    assert list(listed(OLD)) == [OLD]
    assert list(listed([NEW, OLD, NEW])) == [NEW, OLD]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{NEW}\n{OLD}\n", [NEW, OLD]),
        (f"{NEW}\r\n\r\n{OLD}", [NEW, OLD]),
        (f' ["{NEW}", "{OLD}"]', [NEW, OLD]),
        (NEW, [NEW]),
    ],
)
def test_a_place_holds_lines_or_a_json_list(text: str, expected: list[str]) -> None:
    """Newest first."""
    assert list(parsed(text, path="p")) == expected


@pytest.mark.parametrize("text", ["", "\n \n", f'["{NEW}"', f'[["{NEW}"]]', "[]", "[1]"])
def test_what_cannot_be_read_is_told_without_the_text(text: str) -> None:
    """The place is named."""
    with pytest.raises(ConfigError, match=r"^p: ") as caught:
        parsed(text, path="p")

    assert NEW not in str(caught.value)


def test_nothing_shows_a_secret(ticks: ManualClock) -> None:
    """Neither a representation nor the locals of a traceback, and there is no pickle."""
    secrets = cached(Place(OLD), ticks)
    found = secrets()

    assert OLD not in f"{secrets!r} {found!r} {found[0]!r}"
    for hidden in (secrets, found[0]):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(hidden)


def test_the_locals_of_a_traceback_show_no_secret() -> None:
    """As a debug page would print them."""
    shown = ""
    for text in (f'["{NEW}", 7]', f'["{NEW}"'):
        try:
            parsed(SecretText(text), path="p")
        except ConfigError as error:
            del text
            formatted = traceback.TracebackException.from_exception(error, capture_locals=True).format()
            shown += "".join(formatted)

    assert "is no JSON list of texts" in shown
    assert NEW not in shown
