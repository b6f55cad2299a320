"""The judge of a crash run: each rule has teeth, and each figure counts what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crash.notes import Note
from tests.crash.verdict import Facts, Kill, Made, Victim, figures, problems

NOW = 1_763_000_000.0
KEY = "match:42"
GOOD = Facts(
    made=[Made(webhook_id="a", ordering_key=KEY, number=1), Made(webhook_id="b", ordering_key=KEY, number=2)],
    committed=["a", "b"],
    rolled_back=["x"],
    states={"a": "delivered", "b": "delivered"},
    effects=["a", "b"],
    requests=[Note(NOW, "came", "a"), Note(NOW + 1, "came", "b")],
)


def test_a_run_that_kept_everything_has_no_problems() -> None:
    """Two events, two effects, in order."""
    found = problems(GOOD)

    assert found == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"committed": ["a", "b", "lost"]}, "no row of the application's: lost"),
        ({"states": {"a": "delivered"}}, "not in the outbox: b"),
        ({"effects": ["a"]}, "without an effect (lost): b"),
        ({"effects": ["a", "b", "a"]}, "more than one effect: a"),
        ({"states": {**GOOD.states, "x": "delivered"}}, "rolled back and in the outbox: x"),
        ({"requests": [Note(NOW, "came", "x")]}, "rolled back and sent: x"),
        ({"requests": [Note(NOW, "came", "stranger")]}, "never committed: stranger"),
        ({"states": {"a": "delivered", "b": "claimed"}}, "(stuck): b (claimed)"),
        ({"effects": ["b", "a"]}, "order of their key: a"),
    ],
    ids=["row", "outbox", "lost", "twice", "recorded", "sent", "stranger", "stuck", "order"],
)
def test_what_was_not_kept_is_named_with_its_id(change: dict[str, object], told: str) -> None:
    """Each rule alone."""
    broken = replace(GOOD, **change)  # type: ignore[arg-type]

    found = problems(broken)

    assert any(told in problem for problem in found)


def test_many_ids_are_not_all_shown() -> None:
    """Five, and how many more."""
    broken = replace(GOOD, committed=[f"id{number}" for number in range(7)])

    (found,) = problems(broken)

    assert found.endswith("id0, id1, id2, id3, id4 and 2 more")


def test_a_redelivery_is_measured_from_the_kill_to_the_next_request() -> None:
    """Not where the receiver was away, nor where the next worker was killed as well."""
    kills = [
        Kill(victim=Victim.WORKER, name="w1", at=NOW, held=frozenset({"quick", "unlucky", "away", "done"})),
        Kill(victim=Victim.WORKER, name="w2", at=NOW + 2, held=frozenset({"unlucky"})),
        Kill(victim=Victim.RECEIVER, name="r", at=NOW + 5),
    ]
    came = [("quick", -1), ("quick", 2), ("unlucky", 4), ("away", 9)]
    facts = replace(
        GOOD,
        requests=[
            *(Note(NOW + seconds, "came", name) for name, seconds in came),
            Note(NOW + 2.1, "200", "quick", "known"),
            Note(NOW + 9.1, "503", "away"),
        ],
        kills=kills,
        quiet=[(NOW + 5, NOW + 6)],
    )

    found = figures(facts)

    assert found.redeliveries == (2.0, 2.0)
    assert (found.hits, found.orphans) == (2, 5)
    assert (found.known, found.busy, found.double_rate) == (1, 1, 0.5)
    assert found.kills == {Victim.WORKER: 2, Victim.RECEIVER: 1}
