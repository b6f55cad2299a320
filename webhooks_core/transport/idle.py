"""Idle connections, kept for the next attempt along the same route.

Only the keeping: opening is `pinned.py`'s. The invariants: a connection leaves the store for the pool it came
from, for one attempt at a time, and only while it is young, recently used and nothing has arrived on it;
never are more kept than one route, and all together, may.
Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from webhooks_core.transport.pinned import PinnedConnection

MAX_IDLE_SECONDS = 60.0  # load balancers forget silently; the default of the large ones (AWS ALB) is 60 s
MAX_AGE_SECONDS = 300.0  # then the name is resolved and judged anew, though the connection would go on
MAX_KEPT = 256  # over all routes; a process may usually open 1,024 files

Stack = list[PinnedConnection]


class IdleConnections:
    """Keep connections between attempts; safe to share between threads of one process.

    Args:
        per_route: Most connections kept on one stack.
        monotonic: A clock that never goes back, in seconds.
    """

    def __init__(self, *, per_route: int, monotonic: Callable[[], float]) -> None:
        self._per_route = per_route
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: OrderedDict[PinnedConnection, Stack] = OrderedDict()  # the one longest idle first
        self._closed = False

    def take(self, stack: Stack) -> PinnedConnection | None:
        """Take the connection last used from *stack*, or None when no good one is left."""
        now = self._monotonic()
        while True:
            with self._lock:
                if not stack:
                    return None
                connection = stack.pop()
                del self._kept[connection]
            fresh = (
                now - connection.idle_since <= MAX_IDLE_SECONDS and now - connection.born <= MAX_AGE_SECONDS
            )
            # Anything that arrives between two responses, the end of the connection included, makes it
            # unusable.
            if fresh and connection.is_connected:
                return connection
            connection.close()

    def give(self, connection: PinnedConnection, stack: Stack) -> None:
        """Keep *connection*, open and at rest, on *stack*; close what is then one too many."""
        connection.idle_since = self._monotonic()
        surplus: PinnedConnection | None = connection
        with self._lock:
            if not self._closed and len(stack) < self._per_route:
                stack.append(connection)
                self._kept[connection] = stack
                surplus = None
                if len(self._kept) > MAX_KEPT:
                    surplus, of = self._kept.popitem(last=False)
                    of.remove(surplus)
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all that are kept, and from now on all that are given."""
        with self._lock:
            self._closed = True
            self.abandon()

    def abandon(self) -> None:
        """Close all that are kept, without the lock, which may be held for ever in a child after a fork."""
        while self._kept:
            connection, stack = self._kept.popitem()
            stack.remove(connection)
            connection.close()
