"""The blocks of docs/explanation/bucketing.md compute the golden vectors in other languages."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from rollout.bucketing import is_in
from rollout.percentage import Percentage

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "bucketing.md").read_text(encoding="utf-8")
POSTGRES = os.environ.get("ROLLOUT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
SALT = "tournament-webhooks"
#: The threshold of the page's queries.
FIVE = "0ccccccccccccccc"


class Vector(NamedTuple):
    """A golden vector, and whether it is in at 5 %."""

    salt: str
    unit: str
    position: str
    is_in: bool


def block(language: str, *, number: int = 0) -> str:
    """Return a code block of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[number]


def vectors() -> dict[str, list[Vector]]:
    """Return the golden vectors by salt."""
    threshold = Percentage.parse(5).threshold
    found: dict[str, list[Vector]] = {}
    with (ROOT / "tests" / "vectors" / "r1.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            inside = is_in(int(row["position"], 16), threshold)
            vector = Vector(row["salt"], row["unit"], row["position"], inside)
            found.setdefault(vector.salt, []).append(vector)
    return found


def as_rows(several: list[Vector]) -> list[tuple[str, str, bool]]:
    """Return what the page's queries answer for these vectors."""
    return sorted((vector.unit, vector.position, vector.is_in) for vector in several)


def test_the_thresholds_of_the_page_are_right() -> None:
    """The table of stages, and the one that the queries use."""
    table = dict(re.findall(r"^\| (\d+) \| `([0-9a-f]{16})` \|$", PAGE, re.MULTILINE))

    assert table == {text: f"{Percentage.parse(text).threshold:016x}" for text in ("5", "25", "50")}
    assert table["5"] == FIVE
    assert any(vector.is_in for several in vectors().values() for vector in several)


@pytest.mark.postgres
def test_postgresql_computes_the_golden_vectors() -> None:
    """Every vector of every salt, by the query of the page."""
    connection = psycopg.connect(POSTGRES, connect_timeout=5)

    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE units (unit text)")
        for salt, several in vectors().items():
            cursor.execute("TRUNCATE units")
            cursor.executemany("INSERT INTO units VALUES (%s)", [(vector.unit,) for vector in several])
            cursor.execute(block("sql").replace(SALT, salt))
            assert sorted(cursor.fetchall()) == as_rows(several)
        connection.rollback()
    connection.close()


def test_sqlite_computes_the_golden_vectors() -> None:
    """With the function that the page lends it, and by the query of the page."""
    namespace: dict[str, object] = {}
    exec(compile(block("python", number=1), "bucketing.md", "exec"), namespace)
    database = namespace["database"]
    assert isinstance(database, sqlite3.Connection)

    database.execute("CREATE TABLE units (unit text)")
    for salt, several in vectors().items():
        database.execute("DELETE FROM units")
        database.executemany("INSERT INTO units VALUES (?)", [(vector.unit,) for vector in several])
        rows = database.execute(block("sql", number=1).replace(SALT, salt)).fetchall()
        assert sorted((unit, position, bool(inside)) for unit, position, inside in rows) == as_rows(several)
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["sha256sum", "openssl dgst -sha256 -r"])
def test_a_shell_computes_golden_vectors(program: str, tmp_path: Path) -> None:
    """One in nine, each takes three processes; by both programs that the page names."""
    if shutil.which(program.split()[0]) is None:
        pytest.skip(f"no {program.split()[0]}")
    chosen = [vector for several in vectors().values() for vector in several][::9]
    (tmp_path / "units").write_text("".join(f"{vector.salt}\n{vector.unit}\n" for vector in chosen))
    loop = (
        "while IFS= read -r salt && IFS= read -r unit; do\n"
        f'  if is_in "$salt" "$unit" {FIVE}; then answer=in; else answer=out; fi\n'
        '  printf "%s %s\\n" "$(position "$salt" "$unit")" "$answer"\n'
        "done < units\n"
    )
    script = block("sh").replace("sha256sum", program) + loop

    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    wanted = [f"{vector.position} {'in' if vector.is_in else 'out'}" for vector in chosen]
    assert done.stdout.splitlines() == wanted


@pytest.mark.node
def test_javascript_computes_the_golden_vectors() -> None:
    """Every vector, by the functions of the page."""
    every = [vector for several in vectors().values() for vector in several]
    harness = (
        'const rows = JSON.parse(require("node:fs").readFileSync(0, "utf8"));\n'
        f'const answer = ([salt, unit]) => [position(salt, unit), isIn(salt, unit, "{FIVE}")];\n'
        "console.log(JSON.stringify(rows.map(answer)));\n"
    )

    done = subprocess.run(
        ["node", "-e", block("js") + harness],
        input=json.dumps([[vector.salt, vector.unit] for vector in every]),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == [[vector.position, vector.is_in] for vector in every]
