"""The pytest plugin (loaded by itself once the package is installed): flags on or off for one test.

Import-light on purpose: it is loaded in every pytest run, and before coverage starts. Explained in
docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest


class FlagOverride(Protocol):
    """What the fixture `flag_override` is."""

    def __call__(self, key: str, *, on: bool) -> None:
        """Answer on or off for one flag until the test ends; the last word on a flag counts."""
        ...


@pytest.fixture
def flag_override() -> Iterator[FlagOverride]:
    """Put flags on or off for this test: `flag_override("tournament-webhooks", on=True)`."""
    from rollout.testing.override import override_flag

    with ExitStack() as overrides:

        def override(key: str, *, on: bool) -> None:
            overrides.enter_context(override_flag(key, on=on))

        yield override
