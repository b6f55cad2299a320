"""Our types as a user's mypy sees them: a project beside the installed packages, as strict as mypy can be."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "sample_project"
PACKAGES = ("rollout", "webhooks_core")

# mypy reads Django's types for the first time: seconds. One worker, so that it does so once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("typing")]


@dataclass(frozen=True, kw_only=True)
class Place:
    """An environment of a user: our packages copied into it, and everything else that is installed here."""

    folder: Path
    packages: Path
    python: Path

    def mypy(self) -> subprocess.CompletedProcess[str]:
        """Check the project."""
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", PROJECT / "mypy.ini", "--no-error-summary",
             "--python-executable", self.python, "--cache-dir", self.folder / "cache", "shop"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip

    def change(self, file: str, old: str, new: str) -> None:
        """Take something out of the installed packages; it must have been there."""
        path = self.packages / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r} any more"
        path.write_text(text.replace(old, new, 1))


def installed(place: Place) -> None:
    """Put our packages there, as they are."""
    for package in PACKAGES:
        shutil.rmtree(place.packages / package, ignore_errors=True)
        shutil.copytree(ROOT / package, place.packages / package)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A virtual environment that has ours first, and then what this one has."""
    folder = tmp_path_factory.mktemp("typing")
    venv.create(folder / "venv", symlinks=True)
    base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", base))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    python = Path(sysconfig.get_path("scripts", "venv", base)) / Path(sys.executable).name
    return Place(folder=folder, packages=packages, python=python)


@pytest.fixture
def place(environment: Place) -> Place:
    """With our packages untouched."""
    installed(environment)
    return environment


def test_a_users_project_has_all_types(place: Place) -> None:
    """Strict, and no expression in it is `Any`."""
    checked = place.mypy()

    assert (checked.returncode, checked.stdout) == (0, "")


# What is taken out of our code, and the call of the project that must then no longer be what it says.
ANNOTATIONS = [
    ("rollout/gate.py", "None) -> Decision:", "sending.py", "local(unit"),
    ("rollout/django/dispatcher.py", ") -> Dispatched:", "sending.py", 'dispatch("payment_verified"'),
    ("rollout/django/view_gate.py", ") -> Callable[[Callable[P, R]], Callable[P, R]]:", "views.py", "=5"),
    ("rollout/openfeature.py", ") -> FlagResolutionDetails[bool]:", "flags.py", "resolve_boolean_details"),
    ("rollout/remote.py", "unit: object) -> bool:", "flags.py", "flags.is_on"),
    ("rollout/testing/override.py", ") -> override_flag:", "cases.py", "assert_type(override,"),
    ("rollout/testing/pytest_plugin.py", "on: bool) -> None:", "cases.py", "flag_override("),
    ("webhooks_core/verifier.py", ") -> Verified:", "receiving.py", "verifier.verify"),
    ("webhooks_core/receiving.py", "body: bytes) -> Answer:", "receiving.py", "receiver.receive"),
]


def test_each_annotation_that_is_taken_away_is_missed(place: Place) -> None:
    """The project says what each main call comes out as, so that none can become `Any` unseen."""
    for file, text, _, _ in ANNOTATIONS:
        place.change(file, text, text.partition(" -> ")[0] + ":")

    said = place.mypy().stdout
    unseen = [text for _, text, file, call in ANNOTATIONS if not is_told(said, file, call)]

    assert unseen == []


def is_told(said: str, file: str, call: str) -> bool:
    """Whether an error stands where *call* is, or within the two lines around it."""
    lines = (PROJECT / "shop" / file).read_text().splitlines()
    at = next(number for number, line in enumerate(lines, start=1) if call in line)
    return any(f"shop/{file}:{number}: error" in said for number in (at - 1, at, at + 1))


@pytest.mark.parametrize("package", PACKAGES)
def test_without_its_marker_a_package_has_no_types(place: Place, package: str) -> None:
    """`py.typed` is what tells mypy; that the wheel has it is looked at where the wheel is."""
    (place.packages / package / "py.typed").unlink()

    said = place.mypy().stdout

    assert "missing library stubs or py.typed marker" in said
    assert f'"{package}' in said
