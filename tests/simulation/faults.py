"""What goes wrong in a run: rates that each seed draws for itself.

Most runs have a few kinds of trouble, some have none, some have all: bugs hide behind each other when
everything fails at once. Invariant: all of a run's chance comes from its one `Random`, in one order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random


def on_wire(most: float) -> float:
    """Declare what may become of a request: a chance per request, drawn up to *most*."""
    rate: float = field(default=0.0, metadata={"most": most, "wire": True})
    return rate


def elsewhere(most: float) -> float:
    """Declare what may happen to a process, a store or the world: a chance per call, or per run."""
    rate: float = field(default=0.0, metadata={"most": most, "wire": False})
    return rate


@dataclass(slots=True)
class Faults:
    """The rates of one run; all 0 means that nothing goes wrong."""

    drop_before: float = on_wire(0.3)
    drop_after: float = on_wire(0.3)
    duplicate: float = on_wire(0.3)
    delay: float = on_wire(0.3)
    server_error: float = on_wire(0.4)
    error_after: float = on_wire(0.2)
    throttle: float = on_wire(0.3)
    gone: float = on_wire(0.04)
    redirect: float = on_wire(0.05)
    client_error: float = on_wire(0.2)
    hang: float = on_wire(0.2)
    reset: float = on_wire(0.2)
    dns: float = on_wire(0.2)
    tls: float = on_wire(0.1)
    blocked: float = on_wire(0.1)
    endpoint_down: float = elsewhere(0.8)
    outbox_before: float = elsewhere(0.2)
    outbox_after: float = elsewhere(0.2)
    outage: float = elsewhere(0.5)
    crash: float = elsewhere(0.04)
    pause: float = elsewhere(0.5)
    clock_jump: float = elsewhere(0.3)
    store_jump: float = elsewhere(0.1)
    kill: float = elsewhere(0.4)
    permit_fails: float = elsewhere(0.1)
    provider_fails: float = elsewhere(0.05)
    sigterm: float = elsewhere(0.3)
    operator: float = elsewhere(0.8)

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """Draw a run's rates: each kind is there in about a third of all runs, one run in twenty has none."""
        if rng.random() < 0.05:
            return cls()
        share = rng.choice((0.15, 0.35, 0.6))
        return cls(**{name: rng.random() * most for name, most in MOST.items() if rng.random() < share})

    def end(self) -> None:
        """Let nothing go wrong any more."""
        for name in MOST:
            setattr(self, name, 0.0)

    def fate(self, rng: Random) -> str:
        """Draw what becomes of one request; the empty text: nothing goes wrong."""
        for name in WIRE:
            rate: float = getattr(self, name)
            if rate and rng.random() < rate:
                return name
        return ""

    def shown(self) -> str:
        """Return the rates that are not 0."""
        rates = {name: getattr(self, name) for name in MOST}
        return " ".join(f"{name}={rate:.3f}" for name, rate in rates.items() if rate)


MOST = {each.name: each.metadata["most"] for each in fields(Faults)}
WIRE = tuple(each.name for each in fields(Faults) if each.metadata["wire"])
