"""Settings of a worker process whose deliveries a plan drives; the test says where things are."""

from __future__ import annotations

import os

from tests.integration.outbox.settings import *  # noqa: F403
from tests.integration.outbox.settings import WEBHOOKS as WORKER

NOTIFICATIONS_WEBHOOK_ENABLED = True
INSTALLED_APPS = ["rollout.django", "webhooks_core.django"]
WEBHOOKS = {**WORKER, "ENVIRONMENT": "test"}
ROLLOUT = {
    "FLAGS": {"tournament-webhooks": {"percentage": "100"}},
    "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]},
    "KILL_FILE": os.environ["TEST_KILL_FILE"],
}
# Nobody reads what a worker of a test writes, and a pipe that is full would stop it.
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"webhooks": {"level": "CRITICAL"}}}
