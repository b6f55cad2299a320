"""A URL is believed only when it is one; an endpoint shows neither URL nor keys."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from webhooks_core.endpoint import AllowedNetwork, Endpoint, EndpointId, check_timeout, check_url
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing

URL = "https://api.deltacrown.gg/webhooks/inbound"


@pytest.fixture
def keys(secret: str) -> KeyRing:
    """One key."""
    return KeyRing.of(secret)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://api.deltacrown.gg",
        "https://api.deltacrown.gg:8443/a?b=c&d=%20",
        "https://xn--bcher-kva.example/",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:443/",
        "https://under_score.example./x",
        "HTTPS://API.deltacrown.gg/",
        "https://a.example/" + "x" * (2_048 - 18),
        "https://" + "a." * 123 + "example/",
    ],
)
def test_a_good_url_comes_back_unchanged(url: str) -> None:
    """Nothing is normalised: what was configured is what is sent to."""
    assert check_url(url, allow_http=False) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "not NoneType"),
        (b"https://a.example/", "not bytes"),
        ("", "ASCII without spaces"),
        ("https://", "must have a host"),
        ("https:///path", "must have a host"),
        ("https://?x", "must have a host"),
        ("https://:443/", "must have a host"),
        ("https://-bad-.example/", "must have a host"),
        ("https://a..example/", "must have a host"),
        ("https://" + "a." * 123 + "examples/", "must have a host"),
        ("https://user:pass@a.example/", "userinfo"),
        ("https://user@a.example/", "userinfo"),
        ("https://@a.example/", "userinfo"),
        ("https://a.example/#part", "fragment"),
        ("https://a.example/#", "fragment"),
        ("file:///etc/passwd", "https://"),
        ("ftp://a.example/", "https://"),
        ("javascript:alert(1)", "https://"),
        ("//a.example/", "https://"),
        ("a.example", "https://"),
        ("http://a.example/", "plain http"),
        ("https://a.example:0/", "port"),
        ("https://a.example:65536/", "port"),
        ("https://a.example:x/", "port"),
        ("https://a.example:/", "port"),
        ("https://[::1/", "valid host"),
        ("https://[nonsense]/", "valid host"),
        ("https://a.example/ x", "ASCII without spaces"),
        ("https://a.example/\n", "ASCII without spaces"),
        ("https://a.example\\@b.example/", "ASCII without spaces"),
        ("https://bücher.example/", "xn--"),
        ("https://a.example/" + "x" * (2_049 - 18), "at most 2048 characters"),
    ],
)
def test_a_bad_url_is_refused_with_its_problem(url: object, problem: str) -> None:
    """The error names the setting and what is allowed."""
    with pytest.raises(ConfigError, match=problem) as caught:
        check_url(url, allow_http=False)

    assert caught.value.path == "WEBHOOK_ENDPOINT"


def test_no_message_repeats_the_url() -> None:
    """A URL may hold a token."""
    with pytest.raises(ConfigError) as caught:
        check_url("http://a.example/hook?token=hunter2", allow_http=False)

    assert "hunter2" not in str(caught.value)
    assert "a.example" not in str(caught.value)


def test_plain_http_is_good_enough_only_where_allowed() -> None:
    """DEBUG, or a setting, allows it."""
    assert check_url("http://127.0.0.1:8000/x", allow_http=True) == "http://127.0.0.1:8000/x"


@pytest.mark.parametrize("value", [0.001, 10, 60, 60.0])
def test_a_good_timeout_becomes_a_float(value: float) -> None:
    """Above 0 and at most 60."""
    assert check_timeout(value) == float(value)


@pytest.mark.parametrize("value", [0, -1, 60.001, float("nan"), float("inf"), True, "10", None])
def test_a_bad_timeout_is_refused(value: object) -> None:
    """The contract §1: ≤ 0 and > 60 are bad; so is what is no number."""
    with pytest.raises(ConfigError, match="above 0 and at most 60"):
        check_timeout(value)


def test_an_endpoint_has_the_contracts_defaults(keys: KeyRing) -> None:
    """Id, scheme, time-out and user agent of the contract."""
    endpoint = Endpoint(url=URL, keys=keys)

    assert endpoint.id == "default"
    assert endpoint.scheme == "timestamped"
    assert endpoint.timeout_seconds == 10.0
    assert endpoint.user_agent == "DeltaCrown-Webhook/1.0"
    assert endpoint.accepts("anything")


def test_an_endpoint_takes_only_its_events(keys: KeyRing) -> None:
    """A list of events is a filter."""
    endpoint = Endpoint(url=URL, keys=keys, events=frozenset({"match_started"}))

    assert endpoint.accepts("match_started")
    assert not endpoint.accepts("payment_verified")


def test_the_repr_shows_neither_url_nor_keys(keys: KeyRing, secret: str) -> None:
    """Debug tracebacks show locals."""
    endpoint = Endpoint(
        url="https://a.example/hook?token=hunter2",
        health_url="https://a.example/health?token=hunter2",
        proxy="http://user:hunter2@proxy:3128",
        keys=keys,
    )

    assert "hunter2" not in repr(endpoint)
    assert secret not in repr(endpoint)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": EndpointId("")}, "endpoint.id"),
        ({"id": EndpointId("-a")}, "endpoint.id"),
        ({"id": EndpointId("a" * 65)}, "endpoint.id"),
        ({"id": EndpointId("a b")}, "endpoint.id"),
        ({"id": EndpointId("a\n")}, "endpoint.id"),
        ({"id": 1}, "endpoint.id"),
        ({"url": "ftp://a.example"}, "default.url"),
        ({"health_url": "a.example"}, "default.health_url"),
        ({"keys": "text"}, "default.keys"),
        ({"timeout_seconds": 0}, "default.timeout_seconds"),
        ({"user_agent": ""}, "default.user_agent"),
        ({"user_agent": "a\r\nX: y"}, "default.user_agent"),
        ({"user_agent": " a"}, "default.user_agent"),
        ({"user_agent": "a" * 257}, "default.user_agent"),
        ({"user_agent": None}, "default.user_agent"),
    ],
)
def test_a_bad_endpoint_is_refused(keys: KeyRing, changes: dict[str, object], path: str) -> None:
    """The error's path names the endpoint and the field."""
    with pytest.raises(ConfigError) as caught:
        Endpoint(**{"url": URL, "keys": keys, **changes})  # type: ignore[arg-type]

    assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "address", "port", "inside"),
    [
        ("127.0.0.1/32:8000", "127.0.0.1", 8000, True),
        ("127.0.0.1/32:8000", "127.0.0.1", 8001, False),
        ("127.0.0.1/32:8000", "127.0.0.2", 8000, False),
        ("127.0.0.1/32:1", "127.0.0.1", 1, True),
        ("127.0.0.1/32:65535", "127.0.0.1", 65_535, True),
        ("10.1.0.0/16", "10.1.255.255", 443, True),
        ("10.1.0.0/16", "10.2.0.0", 443, False),
        ("::1/128:8000", "::1", 8000, True),
        ("::1/128:8000", "127.0.0.1", 8000, False),
        ("fd00::/8", "fd12::1", 1, True),
    ],
)
def test_an_allowed_network_contains_addresses_and_ports(
    text: str, address: str, port: int, inside: bool
) -> None:
    """CIDR and port; without a port, every port."""
    network = AllowedNetwork.parse(text)

    assert network.contains(ip_address(address), port) is inside
    assert str(network) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        8000,
        "",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.0.0.1/32:",
        "127.0.0.1/32:0",
        "127.0.0.1/32:65536",
        "127.0.0.1/32:+80",
        "127.0.0.1/32:٨",
        "127.0.0.1/33",
        "127.0.0.1/-1",
        "127.0.0.1/",
        "127.0.0.1/255.255.255.255",
        "10.1.2.3/16",
        "localhost/32",
        "0177.0.0.1/32",
    ],
)
def test_anything_else_is_no_network(text: object) -> None:
    """Host bits, names, masks and half ports are refused, by the setting's name."""
    with pytest.raises(ConfigError) as caught:
        AllowedNetwork.parse(text, path="WEBHOOKS['ALLOW_NETWORKS'][0]")

    assert caught.value.path == "WEBHOOKS['ALLOW_NETWORKS'][0]"
