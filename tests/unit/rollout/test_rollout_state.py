"""Where a rollout stands, in words; what it may be is the controller's and the journal's question."""

from __future__ import annotations

import pytest

from rollout.rollout_state import State
from tests.unit.rollout.rollout_world import Driven


@pytest.mark.parametrize(
    ("state", "stage", "ceiling"),
    [
        pytest.param(State.NOT_STARTED, "", "no ceiling", id="not-started"),
        pytest.param(State.RUNNING, "1 of 4", "5 %", id="running"),
        pytest.param(State.COMPLETED, "1 of 1", "5 %", id="completed"),
        pytest.param(State.ROLLED_BACK, "", "0 %", id="rolled-back"),
    ],
)
def test_a_state_names_its_stage_and_its_ceiling(state: State, stage: str, ceiling: str) -> None:
    """Before the first start there is neither; after a rollback nobody is let in, and there is no stage."""
    found = Driven().at(state).state

    assert (found.stage_text, found.ceiling_text) == (stage, ceiling)
