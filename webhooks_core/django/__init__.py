"""The Django app that sends: settings, checks, wiring and commands."""

from __future__ import annotations
