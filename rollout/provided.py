"""An OpenFeature provider that is made and set on a thread of its own, so that nobody waits for it.

Making one may take seconds (LaunchDarkly's client looks for its server meanwhile) or never end, and so may
setting it: in a child that was forked while somebody held the SDK's lock. The invariants: asking whether it
is there never waits; it is made once; what is given up while it is being made is not set any more.
Explained in docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from openfeature import api
from openfeature.provider import FeatureProvider

__all__ = ["Provided"]


class Provided:
    """One provider of this process. Starts nothing until it is asked for.

    Args:
        make: Returns the provider; called once.
        domain: The OpenFeature domain that it is set under; None: the default one.
        failed: Told on that thread what *make* or the SDK has raised. It is not tried again.
    """

    __slots__ = ("_begun", "_domain", "_failed", "_is_given_up", "_is_set", "_make")

    def __init__(
        self,
        make: Callable[[], FeatureProvider],
        domain: str | None,
        *,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._make = make
        self._domain = domain
        self._failed = failed
        # Taken once, by whoever starts the thread; never waited for.
        self._begun = threading.Lock()
        self._is_set = False
        self._is_given_up = False

    def is_set(self) -> bool:
        """Say whether it is in its place, and begin to make it at the first question."""
        if not self._is_set and not self._is_given_up and self._begun.acquire(blocking=False):
            try:
                threading.Thread(target=self._set, name="rollout-provider", daemon=True).start()
            except RuntimeError:  # no thread can be started: at the next question, then
                self._begun.release()
        return self._is_set

    def give_up(self) -> None:
        """Set it no more. One that is in its place stays there."""
        self._is_given_up = True

    def _set(self) -> None:
        try:
            provider = self._make()
            if self._is_given_up:
                provider.shutdown()
                return
            api.set_provider(provider, self._domain)
            self._is_set = True
        except BaseException as error:  # noqa: BLE001 (anybody's code, on a thread of ours: told, and it ends)
            self._failed(error)
