"""The memory of a receiver: which ids and signatures were seen, and who is handling one right now.

What belongs here: the port `ReplayStore` and the store that keeps it in this process. What must not: the
clock (`now` comes in), and any request whose signature was not verified first. The invariant: of any number
of threads that claim one id, exactly one is told NEW, until it gives the claim back or its lease runs out.
Explained in docs/explanation/security-model.md.

    (unknown) ── claim ──> claimed ── done ──────────> done ── remember_seconds ──> (unknown)
        ^                     │
        └── give_back, or the lease runs out
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Protocol, runtime_checkable

from webhooks_core.errors import ConfigError

LEASE_SECONDS = 15
"""A claim whose process died is free again after this time (the contract §5)."""

LEAST_REMEMBER_SECONDS = 900
"""Done ids are kept at least so long (the contract §5; the runbook's fifteen minutes)."""

REMEMBER_SECONDS = 7 * 24 * 3600
"""As long as a sender may send again by itself (the contract §5)."""

SIGNATURE_SECONDS = 330
"""A signature can pass for the window of 300 s and the skew of 30 s; after that its timestamp is too old."""

MAX_IDS = 1_000_000
"""The bound of the memory store: 200 MB of ids at most, and the signatures of the last minutes beside them.
"""

_HEX = frozenset("0123456789abcdefABCDEF")


class ClaimOutcome(StrEnum):
    """Say what a claim found."""

    NEW = "new"
    """Never seen, or given back: the caller holds the claim and must end it."""

    BUSY = "busy"
    """Somebody is handling it right now."""

    DONE = "done"
    """It was handled, or its signature was seen under another id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Hold what `ReplayStore.claim` found; only a claim that `is_mine` can be ended.

    Attributes:
        webhook_id: The id as it was claimed.
        token: Tells this claim from every other one of the same id; 0 where it is not the caller's.
        retry_after_seconds: Whole seconds until a BUSY claim's lease runs out, at least 1; 0 otherwise.
        not_before: The moment before which the store knows nothing, because it was empty or has lost data:
            what was signed earlier may have been handled, however new it looks. Epoch seconds.
    """

    outcome: ClaimOutcome
    webhook_id: str
    token: int = 0
    retry_after_seconds: int = 0
    not_before: float = -math.inf

    @property
    def is_mine(self) -> bool:
        """Return whether the caller holds the claim."""
        return self.outcome is ClaimOutcome.NEW


class ReplayStore(Protocol):
    """Remember ids and signatures; each method is one atomic step, whatever threads and processes do.

    `now` is seconds since the epoch, UTC.
    """

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        """Take the id and the signature together, or tell who has them.

        Args:
            webhook_id: A UUID; case does not matter.
            signature: 64 hex digits, or None where the scheme signs no timestamp (two equal bodies have one
                signature there).
        """

    def done(self, claim: Claim, *, now: float) -> bool:
        """Remember the id as handled; False when the claim is no longer the caller's (another took over)."""

    def give_back(self, claim: Claim, *, now: float) -> bool:
        """Forget the claim, so that the sender's next attempt is handled; False when it is another's."""


def check_durations(*, lease_seconds: float, remember_seconds: float, signature_seconds: float) -> None:
    """Refuse durations that no replay store may have.

    Raises:
        ConfigError: One is out of range.
    """
    for name, value, least in (
        ("lease_seconds", lease_seconds, 1),
        ("remember_seconds", remember_seconds, LEAST_REMEMBER_SECONDS),
        ("signature_seconds", signature_seconds, 0),
    ):
        if not least <= value < math.inf:
            raise ConfigError(name, f"{least} or more is wanted")


@runtime_checkable
class EffectStore(Protocol):
    """A store in the database of the handler's effect: both commit together, which is *exactly once*."""

    def handling(self, claim: Claim, *, clock: Callable[[], float]) -> AbstractContextManager[None]:
        """Run the block and *done* as one transaction; where it raises, neither has happened."""
        ...


@dataclass(slots=True)
class _Lease:
    """A claim in flight; few at a time, so it may be roomy."""

    token: int
    until: float
    signature: int | None


class MemoryReplayStore:
    """Remember in this process: for one process with any number of threads, and for tests.

    Ids are kept as numbers, at most *max_ids* of them, at about 300 bytes each while the signature is
    remembered too. Beyond *max_ids* the oldest are forgotten early, which is weaker: such an id would be
    handled again if it were sent again. Several processes need a store that they share.

    Args:
        lease_seconds: After this time a claim that nobody ended is free again.
        remember_seconds: How long done ids are kept; at least 900.
        signature_seconds: How long signatures are kept: the verifier's window and skew together.
        max_ids: The bound of the memory.

    Raises:
        ConfigError: A number that is out of range.
    """

    def __init__(
        self,
        *,
        lease_seconds: float = LEASE_SECONDS,
        remember_seconds: float = REMEMBER_SECONDS,
        signature_seconds: float = SIGNATURE_SECONDS,
        max_ids: int = MAX_IDS,
    ) -> None:
        check_durations(
            lease_seconds=lease_seconds,
            remember_seconds=remember_seconds,
            signature_seconds=signature_seconds,
        )
        if not 1 <= max_ids < math.inf:
            raise ConfigError("max_ids", "1 or more is wanted")
        self._lease_seconds = lease_seconds
        self._remember_seconds = remember_seconds
        self._signature_seconds = signature_seconds
        self._max_ids = max_ids
        self._lock = threading.Lock()
        self._tokens = 0
        self._claimed: dict[int, _Lease] = {}
        # Oldest first, with the moment until which each is remembered.
        self._done: OrderedDict[int, float] = OrderedDict()
        self._signatures: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many ids are remembered, claimed or done."""
        return len(self._done) + len(self._claimed)

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        """Take the id and the signature together, or tell who has them; see `ReplayStore.claim`."""
        number = _id_number(webhook_id)
        mark = None if signature is None else _signature_number(signature)
        with self._lock:
            lease = self._claimed.get(number)
            if lease is not None and lease.until > now:
                return _busy(webhook_id, lease, now)
            if self._done.get(number, -math.inf) > now:
                return Claim(outcome=ClaimOutcome.DONE, webhook_id=webhook_id)
            own = lease is not None and lease.signature == mark
            if mark is not None and not own and self._signatures.get(mark, -math.inf) > now:
                return self._signature_seen(webhook_id, mark, now)
            return self._take(webhook_id, number, mark, now)

    def done(self, claim: Claim, *, now: float) -> bool:
        """Remember the id as handled; see `ReplayStore.done`."""
        number = _id_number(claim.webhook_id)
        with self._lock:
            if not self._is_current(number, claim):
                return False
            del self._claimed[number]
            self._done[number] = now + self._remember_seconds
            self._done.move_to_end(number)
            self._forget(self._done, now)
            return True

    def give_back(self, claim: Claim, *, now: float) -> bool:  # noqa: ARG002 - the port's; others need it
        """Forget the claim and its signature; see `ReplayStore.give_back`."""
        number = _id_number(claim.webhook_id)
        with self._lock:
            if not self._is_current(number, claim):
                return False
            lease = self._claimed.pop(number)
            if lease.signature is not None:
                self._signatures.pop(lease.signature, None)
            return True

    def _take(self, webhook_id: str, number: int, mark: int | None, now: float) -> Claim:
        self._tokens += 1
        # Leases that ran out and were never taken over: their processes died, or forgot to end them.
        if len(self._claimed) >= self._max_ids:
            self._claimed = {key: lease for key, lease in self._claimed.items() if lease.until > now}
        self._claimed[number] = _Lease(self._tokens, now + self._lease_seconds, mark)
        if mark is not None:
            self._signatures[mark] = now + self._signature_seconds
            self._signatures.move_to_end(mark)
            self._forget(self._signatures, now)
        return Claim(outcome=ClaimOutcome.NEW, webhook_id=webhook_id, token=self._tokens)

    def _signature_seen(self, webhook_id: str, mark: int, now: float) -> Claim:
        for lease in self._claimed.values():
            if lease.signature == mark and lease.until > now:
                return _busy(webhook_id, lease, now)
        return Claim(outcome=ClaimOutcome.DONE, webhook_id=webhook_id)

    def _is_current(self, number: int, claim: Claim) -> bool:
        lease = self._claimed.get(number)
        return lease is not None and lease.token == claim.token

    def _forget(self, remembered: OrderedDict[int, float], now: float) -> None:
        """Drop what has run out, a few at a time, and what is beyond the bound."""
        for _ in range(2):
            if remembered and remembered[next(iter(remembered))] <= now:
                remembered.popitem(last=False)
        while len(remembered) > self._max_ids:
            remembered.popitem(last=False)


def _busy(webhook_id: str, lease: _Lease, now: float) -> Claim:
    wait = max(1, math.ceil(lease.until - now))
    return Claim(outcome=ClaimOutcome.BUSY, webhook_id=webhook_id, retry_after_seconds=wait)


def _id_number(webhook_id: str) -> int:
    """Return the 128 bits of a UUID; any other id by its hash."""
    digits = webhook_id.replace("-", "")
    return int(digits, 16) if len(digits) == 32 and _HEX.issuperset(digits) else _hashed(webhook_id)


def _signature_number(signature: str) -> int:
    """Return 120 of the 256 bits: more than anybody can match, in a small integer object."""
    digits = signature[:30]
    return int(digits, 16) if len(digits) == 30 and _HEX.issuperset(digits) else _hashed(signature)


def _hashed(text: str) -> int:
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:15])
