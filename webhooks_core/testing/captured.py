"""The twin of Django's `mail.outbox`: what `dispatch` would have sent, as a list.

Lives wherever Django's test environment is set up (`manage.py test` and pytest-django both do it): then
deliveries are captured after gate, envelope and PII check, without a commit, and no test reaches a network
unless it says so with `real_delivery()`. Invariant: each test begins with an empty outbox. The file is not
called `outbox`, because a submodule of that name would hide the list. Explained in
docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import overload

from webhooks_core.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One delivery that would have been sent.

    Args:
        delivery: What the engine would have been handed.
        decision: Why the gate was open; a `rollout.Decision` where `rollout` asked.
    """

    delivery: Delivery = field(repr=False)
    decision: object = None

    @property
    def event(self) -> str:
        """Name of the event."""
        return self.delivery.event

    @property
    def webhook_id(self) -> str:
        """UUID v4 of this delivery, as it stands in `metadata` and in the header."""
        return self.delivery.webhook_id

    @property
    def endpoint_id(self) -> str:
        """Id of the endpoint, `default` for `WEBHOOK_ENDPOINT`."""
        return self.delivery.endpoint_id

    @property
    def unit(self) -> str | None:
        """The unit that the gate was asked about, as text."""
        return self.delivery.unit

    @property
    def body(self) -> bytes:
        """The very bytes that would have been signed and sent."""
        return self.delivery.body

    @property
    def data(self) -> dict[str, object]:
        """`data` as a receiver reads it from the body."""
        return self._part("data")

    @property
    def metadata(self) -> dict[str, object]:
        """`metadata` as a receiver reads it from the body, `webhook_id` included."""
        return self._part("metadata")

    def _part(self, name: str) -> dict[str, object]:
        part: dict[str, object] = json.loads(self.body)[name]
        return part

    def __repr__(self) -> str:
        return f"<Captured {self.event} to {self.endpoint_id}, webhook_id={self.webhook_id}>"


class Outbox(Sequence[Captured]):
    """A list of captured deliveries that empties itself when a new test begins.

    Django's runner gives each test a new `mail.outbox`; seeing another one than last time means another test.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self._items: list[Captured] = []
        self._test: object = None

    def _current(self) -> list[Captured]:
        mail = sys.modules.get("django.core.mail")
        test = getattr(mail, "outbox", None)
        if test is not self._test:
            self._items, self._test = [], test
        return self._items

    @overload
    def __getitem__(self, index: int) -> Captured: ...
    @overload
    def __getitem__(self, index: slice) -> list[Captured]: ...
    def __getitem__(self, index: int | slice) -> Captured | list[Captured]:
        return self._current()[index]

    def __len__(self) -> int:
        return len(self._current())

    def __eq__(self, other: object) -> bool:
        return list(self._current()) == other if isinstance(other, list) else self is other

    def __repr__(self) -> str:
        return repr(self._current())

    def append(self, item: Captured) -> None:
        """Add *item*; `dispatch` does it."""
        self._current().append(item)

    def clear(self) -> None:
        """Empty the outbox."""
        self._current().clear()

    def events(self) -> list[str]:
        """Return the names of the captured events, in order."""
        return [item.event for item in self._current()]


outbox = Outbox()
_real = 0


@contextmanager
def real_delivery() -> Iterator[None]:
    """Let deliveries leave for real inside the block, in every thread of the process, as in production.

    With the engine `worker` they are rows, which a worker sends; with `inline` they leave on commit. Inside a
    `TestCase` nothing commits, so use `TransactionTestCase` or `captureOnCommitCallbacks(execute=True)`.
    """
    global _real  # noqa: PLW0603 - a depth, so that blocks nest
    _real += 1
    try:
        yield
    finally:
        _real -= 1


def in_force() -> Callable[[Delivery, object], bool] | None:
    """Return what takes deliveries now; None inside `real_delivery()`."""
    return None if _real else capture


def capture(delivery: Delivery, decision: object = None) -> bool:
    """Put *delivery* into the outbox and return True; inside `real_delivery()` return False."""
    if _real:
        return False
    outbox.append(Captured(delivery=delivery, decision=decision))
    return True
