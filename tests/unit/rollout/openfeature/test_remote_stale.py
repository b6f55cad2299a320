"""A provider that says it is stale, by its status or by its answers: believed for a while, and no longer."""

from __future__ import annotations

from typing import Any

import pytest
from openfeature import _event_support, api
from openfeature.event import ProviderEventDetails
from openfeature.flag_evaluation import FlagResolutionDetails

from rollout import Reason
from rollout.remote_stale import Spell
from tests.unit.rollout.openfeature.test_remote import DOMAIN, KEY, ON, THEIRS, Fails, Scripted, flags


@pytest.fixture
def provider() -> Scripted:
    """The other side, ready."""
    made = Scripted()
    api.set_provider_and_wait(made, DOMAIN)
    return made


class Now:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


def test_a_stale_provider_is_believed_for_a_while(provider: Scripted) -> None:
    """30 s at the gate, 2 s before sending; ready again, it counts anew."""
    now = Now()
    asked = flags(monotonic=now)
    provider.emit_provider_stale(ProviderEventDetails())

    fresh = asked.decide(KEY, 101)
    now.seconds = 3.0
    gate, sender = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)
    now.seconds = 31.0
    old = asked.decide(KEY, 101)
    provider.emit_provider_ready(ProviderEventDetails())
    ready = asked.decide(KEY, 101)

    assert [fresh.value, gate.value, ready.value] == [True, True, True]
    assert (sender.value, sender.reason, sender.error_code) == (False, Reason.STALE, None)
    assert (old.value, old.reason, old.detail) == (False, Reason.STALE, "openfeature stale: for 31 s")


def test_an_answer_that_says_it_is_stale_counts_the_same() -> None:
    """By its reason, where the provider itself says it is ready."""
    api.set_provider_and_wait(Scripted(FlagResolutionDetails(True, reason="STALE")), DOMAIN)
    now = Now()
    asked = flags(monotonic=now)

    first = asked.decide(KEY, 101)
    now.seconds = 31.0

    assert (first.value, asked.decide(KEY, 101).reason) == (True, Reason.STALE)


@pytest.fixture
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tells on threads of its own; here on the test's, so that the clock is known."""
    monkeypatch.setattr(_event_support, "_submit_handler", lambda handler, details: handler(details))


STALE = FlagResolutionDetails(True, reason="STALE")
NO = FlagResolutionDetails(False, reason="STATIC")


@pytest.mark.usefixtures("_told_at_once")
def test_the_moment_it_was_told_is_when_it_became_stale(provider: Scripted) -> None:
    """Not the moment it was next asked, nor the last time it was ready; the second word does not move it."""
    now = Now()
    asked = flags(monotonic=now)
    asked.decide(KEY, 101)
    for now.seconds in (20.0, 25.0):
        provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 31.0

    decision = asked.decide_strict(KEY, 101)

    assert (decision.reason, decision.detail) == (Reason.STALE, "openfeature stale: for 11 s")


@pytest.mark.usefixtures("_told_at_once")
def test_ready_again_ends_it_though_nobody_asks_meanwhile(provider: Scripted) -> None:
    """The next time counts from its own beginning."""
    now = Now()
    asked = flags(monotonic=now)
    asked.decide(KEY, 101)
    provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 1.0
    provider.emit_provider_ready(ProviderEventDetails())
    now.seconds = 100.0
    provider.emit_provider_stale(ProviderEventDetails())

    decision = asked.decide_strict(KEY, 101)

    assert (decision.value, decision.reason) == (True, Reason.STATIC)


@pytest.mark.usefixtures("_told_at_once")
def test_what_becomes_of_another_provider_says_nothing(provider: Scripted) -> None:
    """Handlers hear of every provider of the process."""
    other, now = Scripted(), Now()
    api.set_provider_and_wait(other, "other")
    asked = flags(monotonic=now)
    asked.decide(KEY, 101)
    now.seconds = 10.0
    provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 15.0
    other.emit_provider_ready(ProviderEventDetails())
    now.seconds = 20.0
    other.emit_provider_stale(ProviderEventDetails())

    decision = asked.decide_strict(KEY, 101)

    assert decision.detail == "openfeature stale: for 10 s"


def test_a_moment_that_nobody_told_counts_from_the_last_fresh_answer(provider: Scripted) -> None:
    """As in a child after a fork, where the SDK's threads are not: in doubt it was stale all the while."""
    now = Now()
    asked = flags(monotonic=now)
    now.seconds = 10.0
    asked.decide(KEY, 101)
    asked.close()
    provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 3600.0

    gate, sender = asked.decide(KEY, 101), asked.decide_strict(KEY, 101)

    assert (gate.detail, sender.detail) == ("openfeature stale: for 3590 s",) * 2


@pytest.mark.parametrize("word", ["STATIC", "STALE"], ids=["its-status", "its-word"])
def test_stale_from_the_first_question_on_counts_from_the_beginning(provider: Scripted, word: str) -> None:
    """There was no fresh answer yet."""
    now = Now()
    asked = flags(monotonic=now)
    asked.close()
    if word == "STATIC":
        provider.emit_provider_stale(ProviderEventDetails())
    provider.answer = FlagResolutionDetails(True, reason=word)
    now.seconds = 31.0

    assert asked.decide(KEY, 101).detail == "openfeature stale: for 31 s"


def test_a_fresh_answer_about_another_flag_does_not_freshen_this_one(provider: Scripted) -> None:
    """The word of an answer is about its flag."""
    now = Now()
    asked = flags(monotonic=now, remote={"flags": {KEY: THEIRS, "other": "their-other"}})
    seen = []
    for now.seconds in (0.0, 20.0, 40.0):
        provider.answer = STALE
        seen.append(asked.decide(KEY, 101).value)
        provider.answer = ON
        assert asked.decide("other", 101).value

    assert seen == [True, True, False]


@pytest.mark.parametrize(
    ("between", "value"),
    [
        pytest.param(FlagResolutionDetails(True, reason="CACHED"), False, id="cached"),
        pytest.param(Fails(OSError()), False, id="none"),
        pytest.param(ON, True, id="fresh"),
    ],
)
def test_only_a_fresh_answer_ends_what_an_answer_said(provider: Scripted, between: Any, value: bool) -> None:
    """One from a cache, for another unit, is none; nor is an error."""
    provider.answer = STALE
    now = Now()
    asked = flags(monotonic=now)
    asked.decide(KEY, 101)
    now.seconds = 20.0
    provider.answer = between
    asked.decide(KEY, 102)
    now.seconds = 40.0
    provider.answer = STALE

    assert asked.decide(KEY, 101).value is value


def test_an_answer_of_a_stale_provider_is_not_fresh(provider: Scripted) -> None:
    """Whatever its own word is."""
    now = Now()
    asked = flags(monotonic=now)
    provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 25.0
    asked.decide(KEY, 101)
    provider.emit_provider_ready(ProviderEventDetails())
    provider.answer = STALE
    now.seconds = 31.0

    assert asked.decide(KEY, 101).detail == "openfeature stale: for 31 s"


@pytest.mark.usefixtures("_told_at_once")
def test_of_both_clocks_the_longer_counts(provider: Scripted) -> None:
    """And why the gate is closed is told, whatever went along with the question."""
    now = Now()
    asked = flags(monotonic=now)
    provider.answer = lambda: STALE if provider.asked[-1][1].attributes.get("region") else NO
    asked.decide(KEY, 101, {"region": "eu"})
    now.seconds = 31.0
    provider.emit_provider_stale(ProviderEventDetails())

    decision = asked.decide(KEY, 101, {"region": "eu"})

    assert (decision.reason, decision.detail) == (Reason.STALE, "openfeature stale: for 31 s")


def test_an_answer_that_was_under_way_does_not_end_what_began_meanwhile() -> None:
    """It was fresh when it was asked for."""
    spell = Spell(0.0)
    spell.begins(5.0)

    spell.ends(4.0)
    at_nine = spell.seconds(9.0)
    spell.ends(6.0)

    assert at_nine == 4.0
    assert not spell
    assert spell.seconds(9.0) == 3.0


def test_closed_it_leaves_nothing_with_the_sdk(provider: Scripted) -> None:
    """Neither handlers nor clients; and one that is closed before it was asked never leaves any."""
    asked, early = flags(), flags()
    asked.decide(KEY, 101)
    left = sum(len(each) for each in _event_support._global_handlers.values())

    for _ in range(2):
        asked.close()
        early.close()
    still = asked.decide(KEY, 101).value and early.decide(KEY, 101).value

    assert left == 2
    assert not any(_event_support._global_handlers.values())
    assert not _event_support._client_handlers
    assert still


@pytest.mark.usefixtures("_told_at_once")
def test_another_provider_that_becomes_stale_begins_no_spell_of_this_one(provider: Scripted) -> None:
    """What is stale for 10 s is believed for 20 more, though another one has been so for 40."""
    other, now = Scripted(), Now()
    api.set_provider_and_wait(other, "other")
    asked = flags(monotonic=now)
    asked.decide(KEY, 101)
    other.emit_provider_stale(ProviderEventDetails())
    now.seconds = 30.0
    provider.emit_provider_stale(ProviderEventDetails())
    now.seconds = 40.0

    assert asked.decide(KEY, 101).value
