"""Rules of accounts that quote and take, on views made by hand."""

import hashlib
import os
import random
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stressbook.agents import arbitrageur, dip_buyer, market_maker, order_flow
from stressbook.agents.arbitrageur import ArbitrageurParams
from stressbook.agents.dip_buyer import DipBuyerParams
from stressbook.agents.ladder_shape import level_sizes
from stressbook.agents.market_maker import MarketMakerParams
from stressbook.agents.order_flow import OrderFlowParams
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
)
from stressbook.experiments.scenario import load_scenario
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.state.codes import (
    BUY,
    IOC,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_NEW,
    OP_WITHDRAW,
    OWN_MOVE,
    PERP,
    POST_ONLY,
    SELL,
    SPOT,
)
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, MESSAGE, N_TICKS

PERP_INST, SPOT_INST = 0, 1
PRICE, LOT, TICK, UNIT = 80_000.0, 1e-5, 1.0, 10**8
LOT_UNITS = round(LOT * UNIT)
MICRO = 1_000_000
LEVERAGE = 40
LEG = {SPOT: SPOT_INST, PERP: PERP_INST}


class Pit:
    """One asset with spot and perp, prices of the outside, and the accounts of one class.

    Orders rest as they are sent and nothing fills unless a test says so.
    """

    def __init__(self, module, parameters, *, seed=7):
        n = len(parameters)
        self.module, self.parameters, self.users = module, parameters, np.arange(n)
        self.memory = np.zeros(n, module.RULE.memory)
        self.accounts = Accounts(
            np.zeros(n, ACCOUNT_VIEW),
            np.zeros((n, 2), np.int64),
            np.zeros((n, 2), np.int64),
            np.zeros((n, 1, 2), np.int64),
            np.zeros((n, 2), np.int64),
            np.full((n, 2), LEVERAGE),
            np.zeros(n + 1, np.int64),
            np.zeros(64 * n, OWN_ORDER),
        )
        self.market = Market(
            np.zeros(1, CLOCK),
            np.zeros(2, INSTRUMENT_VIEW),
            np.zeros(1, ASSET_VIEW),
            np.zeros(2, TOKEN_VIEW),
        )
        self.out = Outbox(
            np.zeros(80 * n, MESSAGE), np.zeros(2, np.int64), np.zeros((n, 1, 2), np.int64)
        )
        self.resting = [[] for _ in range(n)]
        self.n_withdrawn = 0
        me = self.accounts.account
        me["user"], me["key"] = self.users, self.users + (module.RULE.class_id << 20)
        self.accounts.token[:, 1] = parameters["spot_lots"] * LOT_UNITS
        me["cash_micro"] = parameters["equity_usd"] * MICRO
        me["equity_usd"] = me["available_usd"] = parameters["equity_usd"]
        clock = self.market.clock[0]
        clock.dt_ms, clock.seed_key0, clock.seed_key1 = 1000, seed, 3
        self.market.token["unit"] = MICRO, UNIT
        for kind, inst in LEG.items():
            book = self.market.inst[inst]
            book.kind, book.token, book.lot_size, book.tick_usd = kind, 1, LOT, TICK
            book.lot_units = LOT_UNITS
        asset = self.market.asset[0]
        asset.perp_inst, asset.spot_inst, asset.token = PERP_INST, SPOT_INST, 1
        asset.volatility_ratio = asset.venue_depth = asset.arbitrage = asset.defence = 1.0
        asset.spot_half_spread = asset.perp_half_spread = 0.00003
        asset.spot_impact_per_musd = asset.perp_impact_per_musd = 0.3e-4
        self.outside(PRICE)
        self.book(PERP_INST, EMPTY_BID, EMPTY_ASK)
        self.book(SPOT_INST, EMPTY_BID, EMPTY_ASK)

    @property
    def asset(self):
        return self.market.asset[0]

    def outside(self, usd, perp_usd=None):
        """Move the prices that everybody sees."""
        a = self.asset
        a.oracle_usd = a.mark_usd = a.outside_spot_usd = usd
        a.outside_perp_usd = usd if perp_usd is None else perp_usd

    def book(self, inst, bid_tick, ask_tick, *, depth_usd=1e6):
        """Show a best bid and ask."""
        b = self.market.inst[inst]
        b.best_bid_tick, b.best_ask_tick = bid_tick, ask_tick
        b.bid_depth_usd = b.ask_depth_usd = depth_usd
        if bid_tick > EMPTY_BID and ask_tick < EMPTY_ASK:
            b.mid_usd = 0.5 * (bid_tick + ask_tick) * b.tick_usd

    def step(self, seconds=1):
        """Let all accounts decide at the next time; rest what they sent; return the messages."""
        self.market.clock[0].t_ms += 1000 * seconds
        self.out.count[:] = 0
        self.out.outside[:] = 0
        self._show_orders()
        self.module.RULE.run(
            self.accounts, self.market, self.users, self.parameters, self.memory, self.out
        )
        assert self.out.count[1] == 0
        messages = self.out.message[: self.out.count[0]].copy()
        for m in messages:
            self._execute(m)
        return messages

    def _show_orders(self):
        n = 0
        for user, orders in enumerate(self.resting):
            self.accounts.order_start[user] = n
            for order in reversed(orders):  # the newest first
                self.accounts.order[n] = tuple(order)
                n += 1
            self.accounts.account[user].n_orders = len(orders)
        self.accounts.order_start[-1] = n

    def _execute(self, m):
        orders = self.resting[m.user]
        if m.op == OP_NEW:
            assert m.qty_lots > 0
            assert 0 < m.price_tick < N_TICKS
            assert m.client_id == 0 or m.client_id not in [o[4] for o in orders]
            if m.tif != IOC:
                orders.append([m.inst, m.side, m.price_tick, m.qty_lots, m.client_id])
        elif m.op == OP_CANCEL_CLIENT_ID:
            orders[:] = [o for o in orders if o[4] != m.client_id]
        elif m.op == OP_CANCEL_ALL:
            orders.clear()
        elif m.op in (OP_DEPOSIT, OP_WITHDRAW):
            self._transfer(m)

    def _transfer(self, m):
        units = int(m.qty_lots) if m.op == OP_DEPOSIT else -int(m.qty_lots)
        if m.inst == 0:
            self.accounts.account[m.user].cash_micro += units
        else:
            self.accounts.token[m.user, m.inst] += units
            if m["options"] & OWN_MOVE:
                self.accounts.outside[m.user, 0, OUTSIDE_SPOT] -= units // LOT_UNITS

    def settle_outside(self):
        """Fill what was sent outside."""
        self.accounts.outside[:] += self.out.outside
        sent = self.out.outside.copy()
        self.out.outside[:] = 0
        return sent

    def quotes(self, user, kind, side):
        """Return (tick, lots) of the resting quotes of one side, from the touch outwards."""
        found = [o[2:4] for o in self.resting[user] if o[0] == LEG[kind] and o[1] == side]
        return sorted(found, reverse=side == BUY)


def keys_of(module, n):
    return np.arange(n) + (module.RULE.class_id << 20)


def maker_pit(n=8, **changes):
    params = replace(MarketMakerParams(), **{"late_frac": 0.0, **changes})
    return Pit(
        market_maker,
        market_maker.account_parameters(
            params,
            keys_of(market_maker, n),
            seed=7,
            asset=0,
            name="BTC",
            price_usd=PRICE,
            lot_size=LOT,
        ),
    )


def arbitrage_pit(**changes):
    params = replace(ArbitrageurParams(), **changes)
    return Pit(
        arbitrageur,
        arbitrageur.account_parameters(
            params,
            keys_of(arbitrageur, 3),
            asset=0,
            name="BTC",
            price_usd=PRICE,
            lot_size=LOT,
        ),
    )


def book_pit(module, params, n, kind, **seed):
    return Pit(
        module,
        module.account_parameters(
            params,
            keys_of(module, n),
            **seed,
            asset=0,
            name="BTC",
            inst=LEG[kind],
            kind=kind,
            price_usd=PRICE,
            lot_size=LOT,
        ),
    )


def flow_pit(n=10, kind=PERP, **changes):
    return book_pit(order_flow, replace(OrderFlowParams(), **changes), n, kind)


def dip_pit(n=2, kind=PERP, **changes):
    return book_pit(dip_buyer, replace(DipBuyerParams(), **changes), n, kind, seed=7)


def usd(lots, price=PRICE):
    return lots * LOT * price


# --- market makers -------------------------------------------------------------------------------


def test_maker_quotes_both_sides_around_the_outside_price_of_each_leg():
    pit = maker_pit(distance_spread=0.0)
    pit.outside(PRICE, perp_usd=PRICE + 100.0)
    pit.step()
    for kind, fair in ((SPOT, PRICE), (PERP, PRICE + 100.0)):
        table = (
            MarketMakerParams().distance_spot_bp
            if kind == SPOT
            else (MarketMakerParams().distance_perp_bp)
        )
        for level, bp in enumerate(table["BTC"]):
            user = next(
                u for u in range(8) if (u + level) % MarketMakerParams().level_every[level] == 0
            )
            bids = [tick for tick, _ in pit.quotes(user, kind, BUY)]
            asks = [tick for tick, _ in pit.quotes(user, kind, SELL)]
            assert min(abs(tick - fair * (1 - bp * 1e-4)) for tick in bids) < 1.0
            assert min(abs(tick - fair * (1 + bp * 1e-4)) for tick in asks) < 1.0


@pytest.mark.parametrize(("kind", "depth"), [(SPOT, 1e6), (PERP, 10e6)])
def test_makers_together_show_the_stated_depth_and_its_power_of_distance(kind, depth):
    pit = maker_pit()
    pit.step()

    def within(bp):
        return sum(
            usd(lots)
            for user in range(8)
            for tick, lots in pit.quotes(user, kind, SELL)
            if tick <= PRICE * (1 + bp * 1e-4)
        )

    assert within(10) == pytest.approx(depth, rel=0.25)
    assert within(58) == pytest.approx(depth * 5**0.8, rel=0.02)


def test_sizes_of_makers_fall_with_rank():
    r = maker_pit().parameters
    outer = r["size_usd"][:, market_maker.N_LEVELS - 1]
    assert outer[0] / outer[7] == pytest.approx(8**0.7)


@pytest.mark.parametrize("make", [maker_pit, dip_pit])
def test_the_size_factor_scales_whoever_stands_in_the_book_as_a_whole(make):
    plain, twice = make().parameters, make(size_factor=2.0).parameters
    in_usd = {name for name in plain.dtype.names if name.endswith("_usd")}
    assert all(plain[name].any() for name in in_usd)
    for name in plain.dtype.names:
        scale = 2 if name in in_usd or name == "spot_lots" else 1
        assert twice[name] == pytest.approx(scale * plain[name], rel=1e-12, abs=1.0 * (scale > 1))


def test_long_inventory_lowers_the_whole_ladder_and_short_inventory_raises_it():
    middles = []
    for lots in (300_000, 0, -300_000):
        pit = maker_pit(n=1)
        pit.accounts.position[0, PERP_INST] = lots
        pit.step()
        best = pit.quotes(0, PERP, BUY)[0][0], pit.quotes(0, PERP, SELL)[0][0]
        middles.append(sum(best) / 2)
    full = 300_000 / (pit.parameters[0]["limit_usd"][OUTSIDE_PERP] / (LOT * PRICE))
    assert middles[1] == pytest.approx(PRICE, abs=1.0)
    assert middles[0] - middles[1] == pytest.approx(-full * 12e-4 * PRICE, abs=2.0)
    assert middles[2] - middles[1] == pytest.approx(full * 12e-4 * PRICE, abs=2.0)


@pytest.mark.parametrize(("sign", "gone"), [(1, BUY), (-1, SELL)])
def test_beyond_the_inventory_limit_only_the_reducing_side_is_quoted(sign, gone):
    pit = maker_pit(n=1, level_every=(1,) * 7)
    limit_lots = pit.parameters[0]["limit_usd"][OUTSIDE_PERP] / (LOT * PRICE)
    pit.accounts.position[0, PERP_INST] = int(sign * 1.1 * limit_lots)
    pit.step()
    assert pit.quotes(0, PERP, gone) == []
    assert len(pit.quotes(0, PERP, 1 - gone)) == 7
    assert len(pit.quotes(0, SPOT, gone)) == 7


def test_dealers_get_used_to_a_position_but_never_beyond_the_bound():
    pit = maker_pit(n=1)
    limit_lots = pit.parameters[0]["limit_usd"][OUTSIDE_PERP] / (LOT * PRICE)
    pit.accounts.position[0, PERP_INST] = int(10 * limit_lots)
    pit.market.clock[0].dt_ms = 60_000
    for _ in range(8 * 60):
        pit.step()
    slow = pit.memory[0]["slow_lots"][OUTSIDE_PERP]
    assert slow == pytest.approx(2.0 * limit_lots)
    pit.accounts.position[0, PERP_INST] = int(limit_lots)
    for _ in range(200 * 60):
        pit.step()
    # Half-lives of 8 h towards the position and of 48 h back to nothing.
    assert pit.memory[0]["slow_lots"][OUTSIDE_PERP] == pytest.approx(48 / 56 * limit_lots, rel=0.01)


def test_volatility_thins_and_widens_down_to_the_floor_and_defence_off_ignores_it():
    calm, wild, brave = maker_pit(), maker_pit(), maker_pit()
    wild.asset.volatility_ratio = brave.asset.volatility_ratio = 30.0
    brave.asset.defence = 0.0
    for pit in (calm, wild, brave):
        pit.step()
    for kind in (SPOT, PERP):
        for user in range(8):
            quiet, loud = calm.quotes(user, kind, SELL), wild.quotes(user, kind, SELL)
            assert brave.quotes(user, kind, SELL) == quiet
            for (tick, lots), (far_tick, few) in zip(quiet, loud, strict=True):
                assert few == pytest.approx(0.1 * lots, abs=1.5)
                assert far_tick - PRICE == pytest.approx(3.0 * (tick - PRICE), abs=4.0)


def test_thresholds_of_withdrawal_differ_between_makers():
    pit = maker_pit()
    pit.asset.volatility_ratio = 2.5
    pit.step()
    willing = pit.memory["willing_frac"]
    assert len(set(willing)) == 8
    assert 0.1 < willing.min() < willing.max() < 1.0


def test_imposed_thinning_scales_sizes_and_is_no_withdrawal():
    whole, thin = maker_pit(), maker_pit()
    thin.asset.venue_depth = 0.25
    for pit in (whole, thin):
        pit.step()
    assert (thin.memory["willing_frac"] == 1.0).all()
    for (tick, lots), (same, few) in zip(
        whole.quotes(0, PERP, BUY), thin.quotes(0, PERP, BUY), strict=True
    ):
        assert same == tick
        assert few == pytest.approx(lots / 4, abs=1)


def test_a_loss_pulls_everything_for_five_to_fifteen_minutes():
    pit = maker_pit()
    pit.step()
    pit.accounts.account["cash_micro"] -= (0.021 * pit.parameters["equity_usd"] * MICRO).astype(
        np.int64
    )
    messages = pit.step()
    assert (messages["op"] == OP_CANCEL_ALL).sum() == 8
    assert not any(pit.resting)
    back = [0] * 8
    for second in range(1, 1000):
        pit.step()
        for user in range(8):
            if pit.resting[user] and not back[user]:
                back[user] = second
    assert 300 <= min(back) < max(back) <= 900
    assert (pit.memory["n_pulls"] == 1).all()


def test_price_moves_of_the_endowment_pull_nothing():
    pit = maker_pit()
    pit.step()
    pit.outside(0.8 * PRICE)
    pit.step()
    assert np.abs(pit.memory["result_usd"]).max() < 1e-3
    assert all(pit.resting)


def test_the_result_is_what_was_bought_cheaply_whatever_the_price_does_once_hedged():
    pit = maker_pit(n=1, hedge_halflife_min=1e-2)  # hedged within a second
    pit.parameters["hedge_per_ms"] = 1e-3
    pit.step()
    pit.settle_outside()
    pit.accounts.position[0, PERP_INST] += 1000
    pit.accounts.account["cash_micro"] -= round(1000 * LOT * (PRICE - 50.0) * MICRO)
    pit.step()
    sent = pit.settle_outside()
    assert sent[0, 0].tolist() == [0, -1000]
    pit.step()
    pit.outside(PRICE * 1.1)
    pit.step()
    cost = usd(1000) * 0.00003
    assert pit.memory[0]["result_usd"] == pytest.approx(1000 * LOT * 50.0 - cost, abs=1e-6)


def test_quotes_stay_while_nothing_moves_and_within_tolerance():
    pit = maker_pit()
    pit.step()
    assert len(pit.step()) == 0
    pit.outside(PRICE * (1 + 0.1e-4))
    kept = {(m.inst, m.side) for m in pit.step() if m.op == OP_NEW}
    assert kept  # the touch has moved
    moved = [o for u in range(8) for o in pit.resting[u] if o[4] >= 29 * 28]
    distances = [abs(o[2] / PRICE - 1) * 1e4 for o in moved]
    assert max(distances, default=0.0) < 0.5


def test_a_quote_too_close_is_moved_at_once_and_a_lagging_one_at_the_next_turn():
    pit = maker_pit(n=1, turn_s=10.0, level_every=(1,) * 7)
    while pit.market.clock[0].t_ms % 10_000 != 2000:
        pit.step()

    def at(side, level):
        slot = 14 + side * 7 + level
        return next(o[2] for o in pit.resting[0] if o[4] % 28 == slot)

    old_bid, old_ask = at(BUY, 3), at(SELL, 3)
    pit.parameters["turn_phase_ms"] = 0
    pit.outside(PRICE * (1 + 8e-4))
    pit.step()
    assert at(SELL, 3) == pytest.approx(old_ask + PRICE * 8e-4, abs=2)
    assert at(BUY, 3) == old_bid
    assert at(BUY, 0) == pytest.approx(PRICE * (1 + 8e-4), abs=2)
    for _ in range(8):
        pit.step()
    assert at(BUY, 3) == pytest.approx(old_bid + PRICE * 8e-4, abs=2)


def test_a_quote_is_filled_up_once_half_of_it_is_gone():
    pit = maker_pit(n=1)
    pit.step()
    order = pit.resting[0][-1]
    whole = order[3]
    order[3] = whole * 6 // 10
    assert len(pit.step()) == 0
    order[3] = whole * 4 // 10
    messages = pit.step()
    assert messages["op"].tolist() == [OP_CANCEL_CLIENT_ID, OP_NEW]
    assert messages[1]["qty_lots"] == whole


def test_of_two_orders_in_one_slot_the_newer_stays():
    pit = maker_pit(n=1)
    pit.step()
    double = list(pit.resting[0][3])
    double[4] += 1000 * 28
    pit.resting[0].append(double)
    messages = pit.step()
    assert messages["op"].tolist() == [OP_CANCEL_CLIENT_ID]
    assert messages["client_id"].tolist() == [double[4] - 1000 * 28]


def test_new_quotes_do_not_cross_the_other_side_of_the_book():
    pit = maker_pit(n=1)
    pit.accounts.position[0, PERP_INST] = -300_000  # wants to buy: leans up
    pit.book(PERP_INST, int(PRICE) - 1, int(PRICE) + 1)
    messages = pit.step()
    bids = messages[(messages["inst"] == PERP_INST) & (messages["side"] == BUY)]
    assert bids["price_tick"].max() == int(PRICE)
    assert (messages["tif"][messages["op"] == OP_NEW] == POST_ONLY).all()


def test_late_makers_leave_a_tenth_of_their_looks_out():
    pit = maker_pit(n=8, late_frac=0.1, turn_s=0.0)
    pit.step()
    late = 0
    for k in range(250):
        pit.outside(PRICE * (1 + 1e-3 * (k % 2)))
        quoted = {(m.user, m.inst) for m in pit.step()}
        late += 16 - len(quoted)
    assert late / (250 * 16) == pytest.approx(0.1, abs=0.02)


def test_spot_asks_never_promise_more_tokens_than_there_are():
    pit = maker_pit(n=1, limit_hours=1e6)
    pit.accounts.token[0, 1] = 1234 * LOT_UNITS
    pit.accounts.account[0].cash_micro = 10**6 * 50_000
    pit.step()
    assert 1200 <= sum(lots for _, lots in pit.quotes(0, SPOT, SELL)) <= 1234
    assert sum(usd(lots) for _, lots in pit.quotes(0, SPOT, BUY)) <= 50_000


# --- the hedged book -----------------------------------------------------------------------------


@pytest.mark.parametrize("pit", [maker_pit(n=3), arbitrage_pit()], ids=["maker", "arbitrageur"])
def test_no_sign_flip_makes_a_hedge_increase_the_exposure(pit):
    shake = random.Random(5)
    for _ in range(300):
        for user in range(3):
            if shake.random() < 0.3:  # a deleveraging, a takeover, a fill
                pit.accounts.position[user, PERP_INST] = shake.randrange(-(10**7), 10**7)
            pit.accounts.token[user, 1] = shake.choice([0, 1, 2]) * 10**10
        neutral = pit.parameters["spot_lots"]
        before = pit.accounts.outside[:, 0, :] + np.stack(
            [
                pit.accounts.token[:, 1] // LOT_UNITS - neutral,
                pit.accounts.position[:, PERP_INST],
            ],
            axis=1,
        )
        pit.step()
        sent = pit.settle_outside()[:, 0, :]
        after = before + sent
        assert (np.abs(after) <= np.abs(before)).all()
        assert (after * before >= 0).all()


def test_makers_hedge_half_of_a_delta_in_twenty_minutes():
    pit = maker_pit(n=1)
    pit.accounts.position[0, PERP_INST] = 10**7
    for _ in range(1200):
        pit.step()
        pit.settle_outside()
    assert pit.accounts.outside[0, 0, OUTSIDE_PERP] == pytest.approx(-5e6, rel=0.01)


def test_tokens_come_in_when_short_and_are_no_result_and_no_delta():
    pit = maker_pit(n=1)
    pit.step()
    stock = int(pit.parameters[0]["spot_lots"])
    pit.accounts.token[0, 1] = stock // 4 * LOT_UNITS
    pit.accounts.account[0].cash_micro += round(usd(stock - stock // 4) * MICRO)
    messages = pit.step()
    pit.settle_outside()
    (move,) = messages[messages["op"] == OP_DEPOSIT]
    assert (move["inst"], move["options"]) == (1, OWN_MOVE)
    assert move.qty_lots == pytest.approx((stock - stock // 4) * LOT_UNITS, abs=LOT_UNITS)
    result = pit.memory[0]["result_usd"]
    pit.step()
    hedge_cost = abs(pit.accounts.outside[0, 0, OUTSIDE_SPOT]) * 0.00003
    assert pit.memory[0]["result_usd"] == pytest.approx(result, abs=usd(hedge_cost))
    assert not (pit.step()["op"] == OP_DEPOSIT).any()


def test_usdc_comes_in_while_the_gains_lie_outside_but_not_for_a_ruined_trader():
    pit = arbitrage_pit()
    equity = pit.parameters["equity_usd"]
    lots = (0.6 * equity / (0.1 * PRICE * LOT)).astype(np.int64)
    pit.accounts.position[:, PERP_INST] = -lots
    pit.accounts.outside[:, 0, OUTSIDE_PERP] = lots
    pit.accounts.account["cash_micro"] += (lots * LOT * PRICE * MICRO).astype(np.int64)
    pit.step()
    pit.outside(PRICE * 1.1)
    messages = pit.step()
    moves = messages[messages["op"] == OP_DEPOSIT]
    assert (moves["options"] == OWN_MOVE).all()
    assert moves["qty_lots"] / MICRO == pytest.approx(0.6 * equity, rel=0.01)
    pit.step()
    assert np.abs(pit.memory["result_usd"]).max() < 0.001 * equity.min()
    purse = pit.parameters["purse_usd"]
    pit.accounts.account["cash_micro"] -= (1.01 * purse * MICRO).astype(np.int64)
    assert not (pit.step()["op"] == OP_DEPOSIT).any()


def test_a_refused_withdrawal_is_no_gain():
    pit = arbitrage_pit()
    pit.step()
    equity = pit.parameters["equity_usd"]
    pit.accounts.account["cash_micro"] += (2.0 * equity * MICRO).astype(np.int64)
    taken = pit.step()
    taken = taken[(taken["op"] == OP_WITHDRAW) & (taken["inst"] == 0)]
    assert taken["user"].tolist() == [0, 1, 2]
    pit.accounts.account["cash_micro"][1] += taken["qty_lots"][1]
    pit.step()
    assert pit.memory["result_usd"] == pytest.approx(2.0 * equity, rel=1e-6)


def test_a_growing_position_brings_in_margin_up_to_the_purse():
    pit = arbitrage_pit(purse_days=0.2)
    pit.accounts.account["initial_usd"] = 0.9 * pit.parameters["equity_usd"]
    moved = pit.step()
    moved = moved[moved["op"] == OP_DEPOSIT]
    wanted = 2.7 * pit.parameters["equity_usd"]
    assert moved["qty_lots"] / MICRO == pytest.approx(wanted - pit.parameters["equity_usd"])
    pit.accounts.account["initial_usd"] = 20.0 * pit.parameters["equity_usd"]
    pit.step()
    assert pit.accounts.account["cash_micro"] / MICRO == pytest.approx(pit.parameters["purse_usd"])


# --- arbitrageurs --------------------------------------------------------------------------------

COST_BP = [2.6 + edge + 0.3 for edge in (0.3, 1.2, 2.5)]


def takes(messages):
    return messages[(messages["op"] == OP_NEW) & (messages["tif"] == IOC)]


def test_arbitrageur_takes_only_what_pays_more_than_its_own_cost():
    pit = arbitrage_pit()
    ask = int(PRICE * (1 - 4.6e-4))  # pays the first two, not the third
    pit.book(PERP_INST, ask - 10, ask)
    sent = takes(pit.step())
    assert sent["user"].tolist() == [0, 1]
    assert (sent["side"] == BUY).all()
    for m in sent:
        assert ask <= m.price_tick <= PRICE * (1 - 1e-4 * COST_BP[m.user])


def test_arbitrageur_sells_into_bids_above_and_the_mirror_image_is_the_same_size():
    low, high = arbitrage_pit(), arbitrage_pit()
    low.book(SPOT_INST, int(PRICE * 0.9), int(PRICE * (1 - 20e-4)))
    high.book(SPOT_INST, int(PRICE * (1 + 20e-4)), int(PRICE * 1.1))
    bought, sold = takes(low.step()), takes(high.step())
    assert (sold["side"] == SELL).all()
    assert (sold["price_tick"] >= PRICE * 1.0003).all()
    assert sold["qty_lots"] == pytest.approx(bought["qty_lots"], rel=0.01)


def test_a_clip_is_half_of_what_closes_the_gap_or_a_share_of_capital():
    pit = arbitrage_pit(shift_bp=0.0)
    gap_bp = 13.2
    pit.book(PERP_INST, 70_000, round(PRICE * (1 - 1e-4 * (gap_bp + COST_BP[0]))), depth_usd=1e6)
    m = takes(pit.step())[0]
    assert usd(m.qty_lots) == pytest.approx(0.5 * 1e6 * (gap_bp / 10) ** 0.8, rel=0.02)
    pit.book(PERP_INST, 70_000, round(PRICE * (1 - 1e-4 * (gap_bp + COST_BP[0]))), depth_usd=1e9)
    m = takes(pit.step())[0]
    share = 357e6 / 3 / 45 * (1 + gap_bp / 50)
    assert usd(m.qty_lots) == pytest.approx(share, rel=0.01)


def test_capital_grows_with_the_gap_up_to_seven_times():
    sizes = []
    for gap in (50e-4, 400e-4, 600e-4):
        pit = arbitrage_pit(equity_days=1.0)
        pit.book(PERP_INST, 60_000, int(PRICE * (1 - gap)), depth_usd=1e12)
        sizes.append(takes(pit.step())[0].qty_lots)
    assert sizes[1] / sizes[0] == pytest.approx(7 / 1.94, rel=0.02)
    assert sizes[2] == pytest.approx(sizes[1], rel=1e-3)


def test_full_inventory_stops_buying_and_shifts_what_is_paid():
    pit = arbitrage_pit()
    pit.accounts.position[:, PERP_INST] = int(1.5 * 119e6 / (LOT * PRICE))
    pit.accounts.outside[:, 0, OUTSIDE_PERP] = -pit.accounts.position[:, PERP_INST]
    pit.book(PERP_INST, 70_000, int(PRICE * (1 - 10e-4)))
    assert len(takes(pit.step())) == 0
    pit.book(PERP_INST, int(PRICE * (1 + 1e-4)), 90_000)
    first = takes(pit.step())[0]  # sells at less than cost: the shift pays for it
    assert (first.user, first.side) == (0, SELL)


@pytest.mark.parametrize(("sign", "gone"), [(1, BUY), (-1, SELL)])
def test_beyond_capacity_nothing_rests_on_the_side_that_adds(sign, gone):
    pit = arbitrage_pit()
    pit.accounts.position[:, PERP_INST] = int(sign * 1.5 * 119e6 / (LOT * PRICE))
    pit.accounts.outside[:, 0, OUTSIDE_PERP] = -pit.accounts.position[:, PERP_INST]
    pit.step()
    # Capacity is 1.06, 1.2, 1.6 and 2.6 times the capital at 3, 10, 30 and 80 bp.
    assert len(pit.quotes(0, PERP, gone)) == 2
    assert len(pit.quotes(0, PERP, 1 - gone)) == 4


def test_an_outage_scales_capacity_and_a_full_one_leaves_nothing_resting():
    pit = arbitrage_pit()
    pit.step()
    whole = [o[3] for o in pit.resting[0]]
    pit.asset.arbitrage = 0.25
    pit.step()
    assert [o[3] for o in pit.resting[0]] == pytest.approx([x / 4 for x in whole], rel=0.01, abs=1)
    pit.asset.arbitrage = 0.0
    pit.book(PERP_INST, 60_000, 70_000)
    messages = pit.step()
    assert not (messages["op"] == OP_NEW).any()
    assert not any(pit.resting)


@pytest.mark.parametrize("kind", [SPOT, PERP])
def test_orders_shrink_in_proportion_to_what_thin_books_outside_take(kind):
    def orders(impact, depth_usd):
        pit = arbitrage_pit(equity_days=1.0)
        pit.asset[f"{'perp' if kind == PERP else 'spot'}_impact_per_musd"] *= impact
        pit.book(LEG[kind], 60_000, int(PRICE * (1 - 30e-4)), depth_usd=depth_usd)
        taken = [int(m.qty_lots) for m in takes(pit.step())]
        return np.array(
            taken + [lots for side in (BUY, SELL) for _, lots in pit.quotes(0, kind, side)]
        )

    # what bounds a clip: what closes the gap, capital, the floor of a swept book
    for depth_usd in (1e6, 1e12, 0.0):
        usual, thin, thick = (orders(impact, depth_usd) for impact in (1.0, 50.0, 0.5))
        assert len(usual) == 3 + 8
        assert thin == pytest.approx(usual / 50, rel=0.01, abs=1.0)
        assert thick.tolist() == usual.tolist()


def test_the_usual_impact_is_that_of_the_world_the_sizes_were_fitted_to():
    usual = ArbitrageurParams().usual_impact_bp_per_musd
    for asset in load_scenario("hyperliquid").world.assets:
        assert usual[asset.name] == asset.spot.impact_bp_per_musd == asset.perp.impact_bp_per_musd
    assert arbitrage_pit().parameters["usual_impact_per_musd"] == pytest.approx([0.3e-4] * 3)


def test_arbitrageur_rests_beyond_cost_on_both_sides_of_both_legs_growing_with_the_gap():
    pit = arbitrage_pit()
    pit.step()
    for kind, fee in ((PERP, 2.6), (SPOT, 3.0)):
        cost = fee + 0.3 + 0.3
        bids, asks = pit.quotes(0, kind, BUY), pit.quotes(0, kind, SELL)
        for quotes, side in ((bids, -1), (asks, 1)):
            for (tick, _), gap in zip(quotes, (3.0, 10.0, 30.0, 80.0), strict=True):
                assert tick == pytest.approx(PRICE * (1 + side * 1e-4 * (cost + gap)), abs=1.0)
            assert quotes[3][1] / quotes[0][1] == pytest.approx(2.6 / 1.06, rel=0.03)
    total = 0.05 * 119e6 / 45 * 1.06
    assert usd(pit.quotes(0, PERP, BUY)[0][1]) == pytest.approx(total, rel=0.01)


def test_arbitrageur_undoes_outside_at_once_what_it_did_on_the_venue():
    pit = arbitrage_pit()
    pit.step()
    pit.accounts.position[1, PERP_INST] += 777
    pit.accounts.token[2, 1] -= 555 * LOT_UNITS
    pit.step()
    sent = pit.settle_outside()
    assert sent[:, 0].tolist() == [[0, 0], [0, -777], [555, 0]]
    pit.step()
    assert not pit.settle_outside().any()


def test_arbitrageur_sends_no_order_beyond_free_margin():
    pit = arbitrage_pit()
    pit.accounts.account["available_usd"] = 100.0
    pit.book(PERP_INST, 60_000, 70_000)
    sent = takes(pit.step())
    assert (usd(sent["qty_lots"]) <= 100.0 * LEVERAGE).all()
    assert len(sent) == 3


# --- order flow ----------------------------------------------------------------------------------


def traded(pit, hours):
    """Run a pit against a deep steady book; return its taking orders."""
    pit.book(pit.parameters[0]["inst"], int(PRICE) - 1, int(PRICE) + 1)
    orders = [takes(pit.step()) for _ in range(round(hours * 3600))]
    return np.concatenate(orders)


def test_children_of_flow_add_up_to_their_share_of_volume():
    pit = flow_pit()
    record = pit.parameters[0]
    u = (np.arange(200_000) + 0.5) / 200_000
    sizes = (1.0 - u * (1.0 - 1000.0**-1.4)) ** (-1 / 1.4)
    a_day = 10 * 86_400 / 25.0 * record["child_usd"] * sizes.mean()
    assert a_day == pytest.approx(0.6 * 3570e6, rel=0.01)
    n = len(traded(pit, 6))
    assert n == pytest.approx(10 * 6 * 3600 / 25.0, rel=0.15)


def test_flow_comes_in_clusters_and_in_runs_of_one_side():
    pit = flow_pit(n=40, closing_h=1e6)
    orders = traded(pit, 3)
    same = []
    for user in range(40):
        sides = orders["side"][orders["user"] == user]
        same += (sides[1:] == sides[:-1]).tolist()
    assert np.mean(same) > 0.7


def test_children_excite_each_other():
    spread = []
    for branching in (0.0, 0.5):
        pit = flow_pit(n=60, branching=branching)
        pit.book(PERP_INST, int(PRICE) - 1, int(PRICE) + 1)
        counts = np.zeros((60, 12))
        for step in range(12 * 600):
            for m in takes(pit.step()):
                counts[m.user, step // 600] += 1
        spread.append(counts.var() / counts.mean())
    assert spread[0] == pytest.approx(1.0, abs=0.2)
    assert 2.5 < spread[1] < 5.0  # 1 / (1 - branching)^2 in long windows


def test_an_inventory_leans_the_side_of_new_runs_against_itself():
    shares = []
    for lots in (0.5, -0.5, 3.0):
        pit = flow_pit(n=200, kind=PERP, run_largest=1.0)
        closing = pit.parameters[0]["closing_usd"]
        pit.accounts.position[:, PERP_INST] = int(lots * closing / (LOT * PRICE))
        pit.accounts.account["cash_micro"] -= (
            pit.accounts.position[:, PERP_INST] * LOT * PRICE * MICRO
        ).astype(np.int64)
        orders = traded(pit, 0.1)
        shares.append((orders["side"] == BUY).mean())
    assert shares == pytest.approx([0.25, 0.75, 0.0], abs=0.03)


def test_flow_is_refilled_at_a_new_run_and_an_excess_is_taken_out():
    pit = flow_pit(n=50)
    equity = pit.parameters[0]["equity_usd"]
    pit.accounts.account["cash_micro"][:25] = round(0.3 * equity * MICRO)
    pit.accounts.account["cash_micro"][25:] = round(3.0 * equity * MICRO)
    pit.accounts.account["available_usd"][25:] = 3.0 * equity
    pit.book(PERP_INST, int(PRICE) - 1, int(PRICE) + 1)
    for _ in range(300):
        pit.step()
    cash = pit.accounts.account["cash_micro"] / MICRO
    acted = pit.memory["side"] != 0
    assert acted.sum() > 40
    assert cash[acted] == pytest.approx(equity, rel=1e-6)


def test_a_spot_seller_without_tokens_gets_some_and_never_sells_more_than_it_has():
    pit = flow_pit(n=30, kind=SPOT)
    pit.accounts.token[:15, 1] = 0
    pit.book(SPOT_INST, int(PRICE) - 1, int(PRICE) + 1)
    deposited = set()
    for _ in range(300):
        held = pit.accounts.token[:, 1] // LOT_UNITS
        messages = pit.step()
        for m in messages:
            if m.op == OP_DEPOSIT and m.inst == 1:
                deposited.add(int(m.user))
                held[m.user] += m.qty_lots // LOT_UNITS
        for m in takes(messages):
            assert m.side == BUY or m.qty_lots <= held[m.user]
    assert deposited
    assert max(deposited) < 15


# --- dip buyers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SPOT, PERP])
def test_dip_buyers_bid_from_three_to_fifty_percent_below_and_ask_half_as_much_above(kind):
    pit = dip_pit(kind=kind, distance_spread=0.0)
    for _ in range(61):
        pit.step()
    table = DipBuyerParams().perp_usd if kind == PERP else DipBuyerParams().spot_usd
    bids = [quote for user in range(2) for quote in pit.quotes(user, kind, BUY)]
    asks = [quote for user in range(2) for quote in pit.quotes(user, kind, SELL)]
    levels = [PRICE * (1 - d) for d in (0.5, 0.32, 0.2, 0.13, 0.08, 0.05, 0.03)]
    assert sorted({tick for tick, _ in bids}) == pytest.approx(levels, abs=1)
    assert min(tick for tick, _ in asks) == pytest.approx(PRICE * 1.03, abs=1)
    assert sum(usd(lots) for _, lots in bids) == pytest.approx(table["BTC"], rel=1e-3)
    assert sum(usd(lots) for _, lots in asks) == pytest.approx(0.5 * table["BTC"], rel=1e-3)


def test_bids_wait_where_they_are_in_a_fast_fall_and_follow_a_lasting_one():
    pit = dip_pit(n=1)
    for _ in range(61):
        pit.step()
    first = pit.quotes(0, PERP, BUY)[0][0]
    pit.outside(PRICE * 0.9)
    for _ in range(2):
        pit.step(60)
    assert pit.quotes(0, PERP, BUY)[0][0] > 0.99 * first > 1.05 * pit.asset.oracle_usd
    for _ in range(240):
        pit.step(60)
    assert pit.quotes(0, PERP, BUY)[0][0] == pytest.approx(0.9 * first, rel=0.01)


def test_a_level_that_was_hit_returns_with_a_half_life():
    pit = dip_pit(n=1)
    for _ in range(61):
        pit.step()
    best = pit.quotes(0, PERP, BUY)[0]
    pit.resting[0] = [o for o in pit.resting[0] if o[2] != best[0]]
    sizes = []
    for _ in range(120):
        pit.step(60)
        quotes = dict(map(tuple, pit.quotes(0, PERP, BUY)))
        sizes.append(quotes.get(best[0], 0) / best[1])
    # Back at a quarter, after 30 min x log2(4/3), then filled up in steps.
    assert sizes.index(next(s for s in sizes if s > 0)) == pytest.approx(12, abs=1)
    assert sizes[40] < 0.7
    assert all(b >= a for a, b in pairwise(sizes[13:]))


@pytest.mark.parametrize(("kind", "lots"), [(PERP, 10**7), (PERP, -(10**7)), (SPOT, 10**7)])
def test_inventory_is_offered_on_the_side_that_reduces_it(kind, lots):
    pit = dip_pit(n=1, kind=kind)
    if kind == PERP:
        pit.accounts.position[0, PERP_INST] = lots
    else:
        pit.accounts.token[0, 1] += lots * LOT_UNITS
    for _ in range(61):
        pit.step()
    side = SELL if lots > 0 else BUY
    sign = 1 if lots > 0 else -1
    tick, offered = pit.quotes(0, kind, side)[0]
    assert tick == pytest.approx(PRICE * (1 + sign * 0.005), abs=1)
    assert offered == pytest.approx(abs(lots) * (1 - 0.5 ** (1 / 720)), rel=0.01)
    assert abs(pit.quotes(0, kind, 1 - side)[0][0] / PRICE - 1) > 0.02


# --- all of them ---------------------------------------------------------------------------------


def shaken(pit, steps=150, seed=3):
    """Shake prices, books, positions, dials and margins; yield messages and outside orders."""
    shake = random.Random(seed)
    price = PRICE
    for _ in range(steps):
        price = min(
            1.9 * PRICE, max(0.02 * PRICE, price * shake.choice([0.9, 0.9995, 1, 1.0005, 1.1]))
        )
        pit.outside(price, perp_usd=price * (1 + shake.gauss(0, 5e-4)))
        for inst in (PERP_INST, SPOT_INST):
            mid = int(price * (1 + shake.gauss(0, 2e-3)))
            bid, ask = mid - shake.randrange(1, 40), mid + shake.randrange(1, 40)
            pit.book(
                inst,
                EMPTY_BID if shake.random() < 0.1 else max(1, bid),
                EMPTY_ASK if shake.random() < 0.1 else ask,
                depth_usd=shake.choice([0.0, 1e5, 1e7]),
            )
        a = pit.asset
        a.volatility_ratio = shake.choice([0.5, 1.0, 2.0, 5.0])
        a.venue_depth = shake.choice([0.0, 0.3, 1.0, 1.0])
        a.arbitrage = shake.choice([0.0, 0.3, 1.0, 1.0])
        a.defence = shake.choice([0.0, 1.0, 1.0])
        user = shake.randrange(len(pit.users))
        pit.accounts.position[user, PERP_INST] = shake.randrange(-(10**8), 10**8)
        pit.accounts.token[user, 1] = shake.randrange(0, 10**12)
        account = pit.accounts.account[user]
        account.cash_micro = shake.randrange(-(10**13), 10**14)
        account.available_usd = shake.choice([-1e6, 0.0, 1e5, 1e7])
        account.breached = int(shake.random() < 0.2)
        account.n_pending = int(shake.random() < 0.2)
        for orders in pit.resting:
            orders[:] = [o for o in orders if shake.random() > 0.2]
        messages = pit.step(shake.choice([1, 1, 60]))
        yield messages, pit.settle_outside()


def shaken_pits():
    return {
        "market_maker": maker_pit(n=4, late_frac=0.1),
        "arbitrageur": arbitrage_pit(),
        "order_flow": flow_pit(n=30),
        "order_flow_spot": flow_pit(n=30, kind=SPOT),
        "dip_buyer": dip_pit(),
        "dip_buyer_spot": dip_pit(kind=SPOT),
    }


@pytest.mark.parametrize("name", list(shaken_pits()))
def test_whatever_happens_orders_are_valid_and_quotes_never_double(name):
    pit = shaken_pits()[name]
    n_slots = {"market_maker": 28, "arbitrageur": 16, "dip_buyer": 16}
    sent = 0
    for messages, _ in shaken(pit):  # the pit itself refuses bad sizes, prices and client ids
        sent += len(messages)
        orders = messages[messages["op"] == OP_NEW]
        assert (np.isin(orders["side"], [BUY, SELL])).all()
        moves = messages[np.isin(messages["op"], [OP_DEPOSIT, OP_WITHDRAW])]
        assert (moves["qty_lots"] > 0).all()
        for resting in pit.resting:
            slots = [o[4] % n_slots.get(pit.module.__name__.rpartition(".")[2], 1) for o in resting]
            assert len(slots) == len(set(slots))
    assert sent > 100


def digest():
    """Run every rule through a shaken market and return the hash of all that it did."""
    hashed = hashlib.sha256()
    for pit in shaken_pits().values():
        for messages, outside in shaken(pit):
            hashed.update(messages.tobytes())
            hashed.update(outside.tobytes())
        hashed.update(pit.memory.tobytes())
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
    assert runpy  # the same file is both test and script


@pytest.mark.parametrize(
    "sizes", [level_sizes((2.0, 6.0, 14.0), 100.0, 0.8), level_sizes((5.0, 10.0), 50.0, 1.2)]
)
def test_levels_of_a_ladder_have_positive_sizes(sizes):
    assert min(sizes) > 0.0
