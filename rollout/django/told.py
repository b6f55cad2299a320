"""What a sender tells of itself, as the text of one column: JSON, by flag.

`{"flag": [epoch, since], "!flag": [version, 0]}`: the epoch that it obeys and since when; and, only while it
waits because the store lacks a decision that it has obeyed, the version that it had seen. The invariant: what
cannot be read is nothing told, so that it is waited for. Explained in
docs/explanation/flags-in-the-database.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from rollout.flags import FlagKey

__all__ = ["LIKE_SEEN", "Told"]

_SEEN = "!"  # no flag's key begins so
#: Finds the texts of those that wait, in SQL.
LIKE_SEEN = f'%"{_SEEN}%'


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one sender has told.

    Args:
        epochs: Of each flag the highest epoch that it obeys, and since when; epoch seconds.
        seen: Of each flag the version that it had seen, while the store lacks something of it.
    """

    epochs: Mapping[FlagKey, tuple[int, float]] = field(default_factory=dict)
    seen: Mapping[FlagKey, int] = field(default_factory=dict)

    def after(self, epochs: Mapping[FlagKey, int], seen: Mapping[FlagKey, int], *, now: float) -> Told:
        """Return what is told after another heartbeat: an epoch never falls, what was seen is told anew."""
        higher = {
            flag: (epoch, now) for flag, epoch in epochs.items() if epoch > self.epochs.get(flag, (0, 0.0))[0]
        }
        return Told(epochs={**self.epochs, **higher}, seen=seen)

    def dumps(self) -> str:
        """Return it as JSON."""
        seen = {f"{_SEEN}{flag}": (version, 0) for flag, version in self.seen.items()}
        return json.dumps({**self.epochs, **seen}, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Told:
        """Read what `dumps` wrote, as far as it can be read."""
        epochs: dict[FlagKey, tuple[int, float]] = {}
        seen: dict[FlagKey, int] = {}
        with suppress(ValueError, TypeError, AttributeError):
            for key, (number, at) in json.loads(text).items():
                if key.startswith(_SEEN):
                    seen[FlagKey(key.removeprefix(_SEEN))] = int(number)
                else:
                    epochs[FlagKey(key)] = (int(number), float(at))
        return cls(epochs=epochs, seen=seen)
