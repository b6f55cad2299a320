"""Management commands; Django finds them by this path. They are listed in docs/reference/commands.md."""

from __future__ import annotations
