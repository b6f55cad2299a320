"""What a process knows of the database's flags and ceilings, and what it makes of a database that is away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rollout.django.own_connection import OwnConnection, Unreadable
from rollout.django.polling import DatabasePoll
from rollout.events import Fact, SourceProblem
from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.polled import Polled
from rollout.snapshot import SourceStatus
from rollout.testing import ManualClock
from tests.conftest import NOW

FLAG = FlagKey("tournament-webhooks")
FIVE, HALF = Percentage.parse(5), Percentage.parse(50)
FLAGS = '{"schema": 1, "version": %d, "flags": {"tournament-webhooks": {"percentage": "%s"}}}'
Row = tuple[str | None, ...]


class Table(OwnConnection):
    """A database that a test writes into."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.flags: tuple[int, str] | None = None
        self.away = False
        self.fails_at = ""  # a part of the statement that gets no answer
        self.reads = 0
        self.spent: list[float] = []
        self.asked: list[str] = []
        # Flag, version and hash of every journal entry; flag and version of a person's word; who waits.
        self.entries: list[Row] = []
        self.accepted: list[Row] = []
        self.others = 0

    def read(
        self, sql: str, parameters: Sequence[str | float] = (), *, spent_seconds: float = 0.0
    ) -> list[Row]:
        """Answer the questions that are asked; a row without its last entry's hash and version has none."""
        self.reads += 1
        self.spent.append(spent_seconds)
        self.asked.append(sql)
        if self.away or (self.fails_at and self.fails_at in sql):
            raise Unreadable("TimeoutError")
        if "content" in sql:
            return [] if self.flags is None or self.flags[0] != parameters[1] else [(self.flags[1],)]
        if "cause" in sql:
            return self.accepted
        if "hash = " in sql:
            flags, versions, hashes = (list(map(str, parameters[place::3])) for place in (1, 2, 3))
            asked = list(zip(flags, versions, hashes, strict=True))
            return [entry[:1] for entry in self.entries if entry in asked]
        document: list[Row] = [] if self.flags is None else [("", str(self.flags[0]), "0", "", "0", "", "0")]
        rows = [(*row, "", "0")[:7] if len(row) < 7 else row for row in self.rows]
        return [*rows, *document, ("!", str(self.others), "0", "", "0", "", "0")]


@pytest.fixture
def table() -> Table:
    """A database with one rollout at 5 %."""
    table = Table()
    table.rows = [(FLAG, "3", "2", "5", "0")]
    return table


@pytest.fixture
def told() -> list[Fact]:
    """What an observer heard."""
    return []


@pytest.fixture
def poll(table: Table, clock: ManualClock, told: list[Fact], tmp_path: Path) -> DatabasePoll:
    """A poll of it."""
    return DatabasePoll(
        table, environment="test", kept=str(tmp_path / "kept.json"), monotonic=clock, observer=told.append
    )


def test_it_looks_at_most_once_an_interval(poll: DatabasePoll, table: Table, clock: ManualClock) -> None:
    """A quarter of a second: a thousand questions in between are one query."""
    for _ in range(1_000):
        poll.ceilings()
    clock.advance(0.24)
    poll.ceilings()
    first = table.reads
    clock.advance(0.01)
    poll.ceilings()

    assert (first, table.reads) == (1, 2)


def test_a_change_is_in_force_at_the_next_look(poll: DatabasePoll, table: Table, clock: ManualClock) -> None:
    """Within a second of the commit, as the contract has it (§10)."""
    before = poll.ceilings()
    table.rows = [(FLAG, "4", "3", "0", "0")]
    clock.advance(0.25)

    after = poll.ceilings()

    assert (before, after) == ({FLAG: FIVE}, {FLAG: Percentage.NOBODY})


def test_an_answer_confirms_for_two_seconds(poll: DatabasePoll, table: Table, clock: ManualClock) -> None:
    """Then a sender waits; and goes on by itself with the next answer."""
    confirmed = [poll.is_confirmed()]
    table.away = True
    for _ in range(2):
        clock.advance(1.0)
        confirmed.append(poll.is_confirmed())
    clock.advance(0.5)
    confirmed.append(poll.is_confirmed())
    table.away = False
    clock.advance(0.25)
    confirmed.append(poll.is_confirmed())

    assert confirmed == [True, True, True, False, True]


def test_while_the_database_is_away_recording_goes_by_what_was_known(
    poll: DatabasePoll, table: Table, clock: ManualClock, told: list[Fact]
) -> None:
    """The last known ceilings stay; the problem is told once."""
    poll.ceilings()
    table.away = True

    seen = []
    for _ in range(50):
        clock.advance(1.0)
        seen.append(poll.ceilings())

    assert all(each == {FLAG: FIVE} for each in seen)
    assert told == [SourceProblem(origin="database", problem="database: TimeoutError")]


def test_a_database_that_is_away_is_asked_ever_more_rarely_by_those_who_record(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """A black hole costs 100 ms a look: at most once in 30 s in the end. Who sends asks each interval."""
    poll.ceilings()
    table.away = True
    for _ in range(4 * 300):
        clock.advance(0.25)
        poll.ceilings()
    rarely = table.reads
    for _ in range(8):
        clock.advance(0.25)
        poll.is_confirmed()

    assert rarely <= 1 + 8 + 10
    assert table.reads - rarely == 8


def test_with_nothing_ever_known_there_are_no_ceilings_to_give(poll: DatabasePoll, table: Table) -> None:
    """Whoever asks closes the gate (reason ERROR)."""
    table.away = True

    with pytest.raises(Unreadable, match="TimeoutError"):
        poll.ceilings()

    assert not poll.is_confirmed()


def test_a_cold_start_with_the_database_away_goes_by_the_disk(
    poll: DatabasePoll, table: Table, clock: ManualClock, tmp_path: Path
) -> None:
    """Good for recording, not for sending."""
    table.flags = (1, FLAGS % (1, "12.5"))
    poll.ceilings()
    table.away = True

    cold = DatabasePoll(table, environment="test", kept=str(tmp_path / "kept.json"), monotonic=clock)

    assert cold.ceilings() == {FLAG: FIVE}
    assert cold.snapshot().flags[FLAG].percentage == Percentage.parse("12.5")
    assert not cold.is_confirmed()


def test_what_another_environment_left_on_disk_is_no_knowledge(
    poll: DatabasePoll, table: Table, told: list[Fact], clock: ManualClock, tmp_path: Path
) -> None:
    """One host, one path, two environments: a ceiling of the one is never in force in the other."""
    poll.ceilings()
    table.away = True

    other = DatabasePoll(
        table,
        environment="staging",
        kept=str(tmp_path / "kept.json"),
        monotonic=clock,
        observer=told.append,
    )

    with pytest.raises(Unreadable):
        other.ceilings()
    table.away, table.rows = False, [(FLAG, "1", "1", "50", "0")]
    clock.advance(1)
    assert (other.ceilings(), other.is_confirmed()) == ({FLAG: HALF}, True)


@pytest.mark.parametrize(
    "content", ["", "{", '{"schema": 9}', "\xff"], ids=["empty", "cut", "newer", "bytes"]
)
def test_a_damaged_file_on_disk_is_no_knowledge(table: Table, tmp_path: Path, *, content: str) -> None:
    """As if there were none; the next reading replaces it."""
    (tmp_path / "kept.json").write_bytes(content.encode("latin-1"))
    table.away = True
    poll = DatabasePoll(table, environment="test", kept=str(tmp_path / "kept.json"), monotonic=lambda: NOW)

    with pytest.raises(Unreadable):
        poll.ceilings()


def test_a_disk_that_cannot_be_written_is_told_and_stops_nothing(
    table: Table, told: list[Fact], tmp_path: Path
) -> None:
    """A folder that does not exist."""
    poll = DatabasePoll(
        table,
        environment="test",
        kept=str(tmp_path / "no" / "kept"),
        monotonic=lambda: NOW,
        observer=told.append,
    )

    assert poll.ceilings() == {FLAG: FIVE}
    assert isinstance(told[0], SourceProblem) and "cannot be kept" in told[0].problem


def test_nothing_is_written_to_disk_while_nothing_changes(
    poll: DatabasePoll, clock: ManualClock, tmp_path: Path
) -> None:
    """Four looks a second, all day."""
    poll.ceilings()
    (tmp_path / "kept.json").unlink()

    for _ in range(20):
        clock.advance(0.25)
        poll.ceilings()

    assert not (tmp_path / "kept.json").exists()


def test_a_store_that_went_back_is_not_obeyed_upwards_and_not_confirmed(
    poll: DatabasePoll, table: Table, clock: ManualClock, told: list[Fact]
) -> None:
    """A replica that lags behind a kill: senders wait, and it is said."""
    table.rows = [(FLAG, "4", "3", "0", "0")]
    poll.ceilings()
    table.rows = [(FLAG, "3", "2", "5", "0")]
    clock.advance(3.0)

    confirmed, ceilings = poll.is_confirmed(), poll.ceilings()

    assert (confirmed, ceilings) == (False, {FLAG: Percentage.NOBODY})
    assert isinstance(told[-1], SourceProblem) and "store went back" in told[-1].problem


def test_a_store_that_took_another_way_is_never_obeyed_whatever_its_version(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """A kill at version 4 was lost; the replica goes on to 4, 5, 6 without it: nobody resumes by that."""
    table.rows, table.entries = [(FLAG, "4", "3", "0", "0", "killed", "4")], [(FLAG, "4", "killed")]
    poll.ceilings()
    table.entries = [(FLAG, "1", "begun"), (FLAG, "4", "passed")]
    seen = []
    for version, epoch in (("3", "2"), ("4", "3"), ("5", "3"), ("6", "4"), ("7000", "9")):
        table.rows = [(FLAG, version, epoch, "50", "0", "passed", "4")]
        clock.advance(0.25)
        seen.append((poll.is_confirmed(), poll.ceilings(), poll.look().is_lost))

    assert seen == [(False, {FLAG: Percentage.NOBODY}, True)] * 5


def test_a_store_that_has_every_decision_is_obeyed(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """The entry that was obeyed is in its journal, and others came after it; one query more, once."""
    table.rows, table.entries = [(FLAG, "5", "3", "25", "0", "passed", "4")], [(FLAG, "4", "passed")]
    poll.ceilings()
    table.rows, reads = [(FLAG, "9", "4", "50", "0", "passed-again", "8")], table.reads
    table.entries.append((FLAG, "8", "passed-again"))
    clock.advance(0.25)
    confirmed = poll.is_confirmed()
    clock.advance(0.25)

    assert (confirmed, poll.is_confirmed(), poll.ceilings()) == (True, True, {FLAG: HALF})
    assert table.reads - reads == 3


@pytest.mark.parametrize("fails_at", ["hash = ", "content"], ids=["the-journal", "the-document"])
def test_a_kill_that_was_read_is_obeyed_although_the_rest_of_the_look_failed(
    poll: DatabasePoll, table: Table, clock: ManualClock, *, fails_at: str
) -> None:
    """Its row came; the second query of the look took too long: nobody is let in, and it is not confirmed."""
    table.rows, table.flags = [(FLAG, "4", "3", "25", "0", "passed", "4")], (1, FLAGS % (1, "25"))
    poll.snapshot()
    table.rows, table.flags = [(FLAG, "5", "4", "0", "0", "killed", "5")], (2, FLAGS % (2, "25"))
    table.fails_at = fails_at
    clock.advance(0.25)
    ceilings, epochs = poll.ceilings(), [each.epoch for each in poll.look().controls.values()]
    clock.advance(2.0)

    assert (ceilings, epochs) == ({FLAG: Percentage.NOBODY}, [3])  # obeyed, and not told before it is known
    assert not poll.is_confirmed()


def test_all_queries_of_a_look_share_its_time(
    poll: DatabasePoll, table: Table, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 ms for a look (contract §3), however many questions it asks."""
    table.rows = [(FLAG, "4", "3", "25", "0", "passed", "4")]
    poll.ceilings()
    table.rows, table.flags = [(FLAG, "5", "4", "25", "0", "paused", "5")], (2, FLAGS % (2, "25"))
    table.spent, plain = [], Table.read

    def slow(self: Table, *args: Any, **options: Any) -> list[Row]:
        clock.advance(0.03)
        return plain(self, *args, **options)

    monkeypatch.setattr(Table, "read", slow)
    clock.advance(0.25)
    poll.look(strictly=True)

    assert table.spent == pytest.approx([0.0, 0.03, 0.06, 0.09])


def test_a_persons_word_ends_it_for_every_flag_and_their_document(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """Accepted above all that was known: begun anew with what is there, lower versions included."""
    other = FlagKey("other")
    table.rows = [(FLAG, "4", "3", "0", "0", "killed", "4"), (other, "8", "1", "5", "0", "lost", "8")]
    table.flags = (5, FLAGS % (5, "50"))
    poll.snapshot()
    table.rows, table.flags = [(FLAG, "5", "4", "5", "0", "passed", "5")], (5, FLAGS % (5, "5"))
    clock.advance(0.25)
    before = (poll.is_confirmed(), poll.snapshot().flags[FLAG].percentage)
    table.rows, table.accepted = [(FLAG, "9000", "4", "5", "0", "accepted", "9000")], [(FLAG, "9000")]
    clock.advance(0.25)

    assert before == (False, HALF)
    assert poll.is_confirmed()
    assert poll.ceilings() == {FLAG: FIVE}
    assert poll.snapshot().flags[FLAG].percentage == FIVE


def test_a_persons_word_is_looked_for_once_for_what_is_there(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """It changes the row of its flag: as long as nothing there changes, nobody can have said it."""
    table.rows = [(FLAG, "4", "3", "0", "0", "killed", "4")]
    poll.ceilings()
    seen, confirmed = [], []
    for version in ("3", "3", "3", "5", "5"):
        table.rows, table.asked = [(FLAG, version, "3", "50", "0", "passed", "3")], []
        clock.advance(0.25)
        confirmed.append(poll.is_confirmed())
        seen.append(sum("cause" in sql for sql in table.asked))
    table.rows, table.accepted = [(FLAG, "9000", "4", "5", "0", "accepted", "9000")], [(FLAG, "9000")]
    clock.advance(0.25)

    assert (confirmed, seen) == ([False] * 5, [1, 0, 0, 1, 0])
    assert poll.is_confirmed()


def test_a_persons_word_is_looked_for_again_where_that_failed(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """The question got no answer: the next look asks it."""
    table.rows = [(FLAG, "4", "3", "0", "0", "killed", "4")]
    poll.ceilings()
    table.rows, table.accepted = [(FLAG, "9000", "4", "5", "0", "accepted", "9000")], [(FLAG, "9000")]
    table.fails_at = "cause"
    clock.advance(0.25)
    before = poll.is_confirmed()
    table.fails_at = ""
    clock.advance(0.25)

    assert (before, poll.is_confirmed(), poll.ceilings()) == (True, True, {FLAG: FIVE})


def test_a_word_from_before_is_not_taken_for_one_on_this_store(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """Accepted once, killed since, and the kill was lost: somebody must say so again."""
    table.rows, table.accepted = [(FLAG, "9001", "5", "0", "0", "killed", "9001")], [(FLAG, "9000")]
    poll.ceilings()
    table.rows = [(FLAG, "9002", "5", "50", "0", "passed", "9002")]
    clock.advance(0.25)

    assert (poll.is_confirmed(), poll.ceilings()) == (False, {FLAG: Percentage.NOBODY})


def test_what_another_sender_has_seen_keeps_this_one_waiting(
    table: Table, clock: ManualClock, told: list[Fact]
) -> None:
    """One that has just begun knows of nothing; while somebody tells of more, it sends nothing."""
    table.others = 1
    fresh = DatabasePoll(table, environment="test", monotonic=clock, observer=told.append)

    table.accepted = [(FLAG, "2")]  # of this store, before; what the other has seen is above it
    confirmed, lost = fresh.is_confirmed(), fresh.look().is_lost
    table.others = 0
    clock.advance(0.25)

    assert (confirmed, lost, fresh.is_confirmed()) == (False, False, True)
    assert told == [SourceProblem(origin="database", problem="store went back: another sender has seen more")]


@pytest.mark.parametrize("refresh_seconds", [0.25, 1.9, 5.0, 30.0])
def test_who_sends_looks_four_times_a_second_however_rarely_the_others_look(
    table: Table, clock: ManualClock, *, refresh_seconds: float
) -> None:
    """The setting is for those who record; a worker's state stays confirmed, and is never older."""
    poll = DatabasePoll(table, environment="test", refresh_seconds=refresh_seconds, monotonic=clock)
    confirmed = []
    for _ in range(120):
        confirmed.append(poll.is_confirmed())
        clock.advance(0.25)
    by_senders = table.reads
    for _ in range(120):
        poll.ceilings()
        clock.advance(0.25)

    assert (all(confirmed), by_senders) == (True, 120)
    assert table.reads - by_senders <= 30 / refresh_seconds + 1


def test_what_a_slow_thread_has_read_is_not_put_over_what_came_after(
    poll: DatabasePoll, table: Table, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat may have told the newer one: from then on it is obeyed."""
    poll.look(strictly=True)
    plain, old = Table.read, [(FLAG, "3", "2", "5", "0", "", "0")]

    def slow(_self: Table, *_args: object, **_options: object) -> list[Row]:
        monkeypatch.setattr(Table, "read", plain)  # its answer is there; it goes on only after the other
        table.rows = [(FLAG, "4", "3", "0", "0")]
        clock.advance(0.25)
        newer.append(poll.look(strictly=True))
        return list(old)

    newer: list[Polled] = []
    monkeypatch.setattr(Table, "read", slow)
    clock.advance(0.25)
    returned = poll.look(strictly=True)

    assert newer[0].ceilings() == {FLAG: Percentage.NOBODY}
    assert returned is newer[0]
    assert poll.look(strictly=True) is newer[0]


def test_the_flags_document_is_read_when_its_version_grows(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """One more query for a new version; the same snapshot again while there is none."""
    table.flags = (1, FLAGS % (1, "5"))
    first = poll.snapshot()
    clock.advance(0.25)
    again = poll.snapshot()
    reads = table.reads
    table.flags = (2, FLAGS % (2, "50"))
    clock.advance(0.25)
    second = poll.snapshot()

    assert first is again
    assert (first.flags[FLAG].percentage, second.flags[FLAG].percentage) == (FIVE, HALF)
    assert table.reads - reads == 2


def test_one_failed_look_does_not_make_the_flags_stale(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """Within two seconds of the last answer they are as good as confirmed; then STALE; then READY again."""
    table.flags = (1, FLAGS % (1, "5"))
    statuses = [poll.snapshot().status]
    table.away = True
    clock.advance(1.0)
    statuses.append(poll.snapshot().status)
    clock.advance(2.0)
    statuses.append(poll.snapshot().status)
    table.away = False
    clock.advance(30.0)
    statuses.append(poll.snapshot().status)

    assert statuses == [SourceStatus.READY, SourceStatus.READY, SourceStatus.STALE, SourceStatus.READY]


def test_flags_that_cannot_be_used_leave_the_last_good_ones(
    poll: DatabasePoll, table: Table, clock: ManualClock
) -> None:
    """A document that is no configuration, by whatever hand."""
    table.flags = (1, FLAGS % (1, "5"))
    poll.snapshot()
    table.flags = (2, FLAGS % (2, "101"))
    clock.advance(0.25)

    snapshot = poll.snapshot()

    assert snapshot.status is SourceStatus.STALE
    assert snapshot.flags[FLAG].percentage == FIVE


def test_a_database_without_flags_says_so(poll: DatabasePoll) -> None:
    """Nobody gets webhooks, and it is plain why."""
    snapshot = poll.snapshot()

    assert (snapshot.status, snapshot.problem) == (
        SourceStatus.ERROR,
        "database: no flags were ever stored there",
    )


def test_a_document_that_is_replaced_between_the_two_reads_is_read_at_the_next_look(
    poll: DatabasePoll, table: Table, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of one and half of another."""
    table.flags = (1, FLAGS % (1, "5"))
    plain = Table.read

    def racing(self: Table, sql: str, *args: Any, **options: Any) -> list[Row]:
        if "content" in sql:
            self.flags = (2, FLAGS % (2, "50"))
            monkeypatch.setattr(Table, "read", plain)
        return plain(self, sql, *args, **options)

    monkeypatch.setattr(Table, "read", racing)
    first = poll.snapshot()
    clock.advance(2.0)
    second = poll.snapshot()

    assert first.status is SourceStatus.ERROR
    assert second.flags[FLAG].percentage == HALF


def test_a_flag_with_a_plan_is_nobodys_until_it_is_started(table: Table) -> None:
    """A percentage of 100 in the settings must not be in force because the plan has not begun."""
    other = FlagKey("other")
    poll = DatabasePoll(table, environment="test", planned=[FLAG, other], monotonic=lambda: NOW)

    assert poll.ceilings() == {FLAG: FIVE, other: Percentage.NOBODY}
