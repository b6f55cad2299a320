"""Who listens to the facts of `rollout.events`: one file a kind.

Import the one you need; nothing here is loaded unasked. Explained in docs/how-to/change-a-percentage.md.
"""

from __future__ import annotations
