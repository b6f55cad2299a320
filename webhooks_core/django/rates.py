"""How fast each endpoint may be sent to: the settings' cap and the stage's, of which the lower rules.

Workers ask `rate_of` at each claim. `set_stage_rate` is for who has no plan: where one drives the rollout,
each pass of its runner puts the stage's own cap back, or lifts what is there.
Invariant: a cap that was set is in force in every worker within a second, for what it claims from then on.
Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from webhooks_core.django import conf, wiring
from webhooks_core.django.stores.rates import DatabaseRateStore
from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import RatePolicy, lowest
from webhooks_core.stores.rates import StageCap
from webhooks_core.worker.claiming import RateOf


def rate_of(found: conf.WebhookSettings, stage: StageCap) -> RateOf:
    """Return what says the rate of an endpoint at this moment, by the settings *found* and the *stage*."""
    own = {name: endpoint.rate for name, endpoint in found.endpoints.items()}

    def of(endpoint_id: EndpointId) -> RatePolicy | None:
        return lowest(own.get(endpoint_id), stage.stage_rate())

    return of


def set_stage_rate(per_second: float | None) -> None:
    """Cap every endpoint of this environment at *per_second* attempts; None lifts the cap.

    It is written in the caller's transaction where one is open on the outbox's database.

    Raises:
        ConfigError: It is no cap: not above 0, or beyond 100,000.
    """
    outbox = wiring.outbox(conf.current())
    DatabaseRateStore(outbox.database, environment=outbox.environment).set_stage_rate(per_second)
