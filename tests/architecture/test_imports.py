"""The rules of the house about imports: light, third-party-free, and pointing down the rings."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOADED = """
import json, sys
before = set(sys.modules)
__import__({package!r})
import importlib
module = sys.modules[{package!r}]
files = [getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before]
print(json.dumps([path for path in files if "site-packages" in path]))
"""


@pytest.mark.parametrize("package", ["rollout", "webhooks_core"])
def test_importing_the_package_loads_nothing_third_party(package: str) -> None:
    """DESIGN §2 rule 7: a fresh interpreter that imports the package loads no module from site-packages."""
    code = LOADED.format(package=package)

    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(out.stdout) == []


@pytest.mark.parametrize("package", ["rollout", "webhooks_core"])
def test_importing_the_package_starts_no_thread(package: str) -> None:
    """DESIGN §2 rule 7: importing starts nothing."""
    code = f"import threading, {package}; print(threading.active_count())"

    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "1"


@pytest.mark.parametrize("package", ["rollout", "webhooks_core"])
def test_every_public_name_of_the_facade_resolves(package: str) -> None:
    """STYLE §1.4: the façade is the contents page, sorted, and each name on it is there."""
    code = (
        f"import {package} as p; assert p.__all__ == sorted(p.__all__), p.__all__; "
        "missing = [n for n in p.__all__ if getattr(p, n, None) is None]; assert not missing, missing"
    )

    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert out.returncode == 0, out.stderr


@pytest.mark.parametrize("package", ["rollout", "webhooks_core"])
def test_checkers_of_types_are_shown_the_names_that_are_there(package: str) -> None:
    """A façade names each home twice, for whoever runs it and for mypy and editors: the same ones."""
    facade = importlib.import_module(package)
    tree = ast.parse(Path(facade.__file__ or "").read_text(encoding="utf-8"))
    branch = next(node for node in tree.body if isinstance(node, ast.If))

    shown = {
        (alias.name, alias.asname, node.module)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert ast.unparse(branch.test) == "TYPE_CHECKING"
    assert shown == {(name, name, f"{package}.{home}") for name, home in facade._HOMES.items()}
