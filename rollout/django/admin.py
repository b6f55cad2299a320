"""Rollouts in Django's admin: where each stands and why, its journal, its senders; what stops or moves it.

Nothing is added, edited or deleted here. Each act asks for its permission, takes its reason from the form and
goes the way of the command of the same name, by an actor that the admin has authenticated. Invariants: no act
lets more units in than the plan's runner would, or its first stage, confirmed; a stop says who has stopped.
Explained in docs/how-to/run-a-rollout.md, "In the admin".
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.http import HttpRequest

from rollout import state_text
from rollout.actor import cut
from rollout.django import conf
from rollout.django.models import JournalEntry, Rollout, Sender
from rollout.errors import ConfigError
from rollout.rollout_state import RolloutState, State
from webhooks_core.django.management.picking import shown_at
from webhooks_core.django.shown import Shown

SHORT = 100  # characters of a reason in a list

if TYPE_CHECKING:
    from rollout.django.management.stopping import Stopped


class Kept(Shown):
    """A table beside the rollouts."""

    show_full_result_count = False

    def alias(self) -> str:
        """Return the database that keeps the rollouts."""
        return conf.current().state_database or DEFAULT_DB_ALIAS


class ReasonForm(ActionForm):
    """The choice of an act, and why; for a start, its confirmation and what becomes of what is held."""

    reason = forms.CharField(required=False, max_length=255, label="Reason")
    held = forms.ChoiceField(
        required=False,
        choices=[("", "-"), *((each, each) for each in ("keep", "release", "drop"))],
        label="Start: held deliveries",
    )
    confirmed = forms.BooleanField(required=False, label="Start: confirmed")


@admin.register(Rollout)
class RolloutAdmin(Kept):
    """Where each rollout stands."""

    action_form = ReasonForm
    list_display = (
        "flag",
        "environment",
        "state",
        "stage",
        "percent",
        "killed",
        "stopped",
        "in_short",
        "by",
        "changed",
    )
    list_filter = ("state", "environment")
    ordering = ("environment", "flag")
    fields = (
        *("flag", "environment", "state", "stage", "percent", "killed", "why", "by"),
        *("changed", "stopped", "senders", "epoch", "version", "fence_holder"),
    )
    readonly_fields = fields
    actions = ("start", "pause", "resume", "approve", "roll_back", "kill", "unkill", "clear_trip")

    @admin.display
    def stage(self, row: Rollout) -> str:
        """Which stage of how many."""
        state = _state(row)
        if state is None or state.stage is None or state.plan is None:
            return "-"
        return f"{state.stage + 1} of {len(state.plan.stages)}"

    @admin.display
    def why(self, row: Rollout) -> str:
        """Why it stands where it stands, with the numbers."""
        state = _state(row)
        return "content cannot be read" if state is None else state.reason or "-"

    @admin.display(description="ceiling")
    def percent(self, row: Rollout) -> str:
        """The ceiling; before the first start there is none."""
        shadow = ", shadow" if row.is_shadow else ""
        return f"{row.ceiling} %{shadow}" if row.ceiling else "-"

    @admin.display(description="kill switch")
    def killed(self, row: Rollout) -> str:
        """A word: a red cross for "no" reads as an alarm."""
        return "KILLED" if row.is_killed else "-"

    @admin.display
    def stopped(self, row: Rollout) -> str:
        """How many senders a rollback has reached, while it is under way; why it ended tells of the rest."""
        found = _stopping(row)
        if found is None:
            return "-"
        return f"{found.found}" if found.found.total else "no sender was alive"

    @admin.display
    def senders(self, row: Rollout) -> str:
        """Each sender that a rollback under way must reach: stopped, or not."""
        found = _stopping(row)
        return "-" if found is None else "\n".join(found.lines())

    @admin.display(description="why")
    def in_short(self, row: Rollout) -> str:
        """The beginning of why; all of it is on its page."""
        return cut(self.why(row), SHORT)

    @admin.display
    def by(self, row: Rollout) -> str:
        """Who brought it there."""
        state = _state(row)
        return "-" if state is None else state.actor or "-"

    @admin.display(ordering="changed_at")
    def changed(self, row: Rollout) -> str:
        """When, UTC."""
        return _moment(row.changed_at)

    def has_drive_permission(self, request: HttpRequest) -> bool:
        """Whether this person may drive."""
        return request.user.has_perm("rollout.drive_rollout")

    def has_kill_permission(self, request: HttpRequest) -> bool:
        """Whether this person may pull the kill switch and put it back."""
        return request.user.has_perm("rollout.kill_rollout")

    def has_clear_permission(self, request: HttpRequest) -> bool:
        """Whether this person may clear a trip."""
        return request.user.has_perm("rollout.clear_trip")

    @admin.action(permissions=["drive"], description="Start the plan (needs a reason, and “confirmed”)")
    def start(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Start."""
        self._act("start", request, rows)

    @admin.action(permissions=["drive"], description="Pause: stay at this percentage, the guard stays on")
    def pause(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Pause."""
        self._act("pause", request, rows)

    @admin.action(permissions=["drive"], description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Resume."""
        self._act("resume", request, rows)

    @admin.action(permissions=["drive"], description="Approve the next stage")
    def approve(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Approve."""
        self._act("approve", request, rows)

    @admin.action(permissions=["drive"], description="Roll back: let nothing through (needs a reason)")
    def roll_back(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Roll back."""
        self._act("roll_back", request, rows)

    @admin.action(permissions=["kill"], description="Kill: stop everything (needs a reason)")
    def kill(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Kill."""
        self._act("kill", request, rows)

    @admin.action(permissions=["kill"], description="Put the kill switch back (needs a reason)")
    def unkill(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Put the kill switch back."""
        self._act("unkill", request, rows)

    @admin.action(permissions=["clear"], description="Clear a trip on personal data (needs a reason)")
    def clear_trip(self, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Clear this host's trip."""
        self._act("clear_trip", request, rows)

    def _act(self, name: str, request: HttpRequest, rows: QuerySet[Rollout]) -> None:
        """Do it for the one rollout of these settings; say what came of it."""
        from rollout.django import admin_acts  # models of both apps: only where both are installed

        form = admin_acts.Form(
            reason=str(request.POST.get("reason", "")).strip(),
            confirmed="confirmed" in request.POST,
            held=str(request.POST.get("held", "")),
        )
        said = admin_acts.act(name, request.user, form=form, picked=list(rows))
        self.message_user(request, said.text, messages.SUCCESS if said.done else messages.ERROR)


@admin.register(JournalEntry)
class JournalAdmin(Kept):
    """Every change, by machine or hand. Read only: no code path changes or removes one."""

    list_display = ("version", "flag", "environment", "when", "cause", "who", "in_short")
    list_filter = ("flag", "environment", "cause")
    ordering = ("-id",)
    fields = ("flag", "environment", "version", "when", "cause", "who", "why", "evidence", "hash")
    readonly_fields = fields

    @admin.display(ordering="at")
    def when(self, row: JournalEntry) -> str:
        """When, UTC."""
        return _moment(row.at)

    @admin.display(ordering="actor")
    def who(self, row: JournalEntry) -> str:
        """Who; with a star where nobody checked that it was really they."""
        return row.actor if _content(row).get("authenticated") is True else f"{row.actor} *"

    @admin.display
    def why(self, row: JournalEntry) -> str:
        """The reason."""
        return str(_content(row).get("reason") or "-")

    @admin.display(description="why")
    def in_short(self, row: JournalEntry) -> str:
        """The beginning of the reason; all of it is on its page."""
        return cut(self.why(row), SHORT)

    @admin.display
    def evidence(self, row: JournalEntry) -> str:
        """The numbers that it rests on, one measure a line."""
        verdict = _content(row).get("evidence")
        readings = verdict.get("readings") if isinstance(verdict, dict) else None
        lines = [
            f"{each.get('measure')}: {each.get('standing')}: {each.get('why')}"
            for each in readings or ()
            if isinstance(each, dict)
        ]
        return "\n".join(lines) or "-"


@admin.register(Sender)
class SenderAdmin(Kept):
    """Who sends, and which epochs they obey."""

    list_display = ("name", "environment", "seen", "lease_seconds", "epochs", "stopped_by")
    ordering = ("environment", "name")
    fields = ("name", "environment", "seen", "lease_seconds", "epochs", "stopped_by")
    readonly_fields = fields

    @admin.display(ordering="seen_at")
    def seen(self, row: Sender) -> str:
        """When it last told its heartbeat, UTC."""
        return _moment(row.seen_at)


def _state(row: Rollout) -> RolloutState | None:
    try:
        return state_text.loads(row.content)
    except ConfigError:
        return None


def _stopping(row: Rollout) -> Stopped | None:
    """Return how far a rollback under way has come; None where none is."""
    # Models of both apps: only where both are installed.
    from rollout.django.driving import store_of
    from rollout.django.management import stopping

    state = _state(row)
    if state is None or state.state is not State.ROLLING_BACK:
        return None
    alias = conf.current().state_database or DEFAULT_DB_ALIAS
    return stopping.look(store_of(alias, environment=row.environment), state)


def _content(row: JournalEntry) -> dict[str, object]:
    with suppress(ValueError):
        found = json.loads(row.content)
        if isinstance(found, dict):
            return found
    return {}


def _moment(seconds: float) -> str:
    """Return a moment as ISO 8601, UTC; a dash for none."""
    return shown_at(seconds or None) or "-"
