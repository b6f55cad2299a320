"""Migrations of the app `rollout`; within a major version they only expand the schema."""

from __future__ import annotations
