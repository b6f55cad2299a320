"""An app of Celery's whose tasks ask a flag by both doors; what they hear goes into a file."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from rollout import Gate, KillFile, LiveFlags, MappingSource
from rollout.openfeature import RolloutProvider, transaction
from rollout.testing import override_flag

FLAG, DOMAIN, MEMBER, STRANGER = "tournament-webhooks", "celery", 101, 102
LIVE = LiveFlags(
    MappingSource({FLAG: {"percentage": 0, "forced_on": [MEMBER]}}),
    kill=KillFile("/nonexistent/rollout/kill"),
)
gate = Gate(FLAG, LIVE)
app = Celery("asking", broker=os.environ.get("TEST_BROKER", "memory://"), set_as_current=False)
app.conf.update(
    task_ignore_result=True, broker_connection_retry_on_startup=True, worker_enable_remote_control=False
)


def ready() -> None:
    """Have our provider and the SDK's context variables, as a project's start does."""
    api.set_provider_and_wait(RolloutProvider(LIVE), DOMAIN)
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())


if "TEST_BROKER" in os.environ:  # a worker; the test itself says when
    ready()


class Broken(Exception):
    """A task that ends badly."""


def heard() -> dict[str, Any]:
    """What both doors say here: the gate of one who is out, the client of whoever the transaction is for."""
    details = api.get_client(DOMAIN).get_boolean_details(FLAG, False)
    return {
        "where": f"{os.getpid()}:{threading.get_ident()}",
        "gate": gate(STRANGER).value,
        "client": details.value,
        "code": None if details.error_code is None else str(details.error_code),
    }


def note(**more: object) -> None:
    """Write a line of it."""
    with Path(os.environ["TEST_LOG"]).open("a") as log:
        log.write(json.dumps(heard() | more) + "\n")


@app.task(name="ask")
def ask() -> None:
    """Ask, with nothing of its own."""
    note(task="ask")


@app.task(name="override")
def override() -> None:
    """Put the flag on, and break."""
    with override_flag(FLAG, on=True):
        note(task="override")
        raise Broken


@app.task(name="speak")
def speak() -> None:
    """Be for a unit of its own, and break."""
    with transaction(MEMBER):
        note(task="speak")
        raise Broken


@app.task(name="forget_to_reset")
def forget_to_reset() -> None:
    """Set the context as the SDK has it, which nobody takes back."""
    api.set_transaction_context(EvaluationContext(str(MEMBER)))
    note(task="forget_to_reset")
