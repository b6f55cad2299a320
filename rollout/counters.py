"""What the guard counts: the columns of one row of evidence, and counts that can be added up.

A row is the counts of one (minute, endpoint). What an event adds to it is `increments.py`'s business.
Invariants: addition is commutative and associative, so that any number of writers may add in any order
(`counter = counter + n`); a count is never negative; a column keeps its name and its meaning for good.
Explained in docs/reference/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rollout.errors import ConfigError
from rollout.latency import DISPATCH, LATENCY

__all__ = [
    "COLUMNS",
    "FAILURES",
    "UNANSWERED",
    "Counts",
]

# The classes of the contract §6 in which a delivery can end without success. `duplicate_unconfirmed` is no
# success (§6); an open breaker and PII are no sample and have columns of their own.
FAILURES: dict[str, str] = {
    "client_error": "failed_client_error",
    "server_error": "failed_server_error",
    "timeout": "failed_timeout",
    "connection_error": "failed_connection_error",
    "tls_error": "failed_tls_error",
    "redirect": "failed_redirect",
    "blocked_address": "failed_blocked_address",
    "signature_rejected": "failed_signature_rejected",
    "duplicate_unconfirmed": "failed_duplicate_unconfirmed",
}
#: Classes in which no answer came: they say nothing of what we sent, only that nobody was there.
UNANSWERED = frozenset({"timeout", "connection_error", "tls_error"})
_UNANSWERED_COLUMNS = tuple(FAILURES[outcome] for outcome in sorted(UNANSWERED))
_CLIENT_COLUMNS = tuple(
    FAILURES[outcome] for outcome in ("client_error", "signature_rejected", "duplicate_unconfirmed")
)

#: Every column and what it counts. Names are stable: a database has them.
COLUMNS: dict[str, str] = {
    "ok": "deliveries that arrived before the fast tier ended",
    **{name: f"deliveries whose fast tier ended in `{outcome}`" for outcome, name in FAILURES.items()},
    "retried": "of the deliveries that ended: took more than one attempt",
    "met_5xx": "of the deliveries that ended: met a 5xx on the way",
    "recovered": "deliveries that arrived later, in the slow tier; no sample",
    "expired": "deliveries that grew too old while a breaker refused them; no sample",
    "attempts": "attempts made, probes and the slow tier included",
    "unanswered": "of the attempts: no answer came",
    "refused": "times that an open breaker refused a delivery; no sample",
    "openings": "CLOSED to OPEN of the breaker; a failed probe is none",
    "open_seconds": "seconds for which the breaker was seen open",
    "envelopes": "envelopes built and checked for personal data",
    "pii": "personal data found outside declared free text",
    "pii_free_text": "personal data found in a field declared free text, or a field that is not known",
    **dict.fromkeys(LATENCY.columns, "delivered, by the time spent in attempts"),
    **dict.fromkeys(DISPATCH.columns, "calls of dispatch, by the time they added to the caller"),
}


class Counts:
    """Whole numbers by column, frozen; a column that was never counted is 0 and is not stored.

    Args:
        counts: Column → count, 0 or more.

    Raises:
        ConfigError: A name is no column, or a count is no whole number from 0 up.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None, /) -> None:
        self._counts: dict[str, int] = {}
        for column, count in (counts or {}).items():
            if column not in COLUMNS:
                raise ConfigError(f"evidence.{column:.64}", "no such column; see docs/reference/guard.md")
            if type(count) is not int or count < 0:
                raise ConfigError(f"evidence.{column}", "must be a whole number from 0 up")
            if count:
                self._counts[column] = count

    @classmethod
    def of_row(cls, row: Mapping[str, object]) -> Counts:
        """Read a database row: the columns among its keys, everything else left alone, NULL as 0."""
        return cls._of(
            {column: count for column, count in row.items() if count and isinstance(count, int)
             and column in COLUMNS}
        )  # fmt: skip

    @classmethod
    def sum(cls, parts: Iterable[Counts]) -> Counts:
        """Add them all up, in any order."""
        total: dict[str, int] = {}
        for part in parts:
            for column, count in part._counts.items():
                total[column] = total.get(column, 0) + count
        return cls._of(total)

    @classmethod
    def _of(cls, counts: dict[str, int]) -> Counts:
        made = cls()
        made._counts = counts
        return made

    def __add__(self, other: Counts) -> Counts:
        return Counts.sum((self, other))

    def without(self, parts: Iterable[Counts]) -> Counts:
        """Take away *parts*, each of which was added before."""
        rest = dict(self._counts)
        for part in parts:
            for column, count in part._counts.items():
                rest[column] -= count
        return Counts._of({column: count for column, count in rest.items() if count})

    def beyond(self, before: Counts) -> Counts:
        """Return how far it is above *before* in each column; a column that is not above it is 0."""
        return Counts._of(
            {
                column: count - before.get(column)
                for column, count in self.items()
                if count > before.get(column)
            }
        )

    def get(self, column: str, default: int = 0, /) -> int:
        """Return the count of *column*."""
        return self._counts.get(column, default)

    def items(self) -> Iterable[tuple[str, int]]:
        """Return the columns that are not 0, with their counts."""
        return self._counts.items()

    def as_dict(self) -> dict[str, int]:
        """Return the columns that are not 0: what to add to a row, or JSON."""
        return dict(self._counts)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __eq__(self, other: object) -> bool:
        return self._counts == other._counts if isinstance(other, Counts) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __repr__(self) -> str:
        return f"Counts({self._counts})"

    @property
    def ended(self) -> int:
        """Deliveries whose fast tier ended: the sample."""
        return self.get("ok") + self.failed

    @property
    def failed(self) -> int:
        """Of those: without success."""
        get = self._counts.get
        return sum([get(column, 0) for column in FAILURES.values()])

    @property
    def unanswered_failures(self) -> int:
        """Of those: no answer came to the last attempt."""
        get = self._counts.get
        return sum([get(column, 0) for column in _UNANSWERED_COLUMNS])

    @property
    def ended_4xx(self) -> int:
        """Deliveries that ended in a 4xx, a rejected signature and an unconfirmed duplicate included."""
        get = self._counts.get
        return sum([get(column, 0) for column in _CLIENT_COLUMNS])
