"""What follows a breach: sizes, prices, auctions, insurance, who is deleveraged, who pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, in_whole_units
from stressbook.experiments.conform.margin_cases.books import book, charge, regime, scan
from stressbook.market.numbers.allocation import take_by_score
from stressbook.market.reference.book import RestingOrder
from stressbook.market.reference.order_cancelling import orders_beyond
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.resolution.auction import (
    auction_price_frac,
    buffer_margin_usd,
    insolvent_payout_usd,
    share_to_buffer,
)
from stressbook.market.resolution.deleveraging_scores import (
    gain_times_leverage,
    price_gain,
    profit_over_collateral_bp,
    profit_times_leverage,
)
from stressbook.market.resolution.insurance_fund import bankruptcy_quote, insurance_delta
from stressbook.market.resolution.liquidation import fillable_price_usd
from stressbook.market.resolution.selection import after_share, share_to_target, size_to_cover
from stressbook.market.resolution.socialising import withdrawal_factor
from stressbook.market.state.codes import BUY, SELL

__all__ = ["RESOLUTION"]


# --- who is deleveraged --------------------------------------------------------------------------


def _read_rank(given: Given) -> Quantities:
    if given.has("pnl_pct", "leverage"):
        profits, leverages = given.numbers("pnl_pct"), given.numbers("leverage")
        if len(profits) != len(leverages):
            raise NotSupported("`pnl_pct` and `leverage` differ in length")
        found = [float(profit_times_leverage(*one)) for one in zip(profits, leverages, strict=True)]
        return _ranks(found)
    positions = given.tables("positions")
    if all(one.has("bankrupt") for one in positions):
        return _ranks([_bankruptcy_score(one) for one in positions])
    if all(one.has("notional", "account_value") for one in positions):
        index = [_gain_score(one) for one in positions]
        return {**_ranks(index), "index": lambda: index}
    if all(one.has("collateral") for one in positions):
        scores = [_collateral_score(one, given.number("mark")) for one in positions]
        return {**_ranks(scores), "score_bps": lambda: scores}
    raise NotSupported("no policy ranks such positions")


def _ranks(scores: list[float]) -> Quantities:
    queue = _queue([1] * len(scores), scores, len(scores)).order
    places = [queue.index(i) + 1 for i in range(len(scores))]
    return {"score": lambda: scores, "order": lambda: places, "first": lambda: queue[0]}


def _bankruptcy_score(one: Given) -> float:
    """Return profit share x leverage to the bankruptcy price."""
    side, entry, mark = one.side(), one.number("entry"), one.number("mark")
    profit = side * (mark - entry) / entry
    return float(profit_times_leverage(profit, mark / abs(mark - one.number("bankrupt"))))


def _gain_score(one: Given) -> float:
    entry, mark, equity = (one.number(name) for name in ("entry", "mark", "account_value"))
    notional = abs(one.number("notional"))  # some print that of a short below 0
    gain = price_gain(one.side() > 0.0, entry, mark)
    return float(gain_times_leverage(gain, notional, equity))


def _collateral_score(one: Given, mark: float) -> float:
    size, collateral = one.position("size"), one.number("collateral")
    profit = size * (mark - one.number("entry"))
    equity = collateral + profit
    return float(profit_over_collateral_bp(profit, collateral, abs(size) * mark, equity))


class _Taken(NamedTuple):
    taken: list[int]
    order: list[int]  # who is taken from, first first
    missing: int


def _queue(sizes: list[int], scores: list[float], wanted: int) -> _Taken:
    taken, order = (np.zeros(len(sizes), np.int64) for _ in range(2))
    missing = take_by_score(np.array(sizes), np.array(scores), wanted, taken, order)
    return _Taken(taken.tolist(), [i for i in order.tolist() if i >= 0], int(missing))


def _read_allocation(given: Given) -> Quantities:
    if given.has("queue", "close_qty"):
        queue = given.tables("queue")
        have = [one.whole("qty") for one in queue]
        # The queue is in its order already.
        scores = [float(-i) for i in range(len(have))]
        taken = _queue(have, scores, given.whole("close_qty")).taken
        return {
            "taken": lambda: taken,
            "left": lambda: [had - gone for had, gone in zip(have, taken, strict=True)],
            "price": lambda: given.number("bankruptcy_price"),
        }
    if given.has("positions", "deficit"):
        return _profit_haircuts(given)
    raise NotSupported("no policy allocates so")


def _profit_haircuts(given: Given) -> Quantities:
    """Read winners that pay a deficit out of their profit, in millionths."""
    mark = given.number("mark")
    # Of equal scores the lower id comes first.
    positions = sorted(given.tables("positions"), key=lambda one: one.number("id"))
    profits = [one.position("size") * (mark - one.number("entry")) for one in positions]
    payable = [round(max(0.0, profit) * 1e6) for profit in profits]
    scores = [_collateral_score(one, mark) for one in positions]
    found = _queue(payable, scores, round(given.number("deficit") * 1e6))
    cuts = [[positions[i].whole("id"), found.taken[i] / 1e6] for i in found.order]
    return {"haircuts": lambda: cuts, "remaining": lambda: found.missing / 1e6}


# --- auctions ------------------------------------------------------------------------------------


def _read_auction(given: Given) -> Quantities:
    worth, health = given.number("mtm"), given.number("mm")
    if given.has("length_s"):
        return _insolvent(given, worth, health)
    if given.number("reserved_cash", 0.0) != 0.0:
        raise NotSupported("no auction keeps the cash of earlier bids apart")
    buffer = float(buffer_margin_usd(worth, health, given.number("buffer")))
    if given.has("discount"):
        return _bid(given.number("discount"), given.number("buffer"), worth, health, buffer)
    start, cutoff, period = (given.number(name) for name in ("start", "cutoff", "fast_s"))

    def price(elapsed: float) -> float:
        return float(auction_price_frac(elapsed, start, cutoff, period))

    def share(elapsed: float) -> float:
        return float(share_to_buffer(buffer, worth, price(elapsed)))

    at = given.numbers("t") if given.has("t") else []
    half = 0.5 * period
    return {
        "buffer_margin": lambda: buffer,
        "bid_price": lambda: [price(t) * worth for t in at],
        "max_fraction": lambda: [share(t) for t in at],
        "cash_at_half": lambda: price(half) * worth * share(half),
    }


def _bid(
    discount: float, buffer_frac: float, worth: float, health: float, buffer: float
) -> Quantities:
    share = float(share_to_buffer(buffer, worth, discount))
    paid = share * discount * worth
    after = worth * (1.0 - share) + paid, health * (1.0 - share) + paid
    return {
        "buffer_margin": lambda: buffer,
        "max_fraction": lambda: share,
        "bid": lambda: paid,
        "post_mtm": lambda: after[0],
        "post_mm": lambda: after[1],
        "post_bm": lambda: float(buffer_margin_usd(*after, buffer_frac)),
    }


def _insolvent(given: Given, worth: float, health: float) -> Quantities:
    length, at = given.number("length_s"), given.numbers("t")
    shares = given.numbers("bid_fraction") if given.has("bid_fraction") else [1.0] * len(at)
    if len(shares) != len(at):
        raise NotSupported("`t` and `bid_fraction` differ in length")
    payouts = [
        share * float(insolvent_payout_usd(worth, health, t, length))
        for t, share in zip(at, shares, strict=True)
    ]
    return {"payout_from_security_module": lambda: payouts}


# --- prices and insurance ------------------------------------------------------------------------


class _Account(NamedTuple):
    """A book whose maintenance is one rate of every notional."""

    worth: float
    requirement: float
    prices: Given
    rate: float

    def value(self, symbol: str, size: float) -> float:
        return size * self.prices.number(symbol)


def _account(given: Given) -> _Account:
    prices, sizes, rate = given.table("prices"), given.table("positions"), given.number("mmr")
    held = [Holding(name, sizes.number(name) * prices.number(name)) for name in sizes.names()]
    pocket: Pocket = book(given.number("quote"), *held)
    rules = regime("paradex", scans=[scan([0.0])], charges=[charge(maintenance=rate)])
    return _Account(pocket.net_usd(), margin_of(rules, pocket).maintenance_usd, prices, rate)


def _quote(account: _Account, symbol: str, delta: float) -> float:
    value = account.value(symbol, delta)
    if account.requirement <= 0.0:
        raise NotSupported("nothing is required")
    freed = account.rate * abs(value)
    return float(bankruptcy_quote(value, account.worth, freed, account.requirement))


def _read_bankruptcy(given: Given) -> Quantities:
    account, close = _account(given), given.table("close")
    symbol, delta = close.text("symbol"), close.number("delta")
    return {"quote_for_delta": lambda: _quote(account, symbol, delta)}


def _read_limit(given: Given) -> Quantities:
    account, symbol = _account(given), given.text("symbol")
    size = given.table("positions").number(symbol)
    value = account.value(symbol, size)
    return {
        "price": lambda: float(
            fillable_price_usd(
                value,
                size,
                account.worth,
                account.requirement,
                account.rate * abs(value),
                given.number("bankruptcy_adjustment"),
                given.number("spread_to_maintenance"),
            )
        )
    }


def _read_insurance(given: Given) -> Quantities:
    account, sizes = _account(given), given.table("positions")
    delta, price = given.number("delta"), given.number("fill_price")
    symbols = sizes.names()
    if not given.has("symbol") and len(symbols) != 1:
        raise NotSupported("lacks `symbol`")
    symbol = given.text("symbol") if given.has("symbol") else symbols[0]
    surplus = -delta * price - _quote(account, symbol, delta)
    fee = given.number("max_fee")
    return {
        "insurance_delta": lambda: float(insurance_delta(surplus, abs(delta) * price, fee)),
    }


# --- sizes and sharing ---------------------------------------------------------------------------


def _read_size(given: Given) -> Quantities:
    if given.has("share_step", "target_ratio"):
        return _share_of_all(given)
    if given.has("shortage", "margin_ratio", "price"):
        shortage, price = given.number("shortage"), given.number("price")
        rate = given.number("margin_ratio")
        sizes = [
            float(
                size_to_cover(
                    shortage,
                    price,
                    one.number("quote", 1.0),
                    rate,
                    one.number("fee", 0.0),
                    one.number("if_fee", 0.0),
                )
            )
            for one in given.tables("cases")
        ]
        return {"base": lambda: sizes}
    if given.has("shortage", "w_asset", "w_liab", "liab_price"):
        return _liabilities(given)
    raise NotSupported("no policy sizes what an account loses so")


def _liabilities(given: Given) -> Quantities:
    """Read how much of a loan goes with collateral of the same value, both at a premium.

    The liability sets free its own weight, and what is handed over for it keeps that of the asset;
    the fund's fee is weighted as the liability is.
    """
    shortage, price = given.number("shortage"), given.number("liab_price")
    asset, liability = given.number("w_asset"), given.number("w_liab")
    sizes = []
    for one in given.tables("cases"):
        premium = one.number("lm", 1.0)
        if premium == 0.0:
            raise NotSupported("`lm` is 0")
        kept = asset * one.number("am", 1.0) / premium
        fee = one.number("if_fee", 0.0) * liability
        sizes.append(float(size_to_cover(shortage, price, 1.0, liability, kept, fee)))
    return {"liability": lambda: sizes}


def _share_of_all(given: Given) -> Quantities:
    positions = given.tables("positions")
    sizes = [one.position("q") for one in positions]
    values = [size * one.number("mark") for size, one in zip(sizes, positions, strict=True)]
    costs = [size * one.number("entry") for size, one in zip(sizes, positions, strict=True)]
    usdc, penalty_rate = given.number("usdc"), given.number("penalty_rate")
    held = [Holding(str(i), value) for i, value in enumerate(values)]
    pocket: Pocket = book(usdc - sum(costs), *held)
    row = charge(maintenance=given.number("mmf"))
    rules = regime("paradex", scans=[scan([0.0])], charges=[row])
    needed, worth = margin_of(rules, pocket).maintenance_usd, pocket.net_usd()
    step = given.number("share_step")
    if not _LEAST_SHARE_STEP <= step <= 1.0:
        raise NotSupported(f"`share_step` is not {_LEAST_SHARE_STEP} to 1")
    n_steps = max(1, round(1.0 / step)) - 1
    tries = [after_share(needed, worth, (i + 1) * step, penalty_rate) for i in range(n_steps)]
    chosen = float(share_to_target(needed, worth, step, given.number("target_ratio"), penalty_rate))
    loss = chosen * (sum(costs) - sum(values))
    paid = float(after_share(needed, worth, chosen, penalty_rate)[1])
    return {
        "mmr": lambda: needed,
        "account_value": lambda: worth,
        "new_mmr": lambda: [float(one[0]) for one in tries],
        "penalty": lambda: [float(one[1]) for one in tries],
        "new_av": lambda: [float(one[2]) for one in tries],
        "ratio": lambda: [float(one[0] / one[2]) for one in tries],
        "share": lambda: chosen,
        "realised_loss": lambda: loss,
        "collateral_after": lambda: usdc - loss - paid,
    }


def _read_socialised(given: Given) -> Quantities:
    """Read a position between two users, one of them bankrupt by it, and an insurance fund."""
    users, position = given.numbers("users"), given.table("position")
    moved = position.number("qty") * (position.number("mark") - position.number("entry"))
    balances = list(users)
    balances[position.place("long", len(users))] += moved
    balances[position.place("short", len(users))] -= moved
    bankrupt = sum(-min(0.0, balance) for balance in balances)
    insurance = given.number("insurance")
    owed = max(0.0, bankrupt - insurance)
    # All balances and the insurance, before anything is booked.
    total = sum(users) + insurance
    by_rule = float(withdrawal_factor(owed, total))
    # The page's example divides by the total alone: by what is there less what is owed.
    by_example = float(withdrawal_factor(owed, total - owed))

    def paid() -> float:
        return given.number("withdraw") * (1.0 - by_example)

    return {
        "bankruptcy": lambda: bankrupt,
        "exchange_bankruptcy": lambda: owed,
        "factor_stated_formula": lambda: by_rule,
        "factor_in_example": lambda: by_example,
        "paid_in_example": paid,
        "kept_in_example": lambda: given.number("withdraw") - paid(),
    }


def _read_cancelled(given: Given) -> Quantities:
    """Read the orders of one book that an account below initial margin loses, by their ids."""
    position, orders = given.position("position"), given.tables("orders")
    sides = [_BOOK_SIDES.get(one.text("side")) for one in orders]
    if None in sides:
        raise NotSupported("the side of an order is neither buy nor sell")
    sizes = in_whole_units([abs(position), *(one.number("size") for one in orders)])
    ticks = in_whole_units([one.number("price") for one in orders])
    if min(sizes[1:] + ticks, default=1) <= 0:
        raise NotSupported("an order has no size, or no price")
    resting = [
        RestingOrder(0, 0, int(side or 0), tick, lots, sequence=i)
        for i, (side, tick, lots) in enumerate(zip(sides, ticks, sizes[1:], strict=True))
    ]
    going: set[int] = set()
    for side in (BUY, SELL):
        offsets = position > 0.0 if side == SELL else position < 0.0
        own = [order for order in resting if order.side == side]
        going |= {o.sequence for o in orders_beyond(own, sizes[0] if offsets else 0)}
    ids = [one.whole("id") for one in orders]
    return {
        "cancelled": lambda: [ids[i] for i in range(len(ids)) if i in going],
        "kept": lambda: [ids[i] for i in range(len(ids)) if i not in going],
    }


_LEAST_SHARE_STEP: Final = 1e-4  # every step is tried, and printed

_BOOK_SIDES: Final = {"buy": BUY, "sell": SELL}

_NO_RULE: Final = {
    "close_factor": "no policy repays a part of a loan by its health",
    "imf_oi": "no preset raises margin with open interest",
    "size_margin": "no preset raises margin with the skew of a market",
    "size_weight": "no preset lowers weights with size",
    "weighted_health": "no preset weighs profits and orders inside the balance of a token",
    "pocket_margin": "no preset puts a buffer on liabilities and losses of pockets",
    "liquidation_price": "no policy sells collateral at a storefront",
}


def _refuse(reason: str, _: Given) -> Quantities:
    raise NotSupported(reason)


RESOLUTION: Final[Mapping[str, Callable[[Given], Quantities]]] = {
    "adl_rank": _read_rank,
    "adl_allocate": _read_allocation,
    "auction": _read_auction,
    "bankruptcy_price": _read_bankruptcy,
    "liquidation_limit_price": _read_limit,
    "insurance_delta": _read_insurance,
    "liquidation_size": _read_size,
    "order_cancel": _read_cancelled,
    "socialise": _read_socialised,
    **{kind: partial(_refuse, reason) for kind, reason in _NO_RULE.items()},
}
