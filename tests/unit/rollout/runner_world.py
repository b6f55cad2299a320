"""What the tests of the runner share: a store that dies when told, a watch that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable

from rollout.controls import KillState
from rollout.errors import ConfigError
from rollout.events import Fact
from rollout.flags import FlagKey
from rollout.plan import Plan
from rollout.rollout_state import RolloutState
from rollout.runner import Runner
from rollout.stores.base import RolloutStore
from rollout.stores.memory import MemoryRolloutStore
from rollout.testing import ManualClock
from rollout.verdict import Standing
from rollout.watch import Looked
from tests.unit.rollout.rollout_world import FLAG, NOW, PASS, PLAN, verdict


class Eyes:
    """A watch that says what a test wants."""

    def __init__(self) -> None:
        self.standing: Standing | None = PASS
        self.problem = ""

    def look(self, state: RolloutState, *, now: float) -> Looked:
        """Judge as told."""
        said = None if self.standing is None else verdict(self.standing, at=now)
        return Looked(verdict=said, problem=self.problem)

    def begin(self, flag: FlagKey, *, now: float) -> str:
        """Note when a start asked."""
        return f"begun at {now:.0f}"


class Crash(BaseException):
    """The process dies here; no `except Exception` of the product catches it."""


class DyingStore:
    """A store whose *dies_at*-th call kills the process, before or after it was carried out.

    `prepare` and `hear` are the runner's two other calls, and counted with the store's.
    """

    def __init__(self, store: RolloutStore) -> None:
        self.store, self.calls, self.dies_at, self.after = store, 0, -1, False

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Hand the call on, or die."""
        method = getattr(self.store, name)

        def call(*args: object, **options: object) -> object:
            self._point(is_after=False)
            result = method(*args, **options)
            self._point(is_after=True)
            return result

        return call

    def prepare(self, _after: RolloutState) -> None:
        """Be what comes before a way up."""
        self._point(is_after=False)
        self._point(is_after=True)

    def hear(self, _fact: Fact) -> None:
        """Be told of what was written."""
        self._point(is_after=False)
        self._point(is_after=True)

    def _point(self, *, is_after: bool) -> None:
        self.calls += not is_after
        if (self.calls, is_after) == (self.dies_at, self.after):
            raise Crash


class World:
    """A store, a clock, a plan, and as many runners as a test wants."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryRolloutStore(clock=self.clock)
        self.plan: Plan | None = plan
        self.eyes = Eyes()
        self.kill = KillState(killed=False)
        self.facts: list[Fact] = []
        self.runners = 0
        self.waited: list[float] = []

    def read_plan(self) -> Plan:
        """The plan as it is written now."""
        if self.plan is None:
            raise ConfigError("plan.stages", "must be a list")
        return self.plan

    def runner(self, store: object = None, **options: object) -> Runner:
        """A process that has just begun."""
        self.runners += 1
        return Runner(
            FLAG,
            self.store if store is None else store,  # type: ignore[arg-type]
            self.eyes,  # type: ignore[arg-type]
            plan=self.read_plan,
            owner=f"host/{self.runners}",
            kill=lambda: self.kill,
            **{"observer": self.facts.append, "wait": self.waited.append, **options},  # type: ignore[arg-type]
        )

    @property
    def state(self) -> RolloutState:
        """What is kept."""
        return self.store.load(FLAG)
