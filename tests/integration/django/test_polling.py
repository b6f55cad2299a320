"""What a process knows of the database's flags and ceilings, and what it makes of a database that is away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rollout.django.own_connection import OwnConnection, Unreadable
from rollout.django.polling import DatabasePoll
from rollout.events import Fact, SourceProblem
from rollout.flags import FlagKey
from rollout.percentage import Percentage
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
        self.reads = 0

    def read(self, sql: str, parameters: Sequence[str | float] = ()) -> list[Row]:
        """Answer the two questions that are asked."""
        self.reads += 1
        if self.away:
            raise Unreadable("TimeoutError")
        if "content" in sql:
            return [] if self.flags is None or self.flags[0] != parameters[1] else [(self.flags[1],)]
        flags: list[Row] = [] if self.flags is None else [("", str(self.flags[0]), "0", "", "0")]
        return [*self.rows, *flags]


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

    def racing(self: Table, sql: str, parameters: Sequence[str | float] = ()) -> list[Row]:
        if "content" in sql:
            self.flags = (2, FLAGS % (2, "50"))
            monkeypatch.setattr(Table, "read", plain)
        return plain(self, sql, parameters)

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
