"""A URL is taken apart once, or refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from webhooks_core.address import Name
from webhooks_core.errors import AddressBlocked
from webhooks_core.transport.target import read_target, showable


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path", "header"),
    [
        ("https://a.example", "https", "a.example", 443, "/", "a.example"),
        ("https://a.example/", "https", "a.example", 443, "/", "a.example"),
        ("HTTPS://A.Example/Hook", "https", "a.example", 443, "/Hook", "a.example"),
        ("http://a.example:80/x", "http", "a.example", 80, "/x", "a.example"),
        ("http://a.example:443/x", "http", "a.example", 443, "/x", "a.example:443"),
        ("https://a.example:8443/x?y=1&z=%2F", "https", "a.example", 8443, "/x?y=1&z=%2F", "a.example:8443"),
        ("https://a.example?y=1", "https", "a.example", 443, "/?y=1", "a.example"),
        ("https://a.example/x?y=/?[]|{}^`", "https", "a.example", 443, "/x?y=/?[]|{}^`", "a.example"),
        ("https://a.example//x/../y@z:1", "https", "a.example", 443, "//x/../y@z:1", "a.example"),
        ("http://a.example:1/", "http", "a.example", 1, "/", "a.example:1"),
        ("http://a.example:65535/", "http", "a.example", 65535, "/", "a.example:65535"),
        ("http://127.0.0.1:8000/x", "http", "127.0.0.1", 8000, "/x", "127.0.0.1:8000"),
        ("https://[2606:4700::1]/x", "https", "2606:4700::1", 443, "/x", "[2606:4700::1]"),
        ("https://[2606:4700:0:0::1]:8443/", "https", "2606:4700::1", 8443, "/", "[2606:4700::1]:8443"),
    ],
)
def test_a_url_has_one_reading(url: str, scheme: str, host: str, port: int, path: str, header: str) -> None:
    """Scheme, host, port and target come from one parse; Host names the port where the scheme does not."""
    target = read_target(url)

    assert (target.scheme, target.name, target.port, target.path) == (scheme, host, port, path)
    assert target.host_header == header
    assert target.host == (ip_address(host) if header[0] in "[1" else Name(text=host))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "//a.example/",
        "https:/a.example",
        "https:a.example",
        "https:///a.example",
        "ftp://a.example/",
        "file:///etc/passwd",
        "gopher://a.example/_x",
        "javascript:alert(1)",
        "http+unix://%2Fvar%2Frun/x",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://a.example@127.0.0.1/",
        "https://127.0.0.1\\@a.example/",
        "https://a.example\\@127.0.0.1/",
        "https://a.example\\.evil.example/",
        "https://a.example#@127.0.0.1/",
        "https://a.example/#fragment",
        "https://a.example/x#",
        "https://a.example/x\\y",
        "https://a.example:/",
        "https://a.example:8a/",
        "https://a.example:-1/",
        "https://a.example:+80/",
        "https://a.example:80:80/",
        "https://a.example:100000/",
        "https://a.example:８０/",
        "https://[::1/",
        "https://::1/",
        "https://[::1]x/",
        "https://[::1]:x/",
        "https://a.example /",
        " https://a.example/",
        "https://a.example/ ",
        "https://a.example/\n",
        "https://a.example/\r\nX-Evil: 1",
        "https://a.example/x y",
        "https://a.example/\x00",
        "https://a.example/\x7f",
        "https://a.example/ü",
        "https://a.ex\tample/",
        "h\nttps://a.example/",
        "https://a.example\n/",
        'https://a.example/"',
    ],
    ids=ascii,
)
def test_a_url_with_two_readings_is_refused_without_being_repeated(url: str) -> None:
    """What one parser takes for a host and another for a path never gets as far as a socket."""
    with pytest.raises(AddressBlocked) as caught:
        read_target(url)

    assert (caught.value.host, caught.value.rule) == ("the URL", "malformed URL")


@pytest.mark.parametrize(
    ("url", "host", "rule"),
    [
        ("http://0177.1/", "0177.1", "address is not canonical"),
        ("http://2130706433/", "2130706433", "address is not canonical"),
        ("http://a.example./", "a.example.", "host is not a name"),
        ("http://１２７.0.0.1/", "???.0.0.1", "host is not ASCII"),
        ("http://a%00b/", "a?00b", "host is not a name"),
        ("http://[fe80::1%25lo]/", "[fe80::1?25lo]", "address is not canonical"),
        ("http://:80/", "", "no host"),
        ("http://a.example:0/", "a.example", "port outside 1-65535"),
        ("http://a.example:65536/", "a.example", "port outside 1-65535"),
        ("http://" + "a" * 300 + "/", "a" * 80, "host is too long"),
    ],
    ids=ascii,
)
def test_a_refused_host_is_named_with_its_rule(url: str, host: str, rule: str) -> None:
    """A person has to find the URL again; a log line must survive it."""
    with pytest.raises(AddressBlocked) as caught:
        read_target(url)

    assert (caught.value.host, caught.value.rule) == (host, rule)


def test_a_token_in_the_path_stays_out_of_the_repr() -> None:
    """Receivers put secrets into paths."""
    assert "t0ken" not in repr(read_target("https://a.example/t0ken?key=t0ken"))


def test_showable_leaves_nothing_that_a_terminal_obeys() -> None:
    """Control characters, blanks and quotes become question marks."""
    assert showable("a\x1b[31m \"b'\r\nü") == "a?[31m??b????"
