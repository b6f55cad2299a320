"""What our provider tells: ready, configuration changed, stale, error; each change once, and to whom."""

from __future__ import annotations

import queue
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, EventHandler, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import ProviderStatus
from openfeature.provider.in_memory_provider import InMemoryProvider

from rollout import LiveFlags, MappingSource, Percentage
from rollout.openfeature import RolloutProvider
from rollout.snapshot import Snapshot
from tests.unit.rollout.openfeature.provider_world import Switch, live, over, provider


class Told:
    """The events a provider told, in order."""

    def __init__(self, told_by: RolloutProvider) -> None:
        self.events: list[tuple[str, Any]] = []
        told_by.attach(lambda _, event, details: self.events.append((event.value, details)))

    @property
    def names(self) -> list[str]:
        """Without their beginning."""
        return [name.removeprefix("PROVIDER_") for name, _ in self.events]


def test_each_change_of_state_is_told_once() -> None:
    """Configuration changed with the flags that changed; stale with what is wrong; ready again."""
    source = MappingSource({"f": {"percentage": 5}, "g": {}}, version=1)
    flags = over(source)
    asked = RolloutProvider(flags)
    told = Told(asked)
    asked.initialize(EvaluationContext())

    source.replace({"f": {"percentage": 50}, "g": {}, "h": {}}, version=2)
    flags.refresh()
    source.replace({"f": {"percentage": 101}}, version=3)
    flags.refresh()
    flags.refresh()
    source.replace({"f": {"percentage": 50}, "g": {}, "h": {}}, version=3)
    flags.refresh()

    assert told.names == ["CONFIGURATION_CHANGED", "STALE", "READY"]
    assert told.events[0][1].flags_changed == ["f", "h"]
    assert "101" in told.events[1][1].message or "0 to 100" in told.events[1][1].message


def test_ready_again_with_other_flags_is_both() -> None:
    """Nobody has to ask what else happened meanwhile."""
    source = MappingSource({"f": {"percentage": 5}}, version=1)
    flags = over(source)
    asked = RolloutProvider(flags)
    asked.initialize(EvaluationContext())
    told = Told(asked)

    source.replace({"f": {"percentage": 101}}, version=2)
    flags.refresh()
    source.replace({"f": {"percentage": 6}}, version=2)
    flags.refresh()

    assert told.names == ["STALE", "READY", "CONFIGURATION_CHANGED"]


def test_a_switch_above_changes_every_flag() -> None:
    """The kill switch is a change of configuration; controls that cannot be read are an error."""
    switch, ceilings = Switch(), {"fail": False}

    def read() -> dict[Any, Percentage]:
        if ceilings["fail"]:
            raise OSError
        return {}

    flags = live({"f": {}, "g": {}}, kill=switch, ceilings=read)
    asked = RolloutProvider(flags)
    asked.initialize(EvaluationContext())
    told = Told(asked)

    switch.killed = True
    flags.refresh()
    ceilings["fail"] = True
    flags.refresh()
    ceilings["fail"] = False
    flags.refresh()

    assert told.names == ["CONFIGURATION_CHANGED", "ERROR", "READY"]
    assert told.events[0][1].flags_changed == ["f", "g"]
    assert told.events[1][1].error_code == ErrorCode.GENERAL


def test_nothing_to_decide_by_is_not_ready_and_then_it_is() -> None:
    """`set_provider_and_wait` raises; the status follows what is there, without a new call."""
    source = MappingSource({"f": {"percentage": 101}}, version=1)
    flags = over(source)
    client = api.get_client()

    with pytest.raises(ProviderNotReadyError, match="no flags"):
        api.set_provider_and_wait(RolloutProvider(flags))
    before = client.get_provider_status()
    source.replace({"f": {"percentage": 100}}, version=1)
    value = client.get_boolean_value("f", False)

    assert before is ProviderStatus.ERROR
    assert value is True
    assert client.get_provider_status() is ProviderStatus.READY


def test_after_shutdown_nothing_is_told_and_it_may_be_set_again() -> None:
    """A provider that is used under two domains, or again, hears each change once."""
    flags = live({"f": {}})
    asked = RolloutProvider(flags)
    told = Told(asked)
    asked.initialize(EvaluationContext())
    asked.initialize(EvaluationContext())
    listening = len(flags._listeners)

    asked.shutdown()
    asked.shutdown()

    assert (listening, len(flags._listeners), told.names) == (1, 0, [])


def test_a_listener_that_raises_keeps_nothing_from_deciding() -> None:
    """Whatever an event handler does."""
    source = MappingSource({"f": {"percentage": 5}}, version=1)
    flags = over(source)

    def fail(before: Snapshot | None, after: Snapshot, /, *, problem: str | None) -> None:
        raise RuntimeError

    flags.listen(fail)

    assert flags.decide("f", 1).reason == "SPLIT"


def test_a_flag_that_is_gone_is_among_the_changed() -> None:
    """Its key is told like any other."""
    source = MappingSource({"f": {"percentage": 5}, "g": {}}, version=1)
    flags = over(source)
    asked = RolloutProvider(flags)
    asked.initialize(EvaluationContext())
    told = Told(asked)

    source.replace({"f": {"percentage": 5}}, version=2)
    flags.refresh()

    assert told.events[0][1].flags_changed == ["g"]


def test_told_before_anything_was_read_names_every_flag() -> None:
    """Whoever listens from the beginning."""
    asked = provider({"f": {}})
    told = Told(asked)
    asked._status = asked._flags.snapshot().status

    asked._heard(None, asked._flags.snapshot(), problem=None)

    assert told.events[0][1].flags_changed == ["f"]


def test_the_master_switch_changes_every_flag() -> None:
    """Off and on again, once each; it is read live, so that the refresh that follows is what tells."""
    on = [True]
    flags = live({"f": {}, "g": {}}, master=lambda: on[0])
    asked = RolloutProvider(flags)
    asked.initialize(EvaluationContext())
    told = Told(asked)

    on[0] = False
    stopped = asked.resolve_boolean_details("f", True)
    flags.refresh()
    on[0] = True
    flags.refresh()

    assert stopped.reason == "DISABLED"
    assert told.names == ["CONFIGURATION_CHANGED"] * 2
    assert [details.flags_changed for _, details in told.events] == [["f", "g"]] * 2


class Racing(LiveFlags):
    """Flags that another thread refreshes as soon as they were read for the first time."""

    source: MappingSource

    def refresh(self) -> Snapshot:
        """Read them; then they change, and are read again."""
        first = super().refresh()
        self.source.replace({"f": {"percentage": 50}}, version=2)
        super().refresh()
        return first


def test_a_change_while_it_is_initialised_is_told() -> None:
    """It listens before it reads; what it reads itself, the SDK tells."""
    source = MappingSource({"f": {"percentage": 5}}, version=1)
    flags = Racing(source, kill=Switch(), refresh_seconds=0)
    flags.source = source
    asked = RolloutProvider(flags)
    told = Told(asked)

    asked.initialize(EvaluationContext())

    assert told.names == ["CONFIGURATION_CHANGED"]
    assert told.events[0][1].flags_changed == ["f"]


# ---- as an application hears them: through the SDK, whose handlers run in threads of its own ----


class Heard:
    """A handler of every event; a test takes them one by one, since two at once have no order."""

    def __init__(self, add_handler: Callable[[ProviderEvent, EventHandler], None]) -> None:
        self.events: queue.SimpleQueue[tuple[str, EventDetails]] = queue.SimpleQueue()
        for event in ProviderEvent:
            add_handler(event, partial(self._hear, event.value.removeprefix("PROVIDER_")))

    def _hear(self, name: str, details: EventDetails) -> None:
        self.events.put((name, details))

    def next(self) -> tuple[str, EventDetails]:
        """The next event; waits for it."""
        return self.events.get(timeout=10)


def test_an_application_hears_every_event_in_its_domain() -> None:
    """Through a client's handler and the API's; the question that notices tells, and the status follows."""
    source, switch, on = MappingSource({"f": {}}, version=1), Switch(), [True]
    ceilings: list[Any] = [{}]
    flags = over(source, kill=switch, master=lambda: on[0], ceilings=lambda: dict(ceilings[0]))
    api.set_provider_and_wait(RolloutProvider(flags), "ours")
    client = api.get_client("ours")
    heard, everywhere = Heard(client.add_handler), Heard(api.add_handler)
    assert heard.next()[0] == everywhere.next()[0] == "READY"  # at once, as the SDK does

    def ask() -> tuple[str, EventDetails, ProviderStatus]:
        client.get_boolean_value("f", False, EvaluationContext("101"))
        name, details = heard.next()
        assert everywhere.next() == (name, details)
        assert details.provider_name == "rollout"
        return name, details, client.get_provider_status()

    source.replace({"f": {"percentage": 50}, "g": {}}, version=2)
    changed = ask()
    switch.killed = True
    killed = ask()
    on[0] = False
    off = ask()
    source.replace({"f": {"percentage": 101}}, version=3)
    stale = ask()
    switch.killed = False
    switched = ask()
    ceilings[0] = None
    broken = ask()
    ceilings[0] = {}
    stale_again = ask()
    source.replace({"f": {"percentage": 50}, "g": {}}, version=2)
    ready = ask()

    assert (changed[0], changed[1].flags_changed) == ("CONFIGURATION_CHANGED", ["f", "g"])
    assert (killed[0], off[0]) == ("CONFIGURATION_CHANGED", "CONFIGURATION_CHANGED")
    assert (stale[0], stale[2]) == ("STALE", ProviderStatus.STALE)
    assert stale[1].message
    assert (switched[0], switched[2]) == ("CONFIGURATION_CHANGED", ProviderStatus.STALE)
    assert (broken[0], broken[1].error_code, broken[2]) == ("ERROR", ErrorCode.GENERAL, ProviderStatus.ERROR)
    assert stale_again[0] == "STALE"
    assert (ready[0], ready[2]) == ("READY", ProviderStatus.READY)
    assert heard.events.empty()


def test_a_client_of_another_domain_hears_nothing() -> None:
    """Each client hears its own provider."""
    source = MappingSource({"f": {}}, version=1)
    api.set_provider_and_wait(RolloutProvider(over(source)), "ours")
    api.set_provider_and_wait(InMemoryProvider({}), "theirs")
    ours, theirs = Heard(api.get_client("ours").add_handler), Heard(api.get_client("theirs").add_handler)
    assert ours.next()[0] == theirs.next()[0] == "READY"

    for version in (2, 3):
        source.replace({"f": {"percentage": version}}, version=version)
        api.get_client("ours").get_boolean_value("f", False, EvaluationContext("101"))
        ours.next()

    assert theirs.events.empty()


def test_a_provider_that_is_not_ready_tells_an_error_and_then_ready() -> None:
    """Handlers added before it is set, as an application adds them."""
    source = MappingSource({"f": {"percentage": 101}}, version=1)
    client = api.get_client("ours")
    heard = Heard(client.add_handler)
    assert heard.next()[0] == "READY"  # the provider that does nothing, in whose place ours is set

    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(RolloutProvider(over(source)), "ours")
    error = heard.next()
    source.replace({"f": {"percentage": 100}}, version=1)
    value = client.get_boolean_value("f", False, EvaluationContext("101"))
    told = {heard.next()[0], heard.next()[0]}  # the SDK hands each to another thread: in either order

    assert (error[0], error[1].error_code) == ("ERROR", ErrorCode.PROVIDER_NOT_READY)
    assert (value, told) == (True, {"READY", "CONFIGURATION_CHANGED"})
