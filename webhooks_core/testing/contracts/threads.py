"""One thing done by several threads at a time, for the suites that ask who wins.

Invariant: results come back in the order of the numbers, whatever the threads did. See `contracts/__init__`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 8

T = TypeVar("T")


def in_threads(work: Callable[[int], T], *, count: int = THREADS) -> list[T]:
    """Run `work(0)` to `work(count - 1)` in threads of their own and return the results in that order."""
    with ThreadPoolExecutor(max_workers=count) as pool:
        return list(pool.map(work, range(count)))
