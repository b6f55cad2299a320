"""Flags in memory: one refresh an interval, the last good kept, and never an exception."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rollout import live as live_module
from rollout.controls import KillState
from rollout.decision import ErrorCode, Reason
from rollout.errors import ConfigError
from rollout.events import SnapshotLoaded, SourceProblem
from rollout.flags import FlagKey
from rollout.live import LiveFlags
from rollout.percentage import NOBODY, Percentage
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.kill import KillFile
from rollout.sources.memory import MappingSource
from rollout.testing import ManualClock, RecordingObserver

KEY = "tournament-webhooks"
EVERYBODY = {KEY: {"percentage": 100}}


class Kill:
    """A kill switch that a test pulls."""

    def __init__(self) -> None:
        self.killed = False
        self.asked = 0

    def state(self) -> KillState:
        self.asked += 1
        return KillState(killed=self.killed, why="test")


class Counting(MappingSource):
    """A source that counts how often it is asked."""

    asked = 0

    def snapshot(self) -> Snapshot:
        self.asked += 1
        return super().snapshot()


class Broken:
    """A source that breaks its promise once told to."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def snapshot(self) -> Snapshot:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.fixture
def kill() -> Kill:
    """A kill switch at rest."""
    return Kill()


def live(source: object, clock: ManualClock, **changes: object) -> LiveFlags:
    """Build flags with a manual clock."""
    changes.setdefault("kill", Kill())
    return LiveFlags(source, monotonic=clock, **changes)  # type: ignore[arg-type]


def test_it_decides_and_answers_alike(clock: ManualClock) -> None:
    """`is_on` is `decide().value` for every unit, in and out, integers and texts."""
    flags = live(MappingSource({KEY: {"percentage": "50", "forced_on": [1], "forced_off": ["2"]}}), clock)

    for unit in (*range(200), *map(str, range(200)), "Zürich", None, "", True, 1.5, "\ud800", 10**5000):
        assert flags.is_on(KEY, unit) is flags.decide(KEY, unit).value
    assert {flags.is_on(KEY, unit) for unit in range(20)} == {True, False}


@pytest.mark.parametrize("configured", [{"enabled": False, "percentage": 100}, {}, {"percentage": 0}])
def test_the_bool_path_is_off_where_the_decision_is(configured: object, clock: ManualClock) -> None:
    """Disabled, without a percentage, at 0."""
    flags = live(MappingSource({KEY: configured}), clock)

    assert [flags.is_on(KEY, unit) for unit in range(50)] == [False] * 50


def test_nothing_is_read_before_the_first_question(clock: ManualClock) -> None:
    """Building one does no I/O."""
    source, kill = Counting(EVERYBODY), Kill()

    live(source, clock, kill=kill)

    assert (source.asked, kill.asked) == (0, 0)


def test_it_looks_at_most_once_an_interval(clock: ManualClock, kill: Kill) -> None:
    """A thousand questions within the interval cost one look."""
    source = Counting(EVERYBODY)
    flags = live(source, clock, kill=kill, refresh_seconds=0.25)

    for unit in range(500):
        flags.is_on(KEY, unit)
        flags.decide(KEY, unit)
        clock.advance(0.0001)
    assert (source.asked, kill.asked) == (1, 1)

    clock.advance(0.25)
    flags.is_on(KEY, 1)
    assert (source.asked, kill.asked) == (2, 2)


def test_an_interval_of_0_looks_each_time(clock: ManualClock) -> None:
    """For commands, where there is one question."""
    source = Counting(EVERYBODY)
    flags = live(source, clock, refresh_seconds=0)

    flags.decide(KEY, 1)
    flags.is_on(KEY, 1)

    assert source.asked == 2


@pytest.mark.parametrize("seconds", [-0.1, 30.1, float("nan"), float("inf"), "0.25", None])
def test_an_interval_out_of_range_is_refused(seconds: float) -> None:
    """A snapshot may be 30 s old, no older."""
    with pytest.raises(ConfigError, match="refresh_seconds"):
        LiveFlags(MappingSource({}), refresh_seconds=seconds)


def test_a_change_is_seen_after_the_interval(clock: ManualClock) -> None:
    """Not before, and without a restart."""
    source = MappingSource({KEY: {"percentage": 0}})
    flags = live(source, clock)
    assert not flags.is_on(KEY, 1)

    source.replace(EVERYBODY, version=1)
    assert not flags.is_on(KEY, 1)
    clock.advance(0.25)

    assert flags.is_on(KEY, 1)
    assert flags.decide(KEY, 1).version == 1


def test_the_kill_switch_is_seen_within_the_interval(clock: ManualClock, kill: Kill) -> None:
    """And let go of as fast."""
    flags = live(MappingSource(EVERYBODY), clock, kill=kill)
    assert flags.is_on(KEY, 1)

    kill.killed = True
    clock.advance(0.25)
    assert not flags.is_on(KEY, 1)
    assert flags.decide(KEY, 1).detail == "kill switch: test"

    kill.killed = False
    clock.advance(0.25)
    assert flags.is_on(KEY, 1)


def test_the_master_switch_is_read_at_each_question(clock: ManualClock) -> None:
    """Without waiting for the interval; strictly too."""
    master: list[object] = [True]
    flags = live(MappingSource(EVERYBODY), clock, master=lambda: master[0])
    assert flags.is_on(KEY, 1)

    for off, reason in (
        (False, Reason.DISABLED),
        (None, Reason.ERROR),
        ("on", Reason.ERROR),
        (1, Reason.ERROR),
    ):
        master[0] = off
        assert flags.is_on(KEY, 1) is False
        assert (flags.decide(KEY, 1).value, flags.decide(KEY, 1).reason) == (False, reason)
        assert (flags.decide_strict(KEY, 1).value, flags.decide_strict(KEY, 1).reason) == (False, reason)


def test_a_master_switch_that_raises_is_off(clock: ManualClock) -> None:
    """Unknown is off, reason ERROR."""

    def broken() -> bool:
        raise RuntimeError

    flags = live(MappingSource(EVERYBODY), clock, master=broken)

    assert not flags.is_on(KEY, 1)
    assert flags.decide(KEY, 1).error_code is ErrorCode.PARSE_ERROR
    assert flags.decide_strict(KEY, 1).error_code is ErrorCode.PARSE_ERROR


def test_ceilings_come_into_force_within_the_interval(clock: ManualClock) -> None:
    """0 stops everybody, a lower one all above it."""
    ceilings: dict[FlagKey, Percentage] = {}
    flags = live(MappingSource(EVERYBODY), clock, ceilings=lambda: ceilings)
    assert flags.is_on(KEY, 101)

    ceilings[FlagKey(KEY)] = Percentage.parse(15)
    clock.advance(0.25)
    assert not flags.is_on(KEY, 101)

    ceilings[FlagKey(KEY)] = NOBODY
    clock.advance(0.25)
    assert flags.decide(KEY, 101).detail == "ceiling 0"


@pytest.mark.parametrize("answer", [RuntimeError(), None, 5], ids=ascii)
def test_ceilings_that_cannot_be_read_close_every_flag(answer: object, clock: ManualClock) -> None:
    """A rollback may have happened: only what is certain is on."""
    observer = RecordingObserver()

    def ceilings() -> Mapping[FlagKey, Percentage]:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    flags = live(MappingSource(EVERYBODY), clock, ceilings=ceilings, observer=observer)

    assert not flags.is_on(KEY, 1)
    assert flags.decide(KEY, 1).error_code is ErrorCode.GENERAL
    assert [fact.origin for fact in observer.of(SourceProblem)] == ["controls"]


def test_a_kill_switch_that_raises_counts_as_pulled(clock: ManualClock) -> None:
    """It fails towards stopping."""

    class Failing:
        def state(self) -> KillState:
            raise RuntimeError

    flags = live(MappingSource(EVERYBODY), clock, kill=Failing())

    assert flags.decide(KEY, 1).detail == "kill switch: cannot be asked (RuntimeError)"


@pytest.mark.parametrize("answer", [RuntimeError("a secret"), None, {}], ids=ascii)
def test_a_source_that_breaks_its_promise_closes_what_was_never_read(
    answer: object, clock: ManualClock
) -> None:
    """Nothing of what it raises comes out."""
    flags = live(Broken(answer), clock)

    assert not flags.is_on(KEY, 1)
    decision = flags.decide(KEY, 1)
    assert (decision.error_code, "secret" in decision.detail) == (ErrorCode.PROVIDER_NOT_READY, False)


def test_a_source_that_breaks_later_leaves_the_last_good_flags(clock: ManualClock) -> None:
    """Stale, the same snapshot while the same is wrong, and told once."""
    good = MappingSource(EVERYBODY, version=3).snapshot()
    source, observer = Broken(good), RecordingObserver()
    flags = live(source, clock, observer=observer)
    assert flags.is_on(KEY, 1)

    source.answer = RuntimeError()
    clock.advance(0.25)
    assert flags.is_on(KEY, 1)
    stale = flags.snapshot()
    clock.advance(0.25)

    assert flags.snapshot() is stale
    assert (stale.status, stale.version) == (SourceStatus.STALE, 3)
    assert stale.problem == "RuntimeError from Broken"
    assert len(observer.of(SourceProblem)) == 1


def test_observers_hear_of_loads_and_problems_once(clock: ManualClock) -> None:
    """Not four times a second."""
    source, observer = MappingSource(EVERYBODY, version=1), RecordingObserver()
    flags = live(source, clock, observer=observer)

    def look_twice() -> None:
        for _ in range(2):
            clock.advance(0.25)
            flags.decide(KEY, 1)

    look_twice()
    source.replace({KEY: {"percentage": "101"}}, version=2)
    look_twice()
    source.replace(EVERYBODY, version=3)
    look_twice()

    assert [type(fact).__name__ for fact in observer.facts] == [
        "SnapshotLoaded",
        "SourceProblem",
        "SnapshotLoaded",
    ]
    assert [fact.version for fact in observer.of(SnapshotLoaded)] == [1, 3]


def test_an_observer_that_fails_changes_nothing(clock: ManualClock) -> None:
    """The decision is made all the same."""

    def broken(fact: object) -> None:
        raise RuntimeError

    assert live(MappingSource(EVERYBODY), clock, observer=broken).is_on(KEY, 1)


def test_strictly_everything_is_read_right_now(clock: ManualClock, kill: Kill) -> None:
    """Within the interval, and what it finds is in force for the others at once."""
    flags = live(MappingSource(EVERYBODY), clock, kill=kill)
    assert flags.decide_strict(KEY, 1).value

    kill.killed = True
    assert flags.is_on(KEY, 1)
    assert not flags.decide_strict(KEY, 1).value

    assert not flags.is_on(KEY, 1)


def test_strictly_how_it_was_admitted_counts(clock: ManualClock) -> None:
    """By a rule: without the position."""
    flags = live(MappingSource({KEY: {"percentage": 0}}), clock)

    assert flags.decide_strict(KEY, 1, admitted_by=Reason.TARGETING_MATCH).value
    assert not flags.decide_strict(KEY, 1, admitted_by=Reason.SPLIT).value


@pytest.mark.parametrize("key", ["no-such-flag", ["a"], None, 5], ids=ascii)
def test_keys_that_are_no_flags_are_off(key: str, clock: ManualClock) -> None:
    """Whatever was asked for, and nothing is kept of it."""
    flags = live(MappingSource(EVERYBODY), clock)

    for _ in range(2):
        assert flags.is_on(key, 1) is False
        assert flags.decide(key, 1).reason is Reason.ERROR
        assert flags.decide_strict(key, 1).reason is Reason.ERROR
    assert flags._compiled == {}


def test_rules_see_the_attributes(clock: ManualClock) -> None:
    """`is_on` has none, so that no rule matches there."""
    rules = [{"if": [{"attribute": "region", "op": "equals", "value": "eu"}], "serve": "on"}]
    flags = live(MappingSource({KEY: {"rules": rules}}), clock)

    assert flags.decide(KEY, 1, {"region": "eu"}).value
    assert not flags.decide(KEY, 1, {"region": "us"}).value
    assert not flags.is_on(KEY, 1)


def test_a_refresh_that_began_earlier_does_not_undo_a_later_one(clock: ManualClock) -> None:
    """Two threads at once: the one that began to read last wins, whoever ends last."""
    source = MappingSource({KEY: {"percentage": 0}})
    inner: list[bool] = []

    class Slow:
        def snapshot(self) -> Snapshot:
            old = source.snapshot()
            if not inner:
                inner.append(True)
                source.replace(EVERYBODY, version=1)
                flags.refresh()
            return old

    flags = live(Slow(), clock)
    flags.refresh()

    assert flags.snapshot().version == 1
    assert flags.is_on(KEY, 1)


def test_snapshot_refreshes_when_due_only(clock: ManualClock) -> None:
    """Commands and pages see what is in force."""
    source = Counting(EVERYBODY, version=4)
    flags = live(source, clock)

    assert flags.snapshot().version == 4
    assert flags.snapshot() is flags.snapshot()
    assert source.asked == 1
    assert flags.refresh().version == 4
    assert source.asked == 2


def test_the_kill_file_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Whoever forgets the kill switch still has one."""
    monkeypatch.setenv("ROLLOUT_KILL_FILE", f"{tmp_path}/kill")

    flags = LiveFlags(MappingSource(EVERYBODY))

    assert isinstance(flags._kill, KillFile)
    assert flags.is_on(KEY, 1)


def test_a_failing_override_is_off(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the hook of the tests cannot raise into the caller."""

    def broken(key: str) -> bool | None:
        raise RuntimeError

    monkeypatch.setattr(live_module, "_override", broken)
    flags = live(MappingSource(EVERYBODY), clock)

    assert flags.is_on(KEY, 1) is False
    assert flags.decide_strict(KEY, 1).error_code is ErrorCode.GENERAL


def test_strictly_nothing_is_compiled_anew_while_nothing_changes(clock: ManualClock) -> None:
    """A worker asks before each attempt: what was folded together stays so."""
    flags = live(MappingSource(EVERYBODY), clock)

    flags.decide_strict(KEY, 1)
    first = flags._compiled[KEY]
    flags.decide_strict(KEY, 2)

    assert flags._compiled[KEY] is first


def test_the_bool_path_answers_alike_whether_tests_override_or_not(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a hook for overrides the short way is taken, with one the long; the answers are the same."""
    configured = {KEY: {"percentage": 50, "forced_on": ["on"], "forced_off": ["off"]}}
    flags = live(MappingSource(configured), clock)
    units: list[object] = ["on", "off", *range(50)]

    monkeypatch.setattr(live_module, "_override", None)
    short = [flags.is_on(KEY, unit) for unit in units]
    monkeypatch.setattr(live_module, "_override", lambda key: None)
    long = [flags.is_on(KEY, unit) for unit in units]

    assert short == long
    assert short[:2] == [True, False]
    assert 10 < sum(short) < 42
