"""The runbook's level 4: our apps out of `INSTALLED_APPS`, and the notifications still working."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core import mail
from django.test import override_settings

from rollout import Reason
from rollout.django import dispatch, gate
from tests.integration.django.project import Override
from webhooks_core.testing import outbox

ROOT = Path(__file__).parents[3]
BARE = ["django.contrib.contenttypes", "django.contrib.auth"]


@pytest.mark.parametrize(
    "left", [[], ["rollout.django"], ["webhooks_core.django"]], ids=["none", "rollout", "webhooks"]
)
def test_without_our_apps_dispatch_is_closed_and_the_rest_goes_on(using: Override, left: list[str]) -> None:
    """Whatever the settings that were left behind say."""
    with using(INSTALLED_APPS=[*BARE, *left]):
        dispatched = dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)
        mail.send_mail("Verified", "…", "from@example.org", ["to@example.org"])

    assert not dispatched
    assert (dispatched.decision.reason, dispatched.decision.detail) == (
        Reason.DISABLED,
        "not in INSTALLED_APPS",
    )
    assert outbox == []
    assert len(mail.outbox) == 1


def test_without_our_apps_the_gate_is_closed(using: Override) -> None:
    """In all its forms."""
    with using(INSTALLED_APPS=BARE):
        assert not gate(101)
        assert not gate.is_open(101)
        assert not gate.recheck(101)


def test_once_they_are_back_it_works_again(using: Override) -> None:
    """Nothing of the time without them is kept."""
    with using(INSTALLED_APPS=BARE):
        assert not gate(101)
    with using():
        assert gate(101)


PROGRAM = """
import sys
{setup}
from rollout.django import dispatch
dispatched = dispatch("payment_verified", {{"tournament_id": 101}}, tournament_id=101)
print(bool(dispatched), dispatched.decision.value, dispatched.decision.reason.value)
"""


@pytest.mark.parametrize(
    ("setup", "reason"),
    [
        ("from django.conf import settings; settings.configure(); import django; django.setup()", "DISABLED"),
        (
            "from django.conf import settings; import django; "
            "settings.configure(NOTIFICATIONS_WEBHOOK_ENABLED=True, ROLLOUT=7); django.setup()",
            "DISABLED",
        ),
        ("from django.conf import settings; settings.configure()", "ERROR"),
        ("", "ERROR"),
    ],
    ids=["bare project", "settings left behind", "apps not ready", "no settings at all"],
)
def test_it_imports_and_is_closed_in_a_process_of_its_own(setup: str, reason: str) -> None:
    """Nothing that Django has not got ready yet comes out as an exception."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout.split()) == (0, ["False", "False", reason]), done.stderr


def test_importing_our_apps_builds_nothing() -> None:
    """No connection, no thread, no transport at import or start-up."""
    code = (
        "import django, threading, sys; django.setup(); import rollout.django.dispatcher; "
        "print(threading.active_count(), 'requests' in sys.modules, 'urllib3' in sys.modules)"
    )
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.split() == ["1", "False", "False"], done.stderr


def test_the_settings_of_an_app_that_is_gone_are_nobody_s_business() -> None:
    """No check complains about them."""
    from django.core import checks

    with override_settings(INSTALLED_APPS=BARE, WEBHOOK_TIMEOUT=-1):
        assert dispatch("payment_verified", {}, tournament_id=1).decision.value is False
    assert checks.run_checks(tags=["webhooks"]) == []
