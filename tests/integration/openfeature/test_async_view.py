"""An asynchronous view behind a flag that another provider owns: the event loop goes on while it is asked."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from openfeature import api
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryProvider

from rollout.django.view_gate import flag_required
from tests.integration.django.project import FLAG, project

DOMAIN = "elsewhere"


class Waiting(InMemoryProvider):
    """Answers yes, once it is let."""

    def __init__(self, let: threading.Event) -> None:
        super().__init__({})
        self._let = let

    def resolve_boolean_details(self, *_args: Any, **_kwargs: Any) -> FlagResolutionDetails[bool]:
        """Wait, and answer."""
        return FlagResolutionDetails(self._let.wait(4))


@pytest.mark.parametrize("timeout", [5, None], ids=["on-its-threads", "on-the-thread-that-asks"])
def test_a_view_lets_the_loop_go_on(settings: Any, timeout: float | None) -> None:
    """The provider waits for another task of the same loop; the view is shown after that."""
    let = threading.Event()
    asked = {"DOMAIN": DOMAIN, "FLAGS": {FLAG: "theirs"}, "TIMEOUT": timeout}
    for name, value in project(ROLLOUT={"SOURCE": "openfeature", "OPENFEATURE": asked}).items():
        setattr(settings, name, value)
    settings.ROLLOUT.pop("FLAGS", None)
    api.set_provider_and_wait(Waiting(let), DOMAIN)

    @flag_required(FLAG, unit=lambda request: 101)
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"new")

    async def served() -> HttpResponse:
        asyncio.get_running_loop().call_later(0.001, let.set)
        return await view(HttpRequest())

    assert asyncio.run(served()).content == b"new"
