"""Listeners: each turns facts into one kind of thing. `log` writes the lines of docs/reference/log-lines.md.

Nothing is imported here; name the observer you want. `webhooks_core.events.fan_out` joins several into one.
"""

from __future__ import annotations
