"""What a circuit breaker is made of: its policy, its state, the commands it takes, the answers it gives.

Values only; what a command makes of a state is decided in `breaker.py`, which shows these names too.
Invariant: a state is bounded whatever happens to the endpoint (see `BreakerState`). Explained in
docs/explanation/breaker.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from webhooks_core.errors import ConfigError

NEVER_OPENS_FROM = 9_999  # the runbook's level 2: WEBHOOK_CB_MAX_FAILS = 9999 disables the breaker
DAY_SECONDS = 86_400.0  # "opens per day" is a sliding 24 h (contract §7)
OPENINGS_KEPT = 100  # the guard asks about 5 and 20 (contract §10); beyond 100 the count stays at 100
EXACT_FAILURES = 256  # newest failures whose exact times are kept, or MAX_FAILS where that is more
REOPEN_JITTER = 0.1  # a failed probe's open time is shortened by up to this share, so that the caps hold


class State(StrEnum):
    """Name where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Cause(StrEnum):
    """Name what moves a breaker."""

    TOO_MANY_FAILURES = "too many failures"
    OPEN_TIME_OVER = "open time over, probe admitted"
    PROBE_SUCCEEDED = "probe succeeded"
    PROBE_FAILED = "probe failed"
    PROBE_LOST = "probe's lease ran out, next probe admitted"
    PROBE_GIVEN_BACK = "probe given back, next probe admitted"
    FORCED_OPEN = "forced open by a person"
    FORCED_CLOSED = "forced closed by a person"
    NEVER_OPENS = "max_fails set to 9999 or more"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and for how long (contract §1 and §7).

    Args:
        window_seconds: A failure counts while it is at most this old; one exactly this old still counts.
        max_fails: Deliveries that must have failed within the window; 9999 or more means it never opens.
        open_seconds: How long the first opening lasts.
        max_open_seconds: Each failed probe doubles that, up to here (or up to *open_seconds*, if longer).
        probe_lease_seconds: After this a probe that did not report is lost. Longer than any attempt takes; a
            command may ask for a longer lease.
    """

    window_seconds: float = 120.0
    max_fails: int = 5
    open_seconds: float = 60.0
    max_open_seconds: float = 600.0
    probe_lease_seconds: float = 15.0

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        if not _is_count(self.max_fails):
            raise ConfigError("breaker.max_fails", "must be an int, 1 or more (9999 or more: never opens)")
        for name in ("window_seconds", "open_seconds", "max_open_seconds", "probe_lease_seconds"):
            if not _is_duration(getattr(self, name)):
                raise ConfigError(f"breaker.{name}", "must be a finite number of seconds above 0")

    @property
    def never_opens(self) -> bool:
        """Whether this policy switches the breaker off."""
        return self.max_fails >= NEVER_OPENS_FROM

    def open_for(self, failed_probes: int, *, jitter_value: float) -> float:
        """Return the seconds that an opening lasts after *failed_probes* probes in a row have failed."""
        if failed_probes == 0:
            return self.open_seconds
        longest = max(self.open_seconds, self.max_open_seconds)
        doubled = min(longest, self.open_seconds * 2.0 ** min(failed_probes, 64))
        return doubled * (1.0 - REOPEN_JITTER * jitter_value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


class ForcedMode(StrEnum):
    """Name what a person can force: refuse all, admit all, or watch without refusing."""

    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"
    OBSERVE_ONLY = "observe_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """A person's word over the machine's, until `until` (epoch seconds)."""

    mode: ForcedMode
    actor: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Deliveries that ended within one second, counted: successes, and failures older than the exact ones."""

    second: int
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """All that is remembered of one endpoint.

    Bounded: at most EXACT_FAILURES (or MAX_FAILS) exact times, a cell for each second of the window, and
    OPENINGS_KEPT openings. `retry_at` is when the next probe may go: the end of the open time, or of the
    lease of the probe that is out. `probe_token` is None while no probe is out.
    """

    state: State = State.CLOSED
    generation: int = 0
    failures: tuple[float, ...] = ()
    cells: tuple[Cell, ...] = ()
    retry_at: float = 0.0
    open_for_seconds: float = 0.0
    failed_probes: int = 0
    probe_token: str | None = None
    probe_lease_seconds: float = 0.0
    openings: tuple[float, ...] = ()
    forced: Forced | None = None

    def openings_within_day(self, *, now: float) -> int:
        """Return how often the breaker went from CLOSED to OPEN in the last 24 h; it saturates at 100."""
        return sum(1 for opened_at in self.openings if now - opened_at <= DAY_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave for one attempt. Hand it back exactly once: Succeeded, Failed or Cancelled."""

    generation: int
    is_probe: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No attempt now; ask again at `retry_at` (epoch seconds)."""

    retry_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Ask for a ticket. `token` names the asker; `lease_seconds` is how long a probe of his may take."""

    token: str = ""
    lease_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """A delivery ended well (or a probe did). `count` successes of one second may be told at once."""

    ticket: Ticket
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A delivery ended badly, told once per delivery; or a probe failed, whether it is tried again or not."""

    ticket: Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The ticket was not used, or its attempt says nothing (it will be tried again)."""

    ticket: Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Put a person's word over the machine's until `until` (epoch seconds)."""

    mode: ForcedMode
    actor: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Take a person's word back."""

    actor: str
    reason: str


Command = Admit | Succeeded | Failed | Cancelled | Force | Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One arrow that was gone along. `failures` is how many deliveries had failed within the window."""

    before: State
    cause: Cause
    after: State
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a command made of a state: the next state, the answer to Admit, and the arrows gone along."""

    state: BreakerState
    answer: Ticket | Refused | None = None
    changes: tuple[Change, ...] = ()
