"""Rules of accounts that hold positions, on views made by hand."""

import hashlib
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from stressbook.agents import basis_trader, directional, execution, hedger, holder, lender
from stressbook.agents.outbox import Outbox
from stressbook.agents.view import (
    ACCOUNT_VIEW,
    ASSET_VIEW,
    CLOCK,
    INSTRUMENT_VIEW,
    OWN_ORDER,
    TOKEN_VIEW,
    Accounts,
    Market,
    Me,
)
from stressbook.market.rules.listing import MarginTier
from stressbook.market.state.codes import (
    BUY,
    IOC,
    MODE_PORTFOLIO,
    MODE_UNIFIED,
    OP_DEPOSIT,
    OP_NEW,
    OP_REDEEM,
    OP_WITHDRAW,
    PERP,
    REDUCE_ONLY,
    SPOT,
)
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, MESSAGE, N_TICKS

BTC, HYPE = 0, 1
BTC_PERP, HYPE_PERP, BTC_SPOT, HYPE_SPOT = range(4)
PRICE = (80_000.0, 80.0)
LOT = (1e-5, 1e-2)
UNIT = (1_000_000, 10**10, 10**8)  # USDC, BTC, HYPE
TICK = 1.0, 0.001
LTV = 0.0, 0.5, 0.65
CAP = 10**15
MICRO = 1_000_000


class Toy:
    """Two assets with spot and perp, any number of accounts; orders fill at the middle."""

    def __init__(self, module, parameters, *, mode=MODE_PORTFOLIO, seed=7):
        n = len(parameters)
        self.module, self.parameters = module, parameters
        self.users = np.arange(n)
        self.memory = np.zeros(n, module.RULE.memory)
        self.accounts = Accounts(
            np.zeros(n, ACCOUNT_VIEW),
            np.zeros((n, 4), np.int64),
            np.zeros((n, 3), np.int64),
            np.zeros((n, 2, 2), np.int64),
            np.zeros((n, 4), np.int64),
            np.zeros((n, 4), np.int64),
            np.zeros(n + 1, np.int64),
            np.zeros(1, OWN_ORDER),
        )
        self.market = Market(
            np.zeros(1, CLOCK),
            np.zeros(4, INSTRUMENT_VIEW),
            np.zeros(2, ASSET_VIEW),
            np.zeros(3, TOKEN_VIEW),
        )
        self.out = Outbox(
            np.zeros(4 * n + 8, MESSAGE), np.zeros(2, np.int64), np.zeros((n, 2, 2), np.int64)
        )
        me = self.accounts.account
        me["user"], me["account_mode"] = self.users, mode
        me["key"] = self.users + (module.RULE.class_id << 20)
        clock = self.market.clock[0]
        clock.dt_ms, clock.seed_key0, clock.seed_key1 = 1000, seed, 3
        for asset in (BTC, HYPE):
            a = self.market.asset[asset]
            a.perp_inst, a.spot_inst, a.token, a.defence = asset, 2 + asset, 1 + asset, 1.0
            a.max_leverage = 40
            for inst in (asset, 2 + asset):
                i = self.market.inst[inst]
                i.asset, i.token = asset, 1 + asset
                i.kind = PERP if inst < 2 else SPOT
                i.lot_size, i.tick_usd = LOT[asset], TICK[asset]
                i.lot_units = round(LOT[asset] * UNIT[1 + asset])
            self.price(asset, PRICE[asset])
        for token in range(3):
            t = self.market.token[token]
            t.unit, t.ltv, t.asset = UNIT[token], LTV[token], token - 1
            t.user_supply_cap = t.user_borrow_cap = t.platform_headroom = t.pool = CAP
        self.market.token[0].borrow_rate = 0.05

    def me(self):
        return Me(*(part[0] for part in self.accounts[:6]), self.accounts.order[:0], self.memory[0])

    def price(self, asset, usd, *, spread_ticks=2):
        a = self.market.asset[asset]
        a.oracle_usd = a.mark_usd = usd
        for inst in (asset, 2 + asset):
            i = self.market.inst[inst]
            i.mid_usd = usd
            i.best_bid_tick = int(usd / i.tick_usd) - spread_ticks
            i.best_ask_tick = int(usd / i.tick_usd) + spread_ticks

    def funding(self, yearly):
        self.market.asset["funding_hourly"] = yearly / 8760.0

    def give(self, user, *, usdc=0.0, btc=0.0, hype=0.0, btc_perp=0.0, hype_perp=0.0):
        """Hand over money, tokens and perps entered at today's price; a debt where USDC lacks."""
        me = self.accounts
        me.account[user].cash_micro = max(0, round(usdc * MICRO))
        me.account[user].debt_micro = max(0, round(-usdc * MICRO))
        for asset, tokens, coins in ((BTC, btc, btc_perp), (HYPE, hype, hype_perp)):
            price = self.market.asset[asset].oracle_usd
            me.token[user, 1 + asset] = round(tokens * UNIT[1 + asset])
            me.position[user, asset] = round(coins / LOT[asset])
            me.account[user].cash_micro -= round(coins * price * MICRO)

    def step(self, seconds=1):
        """Let all accounts decide, at the next time; return the messages."""
        self.market.clock[0].t_ms += 1000 * seconds
        self.out.count[:] = 0
        self.module.RULE.run(
            self.accounts, self.market, self.users, self.parameters, self.memory, self.out
        )
        assert self.out.count[1] == 0
        return self.out.message[: self.out.count[0]]

    def fill(self, messages, share=1.0):
        """Execute messages: orders at the middle, without fees; borrow what cash lacks."""
        for m in messages:
            account = self.accounts.account[m.user]
            if m.op == OP_DEPOSIT:
                account.cash_micro += m.qty_lots
            elif m.op == OP_WITHDRAW:
                account.cash_micro -= m.qty_lots
            elif m.op == OP_NEW:
                lots = int(m.qty_lots * share)
                signed = lots if m.side == BUY else -lots
                i = self.market.inst[m.inst]
                account.cash_micro -= round(signed * i.lot_size * i.mid_usd * MICRO)
                if i.kind == PERP:
                    self.accounts.position[m.user, m.inst] += signed
                else:
                    self.accounts.token[m.user, i.token] += signed * i.lot_units

    def run(self, seconds, *, every=1, share=1.0):
        for _ in range(0, seconds, every):
            self.fill(self.step(every), share)

    def tokens_usd(self, user, asset):
        return self.accounts.token[user, 1 + asset] / UNIT[1 + asset] * self.oracle(asset)

    def perp_usd(self, user, asset):
        return self.accounts.position[user, asset] * LOT[asset] * self.oracle(asset)

    def oracle(self, asset):
        return float(self.market.asset[asset].oracle_usd)

    def wealth_usd(self, user):
        account = self.accounts.account[user]
        total = (account.cash_micro - account.debt_micro) / MICRO
        return total + sum(self.tokens_usd(user, a) + self.perp_usd(user, a) for a in (BTC, HYPE))


def basis_toy(n=1, *, mode=MODE_PORTFOLIO, asset=BTC, name="BTC", funding=0.3, **changes):
    params = basis_trader.BasisTraderParams(**changes)
    keys = np.arange(n) + (basis_trader.RULE.class_id << 20)
    r = basis_trader.account_parameters(params, keys, seed=7, asset=asset, name=name)
    r["equity_usd"] = 1e7
    r["pace_usd"] = 1e5
    toy = Toy(basis_trader, r, mode=mode)
    toy.funding(funding)
    toy.memory["funding_ema"] = funding
    for user in range(n):
        toy.give(user, usdc=1e7)
    return toy


def holder_toy(load=0.7, *, mode=MODE_PORTFOLIO, name="HYPE", asset=HYPE):
    keys = np.arange(1) + (holder.RULE.class_id << 20)
    r = holder.account_parameters(holder.HolderParams(), keys, seed=7, asset=asset, name=name)
    r["load"], r["pace_usd"], r["equity_usd"] = load, 1e4, 1e6
    return Toy(holder, r, mode=mode)


def hedger_toy(*, mode=MODE_PORTFOLIO, ratio=1.0):
    keys = np.arange(1) + (hedger.RULE.class_id << 20)
    r = hedger.account_parameters(hedger.HedgerParams(), keys, seed=7, asset=BTC, name="BTC")
    r["equity_usd"], r["clip_usd"], r["cover"] = 1e7, 1e5, 1.0
    toy = Toy(hedger, r, mode=mode)
    toy.memory["variance"], toy.memory["covariance"] = 1e-6, ratio * 1e-6
    return toy


def directional_toy(n=1, **changes):
    params = directional.DirectionalParams(**changes)
    keys = np.arange(n) + (directional.RULE.class_id << 20)
    r = directional.account_parameters(
        params, keys, seed=7, asset=BTC, name="BTC", tiers=[MarginTier(0.0, 40)]
    )
    return Toy(directional, r, mode=MODE_UNIFIED)


# --- children ------------------------------------------------------------------------------------


def take(toy, inst, lots, slippage=0.01):
    toy.out.count[:] = 0
    account = toy.accounts.account[0]
    sent = execution.take(toy.out, account, toy.market, inst, lots, slippage, 0)
    return sent, toy.out.message[: toy.out.count[0]]


def test_child_is_an_ioc_order_at_the_worst_price_allowed():
    toy = basis_toy()
    for lots, limit in ((500, 80_800), (-500, 79_200)):
        sent, (order,) = take(toy, BTC_PERP, lots)
        assert sent == lots
        assert (order.side == BUY) == (lots > 0)
        assert (order.tif, order.qty_lots, order.price_tick) == (IOC, 500, limit)


@pytest.mark.parametrize("lots", [12, -12, 0])
def test_nothing_is_sent_below_the_least_order_value(lots):
    assert take(basis_toy(), BTC_PERP, lots)[0] == 0  # 9.6 USD
    assert take(basis_toy(), BTC_PERP, 13)[0] == 13


@pytest.mark.parametrize("lots", [500, -500])
def test_nothing_is_sent_where_nothing_can_fill(lots):
    toy = basis_toy()
    book = toy.market.inst[BTC_PERP]
    book.best_bid_tick, book.best_ask_tick = EMPTY_BID, EMPTY_ASK
    assert take(toy, BTC_PERP, lots)[0] == 0
    book.best_bid_tick, book.best_ask_tick = 79_000, 81_000
    assert take(toy, BTC_PERP, lots)[0] == 0
    assert take(toy, BTC_PERP, lots, slippage=0.02)[0] == lots


def test_limits_stay_on_the_ladder():
    toy = basis_toy()
    (order,) = take(toy, BTC_PERP, 500, slippage=100.0)[1]
    assert order.price_tick == N_TICKS - 1
    (order,) = take(toy, BTC_PERP, -500, slippage=1.0)[1]
    assert order.price_tick == 1


@pytest.mark.parametrize(
    ("error_usd", "lots"), [(900.0, 625), (-900.0, -625), (100.0, 125), (-100.9, -126), (0.0, 0)]
)
def test_children_go_towards_zero_error(error_usd, lots):
    toy = basis_toy()
    account = toy.accounts.account[0]
    for held, sent in ((10**9, lots), (50, max(lots, -50))):
        args = toy.out, account, toy.market, BTC_PERP, error_usd, 500.0, held, 0.01
        assert execution.work(*args) == sent


def test_without_a_price_nothing_is_sent():
    toy = basis_toy()
    toy.market.inst[BTC_PERP].mid_usd = toy.market.asset[BTC].oracle_usd = 0.0
    args = toy.out, toy.accounts.account[0], toy.market, BTC_PERP
    assert execution.work(*args, 1e3, 1e3, 10**9, 0.01) == 0
    assert execution.take(*args, 500, 0.01, 0) == 0


def test_wealth_counts_every_asset_once():
    toy = basis_toy()
    toy.give(0, usdc=-1e6, btc=30.0, hype=-0.0, btc_perp=-20.0, hype_perp=100.0)
    me = toy.me()
    held = me.account, me.position, me.token, toy.market
    assert execution.wealth_usd(*held) == pytest.approx(30.0 * 8e4 - 1e6)
    toy.price(BTC, 90_000.0)
    assert execution.wealth_usd(*held) == pytest.approx(30.0 * 8e4 - 1e6 + 10 * 1e4)


# --- basis traders -------------------------------------------------------------------------------


def test_basis_trader_reaches_its_book_hedged():
    toy = basis_toy(5)
    toy.run(6 * 3600, every=10)
    for user in range(5):
        tokens, perp = toy.tokens_usd(user, BTC), toy.perp_usd(user, BTC)
        wealth = toy.wealth_usd(user)
        assert wealth == pytest.approx(1e7, rel=1e-6)
        assert 0.9 * wealth < tokens < 1.67 * wealth
        assert abs(tokens + perp) <= 0.0011 * wealth
        assert not len(toy.step(120))  # within its band it is silent


def test_basis_trader_buys_no_faster_than_its_pace():
    toy = basis_toy()
    seconds = 1800
    toy.run(seconds)
    orders = seconds * 1000 // toy.parameters[0].interval_ms + 1
    assert 0.0 < toy.tokens_usd(0, BTC) <= orders * toy.parameters[0].pace_usd


def test_hedge_follows_what_was_bought_not_what_was_wanted():
    toy = basis_toy()
    bought = 0
    for _ in range(3600):
        messages = toy.step()
        spot = [m for m in messages if m.inst == BTC_SPOT]
        perp = [m for m in messages if m.inst == BTC_PERP]
        assert all(
            toy.perp_usd(0, BTC) - m.qty_lots * LOT[BTC] * PRICE[BTC] + 1 > -bought for m in perp
        )
        toy.fill(spot, share=0.3)
        toy.fill(perp)
        bought = toy.tokens_usd(0, BTC) + 1.0
    assert toy.tokens_usd(0, BTC) + toy.perp_usd(0, BTC) == pytest.approx(0.0, abs=0.02 * 1e7)


def test_book_under_cross_leaves_cash_for_the_perp():
    toy = basis_toy(8, mode=MODE_UNIFIED)
    toy.run(6 * 3600, every=10)
    for user in range(8):
        p, tokens = toy.parameters[user], toy.tokens_usd(user, BTC)
        most = 1e7 / (1.0 + p.cross_margin_frac)
        assert 0.94 * most < tokens <= 1.001 * most
        assert 1.5 < 2.0 * tokens / 1e7 < 1.8


def test_borrowed_book_is_larger_and_keeps_below_the_user_cap():
    toy = basis_toy()
    toy.parameters["limit_frac"] = 1.0
    toy.run(8 * 3600, every=10)
    assert toy.tokens_usd(0, BTC) > 1.5e7
    capped = basis_toy()
    capped.parameters["limit_frac"] = 1.0
    capped.market.token[0].user_borrow_cap = 2_000_000 * MICRO
    capped.run(8 * 3600, every=10)
    book = capped.tokens_usd(0, BTC)
    assert 1.1 * book - 1e7 < 0.9 * 2e6
    # What is owned and may be owed backs the perp as under cross: a rise brings no credit.
    most = (1e7 + 0.9 * 2e6) / (1.0 + capped.parameters[0].cross_margin_frac)
    assert 0.94 * most < book <= 1.001 * most


@pytest.mark.parametrize("field", ["platform_headroom", "pool"])
def test_without_anything_to_lend_the_book_is_own_money(field):
    toy = basis_toy()
    toy.market.token[0][field] = -5
    toy.run(6 * 3600, every=10)
    assert toy.tokens_usd(0, BTC) <= 1e7 / 1.1 * 1.001


def test_borrow_rate_comes_off_what_is_borrowed_only():
    toy = basis_toy()
    toy.market.token[0].borrow_rate = 0.9
    toy.run(6 * 3600, every=10)
    assert toy.tokens_usd(0, BTC) == pytest.approx(1e7 / 1.1, rel=0.05)


def test_no_carry_no_book():
    toy = basis_toy(funding=0.02)
    toy.give(0, usdc=2e6, btc=100.0, btc_perp=-100.0)
    toy.run(24 * 3600, every=10)
    assert toy.tokens_usd(0, BTC) < 0.03 * 1e7
    assert abs(toy.tokens_usd(0, BTC) + toy.perp_usd(0, BTC)) < 0.0011 * 1e7


def test_funding_is_averaged_with_the_own_half_life():
    toy = basis_toy(funding=0.0)
    toy.memory["funding_ema"] = 0.4
    halflife_h = 18.0 * (0.4 + 1.2 * 0.5)
    toy.run(int(halflife_h * 3600), every=10)
    assert 0.1 < toy.memory["funding_ema"][0] < 0.3


@pytest.mark.parametrize(
    ("tokens", "perp", "side"),
    [(100.0, 0.0, "sell"), (0.0, -100.0, "buy"), (100.0, 100.0, "sell"), (100.0, -250.0, "buy")],
    ids=["perp gone", "tokens gone", "sign turned", "short too much"],
)
def test_lost_leg_is_hedged_again_and_never_doubled(tokens, perp, side):
    toy = basis_toy()
    toy.give(0, usdc=2e6, btc=tokens, btc_perp=perp)
    error = abs(tokens + perp)
    for _ in range(4 * 3600):
        messages = [m for m in toy.step() if m.inst == BTC_PERP]
        assert all((m.side == BUY) == (side == "buy") for m in messages if error > 1.0)
        toy.fill(messages)
        held = toy.accounts.token[0, 1] / UNIT[1] + toy.accounts.position[0, BTC] * LOT[BTC]
        assert abs(held) <= error + 1e-9
        error = abs(held)
    assert error * PRICE[BTC] < 0.0011 * max(toy.wealth_usd(0), 1e7)


def test_random_sign_flips_are_survived():
    toy = basis_toy(6)
    flips = random.Random(4)
    for _ in range(60):
        user = flips.randrange(6)
        toy.accounts.position[user, BTC] = flips.choice((-1, 0, 1)) * flips.randrange(20_000_000)
        for _ in range(20):
            before = [toy.tokens_usd(u, BTC) + toy.perp_usd(u, BTC) for u in range(6)]
            messages = toy.step(10)
            for m in messages[messages["inst"] == BTC_PERP]:
                signed = m.qty_lots if m.side == BUY else -m.qty_lots
                change = signed * LOT[BTC] * PRICE[BTC]
                assert abs(before[m.user] + change) < abs(before[m.user])
            toy.fill(messages)


def test_strained_account_halves_its_book_unless_defence_is_off():
    for defence, sells in ((1.0, True), (0.0, False)):
        toy = basis_toy()
        toy.give(0, usdc=-3e6, btc=162.5, btc_perp=-162.5)
        toy.memory["funding_ema"] = 1.0
        toy.accounts.account["ratio"] = 0.9
        toy.market.asset["defence"] = defence
        sold = [m for m in toy.step(120) if m.inst == BTC_SPOT and m.side != BUY]
        assert bool(sold) == sells


def test_breached_account_leaves_it_to_the_venue():
    toy = basis_toy()
    toy.accounts.account["breached"] = 1
    assert not len(toy.step(120))


def test_messages_under_way_are_not_sent_twice():
    toy = basis_toy()
    toy.accounts.account["n_pending"] = 1
    assert not len(toy.step(120))


# --- hedgers -------------------------------------------------------------------------------------


def test_hedger_opens_its_basket_short():
    toy = hedger_toy(ratio=0.8)
    toy.give(0, btc=125.0)
    toy.run(3600, every=10)
    assert toy.perp_usd(0, BTC) == pytest.approx(-0.8 * 0.71 * 1e7, rel=0.06)
    assert toy.perp_usd(0, HYPE) == pytest.approx(-0.8 * 0.29 * 1e7, rel=0.06)


@pytest.mark.parametrize(("ratio", "used"), [(0.1, 0.5), (0.9, 0.9), (3.0, 1.2), (-2.0, 0.5)])
def test_hedge_ratio_is_bounded(ratio, used):
    toy = hedger_toy(ratio=ratio)
    me = toy.me()
    assert hedger.hedge_ratio(me, toy.parameters[0]) == pytest.approx(used)


def test_ratio_is_learnt_from_returns():
    toy = hedger_toy(ratio=1.0)
    toy.parameters["sample_weight"] = 0.05
    walk = random.Random(5)
    price = 80_000.0
    for _ in range(600):
        price *= 1.0 + walk.gauss(0.0, 0.002)
        toy.price(BTC, price)
        toy.price(HYPE, PRICE[HYPE])
        toy.step(300)
    # HYPE stands still: only 0.71 of the basket moves with the coin.
    me = toy.me()
    assert toy.memory[0].covariance / toy.memory[0].variance == pytest.approx(1 / 0.71, rel=0.02)
    assert hedger.hedge_ratio(me, toy.parameters[0]) == pytest.approx(1.2)


def test_hedger_is_silent_within_its_band():
    toy = hedger_toy()
    toy.give(0, btc=125.0, btc_perp=-0.71 * 125 * 1.04, hype_perp=-0.29 * 125e3 * 0.96)
    assert not len(toy.step(120))
    toy.give(0, btc=125.0, btc_perp=-0.71 * 125 * 1.06, hype_perp=-0.29 * 125e3)
    (order,) = toy.step(120)
    assert (order.inst, order.side) == (BTC_PERP, BUY)


def test_turned_basket_is_brought_back():
    toy = hedger_toy()
    toy.give(0, btc=125.0, btc_perp=80.0, hype_perp=50_000.0)
    errors = [abs(toy.perp_usd(0, a)) for a in (BTC, HYPE)]
    for _ in range(300):
        messages = toy.step(60)
        for m in messages[messages["inst"] < 2]:
            target = -(0.71, 0.29)[m.inst] * toy.tokens_usd(0, BTC)
            error = target - toy.perp_usd(0, m.inst)
            assert (m.side == BUY) == (error > 0)
            assert m.qty_lots * LOT[m.inst] * PRICE[m.inst] <= abs(error) + 1e-6
        toy.fill(messages)
    assert toy.perp_usd(0, BTC) == pytest.approx(-0.71 * toy.tokens_usd(0, BTC), rel=0.06)
    assert errors


def test_hedger_under_cross_keeps_usdc_for_its_basket():
    toy = hedger_toy(mode=MODE_UNIFIED)
    toy.give(0, btc=125.0)
    toy.run(4 * 3600, every=10)
    margin = float(toy.parameters[0].cross_margin_frac)
    assert toy.tokens_usd(0, BTC) == pytest.approx(1e7 / (1.0 + margin), rel=0.06)


def test_hedger_under_portfolio_margin_sells_tokens_only_beyond_its_load():
    for debt, sells in ((2.8e6, False), (3.2e6, True)):
        toy = hedger_toy()
        toy.give(0, usdc=-debt, btc=125.0, btc_perp=-88.75, hype_perp=-36_250.0)
        sold = [m for m in toy.step(120) if m.inst == BTC_SPOT]
        assert [m.side != BUY for m in sold] == [True] * sells
        toy.market.asset["defence"] = 0.0
        assert not [m for m in toy.step(120) if m.inst == BTC_SPOT]


# --- holders -------------------------------------------------------------------------------------


def load_of(toy, asset=HYPE):
    account = toy.accounts.account[0]
    borrowed = (account.debt_micro - account.cash_micro) / MICRO
    return borrowed / (LTV[1 + asset] * toy.tokens_usd(0, asset))


def test_holder_borrows_up_to_its_load():
    toy = holder_toy(0.7)
    toy.give(0, hype=12_500.0)
    toy.run(3 * 24 * 3600, every=60)
    assert load_of(toy) == pytest.approx(0.7, abs=0.01)
    assert toy.tokens_usd(0, HYPE) / 1e6 == pytest.approx(1.0 / (1.0 - 0.7 * 0.65), rel=0.02)
    assert not len(toy.step(600))


@pytest.mark.parametrize(("load", "trades"), [(0.77, 0), (0.63, 0), (0.79, -1), (0.61, 1)])
def test_holder_trades_outside_its_band_only(load, trades):
    toy = holder_toy(0.7)
    toy.give(0, usdc=-load * 0.65 * 1e6, hype=12_500.0)
    signs = [1 if m.side == BUY else -1 for m in toy.step(600)]
    assert signs == [trades] * abs(trades)


def test_fall_makes_a_holder_sell_slowly_back_to_its_target():
    toy = holder_toy(0.7)
    toy.give(0, usdc=-0.7 * 0.65 * 1e6, hype=12_500.0)
    toy.price(HYPE, 66.0)
    (order,) = toy.step(600)
    assert order.qty_lots * LOT[HYPE] * 66.0 <= 1e4
    toy.fill([order])
    toy.run(3 * 24 * 3600, every=60)
    assert load_of(toy) == pytest.approx(0.7, abs=0.01)


def test_holder_keeps_everything_where_defence_is_off():
    toy = holder_toy(0.7)
    toy.give(0, usdc=-0.9 * 0.65 * 1e6, hype=12_500.0)
    toy.market.asset["defence"] = 0.0
    assert not len(toy.step(600))


def test_holder_pays_back_when_borrowing_is_too_dear():
    toy = holder_toy(0.7)
    toy.give(0, usdc=-0.7 * 0.65 * 1e6, hype=12_500.0)
    tolerance = float(toy.parameters[0].rate_tolerance)
    for rate, load in ((1.5, 0.35), (2.1, 0.0)):
        toy.market.token[0].borrow_rate = rate * tolerance
        toy.run(5 * 24 * 3600, every=60)
        assert load_of(toy) == pytest.approx(load, abs=0.01)


def test_holder_keeps_below_the_user_cap():
    toy = holder_toy(0.7)
    toy.give(0, hype=12_500.0)
    toy.market.token[0].user_borrow_cap = 200_000 * MICRO
    toy.run(3 * 24 * 3600, every=60)
    account = toy.accounts.account[0]
    assert 0.8 * 2e5 < (account.debt_micro - account.cash_micro) / MICRO < 0.95 * 2e5


def test_holder_under_cross_does_nothing():
    toy = holder_toy(0.7, mode=MODE_UNIFIED)
    toy.give(0, hype=12_500.0)
    assert not len(toy.step(600))


# --- renewal -------------------------------------------------------------------------------------


def ruined_toys():
    """Return one account of each class that has lost nine tenths of its money."""
    basis = basis_toy()
    basis.give(0, usdc=2e5, btc=10.0, btc_perp=-10.0)
    hedge = hedger_toy()
    hedge.give(0, usdc=2e5, btc=10.0, btc_perp=-7.1, hype_perp=-2_900.0)
    hold = holder_toy()
    hold.parameters["equity_usd"] = 1e7
    hold.give(0, hype=12_500.0)
    return basis, hedge, hold


def test_ruined_accounts_give_up_and_are_replaced():
    for toy in ruined_toys():
        wealth = toy.wealth_usd(0)
        assert wealth < 0.25 * 1e7
        deposits = 0
        toy.step(200)
        back_s = int(toy.memory[0].back_ms) // 1000 - 200
        assert 0 < back_s < 10 * 86_400
        for _ in range(0, back_s, 200):
            messages = toy.step(200)
            toy.fill(messages)
            if toy.memory[0].back_ms == 0:
                deposits += int((messages["op"] == OP_DEPOSIT).sum())
                break
        toy.run(1000, every=200)
        assert toy.wealth_usd(0) == pytest.approx(1e7, rel=1e-3)
        assert toy.memory[0].back_ms == 0


def test_who_is_away_sells_out():
    for toy in ruined_toys():
        toy.step(200)
        toy.memory["back_ms"] = 10**12
        toy.run(4 * 3600, every=100)
        assert sum(toy.tokens_usd(0, asset) for asset in (BTC, HYPE)) < 0.05 * 1e7
        assert abs(toy.perp_usd(0, BTC)) + abs(toy.perp_usd(0, HYPE)) < 0.05 * 1e7


def test_short_runs_go_without_renewal():
    for toy in ruined_toys():
        toy.parameters["renewal_ms"] = 0
        toy.run(1000, every=200)
        assert toy.memory[0].back_ms == 0


def test_large_winnings_are_taken_out_as_far_as_they_are_free():
    for available, taken in ((1e8, 1e7), (1e6, 0.9e6)):
        toy = basis_toy()
        toy.give(0, usdc=5e7)
        toy.accounts.account["available_usd"] = available
        (order,) = [m for m in toy.step(200) if m.op == OP_WITHDRAW]
        assert order.qty_lots == pytest.approx(taken * MICRO)


# --- directional traders -------------------------------------------------------------------------


def test_trader_enters_holds_leaves_and_waits():
    toy = directional_toy(12, hold_h={"BTC": 2.0}, flat_h={"BTC": 1.0})
    phases = [set() for _ in range(12)]
    largest = np.zeros(12)
    for _ in range(20 * 360):
        messages = toy.step(10)
        for m in messages[messages["op"] == OP_NEW]:
            leaving = toy.memory[m.user].phase == directional.LEAVING
            assert bool(m["options"] & REDUCE_ONLY) == leaving
        toy.fill(messages)
        largest = np.maximum(largest, np.abs(toy.accounts.position[:, BTC]))
        for user in range(12):
            phases[user].add(int(toy.memory[user].phase))
    assert all(len(seen) == 4 for seen in phases)
    wanted = toy.parameters["equity_usd"] * toy.parameters["leverage"] / (LOT[BTC] * PRICE[BTC])
    assert largest == pytest.approx(wanted, abs=1.0)


@pytest.mark.parametrize("money", [0.0, 0.3, 1.0, 4.0])
def test_money_is_the_same_at_each_entry(money):
    toy = directional_toy()
    equity = float(toy.parameters[0].equity_usd)
    toy.give(0, usdc=money * equity)
    messages = toy.step(10)
    assert [m.op for m in messages] == {
        0.0: [OP_DEPOSIT],
        0.3: [OP_DEPOSIT],
        1.0: [],
        4.0: [OP_WITHDRAW],
    }[money] or (money == 1.0 and len(messages) <= 1)
    toy.fill(messages)
    assert toy.accounts.account[0].cash_micro == int(equity * MICRO)


def test_entry_takes_sixty_children():
    toy = directional_toy()
    toy.fill(toy.step(10))
    sizes = []
    while toy.memory[0].phase == directional.ENTERING:
        messages = toy.step(10)
        toy.fill(messages)
        sizes += [int(m.qty_lots) for m in messages]
    assert len(sizes) in (59, 60)
    assert max(sizes) - min(sizes[:-1]) == 0


def test_liquidated_trader_comes_back_with_new_money():
    toy = directional_toy(flat_h={"BTC": 0.5})
    toy.fill(toy.step(10))
    toy.run(700, every=10)
    assert toy.accounts.position[0, BTC] != 0
    toy.accounts.account["breached"] = 1
    assert not len(toy.step(10))
    toy.accounts.account["breached"] = 0
    toy.accounts.position[0, BTC], toy.accounts.account["cash_micro"] = 0, 17
    assert not len(toy.step(10))
    assert toy.memory[0].phase == directional.FLAT
    toy.run(6 * 3600, every=10)
    assert toy.accounts.position[0, BTC] != 0


def test_turned_or_left_over_position_is_closed():
    for phase in (directional.FLAT, directional.LEAVING):
        for lots in (900, -900):
            toy = directional_toy()
            toy.memory["phase"], toy.memory["child_lots"] = phase, 400
            toy.memory["until_ms"] = 10**12
            toy.accounts.position[0, BTC] = lots
            toy.run(40, every=10)
            assert toy.accounts.position[0, BTC] == 0


def test_sides_follow_bias_and_shared_sentiment():
    toy = directional_toy(4000, sentiment_sd=0.0, long_bias={"BTC": 0.1})
    toy.step(10)
    assert (toy.memory["target_lots"] > 0).mean() == pytest.approx(0.6, abs=0.035)
    p = directional_toy(1, sentiment_sd=0.05).parameters[0]
    path = np.array([directional.sentiment(1, 2, p, 5000 + hour) for hour in range(3000)])
    assert path.std() == pytest.approx(0.05, rel=0.15)
    lag = np.corrcoef(path[:-6], path[6:])[0, 1]
    assert lag == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("yearly", "share_of_longs"),
    [(0.1095, 0.6), (0.3095, 0.5), (-0.0905, 0.7), (5.0, 0.02), (-5.0, 0.98)],
)
def test_sides_lean_against_dear_funding(yearly, share_of_longs):
    toy = directional_toy(4000, sentiment_sd=0.0, long_bias={"BTC": 0.1}, funding_aversion=0.5)
    toy.funding(yearly)
    toy.step(2 * 3600)
    assert (toy.memory["target_lots"] > 0).mean() == pytest.approx(share_of_longs, abs=0.035)


def test_before_the_first_booking_funding_tells_nothing():
    toy = directional_toy(4000, sentiment_sd=0.0, long_bias={"BTC": 0.1}, funding_aversion=0.5)
    toy.funding(-5.0)
    toy.step(1800)
    assert (toy.memory["target_lots"] > 0).mean() == pytest.approx(0.6, abs=0.035)


def test_leverage_is_bounded_by_the_tier_of_the_position():
    tiers = [MarginTier(0.0, 10), MarginTier(20e6, 5)]
    keys = np.arange(140) + (directional.RULE.class_id << 20)
    r = directional.account_parameters(
        directional.DirectionalParams(gross_usd={"HYPE": 3e9}),
        keys,
        seed=7,
        asset=HYPE,
        name="HYPE",
        tiers=tiers,
    )
    notional = r["equity_usd"] * r["leverage"]
    assert notional.sum() == pytest.approx(3e9 * 1.5)
    assert notional.max() <= 0.015 * 3e9 * (1 + 1e-9)
    assert r["leverage"][notional > 20e6].max() <= 4.0
    assert r["leverage"].max() <= 8.0
    for one, size in zip(r["leverage"], notional, strict=True):
        setting = directional.leverage_setting(float(one), float(size), tiers)
        assert one < setting <= (5 if size >= 20e6 else 10)


def test_multiplied_leverage_keeps_positions_and_divides_money():
    keys = np.arange(160) + (directional.RULE.class_id << 20)
    one, two = (
        directional.account_parameters(
            directional.DirectionalParams(leverage_multiplier=m),
            keys,
            seed=7,
            asset=BTC,
            name="BTC",
            tiers=[MarginTier(0.0, 40)],
        )
        for m in (1.0, 2.0)
    )
    assert two["equity_usd"] * two["leverage"] == pytest.approx(one["equity_usd"] * one["leverage"])
    assert (two["leverage"] <= 36.0).all()
    low = one["leverage"] < 18.0
    assert two["equity_usd"][low] == pytest.approx(one["equity_usd"][low] / 2.0)


# --- basis traders where tokens are lent ---------------------------------------------------------


def two_way_toy(*, funding=-0.6, borrow_rate=0.05, borrowable=1, mode=MODE_PORTFOLIO):
    toy = basis_toy(funding=funding, mode=mode)
    toy.market.token["borrowable"] = borrowable
    toy.market.token[1].borrow_rate = borrow_rate
    return toy


def wanted_usd(toy):
    return basis_trader.target_usd(toy.me(), toy.market, toy.parameters[0], 1e7, 0.0)


def test_basis_trader_goes_short_of_a_token_that_it_may_borrow():
    toy = two_way_toy()
    toy.run(4 * 3600, every=20)
    p = toy.parameters[0]
    # Own capital secures value / LTV: 1e7 x limit / (1 / .5 - 1 + .1).
    most = float(p.limit_frac) * 1e7 / (2.0 - 1.0 + 0.1)
    assert toy.tokens_usd(0, BTC) == pytest.approx(-most, rel=0.02)
    assert toy.perp_usd(0, BTC) == pytest.approx(most, rel=0.02)
    assert toy.wealth_usd(0) == pytest.approx(1e7)
    # And back once the funding no longer pays.
    toy.funding(0.0)
    toy.memory["funding_ema"] = 0.0
    toy.run(8 * 3600, every=20)
    assert abs(toy.tokens_usd(0, BTC)) < 0.02 * most
    assert abs(toy.perp_usd(0, BTC)) < 0.03 * most


def test_the_short_is_worth_the_carry_net_of_interest():
    p = two_way_toy().parameters[0]
    carry = 0.3 - float(p.hurdle_frac) - float(p.round_trip_frac) / float(p.horizon_years) - 0.27
    expected = -1e7 * float(p.kappa) * carry if carry > 0.0 else 0.0
    assert wanted_usd(two_way_toy(funding=-0.3, borrow_rate=0.27)) == pytest.approx(expected)
    assert wanted_usd(two_way_toy(funding=-0.3, borrow_rate=0.35)) == 0.0
    assert wanted_usd(two_way_toy(funding=-0.3, borrow_rate=0.05)) < 0.0


@pytest.mark.parametrize(
    "changes", [{"borrowable": 0}, {"mode": MODE_UNIFIED}, {"funding": 0.3}, {"borrow_rate": 0.7}]
)
def test_where_it_may_not_or_would_not_pay_it_is_never_short(changes):
    toy = two_way_toy(**changes)
    toy.run(3600, every=20)
    assert toy.tokens_usd(0, BTC) >= 0.0


def test_cap_and_pool_bound_the_short():
    for field, share in (("user_borrow_cap", basis_trader.CAP_SHARE), ("pool", 1.0)):
        toy = two_way_toy()
        toy.market.token[1][field] = 10 * UNIT[1]
        assert wanted_usd(toy) == pytest.approx(-share * 10 * PRICE[BTC])


def test_in_distress_half_of_a_short_is_bought_back():
    toy = two_way_toy()
    toy.give(0, usdc=1e7 + 2e6, btc=-25.0, btc_perp=25.0)
    toy.accounts.account[0].ratio = 0.9
    toy.run(2 * 3600, every=20)
    assert toy.tokens_usd(0, BTC) > -0.51 * 2e6


# --- lenders -------------------------------------------------------------------------------------


def lender_toy(run_per_hour):
    r = lender.account_parameters(lender.LenderParams(), np.array([lender.RULE.class_id << 20]))
    r["run_per_hour"] = run_per_hour
    toy = Toy(lender, r, mode=MODE_UNIFIED)
    toy.memory["left_micro"] = r["supply_micro"]
    return toy


def test_lender_stays_in_calm():
    toy = lender_toy(0.0)
    assert not any(len(toy.step(60)) for _ in range(100))


def test_run_takes_out_its_share_of_what_the_pool_holds():
    toy = lender_toy(0.6)
    (order,) = toy.step(60)
    assert (order.op, order.qty_lots) == (OP_REDEEM, 4_163_000_000_000)
    toy.market.token[0].pool = 5
    (order,) = toy.step(60)
    assert order.qty_lots == 5
    toy.market.token[0].pool = 0
    assert not len(toy.step(60))


def test_a_stress_adds_to_the_hazard_of_leaving_and_calm_ends_the_run():
    toy = lender_toy(0.6)
    toy.market.token[0].run_per_hour = 5.4
    (order,) = toy.step(60)
    assert order.qty_lots == 41_630_000_000_000  # a tenth of 416.3 M USD in a minute
    toy.market.token[0].run_per_hour = 0.0
    (order,) = toy.step(60)
    assert order.qty_lots == round(0.01 * 0.9 * 416_300_000_000_000)


# --- one source, two ways to run it --------------------------------------------------------------


def digest():
    """Run every rule through a shaken market and return the hash of all messages and memories."""
    hashed = hashlib.sha256()
    shake = random.Random(11)
    toys = [
        basis_toy(4),
        basis_toy(4, mode=MODE_UNIFIED, asset=HYPE, name="HYPE"),
        hedger_toy(),
        hedger_toy(mode=MODE_UNIFIED),
        holder_toy(),
        directional_toy(6, flat_h={"BTC": 0.2}, hold_h={"BTC": 0.3}),
        lender_toy(0.5),
    ]
    for toy in toys[2:5]:
        toy.give(0, btc=100.0, hype=10_000.0)
    for toy in toys:
        n = len(toy.users)
        for _ in range(150):
            for asset in (BTC, HYPE):
                toy.price(asset, toy.oracle(asset) * (1.0 + shake.gauss(0.0, 0.01)))
            toy.funding(shake.uniform(-0.2, 0.8))
            if shake.random() < 0.2:
                user, asset = shake.randrange(n), shake.randrange(2)
                toy.accounts.position[user, asset] *= shake.choice((-1, 0, 2))
            messages = toy.step(20)
            hashed.update(messages.tobytes())
            toy.fill(messages, shake.random())
        hashed.update(toy.memory.tobytes())
        hashed.update(toy.accounts.position.tobytes() + toy.accounts.token.tobytes())
    return hashed.hexdigest()


@pytest.mark.slow
def test_compiled_rules_equal_plain_python_to_the_bit():
    other = "0" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "1"
    code = f"import runpy; print(runpy.run_path({__file__!r})['digest']())"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": other},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.strip() == digest()
