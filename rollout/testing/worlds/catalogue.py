"""The worlds that the defaults are measured in, and what is promised of each.

The promises are the project's own (how soon a fault of ours is found, how seldom a healthy rollout is rolled
back); a world without one is here to show where the limits are. Explained in docs/reference/guard.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rollout.testing.worlds.receiver import Health
from rollout.testing.worlds.traffic import Fault, Texture, World

__all__ = ["CATALOGUE", "Kind", "Promise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is promised of a kind of world. What is None is not promised.

    Args:
        most_rolled_back_percent: At most so many of the worlds of the whole group are rolled back.
        median_minutes: All are rolled back, half of them at most so long after the fault.
        between_minutes: All are rolled back, each so long after the fault.
        most_passes: No more verdicts than this allow to go on.
    """

    most_rolled_back_percent: float | None = None
    median_minutes: float | None = None
    between_minutes: tuple[float, float] | None = None
    most_passes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A world, its group in the table, and what is promised.

    Args:
        group: Heading of the table.
        world: What is simulated, each time with another seed.
        promise: See there.
        alike: A word that it shares with the kinds of which the same is promised. A few worlds of each say
            little about a median, those of all of them more. Empty: none is like it.
        weight: Share of the worlds of a run, against the other kinds.
        in_ci: Worlds of it in a short run.
    """

    group: str
    world: World
    promise: Promise = field(default_factory=Promise)
    alike: str = ""
    weight: int = 1
    in_ci: int = 0


_NEVER = Promise(most_rolled_back_percent=0.5)
_NOT_ONE = Promise(most_rolled_back_percent=0.0)
#: (deliveries a minute, success under the fault) → median minutes until it is rolled back.
_SOON = {(1, 0.8): 150.0, (1, 0.5): 30.0, (1, 0.0): 15.0, (50, 0.8): 5.0, (50, 0.5): 3.0, (50, 0.0): 3.0}
# Worlds of a kind in a short run, where a median is promised: with one and with five endpoints, twenty that
# are alike. With the defaults up to three of ten are late. As many as break the promise, sixteen, come by
# chance in one of a million runs; of a guard three times as slow about nine of ten are late.
_FOR_A_MEDIAN = 10
#: The five minutes begin with the last delivery that arrived, which may be before the fault.
_DEAD_MINUTES = (4.5, 7.0)


def _healthy() -> Iterator[Kind]:
    for texture in (Texture.INDEPENDENT, Texture.BURSTY, Texture.CORRELATED):
        for rate in (0.2, 1, 5, 28, 50):
            for endpoints in (1, 5):
                world = World(name=f"healthy, {texture}, {_shape(rate, endpoints)}", per_minute=rate,
                              endpoints=endpoints, texture=texture)  # fmt: skip
                short = 1 if rate in (0.2, 50) and (rate, endpoints) != (50, 5) else 0
                yield Kind(group="healthy at 96 %, 120 h", world=world, promise=_NEVER, weight=3, in_ci=short)


def _limits() -> Iterator[Kind]:
    """Where the defaults end: nothing is promised."""
    for rate in (1, 50):
        for endpoints in (1, 5):
            yield Kind(group="the limits", world=World(name=f"healthy, clumped, {_shape(rate, endpoints)}",
                       per_minute=rate, endpoints=endpoints, texture=Texture.CLUMPED))  # fmt: skip
    for rate in (5, 28, 50):
        yield Kind(group="the limits", world=World(name=f"healthy, waves of 3 points, {_shape(rate, 1)}",
                   per_minute=rate, texture=Texture.CORRELATED, wave=0.03))  # fmt: skip
    for rate in (1, 50):
        fault = Fault(health=Health(success=0.8, clump=3.0))
        name = f"ours, to 80%, one receiver after the other, {rate}/min"
        yield Kind(group="the limits", world=World(name=name, per_minute=rate, endpoints=5, fault=fault))


def _ours() -> Iterator[Kind]:
    for texture in (Texture.INDEPENDENT, Texture.BURSTY, Texture.CORRELATED):
        for (rate, success), minutes in _SOON.items():
            for endpoints in (1, 5):
                # A fault in bursts: what follows on each other fails together, at whichever receiver.
                bursts = texture is Texture.BURSTY and success > 0
                health = Health(success=success, clump=3.0 if bursts else 1.0, is_shared=bursts)
                world = World(name=f"ours, to {success:.0%}, {texture}, {_shape(rate, endpoints)}",
                              per_minute=rate, endpoints=endpoints, texture=texture,
                              fault=Fault(health=health))  # fmt: skip
                yield Kind(group="a fault of ours", world=world, promise=Promise(median_minutes=minutes),
                           alike=f"ours, to {success:.0%}, {rate}/min",
                           in_ci=_FOR_A_MEDIAN if texture is Texture.INDEPENDENT else 0)  # fmt: skip


def _theirs() -> Iterator[Kind]:
    for is_answering in (False, True):
        for has_breaker in (True, False):
            for rate in (1, 5, 50):
                how = f"{'5xx' if is_answering else 'no answer'}{'' if has_breaker else ', breaker off'}"
                fault = Fault(
                    health=Health(success=0.0, is_answering=is_answering), lasts=1_800.0, endpoints=1
                )
                world = World(name=f"one of five dead, {how}, {rate}/min", per_minute=rate, endpoints=5,
                              hours=3.0, fault=fault, has_breaker=has_breaker)  # fmt: skip
                yield Kind(group="one receiver of five dead for 30 min", world=world, promise=_NOT_ONE,
                           in_ci=1 if has_breaker else 0)  # fmt: skip
    for rate in (1, 5, 10, 50):
        fault = Fault(health=Health(success=0.0, is_answering=False))
        world = World(name=f"the only receiver dead, {rate}/min", per_minute=rate, fault=fault)
        promise = Promise(between_minutes=_DEAD_MINUTES) if rate > 1 else Promise(median_minutes=10.0)
        yield Kind(group="the only receiver dead", world=world, promise=promise, weight=2,
                   in_ci=4 if rate > 1 else _FOR_A_MEDIAN)  # fmt: skip


def _nothing() -> Iterator[Kind]:
    promise = Promise(most_rolled_back_percent=0.0, most_passes=0)
    # One of it shows all: nothing in it is left to chance.
    yield Kind(group="no data", world=World(name="no deliveries, 120 h", per_minute=0.0), promise=promise,
               in_ci=1)  # fmt: skip


def _shape(rate: float, endpoints: int) -> str:
    return f"{rate:g}/min, {endpoints} endpoint{'s' if endpoints > 1 else ''}"


CATALOGUE: tuple[Kind, ...] = (*_healthy(), *_ours(), *_theirs(), *_nothing(), *_limits())
