"""Who listens to the facts of `rollout.events`: one file a kind. Import the one you need; nothing here is loaded unasked."""

from __future__ import annotations
