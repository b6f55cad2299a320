"""Permits pass the suite of their port: the rollout's, the one that always sends, and one of a project's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from rollout.django.permit import send_permit
from rollout.django.permit import test_permit as permit_of_tests
from tests.integration.django.project import hold_everything, project
from webhooks_core.delivery import PermitVerdict, SendPermit, always_send
from webhooks_core.testing.contracts import SendPermitContract


class InProject(SendPermitContract):
    """The world of a permit is the settings and a kill file."""

    @pytest.fixture(autouse=True)
    def _project(self, tmp_path: Path) -> Iterator[None]:
        self.kill_file = tmp_path / "kill"
        self.overrides: list[override_settings] = []
        yield
        for override in reversed(self.overrides):
            override.disable()

    def change(self, percentage: object) -> None:
        """Put a percentage in force; the switches are on."""
        override = override_settings(
            **project(percentage, ROLLOUT={"KILL_FILE": str(self.kill_file)}),
        )
        override.enable()
        self.overrides.append(override)


class TestRolloutPermit(InProject):
    """The gate, asked again: 100 % sends, 0 % holds, flags that cannot be read wait."""

    def make_permit(self, verdict: PermitVerdict) -> SendPermit:
        self.change(
            {PermitVerdict.SEND: 100, PermitVerdict.HOLD: 0, PermitVerdict.WAIT: "no percentage"}[verdict]
        )
        return send_permit


class TestTestSendPermit(InProject):
    """A test send: only the kill file stops it."""

    verdicts = (PermitVerdict.SEND, PermitVerdict.HOLD)

    def make_permit(self, verdict: PermitVerdict) -> SendPermit:
        self.change(0)
        self.kill_file.unlink(missing_ok=True)
        if verdict is PermitVerdict.HOLD:
            self.kill_file.touch()
        return permit_of_tests


class TestAlwaysSend(SendPermitContract):
    """Senders without a rollout."""

    verdicts = (PermitVerdict.SEND,)

    def make_permit(self, verdict: PermitVerdict) -> SendPermit:
        return always_send


class TestPermitOfAProject(SendPermitContract):
    """One function, as a project may write it."""

    verdicts = (PermitVerdict.HOLD,)

    def make_permit(self, verdict: PermitVerdict) -> SendPermit:
        return hold_everything
