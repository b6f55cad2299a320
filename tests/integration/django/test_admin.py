"""The outbox in the admin: shown without bodies, moved with a permission each, deleted by nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.urls import reverse

from tests import settings as base
from tests.integration.django.project import project
from webhooks_core.django.models import Delivery
from webhooks_core.django.outbox import DjangoOutbox
from webhooks_core.settlement import Delivery as Sent

pytestmark = pytest.mark.django_db
SETTINGS = {
    "INSTALLED_APPS": [
        *base.INSTALLED_APPS,
        "django.contrib.admin",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    "MESSAGE_STORAGE": "django.contrib.messages.storage.cookie.CookieStorage",
    "ROOT_URLCONF": "tests.integration.django.admin_urls",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
}
LISTED = "admin:webhooks_delivery_changelist"


@pytest.fixture(autouse=True)
def _admin() -> Iterator[None]:
    with override_settings(**project(WEBHOOKS={"ENGINE": "worker"}), **SETTINGS):
        yield


def person(*permissions: str) -> Client:
    """Somebody of the staff with these permissions, logged in."""
    user = User.objects.create(username="somebody", is_staff=True, is_active=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="webhooks", codename__in=permissions)
    )
    client = Client()
    client.force_login(user)
    return client


def row(webhook_id: str, state: str, *, age: float = 0.0) -> Delivery:
    """A row in a state."""
    at = time.time() - age
    DjangoOutbox(environment="test").add(
        Sent(webhook_id=webhook_id, event="payment_verified", body=b'{"secret-body":1}', created_at=at)
    )
    found = Delivery.objects.get(webhook_id=webhook_id)
    if state != "pending":
        Delivery.objects.filter(pk=found.pk).update(state=state, turn=None)
    return found


def act(client: Client, action: str, *rows: Delivery) -> str:
    """Choose an action for rows; return the page that follows."""
    data = {"action": action, "_selected_action": [str(each.pk) for each in rows]}
    return client.post(reverse(LISTED), data, follow=True).content.decode()


def state(found: Delivery) -> str:
    """The state of a row."""
    found.refresh_from_db()
    return found.state


def test_a_delivery_is_shown_without_its_body() -> None:
    """List and page; moments in UTC."""
    client, found = person("view_delivery", "view_attempt"), row("id-1", "dead")

    listed = client.get(reverse(LISTED))
    shown = client.get(reverse("admin:webhooks_delivery_change", args=[found.pk]))

    assert (listed.status_code, shown.status_code) == (200, 200)
    for page in (listed, shown):
        text = page.content.decode()
        assert "id-1" in text
        assert "secret-body" not in text
    assert "Z</" in listed.content.decode()


def test_nothing_can_be_added_edited_or_deleted() -> None:
    """Whatever permissions somebody has."""
    client, found = (
        person("view_delivery", "release_delivery", "drop_delivery", "resend_delivery"),
        row("i", "held"),
    )

    assert client.get(reverse("admin:webhooks_delivery_add")).status_code == 403
    assert client.get(reverse("admin:webhooks_delivery_delete", args=[found.pk])).status_code == 403
    act(client, "delete_selected", found)
    assert state(found) == "held"


def test_each_act_needs_its_permission() -> None:
    """Who may look may not move."""
    client, found = person("view_delivery"), row("id-1", "held")

    for action in ("release", "drop", "resend"):
        act(client, action, found)

    assert state(found) == "held"


def test_release_resend_and_drop_move_what_has_the_arrow() -> None:
    """As the commands do; the reason names the person."""
    client = person("view_delivery", "release_delivery", "drop_delivery", "resend_delivery")
    held, old = row("held", "held"), row("old", "held", age=2 * 86_400)
    dead, pending = row("dead", "dead"), row("pending", "pending")

    act(client, "release", held, old, dead)
    act(client, "resend", dead)
    act(client, "drop", pending)

    assert [state(each) for each in (held, old, dead, pending)] == ["pending", "held", "pending", "dropped"]
    assert held.reason == "by somebody in the admin"


def test_a_release_leaves_what_may_repeat_its_effect() -> None:
    """Put back by a person and held again: young by its waiting, forgotten by the receiver."""
    client = person("view_delivery", "release_delivery")
    found, other = row("id-1", "held", age=8 * 86_400), row("id-2", "held", age=8 * 86_400)
    Delivery.objects.update(waits_since=time.time())
    Delivery.objects.filter(pk=found.pk).update(sent_before=True)

    act(client, "release", found, other)

    assert (state(found), state(other)) == ("held", "pending")


@pytest.mark.parametrize("action", ["release", "resend", "drop"])
def test_an_act_under_a_bad_setting_says_so(action: str) -> None:
    """As the commands do, and the page comes all the same."""
    client = person("view_delivery", f"{action}_delivery")
    found = row("id-1", "dead" if action == "resend" else "held")

    with override_settings(WEBHOOK_MAX_RETRIES=0):
        said = act(client, action, found)

    assert "WEBHOOK_MAX_RETRIES: " in said
    assert state(found) == ("dead" if action == "resend" else "held")


def test_workers_and_breakers_are_shown() -> None:
    """The other tables, for whoever may see them."""
    client = person("view_workerbeat", "view_breaker", "view_ratebucket")

    for name in ("workerbeat", "breaker", "ratebucket"):
        assert client.get(reverse(f"admin:webhooks_{name}_changelist")).status_code == 200
