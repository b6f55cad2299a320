"""Both doors in real processes: after a fork, under gunicorn's preload, in many threads under reload."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from rollout import FileSource, FlagKey, Gate, KillFile, LiveFlags
from rollout.openfeature import RolloutProvider
from rollout.remote import Remote, RemoteFlags

ROOT = Path(__file__).parents[3]
KEY = "tournament-webhooks"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A flag file that lets everybody in."""
    path = tmp_path / "flags.json"
    write(path, 100, version=1)
    return path


def write(path: Path, percentage: int, *, version: int) -> None:
    """Put a percentage in force, in one step."""
    new = path.with_suffix(".new")
    flags = {KEY: {"percentage": percentage}}
    new.write_text(json.dumps({"schema": 1, "version": version, "flags": flags}))
    os.replace(new, path)


def in_a_child(function: Callable[[], Any]) -> Any:
    """Return what *function* returns in a forked child."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(there, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_both_doors_work_after_a_fork(file: Path, tmp_path: Path) -> None:
    """The provider reads the file anew; the gate's asking threads are made anew."""
    kill = KillFile(str(tmp_path / "kill"))
    api.set_provider_and_wait(RolloutProvider(LiveFlags(FileSource(file), kill=kill, refresh_seconds=0)))
    api.set_provider_and_wait(InMemoryProvider({KEY: InMemoryFlag("on", {"on": True})}), "other")
    client = api.get_client()
    gate = Gate(
        KEY, RemoteFlags(Remote(flags={FlagKey(KEY): KEY}, domain="other", timeout_seconds=5), kill=kill)
    )
    before = [client.get_boolean_value(KEY, False, EvaluationContext("101")), gate(101).value]

    def child() -> list[bool]:
        write(file, 0, version=2)
        return [client.get_boolean_value(KEY, False, EvaluationContext("101")), gate(101).value]

    after = in_a_child(child)

    assert before == [True, True]
    assert after == [False, True]


def test_a_handler_added_in_a_forked_child_hears_each_change(tmp_path: Path) -> None:
    """In a process of its own: where the SDK has called a handler before the fork, its threads are gone."""
    command = [sys.executable, "-m", "tests.integration.openfeature.forked_handlers", str(tmp_path / "kill")]

    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (said.stdout, said.returncode) == ("['f']\n['f']\n", 0), said.stderr


@contextmanager
def gunicorn_over(module: str, environ: dict[str, str]) -> Iterator[str]:
    """Two workers of a preloaded application; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "--log-level", "error", f"{module}:application"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@pytest.fixture
def gunicorn(file: Path, tmp_path: Path) -> Iterator[str]:
    """One whose provider is ours."""
    environ = {"PRELOADED_FLAGS": str(file), "PRELOADED_KILL": str(tmp_path / "kill")}
    with gunicorn_over("tests.integration.openfeature.preloaded", environ) as address:
        yield address


def ask(address: str) -> dict[str, Any]:
    """Ask a worker; wait until there is one."""
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                said: dict[str, Any] = json.load(answer)
                return said
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def ask_both(address: str) -> list[dict[str, Any]]:
    """Ask each of the two workers: one waits for the rest of its request while the other answers."""
    ask(address)
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as held:
        held.sendall(b"GET / HTTP/1.0\r\n")
        other = ask(address)
        held.sendall(b"\r\n")
        answer = b"".join(iter(lambda: held.recv(65_536), b""))
    return [other, json.loads(answer.split(b"\r\n\r\n", 1)[1])]


@pytest.mark.network
def test_gunicorns_preload_keeps_nothing_back(gunicorn: str, file: Path, tmp_path: Path) -> None:
    """Set and asked in the parent; each worker sees the changed file, and the kill file."""
    before = ask_both(gunicorn)
    write(file, 0, version=2)
    changed = ask_both(gunicorn)
    write(file, 100, version=3)
    KillFile(str(tmp_path / "kill")).pull()
    killed = ask_both(gunicorn)

    for both in (before, changed, killed):
        assert len({both[0]["pid"], both[1]["pid"], both[0]["parent"]}) == 3
    assert [(each["first"], each["provider"], each["gate"]) for each in before] == [
        ([True, True], True, True)
    ] * 2
    assert {(each["provider"], each["version"], each["gate"]) for each in changed} == {(False, 2, False)}
    assert {(each["provider"], each["gate"]) for each in killed} == {(False, False)}


def test_eight_threads_get_no_wrong_answer_under_reload(file: Path, tmp_path: Path) -> None:
    """Each answer is one of a whole configuration: value and version belong together."""
    live = LiveFlags(FileSource(file), kill=KillFile(str(tmp_path / "kill")), refresh_seconds=0)
    api.set_provider_and_wait(RolloutProvider(live))
    client, wrong, ends, asked = api.get_client(), [], threading.Event(), [0] * 8

    def work(number: int) -> None:
        while not ends.is_set():
            details = client.get_boolean_details(KEY, False, EvaluationContext("101"))
            asked[number] += 1
            if details.value is not (int(details.flag_metadata["version"]) % 2 == 1):
                wrong.append(details)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for version in range(2, 30):
        write(file, 100 * (version % 2), version=version)
        time.sleep(0.01)
    ends.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert min(asked) > 0
