"""An upgrade: the release before and this one work on one schema, side by side.

The release before is the last one in the changelog, by its tag; as long as there is none, a copy of this code
stands in for it. What that promises is in docs/how-to/upgrade.md.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from tests.integration.outbox.conftest import ROOT, World

PROJECT = Path(__file__).with_name("upgrading.py")
PACKAGES = ("rollout", "webhooks_core")
APPS = ("rollout", "webhooks")
EVENTS = 3

pytestmark = [pytest.mark.network, pytest.mark.slow]


def release_before() -> str | None:
    """The tag of the last release in the changelog; None as long as there is none."""
    released = re.search(r"^## \[?([0-9]+\.[0-9.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    return None if released is None else f"v{released[1]}"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The code of the release before, in a folder of its own."""
    place, tag = tmp_path / "before", release_before()
    if tag is None:
        for package in PACKAGES:
            shutil.copytree(ROOT / package, place / package)
        return place
    packed = subprocess.run(["git", "archive", tag, *PACKAGES], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(place, filter="data")
    return place


class Project:
    """The project of the upgrade on the world's database."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        shutil.copy(PROJECT, folder / "upgrading.py")

    def run(self, code: Path, *command: str) -> str:
        """Run Python with the packages from *code*; return what it prints."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self._folder,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "upgrading",
                "PYTHONPATH": f"{code}{os.pathsep}{self._folder}",
                "TEST_DATABASE": json.dumps(self._world.database),
                "TEST_RECEIVER_PORT": str(self._world.receiver.port),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def record(self, code: Path) -> list[str]:
        """Record some events with the packages from *code*."""
        said = json.loads(self.run(code, "upgrading.py", str(EVENTS)))
        assert said["code"].startswith(str(code))
        return list(said["ids"])

    def work(self, code: Path) -> None:
        """Send what is due with the packages from *code*."""
        self.run(code, "-m", "django", "webhooks", "worker", "--once")


def test_the_release_before_works_on_the_new_schema(world: World, before: Path, tmp_path: Path) -> None:
    """Each sends what the other has recorded: it does not matter who is restarted first."""
    project = Project(world, tmp_path)

    ids = project.record(before)
    project.work(ROOT)
    ids += project.record(ROOT)
    project.work(before)

    assert len(ids) == 2 * EVENTS
    assert world.receiver.effects == dict.fromkeys(ids, 1)
    assert world.states() == {"delivered"}


def earlier() -> list[tuple[str, str]]:
    """Every migration of ours but the last of each app."""
    names = sorted(key for key in MigrationLoader(None).disk_migrations if key[0] in APPS)
    return [name for name, following in pairwise(names) if name[0] == following[0]]


@pytest.mark.parametrize("migration", earlier(), ids="/".join)
def test_models_of_every_earlier_schema_read_and_write_on_the_newest(
    world: World, migration: tuple[str, str]
) -> None:
    """Code of before names only the columns it knows; what it does not name must fill itself."""
    call_command("migrate", migration[0], database=world.alias, verbosity=0)
    state = MigrationExecutor(connections[world.alias]).loader.project_state(migration)

    written = {
        model: model._default_manager.using(world.alias).create(**values(model, world.alias))
        for model in state.apps.get_models()
        if model._meta.app_label == migration[0]
    }

    assert written
    for model, row in written.items():
        assert model._default_manager.using(world.alias).get(pk=row.pk) == row


def values(model: type[models.Model], alias: str) -> dict[str, Any]:
    """A value for each column that needs one."""
    found: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if field.null or isinstance(field, models.AutoField):
            continue
        if isinstance(field, models.ForeignKey):
            target = field.remote_field.model
            found[field.name] = target._default_manager.using(alias).create(**values(target, alias))
        else:
            found[field.name] = _value(field)
    return found


def _value(field: models.Field[Any, Any]) -> object:
    kinds: tuple[tuple[type[models.Field[Any, Any]], object], ...] = (
        (models.BooleanField, False),
        (models.BinaryField, b"{}"),
        (models.FloatField, 1.0),
        (models.IntegerField, 1),
        (models.CharField, f"{os.urandom(4).hex()}"),
        (models.TextField, "{}"),
    )
    return next(value for kind, value in kinds if isinstance(field, kind))
