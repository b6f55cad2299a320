"""The port `Engine`: what takes a delivery as far as it gets.

What must not be here: how. Invariant: `deliver` returns the last settlement and raises for nothing that a
receiver, a network or a flag does. Explained in docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations

from typing import Protocol

from webhooks_core.delivery import Delivery, Settlement
from webhooks_core.endpoint import Endpoint


class Engine(Protocol):
    """Take a delivery as far as it gets."""

    def deliver(self, delivery: Delivery, endpoint: Endpoint) -> Settlement:
        """Attempt *delivery* until it has arrived, is given up, held or has to wait for something else."""
        ...
