"""Both doors in a Django project, by changing settings only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from openfeature import _event_support, api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider._registry import provider_registry
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from rollout import KillFile, LiveFlags, MappingSource
from rollout.django import conf, dispatch, gate, permit, wiring
from rollout.django.checks import check_settings
from rollout.django.openfeature import provider
from rollout.openfeature import RolloutProvider
from tests.integration.django.project import FLAG, KILL_FILE, project
from tests.integration.openfeature.test_processes import in_a_child
from webhooks_core.delivery import PermitVerdict
from webhooks_core.testing import outbox

DOMAIN = "elsewhere"
OURS = {"FLAGS": None, "SOURCE": "openfeature"}


@pytest.fixture
def settled(settings: Any) -> Iterator[Any]:
    """Put a project's settings in force."""

    def settle(**changes: Any) -> None:
        for name, value in project(**changes).items():
            if name == "ROLLOUT":
                value = {key: each for key, each in value.items() if each is not None}
            setattr(settings, name, value)

    yield settle


def flag(value: bool) -> InMemoryProvider:
    """The other side, which says *value* to everybody."""
    return InMemoryProvider({"theirs": InMemoryFlag("on" if value else "off", {"on": True, "off": False})})


def made() -> InMemoryProvider:
    """A provider as a project's setting names it."""
    return flag(True)


def failing() -> InMemoryProvider:
    """One that cannot be made."""
    raise OSError("token=secret")


class Slow:
    """A provider that is made when a test lets it be, as one that looks for its server first."""

    def __init__(self) -> None:
        self.goes_on, self.begun, self.made = threading.Event(), threading.Event(), 0

    def __call__(self) -> InMemoryProvider:
        """Make it."""
        self.made += 1
        self.begun.set()
        assert self.goes_on.wait(20)
        return flag(True)


def slow() -> InMemoryProvider:
    """What the setting names; each test has one of its own."""
    return SLOW[-1]()


SLOW: list[Slow] = []


@pytest.fixture
def being_made() -> Iterator[Slow]:
    """One that is still being made."""
    SLOW.append(Slow())
    yield SLOW[-1]
    SLOW.pop().goes_on.set()


def open_within(seconds: float) -> bool:
    """Whether the gate opens; what opens it is not waited for."""
    until = time.monotonic() + seconds
    while not (opens := gate(101).value) and time.monotonic() < until:
        time.sleep(0.001)
    return opens


def asks(**openfeature: Any) -> dict[str, Any]:
    """`ROLLOUT` for a project whose flag another provider owns."""
    return {**OURS, "OPENFEATURE": {"DOMAIN": DOMAIN, "FLAGS": {FLAG: "theirs"}, "TIMEOUT": 5} | openfeature}


def test_our_provider_follows_the_settings(settled: Any) -> None:
    """Set once, it serves whatever the settings say, after they changed too."""
    settled(percentage=100)
    api.set_provider_and_wait(provider())
    client = api.get_client()

    before = client.get_boolean_value(FLAG, False, EvaluationContext("101"))
    settled(percentage=0)
    after = client.get_boolean_value(FLAG, False, EvaluationContext("101"))

    assert (before, after) == (True, False)


def test_our_provider_tells_of_changes_whoever_has_built_the_flags(settled: Any) -> None:
    """The flags are built anew when settings change, and in each process: who listens stays."""
    settled(percentage=100)
    ours = provider()
    api.set_provider_and_wait(ours)
    first = wiring.built().flags

    settled(percentage=50)
    second = wiring.built().flags
    listening = second._listeners.count(ours._heard)
    api.shutdown()

    assert first is not second
    assert listening == 1
    assert ours._heard not in wiring._listeners


def test_our_provider_listens_once_where_it_builds_the_flags(settled: Any) -> None:
    """Set before anything else has asked for them: each change is told once."""
    settled(percentage=100)
    wiring.built.forget()
    ours = provider()

    api.set_provider_and_wait(ours)

    assert wiring.built().flags._listeners.count(ours._heard) == 1


def test_our_provider_is_off_where_the_apps_are_not_installed(settings: Any, settled: Any) -> None:
    """As `dispatch` is."""
    settled(percentage=100)
    api.set_provider_and_wait(provider())
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if not app.startswith("rollout")]

    details = api.get_client().get_boolean_details(FLAG, True, EvaluationContext("101"))

    assert (details.value, details.reason) == (False, "DISABLED")


def test_another_provider_gates_by_settings_only(settled: Any) -> None:
    """The project sets it, the settings name its domain and its flag."""
    api.set_provider_and_wait(flag(True), DOMAIN)
    settled(ROLLOUT=asks())

    decision = gate(101)

    assert (decision.value, decision.detail) == (True, "openfeature: STATIC on")
    assert permit.send_permit.__name__
    assert gate.unit_name() == "tournament_id"
    assert wiring.source_of(conf.current()).snapshot().origin == f"openfeature:{DOMAIN}"


def test_a_provider_that_the_settings_name_is_set(settled: Any) -> None:
    """In each process that builds the gate."""
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.made"))

    assert open_within(10)


def test_nobody_waits_while_the_provider_is_made(settled: Any, being_made: Slow) -> None:
    """Some look for their server meanwhile. Closed, a sender waits; asked by many it is made once."""
    api.set_provider_and_wait(flag(True))  # the default one, which the SDK takes where the domain has none
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.slow", TIMEOUT=0.1))
    said: list[Any] = []

    threads = [threading.Thread(target=lambda: said.append(gate(101)), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    recheck = gate.recheck("101")
    being_made.goes_on.set()

    assert [(each.value, each.error_code) for each in said] == [(False, "PROVIDER_NOT_READY")] * 4
    assert recheck.reason == "ERROR"
    assert open_within(10)
    assert being_made.made == 1


def test_settings_that_change_while_it_is_made_leave_it_out(settled: Any, being_made: Slow) -> None:
    """It would take the place of the one that the new settings name."""
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.slow"))
    closed = gate(101)
    assert being_made.begun.wait(10)
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.made"))
    opens = open_within(10)
    before = api.get_client(DOMAIN).provider

    being_made.goes_on.set()
    for thread in threading.enumerate():
        if thread.name == "rollout-provider":
            thread.join(10)

    assert (closed.value, opens) == (False, True)
    assert api.get_client(DOMAIN).provider is before


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_was_forked_under_the_sdks_locks_sets_its_own_provider(settled: Any) -> None:
    """A thread of the parent had them, which is not there to give them back."""
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.made"))
    before = open_within(10)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with provider_registry._lock, _event_support._client_lock, _event_support._global_lock:
            held.set()
            over.wait(30)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(10)
    in_child = in_a_child(lambda: open_within(10))
    over.set()
    thread.join(10)

    assert (before, in_child) == (True, True)


def test_settings_that_change_leave_nothing_with_the_sdk(settled: Any) -> None:
    """Neither handlers nor clients, however often a project's own tests change them."""
    api.set_provider_and_wait(flag(True), DOMAIN)
    settled(ROLLOUT=asks())
    assert gate(101).value
    handlers = [len(each) for each in _event_support._global_handlers.values()]

    for _ in range(5):
        settled(ROLLOUT=asks())
        assert gate(101).value

    assert [len(each) for each in _event_support._global_handlers.values()] == handlers
    assert not _event_support._client_handlers


def test_a_provider_that_cannot_be_made_closes_the_gate(
    settled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With a line that tells the error's type, and nothing of its text."""
    settled(ROLLOUT=asks(PROVIDER=f"{__name__}.failing"))

    gate(101)
    until = time.monotonic() + 10
    while not caplog.text and time.monotonic() < until:
        time.sleep(0.001)
    decision = gate(101)

    assert (decision.value, decision.error_code) == (False, "PROVIDER_NOT_READY")
    assert "OpenFeature provider cannot be made: error=OSError" in caplog.text
    assert "secret" not in caplog.text


def test_the_kill_file_stops_what_another_provider_lets_in(settled: Any) -> None:
    """From the next question on."""
    api.set_provider_and_wait(flag(True), DOMAIN)
    settled(ROLLOUT=asks())
    before = gate(101).value

    KillFile(KILL_FILE).pull()
    try:
        killed, strict = gate(101), gate.recheck("101")
    finally:
        KillFile(KILL_FILE).release()

    assert before
    assert (killed.value, killed.reason) == (strict.value, strict.reason) == (False, "DISABLED")
    assert gate(101).value


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        pytest.param(FlagResolutionDetails(True), PermitVerdict.SEND, id="still-on"),
        pytest.param(FlagResolutionDetails(False, reason="SPLIT"), PermitVerdict.HOLD, id="off-now"),
        pytest.param(FlagResolutionDetails("on"), PermitVerdict.WAIT, id="lies"),
    ],
)
def test_before_sending_it_is_asked_again(settled: Any, answer: Any, verdict: PermitVerdict) -> None:
    """It changed its mind: held. It cannot be understood: the sender waits. For what dispatch recorded."""
    said = [FlagResolutionDetails(True, reason="SPLIT")]
    other = InMemoryFlag("on", {"on": True}, context_evaluator=lambda *_: said[0])
    api.set_provider_and_wait(InMemoryProvider({"theirs": other}), DOMAIN)
    settled(ROLLOUT=asks())
    assert dispatch("payment_verified", {"tournament_id": 101}, tournament_id=101)
    (kept,) = outbox

    said[0] = answer
    permitted = permit.send_permit(kept.delivery)

    assert (kept.delivery.unit, kept.delivery.admitted_by) == ("101", "SPLIT")
    assert permitted.verdict is verdict


@pytest.mark.parametrize(
    ("said", "place"),
    [
        pytest.param({"DOMAIN": 5}, "DOMAIN", id="domain"),
        pytest.param({"PROVIDER": "no.such.thing"}, "PROVIDER", id="provider"),
        pytest.param({"FLAGS": []}, "FLAGS", id="flags"),
        pytest.param({"FLAGS": {"a": 1}}, "FLAGS", id="flag-name"),
        pytest.param({"UNIT": "a b"}, "UNIT", id="unit"),
        pytest.param({"TIMEOUT": 0}, "TIMEOUT", id="time-out"),
        pytest.param({"STALE_SECONDS": 31}, "STALE_SECONDS", id="stale"),
        pytest.param({"ATTRIBUTES": {1: "a"}}, "ATTRIBUTES", id="attributes"),
        pytest.param({"CONTEXT": {"a": []}}, "CONTEXT", id="context"),
        pytest.param({"CONTEXT": 5}, "CONTEXT", id="context-type"),
        pytest.param({"DOMAINE": "x"}, "DOMAINE", id="unknown-key"),
    ],
)
def test_a_bad_value_is_a_problem_and_closes_the_gate(settled: Any, said: dict[str, Any], place: str) -> None:
    """With its place."""
    api.set_provider_and_wait(flag(True), DOMAIN)
    settled(ROLLOUT=asks(**said))

    problems = conf.current().problems

    assert [problem.id for problem in problems] == ["rollout.E017"]
    assert f'ROLLOUT["OPENFEATURE"]["{place}"]' in problems[0].setting
    assert not gate(101)


OURS_PATH = "rollout.django.openfeature.provider"


@pytest.mark.parametrize(
    ("said", "under", "warned"),
    [
        pytest.param({}, DOMAIN, True, id="ours-in-its-domain"),
        pytest.param({}, None, True, id="ours-is-the-default-and-its-domain-has-none"),
        pytest.param({"PROVIDER": OURS_PATH}, "another", True, id="ours-named"),
        pytest.param({}, "another", False, id="ours-elsewhere"),
        pytest.param({"PROVIDER": f"{__name__}.made"}, None, False, id="another-named"),
        pytest.param({"TIMEOUT": 0}, DOMAIN, False, id="bad-settings"),
    ],
)
def test_a_gate_that_asks_itself_is_warned_of(
    settled: Any, said: dict[str, Any], under: str | None, warned: bool
) -> None:
    """Our provider over this project's settings, where the gate looks for the other one: for ever closed."""
    settled(percentage=100)
    api.set_provider_and_wait(provider(), under)

    settled(ROLLOUT=asks(**said))
    found = [each.id for each in check_settings() if each.id == "rollout.W007"]

    assert found == ["rollout.W007"] * warned


def test_our_provider_over_flags_of_its_own_is_no_circle(settled: Any) -> None:
    """It may stand before another one."""
    api.set_provider_and_wait(RolloutProvider(LiveFlags(MappingSource({}))), DOMAIN)
    settled(ROLLOUT=asks())

    assert "rollout.W007" not in [each.id for each in check_settings()]


def test_two_owners_are_an_error(settled: Any) -> None:
    """A percentage in the settings beside another provider."""
    settled(ROLLOUT={"OPENFEATURE": {}})

    assert any(problem.id == "rollout.E004" for problem in conf.current().problems)


def test_the_provider_table_alone_names_the_owner(settled: Any) -> None:
    """`SOURCE` need not be said."""
    settled(ROLLOUT={"FLAGS": None, "OPENFEATURE": {"DOMAIN": DOMAIN}})

    assert conf.current().source == "openfeature"
    assert conf.current().problems == ()


def test_without_the_sdk_it_is_a_problem(settled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "openfeature", None)
    monkeypatch.setattr("rollout.django.openfeature_settings.find_spec", lambda name: None)
    settled(ROLLOUT=asks())

    (problem,) = conf.current().problems

    assert problem.id == "rollout.E017"
    assert "rollout-webhooks[openfeature]" in problem.allowed


def test_a_broken_sdk_does_not_keep_the_process_from_starting(
    settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is closed then; the kill switch must work all the same."""
    settled(ROLLOUT=asks())
    monkeypatch.setitem(sys.modules, "rollout.inherited", None)

    apps.get_app_config("rollout").ready()

    assert conf.current().openfeature is not None


@pytest.mark.parametrize("missing", ["rollout.remote", "rollout.django.openfeature"])
def test_a_broken_sdk_is_an_error_of_the_check(
    settled: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Found and not to be imported: said with the setting, and no traceback out of every command."""
    settled(ROLLOUT=asks())
    monkeypatch.setitem(sys.modules, missing, None)

    (message,) = [each for each in check_settings() if each.id == "rollout.E017"]

    assert "cannot be imported: ModuleNotFoundError" in message.msg
