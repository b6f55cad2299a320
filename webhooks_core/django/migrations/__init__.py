"""Migrations of the app `webhooks`; within a major version they only expand the schema."""

from __future__ import annotations
