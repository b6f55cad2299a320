"""Settings of a process under test that drives or follows a rollout; the rest is said by environment."""

from __future__ import annotations

import json
import os

from tests.integration.outbox.settings import *  # noqa: F403 - the same, and more

INSTALLED_APPS = ["rollout.django", "webhooks_core.django"]
NOTIFICATIONS_WEBHOOK_ENABLED = True
ROLLOUT = {
    "FLAGS": {"tournament-webhooks": {"percentage": 100}},
    "PLAN": {"stages": [{"percentage": "100", "bake": "1m"}]},
    "DATABASE": "default",
    "KILL_FILE": os.environ["TEST_KILL_FILE"],
}
LOGGING = {
    "version": 1,
    "handlers": {"err": {"class": "logging.StreamHandler"}},
    "loggers": {name: {"handlers": ["err"], "level": "INFO"} for name in ("rollout", "webhooks")},
}
if "TEST_CHANGES" in os.environ:
    globals().update(json.loads(os.environ["TEST_CHANGES"]))
