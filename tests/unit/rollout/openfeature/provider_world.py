"""A provider over flags in memory, asked without the SDK's client around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollout import Controls, KillFile, LiveFlags, MappingSource
from rollout.controls import KillState
from rollout.openfeature import RolloutProvider
from rollout.sources.base import FlagSource

NEVER = str(Path("/nonexistent/rollout/kill"))


class Switch:
    """A kill switch that a test pulls."""

    def __init__(self) -> None:
        self.killed = False

    def state(self) -> KillState:
        """Say whether it was pulled."""
        return KillState(killed=self.killed, why="pulled" if self.killed else "")


def live(flags: Mapping[str, Any], *, version: int = 0, **options: Any) -> LiveFlags:
    """Flags in memory, read at each question, with a kill file that is not there."""
    return over(MappingSource(flags, version=version), **options)


def over(source: FlagSource, **options: Any) -> LiveFlags:
    """The same over a source that a test changes."""
    given: dict[str, Any] = {"kill": KillFile(NEVER), "refresh_seconds": 0} | options
    return LiveFlags(source, **given)


def provider(flags: Mapping[str, Any], **options: Any) -> RolloutProvider:
    """Our provider over them."""
    return RolloutProvider(live(flags, **options))


__all__ = ["NEVER", "Controls", "Switch", "live", "over", "provider"]
