"""`webhooks_core.testing.outbox`: the twin of Django's `mail.outbox`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
import unittest
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from django.core import mail
from django.db import transaction
from django.test import SimpleTestCase, TestCase, override_settings

from rollout.django import Dispatched, dispatch
from tests.integration.django.project import FLAG, Override, project
from webhooks_core.django import wiring
from webhooks_core.django.models import Delivery
from webhooks_core.testing import Captured, FakeTransport, outbox, real_delivery
from webhooks_core.testing.captured import Outbox

ROOT = Path(__file__).parents[3]
NAME = "webhooks_core.testing.pytest_plugin"
IS_INSTALLED = any(point.value == NAME for point in entry_points(group="pytest11"))
PLUGIN = () if IS_INSTALLED else ("-p", NAME)  # where the package is installed, pytest finds it by itself


def send(number: int = 101) -> Dispatched:
    """Dispatch one event."""
    return dispatch("payment_verified", {"tournament_id": number}, tournament_id=number)


def test_it_is_a_list_of_what_would_have_been_sent(sends: None) -> None:
    """Length, index, slice, iteration, comparison, truth."""
    assert outbox == []
    assert not outbox

    send(1)
    send(2)

    assert len(outbox) == 2
    assert outbox[0].data == {"tournament_id": 1}
    assert [captured.unit for captured in outbox] == ["1", "2"]
    assert [captured.unit for captured in outbox[1:]] == ["2"]
    assert outbox[-1] in outbox
    assert outbox.events() == ["payment_verified", "payment_verified"]
    assert outbox == list(outbox)
    assert outbox != []
    outbox.clear()
    assert outbox == []


def test_what_is_captured_are_the_bytes_that_would_be_signed(sends: None) -> None:
    """`data` and `metadata` are read from them, as a receiver does."""
    send()

    captured = outbox[0]
    assert captured.body.startswith(b'{"event":"payment_verified","data":{"tournament_id":101},"metadata":')
    assert captured.metadata == {"webhook_id": captured.webhook_id}
    assert captured.endpoint_id == "default"
    assert captured.decision


def test_its_repr_shows_no_body(sends: None) -> None:
    """A failed assertion is printed."""
    send()

    assert "tournament_id" not in repr(outbox)
    assert repr(outbox[0]) == f"<Captured payment_verified to default, webhook_id={outbox[0].webhook_id}>"


def test_a_closed_gate_and_a_blocked_event_leave_it_empty(using: Override) -> None:
    """Captured after gate, envelope and PII check."""
    with using(0):
        send()
    with using(100):
        dispatch("payment_verified", {"tournament_id": 1, "name": "somebody"}, tournament_id=1)

    assert outbox == []


@pytest.mark.django_db
def test_it_works_inside_a_transaction_that_never_commits(sends: None) -> None:
    """As every `TestCase` is."""
    with transaction.atomic():
        send()
        assert len(outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_real_delivery_waits_for_the_commit(using: Override, wire: FakeTransport) -> None:
    """The `wire` fixture has switched real delivery on: nothing is captured, all is as in production."""
    with using(100, WEBHOOKS={"ENGINE": "inline"}), transaction.atomic():
        send()
        assert wire.sent == []

    assert len(wire.sent) == 1
    assert outbox == []


@pytest.mark.django_db(transaction=True)
def test_real_delivery_with_the_default_engine_leaves_a_row(sends: None) -> None:
    """Nothing is captured; a worker would send it."""
    with real_delivery():
        sent = send()
    wiring.sending.forget()

    assert [row.webhook_id for row in Delivery.objects.all()] == list(sent.webhook_ids)
    assert outbox == []


def test_real_delivery_ends_with_its_block_and_nests(sends: None) -> None:
    """And an exception ends it too."""
    with pytest.raises(ZeroDivisionError), real_delivery(), real_delivery():
        raise ZeroDivisionError

    send()

    assert len(outbox) == 1


def test_a_new_mail_outbox_means_a_new_test() -> None:
    """Django's runner gives each test a new `mail.outbox`, and so the webhooks of the last one are gone."""
    box = Outbox()
    send_to = Captured(delivery=None)  # type: ignore[arg-type]
    box.append(send_to)
    assert list(box) == [send_to]

    before, mail.outbox = mail.outbox, []
    try:
        assert box == []
    finally:
        mail.outbox = before


@override_settings(**project())
class OfDjango(TestCase):
    """Run by Django's own means below: captured per test, without a commit."""

    @classmethod
    def setUpTestData(cls) -> None:
        """Send something before any test."""
        send(1)

    def test_a(self) -> None:
        """See only what this test sends."""
        send(2)
        assert [captured.unit for captured in outbox] == ["2"]

    def test_b(self) -> None:
        """See nothing of the test before."""
        assert outbox == []
        with self.captureOnCommitCallbacks(execute=True):
            send(3)
        assert [captured.unit for captured in outbox] == ["3"]


@override_settings(**project())
class WithoutDatabase(SimpleTestCase):
    """The same without a database, which such a test may not touch."""

    def test_a(self) -> None:
        """See only what this test sends."""
        send(2)
        assert [captured.unit for captured in outbox] == ["2"]

    def test_b(self) -> None:
        """See nothing of the test before."""
        assert outbox == []


@pytest.mark.django_db(transaction=True)
def test_django_s_own_test_cases_see_an_outbox_of_their_own() -> None:
    """Without any help of pytest: the suite is run by unittest, in this process."""
    suite = unittest.TestSuite()
    for case in (WithoutDatabase("test_a"), WithoutDatabase("test_b")):
        suite.addTest(case)
    result = unittest.TestResult()

    suite.run(result)

    assert result.wasSuccessful(), result.failures + result.errors
    assert result.testsRun == 2


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a project of its own."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{cwd}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


SETTINGS = f"""
    SECRET_KEY = "x"
    USE_TZ = True
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
    INSTALLED_APPS = ["rollout.django", "webhooks_core.django"]
    NOTIFICATIONS_WEBHOOK_ENABLED = True
    WEBHOOK_ENDPOINT = "https://api.example.com/"
    WEBHOOK_SECRET = "{"0123456789abcdef" * 4}"
    ROLLOUT = {{"FLAGS": {{"{FLAG}": {{"percentage": 100}}}}}}
    WEBHOOKS = {{"ENVIRONMENT": "test", "EVENTS": {{"ping": {{}}}}}}
"""

PYTEST = """
    from rollout.django import dispatch
    from webhooks_core.testing import outbox

    def test_one(webhook_outbox):
        dispatch("ping", {}, tournament_id=1)
        assert len(outbox) == 1
        assert webhook_outbox is outbox

    def test_two():
        assert outbox == []
"""

RUNNER = """
    from django.test import TestCase
    from rollout.django import dispatch
    from webhooks_core.testing import outbox

    class Case(TestCase):
        def test_one(self):
            dispatch("ping", {}, tournament_id=1)
            self.assertEqual(len(outbox), 1)

        def test_two(self):
            self.assertEqual(outbox, [])
"""


def project_in(place: Path, tests: str) -> None:
    """Write a project with one file of tests."""
    (place / "project_settings.py").write_text(textwrap.dedent(SETTINGS))
    (place / "test_it.py").write_text(textwrap.dedent(tests))


def test_a_pytest_project_needs_nothing_but_the_plugin(tmp_path: Path) -> None:
    """The plugin empties the outbox between plain functions."""
    project_in(tmp_path, PYTEST)

    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        *PLUGIN,
        "--ds=project_settings",
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_project_with_django_s_runner_needs_nothing_at_all(tmp_path: Path) -> None:
    """`manage.py test` sets the test environment up, and that is all."""
    project_in(tmp_path, RUNNER)

    done = run(sys.executable, "-m", "django", "test", "--settings=project_settings", "-v0", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr


def test_what_is_allowed_in_debug_is_allowed_in_its_tests(tmp_path: Path) -> None:
    """Django's runner turns DEBUG off: a laptop's settings must not fail their checks for that."""
    project_in(tmp_path, RUNNER)
    settings = (tmp_path / "project_settings.py").read_text()
    settings = settings.replace("https://api.example.com/", "http://api.example.com/")
    settings = settings.replace('"ENVIRONMENT": "test", ', "")
    (tmp_path / "project_settings.py").write_text(settings + "DEBUG = True\n")

    done = run(sys.executable, "-m", "django", "test", "--settings=project_settings", "-v0", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr


def test_the_plugin_loads_neither_django_nor_us(tmp_path: Path) -> None:
    """It is loaded in every pytest run of every project that has the package installed."""
    code = """
        import sys
        import pytest
        import webhooks_core.testing.pytest_plugin
        ours = ("django", "webhooks_core", "rollout")
        print(*sorted(name for name in sys.modules if name.partition(".")[0] in ours))
    """

    done = run(sys.executable, "-c", textwrap.dedent(code), cwd=tmp_path)

    assert done.stdout.split() == [
        "webhooks_core",
        "webhooks_core.testing",
        "webhooks_core.testing.pytest_plugin",
    ]
    assert importlib.util.find_spec("webhooks_core.testing.pytest_plugin") is not None


def test_a_project_that_keeps_its_e_mail_in_memory_still_sends(tmp_path: Path) -> None:
    """The locmem backend makes a `mail.outbox` outside tests too: no reason to swallow webhooks."""
    project_in(tmp_path, "")
    code = """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
        import django
        django.setup()
        from django.core import mail
        mail.get_connection("django.core.mail.backends.locmem.EmailBackend").send_messages([])
        from webhooks_core.django.wiring import capture
        print(hasattr(mail, "outbox"), capture())
        from django.test.utils import setup_test_environment, teardown_test_environment
        setup_test_environment()
        print(capture().__name__)
        teardown_test_environment()
        print(capture())
    """

    done = run(sys.executable, "-c", textwrap.dedent(code), cwd=tmp_path)

    assert done.stdout.splitlines() == ["True None", "capture", "None"], done.stderr


def test_a_pytest_run_without_django_is_left_alone(tmp_path: Path) -> None:
    """The plugin does nothing where nothing of ours is used."""
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")

    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:django", *PLUGIN, cwd=tmp_path)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
