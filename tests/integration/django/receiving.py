"""URLs of a receiver, served by a real server on the loopback interface."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from webhooks_core.django import wiring
from webhooks_core.receivers.django import webhook_view
from webhooks_core.verifier import Verified

received: list[Verified] = []
arrived = threading.Condition()
answers: list[Callable[[HttpRequest], HttpResponse]] = []


def note(verified: Verified) -> None:
    """Handle a webhook: remember it."""
    with arrived:
        received.append(verified)
        arrived.notify_all()


inbound = webhook_view(lambda: wiring.receiver(note))


@csrf_exempt
def scripted(request: HttpRequest) -> HttpResponse:
    """Answer by the script while there is one, and verify after it."""
    return answers.pop(0)(request) if answers else inbound(request)


urlpatterns = [path("webhooks/inbound", scripted)]
