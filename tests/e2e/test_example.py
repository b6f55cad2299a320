"""The example project works as the runbook says, in processes of its own."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from example_process import EXAMPLE, environment, manage

pytestmark = [pytest.mark.network, pytest.mark.slow]

SECRET = "e2e-only-0123456789abcdef0123456789abcdef0123456789abcdef"
SNIPPET = """
from apps.tournaments.models import PaymentVerification
pv = PaymentVerification.objects.filter(status='pending').first()
pv.status = 'verified'
pv.save()
"""
SETUP = """
from django.contrib.auth.models import User
from apps.tournaments import services
from apps.tournaments.models import Tournament
player = User.objects.create(username='zoe', email='zoe@example.org')
services.submit_payment(services.register(Tournament.objects.create(name='Cup'), player))
"""


@contextmanager
def receiver(*, log: Path | None = None) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Serve the example's receiver; yield its port and its process."""
    child = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "manage.py"), "serve_receiver"],
        cwd=EXAMPLE,
        env=environment(
            DJANGO_SETTINGS_MODULE="deltacrown.settings.receiver",
            WEBHOOK_SECRET=SECRET,
            RECEIVER_REHEARSAL="1",
            **({"RECEIVER_LOG": str(log)} if log else {}),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        yield int(json.loads(child.stdout.readline())["port"]), child
        child.kill()


def get(port: int, path: str) -> tuple[int, object]:
    """Ask the receiver."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_examples_own_tests_pass() -> None:
    """`manage.py test`: the services, the signals, the receiver."""
    done = manage("test", "test", "apps")

    assert done.returncode == 0, done.stderr
    assert re.search(r"Ran (\d+) tests", done.stderr)


@pytest.mark.parametrize("settings", ["development", "staging", "production", "test"])
def test_every_environments_settings_pass_the_system_checks(settings: str, tmp_path: Path) -> None:
    """A copied settings file starts without an error or a warning of ours; its environment is given."""
    flags = tmp_path / "flags.json"
    flags.write_text('{"schema": 1, "version": 1, "flags": {"tournament-webhooks": {"percentage": "0"}}}')

    done = manage(
        settings,
        *("check", "--deploy"),
        ROLLOUT_FILE=str(flags),
        DJANGO_SECRET_KEY="x" * 60 + "abcde",
        WEBHOOK_SECRET=SECRET,
        WEBHOOK_ENDPOINT="https://api.deltacrown.example/webhooks/inbound",
        DELTACROWN_LOG=str(tmp_path / "log"),
        ROLLOUT_KILL_FILE=str(tmp_path / "kill"),
    )

    assert done.returncode == 0, done.stderr
    assert re.findall(r"\((?:webhooks|rollout)\.[EW]\d+\)", done.stderr) == []


def test_production_is_fit_to_be_deployed(tmp_path: Path) -> None:
    """`check --deploy`, with every warning an error: PostgreSQL, and an engine that outlives its process."""
    flags = tmp_path / "flags.json"
    flags.write_text('{"schema": 1, "version": 1, "flags": {"tournament-webhooks": {"percentage": "0"}}}')
    code = (
        "from django.conf import settings; from webhooks_core.django import conf; "
        "print(conf.current().engine, settings.DATABASES['default']['ENGINE'])"
    )
    given = {
        "ROLLOUT_FILE": str(flags),
        "DJANGO_SECRET_KEY": "x-Y7_q" * 12,
        "WEBHOOK_SECRET": SECRET,
        "NOTIFICATIONS_WEBHOOK_ENABLED": "true",
        "DELTACROWN_LOG": str(tmp_path / "log"),
        "ROLLOUT_KILL_FILE": str(tmp_path / "kill"),
    }

    checked = manage("production", "check", "--deploy", "--fail-level", "WARNING", **given)
    asked = manage("production", "shell", "-v0", "-c", code, **given)

    assert checked.returncode == 0, checked.stderr
    assert asked.stdout.split() == ["worker", "django.db.backends.postgresql"], asked.stderr


def test_the_migrations_are_complete() -> None:
    """No model differs from its migrations."""
    done = manage("test", "makemigrations", "--check", "--dry-run")

    assert done.returncode == 0, done.stdout + done.stderr


def test_untouched_the_production_settings_send_nothing(tmp_path: Path) -> None:
    """Nobody has turned the switch on: the gate is closed, and says which step closed it."""
    code = "from rollout.django.wiring import gate; d = gate(101); print(bool(d), d.detail)"

    done = manage(
        "production",
        *("shell", "-c", code),
        DJANGO_SECRET_KEY="x" * 60,
        WEBHOOK_SECRET=SECRET,
        DELTACROWN_LOG=str(tmp_path / "log"),
        ROLLOUT_KILL_FILE=str(tmp_path / "kill"),
    )

    assert done.returncode == 0, done.stderr
    assert "False master switch" in done.stdout


def test_the_shell_snippet_of_the_runbook_reaches_a_receiver(tmp_path: Path) -> None:
    """Phase 1, step 4: two shells, a worker, one receiver process, the log lines on both ends."""
    flags = {"tournament-webhooks": {"percentage": "100", "unit": "tournament_id"}}
    (tmp_path / "flags.json").write_text(json.dumps({"schema": 1, "version": 1, "flags": flags}))
    log = tmp_path / "receiver.log"

    with receiver(log=log) as (port, _):
        given = {
            "DEMO_FOLDER": str(tmp_path),
            "WEBHOOK_ENDPOINT": f"http://127.0.0.1:{port}/webhooks/inbound",
            "WEBHOOK_SECRET": SECRET,
        }
        for arguments in (
            ("migrate", "-v0"),
            ("shell", "-c", SETUP),
            ("shell", "-c", SNIPPET),
            ("webhooks", "worker", "--once"),
        ):
            done = manage("demo", *arguments, **given)
            assert done.returncode == 0, done.stderr
        _, report = get(port, "/webhooks/rehearsal/report?last=1")

    assert isinstance(report, dict)
    assert [(hook["event"], hook["tournament_id"]) for hook in report["verified"]] == [
        ("payment_verified", 1)
    ]
    body = json.loads(report["kept"][0]["body"])
    assert body["data"] == {"tournament_id": 1, "recipient_count": 1}
    assert {"created": 1, "email_sent": 1}.items() <= body["metadata"].items()
    sent = (tmp_path / "deltacrown.log").read_text()
    assert re.search(r"\[INFO\] Attempting webhook delivery \(attempt 1/3\): event=payment_verified", sent)
    assert re.search(r"\[INFO\] Webhook delivered successfully: event=payment_verified, status=200", sent)
    received = log.read_text()
    for line in (
        r"\[INFO\] Received webhook: event=payment_verified, webhook_id=",
        r"\[INFO\] Signature valid: True",
        r"\[INFO\] Timestamp age: 0s \(fresh\)",
        r"\[INFO\] Processing payment verification for tournament_id=1",
        r"X-Webhook-Signature: (?:[0-9a-f]|%3[0-9]){14}",
    ):
        assert re.search(line, received), (line, received)


def test_the_receiver_is_healthy_and_ends_when_its_parent_does() -> None:
    """No orphan: standard input closes, and the process is gone, whatever happened to the parent."""
    with receiver() as (port, child):
        assert get(port, "/webhooks/health") == (200, {"status": "healthy"})

        assert child.stdin is not None
        child.stdin.close()

        assert child.wait(10) == 0


def test_the_demo_ends_its_receiver_on_ctrl_c() -> None:
    """SIGINT in the middle: status 130, no traceback, and nothing is left running."""
    demo = subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLE / "demo.py"), "--quick"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("1. "):
            break
    children = _children(demo.pid)
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=20)

    assert demo.returncode == 130
    assert "Traceback" not in errors
    assert children
    deadline = time.monotonic() + 5
    while any(_is_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if _is_alive(pid)]


def _children(parent: int) -> list[int]:
    """Return the process ids of *parent*'s children, where the system tells."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


def _is_alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")
