"""No page of its own: a test that needs one names its urlconf."""

from __future__ import annotations

urlpatterns: list[object] = []
