"""Whom a flag's evaluation is measured against: each by its own documented call, one flag at 50 % of units.

Every peer is local: no network, no events sent, no refresh while it is measured. Each is a function of a
unit's number. Nothing here knows what is measured.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Ask = Callable[[int], object]
FLAG = "tournament-webhooks"
PERCENT = 50


def growthbook_features(flags: int = 1) -> dict[str, Any]:
    """GrowthBook's features; the first is FLAG."""
    rule = {"force": True, "coverage": PERCENT / 100, "hashAttribute": "id"}
    return {name: {"defaultValue": False, "rules": [rule]} for name in names(flags)}


def names(flags: int) -> list[str]:
    """FLAG, and others."""
    return [FLAG, *(f"flag-{number:05d}" for number in range(1, flags))]


def growthbook() -> Ask:
    """An instance for each unit, as its manual shows it for a server."""
    from growthbook import GrowthBook

    features = growthbook_features()
    return lambda unit: GrowthBook(attributes={"id": str(unit)}, features=features).is_on(FLAG)


def flagd_flags(flags: int = 1) -> dict[str, Any]:
    """A document of flagd's."""
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"fractional": [["on", PERCENT], ["off", 100 - PERCENT]]},
    }
    return {"flags": dict.fromkeys(names(flags), flag)}


def flagd_core() -> Ask:
    """Flagd's evaluator in Python."""
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    core = FlagdCore()
    core.set_flags(json.dumps(flagd_flags()))
    return lambda unit: core.resolve_boolean_value(FLAG, False, EvaluationContext(str(unit)))


def launchdarkly_flags(flags: int = 1) -> dict[str, Any]:
    """A file of LaunchDarkly's."""
    weights = [
        {"variation": 0, "weight": PERCENT * 1000},
        {"variation": 1, "weight": (100 - PERCENT) * 1000},
    ]
    return {
        "flags": {
            name: {
                "key": name,
                "version": 1,
                "on": True,
                "salt": name,
                "variations": [True, False],
                "fallthrough": {"rollout": {"variations": weights}},
            }
            for name in names(flags)
        }
    }


def launchdarkly_config(path: Path, flags: int = 1) -> Any:
    """LaunchDarkly over a file."""
    from ldclient.config import Config
    from ldclient.integrations import Files

    path.write_text(json.dumps(launchdarkly_flags(flags)))
    source = Files.new_data_source(paths=[str(path)])
    return Config("sdk-key", update_processor_class=source, send_events=False)


def launchdarkly(folder: Path) -> Ask:
    """LaunchDarkly's client over a file, with a context made for each unit."""
    from ldclient import Context, LDClient

    client = LDClient(launchdarkly_config(folder / "launchdarkly.json"))
    return lambda unit: client.variation(FLAG, Context.create(str(unit)), False)


def unleash_state(flags: int = 1) -> str:
    """Unleash's features."""
    parameters = {"rollout": str(PERCENT), "stickiness": "userId", "groupId": FLAG}
    strategy = {"name": "flexibleRollout", "parameters": parameters}
    features = [{"name": name, "enabled": True, "strategies": [strategy]} for name in names(flags)]
    return json.dumps({"version": 2, "features": features})


def unleash(folder: Path) -> Ask:
    """Unleash's client from a bootstrap, offline."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    cache = FileCache("bench", directory=str(folder))
    cache.bootstrap_from_dict(json.loads(unleash_state()))
    client = UnleashClient(
        "http://127.0.0.1:9/api", "bench", cache=cache, disable_metrics=True, disable_registration=True
    )
    client.initialize_client(fetch_toggles=False)
    return lambda unit: client.is_enabled(FLAG, {"userId": str(unit)})


def posthog() -> Ask:
    """PostHog's local evaluation."""
    from posthog import Posthog

    client = Posthog("key", sync_mode=True, send=False, enable_local_evaluation=False)
    groups = [{"properties": [], "rollout_percentage": PERCENT}]
    client.feature_flags = [{"id": 1, "key": FLAG, "active": True, "filters": {"groups": groups}}]
    return lambda unit: client.feature_enabled(
        FLAG, str(unit), only_evaluate_locally=True, send_feature_flag_events=False
    )


def flagsmith() -> Ask:
    """Flagsmith's engine: a segment of a share of the identities.

    In the form in which Flagsmith's own client hands on what its server writes, whose rules always lie in a
    rule of the segment's, and with what the client adds for an identity without traits.
    """
    from flag_engine.engine import get_evaluation_result

    condition = {"property": "", "operator": "PERCENTAGE_SPLIT", "value": str(PERCENT)}
    rule = {"type": "ALL", "conditions": [condition], "rules": []}
    feature = {"key": "1", "name": FLAG, "enabled": False, "value": None}
    segment = {
        "key": "1",
        "name": "share",
        "rules": [{"type": "ALL", "conditions": [], "rules": [rule]}],
        "overrides": [{**feature, "enabled": True}],
    }
    fixed: dict[str, Any] = {
        "environment": {"key": "bench", "name": "bench"},
        "features": {FLAG: feature},
        "segments": {"1": segment},
    }

    def ask(unit: int) -> object:
        identity = {"identifier": str(unit), "key": f"bench_{unit}", "traits": {}}
        context = {**fixed, "identity": identity}
        return get_evaluation_result(context)["flags"][FLAG]["enabled"]

    return ask


def waffle() -> Ask:
    """Django-waffle with the local memory cache: it deals by chance and a cookie, not by the unit."""
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "waffle"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.auth.models import AnonymousUser
    from django.core.management import call_command
    from django.test import RequestFactory
    from waffle import flag_is_active, get_waffle_flag_model

    call_command("migrate", verbosity=0)
    get_waffle_flag_model().objects.create(name=FLAG, percent=PERCENT)
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    def ask(_unit: int) -> object:
        request.waffles = {}  # as a request that was asked nothing yet
        return flag_is_active(request, FLAG)

    return ask


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the peers' loggers from being measured."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
