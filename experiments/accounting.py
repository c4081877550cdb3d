"""What accounts are worth and what they earned, venue and outside together.

Equity: cash, perps at mark, tokens at oracle, loans given less loans taken, outside cash and
inventory at outside prices. Profit net of revaluation: change of equity less transfers, less the
sum over steps of the exposure held before the step x the change of the fundamental. Luck goes,
adverse selection stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stressbook.market.codes import ACCEPTED, OP_DEPOSIT, OP_WITHDRAW, OWN_MOVE, PERP
from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.state import C_REPLIES, F64, Record, Records, VenueState, record_dtype
from stressbook.market.world import WorldState

N_CLASSES: Final = 12  # of the draw table (0 the world), then plugins and the backstop together
OTHER_CLASS: Final = N_CLASSES - 1

# Running sums of each class, in USD.
CLASS_SUM = record_dtype(
    "n_accounts",
    "equity_usd gross_usd net_usd debt_usd token_value_usd outside_usd "
    "revaluation_usd transfers_usd opening_equity_usd",
)


def make_class_sums(v: VenueState) -> tuple[Records, F64, F64]:
    """Allocate class sums, the exposure of each class in units, and the fundamentals last seen.

    Returns
    -------
    sums : ndarray of CLASS_SUM, shape (N_CLASSES,)
    exposure : ndarray of float64, shape (N_CLASSES, n_assets)
        Underlying held at the last look, units.
    last : ndarray of float64, shape (n_assets,)
        Fundamentals at the last look, USD.
    """
    n_assets = int(v.par[0].n_assets)
    return np.zeros(N_CLASSES, CLASS_SUM), np.zeros((N_CLASSES, n_assets)), np.zeros(n_assets)


@inline_kernel
def class_of(v: VenueState, user: int) -> int:
    """Return the row of a user's class in `CLASS_SUM`."""
    return v.user[user].class_id if v.user[user].class_id < OTHER_CLASS else OTHER_CLASS


@inline_kernel
def outside_equity_usd(v: VenueState, w: WorldState, user: int) -> float:
    """Return outside cash and inventory at outside prices."""
    total = float(w.cash[user]) / 1e6
    for a in range(v.par[0].n_assets):
        lot = w.asset[a].lot_size
        total += float(w.inventory[user, a, 0]) * lot * v.outside[a].spot_usd
        total += float(w.inventory[user, a, 1]) * lot * v.outside[a].perp_usd
    return total


@inline_kernel
def venue_equity_usd(v: VenueState, user: int) -> float:
    """Return cash, perps at mark, tokens at oracle and loans of one user."""
    total = float(v.cash[user] + v.supply[user, 0] - v.debt[user, 0]) / 1e6
    for i in range(v.par[0].n_insts):
        spec = v.inst[i]
        if spec.kind == PERP:
            total += float(v.perp[user, i]) * spec.lot_size * v.price[spec.asset].mark_usd
    for k in range(1, v.par[0].n_tokens):
        spec = v.token_spec[k]
        total += float(v.token[user, k]) / float(spec.unit) * v.price[spec.asset].oracle_usd
    return total


@kernel
def account_equities(v: VenueState, w: WorldState, out: F64) -> None:
    """Write the equity of every user in USD into `out`, shape (n_users,)."""
    for user in range(v.par[0].n_users):
        out[user] = venue_equity_usd(v, user) + outside_equity_usd(v, w, user)


@kernel
def add_step(v: VenueState, w: WorldState, sums: Records, exposure: F64, last: F64) -> None:
    """Add this step's revaluation and transfers to the class sums, then look at exposures anew."""
    for a in range(v.par[0].n_assets):
        change = v.outside[a].fundamental_usd - last[a]
        last[a] = v.outside[a].fundamental_usd
        for c in range(exposure.shape[0]):
            sums[c].revaluation_usd += exposure[c, a] * change
            exposure[c, a] = 0.0
    for k in range(v.ctr[C_REPLIES]):
        _add_transfer(v, v.merged[k], v.reply[k].code, sums)
    for user in range(v.par[0].n_users):
        _add_exposure(v, w, user, exposure)


@inline_kernel
def _add_transfer(v: VenueState, message: Record, code: int, sums: Records) -> None:
    """Value what crossed the border, but not own moves between the venue and an outside book."""
    if message.op not in (OP_DEPOSIT, OP_WITHDRAW):
        return
    if code != ACCEPTED or message.options & OWN_MOVE != 0:
        return
    token = v.token_spec[message.inst]
    price = v.price[token.asset].oracle_usd if message.inst > 0 else 1.0
    value = float(message.qty_lots) / float(token.unit) * price
    sign = 1.0 if message.op == OP_DEPOSIT else -1.0
    sums[class_of(v, message.user)].transfers_usd += sign * value


@inline_kernel
def _add_exposure(v: VenueState, w: WorldState, user: int, exposure: F64) -> None:
    c = class_of(v, user)
    for i in range(v.par[0].n_insts):
        lots = v.perp[user, i]
        if lots != 0:
            exposure[c, v.inst[i].asset] += float(lots) * v.inst[i].lot_size
    for a in range(v.par[0].n_assets):
        held = w.inventory[user, a, 0] + w.inventory[user, a, 1]
        if held != 0:
            exposure[c, a] += float(held) * w.asset[a].lot_size
    for k in range(1, v.par[0].n_tokens):
        units = v.token[user, k]
        if units != 0:
            token = v.token_spec[k]
            exposure[c, token.asset] += float(units) / float(token.unit)


@kernel
def look_at_classes(v: VenueState, w: WorldState, sums: Records) -> None:
    """Write today's holdings of each class; running sums stay."""
    for c in range(sums.shape[0]):
        row = sums[c]
        row.n_accounts = 0
        row.equity_usd = 0.0
        row.gross_usd = 0.0
        row.net_usd = 0.0
        row.debt_usd = 0.0
        row.token_value_usd = 0.0
        row.outside_usd = 0.0
    for user in range(v.par[0].n_users):
        row = sums[class_of(v, user)]
        row.n_accounts += 1
        row.debt_usd += float(v.debt[user, 0]) / 1e6
        row.outside_usd += outside_equity_usd(v, w, user)
        row.equity_usd += venue_equity_usd(v, user) + outside_equity_usd(v, w, user)
        for i in range(v.par[0].n_insts):
            spec = v.inst[i]
            if spec.kind == PERP:
                value = float(v.perp[user, i]) * spec.lot_size * v.price[spec.asset].mark_usd
                row.gross_usd += abs(value)
                row.net_usd += value
        for k in range(1, v.par[0].n_tokens):
            token = v.token_spec[k]
            value = float(v.token[user, k]) / float(token.unit) * v.price[token.asset].oracle_usd
            row.gross_usd += value
            row.net_usd += value
            row.token_value_usd += value
