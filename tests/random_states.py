"""Random venues for tests of margin and reserves, and their reading by the plain-Python twin."""

import numpy as np

from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.margin import (
    MarginAccount,
    MarginRules,
)
from stressbook.market.reference.opening import lends_below_micro
from stressbook.market.reference.regime_reading import ranges_of, regime_of
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import BUY, MODE_PORTFOLIO, PERP, REGIME_PORTFOLIO, SELL, SPOT
from stressbook.market.state.records import Capacity

SPEC = load_preset("hyperliquid")
SMALL = Capacity(orders=4, messages=4, fills=4, events=4096)


def random_account(rng, index):
    """Sizes from cents to beyond the first margin tier; half of them under portfolio margin."""
    scale = 10.0 ** rng.uniform(-2, 8)
    portfolio = bool(rng.random() < 0.6)
    tokens = {
        token: int(scale * rng.random() / asset.opening_price_usd * SPEC.tokens[token].unit)
        for token, asset in ((1, SPEC.assets[0]), (2, SPEC.assets[1]), (3, SPEC.assets[3]))
        if rng.random() < 0.6
    }
    return AccountOpening(
        key=(1 << 20) + index,
        cash_micro=int(scale * rng.normal(0.4, 0.6) * 1e6),
        tokens=tokens,
        supply=int(scale * rng.random() * 1e6) if rng.random() < 0.4 else 0,
        regime=REGIME_PORTFOLIO if portfolio else 0,
        account_mode=MODE_PORTFOLIO if portfolio else 0,
        leverage={inst: int(rng.integers(1, 11)) for inst in range(4)},
        volume_14d_micro=int(10.0 ** rng.uniform(9, 17)),
    )


def random_state(seed, n_accounts=12, values=None, regime="hyperliquid-pm"):
    """A venue of accounts with perps, orders, debts, and prices away from the opening."""
    rng = np.random.default_rng(seed)
    accounts = [random_account(rng, index) for index in range(n_accounts)]
    spec = SPEC.with_regime(regime).with_values(values or {})
    v = make_state(spec, accounts, seed=int(seed), capacity=SMALL)
    for price in v.price:
        factor = float(np.exp(rng.normal(0.0, 0.3)))
        for name, shift in (("oracle", 0.0), ("mark", 0.01), ("borrow_oracle", 0.02)):
            e8 = round(float(price[f"{name}_usd"]) * factor * (1 + shift * rng.normal()) * 1e8)
            price[f"{name}_e8"], price[f"{name}_usd"] = e8, e8 / 1e8
    for user in range(n_accounts):
        _random_perps_and_orders(v, rng, user)
    return v, rng


def _random_perps_and_orders(v, rng, user):
    scale = max(abs(float(v.cash[user])) / 1e6, 1.0)
    for inst, spec in enumerate(v.inst):
        lot_usd = float(spec.lot_size) * float(v.price[spec.asset].mark_usd)
        if spec.kind == PERP and rng.random() < 0.6:
            v.perp[user, inst] = int(scale * rng.normal(0.0, 3.0) / lot_usd)
        for side in (BUY, SELL):
            if rng.random() < 0.4:
                lots = int(scale * rng.random() / lot_usd)
                v.open_lots[user, inst, side] = lots
                v.open_notional[user, inst, side] = int(lots * lot_usd * 1e6)
                v.user[user].n_orders += 1


def reference_rules(v):
    par = v.par[0]
    return MarginRules(
        notional_floor_frac=float(par.notional_floor_frac),
        order_margin_buffer_frac=float(par.order_margin_buffer_frac),
        min_borrow_offset_usd=float(par.min_borrow_offset_usd) if par.min_borrow_offset_on else 0.0,
        user_cap_in_credit=bool(par.user_cap_in_credit),
        user_borrow_cap_micro=int(v.token_spec[0].user_borrow_cap),
        borrowable_in_credit=bool(par.borrowable_in_credit),
        trigger_ratio=float(par.pm_trigger_ratio),
        lends_below_micro=lends_below_micro(v),
    )


def reference_account(v, row):
    """What the twin sees of a row."""
    insts, tokens = range(len(v.inst)), range(1, len(v.token_spec))
    return MarginAccount(
        cash_micro=int(v.cash[row]),
        debt_micro=int(v.debt[row, 0]),
        supplied_micro=int(v.supply[row, 0]),
        perps=[reference_perp(v, row, inst) for inst in insts if v.inst[inst].kind == PERP],
        tokens=[reference_token(v, row, token) for token in tokens],
        spot_bids_micro=[
            int(v.open_notional[row, inst, BUY]) for inst in insts if v.inst[inst].kind == SPOT
        ],
        has_portfolio_regime=bool(v.row[row].regime == REGIME_PORTFOLIO),
        breached=bool(v.user[row].breached),
        rules=reference_rules(v),
        regime=regime_of(v, int(v.row[row].regime)),
        range_multiples={a: x.multiple for a, x in ranges_of(v, int(v.row[row].regime)).items()},
        headroom_micro=reference_reserve(v).headroom(int(v.debt[row, 0])),
    )


def reference_perp(v, row, inst):
    asset = int(v.inst[inst].asset)
    tiers = v.tier[asset, : int(v.asset[asset].n_tiers)]
    return PerpHolding(
        lots=int(v.perp[row, inst]),
        lot_size=float(v.inst[inst].lot_size),
        mark_usd=float(v.price[asset].mark_usd),
        leverage=int(v.leverage[row, inst]),
        tiers=[
            (float(t.lower_usd), float(t.maintenance_rate), float(t.deduction_usd)) for t in tiers
        ],
        open_micro=int(v.open_notional[row, inst].sum()),
        open_lots={side: int(v.open_lots[row, inst, side]) for side in (BUY, SELL)},
        asset=str(asset),
        bid_micro=int(v.open_notional[row, inst, BUY]),
        ask_micro=int(v.open_notional[row, inst, SELL]),
        oracle_usd=float(v.price[asset].oracle_usd),
        entry_micro=int(v.entry_cost[row, inst]),
        confidence=float(v.dial[asset].oracle_confidence),
    )


def reference_token(v, row, token):
    spec, price = v.token_spec[token], v.price[int(v.token_spec[token].asset)]
    books = [inst for inst in range(len(v.inst)) if v.inst[inst].token == token]
    return TokenHolding(
        units=int(v.token[row, token]),
        unit=int(spec.unit),
        oracle_usd=float(price.oracle_usd),
        borrow_oracle_usd=float(price.borrow_oracle_usd),
        ltv=float(spec.ltv),
        user_supply_cap=int(spec.user_supply_cap),
        counted_share=float(v.reserve[token].counted_share),
        credit_weight=float(spec.credit_weight),
        asset=str(int(spec.asset)),
        name=str(token),
        bid_micro=sum(int(v.open_notional[row, inst, BUY]) for inst in books),
        ask_micro=sum(int(v.open_notional[row, inst, SELL]) for inst in books),
        confidence=float(v.dial[int(spec.asset)].oracle_confidence),
        debt_units=int(v.debt[row, token]),
        bid_units=sum(
            int(v.open_lots[row, inst, BUY]) * int(v.inst[inst].lot_units) for inst in books
        ),
    )


def reference_reserve(v, token=0):
    """What the twin sees of the reserve of a token."""
    spec, par = v.token_spec[token], v.par[0]
    n_users, pool = int(par.n_users), int(par.row_pool0) + token
    return ReferenceReserve(
        pool=int(v.token[pool, token] if token else v.cash[pool]),
        debts={row: int(v.debt[row, token]) for row in range(n_users)},
        supplies={row: int(v.supply[row, token]) for row in range(n_users)},
        retained=int(v.reserve[token].retained),
        claim=int(v.reserve[token].claim),
        user_borrow_cap=int(spec.user_borrow_cap),
        platform_borrow_cap=int(spec.platform_borrow_cap),
        user_supply_cap=int(spec.user_supply_cap),
        platform_supply_cap=int(spec.platform_supply_cap),
        rate_base=float(spec.rate_base),
        rate_low_slope=float(spec.rate_low_slope),
        rate_slope=float(spec.rate_slope),
        kink=float(spec.kink_utilisation),
        retained_frac_e6=int(par.retained_frac_e6),
        is_simple=bool(par.interest_is_simple),
        borrowable=bool(spec.borrowable),
    )
