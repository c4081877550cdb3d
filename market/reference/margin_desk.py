"""The desk of a venue with margin: orders, withdrawals, loans, enrolment and leverage pass it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stressbook.market.numbers.units import BALANCE_MAX, ON_THE_EDGE, round_down, round_up
from stressbook.market.reference.admission import Admission, NettedOrder, SpotOrder, admit_perp
from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.margin import MarginAccount, MarginRules
from stressbook.market.reference.pockets import pocket_equity_micro
from stressbook.market.reference.range_volatility import FollowedRange
from stressbook.market.reference.records import Message
from stressbook.market.reference.requests import deposit, refusal_of_amount, withdraw
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
    CAUSE_ISOLATED_MARGIN,
    CAUSE_REDEEM,
    CAUSE_SUPPLY,
    FORCED,
    FROM_POCKET,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    OP_DEPOSIT,
    OP_ENROL,
    OP_LEVERAGE,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_WITHDRAW,
    R_BAD_INSTRUMENT,
    R_BAD_LEVERAGE,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_NOT_SUPPORTED,
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
            if order.flags & REDUCE_ONLY:
                return ACCEPTED
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
        if not self.admission_on or order.flags & (REDUCE_ONLY | FORCED | TWAP):
            return True
        if rules.is_perp and exchange.reducible_lots(order.user, order.inst, order.side) >= lots:
            return True
        account = self.account(exchange, order.user)
        limit_micro = lots * order.price_tick * rules.k
        if not rules.is_perp:
            trade = SpotOrder(order.side, lots, limit_micro, rules.lot_size, rules.lot_units)
            token = account.tokens[rules.token - 1]
            fee = self._spot_taker_frac(exchange, order.user)
            units = lots * rules.lot_units
            is_lent = self._is_lent(rules.token)
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
            debt_units=self._owed(user, token),
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

    def _owed(self, user: int, token: int) -> int:
        return self.token_reserves[token].debts.get(user, 0) if self.token_reserves else 0

    def _is_lent(self, token: int) -> bool:
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
        is_lent = self._is_lent(rules.token)
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

    # --- messages that are no orders --------------------------------------------------------------

    def answer(self, exchange: ReferenceExchange, message: Message) -> int:
        """Do what is no order, whole, or return why not."""
        answers = {
            OP_DEPOSIT: self._deposit,
            OP_WITHDRAW: self._withdraw,
            OP_SUPPLY: self._supply,
            OP_REDEEM: self._redeem,
            OP_ENROL: self._enrol,
            OP_LEVERAGE: self._set_leverage,
            OP_TRANSFER: self._transfer_margin,
        }
        if message.op not in answers:
            return R_NOT_SUPPORTED
        return answers[message.op](exchange, message)

    def _deposit(self, exchange: ReferenceExchange, message: Message) -> int:
        code = refusal_of_amount(exchange, message, n_tokens=len(self.tokens), outside=self.outside)
        if code == ACCEPTED:
            deposit(exchange, message, outside=self.outside)
        return code

    def _withdraw(self, exchange: ReferenceExchange, message: Message) -> int:
        code = refusal_of_amount(exchange, message, n_tokens=len(self.tokens), outside=self.outside)
        if code == ACCEPTED and self.admission_on:
            code = self._refusal_of_withdrawal(exchange, message)
        if code == ACCEPTED:
            withdraw(exchange, message, outside=self.outside)
            is_portfolio = exchange.users[message.user].has_portfolio_regime
            if message.inst == 0 and self.admission_on and is_portfolio:
                self.draw_needed_debt(exchange, message.user)
        return code

    def _refusal_of_withdrawal(self, exchange: ReferenceExchange, message: Message) -> int:
        user, token, units = message.user, message.inst, message.qty_lots
        if token > 0:
            return self._refusal_of_leaving(exchange, user, token, units)
        free = round_down(self.account(exchange, user).withdrawable_usd(self.reserve) * 1e6)
        return ACCEPTED if units <= free else R_INSUFFICIENT_BALANCE

    def _refusal_of_leaving(
        self, exchange: ReferenceExchange, user: int, token: int, units: int
    ) -> int:
        """Keep what is on offer or borrowed, and collateral above what it secures."""
        account = self.account(exchange, user)
        on_offer = sum(
            exchange.orders.open_lots(user, inst, SELL) * rules.lot_units
            for inst, rules in enumerate(exchange.instruments)
            if not rules.is_perp and rules.token == token
        )
        held = exchange.ledger.token(user, token)
        if units > min(held - on_offer, held - self._owed(user, token)):
            return R_INSUFFICIENT_BALANCE
        is_pledged = account.owes() or account.is_judged_as_portfolio()
        if account.has_portfolio_regime and is_pledged and self.tokens[token].ltv > 0.0:
            account.tokens[token - 1].units -= units  # as if it were gone
            if self._lacks_transfer_margin(account):
                return R_INSUFFICIENT_MARGIN
        return ACCEPTED

    def _lacks_transfer_margin(self, account: MarginAccount) -> bool:
        """Tell whether less is left than a transfer must leave, the floor of notional in it."""
        if account.is_judged_as_portfolio():
            return account.available_usd(self.reserve) < 0.0
        return account.cross_equity_usd() < account.bound_usd()

    def _supply(self, exchange: ReferenceExchange, message: Message) -> int:
        user, amount = message.user, message.qty_lots
        if message.inst != 0:
            return self._supply_tokens(exchange, user, message.inst, amount)
        spare = round_down(self.account(exchange, user).spare_usd() * 1e6)
        code = self.reserve.supply(row=user, amount=amount, spare=spare)
        if code == ACCEPTED:
            exchange.ledger.move_cash(user, self.pool, amount, cause=CAUSE_SUPPLY)
        return code

    def _redeem(self, exchange: ReferenceExchange, message: Message) -> int:
        user, amount = message.user, message.qty_lots
        if message.inst != 0:
            return self._redeem_tokens(exchange, user, message.inst, amount)
        code = self.reserve.redeem(row=user, amount=amount)
        if code == ACCEPTED:
            exchange.ledger.move_cash(self.pool, user, amount, cause=CAUSE_REDEEM)
        return code

    def _supply_tokens(
        self, exchange: ReferenceExchange, user: int, token: int, amount: int
    ) -> int:
        if not self._is_lent(token):
            return R_BAD_TOKEN
        if amount <= 0:
            return R_BAD_QUANTITY
        code = self._refusal_of_leaving(exchange, user, token, amount)
        if code == ACCEPTED:
            code = self.token_reserves[token].supply(row=user, amount=amount)
        if code == ACCEPTED:
            pool = self.pool + token
            exchange.ledger.move_token(user, pool, token, amount, cause=CAUSE_SUPPLY)
        return code

    def _redeem_tokens(
        self, exchange: ReferenceExchange, user: int, token: int, amount: int
    ) -> int:
        own = self.token_reserves.get(token)
        if own is None or not (own.borrowable or own.supplies.get(user, 0)):
            return R_BAD_TOKEN
        code = own.redeem(row=user, amount=amount)
        if code == ACCEPTED:
            pool = self.pool + token
            exchange.ledger.move_token(pool, user, token, amount, cause=CAUSE_REDEEM)
        return code

    def _enrol(self, exchange: ReferenceExchange, message: Message) -> int:
        participant, mode = exchange.users[message.user], message.qty_lots
        if not MODE_STANDARD <= mode <= MODE_PORTFOLIO:
            return R_BAD_QUANTITY
        if participant.breached:
            return R_IN_RESOLUTION
        if mode == MODE_PORTFOLIO:
            if exchange.pockets:
                return R_NOT_SUPPORTED
            enters = not participant.has_portfolio_regime
            if enters and not (
                self.is_idle(exchange, message.user) and self._is_eligible(exchange, message)
            ):
                return R_NOT_ELIGIBLE
            participant.has_portfolio_regime = participant.enrolled = True
        elif participant.has_portfolio_regime:
            reserves = (self.reserve, *self.token_reserves.values())
            if any(each.debts.get(message.user, 0) != 0 for each in reserves):
                return R_NOT_ELIGIBLE
            participant.has_portfolio_regime = False
            if self.account(exchange, message.user).available_usd(self.reserve) < 0.0:
                participant.has_portfolio_regime = True
                return R_INSUFFICIENT_MARGIN
            participant.enrolled = False
        participant.account_mode = mode
        return ACCEPTED

    def _is_eligible(self, exchange: ReferenceExchange, message: Message) -> bool:
        value_micro = self.account(exchange, message.user).account_value_usd() * 1e6
        if value_micro >= float(self.eligibility.value_max_micro):
            return False
        volume = exchange.users[message.user].volume_14d_micro
        has_value = value_micro > float(self.eligibility.value_micro)
        return volume > self.eligibility.volume_micro or has_value

    def is_idle(self, exchange: ReferenceExchange, user: int) -> bool:
        """Tell whether a user has no perps, resting orders and waiting triggers."""
        waits = any(trigger.user == user for trigger in exchange.triggers)
        if waits or exchange.orders.of_user(user):
            return False
        perps = [inst for inst, rules in enumerate(exchange.instruments) if rules.is_perp]
        return all(exchange.position(user, inst) == 0 for inst in perps)

    def _set_leverage(self, exchange: ReferenceExchange, message: Message) -> int:
        inst, leverage = message.inst, message.qty_lots
        if not 0 <= inst < len(exchange.instruments) or not exchange.instruments[inst].is_perp:
            return R_BAD_INSTRUMENT
        if not 1 <= leverage <= exchange.instruments[inst].max_leverage:
            return R_BAD_LEVERAGE
        chosen = exchange.users[message.user].leverage
        former, chosen[inst] = chosen[inst], leverage
        needs_more = leverage < former and self.admission_on
        if needs_more and self.account(exchange, message.user).available_usd(self.reserve) < 0.0:
            chosen[inst] = former
            return R_INSUFFICIENT_MARGIN
        exchange.users[exchange.row_of(message.user, inst)].leverage[inst] = leverage
        return ACCEPTED

    def _transfer_margin(self, exchange: ReferenceExchange, message: Message) -> int:
        user, inst, micro = message.user, message.inst, message.qty_lots
        if not 0 <= inst < len(exchange.instruments) or not exchange.instruments[inst].is_perp:
            return R_BAD_INSTRUMENT
        row = exchange.row_of(user, inst)
        if row == user:
            return R_NOT_SUPPORTED
        if not 0 < micro < BALANCE_MAX:
            return R_BAD_QUANTITY
        if exchange.users[user].breached or exchange.users[row].breached:
            return R_IN_RESOLUTION
        source, target = (row, user) if message.flags & FROM_POCKET else (user, row)
        if not exchange.ledger.has_room(target, 0, micro, cause=CAUSE_ISOLATED_MARGIN):
            return R_BAD_QUANTITY
        if source == user:
            free = self.account(exchange, user).withdrawable_usd(self.reserve)
            if micro > round_down(free * 1e6):
                return R_INSUFFICIENT_BALANCE
        else:
            pocket = self.account(exchange, row)
            floor = self.rules.notional_floor_frac * pocket.gross_notional_usd()
            bound = round_up(max(pocket.initial_usd(), floor) * 1e6)
            mark = self.mark_usd(exchange.instruments[inst].asset)
            if micro > pocket_equity_micro(exchange, row, inst, mark_usd=mark) - bound:
                return R_INSUFFICIENT_MARGIN
        exchange.ledger.move_cash(source, target, micro, cause=CAUSE_ISOLATED_MARGIN)
        return ACCEPTED
