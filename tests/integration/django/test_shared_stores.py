"""Breakers and seen ids where the settings say: memory, the database, Redis; and what checks say of them."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core import checks
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.test import override_settings

from tests.integration.django.project import SECRET, Override
from tests.redis_server import URL, forget, own_server, patient
from webhooks_core.breaker import Admit, Force, ForcedMode, Refused
from webhooks_core.delivery import Delivery
from webhooks_core.django import sharing, wiring
from webhooks_core.django.models import Breaker, SeenWebhook
from webhooks_core.envelope import seal
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing
from webhooks_core.per_process import PerProcess
from webhooks_core.signer import sign
from webhooks_core.stores.redis_connection import RedisConnection
from webhooks_core.verifier import Verified

PASSWORD = "hunter2hunter2"
IDS = [str(uuid.UUID(int=(0x550E8400E29B41D4A716446655440000 + number))) for number in range(3)]
GONE = "redis://:hunter2hunter2@127.0.0.1:1/0"  # nobody listens there


@pytest.fixture
def in_redis(using: Override) -> Iterator[RedisConnection]:
    """All that can be in Redis is there, under an environment that no other test has."""
    environment = f"test-{uuid.uuid4().hex[:16]}"
    table = {"ENVIRONMENT": environment, "REDIS": URL, "BREAKER_STORE": "redis", "REPLAY_STORE": "redis"}
    with using(WEBHOOKS=table):
        connection = patient(sharing.redis())
        yield connection
    forget(connection)


def deliver(handle: Callable[[Verified], object], *, webhook_id: str = IDS[0], **said: Any) -> int:
    """Receive one signed request with a receiver of the settings; returns the status."""
    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=webhook_id).body
    keys = KeyRing.of(SECRET)
    headers = sign(body, event="payment_verified", webhook_id=webhook_id, keys=keys, now=wiring.clock())
    return wiring.receiver(handle, **said).receive(headers, body).status


def as_another_process() -> None:
    """Let go of all that this process has built."""
    wiring.sending.forget()
    sharing.forget()


def down(endpoint: str = "default") -> None:
    """A person says that an endpoint is not to be sent to."""
    now = wiring.clock()
    command = Force(mode=ForcedMode.FORCED_OPEN, actor="test", reason="test", until=now + 60)
    wiring.sending().breakers.apply(endpoint, command, now=now)


def refuses(endpoint: str = "default") -> bool:
    """Whether the breaker in force lets nothing through."""
    answer = wiring.sending().breakers.apply(endpoint, Admit(), now=wiring.clock()).answer
    return isinstance(answer, Refused)


@pytest.mark.redis
@pytest.mark.network
def test_breakers_in_redis_are_those_of_every_process(in_redis: RedisConnection) -> None:
    """And their keys begin with the environment."""
    down()
    as_another_process()
    patient(sharing.redis())

    assert refuses()
    assert not refuses("other")
    assert in_redis.key("breaker", "default").startswith("{" + in_redis.environment + ":")


@pytest.mark.redis
@pytest.mark.network
def test_ids_in_redis_are_those_of_every_process(in_redis: RedisConnection) -> None:
    """Handled by one, known to the others; a new memory refuses what was signed before it began."""
    handled: list[Verified] = []
    statuses = [deliver(handled.append, webhook_id=IDS[1])]
    while deliver(handled.append) == 503:
        assert statuses == [503]
    as_another_process()
    patient(sharing.redis())

    again = deliver(handled.append)

    assert again == 200
    assert [verified.webhook_id for verified in handled] == [IDS[0]]


@pytest.mark.redis
@pytest.mark.network
def test_a_rebuild_closes_the_connections_to_redis(in_redis: RedisConnection) -> None:
    """A setting that changes leaves no socket behind."""
    in_redis.info("server")
    (before,) = in_redis._pool()._available_connections

    with override_settings(WEBHOOK_TIMEOUT=3):
        pass

    assert before._sock is None
    assert sharing.redis() is not in_redis


@pytest.mark.django_db(transaction=True)
def test_breakers_in_the_database_serve_the_inline_engine_too(using: Override) -> None:
    """The store is chosen, not the engine's."""
    with using(WEBHOOKS={"ENGINE": "inline", "BREAKER_STORE": "database"}):
        breakers = wiring.sending().breakers

    assert type(breakers).__name__ == "DatabaseBreakerStore"
    assert Breaker.objects.count() == 0


def test_breakers_in_memory_are_those_of_one_process(using: Override) -> None:
    """Gone with it."""
    with using(WEBHOOKS={"BREAKER_STORE": "memory"}):
        down()
        here = refuses()
        as_another_process()
        elsewhere = refuses()

    assert (here, elsewhere) == (True, False)


@pytest.mark.django_db
def test_where_the_app_is_installed_ids_are_kept_in_its_tables(using: Override) -> None:
    """Contract §5: done ids are kept seven days, in the database."""
    handled: list[Verified] = []
    with using():
        first = deliver(handled.append)
        as_another_process()
        second = deliver(handled.append)
    row = SeenWebhook.objects.get()

    assert (first, second, len(handled)) == (200, 200, 1)
    assert row.is_done
    assert row.until_at - wiring.clock() == pytest.approx(7 * 86_400, abs=60)


@pytest.mark.django_db(transaction=True)
def test_by_default_the_effect_and_the_id_are_kept_together(using: Override) -> None:
    """A handler that fails leaves neither its effect nor its id."""

    def half(_verified: Verified) -> None:
        Breaker.objects.create(environment="x", endpoint_id="x", state="x", content="x", changed_at=0.0)
        raise RuntimeError("half done")

    with using():
        status = deliver(half)

    assert status == 500
    assert (Breaker.objects.count(), SeenWebhook.objects.count()) == (0, 0)


def test_ids_in_memory_are_one_for_all_who_ask_in_a_process(using: Override) -> None:
    """A view may build its receiver at each request; each endpoint has a memory of its own."""
    handled: list[Verified] = []
    eu = {"URL": "https://eu.example.com/", "SECRET": SECRET[::-1]}
    with using(WEBHOOKS={"REPLAY_STORE": "memory", "ENDPOINTS": {"eu": eu}}):
        statuses = [deliver(handled.append), deliver(handled.append)]
        found = wiring.sending().settings
        stores = [sharing.replays(found, name) for name in ("default", "default", "eu")]

    assert (statuses, len(handled)) == ([200, 200], 1)
    assert stores[0] is stores[1]
    assert stores[0] is not stores[2]


def test_without_our_app_ids_are_kept_in_memory(using: Override) -> None:
    """A process that only receives may have no database at all."""
    handled: list[Verified] = []
    with using(INSTALLED_APPS=[]):
        statuses = [deliver(handled.append), deliver(handled.append)]

    assert (statuses, len(handled)) == ([200, 200], 1)


@pytest.mark.parametrize(
    ("table", "apps", "place"),
    [
        ({"REPLAY_STORE": "database"}, [], 'WEBHOOKS["REPLAY_STORE"]'),
        ({"REPLAY_STORE": "redis"}, None, 'WEBHOOKS["REPLAY_STORE"]'),
        ({"REPLAY_STORE": "rediss"}, None, 'WEBHOOKS["REPLAY_STORE"]'),
        ({"REDIS": "http://:hunter2hunter2@127.0.0.1/"}, None, 'WEBHOOKS["REDIS"]'),
    ],
    ids=["no app", "no address", "no store", "no Redis"],
)
def test_a_receiver_is_not_built_from_bad_settings(
    using: Override, table: dict[str, Any], apps: list[str] | None, place: str
) -> None:
    """A guard that is weaker than the one that was asked for is none."""
    changes = {} if apps is None else {"INSTALLED_APPS": apps}

    with using(WEBHOOKS=table, **changes), pytest.raises(ConfigError) as caught:
        wiring.receiver(print)

    assert caught.value.path == place
    assert PASSWORD not in str(caught.value)


def test_what_is_wrong_with_sending_does_not_stop_a_receiver(using: Override) -> None:
    """Nor with an endpoint that is not its own."""
    handled: list[Verified] = []

    with using(WEBHOOKS={"REPLAY_STORE": "memory", "USER_AGENT": ""}):
        status = deliver(handled.append)

    assert (status, len(handled)) == (200, 1)


def test_redis_that_was_not_set_is_told_when_it_is_asked_for(using: Override) -> None:
    """Nobody should; where somebody does, it is an error of ours."""
    with using(), pytest.raises(ConfigError, match="is not set"):
        sharing.redis()


# --- checks -----------------------------------------------------------------------------------------------


def run(*, deploy: bool = True) -> list[CheckMessage]:
    """What `manage.py check` says about sending, engines aside."""
    found = checks.run_checks(tags=["webhooks"], include_deployment_checks=deploy)
    ours = [message for message in found if str(message.id).startswith("webhooks.")]
    return [message for message in ours if message.id not in ("webhooks.E031", "webhooks.W004")]


def in_table(url: str, **stores: str) -> dict[str, Any]:
    """`WEBHOOKS` with a Redis."""
    return {"ENVIRONMENT": "test", "REDIS": url, **stores}


@pytest.mark.parametrize(
    ("engine", "store", "ids"),
    [("worker", "memory", ["webhooks.W010"]), ("inline", "memory", []), ("worker", "database", [])],
)
def test_breakers_in_memory_beside_workers_are_warned_about(
    using: Override, engine: str, store: str, ids: list[str]
) -> None:
    """Each worker would find out for itself."""
    with using(WEBHOOKS={"ENGINE": engine, "BREAKER_STORE": store}):
        found = run()

    assert [message.id for message in found] == ids


@pytest.mark.redis
@pytest.mark.network
@pytest.mark.parametrize(
    ("policy", "stores", "ids"),
    [
        ("allkeys-lru", {"REPLAY_STORE": "redis"}, ["webhooks.E047"]),
        ("noeviction", {"REPLAY_STORE": "redis"}, []),
        ("allkeys-lru", {"REPLAY_STORE": "memory", "BREAKER_STORE": "redis"}, []),
    ],
    ids=["ids may go", "ids stay", "only breakers may go"],
)
def test_a_redis_that_forgets_ids_is_refused(
    using: Override, policy: str, stores: dict[str, str], ids: list[str]
) -> None:
    """Before it is deployed; and at run time, where the receiver answers 503."""
    with own_server("--maxmemory-policy", policy) as server, using(WEBHOOKS=in_table(server.url, **stores)):
        patient(sharing.redis())
        found = run()
        status = deliver(lambda _: None) if ids else 503
        as_another_process()

    assert [message.id for message in found] == ids
    assert status == 503


@pytest.mark.network
def test_a_redis_that_is_away_is_a_warning(using: Override) -> None:
    """Never an exception, and never its address."""
    with using(WEBHOOKS=in_table(GONE, REPLAY_STORE="redis", BREAKER_STORE="redis")):
        (message,) = run()

    assert (message.id, message.level) == ("webhooks.W011", checks.WARNING)
    assert PASSWORD not in f"{message.msg}{message.hint}"


def test_what_stands_in_the_way_of_asking_is_a_warning_too(
    using: Override, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is."""
    monkeypatch.setattr(sharing, "redis", PerProcess(lambda: 1 // 0))

    with using(WEBHOOKS=in_table(GONE, REPLAY_STORE="redis")):
        (message,) = run()

    assert "(ZeroDivisionError)" in message.msg


def test_no_redis_is_asked_unless_one_is_used(using: Override, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor without `--deploy`, nor while the settings are bad."""
    monkeypatch.setattr(sharing, "redis", PerProcess(lambda: 1 // 0))

    with using(WEBHOOKS=in_table(GONE)):
        unused = run()
    with using(WEBHOOKS=in_table(GONE, REPLAY_STORE="redis")):
        plain = run(deploy=False)
    with using(WEBHOOKS=in_table(GONE, REPLAY_STORE="redis", SCHEME="none")):
        bad = run()

    assert (unused, plain, [message.id for message in bad]) == ([], [], ["webhooks.E023"])


@pytest.mark.network
def test_a_redis_that_is_away_names_no_address_in_any_log(
    using: Override, caplog: pytest.LogCaptureFixture
) -> None:
    """The receiver answers 503, the breaker goes on alone; neither tells the password."""
    with (
        caplog.at_level(logging.DEBUG),
        using(WEBHOOKS=in_table(GONE, REPLAY_STORE="redis", BREAKER_STORE="redis")),
    ):
        status = deliver(lambda _: None)
        refused = refuses()
        shown = repr((sharing.redis(), wiring.sending()))

    assert (status, refused) == (503, False)
    assert PASSWORD not in caplog.text
    assert PASSWORD not in shown


def shown_breaker(webhook_id: str) -> tuple[str, dict[str, Any]]:
    """What `webhooks show` says of the breaker, for a person and for a program."""
    text, program = StringIO(), StringIO()
    call_command("webhooks", "show", webhook_id, stdout=text)
    call_command("webhooks", "show", webhook_id, "--json", stdout=program)
    (line,) = [line for line in text.getvalue().splitlines() if line.startswith("breaker: ")]
    return line, json.loads(program.getvalue())


def recorded() -> str:
    """One event in the outbox; its id."""
    body = seal("payment_verified", {"tournament_id": 101}, webhook_id=IDS[0]).body
    kept = wiring.sending().outbox
    assert kept is not None
    kept.add(Delivery(webhook_id=IDS[0], event="payment_verified", body=body, created_at=wiring.clock()))
    return IDS[0]


@pytest.mark.redis
@pytest.mark.network
@pytest.mark.django_db
def test_show_asks_the_breaker_where_it_is_kept(in_redis: RedisConnection) -> None:
    """One that is open in Redis is not told as closed, nor its delivery as about to be attempted."""
    webhook_id = recorded()
    down()
    as_another_process()
    patient(sharing.redis())

    line, data = shown_breaker(webhook_id)

    assert line.startswith("breaker: forced_open until ")
    assert data["breaker"]["forced"] == "forced_open"
    assert data["next"].startswith("next: waits for the breaker of default, until ")


@pytest.mark.redis
@pytest.mark.network
@pytest.mark.django_db
def test_show_does_not_guess_at_a_breaker_that_it_cannot_ask(using: Override) -> None:
    """Redis is away: its breaker is not known."""
    with using(WEBHOOKS={"ENGINE": "worker", "REDIS": GONE, "BREAKER_STORE": "redis"}):
        line, data = shown_breaker(recorded())

    assert line == "breaker: not known: cannot be read from redis"
    assert data["breaker"]["state"] is None


@pytest.mark.django_db
@pytest.mark.parametrize("store", ["memory", "database"])
def test_show_tells_of_breakers_here(using: Override, store: str) -> None:
    """In memory each worker has its own; in the database there is one."""
    with using(WEBHOOKS={"ENGINE": "worker", "BREAKER_STORE": store}):
        line, data = shown_breaker(recorded())

    known = {"memory": "breaker: not known: each worker keeps its own", "database": "breaker: closed"}
    assert line == known[store]
    assert data["next"] == "next: attempted as soon as a worker takes it"
