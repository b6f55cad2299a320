"""What the example's web process answers: the receiver, so that one `runserver` is both ends."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("webhooks/", include("apps.receiver.urls"))]
