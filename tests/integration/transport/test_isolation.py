"""Nothing from the environment gets in, and nothing that is secret gets out."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from webhooks_core.errors import AddressBlocked, ResponseBroken, TlsFailed, TransportError
from webhooks_core.transport import adapter
from webhooks_core.transport.requests import RequestsTransport

pytestmark = pytest.mark.network


@pytest.mark.parametrize(
    "variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_is_taken_from_the_environment(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    authority: Any,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    scheme: str,
) -> None:
    """`trust_env` is off: whoever sets a variable cannot read our webhooks."""
    elsewhere = serve()
    receiver = serve(tls=authority.server("127.0.0.1") if scheme == "https" else None)
    monkeypatch.setenv(variable, elsewhere.url(path=""))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    transport.send(attempt(receiver.url(scheme=scheme), ca_bundle=authority.bundle))

    assert (receiver.connections, elsewhere.connections) == (1, 0)


def test_no_password_is_taken_from_netrc(
    serve: Any, transport: RequestsTransport, attempt: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A receiver is not given the developer's credentials for its host."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password pass\ndefault login user password pass\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    receiver = serve()

    transport.send(attempt(receiver.url()))

    assert b"uthorization" not in receiver.requests[0]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_no_authority_is_taken_from_the_environment(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    authority: Any,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """Whom we trust is an endpoint's setting."""
    monkeypatch.setenv(variable, authority.bundle)
    receiver = serve(tls=authority.server("127.0.0.1"))

    with pytest.raises(TlsFailed):
        transport.send(attempt(receiver.url(scheme="https")))


def test_no_session_key_is_written_where_the_environment_says(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    authority: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """SSLKEYLOGFILE would let whoever reads it decrypt what was sent."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    receiver = serve(tls=authority.server("127.0.0.1"))

    transport.send(attempt(receiver.url(scheme="https"), ca_bundle=authority.bundle))

    assert not log.exists()


SECRETS = ("p4th-t0ken", "qu3ry-t0ken", "b0dy-secret", "5ignature", "127.0.0.1")


def errors_of(transport: RequestsTransport, request: Any) -> Exception:
    """Return what an attempt raises."""
    with pytest.raises((TransportError, AddressBlocked)) as caught:
        transport.send(request)
    return caught.value


@pytest.mark.parametrize(
    "case", ["refused", "broken", "late", "tls", "dns", "blocked", "proxy", "unforeseen"]
)
def test_an_error_holds_nothing_of_the_attempt(
    serve: Any, attempt: Any, authority: Any, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Neither its text nor a traceback with the locals of every frame: no URL, path, address, header or
    body.
    """
    receiver = serve(lambda peer: peer.read() and case == "late" and peer.hang())
    url = receiver.url("hooks.example", path="/p4th-t0ken?k=qu3ry-t0ken")
    fields: dict[str, Any] = {"timeout": 0.2}
    addresses = ["127.0.0.1"]
    if case == "refused":
        addresses = ["127.0.0.3"]
    elif case == "tls":
        url = url.replace("http:", "https:")
    elif case == "dns":
        addresses = []
    elif case == "blocked":
        fields["allow_networks"] = ()
    elif case == "proxy":
        url = url.replace("http:", "https:")
        fields["proxy"] = f"http://user:b0dy-secret@127.0.0.1:{receiver.port}"
    elif case == "unforeseen":
        monkeypatch.setattr(adapter, "write_request", lambda *_, **__: b"".join(["b0dy-secret"]))  # type: ignore[list-item]
        monkeypatch.setattr(adapter.PinnedPool, "urlopen", raise_value_error)
    request = attempt(url, body=b"b0dy-secret", headers={"X-Webhook-Signature": "5ignature"}, **fields)

    with RequestsTransport(resolve=lambda *_: addresses) as transport:
        error = errors_of(transport, request)

    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert (error.__context__, error.__cause__) == (None, None)
    assert frames[-1] == "send"
    ours = shown[shown.index("requests.py") :]
    assert [secret for secret in SECRETS if secret in str(error) or secret in ours] == []


def raise_value_error(*_: object, **__: object) -> None:
    """Fail as nothing of ours would."""
    raise ValueError("b0dy-secret")


def test_an_unforeseen_error_comes_out_as_ours(
    serve: Any, transport: RequestsTransport, attempt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later requests or urllib3 may raise something new; the worker still sees a failed attempt."""
    monkeypatch.setattr(adapter.PinnedPool, "urlopen", raise_value_error)

    with pytest.raises(ResponseBroken, match=r"^the attempt failed$"):
        transport.send(attempt(serve().url()))


def test_nothing_is_logged_by_the_libraries_beneath(
    serve: Any, transport: RequestsTransport, attempt: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3's own pool writes host and path at DEBUG; ours has taken that way out."""
    caplog.set_level(0)
    receiver = serve()

    for _ in range(3):
        transport.send(attempt(receiver.url(path="/p4th-t0ken")))
        transport.close()

    assert caplog.records == []


def test_importing_the_port_loads_no_client() -> None:
    """DESIGN §2 rule 3: the port is usable without requests."""
    code = "import sys, webhooks_core.transport.base; print(*sys.modules)"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"requests", "urllib3", "ssl"}.isdisjoint(out.stdout.split())
