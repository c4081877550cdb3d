"""Margin again, as the rules read: an account of perps, tokens and bids, and one order more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stressbook.market.numbers.units import ON_THE_EDGE, round_down, round_up
from stressbook.market.reference import whole_book
from stressbook.market.reference.admission import Admission, NettedOrder
from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.regimes import MarginRegime, load_regime
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
)

__all__ = [
    "MarginAccount",
    "MarginRules",
    "breaches",
]


class MarginRules(NamedTuple):
    """What the venue's margin rules say beyond tiers and loan-to-value."""

    notional_floor_frac: float = 0.1
    order_margin_buffer_frac: float = 0.01
    min_borrow_offset_usd: float = 0.0  # 0 is off
    user_cap_in_credit: bool = True
    user_borrow_cap_micro: int = 50_000_000_000_000
    borrowable_in_credit: bool = False
    trigger_ratio: float = 0.95
    lends_below_micro: float = math.inf  # micro-USDC of account value


@dataclass
class MarginAccount:
    """One pocket: cash, perps, tokens, bids.

    Parameters
    ----------
    cash_micro, debt_micro, supplied_micro : int
        Raw cash, USDC owed and lent, micro-USDC.
    perps : list of PerpHolding
        In the order of the instruments, flat ones included.
    tokens : list of TokenHolding
        In the order of the tokens, from token 1.
    spot_bids_micro : list of int
        Notional of resting bids, one entry a spot book.
    has_portfolio_regime, breached : bool
        Of the account.
    rules : MarginRules
        Of the venue.
    regime : MarginRegime
        Of the account.
    range_multiples : mapping of str to float
        What losses in its scan count for, by underlying; 1 where none is given.

    Examples
    --------
    >>> hype = TokenHolding(100, 1, 84.0, 84.0, 0.65, 1_000_000)
    >>> account = MarginAccount(cash_micro=-1_000_000_000, tokens=[hype], has_portfolio_regime=True)
    >>> round(account.portfolio_ratio(), 4)
    0.1443
    """

    cash_micro: int = 0
    debt_micro: int = 0
    supplied_micro: int = 0
    perps: list[PerpHolding] = field(default_factory=list)
    tokens: list[TokenHolding] = field(default_factory=list)
    spot_bids_micro: list[int] = field(default_factory=list)
    has_portfolio_regime: bool = False
    breached: bool = False
    rules: MarginRules = field(default_factory=MarginRules)
    regime: MarginRegime = field(default_factory=lambda: load_regime("hyperliquid-pm"))
    range_multiples: Mapping[str, float] = field(default_factory=dict)
    headroom_micro: int = 0  # what caps and pool still let it borrow

    # --- sums, in the order of instruments and tokens ------------------------------------------

    def unlent_usd(self) -> float:
        """Return cash less debt, and the perps' value."""
        return float(self.cash_micro - self.debt_micro) / 1e6 + self.position_value_usd()

    def position_value_usd(self) -> float:
        """Return the signed value of all perps."""
        return _total(perp.value_usd() for perp in self.perps)

    def gross_notional_usd(self) -> float:
        """Return the notional of all perps."""
        return _total(abs(perp.value_usd()) for perp in self.perps)

    def initial_usd(self) -> float:
        """Return the initial requirement, orders in it where the regime nets them."""
        return whole_book.initial_usd(self)

    def maintenance_usd(self) -> float:
        """Return the maintenance requirement."""
        return whole_book.maintenance_usd(self)

    def order_margin_usd(self) -> float:
        """Return the margin of resting perp orders, without buffer, where each has its own."""
        if self.regime.rules.nets_orders:
            return 0.0
        return _total(perp.order_margin_usd() for perp in self.perps)

    def spot_bid_usd(self) -> float:
        """Return the notional of resting bids for tokens, but for what debts bind already."""
        bids = _total(float(micro) / 1e6 for micro in self.spot_bids_micro)
        if self.token_bound_usd() <= 0.0:
            return bids
        overlap = _total(token.bid_overlap_usd() for token in self.tokens if token.owed())
        return bids - min(self.token_bound_usd(), overlap)

    def token_value_usd(self) -> float:
        """Return the value of all tokens at the oracle."""
        return _total(token.value_usd() for token in self.tokens)

    def collateral(self) -> list[TokenHolding]:
        """Return the tokens that count: in the portfolio regime, those with a loan-to-value."""
        if not self.has_portfolio_regime:
            return []
        return [token for token in self.tokens if token.ltv > 0.0]

    def collateral_value_usd(self) -> float:
        """Return the value of the collateral at the oracle; without credit it is none."""
        if not self.is_judged_as_portfolio():
            return 0.0
        return _total(token.value_usd() for token in self.collateral())

    def capacity_usd(self) -> float:
        """Return the sum of collateral value x loan-to-value, less what tokens owed take of it."""
        capacity = max(0.0, self._whole_capacity_usd() - self.token_need_usd())
        if self.is_lent_nothing() and self.regime.rules.margin_is_borrowed:
            return min(capacity, float(self.debt_micro) / 1e6)
        return capacity

    def _whole_capacity_usd(self) -> float:
        caps_count = self.rules.user_cap_in_credit
        return _total(token.capacity_usd(caps_count) for token in self.collateral())

    def owes(self) -> bool:
        """Tell whether anything is borrowed, USDC or tokens."""
        return self.debt_micro > 0 or any(token.debt_units > 0 for token in self.tokens)

    def is_lent_nothing(self) -> bool:
        """Tell whether an account is too large to be lent anything more."""
        return self.account_value_usd() * 1e6 >= self.rules.lends_below_micro

    def token_debt_usd(self) -> float:
        """Return the value of tokens owed beyond those held."""
        return _total(token.owed_usd() for token in self.tokens)

    def token_need_usd(self) -> float:
        """Return what must stand behind them: value / loan-to-value, unless a scan charges them."""
        if self.regime.is_scanned:
            return 0.0
        return _total(token.need_usd(token.owed_usd()) for token in self.tokens)

    def token_bound_usd(self) -> float:
        """Return what of that is bound in cash: the capacity of collateral comes first."""
        return max(0.0, self.token_need_usd() - self._whole_capacity_usd())

    def credit_usd(self) -> float:
        """Return what collateral counts at maintenance, within what may be borrowed."""
        caps_count = self.rules.user_cap_in_credit
        credit = _total(token.credit_usd(caps_count) for token in self.collateral())
        if self.rules.borrowable_in_credit:
            return min(credit, self._protected_usd()) if credit > 0.0 else credit
        if caps_count:
            credit = min(credit, float(self.rules.user_borrow_cap_micro) / 1e6)
        return credit

    def _protected_usd(self) -> float:
        """Return the credit with which the trigger stands at all that may be owed."""
        most_owed = float(self.debt_micro + self.headroom_micro) / 1e6
        if most_owed == 0.0 and self.token_debt_usd() <= 0.0:
            return 0.0
        counted = {"at_maintenance": most_owed, "drawn": float(self.debt_micro) / 1e6}.get(
            self.regime.rules.debt_in_ratio, 0.0
        )
        maintenance = self.maintenance_usd()
        required = maintenance + counted + self.token_debt_usd() + self.rules.min_borrow_offset_usd
        at_trigger = required * ON_THE_EDGE / self.rules.trigger_ratio
        return at_trigger - (maintenance - most_owed + counted)

    # --- what it is worth and what it must hold -------------------------------------------------

    def is_judged_as_portfolio(self) -> bool:
        """Tell whether portfolio rules apply: by credit, by tokens owed, or always."""
        stays = self.has_portfolio_regime and not self.regime.rules.falls_back
        return self.credit_usd() > 0.0 or stays or self.token_debt_usd() > 0.0

    def collateral_covers(self) -> bool:
        """Tell whether collateral covers margin as it is; else margin is borrowed against it."""
        return self.has_portfolio_regime and not self.regime.rules.margin_is_borrowed

    def margin_need_usd(self) -> float:
        """Return the initial margin, what bids lose by becoming collateral in it."""
        return self.initial_usd() + self.order_margin_usd() + self.bid_haircut_usd()

    def bid_haircut_usd(self) -> float:
        """Return what bids for tokens lose of their value by becoming collateral."""
        if not self.regime.is_scanned:
            return 0.0
        return _total(float(t.bid_micro) / 1e6 * (1.0 - t.ltv) for t in self.tokens)

    def cross_equity_usd(self) -> float:
        """Return the equity under cross margin."""
        return self.unlent_usd()

    def account_value_usd(self) -> float:
        """Return what eligibility goes by: USDC, perps and every token, less debt."""
        lent_usd = float(self.supplied_micro) / 1e6
        owned_usd = self.cross_equity_usd() + lent_usd + self.token_value_usd()
        return owned_usd - self.token_debt_usd()

    def net_usd(self) -> float:
        """Return the USDC total, lent cash in."""
        own = float(self.cash_micro - self.debt_micro) / 1e6
        return own + float(self.supplied_micro) / 1e6 + self.position_value_usd()

    def equity_usd(self) -> float:
        """Return the worth where the account is judged."""
        if self.is_judged_as_portfolio():
            return self.net_usd() + self.collateral_value_usd() - self.token_debt_usd()
        return self.cross_equity_usd()

    def portfolio_ratio(self) -> float:
        """Return (MM + B + tokens owed) / (E + B + credit); of this venue B = max(0, MM - E)."""
        return _ratio(*self._needed_and_there_usd())

    def health_usd(self, trigger_ratio: float) -> float:
        """Return what there is beyond maintenance; below zero the account is in breach."""
        if self.is_judged_as_portfolio():
            needed_usd, there_usd = self._needed_and_there_usd()
            return trigger_ratio * there_usd - needed_usd
        return self.cross_equity_usd() - self.maintenance_usd()

    def _needed_and_there_usd(self) -> tuple[float, float]:
        needed_debt = 0.0
        if self.regime.rules.debt_in_ratio == "at_maintenance":
            needed_debt = max(0.0, self.maintenance_usd() - self.net_usd())
        elif self.regime.rules.debt_in_ratio == "drawn":
            needed_debt = float(self.debt_micro) / 1e6
        requirement = self.maintenance_usd() + needed_debt + self.token_debt_usd()
        if requirement > 0.0:
            requirement += self.rules.min_borrow_offset_usd
        return requirement, self.net_usd() + needed_debt + self.credit_usd()

    def margin_ratio(self) -> float:
        """Return the ratio that the account is watched by."""
        if self.is_judged_as_portfolio():
            return self.portfolio_ratio()
        equity = self.cross_equity_usd()
        return math.inf if equity < 0.0 else _ratio(self.maintenance_usd(), equity)

    def commitment_usd(self) -> float:
        """Return what positions and orders bind under portfolio margin."""
        if self.collateral_covers():
            return max(self.margin_need_usd() - self.capacity_usd(), self.spot_bid_usd())
        floor = self.rules.notional_floor_frac * self.gross_notional_usd()
        positions = max(self.initial_usd(), floor)
        return positions + self._orders_usd() + self.spot_bid_usd() + self.token_bound_usd()

    def borrowed_commitment_usd(self) -> float:
        """Return what of the commitment is borrowed where net USDC does not cover it."""
        return self.spot_bid_usd() if self.collateral_covers() else self.commitment_usd()

    def cross_requirement_usd(self) -> float:
        """Return what positions and orders bind under cross margin: no floor."""
        return self.initial_usd() + self._orders_usd() + self.spot_bid_usd()

    def bound_usd(self) -> float:
        """Return what must stay when cash leaves."""
        if self.is_judged_as_portfolio():
            return self.commitment_usd()
        floor = self.rules.notional_floor_frac * self.gross_notional_usd()
        positions = max(self.initial_usd(), floor)
        return positions + self.order_margin_usd() + self.spot_bid_usd()

    def withdrawable_usd(self, reserve: ReferenceReserve) -> float:
        """Return the USDC that can leave; lent cash that can be had back covers what is bound."""
        bound = self.bound_usd()
        if self.is_judged_as_portfolio():
            redeemable = min(self.supplied_micro, reserve.lendable())
            bound = max(0.0, bound - float(redeemable) / 1e6)
        return max(0.0, self.unlent_usd() - bound)

    def spare_usd(self) -> float:
        """Return the USDC that can be lent."""
        return max(0.0, self.unlent_usd() - self.bound_usd())

    def debt_target_micro(self) -> int:
        """Return the debt that the commitment needs."""
        return round_up(max(0.0, self.borrowed_commitment_usd() - self.net_usd()) * 1e6)

    def returned_for_commitment(self, reserve: ReferenceReserve) -> int:
        """Return the lent cash that comes back for what is bound."""
        if not self.is_judged_as_portfolio():
            return 0
        unlent = self.net_usd() - float(self.supplied_micro) / 1e6
        needed = self.borrowed_commitment_usd()
        short = round_up(max(0.0, needed - unlent) * 1e6) - self.debt_micro
        return max(0, min(short, self.supplied_micro, reserve.lendable()))

    def room_micro(self, reserve: ReferenceReserve) -> int:
        """Return what may still be borrowed, loan-to-value in."""
        own = round_down(self.capacity_usd() * 1e6) - self.debt_micro
        return max(0, min(own, reserve.headroom(self.debt_micro)))

    def available_usd(self, reserve: ReferenceReserve) -> float:
        """Return what is free for new initial margin."""
        if not self.is_judged_as_portfolio():
            return self.cross_equity_usd() - self.cross_requirement_usd()
        owed = min(float(self.debt_micro) / 1e6, self.capacity_usd())
        behind = owed + float(self.room_micro(reserve)) / 1e6
        if self.collateral_covers():
            spare = self.net_usd() + self.capacity_usd() - self.margin_need_usd()
            return min(spare, self.net_usd() + behind - self.spot_bid_usd())
        return self.net_usd() + behind - self.commitment_usd()

    def _orders_usd(self) -> float:
        return (1.0 + self.rules.order_margin_buffer_frac) * self.order_margin_usd()

    # --- one order more -------------------------------------------------------------------------

    def need_after_usd(
        self,
        limit_usd: float,
        *,
        perp: PerpHolding | None,
        lots: int,
        side: int,
        taker_frac: float = 0.0,
    ) -> float:
        """Return what is bound with one order more, resting or filled, whichever is more."""
        floor_frac = self.rules.notional_floor_frac if self.is_judged_as_portfolio() else 0.0
        others = self._orders_usd() + self.spot_bid_usd() + self.token_bound_usd()
        positions = max(self.initial_usd(), floor_frac * self.gross_notional_usd())
        if perp is None:
            fees = (self.spot_bid_usd() + limit_usd) * taker_frac
            return others + positions + limit_usd + fees
        mark_usd = float(lots) * perp.lot_size * perp.mark_usd
        leverage = float(perp.leverage)
        slip = max(0.0, limit_usd - mark_usd if side == BUY else mark_usd - limit_usd)
        notional = min(limit_usd, mark_usd) if side == BUY else max(limit_usd, mark_usd)
        buffer = 1.0 + self.rules.order_margin_buffer_frac
        resting = positions + buffer * (limit_usd / leverage)
        initial = self.initial_usd() + perp.more_initial_usd(notional, side=side)
        filled = max(initial, floor_frac * (self.gross_notional_usd() + notional))
        return others + max(resting, filled + slip)

    def admit_need(self, need_usd: float, reserve: ReferenceReserve, *, refusal: int) -> Admission:
        """Return the reply to an order that needs so much, and where the cash comes from."""
        if self.breached:
            return Admission(R_IN_RESOLUTION)
        if not self.is_judged_as_portfolio():
            return Admission(ACCEPTED if need_usd <= self.cross_equity_usd() else refusal)
        unlent = self.net_usd() - float(self.supplied_micro) / 1e6
        missing = round_up(max(0.0, need_usd - unlent) * 1e6) - self.debt_micro
        if missing <= 0:
            return Admission(ACCEPTED)
        returned = min(missing, self.supplied_micro, reserve.lendable())
        missing -= returned
        if missing == 0:
            return Admission(ACCEPTED, returned=returned)
        bounds = [
            (round_down(self.capacity_usd() * 1e6) - self.debt_micro, R_INSUFFICIENT_MARGIN),
            (reserve.user_borrow_cap - self.debt_micro, R_CAP_REACHED),
            (reserve.platform_headroom(), R_CAP_REACHED),
            (reserve.lendable() - returned, R_UTILISATION_FULL),
        ]
        code = next((code for bound, code in bounds if missing > bound), ACCEPTED)
        return Admission(code, returned, missing) if code == ACCEPTED else Admission(code)

    def allows(
        self, *, perp: PerpHolding | None, token: TokenHolding | None, order: NettedOrder
    ) -> bool:
        """Tell whether an order may rest where orders are netted, margin alone."""
        after = whole_book.with_order(
            self, perp=perp, token=token, side=order.side, limit_micro=order.limit_micro
        )
        need, loss = after.margin_need_usd(), order.slip_usd
        worth = after.net_usd() + after.capacity_usd()
        return need + loss <= worth or need + loss <= self.margin_need_usd()

    def allows_reduction(self, *, perp: PerpHolding, order: NettedOrder) -> bool:
        """Tell whether an order that only reduces a perp may be placed where orders are netted."""
        sign = 1 if order.side == BUY else -1
        filled = whole_book.with_fill(
            self, perp=perp, lots=sign * order.lots, paid_micro=sign * order.limit_micro
        )
        if filled.margin_need_usd() <= filled.net_usd() + filled.capacity_usd():
            return True
        return filled.missing_usd() <= self.missing_usd()

    def missing_usd(self) -> float:
        """Return the initial requirement of what is held beyond its worth, orders apart."""
        held = whole_book.initial_usd(self, orders=False)
        return held - (self.net_usd() + self.capacity_usd())

    def keeps_whole_margin(
        self,
        *,
        perp: PerpHolding | None = None,
        token: TokenHolding | None = None,
        order: NettedOrder,
        units: int = 0,
        reserve: ReferenceReserve,
    ) -> bool:
        """Tell whether a resting order may fill where orders are netted, others apart."""
        sign = 1 if order.side == BUY else -1
        after = whole_book.with_fill(
            self,
            perp=perp,
            token=token,
            lots=sign * order.lots,
            units=sign * units,
            paid_micro=sign * order.limit_micro,
        )
        if token is not None and order.side == BUY and not after.has_cash(reserve):
            return False
        missing = after.missing_usd()
        return missing <= 0.0 or missing <= self.missing_usd()

    def has_cash(self, reserve: ReferenceReserve) -> bool:
        """Tell whether USDC below zero could be had: from what is lent, or as a loan."""
        returned = min(self.supplied_micro, reserve.lendable())
        room = min(self.room_micro(reserve), reserve.lendable() - returned)
        owed = min(float(self.debt_micro) / 1e6, self.capacity_usd())
        unlent = self.net_usd() - float(self.supplied_micro) / 1e6
        return unlent + (owed + float(returned + room) / 1e6) >= 0.0

    def may_owe(self, need_usd: float, reserve: ReferenceReserve) -> bool:
        """Tell whether loan-to-value covers the loan that a need takes, what is owed in it."""
        unlent = self.net_usd() - float(self.supplied_micro) / 1e6
        loan = round_up(max(0.0, need_usd - unlent) * 1e6)
        loan -= min(self.supplied_micro, reserve.lendable())
        return loan <= round_down(self.capacity_usd() * 1e6)

    def keeps_margin(
        self,
        fill_usd: float,
        *,
        perp: PerpHolding | None,
        lots: int,
        reserve: ReferenceReserve,
        relief_usd: float = 0.0,
    ) -> bool:
        """Tell whether a fill of signed lots leaves the initial margin covered, orders apart.

        The relief is what it frees of the cash behind tokens owed, where it buys them back.
        """
        gain, initial, gross = -fill_usd, self.initial_usd(), self.gross_notional_usd()
        if perp is not None:
            worth = float(abs(lots)) * perp.lot_size * perp.mark_usd
            gain = worth - fill_usd if lots > 0 else fill_usd - worth
            before = abs(perp.value_usd())
            after = abs(float(perp.lots + lots) * perp.lot_size * perp.mark_usd)
            initial -= perp.initial_of(before)
            initial += perp.initial_of(after)
            gross += after - before
        if not self.is_judged_as_portfolio():
            return initial <= self.cross_equity_usd() + gain
        # The pool serves both: lent cash that comes back, and a loan out of what is left of it.
        returned = min(self.supplied_micro, reserve.lendable())
        room = min(self.room_micro(reserve), reserve.lendable() - returned)
        owed = min(float(self.debt_micro) / 1e6, self.capacity_usd())
        unlent = self.net_usd() - float(self.supplied_micro) / 1e6
        free = unlent + (owed + float(returned + room) / 1e6) + gain
        positions = max(initial, self.rules.notional_floor_frac * gross)
        return positions + self.token_bound_usd() - relief_usd <= free


def breaches(
    *,
    portfolio: bool,
    ratio: float,
    equity_usd: float,
    maintenance_usd: float,
    trigger_ratio: float,
) -> bool:
    """Tell whether an account must be resolved: ratio above the trigger, equity below need."""
    return ratio > trigger_ratio if portfolio else equity_usd < maintenance_usd


def _total(parts: Iterable[float]) -> float:
    """Add from 0 in the given order; newer versions of `sum` compensate and round differently."""
    total = 0.0
    for part in parts:
        total += part
    return total


def _ratio(requirement_usd: float, value_usd: float) -> float:
    if requirement_usd <= 0.0:
        return 0.0
    return requirement_usd / value_usd if value_usd > 0.0 else math.inf
