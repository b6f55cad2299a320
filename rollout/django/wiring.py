"""Where the objects of the gate are built from the settings: its one composition root.

Built when first asked for, once per process, and again after a fork or when a setting changes under a test.
Importing this opens nothing and starts nothing. Invariant: while any setting of either app is bad, the
flags are a source that can only say *off, ERROR*, whatever the percentage. Explained in
docs/explanation/architecture.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from django.apps import apps
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from rollout.controls import no_ceilings
from rollout.decision import Decision, ErrorCode, Reason
from rollout.django import conf
from rollout.django.openfeature_settings import OpenFeatureSettings
from rollout.django.own_connection import OwnConnection
from rollout.django.polling import DatabasePoll
from rollout.flags import Flag, FlagKey
from rollout.gate import Gate
from rollout.live import LiveFlags
from rollout.observers.log import LogObserver
from rollout.percentage import Percentage
from rollout.snapshot import Listener, Snapshot, SourceStatus
from rollout.sources.base import FlagSource
from rollout.sources.env import EnvironmentSource
from rollout.sources.file import FileSource
from rollout.sources.kill import KillFile
from rollout.sources.memory import MappingSource
from rollout.sources.trip import HostSwitches
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.values import Problem
from webhooks_core.per_process import PerProcess

if TYPE_CHECKING:
    from openfeature.provider import FeatureProvider

    from rollout.remote import RemoteFlags

APPS = ("rollout.django", "webhooks_core.django")
DEFAULT_UNIT = "tournament_id"
#: Why a sender waits that would be allowed to send by what was last known.
UNCONFIRMED = "flag state not confirmed"


class BadSettings:
    """A flag source that only says which settings are bad; with it, every flag is off, reason ERROR."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        names = sorted({problem.setting for problem in problems})
        self._snapshot = Snapshot(
            status=SourceStatus.ERROR, problem=f"bad settings: {', '.join(names)}", origin="settings"
        )

    def snapshot(self) -> Snapshot:
        """Return the same empty snapshot again."""
        return self._snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What one process has built: the flags, the switches of its host, whether both apps are installed.

    `poll` is there where flags, rollouts and evidence are kept in a database; `remote` where another provider
    owns the flags, which it then is.
    """

    flags: LiveFlags
    installed: bool
    switches: HostSwitches
    poll: DatabasePoll | None = None
    remote: RemoteFlags | None = None


def problems() -> tuple[Problem, ...]:
    """Return what is wrong with the settings of both apps; each keeps the gate closed."""
    sending = webhooks_conf.current()
    return (*conf.current().problems, *sending.problems, *missing_secrets(sending))


def missing_secrets(sending: webhooks_conf.WebhookSettings) -> tuple[Problem, ...]:
    """Return a problem for each endpoint without a secret; it is one as soon as the master switch is on."""
    return tuple(
        Problem(
            id="rollout.E012",
            setting=name,
            found="unset",
            allowed=f"must be set while {conf.MASTER_SWITCH} is on: text of at least 32 characters, an "
            "ordered list of them, or the dotted path of a provider",
        )
        for name in sending.without_secret
    )


def poll_of(settings: conf.RolloutSettings) -> DatabasePoll | None:
    """Return what looks into the database of *settings*; None where no setting asks for one."""
    alias = settings.state_database
    if alias is None:
        return None
    return DatabasePoll(
        OwnConnection(alias),
        environment=webhooks_conf.current().environment,
        planned=() if settings.plan is None else (settings.plan.flag,),
        refresh_seconds=settings.refresh_seconds,
        kept=settings.last_known_good,
        observer=LogObserver(),
    )


def source_of(settings: conf.RolloutSettings, poll: DatabasePoll | None = None) -> FlagSource:
    """Return the source that owns the percentage."""
    if settings.source is conf.SourceName.DATABASE:
        return poll or poll_of(settings) or BadSettings(())
    if settings.source is conf.SourceName.FILE and settings.file is not None:
        return FileSource(settings.file)
    if settings.source is conf.SourceName.ENVIRONMENT:
        return EnvironmentSource([FlagKey(settings.flag)])
    if settings.openfeature is not None:
        from rollout.remote import local_flags

        return local_flags(settings.openfeature.remote(settings.flag))
    return MappingSource(settings.flags)


class _Options(TypedDict):
    """What stands above every flag, wherever it comes from."""

    kill: HostSwitches
    master: Callable[[], bool | None]
    ceilings: Callable[[], Mapping[FlagKey, Percentage]]
    refresh_seconds: float
    observer: LogObserver


def _remote_flags(settings: OpenFeatureSettings, flag: str, options: _Options) -> RemoteFlags:
    """Return flags that another provider owns; it is made and set where the settings say how."""
    from rollout.provided import Provided
    from rollout.remote import RemoteFlags

    remote, path = settings.remote(flag), settings.provider
    provided = None
    if path is not None:
        provided = Provided(partial(_made, path), remote.domain, failed=_provider_failed)
        provided.is_set()  # begins; not waited for: until it is ready the gate is closed, and a sender waits
    return RemoteFlags(remote, provided=provided, **options)


def _made(path: str) -> FeatureProvider:
    provider: FeatureProvider = import_string(path)()
    return provider


def _provider_failed(error: BaseException) -> None:
    log_failure(f"OpenFeature provider cannot be made: error={type(error).__name__}")


def _build() -> Built:
    found, bad = conf.current(), problems()
    poll = None if bad else poll_of(found)
    switches = HostSwitches(KillFile(found.kill_file))
    options = _Options(
        kill=switches,
        master=conf.master,
        ceilings=no_ceilings if poll is None else poll.ceilings,
        refresh_seconds=found.refresh_seconds,
        observer=LogObserver(),
    )
    remote = None
    if found.openfeature is not None and not bad:
        remote = _remote_flags(found.openfeature, found.flag, options)
    flags = remote or LiveFlags(BadSettings(bad) if bad else source_of(found, poll), **options)
    for listener in _listeners:
        flags.listen(listener)
    installed = all(apps.is_installed(name) for name in APPS)
    return Built(flags=flags, installed=installed, switches=switches, poll=poll, remote=remote)


def _close(held: Built) -> None:
    if held.poll is not None:
        held.poll.close()
    if held.remote is not None:
        held.remote.close()


built = PerProcess(_build, close=_close)
# Who hears of every new state, in whatever is built: it is built anew after a fork.
_listeners: list[Listener] = []


def _forget(**_signal: object) -> None:
    built.forget()


setting_changed.connect(_forget, dispatch_uid="rollout.django.wiring")


class SettingsFlags(LiveFlags):
    """The flags of this process's settings, whichever flag is asked for by name."""

    __slots__ = ()

    def __init__(self) -> None:
        """Build nothing yet."""

    @property
    def may_wait(self) -> bool:
        """Whether an answer may have to be waited for."""
        return conf.current().openfeature is not None

    def decide(self, key: str, unit: object, attributes: Mapping[str, object] | None = None) -> Decision:
        """Decide by the flags in force."""
        found = built()
        return found.flags.decide(key, unit, attributes) if found.installed else not_installed(key)

    def is_on(self, key: str, unit: object) -> bool:
        """Decide by the flags in force, without attributes."""
        found = built()
        return found.installed and found.flags.is_on(key, unit)

    def decide_strict(self, key: str, unit: object, *, admitted_by: Reason | None = None) -> Decision:
        """Decide again, before an attempt: STALE where the database has not confirmed its state lately."""
        found = built()
        if not found.installed:
            return not_installed(key)
        if found.poll is not None:
            found.poll.look(strictly=True)  # first, so that the decision goes by what is read after an outage
        decision = found.flags.decide_strict(key, unit, admitted_by=admitted_by)
        if decision and found.poll is not None and not found.poll.is_confirmed():
            return closed(key, Reason.STALE, None, detail=UNCONFIRMED)
        return decision

    def resolve(
        self, key: str, unit: object, attributes: Mapping[str, object] | None = None
    ) -> tuple[Decision, Flag | None]:
        """Decide by the flags in force, and return the flag with the decision."""
        found = built()
        return found.flags.resolve(key, unit, attributes) if found.installed else (not_installed(key), None)

    def listen(self, listener: Listener) -> None:
        """Tell *listener* of every new state, in this process and in its children."""
        found = built()  # first, since what is built later has all listeners there are
        _listeners.append(listener)
        found.flags.listen(listener)

    def unlisten(self, listener: Listener) -> None:
        """Tell *listener* no more."""
        _listeners[:] = [each for each in _listeners if each != listener]
        built().flags.unlisten(listener)

    def snapshot(self) -> Snapshot:
        """Return the flags in force."""
        return built().flags.snapshot()

    def refresh(self) -> Snapshot:
        """Read everything right now."""
        return built().flags.refresh()


class SettingsGate(Gate):
    """The gate of this project: the flag that `ROLLOUT["FLAG"]` names, by the settings in force."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(conf.DEFAULT_FLAG, SettingsFlags())

    @property
    def flag(self) -> str:
        """The flag's key."""
        return conf.current().flag

    @flag.setter
    def flag(self, value: str) -> None:
        """Leave the key to the settings."""

    def unit_name(self) -> str:
        """Return the name of what the percentage is taken of, such as `tournament_id`."""
        flag = self._flags.snapshot().flags.get(FlagKey(self.flag))
        return DEFAULT_UNIT if flag is None else flag.unit


gate = SettingsGate()


def is_shadow(decision: Decision) -> bool:
    """Whether *decision* is off because its rollout is in a shadow stage."""
    poll = built().poll
    if poll is None or not decision.detail.startswith("ceiling"):
        return False
    control = poll.look().controls.get(FlagKey(decision.flag))
    return control is not None and control.shadow


def not_installed(key: str) -> Decision:
    """Return the decision of a project without our apps: closed, and nothing is wrong."""
    return closed(key, Reason.DISABLED, None, detail="not in INSTALLED_APPS")


def closed(key: str, reason: Reason, code: ErrorCode | None, *, detail: str) -> Decision:
    """Return a decision that is off."""
    return Decision(key, False, "off", reason, code, detail, "", None, None, 0)  # noqa: FBT003 - a named tuple's value


def log_failure(line: str) -> None:
    """Write an error to the logger `webhooks`; *line* holds our own words and what `safe` has made fit.

    Where a handler of the project's logging raises, the line goes to standard error: this never raises.
    """
    try:
        logging.getLogger("webhooks").error("%s", line)
    except Exception:  # noqa: BLE001 - the last resort of what never raises into its caller
        if sys.stderr is not None:
            sys.stderr.write(f"{line}\n")
