"""Requirements worked by hand where a floor, a corner or an offset binds."""

import pytest

from stressbook.market.regimes import load_regime
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of

PAIR = (Holding("BTC", 1e5), Holding("ETH", -1e5))
HEDGED = (Holding("BTC", -1e5), Holding("BTC", 1e5, token="BTC"))
# Between the corners of +150,000 and +90,000; were the sides swapped, of +110,000 and +50,000.
ORDERS = (Holding("BTC", 1e5, buy_usd=5e4, sell_usd=1e4),)


@pytest.mark.parametrize(
    ("name", "rules", "holdings", "initial_usd", "maintenance_usd"),
    [
        # Gains cancel all losses of the group; 0.375 % of the net value of each class is left.
        ("tims", {"offset_frac": 1.0}, PAIR, 750.0, 750.0),
        # 0.75 % of what is hedged.
        ("tims", {}, HEDGED, 750.0, 750.0),
        # Together they lose 2.08 - 1.41 % of 100,000 = 670; 0.7 % of both net values is more.
        ("scan", {"offset_frac": 1.0}, PAIR, 1.3 * 1_400.0, 1_400.0),
        # Alone they lose 1,410 and 2,080.
        ("scan", {"offset_frac": 0.0}, PAIR, 1.3 * 3_490.0, 3_490.0),
        # 1.41 % of 150,000 filled bids, times 1.3; maintenance knows no orders.
        ("scan", {}, ORDERS, 1.3 * 2_115.0, 1_410.0),
        # 1 % of the hedged part.
        ("scan", {}, HEDGED, 1.3 * 1_000.0, 1_000.0),
    ],
)
def test_a_book_is_asked_for(name, rules, holdings, initial_usd, maintenance_usd):
    regime = load_regime(name).with_rules(**rules)
    found = margin_of(regime, Pocket(0.0, holdings))
    assert found.initial_usd == pytest.approx(initial_usd, rel=1e-12)
    assert found.maintenance_usd == pytest.approx(maintenance_usd, rel=1e-12)
