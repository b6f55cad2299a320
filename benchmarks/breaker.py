"""A breaker around a call that succeeds, closed, one thread: ours beside circuitbreaker, pybreaker and
purgatory.

Each is used the way its own manual begins: circuitbreaker's decorator, pybreaker's `call`, purgatory's
factory with a context manager. Ours does more per call: it reads the clock, and counts under a lock what
the share of failures is taken of. Then: the memory that 100,000 refusals leave behind.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pybreaker
from circuitbreaker import circuit
from purgatory import SyncCircuitBreakerFactory
from rounds import Target, interleave, per_call, report

from webhooks_core.breaker import Admit, BreakerPolicy, Failed, Ticket
from webhooks_core.circuit import CircuitBreaker
from webhooks_core.stores.breakers import MemoryBreakerStore

CALLS = 50_000
REFUSALS = 100_000
MOST_BYTES = 2 * 1024 * 1024


def nothing() -> None:
    """Do what every case calls."""


def main() -> int:
    ours = CircuitBreaker("bench")
    theirs = pybreaker.CircuitBreaker(fail_max=5)
    decorated = circuit(failure_threshold=5)(nothing)
    factory = SyncCircuitBreakerFactory()
    held = factory.get_breaker("held")

    def our_call() -> None:
        ours.call(nothing)

    def our_context() -> None:
        with ours.admitted():
            nothing()

    def pybreaker_call() -> None:
        theirs.call(nothing)

    def circuitbreaker_decorator() -> None:
        decorated()

    def purgatory_context() -> None:
        with factory.get_breaker("bench"):
            nothing()

    def purgatory_held() -> None:
        with held:
            nothing()

    cases = {
        "ours: call": our_call,
        "ours: with admitted()": our_context,
        "circuitbreaker: decorator": circuitbreaker_decorator,
        "pybreaker: call": pybreaker_call,
        "purgatory: with factory": purgatory_context,
        "purgatory: one context kept": purgatory_held,
        "no breaker": nothing,
    }
    figures = interleave(
        {name: (lambda case=case: per_call(case, calls=CALLS)) for name, case in cases.items()}
    )
    targets = (
        Target(case="ours: call", peer="circuitbreaker: decorator", most=1.0),
        Target(case="ours: call", peer="pybreaker: call", most=1.0),
        Target(case="ours: call", peer="purgatory: with factory", most=1.0),
        Target(case="ours: call", peer="purgatory: one context kept", most=1.0),
        Target(case="ours: with admitted()", peer="purgatory: with factory", most=1.0),
    )
    fast = report(
        "Closed breaker, successful call, one thread",
        figures,
        unit="ns",
        baseline="ours: call",
        targets=targets,
    )
    return 0 if refusals_leave_nothing() and fast else 1


def refusals_leave_nothing() -> bool:
    """Refuse 100,000 times and print what stays in memory."""
    store = MemoryBreakerStore(BreakerPolicy(max_fails=1))
    store.apply("dead", Failed(ticket=Ticket(generation=0)), now=0.0)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(REFUSALS):
        store.apply("dead", Admit(), now=number / REFUSALS)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{'ok  ' if grown <= MOST_BYTES else 'MISS'} {REFUSALS:,} refusals leave {grown:,} bytes")
    return grown <= MOST_BYTES


if __name__ == "__main__":
    sys.exit(main())
