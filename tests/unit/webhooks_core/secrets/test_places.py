"""Secrets in the environment and in files, and the ring that follows a place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rollout.testing import ManualClock
from webhooks_core.errors import ConfigError, KeyFormatError
from webhooks_core.keys import KeyRing
from webhooks_core.secrets import EnvironmentSecrets, FileSecrets, LiveKeyRing
from webhooks_core.signer import sign
from webhooks_core.verifier import Verifier

NOW = 1_763_000_000.0
OLD = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
NEW = "6e2b8f0d6a1c3b5e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6"
ID = "550e8400-e29b-41d4-a716-446655440000"
BODY = b'{"event":"payment_verified","data":{},"metadata":{}}'


@pytest.fixture
def ticks() -> ManualClock:
    return ManualClock(0.0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(OLD + "\n")
    path.chmod(0o400)
    return path


def rewrite(path: Path, text: str) -> None:
    """Replace a file as an operator does, in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o440)
    fresh.replace(path)


# --- the environment ---


def test_variables_are_read_in_their_order_and_those_unset_are_left_out() -> None:
    """During a rotation and after it the same setting serves."""
    environ = {"A": NEW, "B": OLD, "EMPTY": ""}

    assert list(EnvironmentSecrets("A", "B", environ=environ)()) == [NEW, OLD]
    assert list(EnvironmentSecrets("A", "EMPTY", "UNSET", environ=environ)()) == [NEW]
    assert list(EnvironmentSecrets("L", environ={"L": f'["{NEW}", "{OLD}"]'})()) == [NEW, OLD]


def test_the_first_variable_must_be_set() -> None:
    """It is the one that signs."""
    with pytest.raises(ConfigError, match=r"^A: is not set"):
        EnvironmentSecrets("A", "B", environ={"B": OLD})()
    with pytest.raises(ConfigError, match="one variable"):
        EnvironmentSecrets()


def test_the_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the names are shown, not what they hold."""
    monkeypatch.setenv("WEBHOOK_SECRET_OF_A_TEST", OLD)
    secrets = EnvironmentSecrets("WEBHOOK_SECRET_OF_A_TEST")

    assert list(secrets()) == [OLD]
    assert OLD not in repr(secrets)


# --- a file ---


def test_a_file_that_is_replaced_is_noticed_within_a_second(place: Path, ticks: ManualClock) -> None:
    """Lines or a JSON list."""
    secrets = FileSecrets(place, monotonic=ticks)
    first = secrets()
    rewrite(place, f'["{NEW}", "{OLD}"]')
    ticks.advance(0.9)
    within = secrets()
    ticks.advance(0.1)

    assert list(first) == list(within) == [OLD]
    assert list(secrets()) == [NEW, OLD]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'["half', b"x" * 70_000])
def test_a_file_that_is_spoilt_is_covered_by_what_was_read_before(
    place: Path, ticks: ManualClock, content: bytes
) -> None:
    """Empty, half written, no text, or far too large; and gone."""
    secrets = FileSecrets(place, monotonic=ticks)
    first = secrets()
    place.chmod(0o600)
    place.write_bytes(content)
    ticks.advance(10)
    spoilt = secrets()
    place.unlink()
    ticks.advance(10)

    assert spoilt is secrets() is first


@pytest.mark.parametrize("mode", [0o404, 0o444, 0o420, 0o460, 0o402, 0o644, 0o777])
def test_a_file_that_is_open_to_others_is_refused(place: Path, mode: int) -> None:
    """The mode is named, and the way out."""
    place.chmod(mode)

    with pytest.raises(ConfigError, match=f"its mode is {mode:04o}; chmod 0400 or 0440") as caught:
        FileSecrets(place)()

    assert OLD not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_file_that_only_we_and_our_group_read_is_good(place: Path, mode: int) -> None:
    """As orchestrators mount it."""
    place.chmod(mode)

    assert list(FileSecrets(place)()) == [OLD]


def test_a_file_of_somebody_else_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """He could change it. (Only root can give a file away; anybody else is somebody else himself.)"""
    if os.geteuid() == 0:
        os.chown(place, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)

    with pytest.raises(ConfigError, match="owned by root or by the user"):
        FileSecrets(place)()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, or a directory."""
    with pytest.raises(ConfigError, match="cannot be opened"):
        FileSecrets(tmp_path / "missing")()
    with pytest.raises(ConfigError, match="must be a file"):
        FileSecrets(tmp_path)()


def test_a_link_is_followed(place: Path, tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links, and swaps them."""
    link = tmp_path / "link"
    link.symlink_to(place)

    assert list(FileSecrets(link)()) == [OLD]
    assert repr(FileSecrets(link)) == f"FileSecrets({str(link)!r})"


# --- the ring ---


def test_a_rotation_reaches_signer_and_verifier_without_a_restart(place: Path, ticks: ManualClock) -> None:
    """The receiver's list first; then the sender's first; then the old one goes."""
    ring = LiveKeyRing(FileSecrets(place, monotonic=ticks), monotonic=ticks)
    verifier = Verifier(ring)

    def signed(*texts: str) -> dict[str, str]:
        return sign(BODY, event="payment_verified", webhook_id=ID, keys=KeyRing.of(*texts), now=NOW)

    def accepts(*texts: str) -> bool:
        try:
            return bool(verifier.verify(signed(*texts), BODY, now=NOW))
        except Exception as error:
            assert type(error).__name__ == "SignatureInvalid"
            return False

    before = accepts(OLD), accepts(NEW)
    rewrite(place, f"{NEW}\n{OLD}\n")
    ticks.advance(2)
    during = accepts(OLD), accepts(NEW)
    own = sign(BODY, event="payment_verified", webhook_id=ID, keys=ring, now=NOW)
    rewrite(place, NEW)
    ticks.advance(2)
    after = accepts(OLD), accepts(NEW)

    assert (before, during, after) == ((True, False), (True, True), (False, True))
    assert own == signed(NEW)
    assert len(ring) == 1
    assert ring == KeyRing.of(NEW)


def test_a_rotation_to_what_is_no_secret_changes_nothing(place: Path, ticks: ManualClock) -> None:
    """Too short: the good one signs on, until somebody mends it."""
    ring = LiveKeyRing(FileSecrets(place, monotonic=ticks), monotonic=ticks)
    rewrite(place, "short")
    ticks.advance(2)
    covered = ring == KeyRing.of(OLD)
    rewrite(place, NEW)
    ticks.advance(6)

    assert covered
    assert ring == KeyRing.of(NEW)


def test_a_ring_without_a_first_good_secret_is_not_made() -> None:
    """The setting is named, the text is not."""
    with pytest.raises(KeyFormatError, match="at least 32 characters") as caught:
        LiveKeyRing(lambda: "short-and-secret", path="MY_SECRET")

    assert caught.value.path == "MY_SECRET"
    assert "short-and-secret" not in str(caught.value)


def test_a_provider_of_a_projects_own_is_asked_once_a_minute(ticks: ManualClock) -> None:
    """Whatever it costs."""
    asked: list[int] = []

    def provider() -> list[str]:
        asked.append(1)
        return [OLD]

    ring = LiveKeyRing(provider, monotonic=ticks)
    for _ in range(59):
        ticks.advance(1)
        assert ring.signing == KeyRing.of(OLD).signing
    within = len(asked)
    ticks.advance(1)
    len(ring)

    assert (within, len(asked)) == (1, 2)


def test_a_live_ring_shows_nothing(place: Path) -> None:
    """As any ring."""
    assert repr(LiveKeyRing(FileSecrets(place))) == "LiveKeyRing(WEBHOOK_SECRET)"


def test_the_package_names_its_places_and_nothing_else() -> None:
    """Each is loaded when it is first named: nobody needs boto3 to read a file."""
    from webhooks_core import secrets

    assert secrets.__all__ == sorted(secrets.__all__)
    assert all(getattr(secrets, name) for name in secrets.__all__)
    with pytest.raises(AttributeError, match="Vault"):
        secrets.Vault
