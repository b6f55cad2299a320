"""One question to another OpenFeature provider, put so that a sender can put it again.

A delivery's row keeps the unit and nothing else: neither the attributes of the call nor what a request has
put into OpenFeature's transaction context. The invariants: no attribute takes the place of the unit, nor of
what is fixed; a sender asks by the unit alone, outside of any transaction; and who is let in with more than
that is asked about once more, so that is known whether the unit alone would do. Explained in
docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider

__all__ = ["Said", "put"]


class Said(NamedTuple):
    """What the other side said.

    Args:
        details: Its answer; nothing in it is believed yet.
        status: What the SDK says of the provider, before it was asked.
        by_attributes: It lets the unit in, and would not for the unit alone.
    """

    details: FlagEvaluationDetails[bool]
    status: ProviderStatus
    by_attributes: bool


def put(
    client: OpenFeatureClient,
    flag: str,
    alone: EvaluationContext,
    more: Mapping[str, EvaluationContextAttribute] | None,
) -> Said:
    """Ask *client* about *flag*. Raises whatever a provider, a hook or a propagator does.

    Args:
        flag: The flag's name there.
        alone: The unit, with what goes along with every question.
        more: What the call brings along; None: ask by the unit alone, whatever the transaction holds.
    """
    status = client.get_provider_status()
    if isinstance(client.provider, NoOpProvider):
        status = ProviderStatus.NOT_READY  # nobody has set one: the SDK would answer our own default
    own = alone.attributes
    if more is None or own.keys() >= {*api.get_transaction_context().attributes, *more}:
        return Said(_by_unit(client, flag, alone), status, by_attributes=False)
    whole = EvaluationContext(alone.targeting_key, {**more, **own})
    details = client.get_boolean_details(flag, False, whole)  # noqa: FBT003 (the SDK's signature)
    is_in: object = details.value
    by_attributes = is_in is True and _by_unit(client, flag, alone).value is not True
    return Said(details, status, by_attributes=by_attributes)


def _by_unit(client: OpenFeatureClient, flag: str, alone: EvaluationContext) -> FlagEvaluationDetails[bool]:
    """Ask with the transaction context put away, and back: a project's propagator may keep it anywhere."""
    before = api.get_transaction_context()
    if not before.attributes:  # its key does not count: ours takes its place
        return client.get_boolean_details(flag, False, alone)  # noqa: FBT003 (the SDK's signature)
    api.set_transaction_context(EvaluationContext())
    try:
        return client.get_boolean_details(flag, False, alone)  # noqa: FBT003 (the same)
    finally:
        api.set_transaction_context(before)
