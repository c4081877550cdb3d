import pytest

from stressbook.experiments.claims import claims
from stressbook.report.study_tables import STRESSED
from stressbook.report.verdict import broke_text, claim_text, price_text, verdict_of
from tests.unit.report_planted import study


def test_one_seed_is_one_draw_and_no_evidence():
    found = verdict_of(study(1, effect=0.2, short=(1e6, 0.0)))
    assert found.sentences[0] == "One draw, not evidence."
    assert (found.tag, found.tone, found.claimed) == ("Not evidence", "open", ())


def test_seven_seeds_are_no_evidence_however_clear():
    found = verdict_of(study(7, effect=0.2))
    assert found.sentences[0] == "7 seeds, not evidence."
    assert found.claimed == ()


def test_a_deeper_fall_is_said_to_be_deeper():
    found = verdict_of(study(8, effect=0.05))
    assert found.sentences[1].startswith(
        "Portfolio margin made HYPE fall deeper: 33.0 % against 29.5 %"
    )
    assert "Largest fall of the HYPE mark: higher, 33.0 against 29.5 %" in found.claimed[0].text
    assert "n = 8" in found.claimed[0].text


def test_a_smaller_fall_is_said_to_be_smaller():
    assert "made HYPE fall less" in verdict_of(study(8, effect=-0.05)).sentences[1]


def test_a_fall_inside_placebo_noise_is_not_claimed():
    found = verdict_of(study(8, effect=0.01, placebo=0.1))
    assert "by no more than a placebo does" in found.sentences[1]
    assert not any("fall" in line.text for line in found.claimed)
    assert "Largest fall of the HYPE mark" in found.not_claimed


def test_equal_falls_are_said_to_be_alike():
    assert verdict_of(study(8)).sentences[1].startswith("HYPE fell alike under both")


def test_the_tag_counts_seeds_that_broke():
    found = verdict_of(study(8, short=(1e6, 0.0)))
    assert (found.tag, found.tone) == ("Broke: portfolio 8 of 8, cross 0 of 8", "broke")
    assert "a difference that stands (p = 0.0078)" in found.sentences[0]


def test_nothing_broken_is_held_with_the_bound_that_n_allows():
    found = verdict_of(study(8))
    assert (found.tag, found.tone) == ("Held", "held")
    assert "in all 8 seeds" in found.sentences[0]
    assert "at most 37 %" in found.sentences[0]


def test_a_split_that_chance_explains_is_no_difference():
    text = broke_text([True] * 5 + [False] * 3, [True] * 3 + [False] * 5)
    assert "5 of 8 seeds under portfolio margin (95 %: 24 to 91 %)" in text
    assert "3 of 8 under cross" in text
    assert "no difference that so few seeds can show (p = 0.5)" in text


def test_a_difference_of_chance_says_so():
    up_and_down = [0.3, 0.32, 0.29, 0.31, 0.3, 0.33, 0.28, 0.3]
    claim = claims([("fall", _array(up_and_down), _array(up_and_down[::-1]), [])])[0]
    assert price_text(claim, "HYPE").startswith("That HYPE falls deeper under one regime cannot")


def test_a_line_has_both_means_the_difference_its_interval_and_n():
    values = _array([1e6, 2e6, 3e6, 4e6, 5e6, 6e6, 7e6, 8e6])
    claim = claims([("taken_over_usd", values + 1e6 + values / 1e3, values, [])])[0]
    measure = next(m for m in STRESSED if m.name == "taken_over_usd")
    text = claim_text(measure, claim, target="HYPE")
    assert "higher, 5.50 against 4.50 M USD (+1.00; 95 %: 1.00 to 1.01; n = 8)" in text


@pytest.mark.parametrize("word", ["forecast", "probability"])
def test_the_verdict_promises_nothing(word):
    assert word not in " ".join(verdict_of(study(8, effect=0.05)).sentences)


def _array(values):
    import numpy as np

    return np.array(values)
