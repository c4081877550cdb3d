"""Cap studies that make no sense are refused whole, with every problem and its place."""

import pytest

from stressbook.errors import InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.caps.size_cap import require_few
from stressbook.experiments.caps.study_file import load_cap_study

GOOD = """
scenario = "calm-two-assets"
[cap]
lever = "venue.tokens.USDC.platform_borrow_cap"
grid = [1e8, 2e8]
[law]
duration = "30min"
[law.draws]
fall = { low = 0.2, high = 0.6, unit = "1" }
[[law.elements]]
name = "fall"
[[law.elements.stresses]]
kind = "price_gap"
duration = "10min"
assets = ["HYPE"]
fall_frac = "$fall"
"""


def problems_of(tmp_path, text):
    file = tmp_path / "mine.cap.toml"
    file.write_text(text)
    with pytest.raises(InvalidScenario) as caught:
        load_cap_study(file)
    assert "mine.cap.toml" in str(caught.value)
    return {problem.name: problem for problem in caught.value.problems}


def test_the_pattern_of_these_files_is_read(tmp_path):
    file = tmp_path / "mine.cap.toml"
    file.write_text(GOOD)
    study = load_cap_study(file, overrides=["outcome.alpha=0.01"])
    assert (study.name, study.current, study.outcome.alpha) == ("mine", 5e8, 0.01)


def test_every_problem_is_told_at_once(tmp_path):
    text = GOOD.replace("platform_borrow_cap", "platform_borow_cap")
    text = text.replace("[1e8, 2e8]", "[2e8, 1e8]").replace("low = 0.2", "low = 0.7")
    text += 'probability = 1.5\n[outcome]\nname = "reserve_shortfal_usd"\nbudget = nan\n'
    found = problems_of(tmp_path, text)
    assert "platform_borrow_cap" in found["cap.lever"].hint
    assert "does not rise" in found["cap.grid"].problem
    assert "empty range" in found["law.draws.fall"].problem
    assert "reserve_shortfall_usd" in found["outcome.name"].hint
    assert "not finite" in found["outcome.budget"].problem
    assert "law.elements[0].stresses[0].probability" not in found


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("[1e8, 2e8]", "[]", "cap.grid", "is empty"),
        ("[1e8, 2e8]", "[-1e8, 2e8]", "cap.grid[0]", "out of range"),
        ('"$fall"', '"$fal"', "law: a text with $", "unknown"),
        ('"$fall"', "0.3", "law.draws.fall", "read by nothing"),
        ("[cap]", "[cap]\nlevr = 1", "cap.levr", "read by nothing"),
        ("[law]", "[lw]", "lw", "read by nothing"),
        ('scenario = "calm-two-assets"', 'scenario = "calm"', "scenario", "unknown"),
        ('kind = "price_gap"', 'kind = "price_gab"', "at 200,000,000: stresses[0].kind", "unknown"),
        ("low = 0.2, high = 0.6", "low = 0.2, high = 3.0", "at 200,000,000: stresses[0].fall_frac",
         "out of range"),
        ('name = "fall"', 'name = "fall"\nprobability = 30', "law.elements[0].probability",
         "out of range"),
        ("[1e8, 2e8]", "[1e8, 1e308]", "cap.grid[1]", "out of range"),
        ('duration = "10min"', "duration = 1e308", "at 200,000,000: stresses[0].duration",
         "out of range"),
        ("[law.draws]", '[law.scale]\n"world.HYPE.daily_volatility" = "1h"\n[law.draws]',
         "at 200,000,000: scale of world.HYPE.daily_volatility", "is no factor"),
        ("[law.draws]", '[law.set]\n"venue.liquidation.backstop_capital_usd" = "1/$x"\n'
         '[law.draws]\nx = { low = -1.0, high = 1.0 }', "law.draws.x", "may be 0"),
        ("[law.draws]", '[law.set]\n"venue.orders" = 5.0\n"venue.orders.x" = 5.0\n[law.draws]',
         "at 200,000,000: set", "set as a whole"),
    ],
)  # fmt: skip
def test_each_problem_names_its_place(tmp_path, old, new, place, words):
    assert old in GOOD
    found = problems_of(tmp_path, GOOD.replace(old, new, 1))
    assert place in found, found
    assert words in found[place].problem


def test_rows_are_resolved_before_anything_runs(tmp_path):
    row = '[[rows]]\nname = "other"\nset = { "venue.tokens.HYPE.ltvv" = 0.5 }\n'
    found = problems_of(tmp_path, GOOD + row)
    assert any(name.startswith("other: ") and "ltvv" in name for name in found)
    row = '[[rows]]\nname = "other"\nprobability = { fal = 0.0 }\n'
    assert "fall" in problems_of(tmp_path, GOOD + row)["rows[0].probability"].hint
    row = '[[rows]]\nname = "other"\nset = { "venue.tokens.HYPE.ltv" = "$fal" }\n'
    assert "fall" in problems_of(tmp_path, GOOD + row)["rows[0]: a text with $"].hint


@pytest.mark.parametrize("value", ["1.5", "-1", '"x"', "[0.5]", "true", "nan"])
def test_a_row_takes_no_probability_that_is_none(tmp_path, value):
    row = f'[[rows]]\nname = "other"\nprobability = {{ fall = {value} }}\n'
    assert "rows[0].probability.fall" in problems_of(tmp_path, GOOD + row)


def test_what_is_measured_after_all_runs_is_checked_before_the_first(tmp_path):
    text = '[absorption]\nasset = "HYPO"\nmedian_of = "$fall"\ntable_by = ["fal", "fall", "fall"]\n'
    found = problems_of(tmp_path, GOOD + text)
    assert "HYPE" in found["absorption.asset"].hint
    assert "fall" in found["absorption.median_of"].hint
    assert "fall" in found["absorption.table_by[0]"].hint
    assert "two draws" in found["absorption.table_by"].problem
    found = problems_of(tmp_path, GOOD + '[absorption]\ndivides = ["agents.holder.nothing"]\n')
    assert "no place" in found["absorption: scale"].problem


def test_names_that_do_not_ship_are_told_with_those_that_do(tmp_path):
    with pytest.raises(UnknownName, match="usdc-borrow-cap"):
        load_cap_study("usdc-borow-cap")
    with pytest.raises(InvalidScenario, match="does not exist"):
        load_cap_study(tmp_path / "none.toml")


def test_another_study_does_not_go_on_in_the_folder(tmp_path):
    from stressbook.experiments.caps.size_cap import size_cap
    from stressbook.experiments.store import claim_folder

    claim_folder(tmp_path / "taken", "cap study of another")
    file = tmp_path / "mine.cap.toml"
    file.write_text(GOOD)
    with pytest.raises(InvalidInput, match="something else"):
        size_cap(load_cap_study(file), folder=tmp_path / "taken")


def test_a_study_starts_from_another_and_says_what_differs(tmp_path):
    (tmp_path / "base.cap.toml").write_text(GOOD)
    child = tmp_path / "child.cap.toml"
    child.write_text('inherits = "base.cap.toml"\n[cap]\ngrid = [3e8]\n')
    study = load_cap_study(child)
    assert (study.name, study.cap.grid) == ("child", (3e8,))
    assert study.law == load_cap_study(tmp_path / "base.cap.toml").law
    child.write_text('inherits = "child.cap.toml"\n')
    with pytest.raises(InvalidScenario, match="from itself"):
        load_cap_study(child)
    child.write_text("inherits = 3\n")
    with pytest.raises(InvalidScenario, match="not a text"):
        load_cap_study(child)


def test_a_study_of_more_episodes_than_one_waits_for_has_to_be_asked_for(tmp_path):
    import stressbook as sb

    file = tmp_path / "mine.cap.toml"
    file.write_text(GOOD)
    with pytest.raises(InvalidInput, match=r"episodes = .*more than .*\n.*10,000[\s\S]*--yes"):
        sb.size_cap(file, overrides=("outcome.alpha=0.001", "outcome.seeds=2995"))
    require_few(load_cap_study(file, overrides=["outcome.seeds=600"]))
    require_few(load_cap_study(file, overrides=["outcome.seeds=2995"]), allow_many=True)
