"""Allow-lists: what may be declared, and which values a type allows."""

from __future__ import annotations

import pytest

from webhooks_core.allowlist import METADATA, EventFields, Field, FieldType
from webhooks_core.errors import ConfigError

UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("integer", [0, -5, 2**80], [True, 1.0, "1", None, [1]]),
        ("count", [0, 7], [-1, False, 1.5, "7", None]),
        ("boolean", [True, False], [0, 1, "true", None]),
        ("uuid", [UUID, UUID.upper()], [UUID[:-1], UUID + "\n", UUID.replace("-", ""), 5, None]),
        (
            "time",
            [
                "2025-11-13",
                "2025-11-13T14:30Z",
                "2025-11-13 14:30:00+06:00",
                "2025-11-13T14:30:00.123456+0600",
                0,
                1763000000123,
            ],
            ["13.11.2025", "2025-11-13T14:30:00", "2025-11-13T14:30:00Z\n", "14:30", "", -1, True, 1.5, None],
        ),
        ("text", ["", "anything", "a@b.co"], [1, None, True, ["x"]]),
    ],
)
def test_a_type_allows_its_values_and_no_others(type_: str, good: list[object], bad: list[object]) -> None:
    """Strict: a number as text is no number, a truth value is no number."""
    field = EventFields.parse({"v": type_}).data["v"]

    assert [value for value in good if not field.allows(value)] == []
    assert [value for value in bad if field.allows(value)] == []


def test_an_enum_allows_its_choices_only() -> None:
    """Exactly as written."""
    field = EventFields.parse({"v": {"enum": ["open", "closed"]}}).data["v"]

    assert [value for value in ["open", "closed", "Open", "", None, 1, True] if field.allows(value)] == [
        "open",
        "closed",
    ]


@pytest.mark.parametrize(
    "declaration", ["integer?", "uuid?", "time?", "count?", "boolean?", "text?", {"enum": ["a", None]}]
)
def test_null_is_allowed_only_where_it_is_declared(declaration: object) -> None:
    """A question mark behind the type, or None among the choices."""
    assert EventFields.parse({"v": declaration}).data["v"].allows(None)


def test_names_are_paths() -> None:
    """Dots go down, brackets are lists, `metadata.` is the other half; `data.` may be said or left out."""
    fields = EventFields.parse(
        {
            "tournament_id": "integer",
            "data.match.id": "integer",
            "match.players[].id": "uuid",
            "tags[]": {"enum": ["a"]},
            "metadata.attempted": "count",
            "metadata": "boolean",
        }
    )

    assert fields.data["tournament_id"] == Field(type=FieldType.INTEGER)
    assert fields.data["match"].inner == {
        "id": Field(type=FieldType.INTEGER),
        "players": Field(inner={"id": Field(type=FieldType.UUID)}, is_list=True),
    }
    assert fields.data["tags"] == Field(type=FieldType.ENUM, choices=frozenset({"a"}), is_list=True)
    assert fields.data["tags"].single() == Field(type=FieldType.ENUM, choices=frozenset({"a"}))
    assert fields.data["metadata"].type is FieldType.BOOLEAN
    assert fields.metadata == {**METADATA, "attempted": Field(type=FieldType.COUNT)}


def test_the_metadata_of_the_contract_are_declared_for_every_event() -> None:
    """`created`, `email_sent` and the id."""
    assert {name: field.type for name, field in EventFields.parse({}).metadata.items()} == {
        "created": FieldType.COUNT,
        "email_sent": FieldType.COUNT,
        "webhook_id": FieldType.UUID,
    }


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ([], "a mapping of names and types is wanted, not list"),
        ({1: "integer"}, "the name of a field is text, not int"),
        ({"a": "int"}, "one of integer, uuid, time, count, boolean, text"),
        ({"a": "enum"}, "one of integer"),
        ({"a": "integer??"}, "one of integer"),
        ({"a": None}, "one of integer"),
        ({"a": {"enum": ["x"], "or": 1}}, "one of integer"),
        ({"a": {"enum": []}}, "at least one text"),
        ({"a": {"enum": "abc"}}, "at least one text"),
        ({"a": {"enum": [1]}}, "texts without personal data"),
        ({"a": {"enum": ["ok", "bob@example.org"]}}, "texts without personal data"),
        ({"": "integer"}, "a name is letters"),
        ({"a..b": "integer"}, "a name is letters"),
        ({"data.": "integer"}, "a name is letters"),
        ({"a[].b[0]": "integer"}, "a name is letters"),
        ({"bob@example.org": "integer"}, "a name is letters"),
        ({"email": "text"}, "email is the name of personal data"),
        ({"match.ipAddress": "text"}, "ipAddress is the name of personal data"),
        ({"name.id": "integer"}, "name is the name of personal data"),
        ({"a": "integer", "a.b": "integer"}, "a is declared as something else already"),
        ({"a.b": "integer", "a": "integer"}, "declared twice"),
        ({"a.b": "integer", "a[].c": "integer"}, "declared as something else"),
        ({"a": "integer", "data.a": "integer"}, "declared twice"),
        ({"metadata.created": "count"}, "declared twice"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(declared: object, problem: str) -> None:
    """The error names the setting and what is allowed."""
    with pytest.raises(ConfigError, match=problem) as raised:
        EventFields.parse(declared, path='WEBHOOKS["EVENTS"]["x"]')  # type: ignore[arg-type]

    assert raised.value.path.startswith('WEBHOOKS["EVENTS"]["x"]')
