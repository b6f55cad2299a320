"""TLS: verified against the name in the URL, always, with no way to turn it off."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme

from webhooks_core.errors import TlsFailed
from webhooks_core.transport.requests import RequestsTransport, _tls_context

pytestmark = pytest.mark.network

NAME = "hooks.example"


def send(transport: RequestsTransport, attempt: Any, receiver: Any, host: str = NAME, **fields: Any) -> Any:
    """Send one attempt over https."""
    return transport.send(attempt(receiver.url(host, scheme="https"), **fields))


def test_the_name_in_the_url_is_sent_and_verified(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """SNI and certificate are those of the name, though the connection goes to a judged address."""
    receiver = serve(tls=authority.server(NAME))

    response = send(transport, attempt, receiver, ca_bundle=authority.bundle)

    assert response.status == 200
    assert receiver.names == [NAME]


def test_an_address_in_the_url_is_verified_as_an_address(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """Against the certificate's addresses; an address is not sent as a server name (RFC 6066 §3)."""
    receiver = serve(tls=authority.server("127.0.0.1"))

    assert send(transport, attempt, receiver, "127.0.0.1", ca_bundle=authority.bundle).status == 200
    assert receiver.names == [None]


@pytest.mark.parametrize(
    ("host", "names", "words"),
    [
        (NAME, ["other.example"], "is for another name"),
        (NAME, ["127.0.0.1"], "is for another name"),
        ("sub.hooks.example", [NAME], "is for another name"),
        ("127.0.0.1", ["127.0.0.2"], "is for another address"),
        ("127.0.0.1", [NAME], "is for another address"),
    ],
)
def test_a_certificate_for_another_name_is_refused(
    serve: Any,
    transport: RequestsTransport,
    attempt: Any,
    authority: Any,
    host: str,
    names: list[str],
    words: str,
) -> None:
    """Resolving to the right address is no proof of being the receiver."""
    receiver = serve(tls=authority.server(*names))

    with pytest.raises(TlsFailed, match=f"^the certificate {words}$") as caught:
        send(transport, attempt, receiver, host, ca_bundle=authority.bundle)

    assert caught.value.phase == "tls"
    assert receiver.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """Without CA_BUNDLE only public authorities count."""
    receiver = serve(tls=authority.server(NAME))

    with pytest.raises(TlsFailed, match="signed by nobody we trust"):
        send(transport, attempt, receiver)


def test_a_self_signed_certificate_is_refused(
    serve: Any, transport: RequestsTransport, attempt: Any, tmp_path: Path
) -> None:
    """Whatever it says about itself."""
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = tmp_path / "own.pem"
    chain.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
    context.load_cert_chain(str(chain))
    receiver = serve(tls=context)

    with pytest.raises(TlsFailed, match="the certificate is self-signed"):
        send(transport, attempt, receiver)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(-20, -10, "has expired"), (10, 20, "is not valid yet")],
    ids=["old", "early"],
)
def test_a_certificate_out_of_its_time_is_refused(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, begins: int, ends: int, words: str
) -> None:
    """Expired, or not yet valid."""
    today = datetime.datetime.now(datetime.UTC)
    not_before, not_after = (today + datetime.timedelta(days=days) for days in (begins, ends))
    receiver = serve(tls=authority.server(NAME, not_before=not_before, not_after=not_after))

    with pytest.raises(TlsFailed, match=f"^the certificate {words}$"):
        send(transport, attempt, receiver, ca_bundle=authority.bundle)


def test_old_protocols_are_not_spoken(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """TLS 1.2 at least (RFC 8996)."""
    old = authority.server(NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    receiver = serve(tls=old)

    with pytest.raises(TlsFailed, match=r"^TLS failed: ") as caught:
        send(transport, attempt, receiver, ca_bundle=authority.bundle)

    assert caught.value.phase == "tls"
    assert _tls_context(None, None).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_context_verifies_chain_and_name() -> None:
    """And cannot be told not to: no setting leads here."""
    context = _tls_context(None, None)

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_port_without_tls_is_named_so(serve: Any, transport: RequestsTransport, attempt: Any) -> None:
    """https:// on an http port is a common mistake."""

    def plain(peer: Any) -> None:
        peer.connection.recv(65_536)
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        peer.hang()

    with pytest.raises(TlsFailed, match=r"TLS failed: (wrong version number|record layer failure)"):
        send(transport, attempt, serve(plain))


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_handshake_that_breaks_off_is_an_error_of_ours(
    serve: Any, transport: RequestsTransport, attempt: Any, how: str
) -> None:
    """A load balancer without a backend does that."""

    def breaks_off(peer: Any) -> None:
        peer.connection.recv(65_536)
        if how == "reset":
            peer.reset()

    with pytest.raises(Exception, match=r"TLS|handshake") as caught:
        send(transport, attempt, serve(breaks_off))

    assert caught.value.phase == "tls"  # type: ignore[attr-defined]


def test_a_client_certificate_is_shown_where_one_is_asked_for(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """CLIENT_CERT, as two files."""
    server = authority.server(NAME)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(server)
    receiver = serve(tls=server)
    files = authority.client_files("sender.example")

    response = send(transport, attempt, receiver, ca_bundle=authority.bundle, client_cert=files)

    assert response.status == 200


def test_a_missing_client_certificate_is_a_tls_failure(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """With TLS 1.3 the refusal comes only after the request was written."""
    server = authority.server(NAME)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(server)
    receiver = serve(tls=server)

    with pytest.raises(TlsFailed, match="certificate required"):
        send(transport, attempt, receiver, ca_bundle=authority.bundle)


def test_connections_with_and_without_a_client_certificate_are_not_mixed(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any
) -> None:
    """Who one is belongs to the connection."""
    receiver = serve(tls=authority.server(NAME))
    files = authority.client_files("sender.example")

    send(transport, attempt, receiver, ca_bundle=authority.bundle)
    send(transport, attempt, receiver, ca_bundle=authority.bundle, client_cert=files)

    assert receiver.connections == 2


@pytest.mark.parametrize("kind", ["missing", "empty", "not a certificate"])
def test_a_ca_bundle_that_cannot_be_read_is_a_tls_failure(
    transport: RequestsTransport, attempt: Any, tmp_path: Path, kind: str
) -> None:
    """Fail closed, with the setting's name and not the path."""
    bundle = tmp_path / "bundle"
    if kind != "missing":
        bundle.write_text("" if kind == "empty" else "hello")

    with pytest.raises(TlsFailed) as caught:
        transport.send(attempt("https://127.0.0.1:1/", ca_bundle=str(bundle)))

    assert str(caught.value) == "the endpoint's CA_BUNDLE cannot be read"


def test_a_client_certificate_that_cannot_be_read_is_a_tls_failure(
    transport: RequestsTransport, attempt: Any, tmp_path: Path
) -> None:
    """As one file or two; a key with a password asks no terminal."""
    with pytest.raises(TlsFailed, match="CLIENT_CERT cannot be read"):
        transport.send(attempt("https://127.0.0.1:1/", client_cert=str(tmp_path / "no.pem")))


def test_a_key_with_a_password_is_refused_without_asking_for_it(
    transport: RequestsTransport, attempt: Any, authority: Any, tmp_path: Path
) -> None:
    """OpenSSL would ask the terminal, and a worker would wait there for ever."""
    certificate, key = authority.client_files("sender.example")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", str(locked)], check=True
    )

    with pytest.raises(TlsFailed, match="CLIENT_CERT cannot be read"):
        transport.send(attempt("https://127.0.0.1:1/", client_cert=(certificate, str(locked))))


def test_a_ca_bundle_may_be_a_folder_of_hashed_names(
    serve: Any, transport: RequestsTransport, attempt: Any, authority: Any, tmp_path: Path
) -> None:
    """As OpenSSL's `rehash` makes them."""
    digest = subject_hash(authority.bundle)
    (tmp_path / f"{digest}.0").write_bytes(authority.ca.cert_pem.bytes())
    receiver = serve(tls=authority.server(NAME))

    assert send(transport, attempt, receiver, ca_bundle=str(tmp_path)).status == 200


def subject_hash(certificate: str) -> str:
    """Return the name that OpenSSL looks a certificate up by."""
    command = ["openssl", "x509", "-noout", "-hash", "-in", certificate]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
