import math
from dataclasses import replace

import pytest

from stressbook.experiments.claims import claims
from stressbook.experiments.regime_plan import Variant
from stressbook.report.breakage import (
    broke_text,
    has_broken,
    paid_text,
    reach_text,
    tag_text,
    what_broke,
)
from stressbook.report.study_tables import STRESSED
from stressbook.report.timeline_panels import USED_UP, milestones
from stressbook.report.verdict import claim_text, price_text, verdict_of
from tests.unit.report_planted import study, wobble


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
    assert "Largest fall of the HYPE mark (+0.7 points)" in found.not_claimed


def test_equal_falls_are_said_to_be_alike():
    assert verdict_of(study(8)).sentences[1].startswith("HYPE fell alike under both")


def test_the_tag_counts_seeds_that_broke():
    found = verdict_of(study(8, short=(1e6, 0.0)))
    counts = "8 (portfolio) and 0 (cross) of 8 seeds"
    assert (found.tag, found.tone) == (
        f"Backstop emptied in {counts}: a difference that stands",
        "broke",
    )
    assert "a difference that stands (p = 0.0078)" in found.sentences[0]


def test_the_tag_ranks_no_regime_without_a_test():
    made = study(8)
    for regime, seeds in (("hyperliquid-pm", 5), ("cross", 3)):
        for run in made.of(regime)[:seeds]:
            run.episodes["R"].outcomes["backstop_short_usd"] = 4e4
    assert tag_text(made) == (
        "Backstop emptied in 5 (portfolio) and 3 (cross) of 8 seeds: no difference shown"
    )
    written = study(8)
    for run in (*written.of("hyperliquid-pm")[:1], *written.of("cross")[:1]):
        run.episodes["R"].outcomes["written_off_usd"] = 1.0
    assert tag_text(written).startswith("Debt written off in 1 (portfolio) and 1 (cross)")
    assert tag_text(written).endswith(": the same seeds")


def test_nothing_broken_is_held_with_the_bound_that_n_allows():
    found = verdict_of(study(8))
    assert (found.tag, found.tone) == ("Held", "held")
    assert "in all 8 seeds" in found.sentences[0]
    assert "at most 37 %" in found.sentences[0]


def test_a_split_that_chance_explains_is_no_difference():
    text = broke_text([True] * 5 + [False] * 3, [True] * 3 + [False] * 5)
    assert "5 of 8 seeds under portfolio margin (95 %: 24 to 91 %)" in text
    assert "3 of 8 under cross" in text
    assert "no difference that so few seeds can show (p = 0.5; below 0.05 only if 6 or" in text


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


def test_a_seed_has_broken_if_and_only_if_its_capital_was_used_up_at_a_time():
    for short in ((0.0, 0.0), (1e6, 0.0), (0.0, 1e6)):
        for run in study(8, short=short).runs:
            found = milestones(run.episodes["R"].timeline, stress_min=10.0)
            assert math.isfinite(found[USED_UP]) is has_broken(run)


def test_what_is_used_up_is_measured_and_what_follows_is_said():
    text = paid_text(study(8, short=(2e6, 0.0)))
    assert text.startswith("It went 2.00 M USD below zero, of 12.0 M USD.")
    made = study(8, short=(2e6, 0.0))
    for run in made.runs:
        run.episodes["R"].outcomes["backstop_shed_usd"] = 5e6
    assert "its book is then closed against winners" in paid_text(made)
    made.of("hyperliquid-pm")[3].episodes["R"].outcomes["backstop_short_usd"] = 400.0
    assert "It went 0.40 k USD to 2.00 M USD below zero" in paid_text(made)


def test_what_was_left_is_said_where_nothing_broke():
    assert "Of the backstop's 12.0 M USD at least 5.00 M USD were left." in paid_text(study(8))


def test_a_backstop_that_is_nearly_spent_is_counted():
    made = study(8, short=(1e6, 0.0))
    made.of("cross")[2].episodes["R"].outcomes["backstop_low_usd"] = 1e5
    assert (
        "In 0 (portfolio) and 1 (cross) further seeds less than 5 % of it was left."
        in paid_text(made)
    )


def test_the_treasury_is_named_where_it_paid():
    made = study(8)
    assert "No deficit of an account had to be paid by the treasury." in paid_text(made)
    for run in made.of("cross")[:3]:
        run.episodes["R"].outcomes["treasury_paid_usd"] = 8e5
    assert "deficits of accounts in 0 (portfolio) and 3 (cross) of 8 seeds" in paid_text(made)
    assert "0 USD and 300 k USD (95 %: 0.00\N{DAGGER} to 646) in the mean" in paid_text(made)


def test_only_what_broke_is_named():
    made = study(8, short=(1e6, 0.0))
    assert what_broke(made) == "The backstop's capital was used up"
    made.of("cross")[0].episodes["R"].outcomes["written_off_usd"] = 1.0
    assert "or debt written off" in what_broke(made)
    written = study(8)
    written.of("cross")[0].episodes["R"].outcomes["written_off_usd"] = 1.0
    assert what_broke(written) == "Debt was written off"


def test_milder_shocks_and_other_laws_are_counted():
    found = " ".join(reach_text(study(8, short=(0.0, 1e6))))
    none = "none of 8 under either regime (95 %: 0 to 37 %)"
    assert f"At severity 0.5 it broke in {none}." in found
    counts = "0 (portfolio, 95 %: 0 to 84 %) and 2 (cross, 16 to 100 %) of 2"
    assert f"run on the first 2 seeds, it broke with impact x 2 in {counts}" in found
    assert f"as assumed here in {counts}." in found
    calm = reach_text(study(8, variants=(Variant("impact x 2"), Variant("never concave"))))[-1]
    assert "with impact x 2 or never concave in none of 2 under either regime" in calm


def test_a_loss_that_frozen_holdings_already_bear_is_given_by_the_opening_book():
    made = with_losses(frozen=8e7, added=lambda seed: wobble(seed, 1e7))
    text = " ".join(verdict_of(made).sentences)
    assert "the same equity holds more of what falls, by construction" in text
    assert "lose 80.0 M USD more" in text
    assert "What trading adds to that cannot be told from no difference" in text
    assert not any("Lost by" in line.text for line in verdict_of(made).claimed)


def test_what_trading_adds_is_claimed_where_it_stands():
    made = with_losses(frozen=0.0, added=lambda seed: 5e7 + wobble(seed, 1e6))
    text = " ".join(verdict_of(made).sentences)
    assert "With holdings frozen accounts lose alike" in text
    assert "What trading adds to that is higher under portfolio margin" in text
    assert any("What trading adds" in line.text for line in verdict_of(made).claimed)


def test_an_opening_book_that_differs_is_not_claimed():
    made = study(8)
    for run in made.of("hyperliquid-pm"):
        run.episodes["0"].outcomes["open_interest_usd"] = 5e7
    assert verdict_of(made).claimed == ()


def with_losses(*, frozen, added):
    made = study(8)
    for run in made.of("hyperliquid-pm"):
        for arm, more in (("P", frozen), ("R", frozen + added(run.seed))):
            kept = run.arms[arm]
            run.arms[arm] = replace(kept, loss_usd=kept.loss_usd + more + wobble(run.seed, 1e5))
    return made


@pytest.mark.parametrize("word", ["forecast", "probability"])
def test_the_verdict_promises_nothing(word):
    assert word not in " ".join(verdict_of(study(8, effect=0.05)).sentences)


def _array(values):
    import numpy as np

    return np.array(values)
