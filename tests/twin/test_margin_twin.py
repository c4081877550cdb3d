"""Margin and admission: kernels against plain Python, equal to the last bit."""

import numpy as np
import pytest

from stressbook.market.compiling.kernel import kernel
from stressbook.market.lending.borrowing import borrowable_room, lendable
from stressbook.market.lending.reserve import refresh_collateral
from stressbook.market.margin.admission import (
    admits,
    fill_keeps_margin,
)
from stressbook.market.margin.available import available_usd, bound_usd, spare_usd, withdrawable_usd
from stressbook.market.margin.commitment import commitment_usd, order_requirement_usd
from stressbook.market.margin.equity import (
    cross_equity_usd,
    equity_usd,
    is_judged_as_portfolio,
    net_usd,
)
from stressbook.market.margin.loans import debt_target_micro, draw_needed_debt
from stressbook.market.margin.ratio import breaches, margin_ratio
from stressbook.market.margin.sums import account_sums
from stressbook.market.reference.admission import NettedOrder, SpotOrder, admit_perp
from stressbook.market.reference.margin import breaches as reference_breaches
from stressbook.market.regimes import regime_names
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    FORCED,
    PERP,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    REDUCE_ONLY,
    SELL,
)
from tests.random_states import (
    random_state,
    reference_account,
    reference_perp,
    reference_reserve,
    reference_token,
)

pytestmark = pytest.mark.boundscheck

RULE_SETS = [
    {},
    {"margin.user_cap_in_credit": False},
    {"margin.min_borrow_offset_on": True},
    {"tokens.HYPE.user_supply_cap": 50.0, "tokens.USDC.user_borrow_cap": 2_000.0},
    {"tokens.USDC.platform_borrow_cap": 3_000.0},
    {"tokens.BTC.platform_supply_cap": 0.5, "tokens.HYPE.ltv": 0.0},
    {"tokens.USDC.user_borrow_cap": 0.0},
    {"margin.borrowable_in_credit": True, "tokens.USDC.platform_borrow_cap": 3_000.0},
    {"margin.value_max_later": "no_new_borrowing", "margin.account_value_max_usd": 1_000.0},
]


@kernel
def _figures(v, row, out):
    """Everything that margin says about a row, as a loop of the venue would ask."""
    s = account_sums(v, row)
    par = v.par[0]
    portfolio = is_judged_as_portfolio(s)
    debt = int(v.debt[row, 0])
    room = borrowable_room(v.token_spec[0], v.reserve[0], debt, s.collateral_capacity_usd)
    out[0], out[1], out[2] = s.position_value_usd, s.gross_notional_usd, s.initial_usd
    out[3], out[4], out[5] = s.maintenance_usd, s.order_margin_usd, s.spot_bid_usd
    out[6], out[7] = s.token_value_usd, s.collateral_value_usd
    out[8], out[9] = s.collateral_capacity_usd, s.collateral_credit_usd
    out[10], out[11], out[12] = net_usd(s), cross_equity_usd(s), equity_usd(s, portfolio)
    out[13] = margin_ratio(s, portfolio)
    out[14] = 1.0 if breaches(portfolio, out[13], out[12], out[3], par.pm_trigger_ratio) else 0.0
    out[15] = commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
    out[16] = order_requirement_usd(s, par.order_margin_buffer_frac)
    out[17], out[19] = bound_usd(par, s), spare_usd(par, s)
    out[18] = withdrawable_usd(par, s, lendable(v.reserve[0]))
    out[20] = available_usd(par, s, room)
    out[21], out[22] = float(room), float(debt_target_micro(par, s))
    out[23] = 1.0 if portfolio else 0.0


def figures(v, row):
    out = np.zeros(24)
    _figures(v, row, out)
    return out.tolist()


def reference_figures(v, row):
    a, reserve = reference_account(v, row), reference_reserve(v)
    return [
        a.position_value_usd(),
        a.gross_notional_usd(),
        a.initial_usd(),
        a.maintenance_usd(),
        a.order_margin_usd(),
        a.spot_bid_usd(),
        a.token_value_usd(),
        a.collateral_value_usd(),
        a.capacity_usd(),
        a.credit_usd(),
        a.net_usd(),
        a.cross_equity_usd(),
        a.equity_usd(),
        a.margin_ratio(),
        float(
            reference_breaches(
                portfolio=a.is_judged_as_portfolio(),
                ratio=a.margin_ratio(),
                equity_usd=a.equity_usd(),
                maintenance_usd=a.maintenance_usd(),
                trigger_ratio=float(v.par[0].pm_trigger_ratio),
            )
        ),
        a.commitment_usd(),
        a.cross_requirement_usd(),
        a.bound_usd(),
        a.withdrawable_usd(reserve),
        a.spare_usd(),
        a.available_usd(reserve),
        float(a.room_micro(reserve)),
        float(a.debt_target_micro()),
        float(a.is_judged_as_portfolio()),
    ]


@pytest.mark.parametrize("values", RULE_SETS, ids=lambda values: ",".join(values) or "preset")
def test_figures_of_accounts(values):
    judged, breached, drawn = set(), set(), 0
    for seed in range(12):
        v, _ = random_state(seed, values=values)
        refresh_collateral(v)
        for row in range(int(v.par[0].n_users)):
            drawn += draw_needed_debt(v, row)
            ours = figures(v, row)
            assert ours == reference_figures(v, row), (seed, row)
            judged.add(ours[23])
            breached.add(ours[14])
    no_credit = values.get("tokens.USDC.user_borrow_cap") == 0.0
    assert judged == ({0.0} if no_credit else {0.0, 1.0})
    assert breached == {0.0, 1.0}
    assert (drawn > 0) is not no_credit


OTHERS = [name for name in regime_names() if name not in ("cross", "hyperliquid-pm")]


@pytest.mark.parametrize("regime", OTHERS)
def test_figures_of_accounts_under_other_regimes(regime):
    judged = set()
    for seed in range(5):
        v, rng = random_state(seed, regime=regime)
        v.dial["oracle_confidence"] = rng.random(len(v.dial))
        if seed > 2:  # ranges that have followed volatility
            v.unit["range_multiple"] = rng.uniform(0.3, 3.0, v.unit.shape)
        for row, k in np.ndindex(int(v.par[0].n_users), len(v.token_spec)):
            if k > 0 and rng.random() < 0.2:  # owed, in part or beyond what is held
                v.debt[row, k] = int(rng.integers(1, 2 * int(v.token[row, k]) + 2))
        refresh_collateral(v)
        for row in range(int(v.par[0].n_users)):
            draw_needed_debt(v, row)
            ours = figures(v, row)
            assert ours == reference_figures(v, row), (seed, row)
            judged.add(ours[23])
    assert judged == {0.0, 1.0}


def random_order(v, rng, user):
    inst = int(rng.integers(len(v.inst)))
    spec = v.inst[inst]
    mark = float(v.price[spec.asset].mark_usd)
    tick = max(1, round(mark * np.exp(rng.normal(0, 0.05)) / float(spec.tick_usd)))
    usd = max(abs(float(v.cash[user])) / 1e6, 1.0) * 10.0 ** rng.uniform(-3, 1)
    lots = max(1, int(usd / (float(spec.lot_size) * mark)))
    return inst, int(rng.integers(2)), tick, lots


def reference_reply(v, user, inst, side, tick, lots, *, reduce_only=False):
    account, reserve = reference_account(v, user), reference_reserve(v)
    spec, tier = v.inst[inst], v.fee_tier[int(v.user[user].fee_tier)]
    micro = lots * tick * int(spec.k)
    if spec.kind == PERP:
        perp_index = [i for i in range(len(v.inst)) if v.inst[i].kind == PERP].index(inst)
        perp = account.perps[perp_index]
        assert perp == reference_perp(v, user, inst)
        return admit_perp(
            account,
            perp,
            reserve,
            side=side,
            lots=lots,
            limit_micro=micro,
            reduce_only=reduce_only,
        )
    offered = int(v.open_lots[user, inst, SELL])
    order = SpotOrder(side, lots, micro, float(spec.lot_size), int(spec.lot_units), offered)
    rate = float(tier.spot_taker_e7) / 1e7
    token = reference_token(v, user, int(spec.token))
    return order.admit(account, token, reserve, taker_frac=rate)


@pytest.mark.parametrize("values", RULE_SETS[:5], ids=lambda values: ",".join(values) or "preset")
def test_admission(values):
    codes = set()
    for seed in range(10):
        v, rng = random_state(seed, values=values)
        v.user["breached"] = rng.random(len(v.user)) < 0.1
        for _ in range(120):
            user = int(rng.integers(int(v.par[0].n_users)))
            inst, side, tick, lots = random_order(v, rng, user)
            code, returned, drawn = reference_reply(v, user, inst, side, tick, lots)
            debt, supply = int(v.debt[user, 0]), int(v.supply[user, 0])
            assert admits(v, user, inst, side, tick, lots, 0) == code, (seed, user, inst, side)
            assert int(v.debt[user, 0]) - debt == drawn
            assert supply - int(v.supply[user, 0]) == returned
            codes.add(code)
    expected = {ACCEPTED, R_INSUFFICIENT_MARGIN, R_INSUFFICIENT_BALANCE, R_IN_RESOLUTION}
    assert expected <= codes
    if values.get("tokens.USDC.platform_borrow_cap"):
        assert R_CAP_REACHED in codes
    assert codes <= expected | {R_CAP_REACHED, R_UTILISATION_FULL}


@pytest.mark.parametrize("regime", ["scan", "span", "okx"])
def test_admission_and_fills_where_orders_are_netted(regime):
    codes, kept, reductions = set(), set(), set()
    for seed in range(6):
        v, rng = random_state(seed, regime=regime)
        v.user["breached"] = rng.random(len(v.user)) < 0.1
        for _ in range(60):
            user = int(rng.integers(int(v.par[0].n_users)))
            inst, side, tick, lots = random_order(v, rng, user)
            fills = fill_keeps_margin(v, user, inst, side, tick, lots)
            assert fills == reference_fill(v, user, inst, side, tick, lots), (seed, user, inst)
            code, returned, drawn = reference_reply(v, user, inst, side, tick, lots)
            debt, supply = int(v.debt[user, 0]), int(v.supply[user, 0])
            assert admits(v, user, inst, side, tick, lots, 0) == code, (seed, user, inst, side)
            assert int(v.debt[user, 0]) - debt == drawn
            assert supply - int(v.supply[user, 0]) == returned
            codes.add(code)
            kept.add(fills)
            if v.inst[inst].kind == PERP:
                asked = (user, inst, side, tick, lots)
                code = admits(v, *asked, REDUCE_ONLY)
                assert code == reference_reply(v, *asked, reduce_only=True).code, (seed, asked)
                reductions.add(code)
    assert {ACCEPTED, R_INSUFFICIENT_MARGIN, R_IN_RESOLUTION} <= codes
    assert kept == {True, False}
    assert reductions == {ACCEPTED, R_INSUFFICIENT_MARGIN}


def reference_fill(v, user, inst, side, tick, lots):
    account, reserve = reference_account(v, user), reference_reserve(v)
    spec = v.inst[inst]
    micro = lots * tick * int(spec.k)
    if spec.kind == PERP:
        perp = reference_perp(v, user, inst)
        if not account.regime.rules.nets_orders:
            signed = lots if side == BUY else -lots
            return account.keeps_margin(micro / 1e6, perp=perp, lots=signed, reserve=reserve)
        worth = float(lots) * perp.lot_size * perp.mark_usd
        order = NettedOrder.of(side, lots, micro, worth)
        return account.keeps_whole_margin(perp=perp, order=order, reserve=reserve)
    order = SpotOrder(side, lots, micro, float(spec.lot_size), int(spec.lot_units), 0)
    rate = float(v.fee_tier[int(v.user[user].fee_tier)].spot_taker_e7) / 1e7
    token = reference_token(v, user, int(spec.token))
    return order.keeps_margin(account, token, reserve, taker_frac=rate)


def test_forced_and_reduce_only_orders_need_no_margin():
    v, rng = random_state(3)
    v.cash[:], v.perp[:] = -(10**15), 0
    for user in range(int(v.par[0].n_users)):
        inst, side, tick, lots = random_order(v, rng, user)
        assert admits(v, user, inst, side, tick, lots, FORCED) == ACCEPTED
        assert admits(v, user, 0, side, tick, lots, REDUCE_ONLY) == ACCEPTED
        assert admits(v, user, 0, BUY, tick, 10**6, 0) == R_INSUFFICIENT_MARGIN
