"""Write the golden vectors of algorithm `r1` to `r1.csv`, by hashlib alone: nothing of the package is
imported.

Run it only to add rows: `python tests/vectors/make_r1.py --check` says whether the rows that are there
still come out, and without `--check` new rows are appended. A row that is there is never edited and never
removed: someone may have computed the same bucket in SQL or in Go.
"""

from __future__ import annotations

import csv
import hashlib
import random
import sys
import uuid
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path

FILE = Path(__file__).with_name("r1.csv")
HEADER = (
    "# Golden vectors of bucketing algorithm r1: never edited, only added to.",
    "# position = first 16 hex digits of SHA-256(salt ':' unit in UTF-8); turns_on_at = the smallest",
    "# percentage at which the unit is in, rounded up to 4 places. Made by make_r1.py.",
)
COLUMNS = ("salt", "unit_kind", "unit", "position", "turns_on_at")

SALTS = (
    "tournament-webhooks",
    "tournament-webhooks-2",
    "tournament.webhooks",
    "Tournament_Webhooks",
    "a",
    "0",
    "x" * 64,
)
EDGES = (
    0,
    1,
    -1,
    7,
    42,
    99,
    100,
    101,
    456,
    -101,
    2**31 - 1,
    2**31,
    -(2**31),
    2**63 - 1,
    2**63,
    -(2**63),
    2**64,
)
HUGE = (2**128 - 1, 10**40, -(10**40), 10**200)
TEXTS = (
    *(
        "a",
        "A",
        "101a",
        " 101",
        "101 ",
        "0101",
        "+101",
        "1e2",
        "None",
        "True",
        "0x65",
        "101:1",
        ":",
        "::",
        "a:b",
    ),
    *(
        "Zürich",
        "Zu\u0308rich",
        "ångström",
        "naïve-café",
        "Ωmega",
        "Привет",
        "שלום",
        "مرحبا",
        "नमस्ते",
        "こんにちは",
    ),
    *(
        "你好",
        "안녕하세요",
        "🏆",
        "🏆🏆",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "é",
        "ß",
        "ẞ",
        "ﬁ",
        "İ",
        "ı",
        "\u00a0",
        "\u200b",
        "\ufeff101",
    ),
    *(
        "quote'single",
        'quote"double',
        "comma,inside",
        "semi;colon",
        "back\\slash",
        "per%cent",
        "$HOME",
        "`tick`",
    ),
)


def units(source: random.Random) -> Iterator[tuple[str, str]]:
    for number in (*EDGES, *HUGE):
        yield "integer", str(number)
    for _ in range(60):
        yield "integer", str(source.randrange(10**6))
    for _ in range(50):
        yield "uuid", str(uuid.UUID(int=source.getrandbits(128), version=4))
    for text in TEXTS:
        yield "text", text


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    source = random.Random(101)
    for salt in SALTS:
        for kind, unit in units(source):
            position = hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()[:16]
            steps = ceil(Fraction(int(position, 16) + 1, 2**64) * 1_000_000)
            yield salt, kind, unit, position, f"{steps // 10_000}.{steps % 10_000:04d}"


def present() -> list[tuple[str, ...]]:
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    return [tuple(row) for row in csv.reader(lines)][1:]


def main() -> int:
    wanted, there = list(rows()), present()
    if wanted[: len(there)] != there:
        print("r1.csv does not begin with what comes out here: a golden vector was changed", file=sys.stderr)
        return 1
    if "--check" not in sys.argv:
        with FILE.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not there:
                file.write("\n".join(HEADER) + "\n")
                writer.writerow(COLUMNS)
            writer.writerows(wanted[len(there) :])
    print(f"{len(wanted)} rows, {len(there)} of them there before")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
