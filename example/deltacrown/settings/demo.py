"""For the demo, the smoke scripts and the tests: one machine, one temporary folder, one receiver on loopback.

Everything comes from the environment that `loopback.project` prepares. Some times are shorter than their
defaults so that a demo fits into a minute; the demo prints which, beside the default of each.
"""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit

from deltacrown.logs import logging_to
from deltacrown.settings.base import *  # noqa: F403
from deltacrown.settings.base import ROLLOUT, WEBHOOKS

_folder = os.environ["DEMO_FOLDER"]
_address = urlsplit(os.environ["WEBHOOK_ENDPOINT"])
_is_loopback = _address.hostname == "127.0.0.1"
_networks = os.environ.get("DEMO_ALLOW_NETWORKS") or (f"127.0.0.1/32:{_address.port}" if _is_loopback else "")

SECRET_KEY = "for-one-run-on-one-machine"
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(_folder, "demo.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "timeout": 20,
        },
    }
}
EMAIL_BACKEND = "loopback.mailbox.EmailBackend"

NOTIFICATIONS_WEBHOOK_ENABLED = True
WEBHOOK_ENDPOINT = _address.geturl()
WEBHOOK_SECRET = os.environ["WEBHOOK_SECRET"]
WEBHOOK_TIMEOUT = float(os.environ.get("WEBHOOK_TIMEOUT", "10"))
WEBHOOK_MAX_RETRIES = int(os.environ.get("WEBHOOK_MAX_RETRIES", "3"))
WEBHOOK_CB_WINDOW_SECONDS = int(os.environ.get("WEBHOOK_CB_WINDOW_SECONDS", "120"))
WEBHOOK_CB_MAX_FAILS = int(os.environ.get("WEBHOOK_CB_MAX_FAILS", "5"))
WEBHOOK_CB_OPEN_SECONDS = int(os.environ.get("WEBHOOK_CB_OPEN_SECONDS", "60"))

ROLLOUT = {
    **ROLLOUT,
    "SOURCE": "file",
    "FILE": os.path.join(_folder, "flags.json"),
    "KILL_FILE": os.path.join(_folder, "kill"),
}
WEBHOOKS = {
    **WEBHOOKS,
    "ENVIRONMENT": os.environ.get("ENVIRONMENT", "demo"),
    "ALLOW_HTTP": _is_loopback,
    "ALLOW_NETWORKS": [_networks] if _networks else [],
}

# For the worker of the chapter about a plan: the plan, and evidence by a faster clock (rehearsal/hurry.py).
if "DEMO_PLAN" in os.environ:
    ROLLOUT["PLAN"] = json.loads(os.environ["DEMO_PLAN"])
    WEBHOOKS["SETTLE_SINK"] = "rehearsal.hurry.settle_sink"

LOGGING = logging_to(os.path.join(_folder, "deltacrown.log"), level="DEBUG")
