"""Names are resolved in few threads, within the deadline, and every answer is judged."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest

from rollout.testing import ManualClock
from webhooks_core.address import Name
from webhooks_core.endpoint import AllowedNetwork
from webhooks_core.errors import AddressBlocked, ConnectFailed, TimedOut
from webhooks_core.transport import ssrf
from webhooks_core.transport.deadline import Deadline
from webhooks_core.transport.ssrf import Lookup, Resolver, checked_addresses, connect, system_resolve

PUBLIC = ("93.184.215.14", "2606:4700::1")


def soon(seconds: float = 5.0) -> Deadline:
    """A deadline on the real clock."""
    return Deadline(seconds, monotonic=time.monotonic)


def answers(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    """A resolver's function that knows one answer."""
    return lambda name, port: addresses


class Gate:
    """A resolver's function that hangs until it is let go, and counts who came."""

    def __init__(self, *, stuck: frozenset[str] = frozenset({"stuck"})) -> None:
        self.stuck = stuck
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        if name.rstrip("0123456789") in self.stuck:
            self.let_go.wait(30)
        return PUBLIC


def test_a_name_gets_the_addresses_that_the_function_returns() -> None:
    """Both families, in its order."""
    resolver = Resolver(answers(*PUBLIC))

    assert resolver.addresses("a.example", 443, deadline=soon()) == PUBLIC
    resolver.close()


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "no name"), OSError("broken"), UnicodeError("label too long"), ValueError()]
)
def test_a_name_that_does_not_resolve_is_a_failed_connection(error: Exception) -> None:
    """What the system says about it stays out of the message."""

    def fail(name: str, port: int) -> Sequence[str]:
        raise error

    resolver = Resolver(fail)

    with pytest.raises(ConnectFailed, match=r"^the name does not resolve$") as caught:
        resolver.addresses("a.example", 443, deadline=soon())

    assert caught.value.phase == "dns"
    resolver.close()


def test_a_name_without_addresses_is_a_failed_connection() -> None:
    """An empty answer is no licence to connect anywhere."""
    resolver = Resolver(answers())

    with pytest.raises(ConnectFailed, match="does not resolve"):
        resolver.addresses("a.example", 443, deadline=soon())
    resolver.close()


def test_one_thread_serves_one_name_after_another() -> None:
    """Threads are started when none is free, not per question."""
    seen: set[int] = set()

    def resolve(name: str, port: int) -> Sequence[str]:
        seen.add(threading.get_ident())
        return PUBLIC

    resolver = Resolver(resolve)
    for number in range(20):
        resolver.addresses(f"a{number}.example", 443, deadline=soon())
        wait_until(lambda: resolver._idle == 1)

    assert len(seen) == 1
    resolver.close()


def test_a_resolver_that_hangs_is_left_at_the_deadline() -> None:
    """`getaddrinfo` cannot be interrupted; whoever waits for it can."""
    gate = Gate()
    resolver = Resolver(gate)
    begun = time.monotonic()

    with pytest.raises(TimedOut, match="not resolved in time") as caught:
        resolver.addresses("stuck", 443, deadline=soon(0.05))

    assert time.monotonic() - begun < 0.5
    assert caught.value.phase == "dns"
    gate.let_go.set()
    resolver.close()


def test_a_name_that_hangs_holds_one_thread_and_other_names_go_on() -> None:
    """However often it is asked for: one question at a time for one name."""
    gate = Gate()
    resolver = Resolver(gate, workers=2)

    for _ in range(5):
        with pytest.raises(TimedOut):
            resolver.addresses("stuck", 443, deadline=soon(0.01))

    assert resolver.addresses("a.example", 443, deadline=soon()) == PUBLIC
    assert gate.asked.count("stuck") == 1
    gate.let_go.set()
    resolver.close()


def test_when_every_thread_is_stuck_no_more_are_started_and_nothing_piles_up() -> None:
    """A name server that is away costs a few threads and the attempts' own time, for ever."""
    gate = Gate()
    resolver = Resolver(gate, workers=2)

    for number in range(20):
        with pytest.raises(TimedOut):
            resolver.addresses(f"stuck{number}", 443, deadline=soon(0.01))

    assert resolver._threads == 2
    assert len(gate.asked) <= 2  # a question that nobody took in its 10 ms is not asked any more
    assert len(resolver._queue) == 0
    assert len(resolver._asked) == 2
    gate.let_go.set()
    wait_until(lambda: not resolver._asked)
    assert resolver.addresses("a.example", 443, deadline=soon()) == PUBLIC
    resolver.close()


def test_everybody_who_asks_for_a_name_at_a_time_gets_the_one_answer() -> None:
    """Eight threads that start with one endpoint ask the name server once."""
    gate = Gate()
    resolver = Resolver(gate)
    found: list[tuple[str, ...]] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolver.addresses("stuck", 443, deadline=soon())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: any(lookup.waiting == 8 for lookup in resolver._asked.values()))

    gate.let_go.set()
    for thread in threads:
        thread.join(5)

    assert found == [PUBLIC] * 8
    assert gate.asked == ["stuck"]
    resolver.close()


def test_a_function_that_breaks_does_not_take_the_resolver_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's function may raise anything: that question fails, and the excepthook hears of it."""
    heard: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_type))

    def broken(name: str, port: int) -> Sequence[str]:
        raise KeyError(name)

    resolver = Resolver(broken, workers=1)

    for _ in range(3):
        with pytest.raises(ConnectFailed):
            resolver.addresses("a.example", 443, deadline=soon())
        wait_until(lambda: resolver._threads == 0)

    assert heard == [KeyError] * 3


def test_threads_that_cannot_be_started_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on processes that is met for a while: time-outs meanwhile, and then all is well."""
    resolver = Resolver(answers(*PUBLIC))
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", lambda _self: _no_thread())
        for _ in range(ssrf.WORKERS):
            with pytest.raises(TimedOut):
                resolver.addresses("a.example", 443, deadline=soon(0.01))

    assert resolver.addresses("a.example", 443, deadline=soon()) == PUBLIC
    resolver.close()


def _no_thread() -> None:
    raise RuntimeError("can't start new thread")


def test_closing_ends_threads_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread outlives its transport for longer than the system holds it."""
    resolver = Resolver(answers(*PUBLIC))
    resolver.addresses("a.example", 443, deadline=soon())
    wait_until(lambda: resolver._idle == 1)

    resolver.close()

    wait_until(lambda: resolver._threads == 0)


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sends one webhook a day keeps no thread for it."""
    monkeypatch.setattr(ssrf, "_IDLE_SECONDS", 0.01)
    resolver = Resolver(answers(*PUBLIC))

    resolver.addresses("a.example", 443, deadline=soon())

    wait_until(lambda: resolver._threads == 0)
    assert resolver.addresses("b.example", 443, deadline=soon()) == PUBLIC


def test_a_lookup_that_its_last_asker_left_is_taken_back() -> None:
    """Only what nobody has begun: an answer under way is still worth having."""
    resolver = Resolver(answers(*PUBLIC), workers=0)

    with pytest.raises(TimedOut):
        resolver.addresses("a.example", 443, deadline=soon(0.01))

    assert (list(resolver._queue), resolver._asked) == ([], {})


def test_a_deadline_that_has_passed_asks_nobody() -> None:
    """Nothing is left waiting either."""
    resolver = Resolver(answers(*PUBLIC), workers=0)
    passed = Deadline(0.0, monotonic=time.monotonic)

    with pytest.raises(TimedOut):
        resolver.addresses("a.example", 443, deadline=passed)

    assert resolver._asked == {}


def test_every_address_is_returned_once_and_judged() -> None:
    """The order of the system is kept: it is the system's preference."""
    resolver = Resolver(answers("93.184.215.14", "2606:4700::1", "93.184.215.14"))

    found = checked_addresses(Name(text="a.example"), 443, allow=(), resolver=resolver, deadline=soon())

    assert found == (ip_address("93.184.215.14"), ip_address("2606:4700::1"))
    resolver.close()


@pytest.mark.parametrize(
    ("addresses", "rule"),
    [
        (("127.0.0.1",), "loopback"),
        (("93.184.215.14", "127.0.0.1"), "loopback"),
        (("10.0.0.1", "93.184.215.14"), "private"),
        (("93.184.215.14", "::ffff:169.254.169.254"), "link-local inside IPv4-mapped"),
        (("2606:4700::1", "fe80::1%2"), "zone"),
        (("93.184.215.14", "not an address"), "not an address"),
        (("93.184.215.14",) * 50 + ("0.0.0.0",), "this network"),
    ],
)
def test_one_blocked_address_blocks_the_name(addresses: tuple[str, ...], rule: str) -> None:
    """A name with one public and one internal address is an attack or a mistake; neither is sent to."""
    resolver = Resolver(answers(*addresses))

    with pytest.raises(AddressBlocked) as caught:
        checked_addresses(Name(text="rebind.example"), 443, allow=(), resolver=resolver, deadline=soon())

    assert (caught.value.host, caught.value.rule) == ("rebind.example", rule)
    resolver.close()


def test_a_literal_is_judged_without_asking_anybody() -> None:
    """No resolver sees an address."""
    resolver = Resolver(answers("8.8.8.8"), workers=0)

    with pytest.raises(AddressBlocked, match="private"):
        checked_addresses(ip_address("10.0.0.1"), 80, allow=(), resolver=resolver, deadline=soon())
    allow = (AllowedNetwork.parse("10.0.0.0/8:80"),)
    found = checked_addresses(ip_address("10.0.0.1"), 80, allow=allow, resolver=resolver, deadline=soon())

    assert found == (ip_address("10.0.0.1"),)


def test_each_address_gets_its_share_and_the_last_all_that_is_left(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of nine seconds and three silent addresses: three each; and no more than eight are tried at all."""
    tried: list[float] = []

    def silent(address: object, port: int, *, seconds: float) -> socket.socket:
        tried.append(seconds)
        clock.advance(seconds)
        raise TimeoutError

    monkeypatch.setattr(ssrf, "_connect_one", silent)
    addresses = [ip_address(f"93.184.215.{last}") for last in range(20)]

    for count in (3, 20):
        with pytest.raises(TimedOut, match="no connection in time"):
            connect(addresses[:count], 443, deadline=Deadline(9, monotonic=clock))

    assert tried == pytest.approx([3] * 3 + [9 / 8] * 8)


def test_no_address_is_no_connection(clock: ManualClock) -> None:
    """Nobody gets here with none; if somebody does, nothing is connected to."""
    with pytest.raises(ConnectFailed, match="no address"):
        connect([], 443, deadline=Deadline(9, monotonic=clock))


def test_the_system_is_asked_for_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default function takes the addresses out of what `getaddrinfo` returns, and nothing else."""
    asked: list[tuple[object, ...]] = []

    def getaddrinfo(name: str, port: int, *, type: int) -> list[tuple[object, ...]]:
        asked.append((name, port, type))
        return [(2, 1, 6, "", ("93.184.215.14", 443)), (10, 1, 6, "", ("2606:4700::1", 443, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    assert system_resolve("a.example", 443) == list(PUBLIC)
    assert asked == [("a.example", 443, socket.SOCK_STREAM)]


def test_a_lookup_starts_without_an_answer() -> None:
    """Until it is finished it has no address to connect to."""
    lookup = Lookup("a.example", 443)

    assert (lookup.addresses, lookup.finished.is_set(), lookup.waiting) == ((), False, 0)


def wait_until(claim: Callable[[], bool]) -> None:
    """Wait until *claim* holds, at most five seconds."""
    end = time.monotonic() + 5
    while not claim():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.001)
