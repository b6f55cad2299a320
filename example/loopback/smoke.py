"""What both smoke tests share: their options, the run with its receiver, and the file they write.

A run uses the example project with a temporary SQLite database: events are recorded in its outbox, and a
worker in a thread of this process sends them, so that each request can be looked at. Without `--endpoint` it
starts the example's own receiver on the loopback interface and can make it ill; with one, it sends there and
believes the answers.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopback.deliveries import Recorded, gather, iso
from loopback.logbook import Logbook, personal_data
from loopback.outbox import ON_THE_WAY, breaker_is_open, count, wait_until_sent
from loopback.project import prepare
from loopback.receiver_process import ReceiverProcess
from loopback.wiretap import Attempt, wiretap
from loopback.worker import worker_thread

SENT_WITHIN_SECONDS = 90.0  # three attempts of 10 s, the waits between them, and as much again
REFUSED = 2  # exit status: nothing was sent, the call was wrong
PRODUCTION = frozenset({"production", "prod", "live"})


class Refused(Exception):
    """The run must not start; the text says why."""


@dataclass(slots=True, kw_only=True)
class SmokeRun:
    """A run that has been prepared: what it sends is kept in *attempts*."""

    environment: str
    secret: str
    attempts: list[Attempt]
    log: Logbook
    receiver: ReceiverProcess | None
    started_at: float

    def settle(self) -> None:
        """Wait until all that was recorded has been sent or given up; not for a breaker that has opened."""
        wait_until_sent(seconds=SENT_WITHIN_SECONDS, give_up=breaker_is_open)

    def left(self) -> int:
        """Return how many deliveries are still on their way."""
        return count(*ON_THE_WAY)

    def flagged_log_lines(self) -> int:
        """Return how many log lines of both ends the runbook's checks for personal data would find."""
        lines = self.log.all_lines()
        if self.receiver is not None:
            lines += Logbook(self.receiver.log).all_lines()
        return len(personal_data(lines))

    def verified_ids(self) -> set[object] | None:
        """Return the ids that the receiver says it has verified; None where it is not ours to ask."""
        if self.receiver is None:
            return None
        found = self.receiver.report()["verified"]
        assert isinstance(found, list)
        return {webhook["webhook_id"] for webhook in found}

    def deliveries(self) -> list[Recorded]:
        """Return all deliveries so far."""
        return gather(self.attempts)

    def since(self, mark: int) -> list[Recorded]:
        """Return the deliveries whose attempts came after the first *mark* attempts."""
        return gather(self.attempts[mark:])

    def header(self, totals: dict[str, object], deliveries: Sequence[Recorded]) -> dict[str, object]:
        """Return the `test_run` part of an artifact."""
        succeeded = sum(delivery.succeeded for delivery in deliveries)
        return {
            "timestamp": iso(self.started_at)[:19] + "Z",
            "ended": iso(time.time())[:19] + "Z",
            "environment": self.environment,
            "receiver": "loopback" if self.receiver else "given endpoint",
            **totals,
            "webhooks_sent": len(deliveries),
            "webhooks_success": succeeded,
            "webhooks_failed": len(deliveries) - succeeded,
        }


class OptionsParser(argparse.ArgumentParser):
    """Names an unknown option and never repeats its value: it may be a secret that somebody tried to pass."""

    def parse_args(self, args: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse, and refuse what is not known."""
        options, unknown = self.parse_known_args(args)
        if unknown:
            names = [text.partition("=")[0] for text in unknown if text.startswith("--")]
            self.error(f"unknown: {', '.join(names) or 'a word without an option'}")
        return options


def parser(description: str, *, output: str) -> argparse.ArgumentParser:
    """Return the options that both smoke tests have. No option takes a secret."""
    options = OptionsParser(description=description, allow_abbrev=False)
    options.add_argument("--endpoint", help="send to this URL instead of a receiver of our own")
    options.add_argument("--secret-file", type=Path, help="read the secret from here (else WEBHOOK_SECRET)")
    options.add_argument("--allow-network", default="", help="CIDR[:port] inside which --endpoint may lie")
    options.add_argument("--over-seconds", type=float, default=0.0, help="spread the run over this time")
    options.add_argument("--output", type=Path, default=Path(output), help=f"default {output}")
    return options


def at_least_one(text: str) -> int:
    """Read a count of payments or matches."""
    count = int(text)
    if count < 1:
        raise ValueError
    return count


@contextmanager
def smoke_run(options: argparse.Namespace) -> Iterator[SmokeRun]:
    """Prepare a run; at its end the receiver process and the temporary folder are gone.

    Raises:
        Refused: ENVIRONMENT is production, or there is no secret for the given endpoint.
    """
    environment = refuse_production()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webhook-smoke-")))
        receiver = None
        secret = _secret(options) if options.endpoint else secrets.token_hex(32)
        if not options.endpoint:
            receiver = stack.enter_context(ReceiverProcess(secret=secret, folder=folder))
        project = prepare(
            folder,
            endpoint=options.endpoint or (receiver.url if receiver else ""),
            secret=secret,
            percentage="100",
            environment={"ENVIRONMENT": environment, "DEMO_ALLOW_NETWORKS": options.allow_network},
        )
        attempts = stack.enter_context(wiretap())
        stack.enter_context(worker_thread())
        yield SmokeRun(
            environment=environment,
            secret=secret,
            attempts=attempts,
            log=Logbook(project.log),
            receiver=receiver,
            started_at=time.time(),
        )


def refuse_production() -> str:
    """Return the environment's name, "staging" unless it is told.

    Raises:
        Refused: ENVIRONMENT, or WEBHOOKS["ENVIRONMENT"] of DJANGO_SETTINGS_MODULE, is production.
    """
    named = os.environ.get("ENVIRONMENT", "").strip().lower()
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    configured = ""
    if module and module != "deltacrown.settings.demo":
        try:
            configured = str(importlib.import_module(module).WEBHOOKS["ENVIRONMENT"]).lower()
        except (ImportError, AttributeError, KeyError, TypeError) as error:
            raise Refused(f"cannot tell the ENVIRONMENT of {module} ({type(error).__name__})") from None
    if {named, configured} & PRODUCTION:
        raise Refused("ENVIRONMENT is production: smoke tests never run there")
    return named or configured or "staging"


def finish(options: argparse.Namespace, artifact: dict[str, object]) -> int:
    """Write the artifact, print it, and return the exit status: 0 only when every expectation held."""
    text = json.dumps(artifact, indent=2, ensure_ascii=False)
    options.output.write_text(text + "\n", encoding="utf-8")
    print(text)
    expectations = artifact["expectations"]
    assert isinstance(expectations, list)
    for missed in (expectation for expectation in expectations if not expectation["ok"]):
        say(f"MISSED {missed['name']}: measured {missed['measured']}, wanted {missed['wanted']}")
    verdict = "all hold" if artifact["ok"] else "not all hold"
    say(f"{len(expectations)} expectations, {verdict}: {options.output}")
    return 0 if artifact["ok"] else 1


def expectation(name: str, measured: object, wanted: object) -> dict[str, object]:
    """Return one claim: *measured* has to be *wanted*."""
    return {"name": name, "ok": measured == wanted, "measured": measured, "wanted": wanted}


def pause(options: argparse.Namespace, steps: int) -> None:
    """Wait between two of *steps* steps, where the run is spread over time."""
    if options.over_seconds > 0:
        time.sleep(options.over_seconds / max(1, steps))


def say(text: str) -> None:
    """Tell a person; standard output is the artifact's."""
    print(text, file=sys.stderr, flush=True)


def _secret(options: argparse.Namespace) -> str:
    text = os.environ.get("WEBHOOK_SECRET")
    if options.secret_file:
        try:
            text = options.secret_file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise Refused(f"--secret-file cannot be read ({type(error).__name__})") from None
    if not text or not text.strip():
        raise Refused("--endpoint needs its secret in WEBHOOK_SECRET or in a file (--secret-file)")
    return text.strip()
