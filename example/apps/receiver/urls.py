"""The receiver's addresses, below `/webhooks/`."""

from __future__ import annotations

from django.urls import path

from apps.receiver import views

urlpatterns = [
    path("inbound", views.inbound),
    path("health", views.health),
    path("rehearsal/report", views.report),
    path("rehearsal/faults", views.faults),
]
