"""Where a runner's driver sits, in the demo: ticks, payments meanwhile, and the journal as it is written."""

from __future__ import annotations

import itertools
import textwrap
import time
from collections.abc import Callable

from rehearsal import page
from rehearsal.stage import Stage
from rollout.django import driving, gate
from rollout.journal import JournalEntry
from rollout.rollout_state import Cause, RolloutState
from rollout.runner import Runner
from rollout.verdict import Verdict

LIMIT_SECONDS = 20.0  # for anything that is waited for; most of it takes two
BETWEEN_SECONDS = 0.2  # ticks; default 5
PACE_SECONDS = 0.015  # between payments
WHY_WIDTH = 55
BY_NUMBERS = frozenset(
    each.value for each in (Cause.PASSED, Cause.DONE, Cause.HELD, Cause.CLEARED, Cause.BREACHED)
)
SHOWN_OF_A_PASS = ("success_rate", "latency_p95")


class Seat:
    """One runner in this process; what the journal says is printed as it is written."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.runner: Runner = driving.runner(name="demo")
        self.flag = driving.driving().flag
        self.begun = time.monotonic()
        self.printed = 0
        self.traffic = itertools.cycle(stage.world.tournament_ids)
        self.table = page.Table(
            page.Column("at", 6),
            page.Column("state", 16, left=True),
            page.Column("by", 8, left=True),
            page.Column("why, as the journal has it", WHY_WIDTH, left=True),
        )
        self.table.head()

    def until(self, holds: Callable[[], bool], *, pays: bool = True, seconds: float = LIMIT_SECONDS) -> bool:
        """Tick, and let payments be verified, until *holds*; return whether it did in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            self.tick(pays=pays)
        return True

    def tick(self, *, pays: bool = False) -> None:
        """One pass of the runner, what it wrote, and payments until the next one is due."""
        self.runner.tick()
        self.tell()
        due = time.monotonic() + BETWEEN_SECONDS
        while time.monotonic() < due:
            if pays:
                self.pay_in(1)
            time.sleep(PACE_SECONDS)

    def pay_in(self, payments: int) -> None:
        """Verify *payments* payments in tournaments that are in now; none where nobody is."""
        for _ in range(payments):
            for unit in itertools.islice(self.traffic, len(self.stage.world.tournament_ids)):
                if gate.is_open(unit):
                    self.stage.world.pay(unit)
                    break

    def state(self) -> RolloutState:
        """Where the rollout stands."""
        return driving.store().load(self.flag)

    def entries(self) -> list[JournalEntry]:
        """The journal, oldest first."""
        return list(driving.store().journal(self.flag))

    def tell(self) -> None:
        """Print what the journal says since the last time."""
        for entry in self.entries()[self.printed :]:
            seconds = time.monotonic() - self.begun
            where = f"{entry.after['state']} {entry.after['ceiling']} %"
            first, *rest = _reasons(entry)
            self.table.row(f"{seconds:.1f} s", where, entry.actor, first)
            for text in rest:
                self.table.row("", "", "", text)
            self.printed += 1


def _reasons(entry: JournalEntry) -> list[str]:
    """Return the entry's reason in lines that fit; of a verdict, the numbers that say most."""
    text = entry.reason.split("; roll_back:")[0].split("; personal data")[0]
    if entry.evidence is not None and entry.cause in BY_NUMBERS:
        readings = Verdict.from_dict(entry.evidence).reasons
        told = [each for each in readings if each.measure in SHOWN_OF_A_PASS] or list(readings)
        text = "; ".join(each.why for each in told[:2])
    return textwrap.wrap(text, WHY_WIDTH)
