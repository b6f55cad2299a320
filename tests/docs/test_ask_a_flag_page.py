"""docs/how-to/ask-a-flag-in-django.md in a project: its settings, its template, its views."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.http import Http404
from django.template import Context, Engine
from django.test import RequestFactory, override_settings

from tests.integration.django.project import project

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "ask-a-flag-in-django.md"
BLOCK = re.compile(r"^```(python|html\+django)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENGINE = Engine(libraries={"rollout": "rollout.django.templatetags.rollout"})
REQUEST = RequestFactory().get("/")


def test_every_door_of_the_page_gives_one_answer() -> None:
    """Template, view and gate, for each of 200 tournaments, by the settings that stand on the page."""
    blocks = BLOCK.findall(PAGE.read_text())
    (template,) = [code for language, code in blocks if language != "python"]
    page: dict[str, Any] = {"__name__": "page"}
    for language, code in blocks:
        if language == "python":
            exec(code, page)

    with override_settings(**project(ROLLOUT=page["ROLLOUT"])):
        shown = {unit for unit in range(200) if "The new bracket" in rendered(template, unit)}
        viewed = {unit for unit in range(200) if is_there(page["bracket"], unit)}
        asked = {unit for unit in range(200) if page["gate"](unit)}

    assert shown == viewed == asked
    assert 25 < len(asked) < 80


def rendered(template: str, unit: int) -> str:
    """The page's template for a tournament."""
    return ENGINE.from_string(template).render(Context({"tournament": {"id": unit, "region": "eu"}}))


def is_there(view: Any, unit: int) -> bool:
    """Whether the page's view answers."""
    try:
        return view(REQUEST, tournament_id=unit).content == b"the new bracket"
    except Http404:
        return False


def test_a_template_without_a_tournament_shows_the_old_one() -> None:
    """As the page says: no unit, off."""
    (template,) = [code for language, code in BLOCK.findall(PAGE.read_text()) if language != "python"]

    with override_settings(**project(ROLLOUT={"FLAGS": {"new-bracket": {"percentage": 100}}})):
        text = ENGINE.from_string(template).render(Context())

    assert "The old one" in text
