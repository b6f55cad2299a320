"""Our flags behind OpenFeature: a provider for openfeature-sdk that answers from this process's memory.

It reads as the gate does: at most once an interval, on the calling thread, so that it works after a fork
and under gunicorn's preload. The invariants: it decides exactly as the evaluator does; whatever stops a
flag answers `off`, never the caller's default; an error answers the caller's default, with its code, as the
specification wants it; nothing raises into the caller. Explained in docs/how-to/use-openfeature.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from openfeature.evaluation_context import EvaluationContext, get_evaluation_context
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from rollout import decision as ours
from rollout.events import report
from rollout.flags import Flag
from rollout.live import LiveFlags
from rollout.openfeature_context import context, transaction
from rollout.openfeature_facts import Facts
from rollout.percentage import POSITIONS
from rollout.snapshot import Snapshot, SourceStatus
from rollout.variants import Kind, served

__all__ = ["NAME", "RolloutProvider", "Tracker", "context", "transaction"]

T = TypeVar("T")
#: Hears of tracking: the event's name, the merged context, and the details.
Tracker: TypeAlias = Callable[[str, EvaluationContext | None, TrackingEventDetails | None], None]
_Object: TypeAlias = Sequence[FlagValueType] | Mapping[str, FlagValueType]

#: What the provider calls itself in OpenFeature's metadata.
NAME = "rollout"

# Looked up once: each look at a member of an enumeration costs as much as two calls.
_REASONS = {reason: Reason(reason.value) for reason in ours.Reason}
_CODES = {code: ErrorCode(code.value) for code in ours.ErrorCode}
_SPLIT = ours.Reason.SPLIT
_BOOLEAN, _FLOAT = Kind.BOOLEAN, Kind.FLOAT
_OF_SPLIT = Reason.SPLIT
_MISSING = ours.ErrorCode.TARGETING_KEY_MISSING
_WHOLE = frozenset({0, POSITIONS})
_EVERYBODYS_KEY = (
    "the targeting key is the one of the global evaluation context, which is the whole process's: "
    "set it in the call, the client or the transaction"
)


class RolloutProvider(AbstractProvider):
    """Serve the flags of *flags* to every OpenFeature client of the process.

    Set it with `openfeature.api.set_provider_and_wait`: `set_provider` returns before it is ready.

    Args:
        flags: Where decisions come from; the same object may stand behind a gate.
        hooks: What `get_provider_hooks` returns.
        tracker: Hears what `client.track` is told; None: nobody does.
        global_key: Take the targeting key of the global evaluation context for a unit. Without it that key
            counts as none: a process serves many, and the SDK falls back to it where a call's own is blank.
    """

    #: It has no thread: set before a fork, it goes on in the child.
    survives_fork = True

    def __init__(
        self,
        flags: LiveFlags,
        *,
        hooks: Sequence[Hook] = (),
        tracker: Tracker | None = None,
        global_key: bool = False,
    ) -> None:
        super().__init__()
        self._flags = flags
        self._hooks = tuple(hooks)
        self._tracker = tracker
        self._global_key = global_key
        self._status: SourceStatus | None = None

    @property
    def flags(self) -> LiveFlags:
        """Where decisions come from."""
        return self._flags

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name=NAME)

    def get_provider_hooks(self) -> list[Hook]:
        """Return the hooks it was given, in a list of the caller's own."""
        return list(self._hooks)

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 (the SDK's signature)
        """Read the flags for the first time, and tell of every change from here on.

        Raises:
            ProviderNotReadyError: There is nothing to decide by yet. It is looked for again at each
                evaluation, and PROVIDER_READY is told once it is there.
        """
        self.shutdown()  # set a second time, as under another domain
        self._flags.listen(self._heard)  # before it reads, so that no change is missed
        snapshot = self._flags.refresh()
        self._status = self._status or snapshot.status
        if snapshot.status is SourceStatus.ERROR:
            raise ProviderNotReadyError(f"no flags: {snapshot.problem}")

    def shutdown(self) -> None:
        """Tell of nothing any more. It may be initialised again."""
        self._flags.unlisten(self._heard)
        self._status = None

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Hand a tracking event on to the tracker; one that raises is reported as a failed observer."""
        if self._tracker is None:
            return
        try:
            self._tracker(tracking_event_name, evaluation_context, tracking_event_details)
        except Exception as error:  # noqa: BLE001 (whoever tracks must not break what is tracked)
            report(self._tracker, error, fact="tracking")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 (the SDK's signature)
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Answer whether the unit is in."""
        return self._resolve(_BOOLEAN, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Answer with the text that the unit's variant stands for."""
        return self._resolve(Kind.STRING, flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Answer with the whole number that the unit's variant stands for."""
        return self._resolve(Kind.INTEGER, flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Answer with the number that the unit's variant stands for, as a float; whole ones too."""
        return self._resolve(_FLOAT, flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Answer with the object or list that the unit's variant stands for, made anew each time."""
        return self._resolve(Kind.OBJECT, flag_key, default_value, evaluation_context)

    def _resolve(
        self, kind: Kind, key: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        unit, attributes = (None, None) if context is None else (context.targeting_key, context.attributes)
        everybodys = (
            unit is not None and not self._global_key and unit == get_evaluation_context().targeting_key
        )
        if everybodys and unit != "":  # a blank one is an error of its own, whoever's it is
            unit = None
        decision, flag = self._flags.resolve(key, unit, attributes)
        if decision.error_code is not None:
            missing = everybodys and decision.error_code is _MISSING
            return _error(
                default, _CODES[decision.error_code], _EVERYBODYS_KEY if missing else decision.detail
            )
        has = _BOOLEAN if flag is None else flag.variants.kind
        if has is not kind and (has is not Kind.INTEGER or kind is not _FLOAT):
            return _error(default, ErrorCode.TYPE_MISMATCH, f"the flag is {has}, not {kind}")
        value: Any = decision.value
        if flag is not None and has is not _BOOLEAN:
            value = served(flag.variants.on_value if value else flag.variants.off_value, kind)
        if decision.reason is not _SPLIT:
            reason = _REASONS[decision.reason]
        else:
            reason = _OF_SPLIT if decision.threshold not in _WHOLE else _unsplit(flag)
        return FlagResolutionDetails(value, None, None, reason, decision.variant, Facts(decision, flag))

    def _heard(self, before: Snapshot | None, after: Snapshot, /, *, problem: str | None) -> None:
        """Turn a new state into OpenFeature's event for it."""
        status = SourceStatus.ERROR if problem is not None else after.status
        was, self._status = self._status, status
        if was is None:  # what `initialize` has read: the SDK tells of it
            self._status = after.status
            return
        message = problem if problem is not None else after.problem
        details = ProviderEventDetails(message=message)
        if status is SourceStatus.READY and was is not SourceStatus.READY:
            self.emit_provider_ready(details)
        if status is SourceStatus.ERROR:
            details.error_code = ErrorCode.GENERAL
            self.emit_provider_error(details)
        elif status is not SourceStatus.READY and not (status is was and before is after):
            self.emit_provider_stale(details)
        else:
            details.flags_changed = _changed(before, after)
            if was is status or (before is not after and details.flags_changed):
                self.emit_provider_configuration_changed(details)


def _error(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(default, code, message, Reason.ERROR)


def _unsplit(flag: Flag | None) -> Reason:
    """Return the reason where the percentage is nobody or everybody, so that no unit was dealt a place."""
    if flag is None or flag.rules or flag.forced_on or flag.forced_off:
        return Reason.DEFAULT
    return Reason.STATIC


def _changed(before: Snapshot | None, after: Snapshot) -> list[str]:
    """Return the keys of the flags that say something else now; all where a switch above them has changed."""
    if before is None or before is after or before.flags is after.flags:
        return sorted(after.flags)
    old, new = before.flags, after.flags
    return sorted(key for key in {*old, *new} if _said(old.get(key)) != _said(new.get(key)))


def _said(flag: Flag | None) -> tuple[object, ...] | None:
    """Return what a flag says, the version of its file left out."""
    if flag is None:
        return None
    return (
        *(flag.percentage, flag.enabled, flag.unit, flag.salt, flag.algorithm, flag.forced_on),
        *(flag.forced_off, flag.rules, flag.variants, flag.metadata),
    )
