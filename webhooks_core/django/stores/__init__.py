"""Shared state in Django's database: breakers, rates, and the ids that receivers have seen.

Nothing is imported here; name the store you want. Each passes the suite of its port on SQLite and PostgreSQL.
Explained in docs/explanation/breaker.md and docs/explanation/security-model.md.
"""

from __future__ import annotations
