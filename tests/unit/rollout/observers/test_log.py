"""Log lines: what the greps of the runbook find, and nothing personal in them."""

from __future__ import annotations

import logging
import re

import pytest

from rollout.decision import Decision, Reason
from rollout.events import (
    Evaluated,
    Fact,
    ObserverFailed,
    RolloutChanged,
    SnapshotLoaded,
    SourceProblem,
    TripCleared,
    emit,
)
from rollout.observers import log
from rollout.observers.log import LogObserver, plain

#: The runbook's quick search for personal data, and what the staging guide adds.
PERSONAL = re.compile(r"@|email|username|ip_address|192\.168|10\.|172\.", re.IGNORECASE)
#: The runbook's strict search for addresses.
ADDRESS = re.compile(r"\b([0-9]{1,3}\.){3}[0-9]{1,3}\b")

CHANGED = RolloutChanged(
    flag="tournament-webhooks", from_bp="500", to_bp="2500", state="RUNNING", actor="ops", reason="24 h clean"
)


def lines(caplog: pytest.LogCaptureFixture, fact: Fact) -> list[tuple[str, int, str]]:
    """Return what *fact* writes."""
    with caplog.at_level(logging.DEBUG):
        LogObserver()(fact)
    return caplog.record_tuples


def test_a_change_of_the_rollout_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The contract §9, to the letter; percentages in basis points."""
    assert lines(caplog, CHANGED) == [
        (
            "webhooks",
            logging.WARNING,
            "Rollout changed: flag=tournament-webhooks, from=500, to=2500, state=RUNNING, actor=ops, "
            "reason=24%20h%20clean",
        )
    ]


def test_a_trip_that_is_cleared_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Who, whether they were checked, what was found and mended; nothing personal, whatever they say."""
    cleared = TripCleared(
        flag="f", actor="bert", authenticated=False, reason="the email is gone", found="address:data.*"
    )

    found = lines(caplog, cleared)

    line = (
        "Rollout trip cleared: flag=f, actor=bert, authenticated=False, found=address:data.%2A,"
        " reason=the%20%65mail%20is%20gone"
    )
    assert found == [("webhooks", logging.WARNING, line)]
    assert not PERSONAL.search(line)


def test_a_load_is_information_and_a_problem_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """On the logger of the flags."""
    lines(caplog, SnapshotLoaded(version=7, origin="/etc/flags.json"))
    found = lines(caplog, SourceProblem(origin="/etc/flags.json", problem="no JSON"))

    assert found == [
        ("rollout", logging.INFO, "Flags loaded: version=7, origin=/etc/flags.json"),
        ("rollout", logging.ERROR, "Flags not loaded: origin=/etc/flags.json, problem=no%20JSON"),
    ]


def test_decisions_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """There are thousands a second."""
    decision = Decision("a", True, "on", Reason.SPLIT, None, "", "1", 1, 2, 0)

    assert lines(caplog, Evaluated(decision=decision)) == []


@pytest.mark.parametrize(
    "value",
    [
        "ops@example.org",
        "email",
        "E-Mail eMail",
        "username",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "v10.2",
        "203.0.113.9",
        "\x01.2.3.4",
        "ip_address",
        "2001:db8::1",
        "~",
        "Ä\n\x00",
        "",
    ],
)
def test_values_from_outside_are_made_plain(value: str) -> None:
    """`[A-Za-z0-9_.:/+-]`, percent-encoded, at most 128 characters, nothing the runbook's search finds."""
    shown = plain(value)

    assert re.fullmatch(r"[A-Za-z0-9_.:/+%-]{1,128}", shown)
    assert not PERSONAL.search(shown)
    assert not ADDRESS.search(shown)
    assert "db8" not in shown
    long = plain(value * 200)
    assert len(long) <= 128
    assert not re.search(r"%[0-9A-F]?\Z", long)


def test_a_change_with_a_fraction_and_an_address_is_plain(caplog: pytest.LogCaptureFixture) -> None:
    """A comma before the fraction of a basis point; half a surrogate does not matter."""
    changed = RolloutChanged(
        flag="email", from_bp="10.5", to_bp="0", state="HOLD", actor="a@b.c", reason="from 10.0.0.1 \ud800"
    )

    ((_, _, message),) = lines(caplog, changed)

    assert "from=10,5, to=0" in message
    assert not PERSONAL.search(message)


def test_a_failing_observer_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing the module is enough; the thousandth failure of the same kind is silent."""
    monkeypatch.setattr(log, "_reported", set[ObserverFailed]())

    def broken(fact: Fact) -> None:
        raise ValueError("a secret")

    for _ in range(3):
        emit(broken, CHANGED)

    ((name, level, message),) = caplog.record_tuples
    assert (name, level) == ("rollout", logging.ERROR)
    assert message.startswith("Observer failed: observer=")
    assert message.endswith("error=ValueError, fact=RolloutChanged")
    assert "secret" not in message
