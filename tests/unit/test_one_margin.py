"""A venue asks of an account what the same book is asked by itself: one loop, laid out twice."""

import pytest

from stressbook.market.margin.sums import account_sums
from stressbook.market.regimes import regime_names
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.state.codes import BUY, PERP, REGIME_PORTFOLIO, SELL
from tests.random_states import SPEC, random_state


def book_of(v, row):
    """The legs of an account as numbers: perps, tokens that count as collateral, tokens owed."""
    user, gives_credit = int(v.row[row].user), v.row[row].regime == REGIME_PORTFOLIO
    perps, tokens = [], []
    for i, inst in enumerate(v.inst):
        a, lots = int(inst.asset), int(v.perp[row, i])
        orders = [int(side) / 1e6 for side in v.open_notional[user, i]]
        if inst.kind == PERP and (lots or any(orders)):
            size, price = lots * float(inst.lot_size), v.price[a]
            perps.append(
                Holding(
                    SPEC.assets[a].name,
                    size * float(price.mark_usd),
                    oracle_usd=size * float(price.oracle_usd),
                    entry_usd=abs(int(v.entry_cost[row, i])) / 1e6,
                    leverage=float(v.leverage[user, i]),
                    buy_usd=orders[BUY],
                    sell_usd=orders[SELL],
                    confidence=float(v.dial[a].oracle_confidence),
                    tiers=tuple(
                        tuple(map(float, tier)) for tier in v.tier[a][: v.asset[a].n_tiers]
                    ),
                )
            )
    for k in range(1, len(v.token_spec)):
        token, units = v.token_spec[k], int(v.token[row, k]) - int(v.debt[row, k])
        a = int(token.asset)
        counts = units < 0 or (units > 0 and gives_credit and token.ltv > 0.0)
        size = units / int(token.unit) if counts else 0.0
        orders = [int(side) / 1e6 for side in v.open_notional[user, v.asset[a].spot_inst]]
        tokens.append(
            Holding(
                SPEC.assets[a].name,
                size * float(v.price[a].borrow_oracle_usd),
                token=SPEC.tokens[k].name,
                oracle_usd=size * float(v.price[a].oracle_usd),
                buy_usd=orders[BUY],
                sell_usd=orders[SELL],
                confidence=float(v.dial[a].oracle_confidence),
                ltv=float(token.ltv),
            )
        )
    return Pocket(0.0, (*perps, *tokens), int(v.debt[row, 0]) / 1e6)


@pytest.mark.parametrize("name", regime_names())
def test_an_account_is_asked_for_what_its_book_is_asked_for(name):
    spec = SPEC.with_regime(name)
    owed = weak = 0
    for seed in range(4):
        v, rng = random_state(seed, regime=name)
        v.dial["oracle_confidence"] = rng.random(len(v.dial))
        for row in range(int(v.par[0].n_users)):
            for k in range(1, len(v.token_spec)):
                if rng.random() < 0.3:
                    v.debt[row, k] = int(rng.integers(1, 2 * int(v.token[row, k]) + 2))
            v.debt[row, 0] = int(rng.integers(10**9)) if rng.random() < 0.3 else 0
            ours, book = account_sums(v, row), book_of(v, row)
            regime = spec.enrolled if v.row[row].regime == REGIME_PORTFOLIO else spec.ordinary
            asked = margin_of(regime, book)
            # Where orders are not netted their margin stands beside that of positions.
            found = (ours.initial_usd + ours.order_margin_usd, ours.maintenance_usd)
            assert found == pytest.approx((asked.initial_usd, asked.maintenance_usd), rel=1e-12)
            if name == "hyperliquid-pm" and v.row[row].regime == REGIME_PORTFOLIO:
                # Without caps, and but for tokens owed, what both say of tokens is one thing.
                held = ours.collateral_capacity_usd - ours.token_bound_usd
                counted = ours.collateral_credit_usd - ours.token_debt_usd
                assert asked.initial_worth_usd == pytest.approx(held, abs=1e-6, rel=1e-12)
                assert asked.maintenance_worth_usd == pytest.approx(counted, abs=1e-6, rel=1e-12)
            owed += ours.token_debt_usd > 0.0
            weak += any(one.confidence < 0.5 for one in book.holdings)
    assert owed > 5
    assert weak > 5
