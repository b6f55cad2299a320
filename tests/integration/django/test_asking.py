"""A flag asked in a template and in front of a view, by the settings of the project."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.http import Http404, HttpRequest, HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory

from rollout.django.view_gate import flag_required
from rollout.testing import override_flag
from tests.integration.django.project import project

FLAGS = {
    "all": {"percentage": 100},
    "none": {"percentage": 0},
    "eu": {"rules": [{"if": [{"attribute": "region", "op": "equals", "value": "eu"}], "serve": "on"}]},
}
ENGINE = Engine(libraries={"rollout": "rollout.django.templatetags.rollout"})


@pytest.fixture(autouse=True)
def _flags(settings: Any) -> None:
    """Three flags in the settings."""
    for name, value in project(ROLLOUT={"FLAGS": FLAGS}).items():
        setattr(settings, name, value)


def rendered(tag: str, **context: object) -> str:
    """What a template makes of a tag."""
    text = "{% load rollout %}{% flag_is_on " + tag + " as is_in %}{{ is_in }}"
    return ENGINE.from_string(text).render(Context(context))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        pytest.param('"all" unit', "True", id="on"),
        pytest.param('"none" unit', "False", id="off"),
        pytest.param('"eu" unit region="eu"', "True", id="attribute"),
        pytest.param('"eu" unit region="us"', "False", id="other-attribute"),
        pytest.param('"all" missing', "False", id="missing-unit"),
        pytest.param('"all"', "False", id="no-unit"),
        pytest.param('"nothing" unit', "False", id="no-flag"),
    ],
)
def test_a_template_asks(tag: str, text: str) -> None:
    """It renders, whatever is wrong."""
    assert rendered(tag, unit=101) == text


def page(request: HttpRequest, tournament_id: int = 0) -> HttpResponse:
    """A view."""
    return HttpResponse(f"new {tournament_id}")


def old(request: HttpRequest, tournament_id: int = 0) -> HttpResponse:
    """The one before it."""
    return HttpResponse(f"old {tournament_id}")


REQUEST = RequestFactory().get("/")


def test_a_view_answers_for_the_units_that_are_in() -> None:
    """For all others 404, or the other view, with the same parameters."""
    on = flag_required("all", unit="tournament_id")(page)
    off = flag_required("none", unit="tournament_id")(page)
    other = flag_required("none", unit="tournament_id", otherwise=old)(page)

    assert on(REQUEST, tournament_id=7).content == b"new 7"
    assert other(REQUEST, tournament_id=7).content == b"old 7"
    with pytest.raises(Http404):
        off(REQUEST, tournament_id=7)
    assert on.__name__ == "page"


def test_an_asynchronous_view_stays_one() -> None:
    """Whatever the other view is."""

    @flag_required("all", unit=lambda request: 7)
    async def new(request: HttpRequest) -> HttpResponse:
        return HttpResponse("new")

    @flag_required("none", unit=lambda request: 7, otherwise=old)
    async def replaced(request: HttpRequest) -> HttpResponse:
        return HttpResponse("new")

    assert asyncio.run(new(REQUEST)).content == b"new"
    assert asyncio.run(replaced(REQUEST)).content == b"old 0"


def test_a_function_that_fails_closes_the_gate() -> None:
    """It is the project's own."""
    guarded = flag_required("all", unit=lambda request: 1 / 0, otherwise=old)(page)

    assert guarded(REQUEST).content == b"old 0"


def test_an_override_reaches_both() -> None:
    """A test says what it wants to see."""
    guarded = flag_required("none", unit="tournament_id")(page)

    with override_flag("none", on=True):
        assert guarded(REQUEST, tournament_id=7).content == b"new 7"
        assert rendered('"none" unit', unit=7) == "True"
