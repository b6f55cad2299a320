"""One claimed row, from what is stored to its settlement: `Attempter.settlement` never raises.

The part of a worker that runs in its threads; it shares no bookkeeping. Invariants: a row that can never be
sent (damaged, no such endpoint, no usable secret) is held with its reason, and the worker goes on; what may
pass by itself waits; a machine whose clock is too far off signs nothing. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from webhooks_core.delivery import ASK_AGAIN_SECONDS, Sender
from webhooks_core.endpoint import Endpoint, EndpointId
from webhooks_core.errors import WebhookError
from webhooks_core.outbox.base import Claimed
from webhooks_core.settlement import Delivery, Settlement, Waiting
from webhooks_core.worker.sendable import problem_of

BROKEN_SECONDS = 60.0  # an attempt that broke inside our own code: not at once again
BROKEN_CLAIMS = 10  # after so many claims a person should look; a receiver must not be sent to for ever
WAIT_SECONDS = 60.0  # a person, or another worker's probe, may close a breaker long before it said


class Attempter:
    """Make settlements of claims.

    Args:
        sender: Makes the attempts, and tells what is held or waits here.
        endpoints: By id; looking one up may raise where its secret cannot be had.
        max_off_seconds: A clock further off than this does not sign.
    """

    def __init__(
        self, sender: Sender, endpoints: Mapping[EndpointId, Endpoint], *, max_off_seconds: float
    ) -> None:
        self._sender = sender
        self._endpoints = endpoints
        self._max_off_seconds = max_off_seconds

    def settlement(self, claimed: Claimed, *, clock_off: float) -> Settlement:
        """Attempt what was claimed, where it can be, and return what came of it.

        Args:
            claimed: The row.
            clock_off: The store's clock minus the sender's, seconds.
        """
        delivery = claimed.delivery
        problem = claimed.problem or problem_of(delivery)
        if problem:
            return self._sender.held(delivery, reason=problem)
        if abs(clock_off) > self._max_off_seconds:
            return self._waiting(delivery, f"clock is {clock_off:.0f} s off the store's", ASK_AGAIN_SECONDS)
        try:
            endpoint = self._endpoints[delivery.endpoint_id]
        except KeyError:
            return self._sender.held(delivery, reason="endpoint is not configured")
        except WebhookError as error:
            return self._sender.held(delivery, reason=f"endpoint cannot be used: {error}")
        except Exception as error:  # noqa: BLE001 - told as the reason; a provider may be away for a while
            kind = type(error).__name__
            return self._waiting(delivery, f"endpoint unavailable: {kind}", ASK_AGAIN_SECONDS)
        return self._attempted(claimed, endpoint)

    def _attempted(self, claimed: Claimed, endpoint: Endpoint) -> Settlement:
        delivery = claimed.delivery
        try:
            settlement = self._sender.attempt(delivery, endpoint)
        except WebhookError as error:
            return self._sender.held(delivery, reason=f"cannot be sent: {error}")
        except Exception as error:  # noqa: BLE001 - told as the reason; one broken row must not stop the others
            reason = f"attempt broke with {type(error).__name__}"
            delivery = replace(delivery, sent_before=True)  # how far it came, nobody knows
            if claimed.claims >= BROKEN_CLAIMS:
                return self._sender.held(delivery, reason=reason)
            return self._waiting(delivery, reason, BROKEN_SECONDS)
        if isinstance(settlement, Waiting):
            most = self._sender.clock() + WAIT_SECONDS
            return replace(settlement, retry_at=min(settlement.retry_at, most))
        return settlement

    def _waiting(self, delivery: Delivery, reason: str, seconds: float) -> Settlement:
        return self._sender.waiting(delivery, reason=reason, retry_at=self._sender.clock() + seconds)
