"""Views behind a flag."""

from __future__ import annotations

from typing import assert_type

from django.http import HttpRequest, HttpResponse

from rollout.django.view_gate import flag_required


@flag_required("new-bracket", unit="tournament_id")
def bracket(request: HttpRequest, tournament_id: int) -> HttpResponse:
    """A view keeps its signature."""
    return HttpResponse(f"{tournament_id}")


def by_method(request: HttpRequest) -> object:
    """Take the unit out of a request."""
    return request.method


@flag_required("new-bracket", unit=by_method, otherwise=bracket)
async def profile(request: HttpRequest) -> HttpResponse:
    """And so does an asynchronous one."""
    return HttpResponse("new")


async def use(request: HttpRequest) -> HttpResponse:
    """Call them as they were."""
    assert_type(await profile(request), HttpResponse)
    return assert_type(bracket(request, tournament_id=5), HttpResponse)
