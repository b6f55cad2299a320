"""Flags from a mapping."""

from __future__ import annotations

import pytest

from rollout.flags import FlagKey
from rollout.percentage import Percentage
from rollout.snapshot import SourceStatus
from rollout.sources.memory import MappingSource

KEY = FlagKey("tournament-webhooks")


def test_a_mapping_is_read_once() -> None:
    """Changing it afterwards changes nothing: `replace` does."""
    flags = {KEY: {"percentage": "5"}}
    source = MappingSource(flags, version=3, origin="ROLLOUT['FLAGS']")

    flags[KEY]["percentage"] = "100"
    snapshot = source.snapshot()

    assert snapshot.flags[KEY].percentage == Percentage.parse(5)
    assert (snapshot.version, snapshot.origin) == (3, "ROLLOUT['FLAGS']")
    assert source.replace(flags, version=4).flags[KEY].percentage == Percentage.parse(100)


@pytest.mark.parametrize(
    "flags", [None, [], {KEY: {"percentage": 0.5}}, {KEY: None}, {"": {}}, {5: {}}], ids=ascii
)
def test_a_bad_mapping_never_raises(flags: object) -> None:
    """A bad setting closes the gate at run time and never stops the process."""
    snapshot = MappingSource(flags).snapshot()  # type: ignore[arg-type]

    assert (snapshot.status, snapshot.flags) == (SourceStatus.ERROR, {})
    assert str(snapshot.problem).startswith("settings: flags")
