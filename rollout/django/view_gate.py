"""A gate in front of a view: 404, or another view, for the units that are not in.

The invariant: what is asked is the unit of the URL or what a function of the request returns; one that fails
closes the gate. Explained in docs/how-to/ask-a-flag-in-django.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar, cast

from django.http import Http404, HttpRequest

from rollout.django.wiring import SettingsFlags
from rollout.gate import aside

__all__ = ["flag_required"]

P = ParamSpec("P")
R = TypeVar("R")

_flags = SettingsFlags()


def flag_required(
    key: str,
    *,
    unit: str | Callable[[HttpRequest], object],
    otherwise: Callable[..., object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view answer for the units that are in; for all others *otherwise*, or 404.

    Args:
        key: The flag's key.
        unit: The name of the URL's parameter that holds the unit, or a function of the request.
        otherwise: A view with the same parameters, asynchronous where the guarded one is; None: 404, as if
            there were no such page.
    """

    def is_on(request: HttpRequest, parameters: dict[str, object]) -> bool:
        try:
            found = parameters.get(unit) if isinstance(unit, str) else unit(request)
        except Exception:  # noqa: BLE001 (the project's own function: closed)
            return False
        return _flags.is_on(key, found)

    def wrap(guarded_view: Callable[P, R]) -> Callable[P, R]:
        view = cast("Callable[..., object]", guarded_view)
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: object, **parameters: object) -> object:
                let_in = await aside(_flags, lambda: is_on(request, parameters))
                answer = view if let_in else otherwise or _not_found
                made = answer(request, *args, **parameters)
                return await cast("Awaitable[object]", made) if inspect.isawaitable(made) else made

            return cast("Callable[P, R]", guarded_async)

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: object, **parameters: object) -> object:
            answer = view if is_on(request, parameters) else otherwise or _not_found
            return answer(request, *args, **parameters)

        return cast("Callable[P, R]", guarded)

    return wrap


def _not_found(*_args: object, **_parameters: object) -> object:
    raise Http404
