"""A project with a plan of three stages, for the tests of its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rollout.django import driving
from rollout.rollout_state import RolloutState
from tests.integration.django.project import project
from webhooks_core.testing.captured import real_delivery

ONCE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True, scope="module")
"""For what no database has a part in."""
STAGES = [
    {"percentage": "5", "bake": "1h", "rate_per_second": 2},
    {"percentage": "25", "bake": "1h", "approval": True},
    {"percentage": "100", "bake": "1h"},
]
TWELVE = f"{__name__}.twelve"


def twelve() -> list[int]:
    """The units of a small project; none of them is in at 5 %."""
    return [number for number in range(1_000) if not _is_early(number)][:12]


def _is_early(number: int) -> bool:
    from rollout.bucketing import position

    return position("tournament-webhooks", str(number)) * 20 < 2**64


@pytest.fixture
def staged(alias: str, tmp_path: Path) -> Any:
    """A project with a plan of three stages; nothing of it is ever sent."""
    values = project(
        WEBHOOKS={"ENGINE": "worker", "DATABASE": alias},
        ROLLOUT={"PLAN": {"stages": STAGES}, "DATABASE": alias, "KILL_FILE": str(tmp_path / "kill")},
    )
    with override_settings(**values), real_delivery():
        yield values


def state() -> RolloutState:
    """Where the rollout stands."""
    return driving.store().load(driving.driving().flag)
