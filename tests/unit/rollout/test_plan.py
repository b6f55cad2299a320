"""The plan: what is refused, by which path; what is canonical; what is warned of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rollout.criteria import Criteria
from rollout.errors import ConfigError
from rollout.freeze import FrozenHours
from rollout.percentage import NOBODY, Percentage
from rollout.plan import DEFAULT_STAGES, STAGING_STAGES, Plan, Stage
from rollout.plan_lint import lint
from rollout.plan_text import as_dict, canonical, parse_plan, plan_hash
from rollout.sources.syntax import read_json, read_toml
from tests.unit.rollout.rollout_world import FLAG, pct, plan_of


def stage(**values: object) -> dict[str, object]:
    """A stage as a person writes it."""
    return {"percentage": 5, "bake": "24h", **values}


def test_nothing_written_is_the_contracts_plan() -> None:
    """No data, an empty table and the template `default` are one plan."""
    plans = [parse_plan(FLAG), parse_plan(FLAG, {}), parse_plan(FLAG, {"template": "default"})]

    assert plans == [Plan(flag=FLAG)] * 3
    assert plans[0].stages == DEFAULT_STAGES


def test_the_template_staging_is_everybody_for_half_an_hour() -> None:
    """100 % for 30 minutes."""
    (only,) = parse_plan(FLAG, {"template": "staging"}).stages

    assert (only,) == STAGING_STAGES
    assert (str(only.percentage), only.bake_seconds) == ("100", 1_800)


def test_a_plan_is_read_from_toml_and_json_alike() -> None:
    """Files give exact decimals; thresholds become numbers."""
    toml = """
        freeze = [{ days = ["sat", "sun"] }]
        criteria = { success_go_on_percent = 97.5 }
        [[stages]]
        percentage = "2.5"
        bake = "90m"
        rate_per_second = 0.5
        [[stages]]
        percentage = 100
        approval = true
    """
    json = """{"freeze": [{"days": ["sun", "sat"], "from": "00:00", "to": "24:00"}],
        "criteria": {"success_go_on_percent": 97.50}, "stages": [
        {"percentage": 2.5, "bake": 5400, "rate_per_second": "0.50"},
        {"percentage": "100", "bake": 0, "approval": true, "shadow": false, "rate_per_second": null}]}"""

    one = parse_plan(FLAG, read_toml(toml, origin="plan.toml"))
    other = parse_plan(FLAG, read_json(json, origin="plan.json"))

    assert one == other
    assert plan_hash(one) == plan_hash(other)
    assert one.stages[0].rate_per_second == Decimal("0.5")
    assert one.criteria == Criteria(success_go_on_percent=97.5)


def test_what_was_written_comes_back() -> None:
    """`parse_plan(flag, as_dict(plan)) == plan`, and the hash is the canonical text's."""
    plan = plan_of(0, 5, 25, approval=(25,), freezes=(FrozenHours(days=("fri",), start_minute=960),))

    assert parse_plan(FLAG, as_dict(plan)) == plan
    assert canonical(plan).startswith('{"criteria":{')
    assert " " not in canonical(plan)
    assert len(plan_hash(plan)) == 64
    assert plan_hash(plan) != plan_hash(plan_of(0, 5, 25))


def test_the_hash_is_pinned() -> None:
    """A plan that was pinned by an older version must be recognised: this text and hash never change."""
    plan = Plan(flag=FLAG, stages=STAGING_STAGES)

    text = canonical(plan)

    assert text.endswith(
        '"flag":"tournament-webhooks","freeze":[],"stages":[{"approval":false,"bake":"30m",'
        '"percentage":"100","rate_per_second":null,"shadow":false}]}'
    )


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        ([], "plan", "table of keys and values, got list"),
        ({1: 2}, "plan", "a key must be text, got int"),
        ({"stage": []}, "plan", "nearest known: stages"),
        ({"zzzzz": []}, "plan", "known: template, stages, freeze, criteria"),
        ({"template": "prod"}, "plan.template", "one of default, staging"),
        ({"template": 1}, "plan.template", "must be text"),
        ({"template": "default", "stages": []}, "plan.template", "not both"),
        ({"stages": {}}, "plan.stages", "must be a list, got dict"),
        ({"stages": []}, "plan.stages", "1 to 50"),
        ({"stages": [stage()] * 51}, "plan.stages", "at most 50"),
        ({"stages": [5]}, "plan.stages[0]", "got int"),
        ({"stages": [{"bake": "1h"}]}, "plan.stages[0].percentage", "is missing"),
        ({"stages": [stage(percentage=5.0)]}, "plan.stages[0].percentage", "float is not exact"),
        ({"stages": [stage(percentage="101")]}, "plan.stages[0].percentage", "0 to 100"),
        ({"stages": [stage(percentage=0)]}, "plan.stages[0].percentage", "shadow = true"),
        ({"stages": [stage(shadow=True)]}, "plan.stages[0].shadow", "must be 0"),
        ({"stages": [stage(shadow=1)]}, "plan.stages[0].shadow", "true or false, got int"),
        ({"stages": [stage(approval="yes")]}, "plan.stages[0].approval", "true or false"),
        ({"stages": [stage(bake="1w")]}, "plan.stages[0].bake", "no length of time"),
        ({"stages": [stage(bake=1.5)]}, "plan.stages[0].bake", "got float"),
        ({"stages": [stage(bake=-1)]}, "plan.stages[0].bake", "less than nothing"),
        ({"stages": [stage(bake="367d")]}, "plan.stages[0].bake", "366 days"),
        ({"stages": [{"percentage": 5}, stage(percentage=6)]}, "plan.stages[0].bake", "only the last"),
        ({"stages": [stage(), stage()]}, "plan.stages[1].percentage", "5 is not above the 5"),
        ({"stages": [stage(), stage(percentage=1)]}, "plan.stages[1].percentage", "only go up"),
        ({"stages": [stage(rate_per_second=0.5)]}, "plan.stages[0].rate_per_second", "not exact"),
        ({"stages": [stage(rate_per_second="fast")]}, "plan.stages[0].rate_per_second", "is no rate"),
        ({"stages": [stage(rate_per_second=0)]}, "plan.stages[0].rate_per_second", "above 0"),
        ({"stages": [stage(rate_per_second=True)]}, "plan.stages[0].rate_per_second", "got bool"),
        ({"stages": [stage(rate_per_second=Decimal("NaN"))]}, "plan.stages[0].rate_per_second", "above 0"),
        ({"stages": [stage(rate_per_second=Decimal("1e-7"))]}, "plan.stages[0].rate_per_second", "6 digits"),
        ({"freeze": [{}]}, "plan.freeze[0].from", "is missing"),
        ({"freeze": [{"days": ["noday"]}]}, "plan.freeze[0].days", "mon, tue"),
        ({"freeze": [{"days": []}]}, "plan.freeze[0].days", "mon, tue"),
        ({"freeze": [{"days": ["mon", "mon"]}]}, "plan.freeze[0].days", "at most once"),
        ({"freeze": [{"days": ["mon"], "from": "24:00"}]}, "plan.freeze[0].from", "cannot begin at 24:00"),
        ({"freeze": [{"days": ["mon"], "from": "24:01"}]}, "plan.freeze[0].from", "time of the day"),
        ({"freeze": [{"days": ["mon"], "to": 5}]}, "plan.freeze[0].to", "must be text"),
        ({"freeze": [{"from": "soon", "to": "later"}]}, "plan.freeze[0].from", "moment in UTC"),
        ({"freeze": [{"from": "2026-12-20", "to": "later"}]}, "plan.freeze[0].from", "moment in UTC"),
        (
            {"freeze": [{"from": "2026-12-20T00:00+01:00", "to": "2027-01-01T00:00Z"}]},
            "plan.freeze[0].from",
            "moment in UTC",
        ),
        (
            {"freeze": [{"from": "9999-12-31T00:00Z", "to": "2027-01-01T00:00Z"}]},
            "plan.freeze[0].from",
            "years 1970 to 9998",
        ),
        (
            {"freeze": [{"from": "2027-01-01T00:00Z", "to": "2027-01-01T00:00Z"}]},
            "plan.freeze[0].to",
            "later than from",
        ),
        ({"criteria": 5}, "plan.criteria", "got int"),
        ({"criteria": {"success_go_on": 5}}, "plan.criteria", "success_go_on_percent"),
        ({"criteria": {"success_go_on_percent": 101}}, "plan.criteria.success_go_on_percent", "100"),
        ({"criteria": {"success_z": Decimal("Infinity")}}, "plan.criteria.success_z", "finite"),
        ({"criteria": {"minute_needs": 10**400}}, "plan.criteria.minute_needs", "finite"),
        ({"criteria": {"leave_out": ("nonsense",)}}, "plan.criteria.leave_out", "latency"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data: Any, path: str, words: str) -> None:
    """The path of the value, and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_plan(FLAG, data)

    assert caught.value.path == path
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("build", "path"),
    [
        (lambda: Plan(flag="no spaces please"), "key"),  # type: ignore[arg-type]
        (lambda: Plan(flag=FLAG, stages=5), "stages"),  # type: ignore[arg-type]
        (lambda: Plan(flag=FLAG, stages="ab"), "stages"),  # type: ignore[arg-type]
        (lambda: Plan(flag=FLAG, stages=(5,)), "stages"),  # type: ignore[arg-type]
        (lambda: Plan(flag=FLAG, freezes=(5,)), "freeze"),  # type: ignore[arg-type]
        (lambda: Plan(flag=FLAG, criteria={}), "criteria"),  # type: ignore[arg-type]
        (lambda: Stage(percentage=5, bake_seconds=1), "percentage"),  # type: ignore[arg-type]
        (lambda: Stage(percentage=pct(5), bake_seconds=1.0), "bake"),  # type: ignore[arg-type]
        (lambda: Stage(percentage=pct(5), bake_seconds=1, rate_per_second=5), "rate_per_second"),  # type: ignore[arg-type]
        (lambda: Stage(percentage=pct(5), bake_seconds=1, approval="yes"), "approval"),  # type: ignore[arg-type]
    ],
)
def test_a_value_in_memory_is_checked_as_well(build: Any, path: str) -> None:
    """No plan that exists is an invalid one, however it was made."""
    with pytest.raises(ConfigError) as caught:
        build()

    assert caught.value.path == path


def test_a_ceiling_finds_its_stage() -> None:
    """The first stage that reaches it; above the plan, the last one."""
    plan = plan_of(5, 25, 50)

    found = [plan.stage_of(pct(each)) for each in (0, 5, 6, 25, 50, 100)]
    above = [plan.stage_above(each) for each in (None, NOBODY, pct(5), pct(6), pct(50))]

    assert found == [0, 0, 1, 1, 2, 2]
    assert above == [0, 0, 1, 1, None]


def concerns(plan: Plan, **known: Any) -> list[str]:
    """What looks wrong, as text."""
    return [str(each) for each in lint(plan, **known)]


def test_the_default_plan_looks_well() -> None:
    """Nothing to say where nothing is known, and with 10,000 units and 100 deliveries a minute."""
    assert concerns(Plan(flag=FLAG)) == []
    assert concerns(Plan(flag=FLAG), units=10_000, deliveries_per_minute=100) == []


def test_an_empty_and_a_tiny_cohort_are_said() -> None:
    """5 % of 12 tournaments is nobody; what was counted by buckets goes before what is reckoned."""
    plan = plan_of(0, 5, 25, 50, bake=3_600)

    reckoned = concerns(plan, units=30)
    counted = concerns(plan, units=30, cohorts={pct(5): 0, pct(25): 11})
    unknown = concerns(plan, cohorts={pct(5): 1})

    assert reckoned[0] == ("stages[1].percentage: 5 % of 30 is about 1: a tiny cohort hardly gives evidence")
    assert reckoned[1].startswith("stages[2].percentage: 25 % of 30 is about 7:")
    assert counted[0].startswith("stages[1].percentage: 5 % of 30 is nobody: there will be no evidence")
    assert len(counted) == 2
    assert unknown == [
        "stages[1].percentage: 5 % is 1: a tiny cohort hardly gives evidence",
        "stages: the plan ends at 50 %, not at 100 %",
    ]


def test_a_bake_time_without_evidence_is_said() -> None:
    """Shorter than a breach takes; too few deliveries, at the stage's own rate cap; none at all."""
    short = concerns(plan_of(50, 100, bake=60))
    few = concerns(plan_of(50, 100, bake=3_600), deliveries_per_minute=1)
    none = concerns(plan_of(50, 100, bake=3_600), deliveries_per_minute=0)
    capped = Stage(percentage=pct(100), bake_seconds=3_600, rate_per_second=Decimal("0.01"))

    assert short == [
        f"stages[{number}].bake: 1 min 0 s is shorter than the 5 minutes that a breach takes"
        for number in (0, 1)
    ]
    assert few == [
        "stages[0].bake: about 30 deliveries in 1 h 0 min, and the guard needs 50: that takes 1 h 40 min"
    ]
    assert none[0].endswith("that takes longer than ever")
    assert len(concerns(Plan(flag=FLAG, stages=(capped,)), deliveries_per_minute=100)) == 1


def test_leaps_short_ends_and_eternal_freezes_are_said() -> None:
    """From 1 to 50 at once; an end below 100; every hour of the week frozen."""
    week = tuple(FrozenHours(days=(day,)) for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    plan = plan_of(1, 50, bake=3_600, freezes=week)

    assert concerns(plan) == [
        "stages[1].percentage: a leap from 1 % to 50 %",
        "stages: the plan ends at 50 %, not at 100 %",
        "freeze: every hour of the week is frozen: nothing will ever go up",
    ]
    assert concerns(plan_of(100, bake=3_600, freezes=week[:6])) == []
    assert plan_of(100).highest == Percentage.EVERYBODY
