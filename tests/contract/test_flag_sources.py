"""Every flag source passes the one suite that users run for theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from rollout.flags import FlagKey
from rollout.sources.base import FlagSource
from rollout.sources.env import EnvironmentSource, variable_of
from rollout.sources.file import FileSource
from rollout.sources.memory import MappingSource
from rollout.testing.contracts import FlagSourceContract

KEY = FlagKey("tournament-webhooks")


class TestMappingSource(FlagSourceContract):
    """Settings."""

    def make(self, flags: Mapping[str, object], *, version: int) -> FlagSource:
        """Build one."""
        return MappingSource(flags, version=version)

    def change(self, source: FlagSource, flags: Mapping[str, object], *, version: int) -> None:
        """Hand over another mapping."""
        assert isinstance(source, MappingSource)
        source.replace(flags, version=version)

    def spoil(self, source: FlagSource) -> None:
        """Hand over a percentage of 101."""
        assert isinstance(source, MappingSource)
        source.replace({KEY: {"percentage": "101"}}, version=99)


class TestEnvironmentSource(FlagSourceContract):
    """Environment variables."""

    keeps_versions = False

    def make(self, flags: Mapping[str, object], *, version: int) -> FlagSource:
        """Build one."""
        self.environ: dict[str, str] = {}
        self._set(flags)
        return EnvironmentSource([KEY], environ=self.environ)

    def change(self, source: FlagSource, flags: Mapping[str, object], *, version: int) -> None:
        """Set the variables anew."""
        self._set(flags)

    def spoil(self, source: FlagSource) -> None:
        """Set a percentage of 101."""
        self.environ[variable_of(KEY)] = "101"

    def _set(self, flags: Mapping[str, object]) -> None:
        self.environ.clear()
        self.environ.update({variable_of(key): json.dumps(flag) for key, flag in flags.items()})


class TestJsonFile(FlagSourceContract):
    """A JSON file."""

    suffix = "json"

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / f"flags.{self.suffix}"

    def make(self, flags: Mapping[str, object], *, version: int) -> FlagSource:
        """Write the file."""
        self._write(flags, version)
        return FileSource(self.path)

    def change(self, source: FlagSource, flags: Mapping[str, object], *, version: int) -> None:
        """Write it again."""
        self._write(flags, version)

    def spoil(self, source: FlagSource) -> None:
        """Cut it off in the middle."""
        self.path.write_text(self.path.read_text()[:-9])

    def _write(self, flags: Mapping[str, object], version: int) -> None:
        self.path.write_text(json.dumps({"schema": 1, "version": version, "flags": flags}))


class TestTomlFile(TestJsonFile):
    """A TOML file."""

    suffix = "toml"

    def _write(self, flags: Mapping[str, object], version: int) -> None:
        lines = ["schema = 1", f"version = {version}"]
        for key, flag in flags.items():
            assert isinstance(flag, dict)
            lines.append(f"[flags.{key}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in flag.items()]
        lines += [] if flags else ["[flags]"]
        self.path.write_text("\n".join(lines) + "\n# the end")

    def spoil(self, source: FlagSource) -> None:
        """Cut it off in the middle."""
        self.path.write_text(self.path.read_text().replace("\n# the end", "\n[flags"))
