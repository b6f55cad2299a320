"""What is connected to is what was judged (the issue's "bad input": a name that resolves to loopback,
rebinding).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from webhooks_core.endpoint import AllowedNetwork
from webhooks_core.errors import AddressBlocked, ConnectFailed, TlsFailed
from webhooks_core.transport import ssrf
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network


class Answers:
    """A resolver's function that answers from a list, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append((name, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    ("host", "rule"),
    [
        ("127.0.0.1", "loopback"),
        ("localhost", "loopback"),
        ("inside.example", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback inside IPv4-mapped"),
        ("[::127.0.0.1]", "loopback inside IPv4-compatible"),
        ("[64:ff9b::7f00:1]", "loopback inside NAT64"),
        ("[2002:7f00:1::]", "loopback inside 6to4"),
        ("0.0.0.0", "this network"),
        ("169.254.169.254", "link-local"),
    ],
)
def test_nothing_inside_is_reached_by_default(
    serve: Any, transport: RequestsTransport, attempt: Any, host: str, rule: str
) -> None:
    """Blocked before a socket is opened, with the rule that did it."""
    receiver = serve()

    with pytest.raises(AddressBlocked) as caught:
        transport.send(attempt(receiver.url(host), allow_networks=()))

    assert caught.value.rule == rule
    assert caught.value.host == host or ip_address(caught.value.host) == ip_address(host.strip("[]"))
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["0177.1", "2130706433", "0x7f.1", "127.1", "127.0.0.1.", "localhost."])
def test_another_spelling_of_loopback_is_refused_even_where_loopback_is_allowed(
    serve: Any, transport: RequestsTransport, attempt: Any, host: str
) -> None:
    """Whoever may reach 127.0.0.1 writes 127.0.0.1."""
    receiver = serve()

    with pytest.raises(AddressBlocked, match=r"not canonical|not a name"):
        transport.send(attempt(receiver.url(host)))

    assert receiver.connections == 0


def test_a_name_goes_to_the_address_that_was_judged_under_its_own_name(serve: Any, attempt: Any) -> None:
    """One lookup a connection; the receiver sees the name in Host."""
    receiver = serve()
    resolve = Answers(["127.0.0.1"])

    with RequestsTransport(resolve=resolve) as transport:
        transport.send(attempt(receiver.url("Hooks.Example")))

    assert resolve.asked == [("hooks.example", receiver.port)]
    assert f"Host: hooks.example:{receiver.port}\r\n".encode() in receiver.requests[0]


def test_a_name_that_changes_its_answer_is_judged_by_each_answer(serve: Any, attempt: Any) -> None:
    """DNS rebinding: the second answer is not connected to on the strength of the first."""
    receiver = serve()
    resolve = Answers(["127.0.0.1"], ["127.0.0.2"])
    only_first = (AllowedNetwork.parse("127.0.0.1/32"),)

    with RequestsTransport(resolve=resolve) as transport:
        transport.send(attempt(receiver.url("rebind.example"), allow_networks=only_first))
        transport.close()
        with pytest.raises(AddressBlocked, match=r"rebind\.example is blocked by the rule loopback"):
            transport.send(attempt(receiver.url("rebind.example"), allow_networks=only_first))

    assert len(resolve.asked) == 2
    assert receiver.connections == 1


def test_one_blocked_address_among_good_ones_blocks_the_attempt(serve: Any, attempt: Any) -> None:
    """All must be clean, whatever their order."""
    receiver = serve()
    allow = (AllowedNetwork.parse("127.0.0.1/32"),)

    for addresses in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]):
        request = attempt(receiver.url("both.example"), allow_networks=allow)
        with RequestsTransport(resolve=Answers(addresses)) as transport, pytest.raises(AddressBlocked):
            transport.send(request)

    assert receiver.connections == 0


def test_the_next_address_is_tried_when_one_refuses(serve: Any, attempt: Any) -> None:
    """A receiver with two addresses and one machine down still gets its webhook."""
    receiver = serve(host="127.0.0.2")

    with RequestsTransport(resolve=Answers(["127.0.0.3", "::1", "127.0.0.2"])) as transport:
        response = transport.send(attempt(receiver.url("three.example")))

    assert response.status == 200
    assert receiver.connections == 1


def test_an_allowed_port_opens_that_port_only(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """The contract §1: CIDR and port."""
    receiver, other = serve(), serve()
    allow = (AllowedNetwork.parse(f"127.0.0.1/32:{receiver.port}"),)

    assert transport.send(attempt(receiver.url(), allow_networks=allow)).status == 200
    with pytest.raises(AddressBlocked):
        transport.send(attempt(other.url(), allow_networks=allow))

    assert other.connections == 0


def test_withdrawing_a_network_ends_what_was_open_under_it(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """A connection kept alive under one policy is not used under another."""
    receiver = serve()
    transport.send(attempt(receiver.url()))

    with pytest.raises(AddressBlocked):
        transport.send(attempt(receiver.url(), allow_networks=()))
    transport.send(attempt(receiver.url()))

    assert (receiver.connections, len(receiver.requests)) == (1, 2)


@pytest.mark.parametrize("lie", [("127.0.0.9", 0), ("127.0.0.1", 1)])
def test_a_connection_that_leads_elsewhere_is_not_used(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    monkeypatch: pytest.MonkeyPatch,
    lie: tuple[str, int],
) -> None:
    """After connecting, the socket is asked where it leads."""
    receiver = serve()

    class Lying(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return lie[0], lie[1] or receiver.port

    class Module:
        socket = Lying

        def __getattr__(self, name: str) -> object:
            return getattr(socket, name)

    monkeypatch.setattr(ssrf, "socket", Module())

    with pytest.raises(ConnectFailed, match="leads elsewhere"):
        transport.send(attempt(receiver.url()))

    assert receiver.requests == []


def test_two_names_on_one_address_do_not_share_a_connection(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """The certificate is checked for each name: that of the first says nothing about the second."""
    receiver = serve(tls=authority.server("a.example"))

    def request(name: str) -> Any:
        return attempt(receiver.url(name, scheme="https"), ca_bundle=authority.bundle)

    transport.send(request("a.example"))
    with pytest.raises(TlsFailed, match="is for another name"):
        transport.send(request("b.example"))
    transport.send(request("a.example"))

    assert receiver.names == ["a.example", "b.example"]
    assert len(receiver.requests) == 2


def test_ipv6_is_spoken_where_the_machine_speaks_it(
    serve: Any, transport: RequestsTransport, attempt: Any
) -> None:
    """A literal in brackets, in the URL and in Host."""
    receiver = serve(host="::1")

    assert transport.send(attempt(receiver.url("[::1]"))).status == 200
    assert f"Host: [::1]:{receiver.port}\r\n".encode() in receiver.requests[0]
