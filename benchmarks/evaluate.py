"""One percentage flag asked for distinct units: ours beside the obvious three lines and seven flag libraries.

Ours is the whole way a gate goes: a flag file, a kill file looked at once an interval, a master switch
called each time, a ceiling, the check of the unit's type, no observer. The three lines are what one writes
by hand: look the flag
up, hash, compare. growthbook is used as its manual shows it for a server: an instance made for each unit,
which is what the target is against; and, cheaper but not to be shared by threads, one whose attributes are
set anew. The other peers are in flag_peers.py, each by its own call. Then: loading 10,000 flags from JSON
text or a file, time, memory (what Python allocated: the Rust and C of some is not seen) and time for each
evaluation; and asking from eight threads, with the file replaced every 100 ms and without.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import flag_peers
from growthbook import GrowthBook
from rounds import Target, interleave, report

from rollout import FileSource, Flag, FlagKey, Gate, KillFile, LiveFlags, Percentage
from rollout.sources.dump import FlagSet, dumps

UNITS = 20_000
PEER_UNITS = 2_000
FLAGS = 10_000
MOST_SECONDS = 0.3
MOST_MEBIBYTES = 15.0
# The same flag at the same percentage for everybody.
KEY, PERCENTAGE = FlagKey(flag_peers.FLAG), Percentage.parse(flag_peers.PERCENT)
MIDDLE = "flag-05000"
# Too slow for nine rounds.
ONCE = "launchdarkly (file)"
THREADS = 8
SECONDS = 1.0

next_unit = iter(range(10**12))


def each_unit(ask: Callable[[int], object], units: int) -> Callable[[], float]:
    """Return what measures *ask*, in nanoseconds a call, over units that were never asked before."""

    def run() -> float:
        fresh = [next(next_unit) for _ in range(units)]
        begun = time.perf_counter()
        for unit in fresh:
            ask(unit)
        return (time.perf_counter() - begun) / units * 1e9

    return run


def three_lines() -> Callable[[int], bool]:
    """What one writes by hand."""
    flags = {KEY: (str(KEY), PERCENTAGE.threshold)}

    def is_on(unit: int) -> bool:
        salt, threshold = flags[KEY]
        digest = hashlib.sha256(f"{salt}:{unit}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < threshold

    return is_on


def growthbook_again() -> Callable[[int], bool]:
    """Growthbook with one instance for all units."""
    shared = GrowthBook(features=flag_peers.growthbook_features())

    def again(unit: int) -> bool:
        shared.set_attributes({"id": str(unit)})
        return bool(shared.is_on(KEY))

    return again


def gate_of(directory: Path) -> Gate:
    """Return a gate with everything that production has."""
    path = directory / "flags.json"
    flag = Flag(key=KEY, percentage=PERCENTAGE)
    path.write_text(dumps(FlagSet(flags={KEY: flag}, version=1)))
    switch = {"on": True}
    live = LiveFlags(
        FileSource(path),
        kill=KillFile(str(directory / "kill")),
        master=lambda: switch["on"],
        ceilings=lambda: {KEY: Percentage.parse(75)},
    )
    return Gate(KEY, live)


def check(gate: Gate, by_hand: Callable[[int], bool]) -> None:
    """Stop where they do not agree: a benchmark of different answers says nothing."""
    for unit in range(10_000):
        assert by_hand(unit) is gate.is_open(unit) is gate(unit).value


def evaluating(directory: Path) -> bool:
    gate, by_hand = gate_of(directory), three_lines()
    check(gate, by_hand)
    peers = {
        "growthbook, one a unit": flag_peers.growthbook(),
        "flagd-core": flag_peers.flagd_core(),
        "launchdarkly (file)": flag_peers.launchdarkly(directory),
        "unleash": flag_peers.unleash(directory),
        "posthog (local)": flag_peers.posthog(),
        "flagsmith engine": flag_peers.flagsmith(),
        "django-waffle (locmem)": flag_peers.waffle(),
    }
    ours = {
        "three lines": each_unit(by_hand, UNITS),
        "Gate.is_open": each_unit(gate.is_open, UNITS),
        "Gate (Decision)": each_unit(gate, UNITS),
        "growthbook, one for all": each_unit(growthbook_again(), PEER_UNITS),
    }
    figures = interleave(ours | {name: each_unit(ask, PEER_UNITS) for name, ask in peers.items()})
    return report(
        "One percentage flag, distinct units",
        figures,
        unit="ns",
        baseline="three lines",
        targets=(
            Target(case="Gate.is_open", peer="three lines", most=1.1),
            Target(case="Gate (Decision)", peer="three lines", most=2.0),
            *(Target(case=name, peer="Gate.is_open", least=10.0) for name in peers),
        ),
    )


def keys() -> Iterator[FlagKey]:
    return (FlagKey(f"flag-{number:05d}") for number in range(FLAGS))


def loaders(directory: Path) -> dict[str, Callable[[], Callable[[int], object]]]:
    """What loads FLAGS flags from text or a file, and gives what asks one in their middle."""
    from flag_peers import flagd_flags, launchdarkly_config, unleash_state
    from growthbook import GrowthBook
    from ldclient import Context, LDClient
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext
    from yggdrasil_engine.engine import UnleashEngine

    path = directory / "many.json"
    flags = {key: Flag(key=key, percentage=Percentage.parse(n % 101)) for n, key in enumerate(keys())}
    path.write_text(dumps(FlagSet(flags=flags, version=1)))
    features, flagd = json.dumps(flag_peers.growthbook_features(FLAGS)), json.dumps(flagd_flags(FLAGS))
    config, state = launchdarkly_config(directory / "many-launchdarkly.json", FLAGS), unleash_state(FLAGS)

    def ours() -> Callable[[int], object]:
        live = LiveFlags(FileSource(path), kill=KillFile(str(directory / "kill")), refresh_seconds=30)
        assert len(live.snapshot().flags) == FLAGS
        return lambda unit: live.is_on(MIDDLE, unit)

    def growthbook() -> Callable[[int], object]:
        # One for all, which threads must not share: an instance for each unit would load them all again.
        shared = GrowthBook(features=json.loads(features))

        def ask(unit: int) -> object:
            shared.set_attributes({"id": str(unit)})
            return shared.is_on(MIDDLE)

        return ask

    def flagd_core() -> Callable[[int], object]:
        core = FlagdCore()
        core.set_flags(flagd)
        return lambda unit: core.resolve_boolean_value(MIDDLE, False, EvaluationContext(str(unit)))

    def launchdarkly() -> Callable[[int], object]:
        client = LDClient(config)
        return lambda unit: client.variation(MIDDLE, Context.create(str(unit)), False)

    def unleash() -> Callable[[int], object]:
        engine = UnleashEngine()
        engine.take_state(state)
        return lambda unit: engine.is_enabled(MIDDLE, {"userId": str(unit)})

    return {
        "FileSource": ours,
        "growthbook": growthbook,
        "flagd-core": flagd_core,
        "unleash (its engine)": unleash,
        ONCE: launchdarkly,
    }


def loading(directory: Path) -> bool:
    cases = loaders(directory)
    slow = cases.pop(ONCE)

    def timed(load: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            begun = time.perf_counter()
            load()
            return (time.perf_counter() - begun) * 1e3

        return run

    figures = interleave({name: timed(load) for name, load in cases.items()})
    best = min((name for name in cases if name != "FileSource"), key=lambda name: median(figures[name]))
    targets = (Target(case="FileSource", peer=best, most=2.0),)
    within = report(f"Loading {FLAGS:,} flags", figures, unit="ms", baseline="FileSource", targets=targets)
    print(f"{ONCE}, one run: {timed(slow)():,.0f} ms (it reads JSON with PyYAML where that is there)")
    asked = interleave({name: each_unit(load(), PEER_UNITS) for name, load in cases.items()})
    report(f"One of {FLAGS:,} flags, distinct units", asked, unit="ns", baseline="FileSource")
    print("\nmemory that Python allocated: peak, kept (MiB)")
    sizes = {name: memory(load) for name, load in cases.items()}
    for name, (peak, kept) in sizes.items():
        print(f"{name:<24}{peak:>8.1f}{kept:>8.1f}")
    milliseconds, peak = median(figures["FileSource"]), sizes["FileSource"][0]
    fast, small = milliseconds <= MOST_SECONDS * 1e3, peak <= MOST_MEBIBYTES
    print(f"{'ok  ' if fast else 'MISS'} time <= {MOST_SECONDS} s: {milliseconds / 1e3:.3f} s")
    print(f"{'ok  ' if small else 'MISS'} memory <= {MOST_MEBIBYTES} MiB: peak {peak:.1f}")
    return within and fast and small


def memory(load: Callable[[], object]) -> tuple[float, float]:
    """Return the peak and what is kept, in MiB."""
    tracemalloc.start()
    kept_alive = load()
    kept, peak = (size / 2**20 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert kept_alive is not None
    return peak, kept


def reloading(directory: Path) -> bool:
    """Ask from eight threads for a while, with the file replaced every 100 ms and without."""
    path = directory / "reloaded.json"

    def write(version: int) -> None:
        flag = Flag(key=KEY, percentage=Percentage.parse(100 * (version % 2)))
        path.with_suffix(".new").write_text(dumps(FlagSet(flags={KEY: flag}, version=version)))
        path.with_suffix(".new").replace(path)

    versions, wrong = iter(range(1, 10**9)), []
    write(next(versions))
    live = LiveFlags(FileSource(path), kill=KillFile(str(directory / "kill")), refresh_seconds=0.05)

    def run(every: float | None) -> float:
        ends, asked = threading.Event(), [0] * THREADS

        def work(number: int) -> None:
            while not ends.is_set():
                for unit in range(200):
                    decision = live.decide(KEY, unit)
                    if decision.value is not (decision.version % 2 == 1):
                        wrong.append(decision)
                asked[number] += 200

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        while time.perf_counter() - begun < SECONDS:
            time.sleep(every or SECONDS)
            if every is not None:
                write(next(versions))
        ends.set()
        for thread in threads:
            thread.join()
        return sum(asked) / (time.perf_counter() - begun)

    figures = interleave({"still": lambda: run(None), "reloaded": lambda: run(0.1)})
    held = report(
        f"{THREADS} threads, the file replaced every 100 ms",
        figures,
        unit="per s",
        baseline="still",
        targets=(Target(case="reloaded", peer="still", least=0.9),),
    )
    print(f"{'MISS' if wrong else 'ok  '} wrong answers: {len(wrong)}")
    return held and not wrong


def main() -> int:
    with tempfile.TemporaryDirectory() as directory, flag_peers.quiet():
        results = [step(Path(directory)) for step in (evaluating, loading, reloading)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
