"""System checks of the gate: every bad value as an error with a stable id, and warnings about what is odd.

The ids never change their meaning; docs/reference/checks.md lists each. A check reads settings and files,
never a network or a database. Invariant: a bad value that is an error here closes the gate at run time too,
because checks do not run under WSGI.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

from rollout.django import conf, wiring
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.kill import KillFile
from webhooks_core.django import conf as webhooks_conf
from webhooks_core.django.checks import as_errors
from webhooks_core.django.wiring import ROLLOUT_SINK


def check_settings(**_kwargs: object) -> list[CheckMessage]:
    """Report every bad value, and what the flag and the kill switch look like."""
    found = conf.current()
    messages = [*as_errors(conf.master_problems()), *as_errors(found.problems)]
    if broken := _broken_sdk(found):
        messages.append(broken)
    elif not found.problems:
        messages += [*_flags(found), *_circle(found)]
    return [*messages, *_misspelt(), *_kill_file(found), *_sending(), *_state(found)]


def _misspelt() -> Iterator[CheckMessage]:
    for name in conf.misspelt():
        yield Warning(
            f"{name} is not known; did you mean {conf.MASTER_SWITCH}? It has no effect.", id="rollout.W005"
        )


def _state(found: conf.RolloutSettings) -> Iterator[CheckMessage]:
    """Say where a plan and what it is driven by do not fit each other."""
    alias, sending = found.state_database, webhooks_conf.current()
    if alias is None or sending.problems:
        return
    if sending.engine == "inline":
        if found.plan is not None and sending.endpoints:
            yield Warning(
                "The engine inline settles no rows: its deliveries are no evidence, and the plan will hold.",
                hint='Set WEBHOOKS["ENGINE"] to worker or celery.',
                id="rollout.W008",
            )
        return
    if alias != sending.database:
        yield Error(
            f'Evidence is kept in ROLLOUT["DATABASE"], "{alias}", and deliveries in WEBHOOKS["DATABASE"], '
            f'"{sending.database}": the two could not commit together.',
            hint="Name the same database in both.",
            id="rollout.E016",
        )
    if found.plan is not None and sending.endpoints:
        yield from _unseen(sending)


def _unseen(sending: webhooks_conf.WebhookSettings) -> Iterator[CheckMessage]:
    """Say what a plan's guard cannot see of what is sent."""
    if sending.shared.breakers == "memory":
        yield Warning(
            "The plan's guard cannot see breakers that each worker keeps in its own memory: it will hold.",
            hint='Set WEBHOOKS["BREAKER_STORE"] to database or redis.',
            id="rollout.W006",
        )
    if sending.settle_sink not in (None, ROLLOUT_SINK):
        yield Warning(
            "The plan's guard sees no delivery unless this project's SETTLE_SINK tells it: it would hold,"
            " and never roll back.",
            hint=f"Call {ROLLOUT_SINK} from it, and silence this warning; or leave SETTLE_SINK unset.",
            id="rollout.W009",
        )


def _broken_sdk(found: conf.RolloutSettings) -> CheckMessage | None:
    """Say where another provider owns the flag, and what asks it is there and cannot be imported."""
    if found.openfeature is None or found.problems:
        return None
    try:
        import rollout.django.openfeature
        import rollout.remote  # noqa: F401 - both must be there; what they are for comes later
    except Exception as error:  # noqa: BLE001 - whatever a broken package raises: told by its type
        return Error(
            f'ROLLOUT["OPENFEATURE"]: openfeature-sdk cannot be imported: {type(error).__name__}.',
            hint="Install it anew: rollout-webhooks[openfeature]. The gate is closed until then.",
            id="rollout.E017",
        )
    return None


def _circle(found: conf.RolloutSettings) -> Iterator[CheckMessage]:
    """Say where the gate asks a provider that asks the gate."""
    asked = found.openfeature
    if asked is None:
        return
    from openfeature import api

    from rollout.django.openfeature import PATH, is_over_the_settings

    named, there = asked.provider, api.get_client(asked.domain).provider
    if named == PATH or (named is None and is_over_the_settings(there)):
        yield Warning(
            'ROLLOUT["OPENFEATURE"] asks our own provider, which asks the gate: a circle, closed.',
            hint="Set the provider that owns the flag under DOMAIN, or name it as PROVIDER.",
            id="rollout.W007",
        )


def _flags(found: conf.RolloutSettings) -> Iterator[CheckMessage]:
    if found.source is conf.SourceName.DATABASE:
        return  # a check reads no database
    snapshot = wiring.source_of(found).snapshot()
    is_file = found.source is conf.SourceName.FILE
    if snapshot.status is not SourceStatus.READY:
        yield Error(
            f"The flags cannot be read: {snapshot.problem}",
            hint="Nobody gets webhooks (reason ERROR) until they can.",
            id="rollout.E006" if is_file else "rollout.E005",
        )
    elif conf.master() and found.flag not in snapshot.flags:
        yield _no_such_flag(found, snapshot)


def _no_such_flag(found: conf.RolloutSettings, snapshot: Snapshot) -> CheckMessage:
    known = ", ".join(sorted(snapshot.flags)[:5]) or "none"
    return Warning(
        f'{conf.MASTER_SWITCH} is on, and no flag "{found.flag}" is defined: nobody gets webhooks.',
        hint=f"Define it in {snapshot.origin or found.source}; defined there: {known}.",
        id="rollout.W001",
    )


def _sending() -> Iterator[CheckMessage]:
    missing = [name for name in wiring.APPS if not apps.is_installed(name)]
    if missing:
        yield Warning(
            f"{', '.join(missing)} is not in INSTALLED_APPS: `dispatch` is closed.", id="rollout.W003"
        )
    if not conf.master():
        return
    sending = webhooks_conf.current()
    yield from as_errors(wiring.missing_secrets(sending))
    if not sending.endpoints:
        yield Warning(
            f"{conf.MASTER_SWITCH} is on, and there is no endpoint: nothing is sent.",
            hint='Set WEBHOOK_ENDPOINT or WEBHOOKS["ENDPOINTS"].',
            id="rollout.W002",
        )


def _kill_file(found: conf.RolloutSettings) -> Iterator[CheckMessage]:
    kill = KillFile(found.kill_file)
    state = kill.state()
    if state.killed and not kill.problem:  # a path that is none is E009, and nothing to remove
        yield Warning(
            f"The kill switch is pulled: {state.why}. Nothing is sent.",
            hint="Remove the file once you know why it is there.",
            id="rollout.W004",
        )
    # Of a link, whoever can replace what it points at counts, too; each directory is told once.
    places = [*_writable_by_all(Path(os.path.realpath(kill.path))), *_writable_by_all(Path(kill.path))]
    for place in {os.path.realpath(each): each for each in places}.values():
        yield Error(
            f"Anybody on this host can write to {place}, and so make or remove the kill file {kill.path}.",
            hint="Take the right to write away from others (chmod o-w), or move the file: ROLLOUT_KILL_FILE.",
            id="rollout.E010",
        )


def _writable_by_all(path: Path) -> Iterator[Path]:
    """Return the directories through which anybody could make, remove or replace *path*.

    The parent, or where it is missing the nearest directory that is there, must not be writable by all: not
    even a sticky one keeps others from making a file. Above it the sticky bit is enough.
    """
    nearest = True
    for place in path.absolute().parents:
        try:
            mode = os.stat(place).st_mode
        except OSError:
            continue
        if mode & stat.S_IWOTH and (nearest or not mode & stat.S_ISVTX):
            yield place
        nearest = False
