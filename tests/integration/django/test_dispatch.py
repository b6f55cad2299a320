"""`dispatch`: behind the gate, after the commit, and never in the way of the application.

With the engine `inline`, where what leaves is seen at once; `test_worker_engine.py` has the default one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from rollout import ErrorCode, Reason
from rollout.django import Dispatched, dispatch, gate
from rollout.testing import override_flag
from tests.integration.django.project import FLAG, SECRET, URL, Override, project
from webhooks_core.django import wiring
from webhooks_core.testing import FakeTransport, outbox
from webhooks_core.transport.base import Request, Response

ENGINE = "inline"  # of the fixtures `using` and `sends`
OTHER_URL = "https://eu.example.com/in"
OTHER_SECRET = "0e1d2c3b4a5968778695a4b3c2d1e0f00e1d2c3b4a5968778695a4b3c2d1e0f0"  # gitleaks:allow
FREE_TEXT = {"tournament_id": "integer", "recipient_count": "count", "note": "text"}


def verified(**changes: Any) -> Dispatched:
    """Dispatch the event that every test here sends."""
    given = {"data": {"tournament_id": 101, "recipient_count": 1}, "tournament_id": 101, **changes}
    return dispatch("payment_verified", given.pop("data"), **given)


def lines(caplog: pytest.LogCaptureFixture, logger: str = "webhooks") -> list[str]:
    """What was logged about webhooks."""
    return [record.getMessage() for record in caplog.records if record.name == logger]


def two_endpoints(**eu: Any) -> dict[str, Any]:
    """`WEBHOOKS` with a second endpoint."""
    return {"ENDPOINTS": {"eu": {"URL": OTHER_URL, "SECRET": OTHER_SECRET, **eu}}}


# --- the gate ---


@pytest.mark.django_db
def test_a_closed_gate_does_nothing_and_asks_no_database(
    using: Override, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract §3: closed means that nothing happens; the line is at DEBUG, contract §9."""
    caplog.set_level(logging.DEBUG, logger="webhooks")

    with (
        using(0),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        dispatched = verified()

    assert not dispatched
    assert dispatched.webhook_ids == ()
    assert dispatched.decision.reason is Reason.SPLIT
    assert len(queries) == 0
    assert outbox == []
    assert lines(caplog) == ["Webhook skipped by rollout: event=payment_verified, reason=SPLIT:percentage-0"]
    assert [record.levelname for record in caplog.records if record.name == "webhooks"] == ["DEBUG"]


def test_an_open_gate_lets_the_event_through(sends: None) -> None:
    """One delivery for the one endpoint, with the decision that let it in."""
    dispatched = verified(metadata={"created": 1, "email_sent": 1})

    assert dispatched
    assert dispatched.decision.value is True
    assert [captured.webhook_id for captured in outbox] == list(dispatched.webhook_ids)
    assert outbox[0].data == {"tournament_id": 101, "recipient_count": 1}
    assert outbox[0].metadata == {"created": 1, "email_sent": 1, "webhook_id": dispatched.webhook_ids[0]}
    assert (outbox[0].event, outbox[0].endpoint_id, outbox[0].unit) == ("payment_verified", "default", "101")
    assert outbox[0].decision == dispatched.decision


def test_installed_and_untouched_it_sends_nothing() -> None:
    """The master switch is off by default."""
    dispatched = verified()

    assert not dispatched
    assert (dispatched.decision.reason, dispatched.decision.detail) == (Reason.DISABLED, "master switch")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, ErrorCode.TARGETING_KEY_MISSING),
        ({"match_id": 7}, ErrorCode.TARGETING_KEY_MISSING),
        ({"tournament_id": None}, ErrorCode.TARGETING_KEY_MISSING),
        ({"tournament_id": ""}, ErrorCode.TARGETING_KEY_MISSING),
        ({"tournament_id": True}, ErrorCode.INVALID_CONTEXT),
        ({"tournament_id": 1.0}, ErrorCode.INVALID_CONTEXT),
        ({"tournament_id": b"101"}, ErrorCode.INVALID_CONTEXT),
    ],
)
def test_what_is_no_unit_closes_the_gate(sends: None, given: dict[str, Any], code: ErrorCode) -> None:
    """Contract §2: off, with reason ERROR and a code, also at 100 %."""
    dispatched = dispatch("payment_verified", {"tournament_id": 101}, **given)

    assert not dispatched
    assert (dispatched.decision.reason, dispatched.decision.error_code) == (Reason.ERROR, code)
    assert outbox == []


def test_the_unit_s_name_is_the_flag_s(using: Override) -> None:
    """A flag may take its percentage of something else."""
    flags = {FLAG: {"percentage": 100, "unit": "club_id"}}

    with using(ROLLOUT={"FLAGS": flags}):
        assert not verified()
        assert verified(club_id="c-1")
        assert outbox[0].unit == "c-1"


def test_rules_may_ask_what_the_caller_says(using: Override) -> None:
    """Everything beside the unit is an attribute."""
    rule = {"if": [{"attribute": "region", "op": "in", "value": ["eu"]}], "serve": "on"}
    flags = {FLAG: {"percentage": 0, "rules": [rule]}}

    with using(ROLLOUT={"FLAGS": flags}):
        assert not verified(region="us")
        assert verified(region="eu").decision.reason is Reason.TARGETING_MATCH


def test_a_percentage_lets_in_a_share_and_the_same_one_each_time(using: Override) -> None:
    """Sticky, and monotone."""

    def units() -> set[int]:
        return {unit for unit in range(300) if verified(tournament_id=unit)}

    with using(10):
        ten, again = units(), units()
    with using(40):
        forty = units()

    assert ten == again
    assert ten < forty
    assert 10 <= len(ten) <= 55


def test_the_kill_file_stops_everything(using: Override, tmp_path: Path) -> None:
    """Nothing it needs is something it controls."""
    kill = tmp_path / "kill"

    with using(ROLLOUT={"KILL_FILE": str(kill)}):
        assert verified()
        kill.touch()
        stopped = verified()
        kill.unlink()
        assert verified()

    assert stopped.decision.reason is Reason.DISABLED
    assert stopped.decision.detail.startswith("kill switch")


def test_the_master_switch_is_read_live(sends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runbook's level 1: `settings.NOTIFICATIONS_WEBHOOK_ENABLED = False` in a shell."""
    assert verified()

    with override_settings():
        settings.NOTIFICATIONS_WEBHOOK_ENABLED = False
        assert not verified()
    assert verified()
    monkeypatch.setenv("NOTIFICATIONS_WEBHOOK_ENABLED", "off")
    assert not verified()


def test_an_unknown_word_on_the_master_switch_is_off_with_an_error(using: Override) -> None:
    """Contract §1."""
    with using(NOTIFICATIONS_WEBHOOK_ENABLED="maybe"):
        decision = verified().decision

    assert (decision.value, decision.reason) == (False, Reason.ERROR)


def test_override_flag_opens_and_closes_in_a_test(using: Override) -> None:
    """`rollout.testing.override_flag` works through `dispatch`."""
    with using(0), override_flag(FLAG, on=True):
        assert verified()
    with using(100), override_flag(FLAG, on=False):
        assert not verified()
    assert [captured.unit for captured in outbox] == ["101"]


def test_an_override_lets_in_what_is_no_unit(using: Override) -> None:
    """A test that does not care about units need not make one up."""
    with using(0), override_flag(FLAG, on=True):
        assert dispatch("payment_verified", {"tournament_id": 1})

    assert outbox[0].unit is None


# --- endpoints ---


def test_each_endpoint_gets_a_delivery_of_its_own(using: Override) -> None:
    """An id is a delivery's; the body repeats it, so each has a body of its own."""
    with using(WEBHOOKS=two_endpoints()):
        dispatched = verified()

    assert {captured.endpoint_id for captured in outbox} == {"eu", "default"}
    assert len(set(dispatched.webhook_ids)) == 2
    assert [captured.metadata["webhook_id"] for captured in outbox] == list(dispatched.webhook_ids)


def test_an_endpoint_gets_the_events_it_wants(using: Override) -> None:
    """`EVENTS` of an endpoint."""
    events = {"payment_verified": FREE_TEXT, "match_started": {"tournament_id": "integer"}}

    with using(WEBHOOKS={**two_endpoints(EVENTS=["match_started"]), "EVENTS": events}):
        verified()
        dispatch("match_started", {"tournament_id": 101}, tournament_id=101)

    assert sorted((captured.event, captured.endpoint_id) for captured in outbox) == [
        ("match_started", "default"),
        ("match_started", "eu"),
        ("payment_verified", "default"),
    ]


def test_one_endpoint_may_be_named(using: Override) -> None:
    """`endpoint=` sends to it alone."""
    with using(WEBHOOKS=two_endpoints()):
        verified(endpoint="eu")

    assert [captured.endpoint_id for captured in outbox] == ["eu"]


@pytest.mark.parametrize("endpoint", ["eu", "ue", "", "some@body.example"])
def test_an_endpoint_that_is_not_there_is_logged_and_not_raised(
    using: Override, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    """Unknown, or it does not want this event."""
    with using(WEBHOOKS={**two_endpoints(EVENTS=["other"]), "EVENTS": {"payment_verified": {}, "other": {}}}):
        dispatched = verified(endpoint=endpoint, data={})

    assert dispatched.webhook_ids == ()
    assert len(lines(caplog)) == 1
    assert lines(caplog)[0].startswith("Webhook dispatch failed: event=payment_verified, error=")
    assert "@" not in lines(caplog)[0]
    assert outbox == []


# --- what may be said ---


@pytest.mark.parametrize(
    ("data", "kind", "where"),
    [
        ({"tournament_id": 101, "note": "write to somebody@example.org"}, "address", "data.note"),
        ({"tournament_id": 101, "note": "from 203.0.113.9"}, "network", "data.note"),
        ({"tournament_id": 101, "note": "ask @somebody"}, "handle", "data.note"),
        ({"tournament_id": 101, "surprise": 1}, "unknown_field", "data."),
        ({"tournament_id": "one hundred and one"}, "wrong_type", "data.tournament_id"),
        ({"tournament_id": 101, "email": "x"}, "key", "data."),
    ],
)
def test_what_may_be_personal_is_blocked_before_it_is_stored_or_sent(
    sends: None, caplog: pytest.LogCaptureFixture, data: dict[str, Any], kind: str, where: str
) -> None:
    """Contract §8: kind and place are logged, never the value."""
    dispatched = verified(data=data)

    assert dispatched.decision.value is True
    assert dispatched.webhook_ids == ()
    assert outbox == []
    assert lines(caplog)[0].startswith(f"Webhook blocked: event=payment_verified, kind={kind}, path={where}")
    for line in lines(caplog):
        assert not any(word in line for word in ("somebody", "@", "203.0.113.9", "hundred", "email"))


def test_a_body_full_of_addresses_does_not_fill_the_log(
    sends: None, caplog: pytest.LogCaptureFixture
) -> None:
    """At most ten lines."""
    verified(data={"players": ["somebody@example.org"] * 200})

    assert len(lines(caplog)) == 10


def test_an_event_without_an_allow_list_is_blocked(using: Override, caplog: pytest.LogCaptureFixture) -> None:
    """Each event has an allow-list; without one every field is unknown."""
    with using(WEBHOOKS={"EVENTS": {}}):
        assert not verified()

    assert "kind=unknown_field" in lines(caplog)[0]


@pytest.mark.parametrize(
    "data",
    [
        {"tournament_id": object()},
        {"tournament_id": float("nan")},
        {"tournament_id": "\ud800"},
        {"tournament_id": "x" * 300_000},
        {1: 2},
        [],
        None,
        "text",
    ],
)
def test_what_cannot_be_an_envelope_is_logged_and_not_raised(
    sends: None, caplog: pytest.LogCaptureFixture, data: Any
) -> None:
    """The caller's code goes on."""
    dispatched = verified(data=data)

    assert dispatched.webhook_ids == ()
    assert lines(caplog)[0].startswith("Webhook blocked: event=payment_verified, kind=envelope, path=data")


def test_the_place_of_what_cannot_be_an_envelope_shows_no_unlisted_key(
    sends: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A key may be a person's name, and a log line never holds one."""
    verified(data={"tournament_id": 1, "scores": {"zoe_almeida": float("nan")}})

    assert lines(caplog) == ["Webhook blocked: event=payment_verified, kind=envelope, path=data.*.*"]


@pytest.mark.parametrize(
    "event", ["", "Payment Verified", "x" * 65, "a\nb", 7, None, b"x", "somebody@example.org"]
)
def test_what_is_no_name_of_an_event_is_logged_and_not_raised(
    sends: None, caplog: pytest.LogCaptureFixture, event: Any
) -> None:
    """A log line cannot be forged with it either."""
    assert not dispatch(event, {"tournament_id": 1}, tournament_id=1)

    assert len(lines(caplog)) == 1
    assert "\n" not in lines(caplog)[0]
    assert "@" not in lines(caplog)[0]


class Hostile(dict[str, object]):
    """A mapping that raises when it is looked at."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError("a secret of the caller")


def test_an_exception_of_the_caller_s_own_types_stays_inside(
    sends: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Type and place are logged, the text is not."""
    dispatched = verified(data=Hostile(tournament_id=1))

    assert dispatched.decision.reason is Reason.ERROR
    assert lines(caplog)[0].startswith(
        "Webhook dispatch failed: event=payment_verified, error=RuntimeError, at="
    )
    assert "secret" not in caplog.text


class Broken(logging.Handler):
    """A handler of the project's logging that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise."""
        raise RuntimeError(record.getMessage())


def test_a_log_handler_that_raises_breaks_no_caller(sends: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where the line is a fact's nor where it says that dispatching failed."""
    logger, broken = logging.getLogger("webhooks"), Broken()
    logger.addHandler(broken)
    try:
        assert verified(data=Hostile(tournament_id=1)).decision.reason is Reason.ERROR
        assert not verified(data={"tournament_id": float("nan")})
        assert not verified(endpoint="nobody")
        assert verified()
    finally:
        logger.removeHandler(broken)

    assert "error=RuntimeError" in capsys.readouterr().err


def test_a_hostile_unit_closes_the_gate(sends: None) -> None:
    """Whatever is passed for it."""

    class Unit:
        def __str__(self) -> str:
            raise RuntimeError

    for unit in (Unit(), [], {}, "\ud800", 10**5000):
        assert not verified(tournament_id=unit)


# --- the transaction ---


class Rollback(Exception):
    """What a view might raise."""


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_rolled_back_sends_nothing(sends: None, wire: FakeTransport) -> None:
    """No payment, no webhook."""
    with pytest.raises(Rollback), transaction.atomic():
        User.objects.create(username="somebody")
        dispatched = verified()
        raise Rollback

    assert dispatched
    assert wire.sent == []
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_sends_after_its_commit(sends: None, wire: FakeTransport) -> None:
    """And not before, so that a receiver that asks back finds the row."""
    with transaction.atomic():
        dispatched = verified()
        assert wire.sent == []

    assert [request.headers["X-Webhook-Id"] for request in wire.sent] == list(dispatched.webhook_ids)


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_is_rolled_back_takes_its_webhook_with_it(sends: None, wire: FakeTransport) -> None:
    """Django drops the hooks of a rolled back savepoint."""
    with transaction.atomic():
        verified(tournament_id=1)
        with pytest.raises(Rollback), transaction.atomic():
            verified(tournament_id=2)
            raise Rollback
        verified(tournament_id=3)

    assert len(wire.sent) == 2


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_does_not_touch_the_caller_s_data(sends: None, wire: FakeTransport) -> None:
    """The business transaction never fails because of us; other hooks and e-mail go on."""
    wire._script = iter([RuntimeError("broken transport")])
    seen: list[str] = []

    with override_settings(WEBHOOK_MAX_RETRIES=1), transaction.atomic():
        User.objects.create(username="somebody")
        verified()
        transaction.on_commit(lambda: seen.append("hook after ours"))
        mail.send_mail("Verified", "…", "from@example.org", ["to@example.org"])

    assert User.objects.count() == 1
    assert seen == ["hook after ours"]
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_raises_is_logged_and_the_next_delivery_still_goes(
    using: Override, wire: FakeTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One endpoint's trouble is not another's."""
    with using(WEBHOOKS=two_endpoints()):
        engine = wiring.sending().engine
        real, calls = engine.deliver, []

        def deliver(delivery: Any, endpoint: Any) -> Any:
            calls.append(endpoint.id)
            if len(calls) == 1:
                raise RuntimeError("a secret")
            return real(delivery, endpoint)

        monkeypatch.setattr(engine, "deliver", deliver)
        assert verified()

    assert len(calls) == 2
    assert len(wire.sent) == 1
    assert any("error=RuntimeError" in line for line in lines(caplog))
    assert "a secret" not in caplog.text


def test_without_a_database_it_sends_right_away(sends: None, wire: FakeTransport) -> None:
    """No connection is opened to find out whether there is a transaction (pytest-django would refuse it)."""
    assert verified()

    assert len(wire.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_a_connection_outside_atomic_sends_right_away(sends: None, wire: FakeTransport) -> None:
    """Autocommit: every statement is its own transaction."""
    User.objects.exists()
    assert verified()

    assert len(wire.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_with_autocommit_off_nothing_is_sent_and_nothing_raised(
    sends: None, wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """Django has no hook there; a webhook of a transaction that may be rolled back must not go out."""
    connection.ensure_connection()
    transaction.set_autocommit(False)
    try:
        dispatched = verified()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert dispatched.decision.reason is Reason.ERROR
    assert wire.sent == []
    assert "error=TransactionManagementError" in lines(caplog)[-1]


@pytest.mark.django_db(transaction=True)
def test_another_database_s_commit_may_be_waited_for(
    sends: None, wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """`using=`; an alias that does not exist is logged."""
    with transaction.atomic(using="default"):
        assert verified(using="default")
        assert wire.sent == []
    assert len(wire.sent) == 1

    assert not verified(using="nowhere")
    assert "error=ConnectionDoesNotExist" in lines(caplog)[-1]


# --- at send time ---


@pytest.mark.parametrize("switch", ["settings", "environment", "kill file"])
def test_switching_off_between_two_attempts_stops_the_next_one(
    using: Override,
    wire: FakeTransport,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    switch: str,
) -> None:
    """Contract §3: asked again before each attempt; what is stopped is held, and says so."""

    def pull(request: Request) -> Response:
        if switch == "settings":
            settings.NOTIFICATIONS_WEBHOOK_ENABLED = False
        elif switch == "environment":
            monkeypatch.setenv("NOTIFICATIONS_WEBHOOK_ENABLED", "false")
        else:
            (tmp_path / "kill").touch()
        return Response(status=503)

    wire._script = iter([pull])
    quick = {"RETRY_BASE_SECONDS": 0.01}
    with using(WEBHOOKS=quick, ROLLOUT={"KILL_FILE": str(tmp_path / "kill")}):
        verified()

    assert len(wire.sent) == 1
    assert [line for line in lines(caplog) if line.startswith("Webhook held: ")]


def test_a_unit_that_a_rule_let_in_is_not_held_for_its_position(using: Override, wire: FakeTransport) -> None:
    """The strict question does not ask rules, and must not take that for a no."""
    rule = {"if": [{"attribute": "region", "op": "equals", "value": "eu"}], "serve": "on"}

    with using(ROLLOUT={"FLAGS": {FLAG: {"percentage": 0, "rules": [rule]}}}):
        verified(region="eu")

    assert len(wire.sent) == 1


def test_a_state_that_is_not_known_waits(
    using: Override, wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """A word on the master switch that nobody knows: not sent, and not held either."""

    def garble(request: Request) -> Response:
        settings.NOTIFICATIONS_WEBHOOK_ENABLED = "perhaps"
        return Response(status=503)

    wire._script = iter([garble])
    with using(WEBHOOKS={"RETRY_BASE_SECONDS": 0.01}):
        verified()

    assert len(wire.sent) == 1
    assert [line for line in lines(caplog) if line.startswith("Webhook waiting: ")]


def test_a_permit_of_one_s_own_is_asked(using: Override, wire: FakeTransport) -> None:
    """`WEBHOOKS["SEND_PERMIT"]` takes the place of the rollout's."""
    with using(WEBHOOKS={"SEND_PERMIT": "tests.integration.django.project.hold_everything"}):
        verified()

    assert wire.sent == []


# --- asynchronous code ---


@pytest.fixture
def loop_thread() -> Iterator[int]:
    """The thread that runs the loop."""
    yield threading.get_ident()


def test_in_a_running_loop_a_thread_sends(sends: None, wire: FakeTransport, loop_thread: int) -> None:
    """The loop never waits for a receiver; the override of a test travels along."""
    threads: list[int] = []
    sent = threading.Event()

    def note(request: Request) -> Response:
        threads.append(threading.get_ident())
        sent.set()
        return Response(status=200)

    wire._script = iter([note])

    async def view() -> Dispatched:
        with override_flag(FLAG, on=True):
            return verified()

    async def main() -> Dispatched:
        dispatched = await view()
        await asyncio.to_thread(sent.wait, 5)
        return dispatched

    assert asyncio.run(main())
    assert len(threads) == 1
    assert threads != [loop_thread]


def test_in_a_running_loop_the_outbox_captures(sends: None) -> None:
    """As everywhere in a test."""

    async def main() -> Dispatched:
        return verified()

    assert asyncio.run(main())
    assert len(outbox) == 1


# --- the gate itself ---


def test_the_gate_can_be_asked_without_dispatching(using: Override) -> None:
    """For code that sends by its own means."""
    calls: list[int] = []

    @gate.guards(unit="tournament_id")
    def send(tournament_id: int) -> None:
        calls.append(tournament_id)

    with using(0):
        assert not gate(101)
        assert not gate.is_open(101)
        send(101)
    with using(100):
        assert gate(101).value is True
        assert gate.is_open(101)
        assert gate.recheck(101)
        send(tournament_id=102)
        with gate.entered(103) as decision:
            assert decision
    assert calls == [102]
    assert gate.flag == FLAG


def test_the_gate_takes_its_flag_from_the_settings(using: Override) -> None:
    """`ROLLOUT["FLAG"]`."""
    with using(ROLLOUT={"FLAG": "other", "FLAGS": {"other": {"percentage": 100}}}):
        assert gate.flag == "other"
        assert gate(1).flag == "other"


def test_nothing_about_an_endpoint_is_logged(
    sends: None, wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """No URL, no secret, no body."""
    caplog.set_level(logging.DEBUG)
    verified()

    assert len(wire.sent) == 1
    for hidden in (URL, SECRET, "recipient_count"):
        assert hidden not in caplog.text


def test_the_settings_of_these_tests_are_whole() -> None:
    """The project helper merges what a test changes."""
    assert project(5, WEBHOOKS={"ENGINE": "inline"})["WEBHOOKS"]["ENVIRONMENT"] == "test"
