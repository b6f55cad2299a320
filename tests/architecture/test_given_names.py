"""What a module lists in `__all__` is what it gives out: nothing that another takes is missing there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules() -> dict[str, ast.Module]:
    """Every module of the two packages by its dotted name, migrations left out."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for package in ("rollout", "webhooks_core")
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts
    }


def given(module: ast.Module) -> set[str] | None:
    """The names of its `__all__`; None where it has none, or makes it from a table (the contents pages)."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value)) if isinstance(node.value, ast.List) else None
    return None


def taken(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Every name that it imports, with the module that it takes it from."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


def test_every_name_that_another_module_imports_is_listed() -> None:
    """STYLE §1.4: a name that others rely on is public where it lives; the reference shows it then, too."""
    all_modules = modules()
    lists = {name: names for name, module in all_modules.items() if (names := given(module)) is not None}

    missing = {
        f"{home}.{name}"
        for module in all_modules.values()
        for home, name in taken(module)
        if home in lists and name not in lists[home] and f"{home}.{name}" not in all_modules
    }

    assert len(lists) > 100
    assert sorted(missing) == []
