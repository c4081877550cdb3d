"""Admission again, as the rules read: which orders an account may place or still fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.reference.short_sales import cover_relief_usd
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    SELL,
)

if TYPE_CHECKING:
    from stressbook.market.reference.margin import MarginAccount

__all__ = ["Admission", "NettedOrder", "SpotOrder", "admit_perp"]


class Admission(NamedTuple):
    """Reply to an order, and the cash that comes for it: lent cash back, and a loan."""

    code: int
    returned: int = 0
    drawn: int = 0


class NettedOrder(NamedTuple):
    """An order where orders are netted: side, size, notional at its limit, and what it loses."""

    side: int
    lots: int
    limit_micro: int
    slip_usd: float

    @staticmethod
    def of(side: int, lots: int, limit_micro: int, worth_usd: float) -> NettedOrder:
        """Return an order that is worth so much at the mark, or at the borrow oracle."""
        limit_usd = float(limit_micro) / 1e6
        slip = limit_usd - worth_usd if side == BUY else worth_usd - limit_usd
        return NettedOrder(side, lots, limit_micro, max(0.0, slip))


class SpotOrder(NamedTuple):
    """An order for a token, and what the account has on offer already."""

    side: int
    lots: int
    limit_micro: int
    lot_size: float
    lot_units: int
    offered_lots: int = 0  # resting sales of the same token

    def is_fair(self, token: TokenHolding, *, taker_frac: float) -> bool:
        """Tell whether a sale brings what its tokens stand for against debt, less the fee."""
        value = float(self.lots) * self.lot_size * token.borrow_oracle_usd
        proceeds = float(self.limit_micro) / 1e6 * (1.0 - taker_frac)
        return token.ltv == 0.0 or proceeds >= value * ((1.0 + token.ltv) * 0.5)

    def _netted(self, token: TokenHolding) -> NettedOrder:
        worth = float(self.lots) * self.lot_size * token.borrow_oracle_usd
        return NettedOrder.of(self.side, self.lots, self.limit_micro, worth)

    def _admit_netted(
        self,
        account: MarginAccount,
        token: TokenHolding,
        reserve: ReferenceReserve,
        *,
        taker_frac: float,
    ) -> Admission:
        if account.breached:
            return Admission(R_IN_RESOLUTION)
        if not account.allows(perp=None, token=token, order=self._netted(token)):
            return Admission(R_INSUFFICIENT_MARGIN)
        if self.side == SELL:
            return Admission(ACCEPTED)
        bids = account.spot_bid_usd() + float(self.limit_micro) / 1e6
        need = bids + bids * taker_frac
        return account.admit_need(need, reserve, refusal=R_INSUFFICIENT_BALANCE)

    def shortfall_usd(self, token: TokenHolding, *, taker_frac: float) -> float:
        """Return what a sale brings less than its tokens secure, less the fee."""
        secured = float(self.lots) * self.lot_size * token.borrow_oracle_usd * token.ltv
        return max(0.0, secured - float(self.limit_micro) / 1e6 * (1.0 - taker_frac))

    def keeps_margin(
        self,
        account: MarginAccount,
        token: TokenHolding,
        reserve: ReferenceReserve,
        *,
        taker_frac: float,
    ) -> bool:
        """Tell whether a resting order may fill: what it costs must be there."""
        if account.regime.rules.nets_orders:
            units = self.lots * self.lot_units
            return account.keeps_whole_margin(
                token=token, order=self._netted(token), units=units, reserve=reserve
            )
        if self.side == BUY:
            limit_usd = float(self.limit_micro) / 1e6
            relief = cover_relief_usd(account, token, self.lots * self.lot_units)
            return account.keeps_margin(
                limit_usd, perp=None, lots=self.lots, reserve=reserve, relief_usd=relief
            )
        if not account.has_portfolio_regime or self.is_fair(token, taker_frac=taker_frac):
            return True
        shortfall = self.shortfall_usd(token, taker_frac=taker_frac)
        return not account.is_judged_as_portfolio() or account.keeps_margin(
            shortfall, perp=None, lots=self.lots, reserve=reserve
        )

    def admit(
        self,
        account: MarginAccount,
        token: TokenHolding,
        reserve: ReferenceReserve,
        *,
        taker_frac: float,
    ) -> Admission:
        """Return the reply and the debt to draw: sales need the tokens, bids their notional."""
        limit_usd = float(self.limit_micro) / 1e6
        offered = (self.offered_lots + self.lots) * self.lot_units
        if self.side == SELL and offered > token.units:
            return Admission(R_INSUFFICIENT_BALANCE)
        if account.regime.rules.nets_orders:
            return self._admit_netted(account, token, reserve, taker_frac=taker_frac)
        if self.side == SELL:
            fair = not account.has_portfolio_regime or self.is_fair(token, taker_frac=taker_frac)
            if fair or not account.is_judged_as_portfolio():
                return Admission(ACCEPTED)
            if account.breached:
                return Admission(R_IN_RESOLUTION)
            need = account.bound_usd() + self.shortfall_usd(token, taker_frac=taker_frac)
            if not account.may_owe(need, reserve):
                return Admission(R_INSUFFICIENT_MARGIN)
        else:
            need = account.need_after_usd(
                limit_usd, perp=None, lots=self.lots, side=self.side, taker_frac=taker_frac
            )
            units = self.lots * self.lot_units
            need -= cover_relief_usd(account, token, units, bid_units=token.bid_units)
        return account.admit_need(need, reserve, refusal=R_INSUFFICIENT_BALANCE)


def admit_perp(
    account: MarginAccount,
    perp: PerpHolding,
    reserve: ReferenceReserve,
    *,
    side: int,
    lots: int,
    limit_micro: int,
    reduce_only: bool = False,
) -> Admission:
    """Return the reply to a perp order, and the debt to draw for it.

    Parameters
    ----------
    account : MarginAccount
        Before the order.
    perp : PerpHolding
        One of its perps.
    reserve : ReferenceReserve
        Of USDC.
    side, lots : int
        Of the order.
    limit_micro : int
        Notional at its limit, micro-USDC.
    reduce_only : bool, default False
        Whether it is for reducing alone.

    Returns
    -------
    (int, int)
        Code, and micro-USDC. What can only reduce the position is accepted; where orders are
        netted, if it does not raise what is missing.
    """
    held = perp.lots if side == SELL else -perp.lots
    reduces = reduce_only or perp.open_lots.get(side, 0) + lots <= held
    if account.regime.rules.nets_orders:
        if account.breached and not reduces:
            return Admission(R_IN_RESOLUTION)
        worth = float(lots) * perp.lot_size * perp.mark_usd
        order = NettedOrder.of(side, lots, limit_micro, worth)
        if reduces:
            allowed = account.allows_reduction(perp=perp, order=order)
        else:
            allowed = account.allows(perp=perp, token=None, order=order)
        return Admission(ACCEPTED if allowed else R_INSUFFICIENT_MARGIN)
    if reduces:
        return Admission(ACCEPTED)
    limit_usd = float(limit_micro) / 1e6
    need = account.need_after_usd(limit_usd, perp=perp, lots=lots, side=side)
    return account.admit_need(need, reserve, refusal=R_INSUFFICIENT_MARGIN)
