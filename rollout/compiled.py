"""One flag folded together with the controls above it, so that deciding looks nothing up.

The one implementation behind `evaluate`, `Gate()` and `Gate.is_open()`. Nothing here reads a clock or the
environment. The invariants: once made it never changes, and a flag that is closed for everybody has a
limit that no digest is below. Explained in docs/explanation/bucketing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rollout.bucketing import ALGORITHMS, SHORT, SHORT_BYTES, Digest, limit, position_of, prefix
from rollout.context import unit_text
from rollout.controls import Controls
from rollout.decision import Decision, ErrorCode, Reason
from rollout.errors import InvalidContext, RolloutError, TargetingKeyMissing
from rollout.flags import DEFAULT_VARIANTS, Flag, FlagKey, Rule
from rollout.percentage import EVERYBODY, NOBODY, POSITIONS, Percentage
from rollout.rules import matches

__all__ = ["Compiled", "Stop"]


class Stop(NamedTuple):
    """Why a flag is off for every unit."""

    reason: Reason
    code: ErrorCode | None
    detail: str


# Looked up once: each look at a member of an enumeration costs as much as two calls.
_MATCH, _SPLIT, _DEFAULT = Reason.TARGETING_MATCH, Reason.SPLIT, Reason.DEFAULT
# Admitted by name or by a rule: at send time their position is not asked (see `evaluator.evaluate_strict`).
_WITHOUT_POSITION = frozenset({Reason.TARGETING_MATCH, Reason.STATIC})
# The reasons of a decision that rests on the flag's own settings.
_BY_DEFAULT = frozenset({Reason.SPLIT, Reason.DEFAULT})
_ASKED = _BY_DEFAULT | {Reason.TARGETING_MATCH}
_new = tuple.__new__
# Integers below it have a text at once, of at most so many characters.
_PLAIN = 2**63
_PLAIN_CHARACTERS = 20

_MASTER_OFF = Stop(Reason.DISABLED, None, "master switch")
_MASTER_UNKNOWN = Stop(Reason.ERROR, ErrorCode.PARSE_ERROR, "master switch: neither on nor off")


class _Step(NamedTuple):
    """A rule with what it serves: the positions below `threshold`, or `value` where that is None."""

    rule: Rule
    value: bool
    threshold: int | None
    detail: str


class Compiled:
    """One flag under one state of the controls; decides for any number of units.

    Args:
        key: The flag's key.
        flag: The flag; None where there is none by this key.
        version: The configuration's version.
        controls: Kill switch and ceilings. The master switch is not folded in: it is read live.
        not_ready: Why there are no flags at all, or None.
        unsure: Why a strict decision cannot be made although the flags are known, or None.
    """

    __slots__ = (
        *("flag", "forced", "hash", "hash_integer", "integer", "key", "killed", "known", "limit"),
        *("percentage", "prefix", "steps", "stop", "threshold", "unsure", "variants", "version"),
    )

    def __init__(
        self,
        key: FlagKey,
        flag: Flag | None,
        *,
        version: int,
        controls: Controls,
        not_ready: str | None = None,
        unsure: str | None = None,
    ) -> None:
        self.key = key
        self.flag = flag
        self.version = version
        self.killed = controls.kill.killed is not False
        self.unsure = None if unsure is None else Stop(Reason.STALE, None, unsure)
        self.stop = _stop(key, flag, controls, not_ready)
        self.variants = DEFAULT_VARIANTS if flag is None else flag.variants
        #: Whether positions are known: a flag is there and so is its algorithm.
        self.known = flag is not None and flag.algorithm in ALGORITHMS
        self.hash: Callable[[bytes], Digest] = ALGORITHMS["r1"]
        self.prefix = b"" if flag is None else prefix(flag.salt)
        #: What an integer is put into: one step instead of two. A salt holds no percent sign.
        self.integer = self.prefix + b"%d"
        self.limit = b""
        #: By what is hashed: prefix and unit.
        self.forced: dict[bytes, bool] | None = None
        self.steps: tuple[_Step, ...] = ()
        #: The positions below it are in; None where the flag has no percentage.
        self.threshold: int | None = None
        self.percentage = "no percentage"
        if flag is not None and self.known:
            self.hash = ALGORITHMS[flag.algorithm]
        #: The same for integers, which most salts leave room for in a short text.
        self.hash_integer = self.hash
        if flag is not None and self.known and len(self.prefix) + _PLAIN_CHARACTERS <= SHORT_BYTES:
            self.hash_integer = SHORT[flag.algorithm]
        if flag is not None and self.stop is None:
            self._open(flag, controls.ceilings.get(key))

    def _open(self, flag: Flag, ceiling: Percentage | None) -> None:
        if flag.percentage is not None:
            self.threshold, self.percentage = _capped(flag.percentage, ceiling)
            self.limit = limit(self.threshold)
        self.steps = tuple(_step(number, rule, ceiling) for number, rule in enumerate(flag.rules, 1))
        if flag.forced_on or flag.forced_off:
            self.forced = {self.prefix + unit.encode(): True for unit in flag.forced_on}
            # After the units forced on: a unit that stands in both lists is off.
            self.forced.update((self.prefix + unit.encode(), False) for unit in flag.forced_off)

    def is_on(self, unit: object) -> bool:
        """Answer for a unit without attributes while the master switch is on: the hot path, without a
        decision.

        Raises:
            Exception: *unit* cannot be used; the caller answers off.
        """
        # A rule needs an attribute, so that without any none matches, and none is asked.
        if type(unit) is int:
            data, hashed = self.integer % unit, self.hash_integer
        else:
            data, hashed = self.prefix + unit_text(unit, flag=self.key).encode(), self.hash
        if self.forced is not None and (forced := self.forced.get(data)) is not None:
            return forced
        return hashed(data).digest() < self.limit

    def decide(self, unit: object, attributes: object, *, master: bool | None) -> Decision:
        """Decide for one unit; see `evaluator.evaluate`. Raises only where an attribute's own code does."""
        stop = self.stop if master is True or self.killed else _master_stop(master=master)
        if stop is not None:
            return self._stopped(stop, unit)
        try:
            # Most units are plain integers; one too long for a text, and all others, `unit_text` judges.
            plain = type(unit) is int and -_PLAIN < unit < _PLAIN
            text = str(unit) if plain else unit_text(unit, flag=self.key)
            if attributes is not None and not isinstance(attributes, Mapping):
                raise InvalidContext(self.key, f"attributes are a mapping, not {type(attributes).__name__}")
        except RolloutError as error:
            return self._unusable(error)
        data = self.prefix + text.encode()
        position = position_of((self.hash_integer if plain else self.hash)(data).digest())[0]
        reason, detail, threshold = _MATCH, "", self.threshold
        if self.forced is not None and (forced := self.forced.get(data)) is not None:
            on, detail, threshold = forced, "forced on" if forced else "forced off", None
        elif attributes and (step := self._step(attributes)) is not None:
            on, detail, threshold = step.value, step.detail, step.threshold
            if threshold is not None:
                on = position < threshold
        elif threshold is not None:
            on, reason, detail = position < threshold, _SPLIT, self.percentage
        else:
            on, reason, detail = False, _DEFAULT, self.percentage
        variant = self.variants.on if on else self.variants.off
        # What `Decision(...)` does, without its detour through a Python function: a tenth of the whole.
        return _new(
            Decision, (self.key, on, variant, reason, None, detail, text, position, threshold, self.version)
        )

    def decide_for_all(self, attributes: object, *, master: bool | None) -> Decision:
        """Decide without a unit, where the answer is the same for every one; else TARGETING_KEY_MISSING.

        A flag that is stopped, a rule that serves on or off, a percentage that is nobody or everybody.
        Raises only where an attribute's own code does.
        """
        stop = self.stop if master is True or self.killed else _master_stop(master=master)
        if stop is not None:
            return self._stopped(stop, None)
        if attributes is not None and not isinstance(attributes, Mapping):
            problem = f"attributes are a mapping, not {type(attributes).__name__}"
            return self._unusable(InvalidContext(self.key, problem))
        step = self._step(attributes) if attributes and self.forced is None else None
        on, reason, detail, threshold = False, _DEFAULT, self.percentage, self.threshold
        if step is not None:
            on, reason, detail, threshold = step.value, _MATCH, step.detail, step.threshold
        elif threshold is not None:
            reason = _SPLIT
        if self.forced is not None or (threshold is not None and 0 < threshold < POSITIONS):
            return self._unusable(TargetingKeyMissing(self.key))
        if threshold is not None:
            on = threshold == POSITIONS
        variant = self.variants.on if on else self.variants.off
        return Decision(self.key, on, variant, reason, None, detail, "", None, threshold, self.version)

    def decide_strict(self, unit: object, *, master: bool | None, admitted_by: Reason | None) -> Decision:
        """Decide for one unit by what a delivery's row knows; see `evaluator.evaluate_strict`."""
        decision = self.decide(unit, None, master=master)
        if self.unsure is not None and decision.reason in _ASKED:
            return self._stopped(self.unsure, unit)
        if admitted_by is not None and admitted_by in _WITHOUT_POSITION and decision.reason in _BY_DEFAULT:
            detail = f"admitted by {admitted_by}"
            return decision._replace(
                value=True, variant=self.variants.on, reason=admitted_by, detail=detail, threshold=None
            )
        return decision

    def _step(self, attributes: Mapping[str, object]) -> _Step | None:
        for step in self.steps:
            if matches(step.rule, attributes):
                return step
        return None

    def _stopped(self, stop: Stop, unit: object) -> Decision:
        text, position = "", None
        if self.known:
            try:
                text = unit_text(unit, flag=self.key)
                position = position_of(self.hash(self.prefix + text.encode()).digest())[0]
            except RolloutError:
                text = ""  # The stop came first: that the unit is no unit either does not matter.
        return Decision(
            *(self.key, False, self.variants.off, stop.reason, stop.code, stop.detail),
            *(text, position, None, self.version),
        )

    def _unusable(self, error: RolloutError) -> Decision:
        missing = isinstance(error, TargetingKeyMissing)
        code = ErrorCode.TARGETING_KEY_MISSING if missing else ErrorCode.INVALID_CONTEXT
        return self._stopped(Stop(Reason.ERROR, code, str(error)), None)


def _master_stop(*, master: bool | None) -> Stop:
    return _MASTER_OFF if master is False else _MASTER_UNKNOWN


def _stop(key: FlagKey, flag: Flag | None, controls: Controls, not_ready: str | None) -> Stop | None:
    """Return what closes the flag for everybody, in the order of decision, the master switch aside."""
    ceiling: object = controls.ceilings.get(key, EVERYBODY)
    if controls.kill.killed is not False:
        return Stop(Reason.DISABLED, None, f"kill switch: {controls.kill.why}".rstrip(": "))
    if controls.problem is not None:
        return Stop(Reason.ERROR, ErrorCode.GENERAL, f"controls: {controls.problem}")
    if not isinstance(ceiling, Percentage):
        return Stop(Reason.ERROR, ErrorCode.PARSE_ERROR, "ceiling: not a percentage")
    if ceiling == NOBODY:
        return Stop(Reason.DISABLED, None, "ceiling 0")
    if not_ready is not None:
        return Stop(Reason.ERROR, ErrorCode.PROVIDER_NOT_READY, f"no flags: {not_ready}")
    if flag is None:
        return Stop(Reason.ERROR, ErrorCode.FLAG_NOT_FOUND, "no such flag")
    if flag.algorithm not in ALGORITHMS:
        return Stop(Reason.ERROR, ErrorCode.PARSE_ERROR, f"unknown algorithm {flag.algorithm}")
    if flag.enabled is not True:
        return Stop(Reason.DISABLED, None, "flag disabled")
    return None


def _capped(percentage: Percentage, ceiling: Percentage | None) -> tuple[int, str]:
    """Return the threshold of the lower of the two, and the words for it."""
    if ceiling is None or percentage <= ceiling:
        return percentage.threshold, f"percentage {percentage}"
    return ceiling.threshold, f"percentage {percentage}, ceiling {ceiling}"


def _step(number: int, rule: Rule, ceiling: Percentage | None) -> _Step:
    if isinstance(rule.serve, Percentage):
        threshold, words = _capped(rule.serve, ceiling)
        return _Step(rule=rule, value=False, threshold=threshold, detail=f"rule {number}: {rule}, {words}")
    return _Step(rule, rule.serve == "on", None, f"rule {number}: {rule}")
