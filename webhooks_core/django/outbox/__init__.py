"""The outbox on Django's database: `DjangoOutbox` for SQLite and PostgreSQL.

What belongs here: the port's steps as few short statements. What must not: what a settlement means
(`webhooks_core.outbox.states`) and who is next (`turns`). Invariant: both databases run the same text but
for the locks, so that what holds on one holds on the other. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from webhooks_core.django.outbox.entry import Entry
from webhooks_core.django.outbox.store import DjangoOutbox

__all__ = ["DjangoOutbox", "Entry"]
