"""Whether Django's test environment is set up, and what it has put aside.

`setup_test_environment` turns DEBUG off and keeps what it has to put back in a place of its own; that place
is how we know. Not asked: `mail.outbox`, which a project that keeps its e-mail in memory has outside tests
too. Invariant: nothing of `django.test` is loaded here. Explained in
docs/how-to/test-code-that-sends-webhooks.md.
"""

from __future__ import annotations

import sys


def is_set_up() -> bool:
    """Return whether a test runner has set the test environment up."""
    return _put_aside() is not None


def was_debug() -> bool:
    """Return whether the project is in DEBUG when it is not tested: the runner has turned that off."""
    return getattr(_put_aside(), "debug", False) is True


def _put_aside() -> object:
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return getattr(state, "saved_data", None)
