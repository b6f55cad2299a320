"""For how long what another OpenFeature provider says has been stale: by its status, and by its answers.

Two clocks, since the SDK's status is the whole provider's and an answer's word is about its flag. The
invariants: nothing counts as fresher than it was seen to be; where nobody told when it became stale, it was
so since it was last seen fresh. Explained in docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from rollout.remote_question import Said

__all__ = ["Spell", "Staleness"]


class Spell:
    """For how long something has been stale: from when it was told, else from when it was last seen fresh.

    Args:
        now: When it begins to be watched; seconds of a monotonic clock, and so is every other *now*.
    """

    __slots__ = ("_fresh_at", "_since")

    def __init__(self, now: float) -> None:
        self._fresh_at = now
        self._since: float | None = None

    def __bool__(self) -> bool:
        """Whether it is stale, as far as is known."""
        return self._since is not None

    def begins(self, now: float) -> None:
        """Take notice that it became stale; a second word does not move the moment."""
        if self._since is None:
            self._since = now

    def ends(self, now: float) -> None:
        """Take notice that it was fresh at *now*, which may be before it became stale."""
        if self._since is None or self._since <= now:
            self._since = None
            self._fresh_at = max(self._fresh_at, now)

    def seconds(self, now: float) -> float:
        """Return for how long it has been stale, which it is."""
        self.begins(self._fresh_at)
        return now - (self._fresh_at if self._since is None else self._since)


class Staleness:
    """Both clocks of one provider.

    Args:
        client: Whose provider it is.
        flags: The names of its flags there.
        monotonic: A clock in seconds that never runs backwards.
    """

    __slots__ = ("_answers", "_client", "_hears", "_monotonic", "_provider")

    def __init__(
        self, client: OpenFeatureClient, flags: Iterable[str], monotonic: Callable[[], float]
    ) -> None:
        now = monotonic()
        self._client = client
        self._monotonic = monotonic
        self._provider = Spell(now)
        self._answers = {flag: Spell(now) for flag in flags}
        # Taken once and never given back, by whoever adds the handlers: nobody waits for it after a fork.
        self._hears = threading.Lock()

    def hear(self) -> None:
        """Be told when the provider becomes stale, or ready; the second time nothing is done.

        Called where it may hang: the SDK's locks may be held for ever in a child after a fork.
        """
        if self._hears.acquire(blocking=False):
            api.add_handler(ProviderEvent.PROVIDER_STALE, self._went_stale)
            api.add_handler(ProviderEvent.PROVIDER_READY, self._became_ready)

    def close(self) -> None:
        """Be told no more."""
        self._hears.acquire(blocking=False)
        with suppress(ValueError):  # never heard, or OpenFeature was shut down
            api.remove_handler(ProviderEvent.PROVIDER_STALE, self._went_stale)
            api.remove_handler(ProviderEvent.PROVIDER_READY, self._became_ready)

    def seconds(self, flag: str, said: Said, *, begun: float) -> float | None:
        """Return for how many seconds what was said has been stale, by both clocks; None: it is not.

        Args:
            flag: The name there of the flag that was asked about.
            said: What was said.
            begun: When it was asked, by the same clock.
        """
        now, reason, answers = self._monotonic(), said.details.reason, self._answers[flag]
        stale_for = [
            *([self._provider.seconds(now)] if said.status is ProviderStatus.STALE else ()),
            *([answers.seconds(now)] if reason == Reason.STALE else ()),
        ]
        if said.status is ProviderStatus.READY:
            self._provider.ends(begun)
            is_fresh = said.details.error_code is None and reason not in (Reason.STALE, Reason.ERROR)
            if is_fresh and not (answers and reason == Reason.CACHED):
                answers.ends(begun)
        return max(stale_for, default=None)

    # The handlers hear of every provider of the process, and late: what counts is what this one's status is.
    def _went_stale(self, _event: EventDetails) -> None:
        if self._client.get_provider_status() is ProviderStatus.STALE:
            self._provider.begins(self._monotonic())

    def _became_ready(self, _event: EventDetails) -> None:
        if self._client.get_provider_status() is ProviderStatus.READY:
            self._provider.ends(self._monotonic())
