"""A flag on or off for the length of a test, in every gate of the process, without patching.

The override travels by a context variable: tasks and copied contexts see it, other threads and other tests
do not. It decides everything, the kill switch included: a test says what it wants to see. The invariant:
leaving restores exactly what was in force before, however overrides are nested. Explained in
docs/how-to/change-a-percentage.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import ParamSpec, TypeVar, cast

from rollout.live import override_by

__all__ = ["override_flag"]

P = ParamSpec("P")
R = TypeVar("R")

_overrides: ContextVar[Mapping[str, bool]] = ContextVar("rollout_overrides", default={})  # noqa: B039 (never changed)


class override_flag:
    """Answer on or off for one flag, whatever its source, the controls and the unit say.

    A context manager, and a decorator of functions and coroutine functions.

    Args:
        key: The flag's key; it need not be defined anywhere.
        on: The answer. Reason STATIC, detail "override".
    """

    __slots__ = ("_key", "_on", "_tokens")

    def __init__(self, key: str, *, on: bool) -> None:
        self._key = key
        self._on = on
        self._tokens: list[Token[Mapping[str, bool]]] = []

    def __enter__(self) -> override_flag:
        override_by(_overridden)
        self._tokens.append(_overrides.set({**_overrides.get(), self._key: self._on}))
        return self

    def __exit__(self, *_raised: object) -> None:
        _overrides.reset(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Put the override in force for each call of *function*, or while it is awaited."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def overridden_async(*args: P.args, **kwargs: P.kwargs) -> object:
                # A fresh one a call: calls may run side by side, and each resets what it has set.
                with override_flag(self._key, on=self._on):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", overridden_async)

        @functools.wraps(function)
        def overridden(*args: P.args, **kwargs: P.kwargs) -> R:
            with override_flag(self._key, on=self._on):
                return function(*args, **kwargs)

        return overridden


def _overridden(key: str) -> bool | None:
    return _overrides.get().get(key)
