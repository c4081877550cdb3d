"""What accounts are worth and what they earned, venue and outside together.

Equity: cash, perps at mark, tokens at oracle, loans given less loans taken, outside cash and
inventory at outside prices. Profit net of revaluation: change of equity less transfers, less the
sum over steps of the exposure held before the step x the change of the fundamental. Luck goes,
adverse selection stays.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import F64, I64, Record, Records, record_dtype
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.lending.token_debts import lends_tokens
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.prices.world import WorldState
from stressbook.market.state.codes import ACCEPTED, OP_DEPOSIT, OP_WITHDRAW, OWN_MOVE, PERP
from stressbook.market.state.records import C_REPLIES, VenueState

N_CLASSES: Final = 13  # of the draw table (0 the world), then the backstop; own classes follow
OTHER_CLASS: Final = N_CLASSES - 1
# A shipped class from there on would join the others without a word.
assert all(number < OTHER_CLASS for name, number in CLASS_NUMBERS.items() if name != "backstop")

# Running sums of each class, in USD.
CLASS_SUM = record_dtype(
    "n_accounts",
    "equity_usd gross_usd net_usd debt_usd token_value_usd outside_usd "
    "revaluation_usd transfers_usd opening_equity_usd",
)


@by_address
class Exposures(NamedTuple):
    """What each class held at the last look, and how that was found; rows of users, end to end."""

    row: I64  # (n_users,) row of each user's class
    units: F64  # (n_classes, n_assets) of the underlying
    fundamental_usd: F64  # (n_assets,)
    user_range: I64  # (n_classes, 2) first user of a class, and the one after its last
    perp: I64  # (n_users * n_insts,) the ledger's own lots
    outside: I64  # (n_users * n_assets * 2,) the world's own inventory
    token: I64  # (n_users * n_tokens,) the ledger's own units
    seen_perp: I64  # these three as of the last look
    seen_outside: I64
    seen_token: I64


def make_class_sums(v: VenueState, w: WorldState) -> tuple[Records, Exposures]:
    """Allocate class sums and exposures not yet looked at.

    Returns
    -------
    ndarray of CLASS_SUM, shape (N_CLASSES + own classes,)
        Rows as in `class_rows`.
    Exposures
    """
    n_users, n_assets = int(v.par[0].n_users), int(v.par[0].n_assets)
    held = [rows[:n_users].reshape(-1) for rows in (v.perp, w.inventory, v.token)]
    ids = v.user["class_id"][:n_users]
    row, n_classes = class_rows(ids), N_CLASSES + len(own_class_ids(ids))
    users = [np.flatnonzero(row == c) for c in range(n_classes)]
    exposures = Exposures(
        row,
        np.zeros((n_classes, n_assets)),
        np.zeros(n_assets),
        np.array([(mine[0], mine[-1] + 1) if len(mine) else (0, 0) for mine in users]),
        *held,
        *(np.zeros_like(rows) for rows in held),
    )
    return np.zeros(n_classes, CLASS_SUM), exposures


def own_class_ids(class_ids: I64) -> list[int]:
    """Return the numbers of the own classes among users, in the order of the users."""
    backstop = CLASS_NUMBERS["backstop"]
    return list(dict.fromkeys(int(c) for c in class_ids if c >= OTHER_CLASS and c != backstop))


def class_rows(class_ids: I64) -> I64:
    """Return the row of each user in the class sums: own classes come after `OTHER_CLASS`."""
    row = np.minimum(class_ids, OTHER_CLASS).astype(np.int64)
    for k, number in enumerate(own_class_ids(class_ids)):
        row[class_ids == number] = N_CLASSES + k
    return row


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
        units = float(own_units(v, user, k)) / float(spec.unit)
        total += units * v.price[spec.asset].oracle_usd
    return total


@inline_kernel
def own_units(v: VenueState, user: int, token: int) -> int:
    """Return the units of a token that a user holds and has lent, less what it owes."""
    return int(v.token[user, token]) + int(v.supply[user, token]) - int(v.debt[user, token])


@kernel
def account_equities(v: VenueState, w: WorldState, out: F64) -> None:
    """Write the equity of every account in USD into `out`, shape (n_users,).

    What stands in pockets of isolated perps is the account's; pockets have 0.
    """
    for user in range(v.par[0].n_users):
        out[user] = venue_equity_usd(v, user) + outside_equity_usd(v, w, user)
        parent = v.user[user].parent
        if parent >= 0:
            out[parent] += out[user]
            out[user] = 0.0


@kernel
def add_step(v: VenueState, w: WorldState, sums: Records, x: Exposures) -> None:
    """Add this step's revaluation and transfers to the class sums, then look at exposures anew."""
    for a in range(v.par[0].n_assets):
        change = v.outside[a].fundamental_usd - x.fundamental_usd[a]
        x.fundamental_usd[a] = v.outside[a].fundamental_usd
        for c in range(sums.shape[0]):
            sums[c].revaluation_usd += x.units[c, a] * change
    for k in range(v.ctr[C_REPLIES]):
        _add_transfer(v, v.merged[k], v.reply[k].code, sums, x)
    # Most accounts trade seldom. To compare all as vectors and sum classes that changed takes 4 us
    # with 500 accounts, to sum all 6 us; what did not change is the same sum in the same order.
    # Loans of tokens also change hands and grow without a token that moves.
    lends = lends_tokens(v)
    for c in range(sums.shape[0]):
        if _has_changed(v, x, c) or lends:
            _look_at_class(v, w, x, c)


@inline_kernel
def _add_transfer(v: VenueState, message: Record, code: int, sums: Records, x: Exposures) -> None:
    """Value what crossed the border, but not own moves between the venue and an outside book."""
    if message.op not in (OP_DEPOSIT, OP_WITHDRAW):
        return
    if code != ACCEPTED or message.options & OWN_MOVE != 0:
        return
    token = v.token_spec[message.inst]
    price = v.price[token.asset].oracle_usd if message.inst > 0 else 1.0
    value = float(message.qty_lots) / float(token.unit) * price
    sign = 1.0 if message.op == OP_DEPOSIT else -1.0
    sums[x.row[message.user]].transfers_usd += sign * value


@inline_kernel
def _has_changed(v: VenueState, x: Exposures, c: int) -> bool:
    first, last = x.user_range[c, 0], x.user_range[c, 1]
    n_insts, n_legs, n_tokens = v.par[0].n_insts, 2 * v.par[0].n_assets, v.par[0].n_tokens
    changes = _changes(x.perp, x.seen_perp, first * n_insts, last * n_insts)
    changes |= _changes(x.outside, x.seen_outside, first * n_legs, last * n_legs)
    changes |= _changes(x.token, x.seen_token, first * n_tokens, last * n_tokens)
    return changes != 0


@inline_kernel
def _changes(now: I64, seen: I64, first: int, last: int) -> int:
    """Return which bits differ anywhere in a range, and see the range as it is now."""
    now, seen = now[first:last], seen[first:last]
    bits = 0
    for place in range(now.shape[0]):
        bits |= now[place] ^ seen[place]
        seen[place] = now[place]
    return bits


@inline_kernel
def _look_at_class(v: VenueState, w: WorldState, x: Exposures, c: int) -> None:
    for a in range(v.par[0].n_assets):
        x.units[c, a] = 0.0
    for user in range(x.user_range[c, 0], x.user_range[c, 1]):
        if x.row[user] == c:
            _add_exposure(v, w, user, x.units[c])


@inline_kernel
def _add_exposure(v: VenueState, w: WorldState, user: int, units: F64) -> None:
    for i in range(v.par[0].n_insts):
        lots = v.perp[user, i]
        if lots != 0:
            units[v.inst[i].asset] += float(lots) * v.inst[i].lot_size
    for a in range(v.par[0].n_assets):
        held = w.inventory[user, a, 0] + w.inventory[user, a, 1]
        if held != 0:
            units[a] += float(held) * w.asset[a].lot_size
    for k in range(1, v.par[0].n_tokens):
        held = own_units(v, user, k)
        if held != 0:
            token = v.token_spec[k]
            units[token.asset] += float(held) / float(token.unit)


@kernel
def look_at_classes(v: VenueState, w: WorldState, sums: Records, x: Exposures) -> None:
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
        row = sums[x.row[user]]
        if v.user[user].parent < 0:
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
            price_usd = v.price[token.asset].oracle_usd
            value = float(own_units(v, user, k)) / float(token.unit) * price_usd
            row.debt_usd += float(v.debt[user, k]) / float(token.unit) * price_usd
            row.gross_usd += abs(value)
            row.net_usd += value
            row.token_value_usd += value
