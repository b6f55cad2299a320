"""The contents page of the package: what it names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import webhooks_core


def test_the_public_names_are_these_and_sorted() -> None:
    """Adding or removing a public name is a visible act."""
    assert webhooks_core.__all__ == [
        "BreakerPolicy",
        "CircuitBreaker",
        "ConfigError",
        "Delivery",
        "Endpoint",
        "Envelope",
        "EnvelopeError",
        "EventFields",
        "InlineEngine",
        "KeyRing",
        "MemoryBreakerStore",
        "MemoryReplayStore",
        "Outcome",
        "Receiver",
        "RetryPolicy",
        "Scheme",
        "Secret",
        "Sender",
        "Signer",
        "VerificationError",
        "Verified",
        "Verifier",
        "WebhookError",
        "seal",
    ]


@pytest.mark.parametrize("name", webhooks_core.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    """Each name leads to a thing of the package with a docstring of its own."""
    thing = getattr(webhooks_core, name)

    assert thing.__module__.startswith("webhooks_core.")
    assert thing.__doc__


def test_a_name_that_is_not_public_is_told_as_any_other() -> None:
    """The lazy page raises the error that Python itself would."""
    with pytest.raises(AttributeError, match="module 'webhooks_core' has no attribute 'Sendr'"):
        _ = webhooks_core.Sendr


def test_dir_lists_the_public_names() -> None:
    """Completion in a shell shows the contents page."""
    assert set(webhooks_core.__all__) <= set(dir(webhooks_core))


def test_importing_the_page_loads_no_module_of_the_package() -> None:
    """`import webhooks_core` reads the page and nothing behind it."""
    code = "import sys, webhooks_core; print([m for m in sys.modules if m.startswith('webhooks_core.')])"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"
