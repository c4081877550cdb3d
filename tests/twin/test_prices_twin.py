"""Oracle, mark and funding: kernels against plain Python, equal to the last bit."""

import math

import numpy as np
import pytest

from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.orders.occupancy import clear_tick, mark_tick
from stressbook.market.prices.funding import sample_premium, settle_funding
from stressbook.market.prices.oracle import update_prices
from stressbook.market.reference.funding import FundingMeter, impact_price_usd
from stressbook.market.reference.oracle import AssetPrices, BookQuote, OracleDials
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import BUY, ORACLE_WEIGHTED, SELL
from stressbook.market.state.records import C_FAULT, EMPTY_ASK, EMPTY_BID

SPEC = load_preset("hyperliquid")
N_STEPS = 400


def random_quote(rng, middle_tick):
    """Return bid, ask (None for an empty side) and last trade around a tick."""
    width = int(rng.integers(1, 6)) if rng.random() < 0.8 else int(rng.integers(1, 6_000))
    bid = middle_tick - width if rng.random() < 0.9 else None
    ask = middle_tick + int(rng.integers(1, 6)) if rng.random() < 0.9 else None
    return bid, ask, middle_tick + int(rng.integers(-20, 20))


def write_quote(v, inst, quote):
    bid, ask, last = quote
    v.best[inst, BUY] = EMPTY_BID if bid is None else bid
    v.best[inst, SELL] = EMPTY_ASK if ask is None else ask
    v.book[inst].last_tick = last


def book_quote(v, inst, quote):
    max_spread = float(v.inst[inst].two_sided_max_spread_frac)
    limit = max_spread if v.par[0].sample_max_spread_on else math.inf
    return BookQuote(*quote, float(v.inst[inst].tick_usd), limit)


def quote_all(v, rng):
    """Write a random quote into every book; return them by instrument."""
    quotes = {}
    for inst in range(v.inst.shape[0]):
        outside = float(v.outside[int(v.inst[inst].asset)].spot_usd)
        middle = round(outside * math.exp(rng.normal(0.0, 0.003)) / v.inst[inst].tick_usd)
        write_quote(v, inst, quote := random_quote(rng, middle))
        quotes[inst] = book_quote(v, inst, quote)
    return quotes


def move_outside(v, rng):
    for asset in range(v.asset.shape[0]):
        out = v.outside[asset]
        out.spot_usd *= math.exp(rng.normal(0.0, 0.005))
        gone = rng.random() < 0.05
        out.perp_usd = 0.0 if gone else out.spot_usd * math.exp(rng.normal(0.0, 0.001))
    dial = v.dial[int(rng.integers(v.asset.shape[0]))]
    dial.oracle_lag_s = float(rng.choice([0.0, 0.0, 7.0, 60.0, 5_000.0]))
    dial.oracle_shift = float(rng.choice([0.0, 0.0, -0.03, 0.01]))
    dial.oracle_weight = float(rng.choice([0.0, 0.0, -0.4, 0.7]))


@pytest.mark.parametrize(("seed", "wide_counts"), [(1, 0), (2, 1)])
def test_prices(seed, wide_counts):
    rng = np.random.default_rng(seed)
    v = make_state(SPEC, [AccountOpening(key=1 << 20)], seed=1)
    v.par[0].sample_max_spread_on = 1 - wide_counts
    v.asset[0].oracle_mode, v.asset[0].oracle_venue_weight = ORACLE_WEIGHTED, 0.3
    v.outside["spot_usd"] = v.price["oracle_usd"]
    twins = [
        AssetPrices(
            opening_e8=int(v.price[a].oracle_e8),
            oracle_mode=int(v.asset[a].oracle_mode),
            oracle_venue_weight=float(v.asset[a].oracle_venue_weight),
            mark_ema_ms=int(v.par[0].mark_ema_ms),
            last_ema_ms=int(v.par[0].last_ema_ms),
        )
        for a in range(v.asset.shape[0])
    ]
    all_on_ladder = True
    for _ in range(N_STEPS):
        move_outside(v, rng)
        quotes = quote_all(v, rng)
        update_prices(v)
        for asset, twin in enumerate(twins):
            rules, dial = v.asset[asset], v.dial[asset]
            all_on_ladder &= twin.update(
                quotes.get(int(rules.perp_inst)),
                quotes.get(int(rules.spot_inst)),
                outside_spot_usd=float(v.outside[asset].spot_usd),
                outside_perp_usd=float(v.outside[asset].perp_usd),
                period_s=3.0,
                dials=OracleDials(
                    float(dial.oracle_lag_s), float(dial.oracle_shift), float(dial.oracle_weight)
                ),
            )
            price = v.price[asset]
            assert (
                price.oracle_e8,
                price.mark_e8,
                price.previous_mark_e8,
                price.borrow_oracle_e8,
            ) == (twin.oracle_e8, twin.mark_e8, twin.previous_mark_e8, twin.borrow_oracle_e8)
            assert (price.ema_num, price.ema_den) == (twin.gap.num, twin.gap.den)
            assert (price.last_ema_num, price.last_ema_den) == (twin.last.num, twin.last.den)
        # An outside perp that is gone (price 0) is off the ladder as well.
        assert (v.ctr[C_FAULT] == 0) == all_on_ladder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_funding(seed):
    rng = np.random.default_rng(seed)
    positions = rng.integers(-(10**6), 10**6, 40)
    positions[-1] -= positions.sum()
    price_e8 = round(SPEC.assets[0].opening_price_usd * 1e8)
    accounts = [
        AccountOpening(key=(1 << 20) + i, cash_micro=10**12, perps={0: (int(n), price_e8)})
        for i, n in enumerate(positions)
    ]
    v = make_state(SPEC, accounts, seed=1)
    v.par[0].funding_static_frac = 0.0003 * (seed - 1)
    meter = FundingMeter(
        interest_frac=float(v.par[0].funding_interest_frac),
        clamp_frac=float(v.par[0].funding_clamp_frac),
        static_frac=float(v.par[0].funding_static_frac),
        cap_frac=float(v.par[0].funding_cap_frac),
        period_ms=int(v.par[0].funding_period_ms),
    )
    inst = v.inst[0]
    for hour in range(3):
        for _ in range(30):
            oracle_usd = float(v.price[0].oracle_usd)
            sides = []
            for side in (BUY, SELL):
                levels = random_side(v, rng, side, round(oracle_usd / inst.tick_usd))
                sides.append(
                    impact_price_usd(
                        levels,
                        k=int(inst.k),
                        tick_usd=float(inst.tick_usd),
                        notional_micro=int(inst.impact_notional_micro),
                    )
                )
            sample_premium(v)
            meter.sample(*sides, oracle_usd=oracle_usd)
            assert v.price[0].premium_sum == meter.premium_sum
        before = v.cash.copy()
        settle_funding(v, 3_600_000 * (hour + 1))
        booking = meter.settle(
            {u: int(n) for u, n in enumerate(positions)},
            oracle_e8=int(v.price[0].oracle_e8),
            mark_den=int(inst.mark_den),
        )
        assert v.price[0].last_funding_rate_e15 == booking.rate_e15
        moved = before - v.cash
        assert moved[:40].tolist() == list(booking.paid_micro.values())
        assert -moved[int(v.par[0].row_rounding)] == booking.rounding_micro
        event = v.event[4 * hour]
        assert (event.lots, event.amount_micro) == (booking.open_lots, booking.paid_by_longs_micro)


def random_side(v, rng, side, middle_tick):
    """Rest up to five random levels on one side of the first book; return them, best first."""
    for tick in np.flatnonzero(v.level[0]["qty_lots"]):
        is_bid = tick <= v.best[0, BUY]
        if is_bid == (side == BUY):
            v.level[0, tick].qty_lots = 0
            clear_tick(v, 0, side, int(tick))
    sign = -1 if side == BUY else 1
    shift = int(rng.integers(-80, 80))
    offsets = np.unique(rng.integers(100, 160, int(rng.integers(0, 6))))
    levels = [
        (middle_tick + shift + sign * int(offset), int(rng.integers(1, 20_000)))
        for offset in offsets
    ]
    for tick, lots in levels:
        mark_tick(v, 0, side, tick)
        v.level[0, tick].qty_lots = lots
    v.best[0, side] = levels[0][0] if levels else (EMPTY_BID if side == BUY else EMPTY_ASK)
    return levels
