"""A provider that is made and set on a thread of its own: nobody waits for it."""

from __future__ import annotations

import threading

import pytest
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryProvider

from rollout.provided import Provided

DOMAIN = "provided"


class Maker:
    """Makes a provider once a test lets it, and tells of what became of it."""

    def __init__(self, *, fails: BaseException | None = None) -> None:
        self.goes_on, self.ended = threading.Event(), threading.Event()
        self.made: list[InMemoryProvider] = []
        self.failed: list[BaseException] = []
        self.fails = fails

    def __call__(self) -> InMemoryProvider:
        """Make it."""
        assert self.goes_on.wait(10)
        self.made.append(Told(self.ended))
        if self.fails is not None:
            raise self.fails
        return self.made[-1]

    def fail(self, error: BaseException) -> None:
        """Take what was raised."""
        self.failed.append(error)
        self.ended.set()


class Told(InMemoryProvider):
    """Tells when it is initialised, or shut down."""

    def __init__(self, ended: threading.Event) -> None:
        super().__init__({})
        self.ended = ended
        self.shut = False

    def initialize(self, evaluation_context: object) -> None:
        """Tell."""
        self.ended.set()

    def shutdown(self) -> None:
        """Tell."""
        self.shut = True
        self.ended.set()


def threads() -> list[threading.Thread]:
    """Those that are making one."""
    return [each for each in threading.enumerate() if each.name == "rollout-provider"]


def join() -> None:
    """Wait until all are made."""
    for thread in threads():
        thread.join(10)


def test_it_begins_with_the_first_question_and_nobody_waits() -> None:
    """However often it is asked for, it is made once, and then it is there."""
    maker = Maker()
    provided = Provided(maker, DOMAIN, failed=maker.fail)
    none_yet = threads()

    before = [provided.is_set(), provided.is_set()]
    under_way = len(threads())
    maker.goes_on.set()
    join()

    assert (none_yet, before, under_way) == ([], [False, False], 1)
    assert provided.is_set()
    assert [api.get_client(DOMAIN).provider] == maker.made


@pytest.mark.parametrize("error", [OSError(), SystemExit()], ids=["error", "exit"])
def test_what_it_raises_is_told_and_it_is_not_tried_again(error: BaseException) -> None:
    """A thread that ends by an exit would end without a word."""
    maker = Maker(fails=error)
    provided = Provided(maker, DOMAIN, failed=maker.fail)
    maker.goes_on.set()

    provided.is_set()
    join()

    assert (provided.is_set(), maker.failed, len(maker.made), threads()) == (False, [error], 1, [])


@pytest.mark.parametrize("begun", [True, False], ids=["under-way", "not-begun"])
def test_given_up_it_is_not_set_any_more(begun: bool) -> None:
    """One that was made by then is shut down; one that was not begun is never made."""
    maker = Maker()
    provided = Provided(maker, DOMAIN, failed=maker.fail)
    was = api.get_client(DOMAIN).provider
    if begun:
        provided.is_set()

    provided.give_up()
    maker.goes_on.set()
    join()

    assert not provided.is_set()
    assert api.get_client(DOMAIN).provider is was
    assert [each.shut for each in maker.made] == [True] * begun


def test_where_no_thread_can_be_started_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the moment is not the rest of the process's life."""
    maker = Maker()
    maker.goes_on.set()
    provided = Provided(maker, DOMAIN, failed=maker.fail)

    def cannot(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", cannot)
        refused = [provided.is_set() for _ in range(3)]
    provided.is_set()
    join()

    assert refused == [False] * 3
    assert provided.is_set()
