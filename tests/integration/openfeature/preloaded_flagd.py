"""A preloaded Django project whose flag is flagd's: the provider made in each worker, or before the fork."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.conf import settings
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType

from tests.integration.openfeature.peers import FLAG

DOMAIN = "flagd"
IN_PARENT = os.environ["PRELOADED_MADE_IN"] == "parent"


def provider() -> FlagdProvider:
    """What the settings name."""
    return FlagdProvider(
        resolver_type=ResolverType.FILE,
        offline_flag_source_path=os.environ["PRELOADED_FLAGS"],
        deadline_ms=10,
    )


OPENFEATURE = {"DOMAIN": DOMAIN, "FLAGS": {"tournament-webhooks": FLAG}, "TIMEOUT": 5}
settings.configure(
    INSTALLED_APPS=["rollout.django", "webhooks_core.django"],
    NOTIFICATIONS_WEBHOOK_ENABLED=True,
    WEBHOOK_ENDPOINT="https://api.example.com/webhooks/inbound",
    WEBHOOK_SECRET="0123456789abcdef" * 4,
    ROLLOUT={
        "SOURCE": "openfeature",
        "KILL_FILE": os.environ["PRELOADED_KILL"],
        "OPENFEATURE": OPENFEATURE if IN_PARENT else OPENFEATURE | {"PROVIDER": f"{__name__}.provider"},
    },
    WEBHOOKS={"ENVIRONMENT": "test"},
)
django.setup()
if IN_PARENT:
    api.set_provider_and_wait(provider(), DOMAIN)  # as a project's own `ready` does


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer what the gate says in this worker; it is asked here for the first time."""
    from rollout.django import gate

    said = {"pid": os.getpid(), "parent": IN_PARENT, "gate": gate(101).value, "why": gate(101).explain()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
