"""How the rollout stands: everything `status` shows, read once, and the exit code that follows from it.

Reading only. Invariants: what is read costs the same whatever has been sent before; what cannot be read is
told and never guessed; "healthy" is said only where the guard passes and somebody watches. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.db import Error as DatabaseError

from rollout.controller import MAX_TICK_SECONDS
from rollout.controls import NOT_KILLED, KillState
from rollout.django import conf, driving, wiring
from rollout.django.management import queued
from rollout.django.management.bounded import TookTooLong, within
from rollout.django.management.queued import Queue
from rollout.django.management.words import away
from rollout.django.models import Rollout
from rollout.django.store import DjangoRolloutStore
from rollout.errors import ConfigError
from rollout.flags import FlagKey
from rollout.rollout_state import GUARDED, LATCHED, RolloutState, State
from rollout.situation import Obstacle, Situation, obstacles
from rollout.sources.trip import Trip
from rollout.verdict import Call, Verdict, VerdictKind
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.answer import Exit

__all__ = ["Host", "Seen", "Standing", "Watcher", "exit_of", "look", "this_host"]


class Presence(StrEnum):
    """Name whether somebody drives the rollout."""

    AT_WORK = "at work"
    #: The fence was held within the last minute: a pass now and then, as a timer or Celery's beat makes them.
    LATELY = "lately"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who holds the fence, or held it last.

    Args:
        holder: Its name; empty: nobody ever did.
        until_at: When its lease ends or ended, epoch seconds, the store's clock.
    """

    holder: str = ""
    until_at: float = 0.0

    def presence(self, *, now: float) -> Presence:
        """Say whether it is at work."""
        if self.holder and now <= self.until_at:
            return Presence.AT_WORK
        is_late = self.holder and now - self.until_at <= MAX_TICK_SECONDS
        return Presence.LATELY if is_late else Presence.NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this host says without a database."""

    kill: KillState = NOT_KILLED
    trip: KillState = NOT_KILLED
    trips: tuple[Trip, ...] = ()
    master: bool | None = True
    bad_settings: tuple[str, ...] = ()

    def stopped(self) -> str:
        """Say what stops this host whatever the rollout says, and what ends that; empty: nothing."""
        if self.kill.killed is not False:
            return f"this host is killed: {self.kill.why}; `rollout unkill` first"
        if self.trip.killed is not False:
            return f"this host has tripped: {self.trip.why}; `rollout clear-trip` first"
        return ""

    def switched_off(self) -> str:
        """Say that the master switch lets nothing through here; empty where it is on."""
        if self.master is True:
            return ""
        return "MASTER SWITCH: " + ("off" if self.master is False else "an unknown word: off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the database says: the rollout, the world around it, who drives it, what waits."""

    state: RolloutState
    situation: Situation
    watcher: Watcher
    queue: Queue | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What the guard says of the stage now; None where no stage is under way."""
        return self.situation.usable_verdict(self.state)

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """Why the next stage does not begin now; nothing where no stage is under way."""
        return obstacles(self.state, self.situation) if self.state.state in GUARDED else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How everything stands at one moment.

    Args:
        flag: The flag's key.
        environment: Whose rows.
        host: What this host says.
        seen: What the database says; None where it was not asked or did not answer.
        problem: Why it did not answer; empty where it did, or was not asked.
    """

    flag: FlagKey
    environment: str
    host: Host
    seen: Seen | None = None
    problem: str = ""


_WAITS_FOR_A_PERSON = frozenset({State.PAUSED, State.AWAITING_APPROVAL})


def exit_of(standing: Standing) -> Exit:
    """Return the exit code: what is sure and worst comes first."""
    host, seen = standing.host, standing.seen
    if host.kill.killed or host.trip.killed or (seen is not None and seen.state.killed):
        return Exit.KILLED
    if standing.problem or host.bad_settings:
        return Exit.UNREADABLE
    if seen is None:
        return Exit.DONE
    state, verdict = seen.state.state, seen.verdict
    if state in LATCHED:
        return Exit.ROLLED_BACK
    if seen.situation.went_back(seen.state):
        return Exit.HOLD
    if state is State.NOT_STARTED:
        return Exit.DONE
    if state in _WAITS_FOR_A_PERSON:
        return Exit.PAUSED
    is_watched = seen.watcher.presence(now=seen.situation.now) is not Presence.NOBODY
    if state is State.COMPLETED:  # the guard stays on; nothing waits for what it passes or cannot tell
        if verdict is not None and verdict.call is Call.ROLL_BACK:
            return Exit.HOLD
        return Exit.DONE if is_watched else Exit.UNDECIDED
    if verdict is None or verdict.kind is VerdictKind.UNDECIDED or not is_watched:
        return Exit.UNDECIDED
    is_good = verdict.kind is VerdictKind.PASS and state is State.RUNNING
    return Exit.DONE if is_good else Exit.HOLD


def this_host() -> Host:
    """Look at what this host says without a database. Never raises."""
    switches = wiring.built().switches
    bad = (*conf.master_problems(), *wiring.problems())
    return Host(
        kill=switches.kill.state(),
        trip=switches.tripwire.state(),
        trips=switches.tripwire.trips(),
        master=conf.master(),
        bad_settings=tuple(str(each) for each in bad),
    )


def look(*, timeout_seconds: float) -> Standing:
    """Read everything; what the database says within *timeout_seconds*. Never raises."""
    flag, environment = FlagKey(conf.current().flag), webhooks_conf.current().environment
    host = this_host()
    seen, problem = None, ""
    try:
        store = driving.driving().store
        if store is not None:
            seen = within(timeout_seconds, lambda: _seen(store), alias=store.database.alias)
    except DatabaseError as error:
        problem = away(error)
    except (TookTooLong, ConfigError) as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever else a driver comes up with: told by its type
        problem = f"the rollout cannot be read: {type(error).__name__}"
    return Standing(flag=flag, environment=environment, host=host, seen=seen, problem=problem)


def _seen(store: DjangoRolloutStore) -> Seen:
    state, situation = driving.runner().look()
    rows = Rollout.objects.using(store.database.alias).filter(environment=store.environment, flag=state.flag)
    found = rows.values_list("fence_holder", "fence_until_at").first()
    watcher = Watcher() if found is None else Watcher(holder=found[0], until_at=found[1])
    return Seen(state=state, situation=situation, watcher=watcher, queue=queued.queue())
