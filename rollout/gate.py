"""A gate in front of a call: open for the units that are in, closed for all others.

Three forms: `gate(unit)` returns the decision, `@gate.guards(unit=...)` wraps a function, and
`with gate.entered(unit) as decision` a block; each for synchronous and asynchronous code. The invariants:
closed calls nothing and changes nothing; nothing that goes wrong in deciding reaches the caller; and what
the wrapped call raises comes out untouched. Explained in docs/how-to/change-a-percentage.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import ParamSpec, Protocol, TypeVar, cast, overload

from rollout.decision import Decision, Reason
from rollout.errors import ConfigError
from rollout.evaluator import failure
from rollout.events import Evaluated, Observer, emit
from rollout.live import LiveFlags

__all__ = ["Entered", "Gate", "Guard", "aside"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Finds the unit among the arguments of a call.
_Finder = Callable[[tuple[object, ...], Mapping[str, object]], object]


class Guard(Protocol[T_co]):
    """What `Gate.guards` returns: wraps a function, or a coroutine function, in the gate."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[object, object, R]], /
    ) -> Callable[P, Coroutine[object, object, R | T_co]]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R | T_co]: ...


class Gate:
    """Ask one flag whether a unit is in.

    Args:
        flag: The flag's key.
        flags: Where the answer comes from.
        observer: Hears of every decision (`events.Evaluated`). Without one, `is_open` makes no decision
            object.
    """

    __slots__ = ("_flags", "_observer", "flag")

    def __init__(self, flag: str, flags: LiveFlags, *, observer: Observer | None = None) -> None:
        self.flag = flag
        self._flags = flags
        self._observer = observer

    def __call__(self, unit: object, *, attributes: Mapping[str, object] | None = None) -> Decision:
        """Decide whether *unit* is in. Never raises.

        Args:
            unit: An integer, a text or a UUID; anything else is off, reason ERROR.
            attributes: What the flag's rules may ask about.
        Emits:
            Evaluated.
        """
        try:
            decision = self._flags.decide(self.flag, unit, attributes)
        except Exception as error:  # noqa: BLE001 (a stand-in for LiveFlags may raise: off, and it says why)
            decision = failure(self.flag, error)
        if self._observer is not None:
            emit(self._observer, Evaluated(decision=decision))
        return decision

    def is_open(self, unit: object) -> bool:
        """Say whether *unit* is in, without attributes. Never raises; the cheapest way to ask.

        Emits:
            Evaluated, where there is an observer.
        """
        if self._observer is None:
            try:
                return self._flags.is_on(self.flag, unit)
            except Exception:  # noqa: BLE001 (a stand-in for LiveFlags may raise: off)
                return False
        return self(unit).value

    def recheck(self, unit: object, *, admitted_by: Reason | None = None) -> Decision:
        """Decide again, strictly, before an attempt is sent: everything is read right now. Never raises.

        Asked are kill switch, master switch, ceiling, flag disabled, forced off and the position. The
        position counts only for a unit that a percentage let in: with *admitted_by* TARGETING_MATCH
        (forced on, or a rule) it is not asked. Where the row does not say (None), it is, unless the unit
        is forced on now.

        Args:
            unit: The unit as it was recorded; its text will do.
            admitted_by: `Decision.reason` of the decision by which the delivery was recorded.

        Returns:
            A decision. Off with ERROR or STALE: the state in force is not known, so *wait* and ask again.
            Off with any other reason: *hold* the delivery until a person releases it.
        Emits:
            Evaluated.
        """
        try:
            decision = self._flags.decide_strict(self.flag, unit, admitted_by=admitted_by)
        except Exception as error:  # noqa: BLE001 (a stand-in for LiveFlags may raise: off, and it says why)
            decision = failure(self.flag, error)
        if self._observer is not None:
            emit(self._observer, Evaluated(decision=decision))
        return decision

    @overload
    def guards(self, *, unit: str | Callable[..., object]) -> Guard[None]: ...

    @overload
    def guards(self, *, unit: str | Callable[..., object], otherwise: T) -> Guard[T]: ...

    def guards(self, *, unit: str | Callable[..., object], otherwise: object = None) -> Guard[object]:
        """Wrap a function: it is called for the units that are in; for all others *otherwise* is returned.

        A coroutine function stays one. Rules that ask attributes do not match here: use the gate itself.

        Args:
            unit: The name of the parameter that holds the unit, or a function of the call's arguments. One
                that raises closes the gate.
            otherwise: What a closed gate returns.

        Raises:
            ConfigError: While wrapping: the function has no such parameter, or is a generator function, which
                has no one value to return in its place.
        """

        def wrap(function: Callable[..., object]) -> Callable[..., object]:
            find = _finder(unit, function)
            if _is_coroutine_function(function):

                @functools.wraps(function)
                async def guarded_async(*args: object, **kwargs: object) -> object:
                    if not await aside(self._flags, lambda: self._is_open_for(find, args, kwargs)):
                        return otherwise
                    return await cast("Awaitable[object]", function(*args, **kwargs))

                return guarded_async

            @functools.wraps(function)
            def guarded(*args: object, **kwargs: object) -> object:
                return function(*args, **kwargs) if self._is_open_for(find, args, kwargs) else otherwise

            return guarded

        return cast("Guard[object]", wrap)

    def entered(self, unit: object, *, attributes: Mapping[str, object] | None = None) -> Entered:
        """Decide at the beginning of a block, which asks the decision: `with gate.entered(101) as decision:`.

        Works with `with` and `async with`; what the block raises comes out untouched.
        """
        return Entered(self, unit, attributes)

    def _is_open_for(self, find: _Finder, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
        try:
            unit = find(args, kwargs)
        except Exception as error:  # noqa: BLE001 (the caller's own finder: closed, and the observer hears of it)
            emit(self._observer, Evaluated(decision=failure(self.flag, error)))
            return False
        return self.is_open(unit)


class Entered:
    """A block behind a gate; entering it gives the decision. Made by `Gate.entered`."""

    __slots__ = ("_attributes", "_gate", "_unit")

    def __init__(self, gate: Gate, unit: object, attributes: Mapping[str, object] | None) -> None:
        self._gate = gate
        self._unit = unit
        self._attributes = attributes

    def __enter__(self) -> Decision:
        return self._gate(self._unit, attributes=self._attributes)

    def __exit__(self, *_raised: object) -> None:
        """Let everything through."""

    async def __aenter__(self) -> Decision:
        return await aside(self._gate._flags, self.__enter__)

    async def __aexit__(self, *_raised: object) -> None:
        """Let everything through."""


async def aside(flags: LiveFlags, ask: Callable[[], T]) -> T:
    """Return what *ask* answers by *flags*; where they may wait for it, the event loop goes on meanwhile.

    Args:
        flags: What *ask* asks.
        ask: Raises nothing. Called on a thread, with the caller's context variables, or right here.
    """
    if not flags.may_wait:
        return ask()
    import asyncio  # a coroutine's loop has loaded it already

    try:
        return await asyncio.to_thread(ask)
    except RuntimeError:  # the loop is not one of asyncio's, or no thread can be started
        return ask()


def _is_coroutine_function(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _finder(unit: str | Callable[..., object], function: Callable[..., object]) -> _Finder:
    """Return what takes the unit out of a call's arguments; the signature is read here, once."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(name, "a generator function cannot be guarded: ask the gate inside it")
    if not isinstance(unit, str):
        call = unit
        return lambda args, kwargs: call(*args, **kwargs)
    parameters = inspect.signature(function).parameters
    parameter = parameters.get(unit)
    if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        known = ", ".join(parameters) or "none"
        raise ConfigError(name, f"has no parameter {unit!r} to take the unit from; it has {known}")
    default = None if parameter.default is parameter.empty else parameter.default
    place = list(parameters).index(unit) if parameter.kind is not parameter.KEYWORD_ONLY else None

    def find(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        if place is not None and place < len(args):
            return args[place]
        return kwargs.get(unit, default)

    return find
