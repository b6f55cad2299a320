"""Flags that are looked up many times a second: one snapshot, refreshed at most once an interval.

The refresh runs on the calling thread: no thread, no lock and nothing to restart after a fork. Kill switch
and ceilings are read with it and folded in; the master switch alone is read at each decision, and with a
refresh only to tell of its change. The invariant: `decide`, `is_on` and `decide_strict` never raise, and
answer on only when that is certain. Explained in docs/explanation/bucketing.md.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from rollout.compiled import Compiled
from rollout.context import unit_text
from rollout.controls import Controls, KillState, KillSwitch, always_on, no_ceilings
from rollout.decision import Decision, Reason
from rollout.errors import ConfigError, RolloutError
from rollout.evaluator import compile_flag, failure
from rollout.events import Observer, SnapshotLoaded, SourceProblem, emit
from rollout.flags import DEFAULT_VARIANTS, Flag, FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import Listener, Snapshot, SourceStatus
from rollout.sources.base import FlagSource
from rollout.sources.kill import KillFile

__all__ = ["LiveFlags", "override_by"]

# What `rollout.testing.override_flag` puts in force; None until a test uses it: a look at a global.
_override: Callable[[str], bool | None] | None = None


def override_by(hook: Callable[[str], bool | None]) -> None:
    """Ask *hook* before everything else, in every `LiveFlags` of the process. For `rollout.testing` only.

    Args:
        hook: Takes a flag's key and answers True, False, or None where nothing is overridden.
    """
    global _override  # noqa: PLW0603 (one hook a process is the point: no object has to be patched)
    _override = hook


# A snapshot may be 30 s old, no older (the contract §3).
MAX_REFRESH_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What one refresh has read, and what was compiled from it so far."""

    ticket: int
    snapshot: Snapshot
    controls: Controls
    master: bool | None
    compiled: dict[str, Compiled]


class LiveFlags:
    """Answer from memory, and look for news at most once an interval.

    Args:
        source: Where the flags come from. Its first reading happens at the first question, not here.
        kill: The kill switch; None: the kill file of this host (`sources.kill.KillFile`).
        master: The master switch, asked at each decision. Anything but True is off; what is neither True
            nor False is off with reason ERROR, and so is one that raises.
        ceilings: The highest percentage in force by flag, from memory. While it raises, every flag is off.
        refresh_seconds: How long an answer may rest on what was read before, 0 to 30. 0 reads at each
            question.
        monotonic: A clock in seconds that never runs backwards.
        observer: Hears of snapshots loaded and of problems. Decisions are a gate's to tell.

    Raises:
        ConfigError: *refresh_seconds* is out of range.
    """

    __slots__ = (
        *("_ceilings", "_compiled", "_due", "_kill", "_listeners", "_master", "_monotonic", "_observer"),
        *("_refresh_seconds", "_source", "_state", "_tickets"),
    )

    def __init__(
        self,
        source: FlagSource,
        *,
        kill: KillSwitch | None = None,
        master: Callable[[], bool | None] = always_on,
        ceilings: Callable[[], Mapping[FlagKey, Percentage]] = no_ceilings,
        refresh_seconds: float = 0.25,
        monotonic: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        seconds: object = refresh_seconds
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_REFRESH_SECONDS:
            raise ConfigError("refresh_seconds", f"must be from 0 to {MAX_REFRESH_SECONDS:g} seconds")
        self._source = source
        self._kill = KillFile() if kill is None else kill
        self._master = master
        self._ceilings = ceilings
        self._refresh_seconds = refresh_seconds
        self._monotonic = monotonic
        self._observer = observer
        self._due = float("-inf")
        self._state: _State | None = None
        self._compiled: dict[str, Compiled] = {}
        self._listeners: tuple[Listener, ...] = ()
        # Tells which of two refreshes at once began later. `next` of a count is atomic, and survives a fork.
        self._tickets = itertools.count()

    @property
    def may_wait(self) -> bool:
        """Whether an answer may have to be waited for; these answer from memory."""
        return False

    def decide(self, key: str, unit: object, attributes: Mapping[str, object] | None = None) -> Decision:
        """Decide whether *unit* is in, from memory. Never raises.

        Args:
            key: The flag's key.
            unit: An integer, a text or a UUID; anything else is off, reason ERROR.
            attributes: What rules may ask about.
        """
        try:
            if _override is not None and (forced := _override(key)) is not None:
                return _overridden(key, unit, on=forced)
            if self._monotonic() >= self._due:
                self._refresh()
            compiled = self._compiled.get(key) or self._compile(key, self._state or self._refresh())
            try:  # as `_read_master`, without its call: this is asked for each event
                master = self._master()
            except Exception:  # noqa: BLE001 (a master switch that cannot be read is unknown: off)
                master = None
            return compiled.decide(unit, attributes, master=master)
        except Exception as error:  # noqa: BLE001 (whatever fails: off, and the decision says what)
            return failure(key, error)

    def is_on(self, key: str, unit: object) -> bool:
        """Say whether *unit* is in, without attributes: `decide(key, unit).value`, only cheaper."""
        try:
            if _override is None:
                if self._monotonic() >= self._due:
                    self._refresh()
                return self._master() is True and self._compiled[key].is_on(unit)
        except Exception:  # noqa: BLE001, S110 (not compiled yet, or no unit: see below)
            pass
        # The whole way, which says why where it matters, and never raises.
        return self.decide(key, unit).value

    def decide_strict(self, key: str, unit: object, *, admitted_by: Reason | None = None) -> Decision:
        """Decide again, before an attempt: everything is read right now, rules are not asked. Never raises.

        Args:
            admitted_by: The reason of the decision that recorded the delivery; see
                `evaluator.evaluate_strict`.

        Returns:
            A decision. Off with ERROR or STALE means *wait*, off with any other reason *hold*.
        """
        try:
            if _override is not None and (forced := _override(key)) is not None:
                return _overridden(key, unit, on=forced)
            state = self._refresh()
            compiled = state.compiled.get(key) or self._compile(key, state)
            return compiled.decide_strict(unit, master=self._read_master(), admitted_by=admitted_by)
        except Exception as error:  # noqa: BLE001 (whatever fails: off, and the decision says what)
            return failure(key, error)

    def resolve(
        self, key: str, unit: object, attributes: Mapping[str, object] | None = None
    ) -> tuple[Decision, Flag | None]:
        """Decide as `decide` does, and return the flag with the decision. Never raises.

        Args:
            key: The flag's key.
            unit: What to decide for where *attributes* does not hold the unit by the flag's own name for it,
                such as `tournament_id`. None: what is the same for every unit is answered.
            attributes: What rules may ask about.

        Returns:
            The decision, and the flag it was made by, with what its variants stand for; None where there is
            no flag by this key, or where deciding itself failed.
        """
        try:
            if self._monotonic() >= self._due:
                self._refresh()
            compiled = self._compiled.get(key) or self._compile(key, self._state or self._refresh())
            flag = compiled.flag
            if _override is not None and (forced := _override(key)) is not None:
                return _overridden(key, unit, on=forced, flag=flag), flag
            master = self._read_master()
            if attributes and flag is not None and flag.unit in attributes:
                return compiled.decide(attributes[flag.unit], attributes, master=master), flag
            if unit is None:
                return compiled.decide_for_all(attributes, master=master), flag
            return compiled.decide(unit, attributes or None, master=master), flag
        except Exception as error:  # noqa: BLE001 (whatever fails: off, and the decision says what)
            return failure(key, error), None

    def listen(self, listener: Listener) -> None:
        """Tell *listener* of every state that differs from the one before, from now on."""
        self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Listener) -> None:
        """Tell *listener* no more; one that is not there is no error."""
        self._listeners = tuple(each for each in self._listeners if each != listener)

    def snapshot(self) -> Snapshot:
        """Return the flags in force, after a refresh where one is due."""
        state = self._state
        return self._refresh().snapshot if state is None or self._monotonic() >= self._due else state.snapshot

    def refresh(self) -> Snapshot:
        """Read everything right now and return the flags in force."""
        return self._refresh().snapshot

    def _read_master(self) -> bool | None:
        try:
            return self._master()
        except Exception:  # noqa: BLE001 (a master switch that cannot be read is unknown: off)
            return None

    def _compile(self, key: str, state: _State) -> Compiled:
        compiled = compile_flag(state.snapshot, FlagKey(key), state.controls)
        # Keys that are no flag's are not kept: a caller may make up any number of them.
        if key in state.snapshot.flags:
            state.compiled[key] = compiled
        return compiled

    def _refresh(self) -> _State:
        # First of all, so that other threads go on with what is there while this one reads.
        self._due = self._monotonic() + self._refresh_seconds
        ticket = next(self._tickets)
        before = self._state
        snapshot, controls, master = self._read_source(before), self._read_controls(), self._read_master()
        compiled: dict[str, Compiled] = {}
        if before is not None and before.snapshot is snapshot and before.controls == controls:
            compiled = before.compiled
        state = _State(ticket=ticket, snapshot=snapshot, controls=controls, master=master, compiled=compiled)
        newest = self._state
        if newest is None or newest.ticket < ticket:
            self._state = state
            self._compiled = compiled
            self._announce(before, state)
            if before is None or compiled is not before.compiled or master is not before.master:
                self._tell(before, state)
        return state

    def _read_source(self, before: _State | None) -> Snapshot:
        last = None if before is None else before.snapshot
        try:
            snapshot = self._source.snapshot()
            if not isinstance(snapshot, Snapshot):
                raise TypeError(f"a source answered {type(snapshot).__name__}")
        except Exception as error:  # noqa: BLE001 (a source that breaks its promise: the last good stay)
            snapshot = replace(
                Snapshot() if last is None else last,
                status=SourceStatus.ERROR if last is None else SourceStatus.STALE,
                problem=f"{type(error).__name__} from {type(self._source).__name__}",
            )
        return last if last is not None and last.is_same(snapshot) else snapshot

    def _read_controls(self) -> Controls:
        try:
            kill = self._kill.state()
        except Exception as error:  # noqa: BLE001 (a kill switch that cannot be asked counts as pulled)
            kill = KillState(killed=True, why=f"cannot be asked ({type(error).__name__})")
        try:
            return Controls(kill=kill, ceilings=dict(self._ceilings()))
        except Exception as error:  # noqa: BLE001 (without the ceilings nothing is certain: off)
            return Controls(kill=kill, problem=f"ceilings cannot be read ({type(error).__name__})")

    def _announce(self, before: _State | None, state: _State) -> None:
        if self._observer is None:
            return
        old, new = None if before is None else before.snapshot, state.snapshot
        if new.status is SourceStatus.READY and (old is None or old is not new):
            emit(self._observer, SnapshotLoaded(version=new.version, origin=new.origin))
        if new.problem is not None and (old is None or old.problem != new.problem):
            emit(self._observer, SourceProblem(origin=new.origin, problem=new.problem))
        problem = state.controls.problem
        if problem is not None and (before is None or before.controls.problem != problem):
            emit(self._observer, SourceProblem(origin="controls", problem=problem))

    def _tell(self, before: _State | None, state: _State) -> None:
        old = None if before is None else before.snapshot
        for listener in self._listeners:
            with suppress(Exception):  # deciding goes on whatever a listener does
                listener(old, state.snapshot, problem=state.controls.problem)


def _overridden(key: str, unit: object, *, on: bool, flag: Flag | None = None) -> Decision:
    try:
        text = unit_text(unit, flag=key)
    except RolloutError:
        text = ""
    variants = DEFAULT_VARIANTS if flag is None else flag.variants
    variant = variants.on if on else variants.off
    return Decision(*(key, on, variant, Reason.STATIC, None, "override", text, None, None, 0))
