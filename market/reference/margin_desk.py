"""The desk of a venue with margin: orders pass it, and accounts are read as it sees them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stressbook.market.numbers.units import ON_THE_EDGE
from stressbook.market.reference.admission import Admission, NettedOrder, SpotOrder, admit_perp
from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.margin import MarginAccount, MarginRules
from stressbook.market.reference.margin_requests import answer
from stressbook.market.reference.range_volatility import FollowedRange
from stressbook.market.reference.records import Message
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.reference.short_sales import (
    after_sale,
    keeps_margin_short,
    sells_short,
    short_sale,
)
from stressbook.market.regimes import MarginRegime, load_regime
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CAUSE_BORROW,
    CAUSE_REDEEM,
    FORCED,
    REDUCE_ONLY,
    SELL,
    TWAP,
    VALUE_MAX_NOTHING,
)

if TYPE_CHECKING:
    from stressbook.market.reference.book import RestingOrder
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["AssetMarks", "Eligibility", "MarginDesk", "TokenRules"]


@dataclass
class AssetMarks:
    """Prices of an underlying, USD, and the tiers of its perp."""

    mark_usd: float
    oracle_usd: float
    borrow_oracle_usd: float
    confidence: float = 1.0
    tiers: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass
class TokenRules:
    """What a token counts for; token 0 is USDC."""

    asset: int
    unit: int
    ltv: float = 0.0
    user_supply_cap: int = 0
    counted_share: float = 1.0
    credit_weight: float = -1.0


@dataclass
class Eligibility:
    """Who may enrol in portfolio margin, micro-USDC."""

    volume_micro: int = 0
    value_micro: int = 0
    value_max_micro: int = 2**62
    value_max_later: int = VALUE_MAX_NOTHING
    forget_e9: int = 0  # share of the traded volume that a day forgets


@dataclass
class MarginDesk:
    """Margin at the door.

    Parameters
    ----------
    assets : list of AssetMarks
        As they stand in this step.
    tokens : list of TokenRules
        From USDC.
    reserve : ReferenceReserve
        Of USDC; its cash lies in row `pool`, token k of another one in the k-th row after it.
    token_reserves : dict of int to ReferenceReserve
        Of the other tokens.
    rules : MarginRules
        Of the venue.
    eligibility : Eligibility
        Of portfolio margin.
    outside, pool : int
        Rows.
    admission_on : bool
        Whether orders, withdrawals and leverage need margin.
    price_band_frac : float
        Farthest that an order may rest from the oracle, of its price; 0 is any distance.
    regimes : tuple of MarginRegime
        The ordinary one, and that of enrolled accounts.
    ranges : tuple of dict
        Where the ranges of each stand, by underlying.
    """

    assets: list[AssetMarks]
    tokens: list[TokenRules]
    reserve: ReferenceReserve
    rules: MarginRules = field(default_factory=MarginRules)
    eligibility: Eligibility = field(default_factory=Eligibility)
    outside: int = -2
    pool: int = -3
    admission_on: bool = True
    price_band_frac: float = 0.0
    regimes: tuple[MarginRegime, ...] = (load_regime("cross"), load_regime("hyperliquid-pm"))
    token_reserves: dict[int, ReferenceReserve] = field(default_factory=dict)
    ranges: tuple[dict[str, FollowedRange], ...] = ({}, {})

    # --- orders -----------------------------------------------------------------------------------

    def follow_volatility(
        self, asset: int, former_usd: float, oracle_usd: float, *, period_s: float
    ) -> None:
        """Take an oracle update of an underlying into the ranges of both regimes."""
        for regime, ranges in zip(self.regimes, self.ranges, strict=True):
            one = ranges[str(asset)]
            one.follow(regime.rules, former_usd, oracle_usd, period_s=period_s)

    def mark_usd(self, asset: int) -> float:
        """Return the mark of an underlying."""
        return self.assets[asset].mark_usd

    def is_near_oracle(self, exchange: ReferenceExchange, order: Message) -> bool:
        """Tell whether the price of an order lies within the price band."""
        rules = exchange.instruments[order.inst]
        oracle_usd = self.assets[rules.asset].oracle_usd
        distance_usd = abs(float(order.price_tick) * rules.tick_usd - oracle_usd)
        reach_usd = self.price_band_frac * oracle_usd * ON_THE_EDGE
        return self.price_band_frac == 0.0 or distance_usd <= reach_usd

    def admit(self, exchange: ReferenceExchange, order: Message, *, lots: int) -> int:
        """Let an order through if it has its margin, and draw the debt that it needs."""
        if order.flags & (FORCED | TWAP) or not self.admission_on:
            return ACCEPTED
        account = self.account(exchange, order.user)
        account.breached |= exchange.users[exchange.row_of(order.user, order.inst)].breached
        if exchange.instruments[order.inst].is_perp:
            found = self._admit_perp(exchange, account, order, lots)
        else:
            found = self._admit_spot(exchange, account, order, lots)
        self._give_back(exchange, order.user, found.returned)
        self._lend(exchange, order.user, found.drawn)
        return found.code

    def draw_needed_debt(self, exchange: ReferenceExchange, user: int) -> None:
        """Get a portfolio account what its commitment needs: lent cash first, then debt."""
        account = self.account(exchange, user)
        missing = account.debt_target_micro() - account.debt_micro
        self._give_back(exchange, user, account.returned_for_commitment(self.reserve))
        self._lend(exchange, user, min(missing, account.room_micro(self.reserve)))

    def _give_back(self, exchange: ReferenceExchange, user: int, amount: int) -> None:
        if amount > 0:
            self.reserve.redeem(row=user, amount=amount)
            exchange.ledger.move_cash(self.pool, user, amount, cause=CAUSE_REDEEM)

    def _lend(self, exchange: ReferenceExchange, user: int, amount: int) -> None:
        if amount > 0:
            self.reserve.draw(row=user, amount=amount)
            exchange.ledger.move_cash(self.pool, user, amount, cause=CAUSE_BORROW)

    def _lend_tokens(self, exchange: ReferenceExchange, user: int, token: int, units: int) -> None:
        self.token_reserves[token].draw(row=user, amount=units)
        exchange.ledger.move_token(self.pool + token, user, token, units, cause=CAUSE_BORROW)

    def fill_keeps_margin(
        self, exchange: ReferenceExchange, order: RestingOrder, *, lots: int
    ) -> bool:
        """Tell whether a resting order still has its margin at the match."""
        rules = exchange.instruments[order.inst]
        if not self.admission_on or order.flags & (FORCED | TWAP):
            return True
        account = self.account(exchange, order.user)
        if not account.regime.rules.nets_orders:
            reducible = exchange.reducible_lots(order.user, order.inst, order.side)
            if order.flags & REDUCE_ONLY or (rules.is_perp and reducible >= lots):
                return True
        limit_micro = lots * order.price_tick * rules.k
        if not rules.is_perp:
            trade = SpotOrder(order.side, lots, limit_micro, rules.lot_size, rules.lot_units)
            token = account.tokens[rules.token - 1]
            fee = self._spot_taker_frac(exchange, order.user)
            units = lots * rules.lot_units
            is_lent = self.is_lent(rules.token)
            if order.side == SELL and sells_short(account, token, units, is_lent=is_lent):
                after = after_sale(account, token, units, limit_micro, fee)
                return keeps_margin_short(after, self.reserve)
            return trade.keeps_margin(account, token, self.reserve, taker_frac=fee)
        perps = [inst for inst, each in enumerate(exchange.instruments) if each.is_perp]
        if account.regime.rules.nets_orders:
            perp = account.perps[perps.index(order.inst)]
            worth = float(lots) * perp.lot_size * perp.mark_usd
            netted = NettedOrder.of(order.side, lots, limit_micro, worth)
            return account.keeps_whole_margin(perp=perp, order=netted, reserve=self.reserve)
        held = exchange.position(order.user, order.inst)
        return account.keeps_margin(
            float(limit_micro) / 1e6,
            perp=replace(account.perps[perps.index(order.inst)], lots=held),
            lots=lots if order.side == BUY else -lots,
            reserve=self.reserve,
        )

    def account(self, exchange: ReferenceExchange, user: int) -> MarginAccount:
        """Return a user's account as margin sees it."""
        participant = exchange.users[user]
        return MarginAccount(
            cash_micro=exchange.ledger.cash(user),
            debt_micro=self.reserve.debts.get(user, 0),
            supplied_micro=self.reserve.supplies.get(user, 0),
            perps=[
                self._perp(exchange, user, inst)
                for inst, rules in enumerate(exchange.instruments)
                if rules.is_perp
            ],
            tokens=[self._token(exchange, user, token) for token in range(1, len(self.tokens))],
            spot_bids_micro=[
                exchange.orders.open_notional_micro(user, inst, BUY)
                for inst, rules in enumerate(exchange.instruments)
                if not rules.is_perp
            ],
            has_portfolio_regime=participant.has_portfolio_regime,
            breached=participant.breached,
            rules=self.rules,
            regime=self.regimes[participant.has_portfolio_regime],
            range_multiples={
                asset: one.multiple
                for asset, one in self.ranges[participant.has_portfolio_regime].items()
            },
            headroom_micro=self.reserve.headroom(self.reserve.debts.get(user, 0)),
        )

    def _perp(self, exchange: ReferenceExchange, user: int, inst: int) -> PerpHolding:
        rules = exchange.instruments[inst]
        asset = self.assets[rules.asset]
        return PerpHolding(
            lots=exchange.ledger.perp(user, inst),
            lot_size=rules.lot_size,
            mark_usd=asset.mark_usd,
            leverage=exchange.users[user].leverage[inst],
            tiers=asset.tiers,
            open_micro=sum(
                exchange.orders.open_notional_micro(user, inst, side) for side in (BUY, SELL)
            ),
            open_lots={side: exchange.orders.open_lots(user, inst, side) for side in (BUY, SELL)},
            asset=str(rules.asset),
            bid_micro=exchange.orders.open_notional_micro(user, inst, BUY),
            ask_micro=exchange.orders.open_notional_micro(user, inst, SELL),
            oracle_usd=asset.oracle_usd,
            entry_micro=exchange.ledger.entry_costs.get((inst, user), 0),
            confidence=asset.confidence,
        )

    def _token(self, exchange: ReferenceExchange, user: int, token: int) -> TokenHolding:
        rules = self.tokens[token]
        asset = self.assets[rules.asset]
        return TokenHolding(
            units=exchange.ledger.token(user, token),
            unit=rules.unit,
            oracle_usd=asset.oracle_usd,
            borrow_oracle_usd=asset.borrow_oracle_usd,
            ltv=rules.ltv,
            user_supply_cap=rules.user_supply_cap,
            counted_share=rules.counted_share,
            credit_weight=rules.credit_weight,
            asset=str(rules.asset),
            name=str(token),
            bid_micro=self._open_micro(exchange, user, token, BUY),
            ask_micro=self._open_micro(exchange, user, token, SELL),
            confidence=asset.confidence,
            debt_units=self.owed_units(user, token),
            bid_units=sum(
                exchange.orders.open_lots(user, inst, BUY) * exchange.instruments[inst].lot_units
                for inst in self._books(exchange, token)
            ),
        )

    @staticmethod
    def _books(exchange: ReferenceExchange, token: int) -> list[int]:
        return [
            inst
            for inst, rules in enumerate(exchange.instruments)
            if not rules.is_perp and rules.token == token
        ]

    def _open_micro(self, exchange: ReferenceExchange, user: int, token: int, side: int) -> int:
        books = self._books(exchange, token)
        return sum(exchange.orders.open_notional_micro(user, inst, side) for inst in books)

    def owed_units(self, user: int, token: int) -> int:
        """Return what a user owes of a token that is not USDC."""
        return self.token_reserves[token].debts.get(user, 0) if self.token_reserves else 0

    def is_lent(self, token: int) -> bool:
        """Tell whether a token may be borrowed."""
        return token in self.token_reserves and self.token_reserves[token].borrowable

    def _admit_perp(
        self, exchange: ReferenceExchange, account: MarginAccount, order: Message, lots: int
    ) -> Admission:
        perps = [inst for inst, rules in enumerate(exchange.instruments) if rules.is_perp]
        # Under isolated margin the position stands in its pocket, and binds nothing here.
        held = exchange.position(order.user, order.inst)
        return admit_perp(
            account,
            replace(account.perps[perps.index(order.inst)], lots=held),
            self.reserve,
            side=order.side,
            lots=lots,
            limit_micro=lots * order.price_tick * exchange.instruments[order.inst].k,
            reduce_only=bool(order.flags & REDUCE_ONLY),
        )

    def _admit_spot(
        self, exchange: ReferenceExchange, account: MarginAccount, order: Message, lots: int
    ) -> Admission:
        rules = exchange.instruments[order.inst]
        offer = SpotOrder(
            side=order.side,
            lots=lots,
            limit_micro=lots * order.price_tick * rules.k,
            lot_size=rules.lot_size,
            lot_units=rules.lot_units,
            offered_lots=exchange.orders.open_lots(order.user, order.inst, SELL),
        )
        token = account.tokens[rules.token - 1]
        fee = self._spot_taker_frac(exchange, order.user)
        units = (offer.offered_lots + lots) * rules.lot_units
        is_lent = self.is_lent(rules.token)
        if order.side == SELL and sells_short(account, token, units, is_lent=is_lent):
            on_offer = exchange.orders.open_notional_micro(order.user, order.inst, SELL)
            after = after_sale(account, token, units, on_offer + offer.limit_micro, fee)
            own = self.token_reserves[rules.token]
            code, missing = short_sale(account, after, token, units, own=own, usdc=self.reserve)
            if missing > 0:
                self._lend_tokens(exchange, order.user, rules.token, missing)
            return Admission(code)
        return offer.admit(account, token, self.reserve, taker_frac=fee)

    def _spot_taker_frac(self, exchange: ReferenceExchange, user: int) -> float:
        return float(exchange.fee_tiers[exchange.users[user].fee_tier].spot_taker_e7) / 1e7

    def answer(self, exchange: ReferenceExchange, message: Message) -> int:
        """Do what is no order, whole, or return why not."""
        return answer(self, exchange, message)
