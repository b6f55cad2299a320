"""What is known of an endpoint's breaker, for `webhooks show`: asked where the settings keep it.

Reading only. Invariant: a breaker that cannot be asked from here is told as not known, never as closed.
Explained in docs/reference/commands.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from webhooks_core.breaker import BreakerState, State
from webhooks_core.breaker_state import ForcedMode
from webhooks_core.django import conf, sharing
from webhooks_core.django.management.picking import shown_at
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.stores.breakers import RemoteBreakers


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBreaker:
    """One breaker as it stands.

    Args:
        state: None where it is not known; `unknown` is why.
        now: Epoch seconds of the outbox's clock.
    """

    state: BreakerState | None
    now: float
    unknown: str = ""

    @property
    def forced(self) -> ForcedMode | None:
        """What a person has said, while it counts."""
        forced = None if self.state is None else self.state.forced
        return None if forced is None or forced.until <= self.now else forced.mode

    @property
    def refuses_until(self) -> float | None:
        """Until when nothing is sent; None where something may be, or nobody knows."""
        if self.state is None or self.forced in (ForcedMode.FORCED_CLOSED, ForcedMode.OBSERVE_ONLY):
            return None
        if self.forced is ForcedMode.FORCED_OPEN:
            assert self.state.forced is not None
            return self.state.forced.until
        is_over = self.state.state is State.CLOSED or self.state.retry_at <= self.now
        return None if is_over else self.state.retry_at

    @property
    def text(self) -> str:
        """For a person."""
        if self.state is None:
            return f"not known: {self.unknown}"
        until = "" if self.refuses_until is None else f" until {shown_at(self.refuses_until)}"
        return f"{self.forced or self.state.state}{until}"

    @property
    def data(self) -> dict[str, object]:
        """For a program."""
        return {
            "state": None if self.state is None else self.state.state,
            "forced": self.forced,
            "refuses_until": shown_at(self.refuses_until) or None,
        }


def seen(kept: DjangoOutbox, endpoint_id: str) -> SeenBreaker:
    """Return what is known of the breaker of *endpoint_id*."""
    found, now = conf.current(), kept.now()
    store = sharing.breakers(found)
    if not isinstance(store, RemoteBreakers):
        return SeenBreaker(state=None, now=now, unknown="each worker keeps its own")
    state = store.seen([endpoint_id], now=now).get(endpoint_id)
    return SeenBreaker(
        state=state, now=now, unknown="" if state else f"cannot be read from {found.shared.breakers}"
    )
