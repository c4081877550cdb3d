"""What regimes ask for a hedged book over its naked leg, by hand from their published rules."""

import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.hedged_books import hedged_books
from stressbook.experiments.margin_books import scenario_books
from stressbook.experiments.scenario import load_scenario
from stressbook.market.regimes import load_regime
from stressbook.market.rules.spec import load_preset


def books_of(name, asset="BTC", **numbers):
    rows = hedged_books(load_preset("hyperliquid"), [load_regime(name)], **numbers)
    return next(row for row in rows if row.asset == asset)


@pytest.mark.parametrize(
    ("regime", "initial", "maintenance"),
    [
        # No offset: the whole perp at 40x, maintenance half of it.
        ("cross", 0.025, 0.0125),
        ("isolated", 0.025, 0.0125),
        ("hyperliquid-pm", 0.025, 0.0125),
        ("paradex", 0.01, 0.005),  # the static charge alone
        ("derive-pmrm1", 0.03 * 1.25, 0.03),  # of 6 %: the 3 % on tokens are in their weight
        ("derive", 0.04, 0.03),  # rates of the perp's gross notional
        ("tims", 0.0075, 0.0075),  # its floor
    ],
)
def test_requirement_of_a_hedged_book_by_hand(regime, initial, maintenance):
    found = books_of(regime)
    assert found.hedged_initial_frac == pytest.approx(initial)
    assert found.hedged_maintenance_frac == pytest.approx(maintenance)


def test_ratio_is_hedged_over_naked():
    assert books_of("cross").hedged_over_naked_initial == 1.0
    assert books_of("paradex").hedged_over_naked_initial == pytest.approx(0.01 / 0.16)


@pytest.mark.parametrize(
    ("regime", "own"),
    [
        ("cross", 1.0 + 0.025),  # tokens count for nothing: bought outright
        ("hyperliquid-pm", 0.5 + 0.025),  # half is lent against bitcoin
        ("derive-pmrm1", 0.06 * 1.25),  # all of its 6 %, x 1.25
        # 5 % of tokens, 1.2 x 1.25 % of the perp, 9.6 % of the debt 1 - own.
        ("binance", (0.05 + 0.015 + 0.096) / 1.096),
    ],
)
def test_own_capital_of_a_hedged_book_by_hand(regime, own):
    assert books_of(regime).own_capital_frac == pytest.approx(own)


def test_a_pair_is_offset_only_across_underlyings():
    assert books_of("cross").pair_over_legs_initial == 1.0
    full, none = (
        hedged_books(load_preset("hyperliquid"), [load_regime("scan").with_rules(offset_frac=x)])[0]
        for x in (1.0, 0.0)
    )
    assert none.pair_over_legs_initial == pytest.approx(1.0)
    assert full.pair_over_legs_initial < 0.5


def test_slices_make_large_books_dearer():
    dear, cheap = (books_of("okx", notional_usd=x) for x in (1e9, 1e5))
    assert dear.hedged_initial_frac > cheap.hedged_initial_frac


def test_the_own_regime_of_a_scenario_comes_first_with_its_numbers():
    scenario = load_scenario("skeleton").with_(margin_regime="scan")
    rows = scenario_books(scenario)
    assert rows[0].regime == "scan"
    portfolio = next(row for row in rows if row.regime == "hyperliquid-pm")
    # The loan-to-value of the venue, not the weight of the scenario's own regime.
    assert portfolio.own_capital_frac == pytest.approx(0.5 + 0.025)


def test_a_notional_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="notional_usd"):
        hedged_books(load_preset("hyperliquid"), [load_regime("cross")], notional_usd=0.0)
