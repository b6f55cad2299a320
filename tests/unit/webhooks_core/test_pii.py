"""The walk over an event: every place is looked at, and a finding says where and what, never whom."""

from __future__ import annotations

import json

import pytest

from webhooks_core.pii import MAX_FINDINGS, EventFields, Finding, Kind, check, scan, shown_path

FIELDS = EventFields.parse(
    {
        "tournament_id": "integer",
        "state": {"enum": ["open", "closed"]},
        "note": "text",
        "match.score": "text?",
        "players[].id": "integer",
        "player_ids[]": "integer",
        "metadata.email_total": "count",
    }
)
GOOD = {
    "tournament_id": 101,
    "state": "open",
    "note": "well played",
    "match": {"score": None},
    "players": [{"id": 1}, {"id": 2}],
    "player_ids": [],
}


def found(data: dict[str, object], metadata: dict[str, object] | None = None) -> list[tuple[str, str, bool]]:
    """Kind, path and whether in free text, of each finding."""
    return [(str(item.kind), item.path, item.in_free_text) for item in check(data, metadata, FIELDS)]


def test_an_event_that_keeps_to_its_list_has_no_findings() -> None:
    """Declared fields of their types, and the metadata of every event."""
    metadata = {"created": 1, "email_sent": 1, "webhook_id": "550e8400-e29b-41d4-a716-446655440000"}

    assert found(GOOD, metadata) == []
    assert found({}, None) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"extra": 1}, [("unknown_field", "data.*", False)]),
        ({"match": {"extra": 1}}, [("unknown_field", "data.match.*", False)]),
        ({"players": [{"id": 1}, {"extra": 1}]}, [("unknown_field", "data.players[1].*", False)]),
        ({"tournament_id": "101"}, [("wrong_type", "data.tournament_id", False)]),
        ({"tournament_id": None}, [("wrong_type", "data.tournament_id", False)]),
        ({"state": "paused"}, [("wrong_type", "data.state", False)]),
        ({"match": 1}, [("wrong_type", "data.match", False)]),
        ({"match": [{"score": "1"}]}, [("wrong_type", "data.match", False)]),
        ({"players": {"id": 1}}, [("wrong_type", "data.players", False)]),
        ({"player_ids": 1}, [("wrong_type", "data.player_ids", False)]),
        ({"player_ids": [1, "2"]}, [("wrong_type", "data.player_ids[1]", False)]),
        ({"player_ids": [[1]]}, [("wrong_type", "data.player_ids[0]", False)]),
        ({"note": 7}, [("wrong_type", "data.note", False)]),
    ],
)
def test_what_is_not_declared_is_a_finding_but_not_personal(
    data: dict[str, object], expected: object
) -> None:
    """It blocks the delivery and holds the stage; it does not roll back."""
    assert found(data) == expected
    assert not any(item.is_pii or item.trips_rollout for item in check(data, None, FIELDS))


@pytest.mark.parametrize(
    ("data", "first"),
    [
        ({"tournament_id": "a@b.co"}, ("address", "data.tournament_id", False)),
        ({"extra": "@bob"}, ("handle", "data.*", False)),
        ({"extra": {"deep": [1, {"x": "10.0.0.1"}]}}, ("network", "data.*.*[1].*", False)),
        ({"players": [{"id": "+15551234567"}]}, ("phone", "data.players[0].id", False)),
        ({"email": 1}, ("key", "data.*", False)),
        ({"match": {"user_name": "x"}}, ("key", "data.match.*", False)),
        ({"a@b.co": 1}, ("address", "data.*", False)),
        ({"extra": {"a@b.co": 1}}, ("address", "data.*.*", False)),
        ({"state": json.dumps({"who": "\u0061@b.co"})}, ("address", "data.state", False)),
        ({"note": "mail a@b.co"}, ("address", "data.note", True)),
        ({"match": {"score": "@bob"}}, ("handle", "data.match.score", True)),
        ({"note": '{"email": 5}'}, ("key", "data.note.*", True)),
        ({"note": '[1, {"x": "\\u0040bob"}]'}, ("handle", "data.note[1].*", True)),
        ({"note": ' "a\\u0040b.co"'}, ("address", "data.note", True)),
        ({"note": '\u200b{"x": "a\\u0040b.co"}'}, ("address", "data.note.*", True)),
        ({"note": '\ufeff ["a\\u0040b.co"]'}, ("address", "data.note[0]", True)),
        ({"note": '{"x": "a\\u0040b.co"} .'}, ("address", "data.note.*", True)),
        ({"note": '{"n": 1' + "0" * 5000 + ', "x": "a\\u0040b.co"}'}, ("address", "data.note.*", True)),
    ],
)
def test_personal_data_are_found_wherever_they_stand(data: dict[str, object], first: object) -> None:
    """Values, keys, lists, undeclared places, JSON inside text: and they are told first."""
    assert found(data)[0] == first


def test_json_inside_text_is_opened_once() -> None:
    """Once: a text inside the text is searched, not opened again."""
    once = json.dumps({"a": "\u0040bob"}).replace("@", "\\u0040")
    twice = json.dumps({"b": once})

    assert found({"note": once})[0] == ("handle", "data.note.*", True)
    assert found({"note": twice}) == []


@pytest.mark.parametrize("text", ["{not json", "[1, 2", '"', "[" * 100_000, "{}", "[]", '""', "null"])
def test_text_that_is_no_json_or_too_deep_is_searched_as_text(text: str) -> None:
    """No error escapes, and nothing is found where nothing is."""
    assert found({"note": text}) == []


def test_metadata_have_paths_of_their_own() -> None:
    """And keys that the runbook's grep looks for are not shown, declared or not."""
    assert found({}, {"created": "x"}) == [("wrong_type", "metadata.created", False)]
    assert found({}, {"email_sent": "a@b.co"}) == [
        ("address", "metadata.*", False),
        ("wrong_type", "metadata.*", False),
    ]
    assert found({}, {"email_total": -1}) == [("wrong_type", "metadata.*", False)]
    assert found({}, {"other": 1}) == [("unknown_field", "metadata.*", False)]


def test_an_event_without_a_list_has_only_unknown_fields() -> None:
    """Nothing is sent of an event whose fields nobody has declared."""
    assert check({"a": 1, "b": 2}, {"created": 1}, None) == (Finding(kind=Kind.UNKNOWN_FIELD, path="data.*"),)
    assert check({}, {}, None) == ()


def test_what_trips_the_rollout_is_personal_data_that_no_user_wrote() -> None:
    """Nobody outside may hold a rollback button."""
    wrote, leaked = check({"note": "@bob"}, None, FIELDS)[0], check({"state": "@bob"}, None, FIELDS)[0]

    assert (wrote.is_pii, wrote.trips_rollout) == (True, False)
    assert (leaked.is_pii, leaked.trips_rollout) == (True, True)


def test_no_finding_holds_a_value_or_an_unlisted_key() -> None:
    """The place and the kind are enough to look it up."""
    data: dict[str, object] = {"secret_field": "alice@example.com", "bob@example.com": {"carol": "@dave"}}

    shown = repr(check(data, {"eve": "+15551234567"}, FIELDS))

    assert not any(
        word in shown for word in ["alice", "bob", "carol", "dave", "eve", "555", "secret_field", "@"]
    )


def test_personal_data_behind_many_unknown_fields_are_still_found() -> None:
    """Each kind of finding has a bound of its own."""
    data: dict[str, object] = {"players": [{"x": 1}] * 300, "note": "@bob"}

    findings = check(data, None, FIELDS)

    assert findings[0] == Finding(kind=Kind.HANDLE, path="data.note", in_free_text=True)
    assert len(findings) == 1 + MAX_FINDINGS


def test_values_deeper_than_an_envelope_can_be_are_not_followed() -> None:
    """`seal` refuses them; here they end the walk with a finding."""
    deep: object = "@bob"
    for _ in range(70):
        deep = [deep]
    in_mappings: dict[str, object] = {}
    in_mappings["again"] = in_mappings

    assert found({"extra": deep})[-1][0] == "wrong_type"
    assert found(in_mappings)[-1][0] in ("wrong_type", "unknown_field")
    nested = EventFields.parse({".".join("a" * 70): "integer"})
    value: object = 1
    for _ in range(70):
        value = {"a": value}
    assert check(value, None, nested)[0].kind is Kind.WRONG_TYPE  # type: ignore[arg-type]


def test_scanning_any_value_tells_personal_data_only() -> None:
    """For artifacts and tests: no allow-list, keys as `*`; keys that are no text are passed over."""
    value = {"event": "x", "data": {"a": ["ok", "a@b.co"], 5: 5}, "email": None}

    assert scan(value, path="body") == (
        Finding(kind=Kind.ADDRESS, path="body.*.*[1]"),
        Finding(kind=Kind.KEY, path="body.*"),
    )
    assert scan("@bob") == (Finding(kind=Kind.HANDLE, path="data"),)
    assert scan([1, 2.5, None, True, b"@bob"]) == ()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("data.tournament_id", "data.tournament_id"),
        ("data.players[3].id", "data.players[3].id"),
        ("data.players[3].zoe_almeida", "data.players[3].*"),
        ("data.zoe_almeida[0][1].x", "data.*[0][1].*"),
        ("data.state.open", "data.state.*"),
        ("metadata.email_total", "metadata.*"),
        ("metadata.created", "metadata.created"),
        ("data", "data"),
        ("event", "event"),
        ("body", "body"),
    ],
)
def test_a_path_shows_the_keys_that_the_allow_list_has(path: str, shown: str) -> None:
    """An unlisted key may be somebody's name: `*`; and so is one that the runbook's search would find."""
    assert shown_path(path, FIELDS) == shown


def test_without_an_allow_list_a_path_shows_no_key_of_data() -> None:
    """Only what every event's metadata may hold."""
    assert shown_path("data.a[1].b", None) == "data.*[1].*"
    assert shown_path("metadata.webhook_id", None) == "metadata.webhook_id"
