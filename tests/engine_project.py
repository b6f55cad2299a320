"""Settings and parts of a project whose engine is under test: in this process by override, in a worker's by
environment. One endpoint for each case of the suite, all of them one scripted receiver.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from webhooks_core.delivery import Delivery, Permit, PermitVerdict
from webhooks_core.testing.contracts.engines import CASES, EVENT, RETRY

PATHS = (*(case.name for case in CASES), "marker")


def settings(*, engine: str, environment: str, port: int, database: str = "default") -> dict[str, Any]:
    """Return the settings of sending to the receiver on *port*."""
    return {
        "WEBHOOK_TIMEOUT": 20,
        "WEBHOOK_MAX_RETRIES": RETRY.max_attempts,
        "WEBHOOKS": {
            "ENVIRONMENT": environment,
            "ENGINE": engine,
            "ALLOW_HTTP": True,
            "ALLOW_NETWORKS": [f"127.0.0.1/32:{port}"],
            "EVENTS": {EVENT: {"tournament_id": "integer"}},
            "ENDPOINTS": {
                path: {"URL": f"http://127.0.0.1:{port}/{path}", "SECRET": secret(path)} for path in PATHS
            },
            "RETRY_BASE_SECONDS": RETRY.base_seconds,
            "SEND_PERMIT": "tests.engine_project.permit",
            "DATABASE": database,
        },
    }


def secret(endpoint: str) -> str:
    """Return the secret of one endpoint."""
    return sha256(endpoint.encode()).hexdigest()


def permit(delivery: Delivery) -> Permit:
    """Say what the case of the delivery's endpoint says."""
    verdicts = {case.name: case.verdict for case in CASES}
    verdict = verdicts.get(delivery.endpoint_id, PermitVerdict.SEND)
    return Permit(verdict=verdict, reason=f"the test says {verdict}")
