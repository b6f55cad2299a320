"""Settings of sending: defaults, where they come from, and every bad value of the contract §1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from webhooks_core.django import conf
from webhooks_core.errors import ConfigError
from webhooks_core.keys import KeyRing, SecretFormat
from webhooks_core.scheme import Scheme, acceptance

URL = "https://api.example.com/webhooks/inbound"
SECRET = (
    "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"  # gitleaks:allow (fixed, tests only)
)
OTHER = (
    "0e1d2c3b4a5968778695a4b3c2d1e0f00e1d2c3b4a5968778695a4b3c2d1e0f0"  # gitleaks:allow (fixed, tests only)
)
EXAMPLE = (
    "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456"  # gitleaks:allow (published example)
)
HERE = "tests.unit.django.test_webhook_settings"


def load(*, debug: bool = False, **raw: Any) -> conf.WebhookSettings:
    """Parse settings given by name; ENVIRONMENT is set unless WEBHOOKS says otherwise."""
    raw.setdefault("WEBHOOKS", {})
    if isinstance(raw["WEBHOOKS"], dict):
        raw["WEBHOOKS"] = {"ENVIRONMENT": "test", **raw["WEBHOOKS"]}
    return conf.load(raw.get, debug=debug)


def ids(found: conf.WebhookSettings) -> list[str]:
    """The ids of the problems, in order."""
    return [problem.id for problem in found.problems]


def endpoints(**tables: object) -> dict[str, object]:
    """A WEBHOOKS dictionary with these endpoints."""
    return {"ENDPOINTS": tables}


@pytest.mark.parametrize(
    ("accepted", "found"),
    [
        (None, ["webhooks.E048", "webhooks.E048"]),
        ([acceptance("a", URL)], ["webhooks.E048"]),
        ([acceptance("a", URL), acceptance("b", f"{URL}/other")], ["webhooks.E048"]),
        ([acceptance("a", URL), acceptance("b", f"{URL}/b")], []),
        ("a", ["webhooks.E048"] * 3),
        (["yes"], ["webhooks.E048"] * 3),
    ],
    ids=["nobody", "one", "of-another-url", "both", "no-list", "no-word"],
)
def test_each_endpoint_of_scheme_body_must_have_been_seen_to_accept_it(
    accepted: object, found: list[str]
) -> None:
    """Contract §10, level 3; an endpoint of another scheme is not asked for."""
    tables = endpoints(
        a={"URL": URL, "SECRET": SECRET, "SCHEME": "body"},
        b={"URL": f"{URL}/b", "SECRET": OTHER, "SCHEME": "body"},
        c={"URL": f"{URL}/c", "SECRET": OTHER[::-1]},
    )

    loaded = load(WEBHOOKS={**tables, "BODY_ACCEPTED": accepted})

    assert ids(loaded) == found
    assert not any(URL in str(problem) for problem in loaded.problems)


def test_the_defaults_are_those_of_the_contract() -> None:
    """Contract §1, column *default*."""
    found = load()

    assert found.problems == ()
    assert found.endpoints == {}
    assert (found.max_attempts, found.replay_window_seconds) == (3, 300.0)
    assert (found.breaker_window_seconds, found.breaker_max_fails, found.breaker_open_seconds) == (
        120.0,
        5,
        60.0,
    )
    assert (found.engine, found.jitter, found.retry_base_seconds, found.send_permit) == (
        "worker",
        0.0,
        2.0,
        None,
    )
    assert found.events == {}


def test_an_endpoint_has_a_rate_of_its_own_or_that_of_all() -> None:
    """Attempts a second; none by default. `WEBHOOKS["RATE"]` is what the endpoint `default` has."""
    tables = {"eu": {"URL": URL, "SECRET": OTHER, "RATE": Decimal("0.5")}}

    plain = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=SECRET)
    rated = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=SECRET, WEBHOOKS={"RATE": "20", "ENDPOINTS": tables})

    assert rated.problems == ()
    assert plain.endpoints["default"].rate is None
    assert {name: endpoint.rate for name, endpoint in rated.endpoints.items()} == {"default": 20.0, "eu": 0.5}


@pytest.mark.parametrize(
    ("raw", "waits"), [(None, ()), ([], ()), ([60, "600", 3_600.5], (60.0, 600.0, 3_600.5)), ((1,), (1.0,))]
)
def test_the_slow_tier_is_a_list_of_waits(raw: object, waits: tuple[float, ...]) -> None:
    """Contract §6: in seconds; none by default, as the seeds have it."""
    found = load(WEBHOOKS={"SLOW_RETRIES": raw})

    assert (found.problems, found.slow_retries) == ((), waits)


def test_the_flat_settings_are_the_endpoint_called_default() -> None:
    """Contract §1: `WEBHOOK_ENDPOINT` is the endpoint with the id `default`."""
    found = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=[OTHER, SECRET], WEBHOOK_TIMEOUT="7.5")

    endpoint = found.endpoints["default"].build()
    assert found.problems == ()
    assert (endpoint.id, endpoint.url, endpoint.timeout_seconds) == ("default", URL, 7.5)
    assert (len(endpoint.keys), endpoint.scheme, endpoint.events) == (2, Scheme.TIMESTAMPED, None)
    assert endpoint.user_agent == "DeltaCrown-Webhook/1.0"


def test_every_key_of_an_endpoint_arrives(tmp_path: Path) -> None:
    """`WEBHOOKS["ENDPOINTS"][id]`, contract §1."""
    pem = tmp_path / "some.pem"
    pem.touch()
    table = {
        "URL": URL,
        "SECRET": SECRET,
        "SCHEME": "body",
        "EVENTS": ["payment_verified"],
        "TIMEOUT": 2,
        "HEALTH_URL": "https://api.example.com/health",
        "CA_BUNDLE": str(pem),
        "CLIENT_CERT": [pem, pem],
        "PROXY": "http://proxy.example.com:3128",
        "ALLOW_NETWORKS": ["10.1.0.0/16:443"],
    }
    accepted = [acceptance("eu", URL)]

    found = load(WEBHOOKS={**endpoints(eu=table), "BODY_ACCEPTED": accepted})

    built = found.endpoints["eu"].build()
    assert found.problems == ()
    assert (built.scheme, built.events, built.timeout_seconds) == (
        Scheme.BODY,
        frozenset({"payment_verified"}),
        2.0,
    )
    assert (built.health_url, built.proxy) == (table["HEALTH_URL"], table["PROXY"])
    assert (built.ca_bundle, built.client_cert) == (str(pem), (str(pem), str(pem)))
    assert [str(network) for network in built.allow_networks] == ["10.1.0.0/16:443"]


def test_what_stands_around_the_endpoints_is_their_default(tmp_path: Path) -> None:
    """SCHEME, USER_AGENT, CA_BUNDLE and ALLOW_NETWORKS of `WEBHOOKS` hold for every endpoint."""
    pem = tmp_path / "ca.pem"
    pem.touch()
    url = "https://10.1.2.3/in"
    around = {
        "SCHEME": "body",
        "BODY_ACCEPTED": [acceptance("default", url)],
        "USER_AGENT": "Example/2",
        "CA_BUNDLE": pem,
        "ALLOW_NETWORKS": ["10.1.0.0/16"],
    }

    found = load(WEBHOOK_ENDPOINT=url, WEBHOOK_SECRET=SECRET, WEBHOOKS=around)

    built = found.endpoints["default"].build()
    assert found.problems == ()
    assert (built.scheme, built.user_agent, built.ca_bundle) == (Scheme.BODY, "Example/2", str(pem))


def test_the_table_may_add_to_the_flat_endpoint() -> None:
    """The endpoint `default` may have a health URL without repeating its URL and secret."""
    tables = endpoints(default={"HEALTH_URL": "https://api.example.com/health"})

    found = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=SECRET, WEBHOOKS=tables)

    assert found.problems == ()
    assert found.endpoints["default"].health_url == "https://api.example.com/health"


# Every row of the contract §1's last column (the master switch is rollout's), and more of the same kind.
BAD_FLAT: list[tuple[str, object, str]] = [
    *[
        ("WEBHOOK_ENDPOINT", url, "webhooks.E001")
        for url in (
            "file:///etc/passwd",
            "ftp://example.com/",
            "https://",
            "https:///path",
            "example.com/path",
            "https://user:pass@example.com/",
            "https://user@example.com/",
            "https://example.com/#fragment",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://exa mple.com/",
            "https://example.com\\@evil.example/",
            "https://exämple.com/",
            "https://example.com/\n",
            "javascript:alert(1)",
            "https://" + "a" * 3000 + ".example/",
            7,
            b"https://example.com/",
            ["https://example.com/"],
        )
    ],
    ("WEBHOOK_ENDPOINT", "http://api.example.com/", "webhooks.E002"),
    *[
        ("WEBHOOK_ENDPOINT", url, "webhooks.E003")
        for url in (
            "https://169.254.169.254/latest/meta-data/",
            "https://0177.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://0.0.0.0/",
        )
    ],
    ("WEBHOOK_SECRET", 12345, "webhooks.E004"),
    ("WEBHOOK_SECRET", [], "webhooks.E004"),
    ("WEBHOOK_SECRET", [SECRET, SECRET], "webhooks.E004"),
    ("WEBHOOK_SECRET", SECRET + "\n", "webhooks.E004"),
    ("WEBHOOK_SECRET", "\ud800" * 40, "webhooks.E004"),
    ("WEBHOOK_SECRET", "no.such.module.provider", "webhooks.E004"),
    ("WEBHOOK_SECRET", f"{HERE}.URL", "webhooks.E004"),
    ("WEBHOOK_SECRET", "short", "webhooks.E005"),
    ("WEBHOOK_SECRET", "x" * 31, "webhooks.E005"),
    ("WEBHOOK_SECRET", [SECRET, "short"], "webhooks.E005"),
    ("WEBHOOK_SECRET", EXAMPLE, "webhooks.E006"),
    ("WEBHOOK_SECRET", EXAMPLE.upper(), "webhooks.E006"),
    ("WEBHOOK_SECRET", [SECRET, EXAMPLE], "webhooks.E006"),
    *[
        ("WEBHOOK_TIMEOUT", bad, "webhooks.E007")
        for bad in (0, -1, 60.1, "ten", "-1", True, float("nan"), [])
    ],
    *[("WEBHOOK_MAX_RETRIES", bad, "webhooks.E008") for bad in (0, 21, -1, 2.5, "many", False, 10**30)],
    *[
        ("WEBHOOK_REPLAY_WINDOW_SECONDS", bad, "webhooks.E009")
        for bad in (0, 0.5, -300, "5 minutes", float("inf"))
    ],
    *[("WEBHOOK_CB_WINDOW_SECONDS", bad, "webhooks.E010") for bad in (0, -1, "x", True)],
    *[("WEBHOOK_CB_MAX_FAILS", bad, "webhooks.E011") for bad in (0, -5, 1.5, "x", True)],
    *[("WEBHOOK_CB_OPEN_SECONDS", bad, "webhooks.E012") for bad in (0, -1, "x", True)],
]


@pytest.mark.parametrize(("setting", "raw", "id_"), BAD_FLAT)
def test_a_bad_flat_setting_is_a_problem_with_its_id(setting: str, raw: object, id_: str) -> None:
    """It names the setting and the type; it repeats no value; the process goes on with a default."""
    found = load(**{"WEBHOOK_ENDPOINT": URL, "WEBHOOK_SECRET": SECRET, setting: raw})

    assert ids(found) == [id_]
    assert found.problems[0].setting.startswith(setting)
    assert isinstance(raw, list) or f"({type(raw).__name__})" in str(found.problems[0])
    if isinstance(raw, str) and len(raw) > 8:
        assert raw not in str(found.problems[0])


BAD_TABLE: list[tuple[object, str, str]] = [
    ("text", "webhooks.E013", "WEBHOOKS"),
    ([], "webhooks.E013", "WEBHOOKS"),
    ({"EVENT": {}}, "webhooks.E013", 'WEBHOOKS["EVENT"]'),
    ({"endpoints": {}}, "webhooks.E013", 'WEBHOOKS["endpoints"]'),
    ({3: 4}, "webhooks.E013", "WEBHOOKS[?]"),
    ({"ENVIRONMENT": None}, "webhooks.E014", 'WEBHOOKS["ENVIRONMENT"]'),
    *[
        ({"ENVIRONMENT": bad}, "webhooks.E015", 'WEBHOOKS["ENVIRONMENT"]')
        for bad in ("", "Production", "a b", "-x", "x" * 33, "x\n", 3, True)
    ],
    ({"ENDPOINTS": []}, "webhooks.E016", 'WEBHOOKS["ENDPOINTS"]'),
    (endpoints(**{"not an id": {"URL": URL}}), "webhooks.E016", 'WEBHOOKS["ENDPOINTS"][?]'),
    ({"ENDPOINTS": {7: {"URL": URL}}}, "webhooks.E016", 'WEBHOOKS["ENDPOINTS"][?]'),
    (endpoints(eu={"URL": URL, "SECRETS": OTHER}), "webhooks.E017", 'WEBHOOKS["ENDPOINTS"]["eu"]["SECRETS"]'),
    (endpoints(eu={"SECRET": OTHER}), "webhooks.E019", 'WEBHOOKS["ENDPOINTS"]["eu"]["URL"]'),
    (endpoints(default={"URL": URL}), "webhooks.E019", 'WEBHOOKS["ENDPOINTS"]["default"]["URL"]'),
    (endpoints(default={"SECRET": OTHER}), "webhooks.E019", 'WEBHOOKS["ENDPOINTS"]["default"]["SECRET"]'),
    (endpoints(eu={"URL": URL, "SECRET": SECRET}), "webhooks.E018", 'WEBHOOKS["ENDPOINTS"]["eu"]["SECRET"]'),
    *[
        (endpoints(eu={"URL": URL, key: bad}), id_, f'WEBHOOKS["ENDPOINTS"]["eu"]["{key}"]')
        for key, bad, id_ in (
            ("EVENTS", "payment", "webhooks.E021"),
            ("EVENTS", ["Not A Name"], "webhooks.E021"),
            ("EVENTS", 7, "webhooks.E021"),
            ("TIMEOUT", 0, "webhooks.E007"),
            ("RATE", 0, "webhooks.E045"),
            ("RATE", -1, "webhooks.E045"),
            ("RATE", 100_001, "webhooks.E045"),
            ("RATE", "many", "webhooks.E045"),
            ("RATE", Decimal("sNaN"), "webhooks.E045"),
            ("SCHEME", "md5", "webhooks.E023"),
            ("URL", "http://x.example/", "webhooks.E002"),
            ("HEALTH_URL", "file:/x", "webhooks.E001"),
            ("PROXY", "socks://x", "webhooks.E028"),
            ("PROXY", "https://proxy.example.com:3128", "webhooks.E028"),
            ("PROXY", "http://proxy.example.com:3128/path", "webhooks.E028"),
            ("PROXY", "http://proxy.example.com:3128?a=b", "webhooks.E028"),
            ("CA_BUNDLE", "/no", "webhooks.E027"),
            ("CLIENT_CERT", ["/no"], "webhooks.E027"),
            ("CLIENT_CERT", 3, "webhooks.E027"),
            ("ALLOW_NETWORKS", ["everything"], "webhooks.E024"),
        )
    ],
    ({"ENGINE": "threads"}, "webhooks.E022", 'WEBHOOKS["ENGINE"]'),
    ({"SCHEME": "none"}, "webhooks.E023", 'WEBHOOKS["SCHEME"]'),
    *[
        ({"ALLOW_NETWORKS": bad}, "webhooks.E024", 'WEBHOOKS["ALLOW_NETWORKS"]')
        for bad in (
            "10.0.0.0/8",
            ["10.0.0.1"],
            ["10.0.0.1/8"],
            ["10.0.0.0/8:0"],
            [7],
            ["169.254.0.0/16"],
            ["169.254.169.254/32:80"],
            ["fe80::/10"],
            ["100.100.100.200/32"],
        )
    ],
    *[
        ({"USER_AGENT": bad}, "webhooks.E025", 'WEBHOOKS["USER_AGENT"]')
        for bad in ("", "a\nb", "ä", "x" * 300, 3)
    ],
    *[({"JITTER": bad}, "webhooks.E026", 'WEBHOOKS["JITTER"]') for bad in (-0.1, 1.1, "much", True)],
    *[
        ({"CA_BUNDLE": bad}, "webhooks.E027", 'WEBHOOKS["CA_BUNDLE"]')
        for bad in ("/no/such/file", "/", "a\0b", 3)
    ],
    *[
        ({"SEND_PERMIT": bad}, "webhooks.E029", 'WEBHOOKS["SEND_PERMIT"]')
        for bad in ("no.such.permit", "word", f"{HERE}.URL", print, 3)
    ],
    ({"ALLOW_HTTP": "maybe"}, "webhooks.E030", 'WEBHOOKS["ALLOW_HTTP"]'),
    ({"NOTIFY": "perhaps"}, "webhooks.E046", 'WEBHOOKS["NOTIFY"]'),
    *[({"RATE": bad}, "webhooks.E045", 'WEBHOOKS["RATE"]') for bad in (0, "-1", True, [1])],
    *[
        ({"SLOW_RETRIES": bad}, "webhooks.E044", 'WEBHOOKS["SLOW_RETRIES"]')
        for bad in (60, "60", [0.5], [604_801], [60] * 21, ["soon"], [True], [None], {"60": 1})
    ],
    *[
        ({"RETRY_BASE_SECONDS": bad}, "webhooks.E032", 'WEBHOOKS["RETRY_BASE_SECONDS"]')
        for bad in (0, -1, 61, "x")
    ],
]


@pytest.mark.parametrize(("table", "id_", "setting"), BAD_TABLE)
def test_a_bad_key_of_the_table_is_a_problem_with_its_id(table: object, id_: str, setting: str) -> None:
    """Unknown and misspelt keys included (contract §1)."""
    found = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=SECRET, WEBHOOKS=table)

    wanted = [(id_, setting)]
    if not isinstance(table, dict):
        wanted.append(("webhooks.E014", 'WEBHOOKS["ENVIRONMENT"]'))
    assert [(problem.id, problem.setting) for problem in found.problems] == wanted


def test_an_unknown_key_names_the_nearest() -> None:
    """Contract §1: unknown keys are errors with the nearest known name."""
    found = load(WEBHOOKS={"ENVIROMENT": "x", "ENDPOINTS": {"eu": {"URL": URL, "SECERT": SECRET}}})

    assert [str(problem) for problem in found.problems] == [
        'WEBHOOKS["ENVIROMENT"] (str): is not known; did you mean "ENVIRONMENT"?',
        'WEBHOOKS["ENDPOINTS"]["eu"]["SECERT"] (str): is not known; did you mean "SECRET"?',
    ]


def test_the_environment_may_be_left_out_in_debug_only() -> None:
    """Contract §1: required outside `DEBUG`."""
    assert ids(conf.load({}.get, debug=True)) == []
    assert ids(conf.load({}.get, debug=False)) == ["webhooks.E014"]


@pytest.mark.parametrize(("debug", "allow"), [(True, False), (False, True), (True, None), (False, "yes")])
def test_plain_http_needs_debug_or_the_setting(debug: bool, allow: object) -> None:
    """Contract §1: plain `http` outside `DEBUG` unless allowed."""
    found = load(debug=debug, WEBHOOK_ENDPOINT="http://api.example.com/", WEBHOOKS={"ALLOW_HTTP": allow})

    assert found.problems == ()


def test_both_things_wrong_with_a_url_are_told() -> None:
    """Plain http and an address that is not allowed."""
    found = load(WEBHOOK_ENDPOINT="http://169.254.169.254/")

    assert ids(found) == ["webhooks.E002", "webhooks.E003"]


def test_a_private_address_may_be_opened_for_one_endpoint() -> None:
    """`ALLOW_NETWORKS`, contract §1."""
    table = {"URL": "http://127.0.0.1:8000/in", "SECRET": SECRET, "ALLOW_NETWORKS": ["127.0.0.1/32:8000"]}

    assert load(debug=True, WEBHOOKS=endpoints(dev=table)).problems == ()
    assert ids(load(debug=True, WEBHOOKS=endpoints(dev={**table, "URL": "http://127.0.0.1:8001/"}))) == [
        "webhooks.E003"
    ]


@pytest.mark.parametrize("shared", [[SECRET, OTHER], [OTHER, SECRET], SECRET])
def test_two_endpoints_with_one_secret_are_an_error(shared: object) -> None:
    """A captured request to one would verify at the other; also with a secret that only verifies."""
    tables = endpoints(a={"URL": URL, "SECRET": SECRET}, b={"URL": URL, "SECRET": shared})

    found = load(WEBHOOKS=tables)

    assert ids(found) == ["webhooks.E018"]
    assert 'endpoint "a" has the same secret' in str(found.problems[0])


def test_two_endpoints_with_one_provider_are_an_error() -> None:
    """One provider gives one secret."""
    tables = endpoints(
        a={"URL": URL, "SECRET": f"{HERE}.good_provider"}, b={"URL": URL, "SECRET": f"{HERE}.good_provider"}
    )

    assert ids(load(WEBHOOKS=tables)) == ["webhooks.E018"]


def test_an_endpoint_that_wants_an_unlisted_event_is_told() -> None:
    """A misspelt event would never arrive."""
    table = {
        "EVENTS": {"payment_verified": {"tournament_id": "integer"}},
        "ENDPOINTS": {"eu": {"URL": URL, "EVENTS": ["payment_verifed"]}},
    }

    found = load(WEBHOOKS=table)

    assert ids(found) == ["webhooks.E021"]
    assert 'did you mean "payment_verified"?' in str(found.problems[0])


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {"Not A Name": {}},
        {7: {}},
        {"payment_verified": "integer"},
        {"payment_verified": {"tournament_id": "no_such_type"}},
        {"payment_verified": {"tournament_id": 7}},
    ],
)
def test_a_bad_allow_list_is_a_problem(bad: object) -> None:
    """`WEBHOOKS["EVENTS"]`."""
    assert ids(load(WEBHOOKS={"EVENTS": bad})) == ["webhooks.E020"]


def good_provider() -> list[str]:
    """A provider such as a project writes."""
    return [OTHER, SECRET]


def short_provider() -> str:
    """A provider of something too short."""
    return "short"


def broken_provider() -> str:
    """A provider whose error speaks."""
    raise RuntimeError(f"the vault says {SECRET}")


WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def whsec_provider() -> str:
    """A provider of a secret of Standard Webhooks."""
    return WHSEC


@pytest.mark.parametrize("secret", [WHSEC, [WHSEC], f"{HERE}.whsec_provider"])
def test_the_scheme_standard_reads_whsec_secrets(secret: object) -> None:
    """For an endpoint and for a project that only receives, as text, list or provider."""
    wanted = KeyRing.of(WHSEC, format=SecretFormat.WHSEC)
    sends = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=secret, WEBHOOKS={"SCHEME": "standard"})
    receives = load(WEBHOOK_SECRET=secret, WEBHOOKS={"SCHEME": "standard"})
    named = load(WEBHOOKS=endpoints(eu={"URL": URL, "SECRET": secret, "SCHEME": "standard"}))

    assert sends.endpoints["default"].build().keys == wanted
    assert named.endpoints["eu"].build().keys == wanted
    assert receives.verifying("default") == (wanted, Scheme.STANDARD)
    assert sends.problems == receives.problems == named.problems == ()


def test_the_scheme_standard_refuses_a_plain_secret() -> None:
    """It would be another key than the receiver's library makes of it."""
    for found in (
        load(WEBHOOK_SECRET=SECRET, WEBHOOKS={"SCHEME": "standard"}),
        load(WEBHOOKS=endpoints(eu={"URL": URL, "SECRET": SECRET, "SCHEME": "standard"})),
    ):
        assert ids(found) == ["webhooks.E004"]
        assert "begins with whsec_" in str(found.problems[0])


def test_a_dotted_path_is_asked_when_the_endpoint_is_built_and_not_before() -> None:
    """A system check must not call a secrets manager."""
    found = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=f"{HERE}.good_provider")

    assert found.problems == ()
    assert found.without_secret == ()
    assert found.endpoints["default"].keys is None
    assert len(found.endpoints["default"].build().keys) == 2


@pytest.mark.parametrize(
    ("name", "says"), [("short_provider", "at least 32"), ("broken_provider", "RuntimeError")]
)
def test_a_provider_that_fails_names_the_setting_and_tells_no_secret(name: str, says: str) -> None:
    """Its exception's text may hold anything."""
    found = load(WEBHOOK_ENDPOINT=URL, WEBHOOK_SECRET=f"{HERE}.{name}")

    with pytest.raises(ConfigError, match=says) as caught:
        found.endpoints["default"].build()

    assert caught.value.path == "WEBHOOK_SECRET"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_endpoint_without_a_secret_is_told_when_it_is_needed() -> None:
    """*Enabled and unset* is bad, unset alone is not (contract §1)."""
    found = load(WEBHOOK_ENDPOINT=URL)

    assert found.problems == ()
    assert found.without_secret == ("WEBHOOK_SECRET",)
    with pytest.raises(ConfigError, match="WEBHOOK_SECRET: is not set"):
        found.endpoints["default"].build()


def test_a_receiver_needs_no_endpoint_but_its_secret_is_judged() -> None:
    """A project that only receives has a secret and no URL."""
    found = load(WEBHOOK_SECRET=SECRET, WEBHOOKS={"SCHEME": "body"})

    assert found.problems == ()
    keys, scheme = found.verifying("default")
    assert (len(keys), scheme) == (1, Scheme.BODY)
    assert ids(load(WEBHOOK_SECRET="short")) == ["webhooks.E005"]


def test_verifying_for_nobody_known_is_a_config_error() -> None:
    """A receiver must not start without a secret."""
    with pytest.raises(ConfigError, match="is not set"):
        load().verifying("default")
    with pytest.raises(ConfigError, match='no endpoint "eu"'):
        load().verifying("eu")


def test_verifying_asks_the_endpoint_that_is_named() -> None:
    """Each endpoint has a secret of its own."""
    found = load(
        WEBHOOK_SECRET=f"{HERE}.good_provider",
        WEBHOOKS=endpoints(eu={"URL": URL, "SECRET": SECRET, "SCHEME": "body"}),
    )

    assert found.verifying("eu")[1] is Scheme.BODY
    assert len(found.verifying("default")[0]) == 2


def test_nothing_that_may_hold_a_secret_is_shown() -> None:
    """A traceback shows locals: URLs may hold tokens, and secrets are secrets."""
    found = load(WEBHOOK_ENDPOINT=URL + "?token=hunter2hunter2", WEBHOOK_SECRET=SECRET)

    assert SECRET not in repr(found)
    assert "hunter2" not in repr(found)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment of one's own; settings are parsed again before and after."""
    conf.forget()
    yield monkeypatch
    conf.forget()


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("WEBHOOK_MAX_RETRIES", "5", "max_attempts", 5),
        ("WEBHOOK_MAX_RETRIES", ' "5"\r\n', "max_attempts", 5),
        ("WEBHOOK_REPLAY_WINDOW_SECONDS", "60", "replay_window_seconds", 60.0),
        ("WEBHOOK_CB_WINDOW_SECONDS", "30", "breaker_window_seconds", 30.0),
        ("WEBHOOK_CB_MAX_FAILS", "9999", "breaker_max_fails", 9999),
        ("WEBHOOK_CB_OPEN_SECONDS", "1.5", "breaker_open_seconds", 1.5),
        ("WEBHOOK_CB_OPEN_SECONDS", "", "breaker_open_seconds", 60.0),
    ],
)
def test_each_flat_setting_may_stand_in_the_environment(
    environment: pytest.MonkeyPatch, name: str, text: str, attribute: str, value: object
) -> None:
    """Contract §1: an environment variable of the same name; empty is unset."""
    environment.setenv(name, text)

    assert getattr(conf.current(), attribute) == value
    assert conf.current().problems == ()


def test_endpoint_secret_and_timeout_may_stand_in_the_environment(environment: pytest.MonkeyPatch) -> None:
    """The staging guide exports them."""
    environment.setenv("WEBHOOK_ENDPOINT", f"'{URL}'\n")
    environment.setenv("WEBHOOK_SECRET", SECRET)
    environment.setenv("WEBHOOK_TIMEOUT", "7")

    endpoint = conf.current().endpoints["default"].build()

    assert (endpoint.url, endpoint.timeout_seconds, len(endpoint.keys)) == (URL, 7.0, 1)


@pytest.mark.parametrize(("text", "count"), [(json.dumps([OTHER, SECRET]), 2), (SECRET, 1)])
def test_a_rotation_may_stand_in_the_environment_as_a_json_list(
    environment: pytest.MonkeyPatch, text: str, count: int
) -> None:
    """An ordered list has no other form there."""
    environment.setenv("WEBHOOK_SECRET", text)

    assert len(conf.current().verifying("default")[0]) == count


def test_the_setting_wins_over_the_environment(environment: pytest.MonkeyPatch) -> None:
    """Contract §1."""
    environment.setenv("WEBHOOK_MAX_RETRIES", "5")

    with override_settings(WEBHOOK_MAX_RETRIES=7):
        assert conf.current().max_attempts == 7
    with override_settings(WEBHOOK_MAX_RETRIES=None):
        assert conf.current().max_attempts == 5


def test_override_settings_takes_effect_at_once_and_ends() -> None:
    """`setting_changed` is honoured."""
    before = conf.current()

    with override_settings(WEBHOOKS={"ENVIRONMENT": "other"}):
        assert conf.current().environment == "other"

    assert conf.current() == before


def test_settings_are_parsed_once() -> None:
    """Everything but the master switch is read once."""
    assert conf.current() is conf.current()
    conf.forget(setting="LANGUAGE_CODE")
    assert conf.current() is conf.current()


def test_debug_is_noticed() -> None:
    """What is allowed in DEBUG is judged anew when it changes."""
    with override_settings(DEBUG=True, WEBHOOKS={}):
        assert conf.current().problems == ()
    with override_settings(WEBHOOKS={}):
        assert ids(conf.current()) == ["webhooks.E014"]


def test_a_list_of_secrets_that_is_no_json_is_not_taken_for_one_secret(
    environment: pytest.MonkeyPatch,
) -> None:
    """A bracket lost in a file of variables: told, instead of signing with the brackets and quotes."""
    environment.setenv("WEBHOOK_SECRET", f'["{SECRET}", "{OTHER}"')

    found = load(**{"WEBHOOK_ENDPOINT": URL, "WEBHOOK_SECRET": conf.from_environment("WEBHOOK_SECRET")})

    assert ids(found) == ["webhooks.E004"]
    assert "not BrokenJsonList" in str(found.problems[0])
    assert SECRET not in str(found.problems[0])


def test_misspelt_flat_settings_and_variables_are_found(environment: pytest.MonkeyPatch) -> None:
    """A setting that nobody reads looks as if it had an effect."""
    environment.setenv("WEBHOOK_ENPOINT", URL)
    environment.setenv("WEBHOOK_SOMETHING_ELSE_ENTIRELY", "x")

    with override_settings(WEBHOOK_TIMEOUTS=3):
        assert conf.misspelt() == [
            ("WEBHOOK_ENPOINT", "WEBHOOK_ENDPOINT"),
            ("WEBHOOK_TIMEOUTS", "WEBHOOK_TIMEOUT"),
        ]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(conf.FLAT), JUNK), JUNK)
def test_no_settings_stop_the_process(flat: dict[str, object], table: object) -> None:
    """Contract §1: a bad value never stops the process; whatever is left can be built."""
    found = conf.load({**flat, "WEBHOOKS": table}.get, debug=False)

    assert isinstance(found, conf.WebhookSettings)


@given(st.dictionaries(st.sampled_from(conf.TABLE), JUNK))
def test_no_table_stops_the_process(table: dict[str, object]) -> None:
    """The same for each key of `WEBHOOKS`."""
    assert isinstance(conf.load({"WEBHOOKS": table}.get, debug=False), conf.WebhookSettings)
