"""Studies: what a file may say, which combinations follow, and what is made of their runs."""

import math
import tomllib
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

import stressbook as sb
from stressbook.api.study import StudyResult
from stressbook.api.study_table import row_of
from stressbook.errors import InvalidScenario, UnknownName
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.sweeps import factor_file, study_file
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.design import points
from stressbook.experiments.sweeps.factor import Factor, placed, places_of
from stressbook.experiments.sweeps.study import StudyRuns, run_study
from stressbook.experiments.sweeps.study_file import load_study, study_from_table
from stressbook.experiments.sweeps.summary import holds, study_cells

FALL = "stresses.0.fall_frac"
SIZE = "world.HYPE.daily_volatility"
SMALL = {
    "scenario": "skeleton",
    "seed": 5,
    "replicates": 3,
    "levers": {FALL: [0.1, 0.2]},
    "uncertainties": {SIZE: {"low": 0.05, "high": 0.2, "n": 3, "scale": "log"}},
    "outcomes": {"liquidated_usd": {"budget": 25.0, "alpha": 0.2}, "fees_usd": {}},
}


def study(**changes):
    return study_from_table({**SMALL, **changes}, source="s.toml")


def problems(**changes):
    with pytest.raises(InvalidScenario) as error:
        study(**changes)
    return {problem.name: str(problem) for problem in error.value.problems}


# --- files ---------------------------------------------------------------------------------------


def test_lists_are_values_and_tables_are_none():
    found = study(levers={"stresses.0.assets": [["HYPE"], ["BTC", "HYPE"]]})
    assert {point.scenario.stresses[0].assets for point in found.points} == {
        ("HYPE",),
        ("BTC", "HYPE"),
    }
    found = problems(levers={SIZE: [{"budget": 1.0}]}, series={"keep": [["market"]]})
    assert "is no value" in found[f"levers.{SIZE}"]
    assert "market" in found["series.keep[0]"]


def test_times_beyond_all_steps_are_refused():
    found = problems(levers={"stresses.0.duration": [1e308], "dt": [1e308]})
    assert {name.split(".")[0] for name in found} == {"levers"}


def test_every_combination_runs_with_every_seed_and_knows_its_values():
    found = study()
    assert found.n_cells == 2 * 3 * 3
    assert [point.values[SIZE] for point in found.points[:3]] == [0.05, 0.1, 0.2]
    assert {point.scenario.stresses[0].fall_frac for point in found.points} == {0.1, 0.2}
    jobs = found.jobs()
    assert [job.seed for job in jobs] == [5] * 6 + [6] * 6 + [7] * 6
    assert [job.label for job in jobs[:6]] == ["fall_frac = 0.1"] * 3 + ["fall_frac = 0.2"] * 3
    assert dict(jobs[4].levers) == {FALL: 0.2, SIZE: 0.1}
    volatility = {asset.name: asset.daily_volatility for asset in jobs[4].scenario.world.assets}
    assert volatility["HYPE"] == 0.1


def test_all_problems_of_a_file_are_told_at_once():
    found = problems(
        levers={
            "stresses.0.fal_frac": [0.1],
            "dt": [],
            "duration": {"low": 900.0, "high": 900.0},
            "warmup": {"low": math.nan, "high": 2.0},
            FALL: [20],
            "margin_regime": ["cros"],
            "agents.holder": [1],
        },
        uncertainties={
            "stresses[0].fall_frac": [0.1],
            SIZE: {"low": 0.0, "high": 1, "scale": "log"},
        },
        outcomes={"liquidated": {"budget": 3.0}, "fees_usd": {"alpha": 0.1}},
        seed=-1,
        design="sobal",
        limits={"cels": 3},
        series={"keep": ["markets"]},
        replicate=3,
    )
    assert "did you mean 'stresses.0.fall_frac'?" in found["levers.stresses.0.fal_frac"]
    assert "is empty" in found["levers.dt"]
    assert "leaves an empty range" in found["levers.duration.high"]
    assert "is not finite" in found["levers.warmup.low"]
    assert "allowed: -3.0 to 0.95" in found[f"levers.{FALL}"]
    assert "did you mean 'cross'?" in found["levers.margin_regime"]
    assert "is read by nothing" in found["levers.agents.holder"]
    assert "more than 0 on a log scale" in found[f"uncertainties.{SIZE}.low"]
    assert "did you mean 'liquidated_usd'?" in found["outcomes.liquidated"]
    assert "needs a budget" in found["outcomes.fees_usd.alpha"]
    assert "out of range" in found["seed"]
    assert "did you mean 'sobol'?" in found["design"]
    assert "did you mean 'cells'?" in found["limits.cels"]
    assert "did you mean 'market'?" in found["series.keep[0]"]
    assert "did you mean 'replicates'?" in found["replicate"]
    assert len(found) == 16


def test_a_place_stands_once_however_it_is_written():
    assert (
        "is there twice"
        in problems(uncertainties={"stresses[0].fall_frac": [0.1]})[f"uncertainties.{FALL}"]
    )
    assert "has a value twice" in problems(levers={FALL: [0.1, 0.1]})[f"levers.{FALL}"]
    unquoted = study(levers={"stresses": {"0": {"fall_frac": [0.1, 0.2]}}})
    assert unquoted.points == study().points


def test_what_only_a_combination_forbids_is_told_with_it():
    levers = {"warmup": [60.0, 1000.0], "stresses.0.at": [920.0, 1200.0]}
    found = problems(levers=levers, uncertainties={})
    (text,) = {name for name in found if "stresses[0].at" in name and "warmup=1000" in name}
    assert text.startswith("with warmup=1000.0, stresses.0.at=920.0")


def test_more_cells_than_allowed_are_refused_unless_asked_for(monkeypatch):
    assert "add --yes" in problems(replicates=2000)["cells"]
    assert "1, combinations times" in problems(limits={"cells": 1})["cells"]
    assert study(replicates=2000, limits={"cells": 12_000}).n_cells == 12_000
    allowed = study_from_table({**SMALL, "replicates": 2000}, allow_many=True)
    assert allowed.n_cells == 12_000
    monkeypatch.setattr(study_file, "points", pytest.fail)  # nothing is resolved in vain
    wide = {FALL: {"low": 0.1, "high": 0.2, "n": 10_000}, SIZE: {"low": 0.1, "high": 0.2, "n": 9}}
    monkeypatch.setattr(factor_file, "resolved", lambda *_: (None, ()))
    assert "90000" in problems(replicates=1, levers=wide, uncertainties={})["cells"]


def test_a_file_is_found_with_its_scenario_beside_it(tmp_path):
    (tmp_path / "base.toml").write_text('inherits = "skeleton"\nsummary = "own"\n')
    (tmp_path / "caps.toml").write_text(
        'scenario = "base.toml"\n[levers]\n"stresses.0.fall_frac" = [0.1]\n'
    )
    found = load_study(tmp_path / "caps.toml")
    assert (found.name, found.base.summary, found.replicates) == ("caps", "own", 30)
    assert found.aims[0].outcome == "reserve_shortfall_usd"
    (tmp_path / "caps.toml").write_text('scenario = "bas.toml"\n')
    with pytest.raises(InvalidScenario, match=r"caps\.toml, scenario bas\.toml, .*does not exist"):
        load_study(tmp_path / "caps.toml")


def test_the_shipped_study_reads():
    found = load_study("caps-and-ltv-small")
    assert found.base.name == "hype-fall"
    assert {factor.place for factor in found.levers} <= set(places_of(found.base))


def test_the_study_of_the_page_reads():
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    found = study_from_table(tomllib.loads(text), source="docs/studies.md")
    assert (found.n_cells, found.run_on_s, found.series) == (2 * 3 * 3 * 30, 3600.0, ("market",))


def test_a_value_is_put_into_its_place_and_nowhere_else():
    table = load_scenario("skeleton").to_table()
    before = str(table)
    changed = placed(table, {FALL: 0.5, "venue.tokens.HYPE.ltv": 0.3})
    assert str(table) == before
    assert changed["stresses"][0]["fall_frac"] == 0.5
    assert changed["venue"]["tokens"]["HYPE"]["ltv"] == 0.3


# --- designs -------------------------------------------------------------------------------------

FACTORS = [
    Factor("a", values=("x", "y", "z")),
    Factor("b", low=1.0, high=4.0, n=4, is_whole=True),
    Factor("c", low=0.01, high=1.0, n=3, scale="log"),
    Factor("d", values=(True, False)),
]


def test_pairs_hold_every_pair_of_levels_in_few_rows():
    rows = points(FACTORS, "pairs")
    for i, j in combinations(range(4), 2):
        wanted = set(product(FACTORS[i].levels(), FACTORS[j].levels()))
        assert {(row[i], row[j]) for row in rows} == wanted
    assert 12 <= len(rows) <= 16 < len(points(FACTORS, "grid")) == 72


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
def test_points_fill_the_space_and_follow_the_seed(design):
    rows = points(FACTORS, design, samples=64, seed=1)
    assert rows == points(FACTORS, design, samples=64, seed=1)
    assert rows != points(FACTORS, design, samples=64, seed=2)
    # Each stratum of a range holds its share; so does each value of a list, to within one.
    shares = [math.log(row[2] / 0.01) / math.log(100.0) for row in rows]
    assert np.histogram(shares, bins=8, range=(0.0, 1.0))[0].tolist() == [8] * 8
    counts = [sum(row[0] == value for row in rows) for value in "xyz"]
    assert all(20 <= count <= 22 for count in counts)
    assert all(isinstance(row[1], int) and 1 <= row[1] <= 4 for row in rows)
    assert len(points(FACTORS, design, samples=10, seed=1)) == 10


# --- what is made of runs ------------------------------------------------------------------------


def known(jobs, progress=None):
    """Liquidate ten dollars a per cent of fall, and one a seed; seed 7 fails where it is 0.1."""
    found = []
    for job in jobs:
        fall = job.scenario.stresses[0].fall_frac
        if (job.seed, fall) == (7, 0.1):
            found.append(Replicate(7, "", {}, "LadderExhausted: left"))
            continue
        usd = 100.0 * fall + job.seed
        found.append(Replicate(job.seed, f"{fall} {job.seed}", {"liquidated_usd": usd}))
    return found


def test_cells_have_means_failures_and_exact_shares_over_their_budget():
    found = run_study(study(), function=known)
    first, _, second, _ = study_cells(found)
    assert (first.outcome, first.levers, first.n_failed) == ("liquidated_usd", {FALL: 0.1}, 3)
    assert (first.mean.value, first.mean.n) == (15.5, 6)
    # Failed runs count as over: 3 of 9; Clopper and Pearson give 7.5 to 70.1 %.
    assert first.over.value == pytest.approx(1 / 3)
    assert (first.over.low, first.over.high) == (
        pytest.approx(0.0749, abs=1e-4),
        pytest.approx(0.7007, abs=1e-4),
    )
    assert (second.over.value, second.over.n) == (2 / 3, 9)
    assert (first.is_within, second.is_within) == (False, False)
    assert not holds(study_cells(found))
    lax = study(outcomes={"liquidated_usd": {"budget": 27.0}})
    cells = study_cells(run_study(lax, function=known))
    assert [cell.is_within for cell in cells] == [False, True]
    # None of nine leaves up to 34 % open: alpha 5 % is not shown, alpha 40 % is.
    assert [row_of(cell, lax)[-2] for cell in cells] == ["NO", "open"]
    mild = study(outcomes={"liquidated_usd": {"budget": 27.0, "alpha": 0.4}})
    assert row_of(study_cells(run_study(mild, function=known))[1], mild)[-2] == "yes"


def test_cells_are_judged_against_the_first_all_together():
    found = run_study(study(replicates=9, seed=10), function=known)
    words = {(cell.cell, cell.outcome): cell.word for cell in study_cells(found)}
    assert words[0, "liquidated_usd"] == "not judged"
    assert words[1, "liquidated_usd"] == "higher"
    # Points that fill the space differ in what is not known: their runs do not pair.
    spread = study(
        replicates=9,
        seed=10,
        design="sobol",
        samples=4,
        levers={FALL: [0.1, 0.2]},
    )
    assert {cell.word for cell in study_cells(run_study(spread, function=known))} == {"not judged"}


def test_a_study_goes_on_and_gives_the_digest_of_a_whole_one(tmp_path):
    whole = run_study(study(), function=known).digest()
    run_study(study(replicates=1), tmp_path, function=known)

    def counts(jobs, progress=None):
        seen.extend(job.seed for job in jobs)
        return known(jobs)

    seen = []
    found = run_study(study(), tmp_path, function=counts)
    assert found.digest() == whole
    assert sorted(set(seen)) == [6, 7]


def test_a_result_is_told_as_text_frames_and_a_figure():
    found = StudyResult(run_study(study(), function=known))
    text = found.summary()
    assert "18 runs: 6 combinations (grid) · seeds 5 to 7 · 3 of 18 failed" in text
    assert "liquidated_usd, USD, budget 25: at most 20 % of runs over" in text
    assert "failed, fall_frac = 0.1, daily_volatility = 0.05, seed 7: LadderExhausted: left" in text
    frame = found.cells()
    assert list(frame["mean"][frame["outcome"] == "liquidated_usd"]) == [15.5, 26.0]
    runs = found.runs()
    assert len(runs) == 18
    assert {FALL, SIZE, "seed", "liquidated_usd", "error"} <= set(runs.columns)
    assert "<table>" in found._repr_html_()
    axes = found.plot("liquidated_usd", over="fall_frac")
    (line,) = axes.containers
    assert list(line.lines[0].get_ydata()) == [15.5, 26.0]
    with pytest.raises(UnknownName, match="lever = 'fal_frac' is unknown"):
        found.plot("liquidated_usd", over="fal_frac")
    with pytest.raises(UnknownName):
        found.plot("liquidated")


def test_a_line_for_each_combination_of_the_other_levers():
    two = study(levers={FALL: [0.1, 0.2], "margin_regime": ["cross", "isolated"]}, replicates=2)
    found = StudyResult(run_study(two, function=known))
    assert [line.get_label() for line in found.plot("liquidated_usd").containers] == [
        "margin_regime = cross",
        "margin_regime = isolated",
    ]


@pytest.mark.slow
def test_sweep_keeps_series_where_asked(tmp_path):
    from pyarrow import parquet

    (tmp_path / "short.toml").write_text(
        'inherits = "skeleton"\nwarmup = "10s"\nduration = "20s"\nstresses = []\n'
    )
    (tmp_path / "s.toml").write_text(
        'scenario = "short.toml"\nreplicates = 1\n[levers]\nmargin_regime = ["cross", "isolated"]\n'
        '[series]\nkeep = ["assets", "venue"]\n'
    )
    found = sb.sweep(tmp_path / "s.toml", folder=tmp_path / "runs")
    assert isinstance(found.found, StudyRuns)
    assert not found.failures
    files = sorted(path.relative_to(tmp_path / "runs") for path in tmp_path.rglob("*.parquet"))
    assert [str(path) for path in files] == [
        f"series/{rank:05d}/0-{name}.parquet" for rank in (0, 1) for name in ("assets", "venue")
    ]
    table = parquet.read_table(tmp_path / "runs" / files[0])
    assert table.num_rows == 2 * 30
    assert {"t_s", "asset", "mark_usd"} <= set(table.column_names)


@pytest.mark.parametrize(
    ("load", "name", "told"),
    [
        (load_study, "hype-fall", "it is a scenario: stressbook run hype-fall"),
        (load_study, "usdc-borrow-cap", "it sizes a cap: stressbook size-cap usdc-borrow-cap"),
        (load_study, "caps-and-ltv-smal", "did you mean 'caps-and-ltv-small'"),
        (load_cap_study, "caps-and-ltv-small", "stressbook sweep caps-and-ltv-small"),
        (load_cap_study, "nosuch", "or a path to a .toml"),
    ],
)
def test_a_name_of_another_kind_is_told_with_the_command_that_takes_it(load, name, told):
    with pytest.raises(UnknownName, match=told):
        load(name)
