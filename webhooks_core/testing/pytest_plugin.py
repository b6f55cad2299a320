"""The pytest plugin: an empty outbox for each test."""

from __future__ import annotations
