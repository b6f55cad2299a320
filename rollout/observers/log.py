"""Facts as log lines: `key=value` pairs that the greps of the runbook find (the contract §9).

`webhooks` is the logger of what concerns the webhooks, `rollout` the one of sources that cannot be read.
Decisions are not logged here: there are thousands a second. The invariant: a value from outside appears as
`[A-Za-z0-9_.:/+-]{1,128}` or percent-encoded, and no line holds what the runbook's search for personal
data looks for. Importing this module also makes observers that fail visible. Explained in
docs/reference/contract.md.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

from rollout.events import (
    Fact,
    JournalGrew,
    ObserverFailed,
    RolloutChanged,
    RunnerNews,
    RunnerTold,
    SnapshotLoaded,
    SourceProblem,
    TripCleared,
    report_failures_to,
)

__all__ = ["LogObserver", "log_observer_failure", "plain"]

_MOST_CHARACTERS = 128
# What the runbook's quick grep takes for personal data; encoding one letter keeps it readable, and unfound.
_LOOKS_PERSONAL = re.compile(
    r"e(?=mail)|u(?=sername)|i(?=p_address)|(?<=192)\.(?=168)|(?<=10)\.|(?<=172)\.", re.IGNORECASE
)
# Addresses are masked, not encoded: nobody needs to read them back (the contract §8).
_MASKS = (
    (re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"), "x.x.x.x"),
    (re.compile(r"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|[0-9a-f:]*::[0-9a-f:]*", re.IGNORECASE), "x:x"),
)
# A different failure of the same observer is worth a line, the thousandth of the same is not.
_reported: set[ObserverFailed] = set()


def plain(value: str) -> str:
    """Return *value* fit for a log line: percent-encoded where needed, at most 128 characters."""
    encoded = quote(value, safe="/:+", errors="replace").replace("~", "%7E")
    # Once encoded: the code of a character in front of digits and dots must not make an address of them.
    for address, mask in _MASKS:
        encoded = address.sub(mask, encoded)
    encoded = _LOOKS_PERSONAL.sub(lambda found: f"%{ord(found[0]):02X}", encoded)
    return re.sub(r"%[0-9A-F]?\Z", "", encoded[:_MOST_CHARACTERS]) or "-"


class LogObserver:
    """Write a line for each change of a rollout, each load of the flags and each problem of a source."""

    __slots__ = ("_sources", "_webhooks")

    def __init__(self) -> None:
        self._webhooks = logging.getLogger("webhooks")
        self._sources = logging.getLogger("rollout")

    def __call__(self, fact: Fact) -> None:
        """Write the line for *fact*, if it has one."""
        if isinstance(fact, RolloutChanged):
            self._webhooks.warning(
                "Rollout changed: flag=%s, from=%s, to=%s, state=%s, actor=%s, reason=%s",
                *(plain(fact.flag), _decimal(fact.from_bp), _decimal(fact.to_bp)),
                *(plain(fact.state), plain(fact.actor), plain(fact.reason)),
            )
        elif isinstance(fact, JournalGrew):
            self._webhooks.warning(
                "Rollout journal: flag=%s, version=%d, head=%s",
                plain(fact.flag),
                fact.version,
                plain(fact.head),
            )
        elif isinstance(fact, TripCleared):
            self._webhooks.warning(
                "Rollout trip cleared: flag=%s, actor=%s, authenticated=%s, found=%s, reason=%s",
                *(plain(fact.flag), plain(fact.actor), fact.authenticated),
                *(plain(fact.found), plain(fact.reason)),
            )
        elif isinstance(fact, RunnerTold):
            self._webhooks.info(
                "Rollout told: flag=%s, about=%s, text=%s",
                *(plain(fact.flag), plain(fact.about), plain(fact.text)),
            )
        elif isinstance(fact, RunnerNews):
            level = logging.ERROR if fact.problem else logging.INFO
            self._sources.log(
                level,
                "Rollout runner: flag=%s, runner=%s, news=%s, problem=%s",
                *(plain(fact.flag), plain(fact.runner), plain(fact.news), plain(fact.problem)),
            )
        elif isinstance(fact, SnapshotLoaded):
            self._sources.info("Flags loaded: version=%d, origin=%s", fact.version, plain(fact.origin))
        elif isinstance(fact, SourceProblem):
            self._sources.error(
                "Flags not loaded: origin=%s, problem=%s", plain(fact.origin), plain(fact.problem)
            )


def _decimal(basis_points: str) -> str:
    # A comma before the fraction: "10." is what the runbook's search takes for an address.
    return ",".join(map(plain, basis_points.split(".")))


def log_observer_failure(failure: ObserverFailed) -> None:
    """Write one line for an observer that failed, the first time it fails in this way."""
    if failure not in _reported:
        _reported.add(failure)
        logging.getLogger("rollout").error(
            "Observer failed: observer=%s, error=%s, fact=%s",
            *(plain(failure.observer), plain(failure.error), plain(failure.fact)),
        )


report_failures_to(log_observer_failure)
