"""Migrations only expand: code of the release before still reads and writes, while and after they run.

What a major version may do otherwise is in docs/how-to/upgrade.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models.fields import NOT_PROVIDED

ROOT = Path(__file__).parents[2]
APPS = ("webhooks_core", "rollout")

# No statement at all, or one that no code notices.
HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


def contracts(operation: Operation, *, made: frozenset[str] = frozenset()) -> str | None:
    """Return why *operation* may break code of before it, or None.

    Args:
        made: The models, in small letters, that the same migration creates: nobody writes to them yet.
    """
    if isinstance(operation, HARMLESS):
        return None
    if isinstance(operation, migrations.AddField):
        field = operation.field
        fills_itself = field.null or field.db_default is not NOT_PROVIDED or field.many_to_many
        return None if fills_itself else "a column that code of before does not fill"
    if isinstance(operation, migrations.AddConstraint):
        is_new = operation.model_name_lower in made
        return None if is_new else "a constraint that code of before does not know"
    return f"{type(operation).__name__} is not among what expands"


def ours() -> Iterator[tuple[str, list[Operation]]]:
    """Every migration of both apps."""
    for package in APPS:
        for path in sorted((ROOT / package / "django" / "migrations").glob("[0-9]*.py")):
            module = import_module(f"{package}.django.migrations.{path.stem}")
            yield f"{package}/{path.stem}", module.Migration.operations


@pytest.mark.parametrize("operations", [pytest.param(found, id=name) for name, found in ours()])
def test_a_migration_only_expands(operations: list[Operation]) -> None:
    """Within a major version; each operation on its own."""
    made = frozenset(each.name_lower for each in operations if isinstance(each, migrations.CreateModel))

    found = [(each.describe(), why) for each in operations if (why := contracts(each, made=made))]

    assert operations
    assert found == []


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("delivery", "reason"),
        migrations.RenameField("delivery", "reason", "why"),
        migrations.AlterField("delivery", "reason", models.CharField(max_length=8)),
        migrations.AddField("delivery", "region", models.CharField(max_length=8, default="eu")),
        migrations.DeleteModel("Delivery"),
        migrations.RenameModel("Delivery", "Parcel"),
        migrations.AlterModelTable("Delivery", "parcels"),
        migrations.AddConstraint("delivery", models.UniqueConstraint(fields=["unit"], name="u")),
        migrations.RemoveConstraint("delivery", "u"),
        migrations.AlterUniqueTogether("delivery", {("unit", "event")}),
        migrations.RunSQL("DROP TABLE webhooks_delivery"),
        migrations.RunPython(migrations.RunPython.noop),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_contracts_is_found(operation: Operation) -> None:
    """One of each kind that a release before would stumble over, or that nobody can judge from here."""
    assert contracts(operation) is not None


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("delivery", "region", models.CharField(max_length=8, null=True)),
        migrations.AddField("delivery", "region", models.CharField(max_length=8, db_default="eu")),
        migrations.AddIndex("delivery", models.Index(fields=["unit"], name="i")),
    ],
    ids=["may be empty", "filled by the database", "index"],
)
def test_what_expands_is_let_through(operation: Operation) -> None:
    """A column that may be empty or fills itself, an index."""
    assert contracts(operation) is None


def test_a_constraint_of_a_new_table_expands() -> None:
    """Nobody writes to it yet."""
    operation = migrations.AddConstraint("parcel", models.UniqueConstraint(fields=["unit"], name="u"))

    assert contracts(operation, made=frozenset({"parcel"})) is None
