"""Bad settings at run time: checks do not run under WSGI, so the gate itself stays closed, reason ERROR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from rollout import Reason
from rollout.django import dispatch, gate
from tests.integration.django.project import FLAG, SECRET, URL, Override
from webhooks_core.testing import outbox

EXAMPLE = "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456"  # gitleaks:allow

BAD: list[dict[str, Any]] = [
    {"NOTIFICATIONS_WEBHOOK_ENABLED": "enabled"},
    {"WEBHOOK_ENDPOINT": "https://"},
    {"WEBHOOK_ENDPOINT": "https://user:pass@example.com/"},
    {"WEBHOOK_ENDPOINT": "https://example.com/#fragment"},
    {"WEBHOOK_ENDPOINT": "file:///etc/passwd"},
    {"WEBHOOK_ENDPOINT": "http://api.example.com/"},
    {"WEBHOOK_ENDPOINT": "https://169.254.169.254/"},
    {"WEBHOOK_ENDPOINT": "https://0177.1/"},
    {"WEBHOOK_ENDPOINT": "https://[::ffff:127.0.0.1]/"},
    {"WEBHOOK_SECRET": None},
    {"WEBHOOK_SECRET": "short"},
    {"WEBHOOK_SECRET": EXAMPLE},
    {"WEBHOOK_SECRET": "tests.integration.django.test_bad_settings.broken_provider"},
    {"WEBHOOK_TIMEOUT": 0},
    {"WEBHOOK_TIMEOUT": 61},
    {"WEBHOOK_MAX_RETRIES": 0},
    {"WEBHOOK_MAX_RETRIES": 21},
    {"WEBHOOK_REPLAY_WINDOW_SECONDS": 0},
    {"WEBHOOK_CB_WINDOW_SECONDS": 0},
    {"WEBHOOK_CB_MAX_FAILS": 0},
    {"WEBHOOK_CB_OPEN_SECONDS": 0},
    {"WEBHOOKS": {"ENVIROMENT": "staging"}},
    {"WEBHOOKS": {"ENVIRONMENT": None}},
    {"WEBHOOKS": {"ENDPOINTS": {"eu": {"URL": URL, "SECRET": SECRET}}}},
    {"WEBHOOKS": {"ENDPOINTS": {"eu": {"URL": URL}}}},
    {"WEBHOOKS": "text"},
    {"WEBHOOKS": {"ENGINE": "telepathy"}},
    {"ROLLOUT": {"FLAG_NAME": "x"}},
    {"ROLLOUT": {"FILE": "/srv/flags.json"}},
    {"ROLLOUT": {"REFRESH_SECONDS": 31}},
    *[
        {"ROLLOUT": {"FLAGS": {FLAG: {"percentage": bad}}}}
        for bad in (float("nan"), -1, 101, "50%", "1e400", True, 12.5, None, [])
    ],
    {"ROLLOUT": {"FLAGS": {FLAG: {"percentge": 5}}}},
    {"ROLLOUT": {"FLAGS": "text"}},
    {"ROLLOUT": 7},
]


def broken_provider() -> str:
    """A provider whose vault is away."""
    raise ConnectionError(SECRET)


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_a_bad_value_closes_the_gate_with_reason_error_and_nothing_else(
    using: Override, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Contract §1: closed, reason ERROR, the process and the e-mail go on, no secret in the log."""
    with using(**changes):
        dispatched = dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)
        mail.send_mail("Verified", "…", "from@example.org", ["to@example.org"])

    assert not dispatched
    assert dispatched.decision.value is False
    assert dispatched.decision.reason is Reason.ERROR
    assert outbox == []
    assert len(mail.outbox) == 1
    assert SECRET not in caplog.text
    assert EXAMPLE not in caplog.text


def test_a_bad_value_while_switched_off_is_simply_off(using: Override) -> None:
    """The order of decision: the master switch comes first."""
    with using(NOTIFICATIONS_WEBHOOK_ENABLED=False, WEBHOOK_TIMEOUT=0):
        assert gate(101).reason is Reason.DISABLED


def test_the_decision_names_the_bad_setting(using: Override) -> None:
    """So that a person finds it without the check."""
    with using(WEBHOOK_TIMEOUT=0):
        assert "WEBHOOK_TIMEOUT" in gate(101).detail


def test_a_mended_setting_opens_the_gate_again(using: Override) -> None:
    """Nothing of a bad value is kept."""
    with using(WEBHOOK_TIMEOUT=0):
        assert not gate(101)
    with using(WEBHOOK_TIMEOUT=5):
        assert gate(101)


def write(file: Path, text: str) -> None:
    """Replace *file* as an editor does."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


GOOD = '{"schema": 1, "version": 7, "flags": {"tournament-webhooks": {"percentage": 100}}}'


@pytest.mark.parametrize(
    "bad",
    [
        "",
        GOOD[:-9],
        GOOD.replace("100", "101"),
        GOOD.replace("100", "NaN"),
        GOOD.replace("100", '"50%"'),
        GOOD.replace("percentage", "percentge"),
        GOOD.replace('"version": 7', '"version": 6').replace("100", "0"),
    ],
    ids=["empty", "truncated", "101", "NaN", "50%", "misspelt", "older"],
)
def test_a_broken_edit_of_the_flag_file_keeps_the_last_good_one(
    using: Override, tmp_path: Path, bad: str
) -> None:
    """Contract §2, fail safe: last known good where there is one, off where there is none."""
    file = tmp_path / "flags.json"
    file.write_text(GOOD)

    with using(ROLLOUT={"FLAGS": None, "FILE": str(file)}):
        assert gate(101)
        write(file, bad)
        assert gate(101)
    if "older" not in bad and '"version": 6' not in bad:
        with using(ROLLOUT={"FLAGS": None, "FILE": str(file)}):
            assert gate(101).reason is Reason.ERROR


def test_a_flag_file_that_is_not_there_lets_nobody_in(using: Override, tmp_path: Path) -> None:
    """Off where there is none; and in again as soon as it is there."""
    file = tmp_path / "flags.json"

    with using(ROLLOUT={"FLAGS": None, "FILE": str(file)}):
        assert gate(101).reason is Reason.ERROR
        file.mkdir()
        assert not gate(101)
        file.rmdir()
        file.write_text(GOOD)
        assert gate(101)
