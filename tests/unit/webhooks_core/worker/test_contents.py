"""The contents page of `webhooks_core.worker`."""

from __future__ import annotations

import pytest

import webhooks_core.worker as package


def test_every_name_on_the_page_is_there() -> None:
    """Sorted, and each from its own module."""
    assert package.__all__ == ["Claiming", "Phase", "Worker", "WorkerPolicy", "WorkerStatus"]
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_another_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Foreman'"):
        package.__getattr__("Foreman")
