"""Property: log lines keep their shape and pass the runbook's searches (the contract §8, §9)."""

from __future__ import annotations

import dataclasses
import logging
import re
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rollout.events as rollout_events
from rollout.observers.log import LogObserver as RolloutLogObserver
from webhooks_core import events
from webhooks_core.observers.log import LogObserver
from webhooks_core.outcome import Outcome

pytestmark = pytest.mark.slow

# The seeds' own searches, which must find nothing in a line about webhooks (§8).
QUICK = re.compile(r"@|email|username|192\.168|10\.|172\.", re.IGNORECASE)
STRICT = [
    re.compile(r"\b[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,}\b", re.IGNORECASE),
    re.compile(r"@[a-zA-Z0-9_]+"),
    re.compile(r"\b([0-9]{1,3}\.){3}[0-9]{1,3}\b"),
    re.compile(r"email|username|ip_address"),
]
VALUE = r"[A-Za-z0-9_.:/+%-]{1,140}"
PATH = r"[A-Za-z0-9_.:/+%*\[\]-]{1,140}"  # `data.players[3].*` is what a path looks like (§8)
WORDS = r"[A-Za-z0-9_.:/+%-][A-Za-z0-9_.:/+% -]{0,140}"

# The contract's table, one shape a line; what a fact may add stands at the end.
SHAPES: dict[str, str] = {
    "AttemptStarted": r"Attempting webhook delivery \(attempt \d+/\d+\): "
    rf"event={VALUE}, endpoint={VALUE}, webhook_id={VALUE}",
    "Delivered": rf"Webhook delivered successfully: event={VALUE}, status=\d+, attempt=\d+, latency=\d+ms, "
    rf"elapsed=\d+ms, endpoint={VALUE}, webhook_id={VALUE} \(Webhook delivery successful\)",
    "AttemptFailed": rf"Webhook attempt failed: event={VALUE}, status=(\d+|-), outcome={VALUE}, "
    rf"error={WORDS}",
    "RetryPlanned": r"Retrying in \d+(,\d+)? seconds\.\.\.( \(slow tier \d+/\d+\))?",
    "NotRetried": r"Client errors \(4xx\) are not retried: .*status=\d+.*",
    "GivenUp": rf"Webhook delivery failed after \d+ attempts: event={VALUE}, outcome={VALUE}, error={WORDS}, "
    rf"endpoint={VALUE}, webhook_id={VALUE}",
    "BreakerOpened": rf"Circuit breaker OPENED: endpoint={VALUE}, failures=\d+, window=\d+(,\d+)?s",
    "BreakerHalfOpened": rf"Circuit breaker HALF_OPEN: endpoint={VALUE}",
    "BreakerClosed": rf"Circuit breaker CLOSED: endpoint={VALUE}",
    "Skipped": rf"Webhook skipped by rollout: event={VALUE}, reason={WORDS}",
    "Held": rf"Webhook held: .*, reason={WORDS}",
    "Waiting": rf"Webhook waiting: .*, reason={WORDS}",
    "Blocked": rf"Webhook blocked: .*, kind={VALUE}, path={PATH}",
    "Received": rf"Received webhook: event={VALUE}, webhook_id={VALUE}",
    "DuplicateSeen": rf"Duplicate webhook: webhook_id={VALUE}",
    "Rejected": rf"Webhook rejected: reason={WORDS}(, left_out=\d+)?",
    "SignatureChecked": r"Signature valid: True|Timestamp age: -?\d+s \(fresh\)",
    "ReceivedHeaders": rf"X-Webhook-(Signature|Timestamp|Id|Event): {VALUE}",
}
LEVELS = {
    "AttemptStarted": logging.INFO, "Delivered": logging.INFO, "AttemptFailed": logging.WARNING,
    "RetryPlanned": logging.WARNING, "NotRetried": logging.WARNING, "GivenUp": logging.ERROR,
    "BreakerOpened": logging.ERROR, "BreakerHalfOpened": logging.INFO, "BreakerClosed": logging.INFO,
    "Skipped": logging.DEBUG, "Held": logging.WARNING, "Waiting": logging.WARNING, "Blocked": logging.WARNING,
    "Received": logging.INFO, "SignatureChecked": logging.INFO, "DuplicateSeen": logging.WARNING,
    "Rejected": logging.WARNING, "ReceivedHeaders": logging.DEBUG,
}  # fmt: skip

NASTY = [
    "a\nWebhook delivered successfully: event=x", "a\r\nb", "\x00\x1b[31m", "\u2028x", "\ud800", "", " ",
    "{0}", "ann@example.org", "@ann", "@" * 200, "EMail", "userNAME", "eemailmail", "usernamemail",
    "ip_address", "emailemail.10.10.",
    "e\u200bmail", "ｅmail", "192.168.0.1", "10.0.0.1", "172.16.0.1", "203.0.113.9",
    "2001:db8::1", "192.192.168.168", "1010..", "100.1.2.3.4.5", "@.1.2.3", "\x10.1.2.3", "1.2\u0663.4.5",
    "172\u0660.10.", "192%2E168", "10\u0660.", "٣.٣.٣.٣", "110.5", "1" * 30 + "10.", "10" * 60 + ".",
    "a" * 126 + "10.1", "a" * 500, "x, status=200", "%s %d %(x)s",
]  # fmt: skip
OUTSIDE = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=200), st.text("0123456789.:@emailusrn_\n %=,", max_size=60)
)
NUMBERS = st.integers(0, 10**6)
SECONDS = st.floats(0, 10**6)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a fact's field."""
    if hint is Outcome:
        return st.sampled_from(sorted(Outcome))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: OUTSIDE, int: NUMBERS, float: SECONDS, bool: st.booleans(), type(None): st.none()
    }  # fmt: skip
    if hint in simple:
        return simple[hint]
    return st.one_of([of_type(each) for each in get_args(hint)])


def facts_of(kind: type) -> st.SearchStrategy[Any]:
    """Facts of one kind with any values in them."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: of_type(hints[field.name]) for field in dataclasses.fields(kind)})


KINDS = get_args(events.Fact)
ROLLOUT_KINDS = [
    *(rollout_events.RolloutChanged, rollout_events.JournalGrew),
    *(rollout_events.SnapshotLoaded, rollout_events.SourceProblem),
]
FACTS = st.one_of([facts_of(kind) for kind in KINDS])


class Lines(logging.Handler):
    """Keeps what would be written, as a file would hold it."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.records: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Format as the seeds' log files do: the message alone."""
        self.records.append((record.levelno, record.getMessage()))


def written(observer: Any, name: str, fact: object) -> list[tuple[int, str]]:
    """The lines that *observer* writes for one fact on the logger *name*."""
    logger, lines = logging.getLogger(name), Lines()
    level, propagates = logger.level, logger.propagate
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        observer(fact)
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
        logger.propagate = propagates
    return lines.records


def assert_clean(line: str) -> None:
    """One line of printable ASCII that the seeds' searches do not find."""
    assert line.isascii(), line
    assert line.isprintable(), line
    assert not QUICK.search(line), line
    assert not any(search.search(line) for search in STRICT), line


def filled(kind: type, text: str) -> Any:
    """A fact of one kind with *text* wherever a text can be."""
    hints = get_type_hints(kind)
    plain = {str: text, int: 1, float: 1.5, bool: True, Outcome: Outcome.TIMEOUT}
    first = {
        name: next(each for each in (hint, *get_args(hint)) if each in plain) for name, hint in hints.items()
    }
    return kind(**{name: plain[each] for name, each in first.items()})


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_no_known_trick_breaks_a_line_of_any_kind(text: str) -> None:
    """Every value of the list in every fact of both packages: the line stays clean (§8, §9)."""
    for kind in KINDS:
        for _, line in written(LogObserver(), "webhooks", filled(kind, text)):
            assert_clean(line)
    for kind in ROLLOUT_KINDS:
        for name in ("webhooks", "rollout"):
            for _, line in written(RolloutLogObserver(), name, filled(kind, text)):
                assert_clean(line)


@settings(max_examples=500)  # some twenty kinds of facts, each with several values from outside
@given(FACTS)
@example(events.Held(event="10.", endpoint="@", webhook_id="1.2.3.4", reason="email"))
def test_no_value_from_outside_breaks_a_line(fact: Any) -> None:
    """No line break, no control character, and every search of the seeds finds nothing (§8, §9)."""
    for _, line in written(LogObserver(), "webhooks", fact):
        assert_clean(line)
        assert len(line) < 1200


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.__name__ in SHAPES], ids=lambda kind: kind.__name__
)
@given(data=st.data())
@settings(max_examples=30)  # each kind has its own test
def test_each_fact_has_the_contracts_line(kind: type, data: st.DataObject) -> None:
    """The texts and levels of the contract's table, whatever the values are (§9)."""
    fact = data.draw(facts_of(kind))

    lines = written(LogObserver(), "webhooks", fact)

    assert lines
    for level, line in lines:
        assert re.fullmatch(SHAPES[kind.__name__], line, re.ASCII), line
        assert level == LEVELS[kind.__name__]


def test_the_table_of_the_contract_is_covered() -> None:
    """Every shape above belongs to a fact that exists."""
    assert set(SHAPES) <= {kind.__name__ for kind in KINDS}
    assert set(SHAPES) == set(LEVELS)


@given(OUTSIDE, OUTSIDE)
def test_two_different_values_never_make_one_field_look_like_two(event: str, reason: str) -> None:
    """A value cannot forge a further `key=value` pair (§8: percent-encoded)."""
    ((_, line),) = written(LogObserver(), "webhooks", events.Skipped(event=event, reason=reason))

    assert line.count("=") == 2
    assert line.count(", ") == 1


@given(st.lists(OUTSIDE, min_size=4, max_size=4), st.floats(0, 86_400))
def test_the_signature_is_cut_to_fourteen_characters(texts: list[str], age: float) -> None:
    """A debug line never holds a whole signature (§9)."""
    signature = "0123456789abcdef" * 4
    fact = events.ReceivedHeaders(
        signature=signature, timestamp=texts[0], webhook_id=texts[1], event=texts[2]
    )

    text = "\n".join(line for _, line in written(LogObserver(), "webhooks", fact))

    assert signature[:14] in text
    assert signature[:15] not in text


@settings(max_examples=300)  # three kinds with up to six values from outside
@given(st.one_of([facts_of(kind) for kind in ROLLOUT_KINDS]))
def test_no_value_from_outside_breaks_a_line_of_the_rollout(fact: Any) -> None:
    """The same for `Rollout changed` and for problems of sources (§8, §9)."""
    lines = written(RolloutLogObserver(), "webhooks", fact) + written(RolloutLogObserver(), "rollout", fact)

    assert lines
    for _, line in lines:
        assert_clean(line)


BASIS_POINTS = st.integers(0, 10_000).map(str)


@given(OUTSIDE, BASIS_POINTS, BASIS_POINTS, OUTSIDE, OUTSIDE)
def test_a_change_of_the_rollout_has_the_contracts_line(
    flag: str, before: str, after: str, actor: str, why: str
) -> None:
    """`Rollout changed: flag=…, from=…, to=…, state=…, actor=…, reason=…`, basis points, WARNING (§9)."""
    fact = rollout_events.RolloutChanged(
        flag=flag, from_bp=before, to_bp=after, state="RUNNING", actor=actor, reason=why
    )

    ((level, line),) = written(RolloutLogObserver(), "webhooks", fact)

    assert level == logging.WARNING
    shape = rf"Rollout changed: flag={VALUE}, from={before}, to={after}, state=RUNNING, actor={VALUE}, "
    shape += rf"reason={WORDS}"
    assert re.fullmatch(shape, line, re.ASCII), line
