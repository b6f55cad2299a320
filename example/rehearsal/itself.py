"""Chapter 8: a plan that drives itself: it holds, goes on, rolls back on three faults, and comes to its end.

The worker is the real command, the runner ticks in this process, and every reason that is printed comes from
the journal. Seconds stand for hours and minutes; the page says which.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test import override_settings

from loopback import outbox
from rehearsal import hurry, page
from rehearsal.seat import LIMIT_SECONDS, Seat
from rehearsal.stage import Stage
from rollout.actor import Actor
from rollout.commands import Start
from rollout.django import clearing, dispatch, driving, gate
from rollout.errors import ConfigError
from rollout.journal import verify
from rollout.percentage import Percentage
from rollout.rollout_state import State

PLAN = {
    "stages": [
        {"percentage": "5", "bake": "1s"},
        {"percentage": "25", "bake": "1s"},
        {"percentage": "50", "bake": "1s"},
        {"percentage": "100", "bake": "1s"},
    ],
    "criteria": {
        "share_needs": 25,
        "minute_needs": 3,
        "latency_p95_hold_ms": 500,
        "latency_p95_roll_back_ms": 600,
        "leave_out": ["dispatch_time"],
    },
}
SCALED = (
    "bake times 1 s (the contract's plan: 24 h, 48 h, 48 h)",
    "a minute of the guard lasts 1 s; a minute needs 3 deliveries (default 20), a share 25 (50)",
    "the time that dispatch adds is not judged: it is told every 5 s, too late for such minutes",
    "p95 holds from 500 ms and rolls back above 600 ms (defaults 2 s and 5 s)",
    "WEBHOOK_MAX_RETRIES = 1 (default 3): what fails is a failure at once",
    "WEBHOOK_CB_MAX_FAILS = 1000 (default 5): the guard judges, and no breaker opens before it can",
)
# Eight threads end in any order: with the default five 503 in a row may open the breaker first.
ENVIRONMENT = {"DEMO_PLAN": json.dumps(PLAN), "WEBHOOK_MAX_RETRIES": "1", "WEBHOOK_CB_MAX_FAILS": "1000"}
ANNA, BERT = Actor(name="anna"), Actor(name="bert")
FEW = 10  # deliveries: fewer than any verdict needs
SICK = [503, {"hang": 0}, 503, {"hang": 0}, {"hang": 0}] * 400  # two of five fail
SLOW = [{"hang": 0.8}] * 2000  # under the time-out of 1 s
ADDRESS = "zoe.almeida@example.org"


def show(stage: Stage, number: int) -> None:
    """Play the plan four times: three faults, then to the end."""
    page.chapter(
        number,
        "A plan that drives itself",
        see="You see: 5, 25, 50, 100 %, each stage only once the numbers allow it; on too little data it "
        "holds; on server errors, a slow receiver and personal data it rolls back by itself, and says why; "
        "a person starts again, and nothing is lost.",
    )
    page.lines([f"  {line}" for line in SCALED])
    page.blank()
    stage.worker.stop()
    stage.project.flags.write("100")
    with _planned():
        stage.worker = stage.workers.start("worker-4")
        recorded = outbox.count()
        Play(stage).all()
        _nothing_is_lost(stage, recorded)
    stage.worker.stop()


@contextmanager
def _planned() -> Iterator[None]:
    """Give this process and the next worker the plan, and both the evidence's faster clock."""
    environment = {**ENVIRONMENT, hurry.VARIABLE: repr(time.time())}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    hurry.begin()
    try:
        with override_settings(ROLLOUT={**settings.ROLLOUT, "PLAN": PLAN}):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class Play(Seat):
    """The four runs."""

    def all(self) -> None:
        """Too little data, a healthy stage, 5xx; a slow receiver; personal data; and to the end."""
        self.start("first run")
        self.hold_on_little()
        self.go_to("25")
        self.stage.receiver.plan_faults(*SICK)
        self.roll_back("5xx", "sequential test")
        self.start("the receiver is well again")
        self.stage.receiver.plan_faults(*SLOW)
        self.roll_back("slow receiver", "p95 above 600 ms")
        self.start("the receiver is fast again")
        self.trip()
        self.start("the call is corrected")
        self.finish()
        verify(driving.store().journal(self.flag), head=self.state().head)

    def start(self, reason: str) -> None:
        """Let a person begin at the first stage."""
        self.stage.receiver.plan_faults()
        time.sleep(2.5)  # what was under way when the fault was found has ended: it is none of this run's
        self.runner.obey(Start(by=ANNA, reason=reason))
        self.tell()
        open_now = lambda: any(gate.is_open(unit) for unit in self.stage.world.tournament_ids)  # noqa: E731
        self.stage.wait_until(open_now)

    def hold_on_little(self) -> None:
        """A few deliveries, all of them well: no reason to go on."""
        self.pay_in(FEW)
        self.stage.wait_until_sent()
        held = self.until(lambda: self.state().state is State.HOLD, pays=False)
        for _ in range(8):  # and stays there
            self.tick()
        now = self.state()
        measured = f"{now.state} {now.ceiling} %" if held else "not held"
        self.stage.expect.equal(f"plan: {FEW} deliveries are too few", measured, "HOLD 5 %")

    def go_to(self, percentage: str) -> None:
        """Enough deliveries: the next stage begins by itself."""
        wanted = Percentage.parse(percentage)
        self.until(lambda: self.state().ceiling == wanted)
        now = self.state()
        self.stage.expect.equal(f"plan: goes on by itself to {percentage} %, by", now.actor, "rollout")

    def roll_back(self, fault: str, measure: str) -> None:
        """Wait until the guard has rolled back and every sender has said that it stopped."""
        came = self.until(lambda: self.state().state is State.ROLLED_BACK)
        found = [entry for entry in self.entries() if entry.cause == "the guard finds a breach"]
        reason = found[-1].reason if found else "none"
        self.stage.expect.equal(f"plan: {fault}: rolled back by the guard", str(came and bool(found)), "True")
        self.stage.expect.add(
            f"plan: {fault}: the reason names its measure",
            ok=measure in reason and reason.startswith("roll_back"),
            measured=measure if measure in reason else "another",
            wanted=measure,
        )

    def trip(self) -> None:
        """An address in a payload: this host stops, the rollout goes to 0, another person clears."""
        self.pay_in(FEW)
        unit = next(each for each in self.stage.world.tournament_ids if gate.is_open(each))
        data = {"tournament_id": unit, "recipient_count": 1, "contact": ADDRESS}
        dispatch("payment_verified", data, tournament_id=unit)
        self.until(lambda: self.state().state is State.ROLLED_BACK, pays=False)
        entry = next(each for each in reversed(self.entries()) if each.actor == "tripwire")
        self.stage.expect.add(
            "plan: an address: rolled back by the tripwire",
            ok=entry.reason.startswith("personal data found: address at data.")
            and ADDRESS not in entry.dumps(),
            measured=entry.actor,
            wanted="tripwire",
        )
        refused = _refused(lambda: clearing.clear_trip(by=ANNA, reason="looks fine"))
        clearing.clear_trip(by=BERT, reason="the call sends an id now")
        self.tell()
        self.stage.expect.equal("plan: who began cannot clear the trip", str(refused), "True")

    def finish(self) -> None:
        """All faults are gone: to 100 %, by itself."""
        self.until(lambda: self.state().state is State.COMPLETED, seconds=2 * LIMIT_SECONDS)
        now, began = self.state(), self.entries()
        began = began[max(place for place, each in enumerate(began) if each.actor == ANNA.name) :]
        went = [
            str(each.after["ceiling"]) for each in began if each.before["ceiling"] != each.after["ceiling"]
        ]
        self.stage.expect.equal("plan: at the end", f"{now.state} {now.ceiling} %", "COMPLETED 100 %")
        self.stage.expect.equal("plan: the stages of the last run", " ".join(went), "5 25 50 100")


def _refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except ConfigError:
        return True
    return False


def _nothing_is_lost(stage: Stage, recorded: int) -> None:
    """Release what the rollbacks held, send again what failed, and count."""
    stage.wait_until_sent()
    held, dead = outbox.count("held"), outbox.count("dead")
    outbox.command("release", "--all", "--rate", "1000", "--reason", "plan-completed", "--yes")
    outbox.command(
        "recover", "--since", "10m", "--endpoint", "default", "--reason", "receiver-is-well", "--yes"
    )
    stage.wait_until_sent()
    page.blank()
    page.paragraph(f"Held by the rollbacks and released: {held}. Failed and sent again: {dead}.")
    stage.expect.equal(
        "plan: recorded and not delivered in the end", outbox.count() - outbox.count("delivered"), 0
    )
    stage.expect.add(
        "plan: deliveries of the chapter",
        ok=outbox.count() > recorded,
        measured=outbox.count() - recorded,
        wanted="> 0",
    )
    stage.newly_verified()
