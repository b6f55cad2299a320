"""Whom a flag is asked for through openfeature-sdk: one evaluation context, or a block's.

Made so that a blank unit stays blank: the SDK fills one in from elsewhere. The invariant: what is asked for
is the unit that was named here, or an error. Users import both names from `rollout.openfeature`. Explained in
docs/how-to/use-openfeature.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from rollout.context import unit_text

__all__ = ["context", "transaction"]


class _Key(str):
    """A targeting key that counts as one even where it is blank: the SDK takes a blank one from elsewhere."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


def context(unit: object, **attributes: object) -> EvaluationContext:
    """Return an evaluation context for *unit* whose blank key stays blank, and so becomes an error.

    `EvaluationContext("")` is merged by the SDK as if it had no key: the one of the client, the transaction
    or the whole process takes its place, which is somebody else's.

    Args:
        unit: An integer, a text or a UUID.
        attributes: What rules may ask about.

    Raises:
        InvalidContext: *unit* is neither of these. A missing or blank one is told at the evaluation.
    """
    text = "" if unit is None or unit == "" else unit_text(unit, flag="any flag")
    return EvaluationContext(_Key(text), cast("dict[str, str]", attributes))


@contextmanager
def transaction(unit: object, **attributes: object) -> Iterator[None]:
    """Make *unit* the transaction's for a block: every question inside that names no unit asks for it.

    Afterwards is in force what was before. The SDK's own `set_transaction_context` stays, and in a worker of
    Celery the next task of the same thread would be asked for this one's unit. It needs a propagator:
    `api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())`, once a process.

    Args:
        unit: An integer, a text or a UUID; a blank one stays blank, and so becomes an error.
        attributes: What rules may ask about.

    Raises:
        InvalidContext: *unit* is neither of these.
    """
    before = api.get_transaction_context()
    api.set_transaction_context(context(unit, **attributes))
    try:
        yield
    finally:
        api.set_transaction_context(before)
