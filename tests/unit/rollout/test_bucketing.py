"""Algorithm r1: the golden vectors, the edges, and the comparison of bytes."""

from __future__ import annotations

import csv
import hashlib
import runpy
from decimal import Decimal
from pathlib import Path

import pytest

from rollout import bucketing
from rollout.bucketing import ALGORITHMS, SHORT, SHORT_BYTES, is_in, limit, position, prefix
from rollout.context import unit_text
from rollout.decision import Decision, Reason
from rollout.percentage import Percentage

VECTORS = Path(__file__).parents[2] / "vectors" / "r1.csv"


def rows() -> list[dict[str, str]]:
    """Read every golden vector."""
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_every_golden_vector_comes_out() -> None:
    """The contract §2: published, never changed. At least 1,000 of them, of every kind."""
    table = rows()

    wrong = [row for row in table if f"{position(row['salt'], row['unit']):016x}" != row["position"]]

    assert wrong == []
    assert len(table) >= 1000
    assert {row["unit_kind"] for row in table} == {"integer", "uuid", "text"}
    assert any(not row["unit"].isascii() for row in table)


def test_integers_and_their_text_stand_at_one_place() -> None:
    """A golden vector of an integer holds for the int and for the text."""
    integers = [row for row in rows() if row["unit_kind"] == "integer"]

    for row in integers:
        assert unit_text(int(row["unit"]), flag="x") == row["unit"]


def test_turns_on_at_of_every_vector() -> None:
    """The published percentage turns the unit on, and a step of 0.0001 less does not."""
    for row in rows():
        place = int(row["position"], 16)
        at = Decimal(row["turns_on_at"])
        decision = Decision("x", False, "off", Reason.SPLIT, None, "", row["unit"], place, None, 0)

        assert decision.turns_on_at == at
        assert is_in(place, Percentage.parse(at).threshold)
        assert not is_in(place, Percentage.parse(at - Decimal("0.0001")).threshold)


def test_the_vectors_are_what_their_script_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """make_r1.py imports nothing of the package, and begins with the rows that are there."""
    script = VECTORS.with_name("make_r1.py")

    made = list(runpy.run_path(str(script))["rows"]())
    there = [tuple(row.values()) for row in rows()]

    assert made[: len(there)] == there
    assert "import rollout" not in script.read_text() and "from rollout" not in script.read_text()


def test_nobody_and_everybody_are_by_rule() -> None:
    """0 lets the lowest position out, 100 lets the highest in."""
    assert not is_in(0, Percentage.NOBODY.threshold)
    assert is_in(2**64 - 1, Percentage.EVERYBODY.threshold)


@pytest.mark.parametrize("threshold", [0, 1, 255, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64])
@pytest.mark.parametrize("tail", [b"\x00", b"\xff"], ids=["lowest tail", "highest tail"])
def test_comparing_bytes_is_comparing_positions(threshold: int, tail: bytes) -> None:
    """A digest is below the limit exactly when its first 8 bytes are below the threshold."""
    near = {0, 1, 2**64 - 1, *(threshold + step for step in (-1, 0, 1))}

    for place in (place for place in near if 0 <= place < 2**64):
        digest = place.to_bytes(8, "big") + tail * 24
        assert (digest < limit(threshold)) is is_in(place, threshold)


def test_sixteen_hex_digits_compare_as_text_like_the_numbers() -> None:
    """What makes the bucket computable in SQL and in a shell."""
    threshold = Percentage.parse("12.5").threshold

    for row in rows():
        as_text = row["position"] < f"{threshold:016x}"
        assert as_text is is_in(int(row["position"], 16), threshold)


def test_what_is_hashed_is_salt_colon_unit() -> None:
    """SHA-256 of "{salt}:{unit}" in UTF-8, its first 8 bytes."""
    digest = hashlib.sha256("webhooks:Zürich".encode()).digest()

    assert position("webhooks", "Zürich") == int.from_bytes(digest[:8], "big")
    assert prefix("webhooks") == b"webhooks:"


def test_r1_is_the_only_algorithm() -> None:
    """Another one gets another name, a page and vectors of its own."""
    assert list(ALGORITHMS) == ["r1"]
    with pytest.raises(TypeError):
        ALGORITHMS["r1"] = hashlib.md5  # type: ignore[index]


def test_the_short_hash_is_the_same_hash() -> None:
    """What is quicker for one block deals nobody again, in one block and beyond it."""
    datas = [b"\xc3\xbc" * 200 + b":17", *(b"x" * length for length in range(3 * SHORT_BYTES))]

    assert set(SHORT) == set(ALGORITHMS)
    for name, hashed in SHORT.items():
        assert [hashed(data).digest() for data in datas] == [
            ALGORITHMS[name](data).digest() for data in datas
        ]


def test_a_build_without_the_short_hash_takes_the_one_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPython may be built without hashes of its own, as for FIPS."""

    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(bucketing, "import_module", missing)

    assert bucketing._short_sha256() is hashlib.sha256
