"""Deliveries between their event and their end: `base` has the states and the port, `memory` one outbox.

Nothing is imported here; name the module you want. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations
