"""The README's three uses: once by our own flag file, once by another provider: by settings only."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType

from rollout.django import conf, gate
from tests.integration.django.project import FLAG, KILL_FILE, project
from tests.waiting import until

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "gate-by-another-provider.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGD_FILE = "README_USES_FLAGD"
PATIENCE_SECONDS = 20


def uses() -> list[tuple[str, str]]:
    """The blocks of the three uses in order, each with its language."""
    text = (ROOT / "README.md").read_text()
    return BLOCK.findall(text[text.index("## Three uses") : text.index("## Doors")])


def said(sign: str) -> dict[str, Any]:
    """`ROLLOUT` as the how-to has it, before (`-`) or after (`+`) the change."""
    (lines,) = DIFF.findall(HOW_TO.read_text())
    namespace: dict[str, Any] = {}
    exec("\n".join(line[1:] for line in lines.splitlines() if line.startswith(sign)), namespace)
    found: dict[str, Any] = namespace["ROLLOUT"]
    return found


def made() -> FlagdProvider:
    """What the settings name: flagd in file mode."""
    return FlagdProvider(
        resolver_type=ResolverType.FILE, offline_flag_source_path=os.environ[FLAGD_FILE], deadline_ms=10
    )


def write_flagd(path: Path, percentage: int) -> None:
    """Their configuration: a share of all targeting keys."""
    shares = [["on", percentage], ["off", 100 - percentage]]
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"fractional": shares},
    }
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"flags": {FLAG: flag}}))
    os.utime(new, (time.time() + percentage,) * 2)  # flagd looks at nothing but the time
    os.replace(new, path)


def who_is_in() -> set[int]:
    """The units of the README that are in now."""
    return {unit for unit in range(1000) if gate.is_open(unit)}


@contextmanager
def in_force(rollout: dict[str, Any]) -> Iterator[None]:
    """Put the settings in force; only `ROLLOUT` differs."""
    settings = project()
    kept = {"KILL_FILE": KILL_FILE, "REFRESH_SECONDS": 0}
    with override_settings(**settings | {"ROLLOUT": rollout | kept}):
        assert conf.current().problems == ()
        yield


@contextmanager
def by_our_file(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Our flag file; what the README types changes it."""
    file = folder / "flags.json"
    file.write_text(json.dumps({"schema": 1, "version": 1, "flags": {FLAG: {"percentage": 5}}}))
    rollout = said("-")
    rollout["FILE"] = str(file)

    def change(command: str) -> None:
        words = shlex.split(command, comments=True)
        assert words[:4] == ["$", "python", "manage.py", "rollout"]
        call_command(*words[3:])

    with in_force(rollout):
        yield change


@contextmanager
def by_flagd(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Flagd behind OpenFeature; the percentage is raised where it is owned."""
    file = folder / "flagd.json"
    write_flagd(file, 5)
    patch.setenv(FLAGD_FILE, str(file))
    rollout = said("+")
    rollout["OPENFEATURE"] |= {"PROVIDER": f"{__name__}.made", "TIMEOUT": 5}

    def change(command: str) -> None:
        before = who_is_in()
        write_flagd(file, int(shlex.split(command, comments=True)[-1]))
        until(lambda: who_is_in() != before, seconds=PATIENCE_SECONDS)

    with in_force(rollout):
        until(
            lambda: bool(who_is_in()), seconds=PATIENCE_SECONDS
        )  # the first question has the provider made, and nobody waits for it
        yield change
    api.shutdown()


@pytest.mark.parametrize(
    ("world", "words"),
    [
        pytest.param(by_our_file, "percentage 5", id="our-file"),
        pytest.param(by_flagd, "openfeature: ", id="openfeature"),
    ],
)
def test_the_three_uses_run_by_settings_only(
    world: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's own blocks, not a letter changed: wrapped, raised from 5 % to 25 %, property-tested."""
    seen: dict[str, Any] = {"__name__": __name__}
    blocks = uses()

    with world(tmp_path, monkeypatch) as change:
        at_5, why = who_is_in(), gate(101).explain()
        for language, block in blocks:
            if language == "console":
                sent = [unit for _, unit in seen["sent"]]
                change(block)
            else:
                exec(block, seen)
        at_25 = who_is_in()
        properties = [made for name, made in seen.items() if name.startswith("test_")]
        for holds in properties:
            holds()

    assert [language for language, _ in blocks] == ["python", "python", "console", "python", "python"]
    assert words in why
    assert sent == sorted(at_5)
    assert 20 <= len(at_5) <= 90
    assert at_5 < at_25
    assert 180 <= len(at_25) <= 320
    assert len(properties) == 2
