"""Production and staging on one database and one Redis, with the same flag, endpoint id and host.

Whatever the one learns, decides or is told, the other never sees: breakers, ids that were handled, evidence,
ceilings, a kill. What a host has is the host's: one kill file for both stops both.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import override_settings

from rollout.actor import Actor
from rollout.commands import Start
from rollout.counters import Counts
from rollout.django import driving, gate
from rollout.percentage import Percentage
from rollout.rollout_state import RolloutState
from rollout.rollout_state import State as Rollout
from tests.integration.django.project import SECRET, project
from tests.integration.outbox.conftest import ON_POSTGRES, Process, World
from tests.integration.rollout.commands import run
from tests.integration.rollout.processes import SILENT, finish, start, until
from tests.redis_server import own_server, patient
from tests.scripted_receiver import Scripted, scripted
from webhooks_core.breaker import BreakerPolicy, State
from webhooks_core.django import sharing, wiring
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.envelope import seal
from webhooks_core.keys import KeyRing
from webhooks_core.signer import sign
from webhooks_core.stores.redis_breakers import RedisBreakerStore
from webhooks_core.stores.redis_connection import RedisConnection
from webhooks_core.testing.captured import real_delivery
from webhooks_core.verifier import Verified

NAMES = ("production", "staging")
ANNA = Actor(name="user:17", authenticated=True)
pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.redis,
    ON_POSTGRES,
]


@dataclass
class Environment(World):
    """One of the two: the same database, host and receiver, other rows and keys."""

    name: str = ""
    redis: str = ""
    kill_file: Path = Path()
    settings: Any = None

    @property
    def outbox(self) -> DjangoOutbox:
        """Its rows."""
        return DjangoOutbox(environment=self.name, using=self.alias)

    @contextmanager
    def as_configured(self) -> Iterator[None]:
        """Its settings, in this process."""
        with override_settings(**project(**self.settings)), real_delivery():
            yield

    def command(self, *arguments: str) -> Process:
        """`manage.py …`, in a process with its settings."""
        changes = {key: dict(each) if isinstance(each, dict) else each for key, each in self.settings.items()}
        for table in ("WEBHOOKS", "ROLLOUT"):
            changes[table]["DATABASE"] = "default"
        changes["WEBHOOKS"]["EVENTS"] = {"payment_verified": {"tournament_id": "integer"}}
        changes["ROLLOUT"]["FLAGS"] = {"tournament-webhooks": {"percentage": 100}}
        return start(self, self.kill_file, *arguments, **changes, LOGGING=SILENT)

    def state(self) -> RolloutState:
        """Where its rollout stands."""
        with self.as_configured():
            return driving.store().load(driving.driving().flag)

    def evidence(self) -> Counts:
        """Everything that was counted."""
        with self.as_configured():
            table = driving.evidence()
            assert table is not None
            return Counts.sum(row.counts for row in table.read(since_minute=0, until_minute=2**40))

    def breaker(self) -> State:
        """Its breaker of the one endpoint, as Redis has it."""
        connection = patient(RedisConnection(self.redis, environment=self.name))
        return RedisBreakerStore(connection, BreakerPolicy()).state("default", now=wiring.clock()).state

    def openings(self) -> float | None:
        """How often its breaker has opened, as its guard is told."""
        with self.as_configured():
            patient(sharing.redis())
            _, situation = driving.runner().look()
        assert situation.verdict is not None
        return next(each.value for each in situation.verdict.readings if each.measure == "breaker_openings")

    def rows(self, state: str) -> int:
        """How many of its rows are in *state*."""
        with self.outbox.database.reading() as cursor:
            cursor.execute(
                "SELECT count(*) FROM webhooks_delivery WHERE environment = %s AND state = %s",
                [self.name, state],
            )
            return int(cursor.fetchone()[0])


@pytest.fixture
def receiver() -> Iterator[Scripted]:
    """One host; each environment has a path of its own there."""
    with scripted() as found:
        yield found


@pytest.fixture
def both(world: World, receiver: Scripted, tmp_path: Path) -> Iterator[tuple[Environment, Environment]]:
    """Both, their rollouts under way."""
    with own_server() as server:
        found = []
        for name in NAMES:
            settings = {
                "WEBHOOK_ENDPOINT": f"http://127.0.0.1:{receiver.port}/{name}",
                "WEBHOOK_MAX_RETRIES": 1,
                "WEBHOOK_CB_MAX_FAILS": 2,
                "WEBHOOKS": {
                    "ENVIRONMENT": name,
                    "ENGINE": "worker",
                    "DATABASE": world.alias,
                    "ALLOW_HTTP": True,
                    "ALLOW_NETWORKS": [f"127.0.0.1/32:{receiver.port}"],
                    "REDIS": server.url,
                    "BREAKER_STORE": "redis",
                    "REPLAY_STORE": "redis",
                },
                "ROLLOUT": {
                    "PLAN": {"stages": [{"percentage": "100", "bake": "1h"}]},
                    "DATABASE": world.alias,
                    "KILL_FILE": str(tmp_path / name / "kill"),
                },
            }
            one = Environment(
                world.alias, world.database, world.receiver, world.processes,
                name=name, redis=server.url, kill_file=tmp_path / name / "kill", settings=settings,
            )  # fmt: skip
            with one.as_configured():
                driving.runner().obey(Start(by=ANNA, reason="go"))
            found.append(one)
        yield found[0], found[1]
        sharing.forget()


def test_a_breaker_that_opens_in_staging_leaves_production_closed(
    both: tuple[Environment, Environment], receiver: Scripted
) -> None:
    """Two workers, one failing receiver: no breaker, no sample, no heartbeat and no key is the other's."""
    production, staging = both
    receiver.answers["staging"] = [500]
    for one in both:
        one.add(20)
        one.command("webhooks", "worker", "--name", f"{one.name}-1")

    until(lambda: staging.breaker() is State.OPEN)
    production.add(20)
    until(lambda: production.rows("delivered") == 40)

    assert (production.breaker(), staging.breaker()) == (State.CLOSED, State.OPEN)
    assert len(receiver.on("production")) == 40
    ours, theirs = production.evidence(), staging.evidence()
    assert (ours.get("ok"), ours.failed, ours.get("refused")) == (40, 0, 0)
    assert theirs.get("ok") == 0 < min(theirs.failed, theirs.get("refused"))
    assert (production.openings(), staging.openings()) == (0, 1)
    for one in both:
        with one.as_configured():
            names = {each.name.split("/")[0] for each in driving.store().senders(driving.driving().flag)}
        assert names == {f"{one.name}-1"}
    with redis.Redis.from_url(staging.redis) as client:
        keys = sorted(key.decode() for key in client.scan_iter())
    assert {key.partition(":")[0] for key in keys} == {"{production", "{staging"}


def test_a_kill_in_staging_stops_nobody_in_production(
    both: tuple[Environment, Environment], receiver: Scripted
) -> None:
    """Its own sender acknowledges and holds; production's is not asked, and goes on."""
    production, staging = both
    for one in both:
        one.command("webhooks", "worker", "--name", f"{one.name}-1")
        one.add(1)
    until(lambda: production.rows("delivered") == staging.rows("delivered") == 1)

    code, out, _ = finish(staging.command("rollout", "kill", "--reason", "drill"))
    for one in both:
        one.add(20)
    until(lambda: production.rows("delivered") == 21 and staging.rows("held") == 20)

    assert code == 0
    assert (
        "1 of 1 stopped" in out and "staging-1/" in out and "production" not in out.replace("/production", "")
    )
    assert (staging.state().state, staging.state().killed) == (Rollout.ROLLED_BACK, True)
    assert (production.state().state, production.state().killed) == (Rollout.RUNNING, False)
    assert (len(receiver.on("production")), len(receiver.on("staging"))) == (21, 1)


def test_a_ceiling_of_staging_is_not_productions(both: tuple[Environment, Environment]) -> None:
    """One flag's key, two rollouts: the gate of each goes by its own, and so does each journal."""
    production, staging = both
    with staging.as_configured():
        code, _ = run("set", "5", "--yes", "--reason", "slower")

    let_in, entries = {}, {}
    for one in both:
        with one.as_configured():
            let_in[one.name] = sum(gate(unit).value for unit in range(200))
            entries[one.name] = len(driving.store().journal(driving.driving().flag))

    assert code == 0
    assert (production.state().ceiling, staging.state().ceiling) == (
        Percentage.parse(100),
        Percentage.parse(5),
    )
    assert let_in["production"] == 200 > let_in["staging"] > 0
    assert entries == {"production": 1, "staging": 2}


def test_an_id_that_staging_has_handled_is_new_in_production(both: tuple[Environment, Environment]) -> None:
    """The same id and bytes at both receivers: each handles it once, whatever the other remembers."""
    production, staging = both
    handled: list[tuple[str, str]] = []
    used, fresh = str(uuid.uuid4()), str(uuid.uuid4())

    first = [receive(staging, used, handled), receive(staging, used, handled)]
    second = [receive(production, used, handled), receive(production, used, handled)]
    while_at_work = receive_during(staging, production, fresh, handled)

    assert (first, second, while_at_work) == ([200, 200], [200, 200], (200, 200))
    assert handled == [
        ("staging", used), ("production", used), ("production", fresh), ("staging", fresh),
    ]  # fmt: skip


def test_one_kill_file_for_both_stops_both(both: tuple[Environment, Environment], tmp_path: Path) -> None:
    """The file is the host's and knows no environment: each needs a path of its own."""
    for one in both:
        one.settings["ROLLOUT"]["KILL_FILE"] = str(tmp_path / "kill")
    (tmp_path / "kill").touch()

    stopped = []
    for one in both:
        with one.as_configured():
            stopped.append(gate(1).detail)

    assert all(detail.startswith("kill switch") for detail in stopped)


def receive(one: Environment, webhook_id: str, handled: list[tuple[str, str]], during: Any = None) -> int:
    """Receive a signed request as *one*; a memory that is new takes nothing signed before it began."""

    def handle(verified: Verified) -> None:
        if during is not None:
            during()
        handled.append((one.name, verified.webhook_id))

    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id).body
    with one.as_configured():
        patient(sharing.redis())
        for _ in range(50):
            headers = sign(
                body, event="payment_verified", webhook_id=webhook_id, keys=KeyRing.of(SECRET),
                now=wiring.clock(),
            )  # fmt: skip
            status = wiring.receiver(handle).receive(headers, body).status
            if status != 503:
                return status
    return 503


def receive_during(
    one: Environment, other: Environment, webhook_id: str, handled: list[tuple[str, str]]
) -> tuple[int, int]:
    """Receive as *one*, and while that is handled, the same as *other*."""
    inner: list[int] = []
    outer = receive(one, webhook_id, handled, lambda: inner.append(receive(other, webhook_id, handled)))
    return outer, inner[0]
