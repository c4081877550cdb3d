"""Takeovers by the backstop: of perps with their margin, of a slice of a loan, of everything."""

from __future__ import annotations

from stressbook.market.codes import (
    CAUSE_TAKEOVER,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
)
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.ledger import book_perp_at, move_cash, move_token
from stressbook.market.units import FLOOR, NEAREST, mul_div, round_up


@inline_kernel
def _token_value(v, row, token):  # type: ignore[no-untyped-def]
    spec = v.token_spec[token]
    price = v.price[spec.asset].borrow_oracle_usd
    return float(v.token[row, token]) / float(spec.unit) * price


@inline_kernel
def full_threshold_usd(v, row):  # type: ignore[no-untyped-def]
    """Debt beyond which everything is taken: sum of value x (2 + LTV) / 3 over collaterals."""
    total = 0.0
    for token in range(1, v.par[0].n_tokens):
        ltv = v.token_spec[token].ltv
        if ltv > 0.0 and v.token[row, token] > 0:
            total += _token_value(v, row, token) * ((ltv + 2.0) / 3.0)
    return total


@sub_kernel
def take_perps(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Move every perp at the mark, and the margin behind them, to the backstop."""
    backstop = v.par[0].row_backstop
    for inst in range(v.par[0].n_insts):
        lots = v.perp[user, inst]
        if lots != 0:
            price_e8 = v.price[v.inst[inst].asset].mark_e8
            book_perp_at(v, user, backstop, inst, lots, price_e8, CAUSE_TAKEOVER)
            log_event(
                v, t_ms, EV_TAKEOVER_PERPS, user, inst, lots, price_e8, 0, CAUSE_TAKEOVER, backstop
            )
    margin = v.cash[user] - v.debt[user, 0]  # borrowed cash stays to repay its debt
    if margin > 0:
        move_cash(v, user, backstop, margin, CAUSE_TAKEOVER)


@inline_kernel
def _move_debt(v, user, amount_micro):  # type: ignore[no-untyped-def]
    v.debt[user, 0] -= amount_micro
    v.debt[v.par[0].row_backstop, 0] += amount_micro


@sub_kernel
def take_everything(v, user, t_ms, perps_too):  # type: ignore[no-untyped-def]
    """Move collateral, cash and debt to the backstop; perps too while its loss limit holds."""
    backstop = v.par[0].row_backstop
    debt = v.debt[user, 0]
    if perps_too:
        take_perps(v, user, t_ms)
    for token in range(1, v.par[0].n_tokens):
        units = v.token[user, token]
        if v.token_spec[token].ltv > 0.0 and units > 0:
            move_token(v, user, backstop, token, units, CAUSE_TAKEOVER)
    _move_debt(v, user, debt)
    move_cash(v, user, backstop, v.cash[user], CAUSE_TAKEOVER)
    log_event(v, t_ms, EV_TAKEOVER_ALL, user, -1, 0, 0, debt, CAUSE_TAKEOVER, backstop)


@sub_kernel
def take_slice(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Take one slice of the debt against collateral at a discount that grows with the slice.

    The slice is a fixed share of the debt at the first one, split over collaterals by value. A part
    d takes tokens worth d at borrow_oracle_price x (1 - (1 - LTV)/3 x min(1, d/width)).
    """
    me = v.user[user]
    if me.slice_micro == 0:
        me.slice_micro = mul_div(v.debt[user, 0], v.par[0].slice_frac_e6, 1_000_000, NEAREST)
        me.slice_micro = max(me.slice_micro, 1)
    slice_micro = min(me.slice_micro, v.debt[user, 0])
    total_value = 0.0
    for token in range(1, v.par[0].n_tokens):
        if v.token_spec[token].ltv > 0.0:
            total_value += _token_value(v, user, token)
    if total_value <= 0.0:
        return
    for token in range(1, v.par[0].n_tokens):
        if v.token_spec[token].ltv > 0.0 and v.token[user, token] > 0:
            share = _token_value(v, user, token) / total_value
            part = min(round_up(float(slice_micro) * share), v.debt[user, 0])
            _take_part(v, user, token, part, t_ms)


@sub_kernel
def _take_part(v, user, token, part_micro, t_ms):  # type: ignore[no-untyped-def]
    backstop = v.par[0].row_backstop
    spec = v.token_spec[token]
    part_usd = float(part_micro) / 1e6
    depth = min(1.0, part_usd / spec.slice_width_usd)
    discount = (1.0 - spec.ltv) / 3.0 * depth
    price = v.price[spec.asset].borrow_oracle_usd * (1.0 - discount)
    units = round_up(part_usd / price * float(spec.unit))
    have = v.token[user, token]
    if units > have:  # never more than there is: the debt taken shrinks with it
        part_micro = min(part_micro, mul_div(part_micro, have, units, FLOOR))
        units = have
    move_token(v, user, backstop, token, units, CAUSE_TAKEOVER)
    _move_debt(v, user, part_micro)
    price_e8 = v.price[spec.asset].borrow_oracle_e8
    log_event(v, t_ms, EV_SLICE, user, token, units, price_e8, part_micro, CAUSE_TAKEOVER, backstop)
