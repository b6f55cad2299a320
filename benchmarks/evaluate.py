"""One percentage flag asked for distinct units: ours beside the obvious three lines and growthbook.

Ours is the whole way a gate goes: a flag file, a kill file looked at once an interval, a master switch
called each time, a ceiling, the check of the unit's type, no observer. The three lines are what one writes
by hand: look the flag
up, hash, compare. growthbook is used as its manual shows it for a server: an instance made for each unit,
which is what the target is against; and, cheaper but not to be shared by threads, one whose attributes are
set anew. Then: loading 10,000 flags from a JSON file, its time and its memory.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from growthbook import GrowthBook
from rounds import Target, interleave, report

from rollout import FileSource, Flag, FlagKey, Gate, KillFile, LiveFlags, Percentage
from rollout.sources.dump import FlagSet, dumps

UNITS = 20_000
PEER_UNITS = 2_000
FLAGS = 10_000
MOST_SECONDS = 0.3
MOST_MEBIBYTES = 15.0
KEY = FlagKey("tournament-webhooks")

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
    flags = {KEY: (str(KEY), Percentage.parse(5).threshold)}

    def is_on(unit: int) -> bool:
        salt, threshold = flags[KEY]
        digest = hashlib.sha256(f"{salt}:{unit}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < threshold

    return is_on


def growthbook() -> tuple[Callable[[int], bool], Callable[[int], bool]]:
    """Growthbook with an instance for each unit, and with one for all."""
    features = {
        KEY: {"defaultValue": False, "rules": [{"force": True, "coverage": 0.05, "hashAttribute": "id"}]}
    }
    shared = GrowthBook(features=features)

    def anew(unit: int) -> bool:
        return bool(GrowthBook(attributes={"id": str(unit)}, features=features).is_on(KEY))

    def again(unit: int) -> bool:
        shared.set_attributes({"id": str(unit)})
        return bool(shared.is_on(KEY))

    return anew, again


def gate_of(directory: Path) -> Gate:
    """Return a gate with everything that production has."""
    path = directory / "flags.json"
    flag = Flag(key=KEY, percentage=Percentage.parse(5))
    path.write_text(dumps(FlagSet(flags={KEY: flag}, version=1)))
    switch = {"on": True}
    live = LiveFlags(
        FileSource(path),
        kill=KillFile(str(directory / "kill")),
        master=lambda: switch["on"],
        ceilings=lambda: {KEY: Percentage.parse(50)},
    )
    return Gate(KEY, live)


def check(gate: Gate, by_hand: Callable[[int], bool]) -> None:
    """Stop where they do not agree: a benchmark of different answers says nothing."""
    for unit in range(10_000):
        assert by_hand(unit) is gate.is_open(unit) is gate(unit).value


def evaluating(directory: Path) -> bool:
    gate, by_hand = gate_of(directory), three_lines()
    check(gate, by_hand)
    anew, again = growthbook()
    figures = interleave(
        {
            "three lines": each_unit(by_hand, UNITS),
            "Gate.is_open": each_unit(gate.is_open, UNITS),
            "Gate (Decision)": each_unit(gate, UNITS),
            "growthbook, one for all": each_unit(again, PEER_UNITS),
            "growthbook, one a unit": each_unit(anew, PEER_UNITS),
        }
    )
    return report(
        "One percentage flag, distinct units",
        figures,
        unit="ns",
        baseline="three lines",
        targets=(
            Target(case="Gate.is_open", peer="three lines", most=1.1),
            Target(case="Gate (Decision)", peer="three lines", most=2.0),
            Target(case="growthbook, one a unit", peer="Gate.is_open", least=10.0),
        ),
    )


def keys() -> Iterator[FlagKey]:
    return (FlagKey(f"flag-{number:05d}") for number in range(FLAGS))


def loading(directory: Path) -> bool:
    path = directory / "many.json"
    flags = {key: Flag(key=key, percentage=Percentage.parse(n % 101)) for n, key in enumerate(keys())}
    path.write_text(dumps(FlagSet(flags=flags, version=1)))
    del flags

    def load() -> float:
        source = FileSource(path)
        begun = time.perf_counter()
        assert len(source.snapshot().flags) == FLAGS
        return (time.perf_counter() - begun) * 1e3

    figures = interleave({"FileSource": load})
    report(f"Loading {FLAGS:,} flags from JSON", figures, unit="ms", baseline="FileSource")
    milliseconds = sorted(figures["FileSource"])[len(figures["FileSource"]) // 2]
    tracemalloc.start()
    source = FileSource(path)
    source.snapshot()
    kept, peak = (size / 2**20 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    fast, small = milliseconds <= MOST_SECONDS * 1e3, peak <= MOST_MEBIBYTES
    print(f"{'ok  ' if fast else 'MISS'} time <= {MOST_SECONDS} s: {milliseconds / 1e3:.3f} s")
    print(
        f"{'ok  ' if small else 'MISS'} memory <= {MOST_MEBIBYTES} MiB: peak {peak:.1f}, kept {kept:.1f} MiB"
    )
    return fast and small


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        results = [evaluating(Path(directory)), loading(Path(directory))]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
