"""Where flags come from: one file a kind, each named after what it reads, and the port of all (`base`).

Import the module you need; this package loads none of them. Explained in docs/reference/flag-file.md.
"""

from __future__ import annotations
