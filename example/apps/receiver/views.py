"""`/webhooks/inbound` verifies and handles, `/webhooks/health` says healthy; the rest is for rehearsals."""

from __future__ import annotations

import json
import logging
from functools import cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.receiver.faults import Faults
from apps.receiver.ledger import SHOWN_HEADERS, Ledger
from webhooks_core import Receiver, Verified
from webhooks_core.django import wiring
from webhooks_core.receivers.django import webhook_view

log = logging.getLogger("deltacrown.receiver")
ledger = Ledger()
faults_on_demand = Faults()


@cache
def receiver() -> Receiver:
    """Build the receiver when the first request comes; secret, scheme and window are in the settings."""
    return wiring.receiver(handle)


def handle(webhook: Verified) -> None:
    """Do what the webhook is about; raising here makes the sender try again."""
    ledger.handle(webhook)
    data = webhook.payload.get("data")
    tournament_id = data.get("tournament_id") if isinstance(data, dict) else None
    subject = webhook.event.replace("payment_verified", "payment verification").replace("_", " ")
    if isinstance(tournament_id, int):  # what came from outside reaches the log only once its type is known
        log.info("Processing %s for tournament_id=%d", subject, tournament_id)


_verified_inbound = webhook_view(receiver)


@csrf_exempt
def inbound(request: HttpRequest) -> HttpResponse:
    """Answer a webhook; in a rehearsal also count it, and be ill when told to."""
    if not _rehearsing():
        return _verified_inbound(request)
    ledger.arrived()
    status = faults_on_demand.next_status()
    response = HttpResponse(status=status) if status else _verified_inbound(request)
    ledger.answered(
        {name: request.headers[name] for name in SHOWN_HEADERS if name in request.headers},
        request.body,
        status=response.status_code,
        said=_said(response),
    )
    return response


@require_GET
def health(_request: HttpRequest) -> JsonResponse:
    """Say healthy, as the runbook's pre-flight expects."""
    return JsonResponse({"status": "healthy"})


@require_GET
def report(request: HttpRequest) -> JsonResponse:
    """Tell what has arrived: `?since=` verified webhooks already known, `?last=` requests to show in full."""
    _only_in_rehearsals()
    return JsonResponse(
        ledger.report(since=int(request.GET.get("since", "0")), last=int(request.GET.get("last", "0")))
    )


@csrf_exempt
@require_POST
def faults(request: HttpRequest) -> JsonResponse:
    """Plan faults: a JSON list, see `faults.Faults.plan`."""
    _only_in_rehearsals()
    script = json.loads(request.body)
    faults_on_demand.plan(script)
    return JsonResponse({"planned": len(script)})


def _rehearsing() -> bool:
    return bool(getattr(settings, "RECEIVER_REHEARSAL", False))


def _only_in_rehearsals() -> None:
    if not _rehearsing():
        raise Http404


def _said(response: HttpResponse) -> str:
    """Return the `status` or `error` of a JSON answer, empty where there is none."""
    try:
        answer = json.loads(response.content)
    except ValueError:
        return ""
    return str(answer.get("status") or answer.get("error") or "") if isinstance(answer, dict) else ""
