"""Property: algorithm r1 deals every unit once, exactly, and the same everywhere (the contract §2)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from statistics import NormalDist
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rollout.bucketing import is_in, limit, position
from rollout.context import unit_text
from rollout.errors import RolloutError
from rollout.percentage import Percentage

TOP = 2**64
SALTS = st.text("ABCXYZabcxyz0123456789._-", min_size=1, max_size=40)
UNITS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
POSITIONS = st.integers(0, TOP - 1)


def percentages(digits: int = 20) -> st.SearchStrategy[str]:
    """Texts of exact percentages, 0 to 100, at most *digits* after the point."""
    fractions = st.text("0123456789", min_size=1, max_size=digits)
    below = st.builds("{}.{}".format, st.integers(0, 99), fractions)
    return st.one_of(
        below, st.integers(0, 100).map(str), st.builds("100.{}".format, st.sampled_from(["0", "00"]))
    )


def reference(salt: str, unit: str) -> int:
    """The contract's own words: the first 8 bytes of SHA-256("{salt}:{unit}"), big-endian."""
    return int(hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()[:16], 16)


@given(SALTS, UNITS)
@example("tournament-webhooks", "101")
@example("s", ":")
@example("s:", "x")
def test_a_position_is_the_first_eight_bytes_of_the_digest(salt: str, unit: str) -> None:
    """`position` equals the contract's sentence about r1, for any salt and any unit text (§2)."""
    assert position(salt, unit) == reference(salt, unit)


def test_positions_are_the_same_in_every_process_and_under_every_hash_seed() -> None:
    """Three interpreters with three PYTHONHASHSEEDs deal the same units to the same places (§2)."""
    program = (
        "from rollout.bucketing import position\n"
        "from rollout.context import unit_text\n"
        "from rollout.percentage import Percentage\n"
        "import uuid\n"
        "units = [0, 101, -7, 10**30, '101', 'größe', '\\u6771\\u4eac', '\\U0001f3c6', uuid.UUID(int=5)]\n"
        "names = ['tournament-webhooks', 'a', 'A.b_c-9']\n"
        "print([position(n, unit_text(u, flag='f')) for n in names for u in units])\n"
        "shares = ['0', '5', '12.5', '33.33333333333333333333', '100']\n"
        "print([Percentage.parse(share).threshold for share in shares])\n"
    )
    answers = set()
    for seed in ("0", "1", "4294967295"):
        environment = dict(os.environ, PYTHONHASHSEED=seed)
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        answers.add(run.stdout)

    assert len(answers) == 1
    first = answers.pop().splitlines()[0]
    assert first.startswith(
        f"[{reference('tournament-webhooks', '0')}, {reference('tournament-webhooks', '101')}, "
    )


@given(POSITIONS, percentages(), percentages())
def test_raising_a_percentage_only_adds_units(place: int, one: str, other: str) -> None:
    """For any two percentages whoever is in at the lower is in at the higher (§2, monotone)."""
    low, high = sorted((Percentage.parse(one), Percentage.parse(other)), key=lambda p: p.value)

    assert low.threshold <= high.threshold
    assert not is_in(place, low.threshold) or is_in(place, high.threshold)


@given(SALTS, UNITS)
def test_zero_is_nobody_and_a_hundred_is_everybody(salt: str, unit: str) -> None:
    """0 and 100 hold by rule, for every unit and both ends of the range of positions (§2)."""
    nobody, everybody = Percentage.parse("0").threshold, Percentage.parse("100").threshold

    assert (nobody, everybody) == (0, TOP)
    for place in (position(salt, unit), 0, TOP - 1):
        assert is_in(place, nobody) is False
        assert is_in(place, everybody) is True


@given(percentages())
@example("0.00000000000000000001")
@example("99.99999999999999999999")
@example("33.33333333333333333333")
@example("5")
def test_a_threshold_is_exact_to_the_last_bit(text: str) -> None:
    """T = floor(p · 2^64 / 100) by rational arithmetic, up to 20 digits after the point (§2)."""
    exact = Fraction(text) * TOP / 100

    assert Percentage.parse(text).threshold == exact.numerator // exact.denominator
    assert Percentage.parse(Decimal(text)).threshold == exact.numerator // exact.denominator


@given(percentages(), POSITIONS)
def test_a_unit_is_in_exactly_below_its_threshold(text: str, place: int) -> None:
    """In means strictly less than T: T − 1 is in, T is out (§2)."""
    threshold = Percentage.parse(text).threshold

    assert is_in(place, threshold) is (place < threshold)
    if 0 < threshold < TOP:
        assert is_in(threshold - 1, threshold) is True
        assert is_in(threshold, threshold) is False


@given(percentages())
def test_percentages_keep_their_value_and_order(text: str) -> None:
    """Parse ∘ str is the identity and no binary float is inside (§2)."""
    percentage = Percentage.parse(text)

    assert percentage.value == Decimal(text)
    assert Percentage.parse(str(percentage)) == percentage
    assert Fraction(str(percentage)) == Fraction(text)


@given(st.integers(0, 99), st.integers(21, 40))
def test_more_than_twenty_digits_are_refused(whole: int, digits: int) -> None:
    """A percentage has at most 20 digits after the point; the 21st is refused, not rounded (§2)."""
    text = f"{whole}.{'3' * digits}"
    for value in (text, Decimal(text)):
        with pytest.raises(RolloutError):
            Percentage.parse(value)


@given(st.integers(-(10**40), 10**40))
def test_a_number_and_its_digits_are_one_unit(number: int) -> None:
    """`101` ≡ "101", for any whole number (§2)."""
    assert unit_text(number, flag="f") == unit_text(str(number), flag="f") == str(number)


@given(st.uuids())
def test_a_uuid_is_its_canonical_text(value: UUID) -> None:
    """A UUID object and its lower-case text with dashes are one unit (§2)."""
    assert unit_text(value, flag="f") == unit_text(str(value), flag="f") == str(value)


@given(st.one_of(st.none(), st.booleans(), st.just(""), st.floats(), st.binary(), st.lists(st.integers())))
def test_what_is_no_unit_is_refused_with_our_error(value: object) -> None:
    """True, None, "", floats, bytes and containers are not units (§2)."""
    with pytest.raises(RolloutError):
        unit_text(value, flag="f")


@given(SALTS, UNITS, percentages())
def test_comparing_hex_text_gives_the_same_answer(salt: str, unit: str, text: str) -> None:
    """16 hex digits compared as text agree with the numbers, so SQL and a shell can compute it (§2)."""
    threshold = Percentage.parse(text).threshold
    assume(threshold < TOP)
    digest = hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()[:16]

    assert (digest < f"{threshold:016x}") is is_in(position(salt, unit), threshold)


@given(st.binary(min_size=24, max_size=24), POSITIONS, percentages(), st.sampled_from([-1, 0, 1]))
def test_comparing_bytes_gives_the_same_answer(rest: bytes, place: int, text: str, off: int) -> None:
    """The hot path compares digest bytes: the same answer as numbers, at the threshold's edge too (§2)."""
    threshold = Percentage.parse(text).threshold
    for each in (place, min(max(threshold + off, 0), TOP - 1), 0, TOP - 1):
        digest = each.to_bytes(8, "big") + rest

        assert (digest < limit(threshold)) is is_in(each, threshold)


# ---- one million units on fixed salts: a fixed sample, so the verdict never changes from run to run ----

SIMILAR = (
    "tournament-webhooks",
    "tournament-webhook",
    "tournament-webhooks2",
    "tournament-webhooks-2",
    "tournament_webhooks",
    "Tournament-webhooks",
    "tournament-webhookt",
    "a",
    "b",
    "aa",
)
PER_SALT = 100_000
ALPHA = 0.001


def critical(freedom: int, tests: int) -> float:
    """The chi-square value that chance exceeds with ALPHA in all *tests* together.

    Source: the approximation of Wilson and Hilferty, the correction of Bonferroni.
    """
    z = NormalDist().inv_cdf(1 - ALPHA / tests)
    return freedom * (1 - 2 / (9 * freedom) + z * (2 / (9 * freedom)) ** 0.5) ** 3


def chi_square(counts: Counter[object], cells: int, total: int) -> float:
    """Pearson's statistic against equal shares; a cell nobody fell into counts as well."""
    wanted = total / cells
    return sum((seen - wanted) ** 2 for seen in counts.values()) / wanted + (cells - len(counts)) * wanted


def unit_of(number: int) -> str:
    """Ids as they occur: running numbers, numbers with a name, UUID texts."""
    kind = number % 3
    if kind == 0:
        return str(number)
    return f"tournament-{number}" if kind == 1 else str(UUID(int=number))


@pytest.fixture(scope="module")
def dealt() -> dict[str, list[int]]:
    """A million positions: 100,000 units under each of ten salts, similar names among them."""
    units = [unit_of(number) for number in range(PER_SALT)]
    return {salt: [position(salt, unit) for unit in units] for salt in SIMILAR}


@pytest.mark.slow
def test_a_million_units_are_dealt_evenly(dealt: dict[str, list[int]]) -> None:
    """Uniform in 100 cells under each fixed salt, and in the lowest byte too (§2; corrected for 20 tests)."""
    for salt, places in dealt.items():
        high = Counter[object](place * 100 >> 64 for place in places)
        low = Counter[object](place & 255 for place in places)

        assert chi_square(high, 100, PER_SALT) < critical(99, 2 * len(SIMILAR)), salt
        assert chi_square(low, 256, PER_SALT) < critical(255, 2 * len(SIMILAR)), salt


@pytest.mark.slow
def test_similar_salts_deal_independently(dealt: dict[str, list[int]]) -> None:
    """Each pair of salts fills a 10 × 10 table evenly, however alike the names (§2; for 45 pairs)."""
    tenths = {salt: [place * 10 >> 64 for place in places] for salt, places in dealt.items()}
    pairs = list(combinations(SIMILAR, 2))
    for one, other in pairs:
        counts = Counter[object](zip(tenths[one], tenths[other], strict=True))

        assert chi_square(counts, 100, PER_SALT) < critical(99, len(pairs)), (one, other)


@pytest.mark.slow
def test_neighbouring_ids_are_dealt_independently(dealt: dict[str, list[int]]) -> None:
    """The next id's place says nothing about this one's (§2; corrected for the ten salts)."""
    for salt, places in dealt.items():
        tenths = [place * 10 >> 64 for place in places]
        counts = Counter[object](zip(tenths[::2], tenths[1::2], strict=True))

        assert chi_square(counts, 100, PER_SALT // 2) < critical(99, len(SIMILAR)), salt


@pytest.mark.slow
def test_each_percentage_takes_its_share_of_the_units(dealt: dict[str, list[int]]) -> None:
    """5, 25 and 50 % of a million ids are in, within five standard deviations (§2)."""
    places = [place for each in dealt.values() for place in each]
    for share in (5, 25, 50):
        threshold = Percentage.parse(str(share)).threshold
        inside = sum(1 for place in places if is_in(place, threshold))
        wanted, deviation = len(places) * share / 100, (len(places) * share * (100 - share)) ** 0.5 / 100

        assert abs(inside - wanted) < 5 * deviation
