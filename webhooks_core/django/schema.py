"""Whether the outbox's tables are those that this code needs: not there yet, or older than it.

Asked of an error that a statement has met, so that the fast path asks nothing; or of the database, before a
worker starts and in a system check. Invariant: nothing here writes. What to do about it is in
docs/how-to/upgrade.md.
"""

from __future__ import annotations

from django.db import Error

from webhooks_core.django.models import Delivery

REMEDY = "tables missing or older than the code, run: manage.py migrate webhooks"

_OURS = "webhooks_"  # what the names of our tables begin with
_POSTGRES = ("42P01", "42703")  # undefined_table, undefined_column
_SQLITE = ("no such table", "no such column", "has no column named")


def is_behind(error: BaseException) -> bool:
    """Return whether *error* of a database says that a table or a column of ours is not there."""
    if not isinstance(error, Error) or _OURS not in str(error):
        return False
    state: object = getattr(error.__cause__, "sqlstate", None)
    return state in _POSTGRES or any(words in str(error) for words in _SQLITE)


def look(alias: str) -> None:
    """Name every column of a delivery in one query that finds nothing.

    Raises:
        django.db.Error: One is not there. A database that is merely away is no error here.
    """
    try:
        Delivery.objects.using(alias).filter(pk=-1).first()
    except Error as error:
        if is_behind(error):
            raise
