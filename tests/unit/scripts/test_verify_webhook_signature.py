"""The verifier that stands alone: as a class in a receiver, and as a command in a shell."""

from __future__ import annotations

import ast
import hashlib
import hmac
import importlib.util
import io
import json
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_webhook_signature.py"
NOW = 1_763_000_000.0
STAMP = "1763000000000"
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "650e8400-e29b-41d4-a716-446655440000"
SECRET = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow
BODY = '{"event":"payment_verified","data":{"tournament_id":101},"metadata":{"webhook_id":"' + ID + '"}}'
BARE = '{"event":"payment_verified","data":{},"metadata":{}}'


def load() -> ModuleType:
    """Load the file as a receiver that copied it would."""
    spec = importlib.util.spec_from_file_location("verify_webhook_signature", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load()


def signature_of(body: str | bytes, stamp: str | None = STAMP, secret: str = SECRET) -> str:
    """Sign as the seeds' snippet does."""
    raw = body if isinstance(body, bytes) else body.encode()
    message = raw if stamp is None else stamp.encode() + b"." + raw
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def verifier(now: float = NOW, **options: object) -> object:
    """A verifier whose clock stands still."""
    return script.WebhookVerifier(SECRET, clock=lambda: now, **options)


def test_the_file_imports_nothing_but_the_standard_library() -> None:
    """It can be copied to a receiver as it is."""
    tree = ast.parse(SCRIPT.read_text())
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert names <= set(sys.stdlib_module_names)


def test_the_call_of_the_staging_guide_works() -> None:
    """`verify_webhook(body, signature)`: a signature over the body alone; the result is true or false."""
    checker = script.WebhookVerifier(secret=SECRET)

    assert checker.verify_webhook(BODY, signature_of(BODY, None))
    assert not checker.verify_webhook(BODY, "a" * 64)


def test_the_call_of_the_runbook_works() -> None:
    """`verify_webhook(body, signature, timestamp, webhook_id)`, which unpacks as ok and error."""
    ok, error = verifier().verify_webhook(BODY, signature_of(BODY), STAMP, ID)  # type: ignore[attr-defined]

    assert (ok, error) == (True, None)


def test_a_body_may_be_bytes() -> None:
    """The raw bytes are best."""
    result = verifier(NOW + 1.25).verify_webhook(BODY.encode(), signature_of(BODY), STAMP, ID)  # type: ignore[attr-defined]

    assert (result.ok, result.reason, result.age_seconds) == (True, None, 1.25)


@pytest.mark.parametrize(
    ("age_ms", "reason"),
    [
        (300_000, None),
        (300_001, "Timestamp too old"),
        (-30_000, None),
        (-30_001, "Timestamp in future"),
    ],
)
def test_the_edges_are_those_of_the_contract(age_ms: int, reason: str | None) -> None:
    """300 s old and 30 s ahead are still good, to the millisecond."""
    stamp = str(1_763_000_000_000 - age_ms)

    assert verifier().verify_webhook(BODY, signature_of(BODY, stamp), stamp).reason == reason  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"signature": None}, "Missing header"),
        ({"signature": "a" * 63}, "Malformed header"),
        ({"signature": "A" * 64}, "Malformed header"),
        ({"signature": "ä" * 64}, "Malformed header"),
        ({"signature": "a" * 64}, "Invalid signature"),
        ({"timestamp": None}, "Missing header"),
        ({"timestamp": ""}, "Malformed header"),
        ({"timestamp": "-1"}, "Malformed header"),
        ({"timestamp": "1" * 30}, "Malformed header"),
        ({"timestamp": "0" + STAMP}, "Malformed header"),
        ({"timestamp": int(STAMP)}, "Malformed header"),
        ({"timestamp": "1763000000001"}, "Invalid signature"),
        ({"webhook_id": OTHER_ID}, "Invalid signature"),
        ({"webhook_id": "a b"}, "Malformed header"),
        ({"webhook_id": ""}, "Malformed header"),
        ({"event": "payment_rejected"}, "Invalid signature"),
        ({"event": "Payment"}, "Malformed header"),
        ({"body": BODY + " "}, "Invalid signature"),
        ({"body": b"x" * 262_145}, "Body too large"),
        ({"body": "\ud800"}, "Invalid signature"),
    ],
)
def test_each_refusal_has_its_reason(change: dict[str, object], reason: str) -> None:
    """The short texts of the contract §5."""
    call: dict[str, object] = {
        "signature": signature_of(BODY),
        "timestamp": STAMP,
        "webhook_id": ID,
        "event": None,
    }
    call |= {"body": BODY, **change}

    result = verifier().verify_webhook(call.pop("body"), **call)  # type: ignore[attr-defined]

    assert (bool(result), result.reason) == (False, reason)


def test_a_missing_timestamp_never_turns_into_a_check_of_the_body_alone() -> None:
    """A captured 5.5 request whose receiver passes `headers.get("X-Webhook-Timestamp")`, which is None."""
    captured = signature_of(BODY, None)

    assert verifier().verify_webhook(BODY, captured, None).reason == "Missing header"  # type: ignore[attr-defined]
    fixed = verifier(scheme="timestamped")
    assert fixed.verify_webhook(BODY, captured).reason == "Missing header"  # type: ignore[attr-defined]


def test_the_scheme_body_ignores_a_timestamp() -> None:
    """Where the sender signs the body alone and the receiver is told so."""
    assert verifier(scheme="body").verify_webhook(BODY, signature_of(BODY, None), "any", ID)  # type: ignore[attr-defined]


def test_during_a_rotation_each_secret_verifies() -> None:
    """A list, newest first."""
    checker = script.WebhookVerifier(["0f" * 32, SECRET], clock=lambda: NOW)

    assert checker.verify_webhook(BODY, signature_of(BODY), STAMP)
    assert checker.verify_webhook(BODY, signature_of(BODY, secret="0f" * 32), STAMP)


def test_an_id_is_accepted_once_until_it_is_forgotten() -> None:
    """Within 900 s; a handler that failed forgets it, so that the next attempt is accepted."""
    clock = SimpleNamespace(now=NOW)
    checker = script.WebhookVerifier(SECRET, clock=lambda: clock.now)

    def send(stamp: str = STAMP, webhook_id: str = ID) -> str | None:
        reason: str | None = checker.verify_webhook(BODY, signature_of(BODY, stamp), stamp, webhook_id).reason
        return reason

    assert send() is None
    assert send() == "Duplicate webhook (replay detected)"
    assert send("1763000000001") == "Duplicate webhook (replay detected)"
    checker.forget(ID)
    assert send() is None
    clock.now += 899.999
    assert send(f"{1_763_000_899_999}") == "Duplicate webhook (replay detected)"
    clock.now += 0.001
    assert send(f"{1_763_000_900_000}") is None


def test_a_signature_under_a_fresh_id_is_a_duplicate() -> None:
    """A body of the seeds has no id inside."""
    checker = verifier()

    assert checker.verify_webhook(BARE, signature_of(BARE), STAMP, ID)  # type: ignore[attr-defined]
    again = checker.verify_webhook(BARE, signature_of(BARE), STAMP, OTHER_ID)  # type: ignore[attr-defined]
    assert again.reason == "Duplicate webhook (replay detected)"


def test_without_a_signed_timestamp_only_the_id_is_remembered() -> None:
    """Two equal bodies have one signature there."""
    checker = verifier()
    plain = signature_of(BARE, None)

    results = [checker.verify_webhook(BARE, plain, webhook_id=one).ok for one in (ID, OTHER_ID, ID)]  # type: ignore[attr-defined]

    assert results == [True, True, False]


def test_a_refused_webhook_is_not_remembered() -> None:
    """Only a signature that holds may touch the memory."""
    checker = verifier()

    checker.verify_webhook(BODY, "a" * 64, STAMP, ID)  # type: ignore[attr-defined]

    assert checker.verify_webhook(BODY, signature_of(BODY), STAMP, ID)  # type: ignore[attr-defined]


def test_what_is_old_is_swept_from_the_memory() -> None:
    """The sets do not grow for ever."""
    clock = SimpleNamespace(now=NOW)
    checker = script.WebhookVerifier(SECRET, clock=lambda: clock.now)
    for number in range(50):
        checker.verify_webhook(BARE + " " * number, signature_of(BARE + " " * number), STAMP, f"id-{number}")
    clock.now += 1000
    stamp = str(1_763_001_000_000)

    checker.verify_webhook(BARE, signature_of(BARE, stamp), stamp, "id-new")

    assert (len(checker._ids), len(checker._signatures)) == (1, 1)


@pytest.mark.parametrize("body", ["", "[]", "null", "text", "[" * 10_000, '{"event":'])
def test_a_signed_body_that_is_no_json_object_is_malformed_where_it_is_read(body: str) -> None:
    """Where an id or an event is to be compared; the signature alone needs no JSON."""
    assert verifier().verify_webhook(body, signature_of(body), STAMP)  # type: ignore[attr-defined]
    assert verifier().verify_webhook(body, signature_of(body), STAMP, ID).reason == "Malformed body"  # type: ignore[attr-defined]
    asked = verifier().verify_webhook(body, signature_of(body), STAMP, event="test")  # type: ignore[attr-defined]
    assert asked.reason == "Malformed body"


def test_metadata_that_are_no_object_hold_no_id() -> None:
    """As the library has it."""
    body = '{"event":"test","metadata":[]}'

    assert verifier().verify_webhook(body, signature_of(body), STAMP, ID, event="test")  # type: ignore[attr-defined]


def test_of_many_threads_with_one_id_one_is_accepted() -> None:
    """One object serves any number of threads."""
    checker = verifier()
    barrier = threading.Barrier(8)
    results: list[bool] = []

    def ask() -> None:
        barrier.wait()
        results.append(bool(checker.verify_webhook(BODY, signature_of(BODY), STAMP, ID)))  # type: ignore[attr-defined]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("", "at least 32 characters"),
        ("a1b2c3d4e5f6...123456", "at least 32 characters"),
        (None, "at least 32 characters"),
        (b"k" * 64, "at least 32 characters"),
        ([], "no secret is given"),
        (["k" * 64, "k"], "at least 32 characters"),
        ("k" * 64 + "\n", "white space"),
        (script.PUBLISHED_EXAMPLE, "published example"),
    ],
)
def test_a_secret_that_cannot_be_is_refused(secret: object, problem: str) -> None:
    """With words that do not quote it."""
    with pytest.raises(ValueError, match=problem):
        script.WebhookVerifier(secret)


def test_an_unknown_scheme_is_refused() -> None:
    """Two are known."""
    with pytest.raises(ValueError, match="timestamped, body"):
        script.WebhookVerifier(SECRET, scheme="standard")


def test_nothing_shows_the_secret() -> None:
    """Neither repr nor the locals of a traceback."""
    assert SECRET[:8] not in repr(script.WebhookVerifier(SECRET))
    assert repr(script._Key(b"x")) == "Key(…)"
    try:
        script.WebhookVerifier("very-secret-but-with-a-line-end-behind-it\n")
    except ValueError as error:
        frames = [
            frame
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_filename == str(SCRIPT)
        ]
    assert frames
    assert not any("very-secret" in repr(value) for frame in frames for value in frame.f_locals.values())


def run(*arguments: str, stdin: bytes = b"", environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run the file as a command; returns the exit status and what it printed."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "WEBHOOK_SECRET": SECRET, **(environ or {})},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


FLAGS = ["--signature", signature_of(BODY), "--timestamp", STAMP, "--id", ID, "--event", "payment_verified"]


def test_a_saved_webhook_is_verified_from_a_shell(tmp_path: Path) -> None:
    """Body in a file or on stdin, headers by flags, the secret in the environment; status 0."""
    saved = tmp_path / "body.json"
    saved.write_text(BODY)

    by_file = run(str(saved), *FLAGS, "--at", "1763000001.5")
    by_stdin = run(*FLAGS, "--at", "1763000001.5", stdin=BODY.encode())

    assert by_file == by_stdin == (0, "valid (timestamp age 1.5 s)\n", "")


def test_a_refused_webhook_has_the_exit_status_1() -> None:
    """By now the timestamp is old; with --json one object says so."""
    status, output, _ = run(*FLAGS, "--json", stdin=BODY.encode())

    told = json.loads(output)
    assert status == 1
    assert (told["ok"], told["reason"], told["hint"]) == (False, "Timestamp too old", None)
    assert told["age_seconds"] > 0


def test_a_line_end_that_an_editor_has_added_is_told() -> None:
    """The most frequent reason for an invalid signature of a saved body."""
    status, output, _ = run(*FLAGS, "--at", "1763000000", stdin=BODY.encode() + b"\r\n")

    assert status == 1
    assert output.splitlines() == [
        "refused: Invalid signature (timestamp age 0 s)",
        "hint: without the line end at the end of the body the signature is valid",
    ]


def test_the_older_contract_must_be_asked_for() -> None:
    """Without --scheme body a missing timestamp is a missing header."""
    plain = signature_of(BODY, None)

    assert run("--signature", plain, stdin=BODY.encode()) == (1, "refused: Missing header\n", "")
    assert run("--signature", plain, "--scheme", "body", stdin=BODY.encode()) == (0, "valid\n", "")


def main(*arguments: str, monkeypatch: pytest.MonkeyPatch, body: bytes = BODY.encode()) -> int:
    """Call the command within this process."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(body)))
    status: int = script.main(arguments, clock=lambda: NOW)
    return status


def test_the_secret_comes_from_a_variable_a_file_or_a_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never from the command line; the line end of a file is cut."""
    saved = tmp_path / "secret"
    saved.write_text(SECRET + "\r\n")
    monkeypatch.setenv("OTHER_SECRET", SECRET)
    monkeypatch.delenv("WEBHOOK_SECRET", raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: SECRET)

    assert main(*FLAGS, "--secret-file", str(saved), monkeypatch=monkeypatch) == 0
    assert main(*FLAGS, "--secret-variable", "OTHER_SECRET", monkeypatch=monkeypatch) == 0
    assert main(*FLAGS, "--ask-secret", monkeypatch=monkeypatch) == 0
    assert main(*FLAGS, monkeypatch=monkeypatch) == 2
    assert "the environment variable WEBHOOK_SECRET is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environ", "problem"),
    [
        (["missing.json"], {}, "No such file"),
        ([], {"WEBHOOK_SECRET": ""}, "is not set"),
        ([], {"WEBHOOK_SECRET": "short"}, "at least 32 characters"),
        (["--secret-file", "missing"], {}, "No such file"),
        (["--scheme", "standard"], {}, "invalid choice"),
        (["--secret", "x"], {}, "unknown: --secret$"),
        (["--secret-file", "-"], {}, "not both"),
    ],
)
def test_a_command_that_cannot_be_used_has_the_exit_status_2(
    arguments: list[str], environ: dict[str, str], problem: str
) -> None:
    """Nothing was verified."""
    import re

    status, _, errors = run(*arguments, environ=environ)

    assert status == 2
    assert re.search(problem, errors)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--secret", SECRET],
        [f"--secret={SECRET}"],
        [f"--secret-v={SECRET}"],
        ["body.json", SECRET],
        ["--secret-variable", SECRET],
    ],
)
def test_a_secret_that_somebody_tries_to_pass_is_not_repeated(arguments: list[str]) -> None:
    """It is refused, and what was typed does not reach a log of the terminal a second time."""
    status, output, errors = run(*arguments, stdin=BODY.encode())

    assert status == 2
    assert SECRET not in output + errors


def test_the_secret_may_come_from_standard_input(tmp_path: Path) -> None:
    """From a pipe: `get-secret | verify_webhook_signature.py body.json --secret-file -`."""
    saved = tmp_path / "body.json"
    saved.write_text(BODY)
    arguments = [str(saved), *FLAGS, "--at", "1763000000", "--secret-file", "-"]

    assert run(*arguments, stdin=SECRET.encode() + b"\n", environ={"WEBHOOK_SECRET": ""})[0] == 0
    assert run(*arguments, stdin=b"k" * 64)[0] == 1
