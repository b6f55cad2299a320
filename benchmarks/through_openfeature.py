"""Our provider under `client.get_boolean_value`, beside the SDK's own two and four others that decide.

Every provider is asked in the same way, through a client of its domain, with a fresh targeting key each
time. The no-op provider decides nothing: it is what the SDK itself costs. The in-memory provider returns a
constant. flagd runs in file mode and LaunchDarkly over a file, with their own OpenFeature providers;
GrowthBook and Unleash stand behind the fewest lines that make a provider of their call.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flag_peers
from evaluate import each_unit
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.provider.no_op_provider import NoOpProvider
from rounds import Target, interleave, report

from rollout import FileSource, Flag, FlagKey, KillFile, LiveFlags, Percentage
from rollout.openfeature import RolloutProvider
from rollout.remote import Remote, RemoteFlags
from rollout.sources.dump import FlagSet, dumps

KEY = FlagKey(flag_peers.FLAG)
UNITS = 5_000
DECIDING = ("flagd (file)", "launchdarkly (file)", "growthbook", "unleash")


class Around(NoOpProvider):
    """A provider around one call of a library that has none."""

    def __init__(self, ask: flag_peers.Ask) -> None:
        super().__init__()
        self._ask = ask

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        key: Any = None if evaluation_context is None else evaluation_context.targeting_key
        return FlagResolutionDetails(bool(self._ask(key)))


def ours(directory: Path) -> LiveFlags:
    """Flags with everything that production has."""
    path = directory / "flags.json"
    flag = Flag(key=KEY, percentage=Percentage.parse(flag_peers.PERCENT))
    path.write_text(dumps(FlagSet(flags={KEY: flag}, version=1)))
    ceiling = Percentage.parse(75)
    return LiveFlags(
        FileSource(path),
        kill=KillFile(str(directory / "kill")),
        master=lambda: True,
        ceilings=lambda: {KEY: ceiling},
    )


def providers(directory: Path) -> dict[str, AbstractProvider]:
    """Each provider that is measured, by name."""
    from ld_openfeature import LaunchDarklyProvider

    flagd = directory / "flagd.json"
    flagd.write_text(json.dumps(flag_peers.flagd_flags()))
    constant = InMemoryFlag("on", {"on": True, "off": False})
    return {
        "no-op": NoOpProvider(),
        "rollout": RolloutProvider(ours(directory)),
        "in-memory (a constant)": InMemoryProvider({KEY: constant}),
        "flagd (file)": FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=str(flagd), deadline_ms=60_000
        ),
        "launchdarkly (file)": LaunchDarklyProvider(
            flag_peers.launchdarkly_config(directory / "launchdarkly.json")
        ),
        "growthbook": Around(flag_peers.growthbook()),
        "unleash": Around(flag_peers.unleash(directory)),
    }


def asking(name: str) -> Callable[[int], object]:
    """Ask the client of a domain for one unit."""
    client = api.get_client(name)
    return lambda unit: client.get_boolean_value(KEY, False, EvaluationContext(str(unit)))


def through_the_client(directory: Path) -> bool:
    made = providers(directory)
    for name, provider in made.items():
        api.set_provider_and_wait(provider, name)
    for name in made:
        if name not in ("no-op", "in-memory (a constant)"):
            share = sum(bool(asking(name)(unit)) for unit in range(1_000)) / 10
            assert 40 <= share <= 60, (name, share)  # a benchmark of answers that are errors says nothing
    figures = interleave({name: each_unit(asking(name), UNITS) for name in made})
    return report(
        "client.get_boolean_value, one flag at 50 %, distinct units",
        figures,
        unit="ns",
        baseline="no-op",
        targets=(
            Target(case="rollout", peer="no-op", most=1.3),
            *(Target(case=name, peer="rollout", least=1.0) for name in DECIDING),
        ),
    )


def the_gate(directory: Path) -> bool:
    """What our gate adds to another provider: asked on the calling thread, and with a time-out."""
    live = ours(directory)
    api.set_provider_and_wait(RolloutProvider(live), "behind")

    def gate(timeout: float | None) -> Callable[[int], object]:
        remote = Remote(flags={KEY: KEY}, domain="behind", timeout_seconds=timeout)
        flags = RemoteFlags(remote, kill=KillFile(str(directory / "kill")))
        return lambda unit: flags.decide(KEY, unit)

    figures = interleave(
        {
            "client": each_unit(asking("behind"), UNITS),
            "gate, no time-out": each_unit(gate(None), UNITS),
            "gate, 100 ms": each_unit(gate(0.1), UNITS),
        }
    )
    return report("A gate over another provider", figures, unit="ns", baseline="client")


def main() -> int:
    with tempfile.TemporaryDirectory() as directory, flag_peers.quiet():
        results = [through_the_client(Path(directory)), the_gate(Path(directory))]
        api.shutdown()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
