"""What happens to a world while it lives: outages, pauses, clocks that are set, kill switches, people.

Invariant: which of it happens, and when, is drawn before the run; to whom is drawn when it happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from webhooks_core.outbox.base import State

if TYPE_CHECKING:
    from tests.simulation.world import World

TROUBLE_SECONDS = 45.0
MOST_PROCESSES = 4
MOST_OF_A_KIND = 3
MOST_OPERATIONS = 12
VERBS = {
    State.PENDING: ("hold", "drop"),
    State.HELD: ("release", "release", "drop"),
    State.DEAD: ("resend",),
}


class Trouble:
    """Make trouble for a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def plan(self) -> None:
        """Plan up to three of each kind that this run has; of what people do, a few more."""
        world = self._world
        for name, happen in self._happenings().items():
            rate: float = getattr(world.faults, name)
            for _ in range(MOST_OPERATIONS if name == "operator" else MOST_OF_A_KIND):
                if rate and world.rng.random() < rate:
                    world.loop.at(world.start + world.rng.random() * TROUBLE_SECONDS, happen)

    def _happenings(self) -> dict[str, Callable[[], None]]:
        return {
            "outage": self._outage,
            "pause": self._pause,
            "clock_jump": self._clock_jump,
            "store_jump": self._store_jump,
            "kill": self._kill,
            "sigterm": self._sigterm,
            "operator": self._operate,
            "endpoint_down": self._endpoint_down,
        }

    def _outage(self) -> None:
        self._world.outage_until = self._world.loop.now + self._world.rng.random() * 25
        self._world.note("outbox down")

    def _endpoint_down(self) -> None:
        """An endpoint fails for a while, now one way, now another."""
        name = self._world.rng.choice(sorted(self._world.endpoints))
        self._world.network.down_until[name] = self._world.loop.now + self._world.rng.random() * 60
        self._world.note(f"endpoint {name} down")

    def _pause(self) -> None:
        """A process freezes; perhaps its supervisor starts another one under the same name meanwhile."""
        if self._world.processes:
            process = self._world.rng.choice(self._world.processes)
            length = self._world.rng.choice((15.0, 40.0))  # a lease lasts 15
            process.is_paused_until = self._world.loop.now + self._world.rng.random() * length
            self._world.note(f"{process.label} pauses")
            if self._world.rng.random() < 0.5 and len(self._world.processes) < MOST_PROCESSES:
                self._world.boot(process.name)

    def _clock_jump(self) -> None:
        if self._world.processes:
            process = self._world.rng.choice(self._world.processes)
            process.clock_ahead = self._world.rng.choice((-3600.0, -12.0, -3.0, 3.0, 12.0, 400.0, 3600.0))
            self._world.note(f"{process.label} clock {process.clock_ahead:+.0f}")

    def _store_jump(self) -> None:
        self._world.store_ahead = self._world.rng.choice((-60.0, -10.0, 10.0, 60.0))
        self._world.note(f"store clock {self._world.store_ahead:+.0f}")

    def _kill(self) -> None:
        self._world.is_killed = not self._world.is_killed
        self._world.note(f"kill switch {'on' if self._world.is_killed else 'off'}")

    def _sigterm(self) -> None:
        if self._world.processes:
            process = self._world.rng.choice(self._world.processes)
            self._world.note(f"{process.label} SIGTERM")
            process.act(process.drain)

    def _operate(self) -> None:
        """A person looks after the outbox in the middle of it all, mostly after what has gone wrong."""
        rng = self._world.rng
        if rng.random() < 0.2:  # `recover`, and `release --all`
            self.clear_up()
            return
        rows = [row for row in self._world.stores.rows() if row.state in VERBS]
        bad = [row for row in rows if row.state is not State.PENDING]
        if rows:
            row = rng.choice(bad if bad and rng.random() < 0.8 else rows)
            self._move(rng.choice(VERBS[row.state]), [row.delivery.webhook_id])

    def _move(self, verb: str, webhook_ids: list[str]) -> None:
        moved = getattr(self._world.outbox, verb)(webhook_ids, reason="by hand")
        for webhook_id in sorted(moved):
            self._world.note(f"{verb} {webhook_id[:4]}")
            self._world.judge.moved(webhook_id, verb, store_now=self._world.store_clock())

    def clear_up(self) -> None:
        """Release what is held and send again what was given up, as a person would."""
        rows = self._world.stores.rows()
        self._move("release", [row.delivery.webhook_id for row in rows if row.state is State.HELD])
        self._move("resend", [row.delivery.webhook_id for row in rows if row.state is State.DEAD])
