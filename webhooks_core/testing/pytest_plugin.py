"""The pytest plugin (loaded by itself once the package is installed): an empty webhook outbox for each test.

Import-light on purpose: it is loaded in every pytest run, also where there is no Django, and before
coverage starts. It touches nothing that the tests have not imported themselves. Explained in
docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from webhooks_core.testing.captured import Outbox


def _clear() -> None:
    captured = sys.modules.get("webhooks_core.testing.captured")
    if captured is not None:
        captured.outbox.clear()


@pytest.fixture(autouse=True)
def _empty_webhook_outbox() -> Iterator[None]:
    """Begin and end each test with an empty outbox."""
    _clear()
    yield
    _clear()


@pytest.fixture
def webhook_outbox() -> Outbox:
    """What `dispatch` would have sent in this test: the twin of pytest-django's `mailoutbox`."""
    from webhooks_core.testing.captured import outbox

    return outbox
