"""How deliveries leave the caller: as rows in its transaction, or by the engine once it has committed.

Invariants: with an outbox there is one INSERT in the caller's transaction and nothing else on its path; an
engine that wants to be told of the rows is told once they are committed; a transaction on another database
than the outbox's is refused, because the two could not commit together; without an outbox, nothing is sent
before the commit. Explained in docs/explanation/architecture.md, "The way of an
event".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from django.db import connections, transaction

from webhooks_core import event_loop
from webhooks_core.delivery import Delivery
from webhooks_core.django import hinting
from webhooks_core.django import wiring as webhooks
from webhooks_core.errors import ConfigError
from webhooks_core.per_process import PerProcess

if TYPE_CHECKING:
    from webhooks_core.django.outbox import DjangoOutbox, Entry

Failed = Callable[[str, Exception], None]

# Django refuses its database inside a running event loop, where it has no transactions either: a thread
# writes the row, and the loop waits for that one INSERT.
_writer = PerProcess(lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="webhooks-writer"))


def keep(outbox: DjangoOutbox, entries: Sequence[Entry], *, using: str) -> None:
    """Write *entries* into *outbox*, in the caller's transaction on *using*, and have the engine told of it.

    Raises:
        ConfigError: *using* is another database than the outbox's.
    """
    if using != outbox.database.alias:
        raise ConfigError("using", f"is {using} and the outbox is on {outbox.database.alias}")
    in_loop = event_loop.is_running()
    if in_loop:
        _writer().submit(_kept_and_closed, outbox, entries).result()
    else:
        outbox.add_many(entries)
    hint = hinting.wanted()
    if hint is None:
        return
    webhook_ids = [entry.delivery.webhook_id for entry in entries]
    if in_loop:
        hint(webhook_ids)
    elif connections[using].in_atomic_block or _autocommits(using):
        transaction.on_commit(partial(hint, webhook_ids), using=using, robust=True)


def after_commit(
    sending: webhooks.Sending, deliveries: Sequence[Delivery], *, using: str, failed: Failed
) -> None:
    """Hand *deliveries* to the engine once the transaction on *using* has committed; at once without one.

    No connection is opened to find out: one that was never opened is in no transaction. In a running event
    loop, where Django has no transactions, a thread does it, so that the loop never waits for a receiver.
    """

    def run() -> None:
        for delivery in deliveries:
            try:
                sending.deliver(delivery)
            except Exception as error:  # noqa: BLE001 - the caller's request goes on; the failure is logged
                failed(delivery.event, error)

    if connections[using].in_atomic_block or not _autocommits(using):
        transaction.on_commit(run, using=using, robust=True)
    elif event_loop.is_running():
        asyncio.get_running_loop().run_in_executor(None, copy_context().run, run)
    else:
        run()


def _autocommits(using: str) -> bool:
    """Return whether Django manages transactions; where the caller does, Django tells of no commit."""
    connection = connections[using]
    is_open = connection.connection is not None
    return bool(connection.autocommit if is_open else connection.settings_dict.get("AUTOCOMMIT", True))


def _kept_and_closed(outbox: DjangoOutbox, entries: Sequence[Entry]) -> None:
    try:
        outbox.add_many(entries)
    finally:
        outbox.database.connection.close()
