"""Both ways of OpenFeature: our flags for its clients, and another provider for our gate."""

from __future__ import annotations

from typing import assert_type

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.track import TrackingEventDetails

from rollout import Decision, FlagKey, Gate, KillFile, LiveFlags, MappingSource, Percentage
from rollout.openfeature import RolloutProvider, context, transaction
from rollout.remote import Remote, RemoteFlags

KEY = FlagKey("tournament-webhooks")


def track(name: str, where: EvaluationContext | None, details: TrackingEventDetails | None) -> None:
    """Hear of tracking."""


provider = RolloutProvider(LiveFlags(MappingSource({"banner": {"percentage": 5}})), tracker=track)
api.set_provider_and_wait(provider)
assert_type(
    provider.resolve_boolean_details("banner", False, context(101, region="eu")), FlagResolutionDetails[bool]
)
assert_type(provider.resolve_string_details("banner", "", context("101")), FlagResolutionDetails[str])
assert_type(context(101), EvaluationContext)
with transaction(101) as nothing:
    assert_type(nothing, None)

remote = Remote(flags={KEY: "outbound"}, domain="webhooks", timeout_seconds=0.5, fixed={"kind": "tournament"})
flags = RemoteFlags(
    remote, kill=KillFile("/var/lib/rollout/kill"), ceilings=lambda: {KEY: Percentage.parse("5")}
)
assert_type(Gate(KEY, flags)(101), Decision)
assert_type(flags.is_on(KEY, 101), bool)
