"""A process that sets our provider, forks, and says in the child what the child's own handler heard."""

from __future__ import annotations

import os
import queue
import sys
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent

from rollout import KillFile, LiveFlags, MappingSource
from rollout.openfeature import RolloutProvider

source = MappingSource({"f": {}}, version=1)
api.set_provider_and_wait(RolloutProvider(LiveFlags(source, kill=KillFile(sys.argv[1]), refresh_seconds=0)))
client = api.get_client()

child = os.fork()
if child == 0:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def hear(details: EventDetails) -> None:
        """Keep which flags have changed."""
        heard.put(details.flags_changed)

    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, hear)
    for version in (2, 3):
        source.replace({"f": {"percentage": version}}, version=version)
        client.get_boolean_value("f", False, EvaluationContext("101"))
        print(heard.get(timeout=10), flush=True)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
