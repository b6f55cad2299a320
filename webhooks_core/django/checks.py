"""System checks of sending: every bad value as an error with a stable id, and warnings about what is odd.

The ids never change their meaning; docs/reference/checks.md lists each. A check reads settings and the file
system, never a network or a database, and never calls a secret's provider. Invariant: a bad value that is
an error here closes the gate at run time too, because checks do not run under WSGI.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage, Error, Warning

from webhooks_core.delivery import MAX_AGE_SECONDS
from webhooks_core.django import conf
from webhooks_core.django.shared_state import MEMORY
from webhooks_core.django.values import Problem


def as_errors(problems: tuple[Problem, ...]) -> list[CheckMessage]:
    """Turn problems into check errors."""
    return [
        Error(str(problem), hint="The gate stays closed (reason ERROR) until it is mended.", id=problem.id)
        for problem in problems
    ]


def check_settings(**_kwargs: object) -> list[CheckMessage]:
    """Report every bad value."""
    found = conf.current()
    return [*as_errors(found.problems), *_warnings(found)]


def _warnings(found: conf.WebhookSettings) -> Iterator[CheckMessage]:
    if found.endpoints and not found.events:
        yield Warning(
            'WEBHOOKS["EVENTS"] lists no event: every field of every event is unknown, and so blocked.',
            hint='List the fields of each event, e.g. {"payment_verified": {"tournament_id": "integer"}}.',
            id="webhooks.W001",
        )
    if found.breaker_max_fails >= conf.NEVER_OPENS:
        yield Warning(
            f"WEBHOOK_CB_MAX_FAILS is {conf.NEVER_OPENS} or more: the circuit breaker never opens.",
            hint="This is level 2 of the runbook's rollbacks; set it back once the receiver is well.",
            id="webhooks.W002",
        )
    if found.engine != "inline" and found.shared.breakers == MEMORY:
        yield Warning(
            'WEBHOOKS["BREAKER_STORE"] is "memory": each worker finds out for itself which endpoint is down.',
            hint="A fleet of them sends a probe each; database and redis share one.",
            id="webhooks.W010",
        )
    if sum(found.slow_retries) > MAX_AGE_SECONDS:
        yield Warning(
            f'WEBHOOKS["SLOW_RETRIES"] waits longer than {MAX_AGE_SECONDS:.0f} seconds in all: a delivery '
            "that old ends there, after one more attempt.",
            hint="What is listed beyond has no effect.",
            id="webhooks.W012",
        )
    if found.engine == "inline" and found.slow_retries:
        yield Warning(
            'WEBHOOKS["SLOW_RETRIES"] has no effect with the engine inline, which keeps no rows.',
            hint="A delivery ends with its last fast attempt.",
            id="webhooks.W013",
        )
    if found.engine == "inline" and any(endpoint.rate for endpoint in found.endpoints.values()):
        yield Warning(
            "RATE has no effect with the engine inline, which sends at once.",
            hint="Workers keep to it.",
            id="webhooks.W014",
        )
    for name, near in conf.misspelt():
        yield Warning(f"{name} is not known; did you mean {near}? It has no effect.", id="webhooks.W003")


def check_deployment(**_kwargs: object) -> list[CheckMessage]:
    """Refuse to deploy an engine that retries inside the request."""
    found = conf.current()
    if found.engine == "inline" and not found.debug:
        return [
            Error(
                'WEBHOOKS["ENGINE"] is "inline" outside DEBUG: it retries inside the request.',
                hint="A request may hang for as long as all attempts take: use it in development.",
                id="webhooks.E031",
            )
        ]
    return []
