"""Real processes around real databases: started, asked to end, killed, and what they left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, connections

from tests import databases
from tests.crash.notes import read
from tests.crash.producer import ENOUGH
from tests.crash.verdict import Facts, Kill, Made, Victim

ROOT = Path(__file__).parents[2]
OUTBOX, RECEIVER = "crash", "crash_receiver"
PATIENCE_SECONDS = 30.0
_EFFECTS = {
    "sqlite": "CREATE TABLE crash_effect (id integer PRIMARY KEY AUTOINCREMENT, webhook_id varchar(64))",
    "postgresql": "CREATE TABLE crash_effect (id bigserial PRIMARY KEY, webhook_id varchar(64))",
}
_MADE = "CREATE TABLE crash_made (webhook_id varchar(64), ordering_key varchar(200), number bigint)"


@dataclass
class Actor:
    """One process; its output is in a file, which is shown where something failed."""

    victim: Victim
    name: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The end of what it wrote."""
        return self.output.read_text(errors="replace")[-2_000:]


@dataclass
class Scene:
    """Producers, workers and one receiver, on two databases.

    Args:
        folder: For the notes and the output of the processes.
        settings: Of the two databases, by alias.
        lease_seconds, poll_seconds: Of the workers.
        redis: Address of the Redis that breakers are kept in; the database where there is none.
        has_breaker: Whether the breaker may open while the receiver is away, and so delay what it measures.
        port: Of the receiver; a free one.
        send_to: Where workers send to, where that is another port: a proxy in between.
    """

    folder: Path
    settings: Mapping[str, dict[str, Any]]
    lease_seconds: float = 2.0
    poll_seconds: float = 0.1
    has_breaker: bool = False
    redis: str = ""
    port: int = field(default_factory=lambda: free_port())
    send_to: int | None = None
    actors: list[Actor] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    # --- processes --------------------------------------------------------------------------------------

    def worker(self, name: str, *more: str, outbox: dict[str, Any] | None = None) -> Actor:
        """Start `manage.py webhooks worker`; *outbox* is how it reaches the database, where that differs."""
        return self._start(
            Victim.WORKER, name, "django", "webhooks", "worker", "--name", name,
            "--threads", "4", "--batch", "8",
            "--lease", str(self.lease_seconds), "--poll", str(self.poll_seconds), *more, outbox=outbox,
        )  # fmt: skip

    def producer(self, name: str, *, seed: int, rate: float) -> Actor:
        """Start a producer of so many transactions a second."""
        arguments = (name, str(seed), str(rate), str(self.folder))
        return self._start(Victim.PRODUCER, name, "tests.crash.producer", *arguments)

    def receiver(self, name: str, *, seed: int) -> Actor:
        """Start the receiver, on the same port each time."""
        arguments = (str(self.port), str(seed), str(self.folder))
        return self._start(Victim.RECEIVER, name, "tests.crash.receiver", *arguments)

    def _start(self, victim: Victim, name: str, *module: str, outbox: dict[str, Any] | None = None) -> Actor:
        reached = {"default": outbox or self.settings[OUTBOX], "receiver": self.settings[RECEIVER]}
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.crash.settings",
            "PYTHONPATH": str(ROOT),
            "CRASH_DATABASES": json.dumps(reached),
            "CRASH_PORT": str(self.send_to or self.port),
            "CRASH_REDIS": self.redis,
            "ROLLOUT_KILL_FILE": str(self.folder / "kill"),  # not that of the host: somebody may use it now
            "CRASH_BREAKER_FAILS": "5" if self.has_breaker else "9999",
        }
        output = self.folder / f"{name}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *module], cwd=ROOT, env=environment, stdout=file, stderr=file
            )
        actor = Actor(victim, name, process, output)
        self.actors.append(actor)
        return actor

    def living(self, victim: Victim) -> list[Actor]:
        """Those of a kind that run."""
        return [actor for actor in self.actors if actor.victim is victim and actor.is_alive]

    def kill(self, actor: Actor) -> Kill:
        """`kill -9`, and see what it held."""
        actor.process.send_signal(signal.SIGKILL)
        actor.process.wait()
        at = time.time()
        held = frozenset(self.claimed().get(actor.name, ())) if actor.victim is Victim.WORKER else frozenset()
        kill = Kill(victim=actor.victim, name=actor.name, at=at, held=held)
        self.kills.append(kill)
        return kill

    def stop(self, victim: Victim) -> None:
        """Ask those of a kind to end; each must do so well, and one that has not begun yet may just end."""
        ending = self.living(victim)
        for actor in ending:
            actor.process.send_signal(signal.SIGTERM)
        for actor in ending:
            code = actor.process.wait(PATIENCE_SECONDS)
            assert code in (0, -signal.SIGTERM), f"{actor.name} ended with {code}:\n{actor.last_words()}"

    def end(self) -> None:
        """Kill whoever is left."""
        for actor in self.actors:
            if actor.is_alive:
                actor.process.kill()
            actor.process.wait()

    # --- what is there ----------------------------------------------------------------------------------

    def ask(self, query: str, *values: object, alias: str = OUTBOX) -> list[tuple[Any, ...]]:
        """Rows of a query; a database that is away for a moment is asked again."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with connections[alias].cursor() as cursor:
                    cursor.execute(query, values)
                    return cursor.fetchall()
            except (DatabaseError, InterfaceError):
                connections[alias].close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def claimed(self) -> dict[str, list[str]]:
        """The ids that are claimed now, by worker."""
        found: dict[str, list[str]] = {}
        query = "SELECT worker, webhook_id FROM webhooks_delivery WHERE state = 'claimed'"
        for worker, webhook_id in self.ask(query):
            found.setdefault(worker, []).append(webhook_id)
        return found

    def unsent(self) -> int:
        """How many rows are on their way."""
        ((count,),) = self.ask("SELECT count(*) FROM webhooks_delivery WHERE state IN ('pending', 'claimed')")
        return int(count)

    def is_served(self) -> bool:
        """Whether the receiver listens."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def spare_producers(self, *, above: int) -> None:
        """Let producers pause while more rows than that are on their way, or go on."""
        if self.unsent() > above:
            (self.folder / ENOUGH).touch()
        else:
            (self.folder / ENOUGH).unlink(missing_ok=True)

    def effects(self) -> int:
        """How many effects there are."""
        ((count,),) = self.ask("SELECT count(*) FROM crash_effect", alias=RECEIVER)
        return int(count)

    def until(self, holds: Callable[[], bool], *, what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for something that must happen."""
        if not waited(holds, seconds=seconds):
            words = "\n".join(f"{actor.name}: {actor.last_words()}" for actor in self.actors[-6:])
            raise AssertionError(f"{what}: not within {seconds:.0f} s\n{words}")

    def facts(self) -> Facts:
        """All that is known now."""
        producers = list(read(self.folder / "producers"))
        made = self.ask("SELECT webhook_id, ordering_key, number FROM crash_made")
        effects = self.ask("SELECT webhook_id FROM crash_effect ORDER BY id", alias=RECEIVER)
        return Facts(
            made=[Made(webhook_id=row[0], ordering_key=row[1], number=row[2]) for row in made],
            committed=[note.name for note in producers if note.word == "committed"],
            rolled_back=[note.name for note in producers if note.word == "rolled-back"],
            states=dict(self.ask("SELECT webhook_id, state FROM webhooks_delivery")),
            effects=[row[0] for row in effects],
            requests=list(read(self.folder / "receiver")),
            kills=self.kills,
            quiet=self._quiet(),
        )

    def producer_errors(self) -> set[str]:
        """The kinds of errors that producers saw."""
        return {note.name for note in read(self.folder / "producers") if note.word == "error"}

    def _quiet(self) -> list[tuple[float, float]]:
        begins = [note.at for note in read(self.folder / "receiver") if note.word == "serves"]
        ends = [kill.at for kill in self.kills if kill.victim is Victim.RECEIVER]
        return [(end, min((at for at in begins if at > end), default=end + 60.0)) for end in ends]


def waited(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for something, and return whether it happened."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# --- databases ------------------------------------------------------------------------------------------


@contextmanager
def scene(kind: str, folder: Path, **options: Any) -> Iterator[Scene]:
    """A scene on SQLite files in *folder*, or on new databases of the tests' PostgreSQL."""
    if kind == "sqlite":
        files = {alias: databases.sqlite(folder / f"{alias}.sqlite3") for alias in (OUTBOX, RECEIVER)}
        with opened(folder, files, **options) as found:
            yield found
        return
    name = f"rollout_crash_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with databases.postgres_database(name) as one, databases.postgres_database(f"{name}_r") as other:
        settings = {OUTBOX: databases.postgres(one), RECEIVER: databases.postgres(other)}
        with opened(folder, settings, **options) as found:
            yield found


@contextmanager
def opened(folder: Path, settings: Mapping[str, dict[str, Any]], **options: Any) -> Iterator[Scene]:
    """A scene on databases that are there and empty."""
    with databases.alias(OUTBOX, settings[OUTBOX]), databases.alias(RECEIVER, settings[RECEIVER]):
        for alias in (OUTBOX, RECEIVER):
            call_command("migrate", database=alias, verbosity=0)
            create = _MADE if alias == OUTBOX else _EFFECTS[connections[alias].vendor]
            with connections[alias].cursor() as cursor:
                cursor.execute(create)
        found = Scene(folder, settings, **options)
        try:
            yield found
        finally:
            found.end()


@contextmanager
def a_folder(kept: Path | None = None) -> Iterator[Path]:
    """A folder for a run: *kept*, or a temporary one."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="rollout-crash-") as name:
        yield Path(name)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
