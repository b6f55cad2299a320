"""What goes wrong in a run: rates that each seed draws for itself.

Most runs have a few kinds of trouble, some have none, some have all: bugs hide behind each other when
everything fails at once. Invariant: all of a run's chance comes from its one `Random`, in one order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

# Field -> the highest rate that a run may draw. Wire fates are chances per request, the others per call or event.
MOST = {
    "drop_before": 0.3, "drop_after": 0.3, "duplicate": 0.3, "delay": 0.3, "server_error": 0.4, "error_after": 0.2,
    "throttle": 0.3, "gone": 0.04, "redirect": 0.05, "client_error": 0.05, "hang": 0.2, "reset": 0.2, "dns": 0.2,
    "tls": 0.1, "blocked": 0.03,
    "outbox_before": 0.1, "outbox_after": 0.1, "outage": 0.3, "crash": 0.02, "pause": 0.3, "clock_jump": 0.3,
    "store_jump": 0.1, "kill": 0.4, "permit_fails": 0.1, "provider_fails": 0.05, "sigterm": 0.3, "operator": 0.3,
}  # fmt: skip
WIRE = ("drop_before", "drop_after", "duplicate", "delay", "server_error", "error_after", "throttle", "gone",
        "redirect", "client_error", "hang", "reset", "dns", "tls", "blocked")  # fmt: skip


@dataclass(slots=True)
class Faults:
    """The rates of one run; all 0 means that nothing goes wrong."""

    drop_before: float = 0.0
    drop_after: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    server_error: float = 0.0
    error_after: float = 0.0
    throttle: float = 0.0
    gone: float = 0.0
    redirect: float = 0.0
    client_error: float = 0.0
    hang: float = 0.0
    reset: float = 0.0
    dns: float = 0.0
    tls: float = 0.0
    blocked: float = 0.0
    outbox_before: float = 0.0
    outbox_after: float = 0.0
    outage: float = 0.0
    crash: float = 0.0
    pause: float = 0.0
    clock_jump: float = 0.0
    store_jump: float = 0.0
    kill: float = 0.0
    permit_fails: float = 0.0
    provider_fails: float = 0.0
    sigterm: float = 0.0
    operator: float = 0.0

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """Draw a run's rates: each kind is there in about a third of all runs, one run in twenty has none."""
        if rng.random() < 0.05:
            return cls()
        share = rng.choice((0.15, 0.35, 0.6))
        return cls(**{name: rng.random() * most for name, most in MOST.items() if rng.random() < share})

    def fate(self, rng: Random) -> str:
        """Draw what becomes of one request; the empty text: nothing goes wrong."""
        for name in WIRE:
            rate: float = getattr(self, name)
            if rate and rng.random() < rate:
                return name
        return ""

    def shown(self) -> str:
        """Return the rates that are not 0."""
        rates = {field.name: getattr(self, field.name) for field in fields(self)}
        return " ".join(f"{name}={rate:.3f}" for name, rate in rates.items() if rate)
