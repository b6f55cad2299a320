"""Threads share a transport, children of a fork do not, and no descriptor is left behind."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from webhooks_core.errors import WebhookError
from webhooks_core.transport import requests as module
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_eight_threads_share_one_transport(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, scheme: str
) -> None:
    """Every attempt gets its own answer, over at most a connection a thread."""

    def echoes(peer: Any) -> None:
        while request := peer.read():
            body = request.partition(b"\r\n\r\n")[2]
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    receiver = serve(echoes, tls=authority.server("127.0.0.1") if scheme == "https" else None)
    wrong: list[object] = []

    def work(worker: int) -> None:
        for number in range(25):
            body = b"%d/%d" % (worker, number)
            request = attempt(receiver.url(scheme=scheme), body=body, ca_bundle=authority.bundle)
            if (found := transport.send(request).body) != body:
                wrong.append((body, found))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert wrong == []
    assert len(receiver.requests) == 200
    assert receiver.connections <= 8


STUCK = """
import threading
from webhooks_core import Endpoint, KeyRing
from webhooks_core.errors import TimedOut
from webhooks_core.transport.base import Request
from webhooks_core.transport.requests import RequestsTransport

url = "https://stuck.example/"
endpoint = Endpoint(url=url, keys=KeyRing.of("0123456789" * 4))
transport = RequestsTransport(resolve=lambda *_: threading.Event().wait())
try:
    transport.send(Request(url=url, headers={}, body=b"{}", timeout_seconds=0.05, endpoint=endpoint))
except TimedOut:
    print("left")
"""


def test_a_process_ends_though_its_resolver_hangs() -> None:
    """A worker that is told to stop is not held by a name server."""
    out = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=10, check=True
    )

    assert (out.stdout, out.stderr) == ("left\n", "")


def test_no_more_than_the_pool_size_stays_open(serve: Any, attempt: Any) -> None:
    """A burst is served, then its connections are closed but two."""
    together = threading.Barrier(6)
    closed = threading.Semaphore(0)

    def waits_for_all(peer: Any) -> None:
        peer.read()
        together.wait(5)
        peer.send(b"HTTP/1.1 204 No\r\n\r\n")
        peer.read()
        closed.release()

    receiver = serve(waits_for_all)
    with RequestsTransport(pool_size=2) as transport:
        threads = [threading.Thread(target=lambda: transport.send(attempt(receiver.url()))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        ended = [closed.acquire(timeout=2) for _ in range(4)]
        more = closed.acquire(timeout=0.05)

    assert receiver.connections == 6
    assert (ended, more) == ([True] * 4, False)


def in_child(work: Any) -> int:
    """Run *work* in a forked child; return its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads, which is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_child_opens_its_own_connections_and_the_parent_keeps_its_own(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, scheme: str
) -> None:
    """Gunicorn preload, Celery prefork: two processes never write to one socket."""
    receiver = serve(tls=authority.server("hooks.example") if scheme == "https" else None)
    request = attempt(receiver.url("hooks.example", scheme=scheme), ca_bundle=authority.bundle)
    transport.send(request)

    def child() -> None:
        assert [transport.send(request).status for _ in range(2)] == [200, 200]

    assert in_child(child) == 0
    assert in_child(child) == 0
    assert transport.send(request).status == 200
    assert (receiver.connections, len(receiver.requests)) == (3, 6)


def test_a_child_forked_in_the_middle_of_an_attempt_can_send(serve: Any, attempt: Any) -> None:
    """Locks that a parent's thread holds are not waited for: the child has its own world."""
    receiver = serve()
    with RequestsTransport(resolve=lambda *_: ["127.0.0.1"]) as transport:
        transport.send(attempt(receiver.url("hooks.example")))
        world = transport._worlds[os.getpid()]
        with world.idle._lock, world.resolver._changed:
            status = in_child(lambda: transport.send(attempt(receiver.url("hooks.example"))))

    assert status == 0


def test_what_was_inherited_is_closed_once_the_child_sends(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """Our copy of the parent's descriptor would keep its connection open after the parent has closed it."""
    receiver = serve()
    transport.send(attempt(receiver.url()))
    parent = transport._worlds.pop(os.getpid())
    transport._worlds[os.getpid() + 1] = parent

    transport.send(attempt(receiver.url()))

    assert list(transport._worlds) == [os.getpid()]
    assert not parent.idle._kept
    assert client_sockets({receiver.port}) == 1


def test_closing_leaves_what_was_inherited_alone(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """A child that never sent has nothing to close."""
    receiver = serve()
    transport.send(attempt(receiver.url()))
    parent = transport._worlds[os.getpid() + 1] = transport._worlds.pop(os.getpid())

    transport.close()

    assert (transport._worlds, len(parent.idle._kept)) == ({}, 1)
    parent.close()


def test_a_child_that_closes_leaves_the_parent_alone(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """`close` in a child ends the child's connections, not the parent's."""
    receiver = serve()
    transport.send(attempt(receiver.url()))

    assert in_child(transport.close) == 0
    transport.send(attempt(receiver.url()))

    assert receiver.connections == 1


def test_two_hundred_failures_leave_no_descriptor(serve: Any, attempt: Any, authority: Any) -> None:
    """Refused, reset, cut, too slow, not TLS, wrong certificate, blocked, no tunnel: all closed."""

    def script(end: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda peer: peer.connection.recv(65_536) and end(peer)

    cut = serve(script(lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")))
    reset = serve(script(lambda peer: peer.reset()))
    nonsense = serve(script(lambda peer: peer.send(b"nonsense\r\n\r\n")))
    late = serve(script(lambda peer: peer.hang()))
    wrong = serve(tls=authority.server("other.example"))
    requests = [attempt(receiver.url(), timeout=1) for receiver in (cut, reset, nonsense)]
    requests += [attempt(receiver.url(scheme="https"), timeout=1) for receiver in (reset, nonsense)]
    requests += [
        attempt(late.url(), timeout=0.01),
        attempt(wrong.url(scheme="https"), timeout=1, ca_bundle=authority.bundle),
        attempt(f"http://127.0.0.3:{wrong.port}/", timeout=1),
        attempt(cut.url(), timeout=1, allow_networks=()),
        attempt("https://hooks.example/", timeout=1, proxy=nonsense.url(path="")),
    ]
    failures = 0
    with RequestsTransport(resolve=lambda *_: ["127.0.0.1"]) as transport:
        for request in requests * 20:
            with pytest.raises(WebhookError):
                transport.send(request)
            failures += 1
        open_ones = client_sockets({receiver.port for receiver in (cut, reset, nonsense, late, wrong)})

    assert (failures, open_ones) == (200, 0)


def client_sockets(ports: set[int]) -> int:
    """Return how many open sockets of this process are connected to *ports* on loopback."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            held = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # no socket, or closed meanwhile
        with held:
            try:
                count += held.getpeername()[1] in ports
            except (OSError, IndexError):
                continue  # not connected, or not IP
    return count


def test_a_transport_that_is_dropped_closes_its_connections(serve: Any, attempt: Any) -> None:
    """Without `close`, too: no ResourceWarning, no descriptor."""
    receiver = serve()
    transport = RequestsTransport()
    transport.send(attempt(receiver.url()))
    assert client_sockets({receiver.port}) == 1

    del transport
    gc.collect()

    assert client_sockets({receiver.port}) == 0


def test_routes_are_forgotten_before_they_are_too_many(
    serve: Any, transport: RequestsTransport, attempt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL with a new token for each delivery must not fill the memory."""
    monkeypatch.setattr(module, "_MAX_ROUTES", 3)
    receiver = serve()

    for number in range(10):
        transport.send(attempt(receiver.url(path=f"/{number}")))
        transport.send(attempt(receiver.url(f"h{number}.example")))

    world = transport._worlds[os.getpid()]
    assert len(world._learnt) <= 3
    assert len(world._pools) <= 3
    assert len(receiver.requests) == 20
