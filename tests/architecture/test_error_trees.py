"""The errors of each package: the drawn tree, the names given out and the classes are one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import rollout.errors
import webhooks_core.errors

MODULES = [
    pytest.param(rollout.errors, id="rollout"),
    pytest.param(webhooks_core.errors, id="webhooks_core"),
]


def classes(module: ModuleType) -> list[type[Exception]]:
    """Every error that *module* defines, the root first."""
    return [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Exception) and thing.__module__ == module.__name__
    ]


def drawn(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Read lines such as `├ Parent (facts) ─ Child, Child`: each parent's name with a child's."""
    root, parent = classes(module)[0].__name__, ""
    for line in (module.__doc__ or "").splitlines():
        head, _, children = re.sub(r" \([^)]*\)", "", line).partition(" ─ ")
        mark, _, name = head.strip().partition(" ")
        if mark in {"├", "└"}:
            parent = name.split()[0]
            yield root, parent
        elif mark == "│":  # the children of the line before, going on
            children = name
        yield from ((parent, child.strip()) for child in children.split(",") if child.strip())


@pytest.mark.parametrize("module", MODULES)
def test_the_drawn_tree_is_the_tree_of_the_classes(module: ModuleType) -> None:
    """STYLE §1.9: one tree, drawn in the docstring; an error that is added or moved is drawn there too."""
    family = sorted(
        (base.__name__, thing.__name__) for thing in classes(module)[1:] for base in thing.__bases__
    )

    edges = sorted(drawn(module))

    assert edges == family


@pytest.mark.parametrize("module", MODULES)
def test_every_error_is_given_out_under_its_name(module: ModuleType) -> None:
    """Where a module lists what it gives out, the pages of the reference show no more than that list."""
    names = sorted(thing.__name__ for thing in classes(module))

    given = sorted(getattr(module, "__all__", names))

    assert given == names
