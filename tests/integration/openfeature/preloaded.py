"""A WSGI application as gunicorn preloads it: provider set, and asked, before any worker is forked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from rollout import FileSource, Gate, KillFile, LiveFlags
from rollout.openfeature import RolloutProvider
from rollout.remote import Remote, RemoteFlags

KEY = "tournament-webhooks"
kill = KillFile(os.environ["PRELOADED_KILL"])
live = LiveFlags(FileSource(os.environ["PRELOADED_FLAGS"]), kill=kill, refresh_seconds=0)
api.set_provider_and_wait(RolloutProvider(live), "ours")
client = api.get_client("ours")
PARENT = os.getpid()
# The gate's threads are started here, in the parent, and are not there in a worker.
gate = Gate(KEY, RemoteFlags(Remote(flags={KEY: KEY}, domain="ours", timeout_seconds=5), kill=kill))
FIRST = [client.get_boolean_value(KEY, False, EvaluationContext("101")), gate(101).value]


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer what both doors say in this worker."""
    details = client.get_boolean_details(KEY, False, EvaluationContext("101"))
    said = {
        "pid": os.getpid(),
        "parent": PARENT,
        "first": FIRST,
        "provider": details.value,
        "version": details.flag_metadata.get("version"),
        "gate": gate(101).value,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
