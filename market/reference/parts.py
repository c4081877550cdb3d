"""What the plain venue consists of, and the bookings that several of its rules share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from stressbook.market.numbers.units import NEAREST, round_up
from stressbook.market.reference.funding import FundingMeter
from stressbook.market.reference.ledger import Asset
from stressbook.market.reference.margin import MarginAccount
from stressbook.market.reference.margin_desk import MarginDesk
from stressbook.market.reference.match import ReferenceExchange
from stressbook.market.reference.oracle import AssetPrices
from stressbook.market.reference.records import Event, Message, Reply
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.reference.sequence import ReferenceSequencer
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.state.codes import CAUSE_REDEEM, CAUSE_REPAY, EV_TOKEN_DEBT, SELL

__all__ = [
    "BackstopSums",
    "Clock",
    "ResolutionRules",
    "Rows",
    "Standing",
    "Valuation",
    "VenueParts",
]


class Rows(NamedTuple):
    """Rows of the ledger that are nobody's account, and the backstop's."""

    outside: int
    treasury: int
    rounding: int
    pool: int
    backstop: int


class Clock(NamedTuple):
    """Length of a step, and periods of what the venue does by itself, ms."""

    dt_ms: int
    price_ms: int
    premium_ms: int
    funding_ms: int

    def ends(self, period_ms: int, t_ms: int) -> bool:
        """Tell whether a period ends within the step: the first with t >= k x period.

        Examples
        --------
        >>> clock = Clock(dt_ms=2_000, price_ms=3_000, premium_ms=5_000, funding_ms=3_600_000)
        >>> [t for t in range(0, 13_000, 2_000) if t and clock.ends(3_000, t)]
        [4000, 6000, 10000, 12000]
        """
        return t_ms // period_ms > (t_ms - self.dt_ms) // period_ms


class ResolutionRules(NamedTuple):
    """What happens on a breach, in numbers: fields of `state.VENUE_PARAMS`."""

    resolution_on: bool
    backstop_policy: int
    liquidation_fee_frac: float
    taker_policy: int
    price_policy: int
    fillable_adjustment: float
    fillable_spread_frac: float
    penalty_frac: float
    auction_start_frac: float
    auction_cutoff_frac: float
    auction_period_ms: int
    auction_insolvent_period_ms: int
    auction_buffer_frac: float
    auction_reserve_frac: float
    adl_on: bool
    pm_trigger_ratio: float
    backstop_mm_frac: float
    partial_notional_micro: int
    partial_frac_e6: int
    cooldown_ms: int
    forced_slippage_frac: float
    twap_step_frac: float
    slice_frac_e6: int
    slice_at_partial_threshold: bool
    slice_of_remaining: bool
    slice_full_discount: bool
    select_policy: int
    share_step_frac: float
    target_ratio: float
    allocate_policy: int
    score_policy: int
    socialise_policy: int
    cancel_below_initial_policy: int


@dataclass
class Standing:
    """What the venue remembers of an account on its way down: fields of `state.USER`."""

    cooldown_until_ms: int = 0
    next_slice_ms: int = 0
    auction_from_ms: int = 0
    slice_micro: int = 0
    sales_used_micro: int = 0  # of the backstop: sales that have repaid debt, or are capital
    next_message: int = 0


@dataclass
class Valuation:
    """What an account is worth at a mark update: fields of `state.RISK`."""

    is_portfolio: bool = False
    net_usd: float = 0.0
    equity_usd: float = 0.0
    initial_usd: float = 0.0
    maintenance_usd: float = 0.0
    available_usd: float = 0.0
    ratio: float = 0.0
    health_usd: float = 0.0
    credit_usd: float = 0.0
    gross_notional_usd: float = 0.0
    token_value_usd: float = 0.0
    debt_usd: float = 0.0
    deepest_negative_usd: float = 0.0


@dataclass
class BackstopSums:
    """What the backstop has done so far: fields of `state.BACKSTOP_SUMS`."""

    assumed_micro: int = 0
    perp_cash_micro: int = 0
    used_micro: int = 0
    debt_at_deepest_usd: float = 0.0


@dataclass
class VenueParts:
    """All that the plain venue knows.

    Parameters
    ----------
    exchange : ReferenceExchange
        Instruments, users, ledger, books, logs.
    desk : MarginDesk
        Admission; it holds the reserve, the tokens and the prices that margin is computed at.
    sequencer : ReferenceSequencer
        Messages on their way.
    prices : list of AssetPrices
        Oracle and mark.
    meters : list of FundingMeter
        Premium samples, by asset.
    """

    exchange: ReferenceExchange
    desk: MarginDesk
    sequencer: ReferenceSequencer
    prices: list[AssetPrices]
    meters: list[FundingMeter]
    rates_e15: list[int]  # last funding rate, by asset
    standings: list[Standing]
    valuations: list[Valuation]
    rows: Rows
    clock: Clock
    rules: ResolutionRules
    n_rows: int
    perp_insts: list[int | None]  # by asset
    spot_insts: list[int | None]
    mark_dens: list[int]  # micro-USDC = lots x price / this, by instrument
    impact_notionals_micro: list[int]  # by instrument
    max_spreads_frac: list[float]  # by instrument; a wider book is not two-sided
    widths_usd: list[float]  # of the discount of a slice, by token
    platform_supply_caps: list[int]  # by token, units
    collateral_units: list[int]  # of portfolio accounts, by token
    taken_negative_usd: list[float]  # equity below zero that the backstop took over, by user
    backstop: BackstopSums
    check_delay_ms: int = 0  # between checks for breaches; every mark update if not above it
    n_steps: int = 0
    n_price_updates: int = 0
    has_left_ladder: bool = False
    has_unknown_policy: bool = False  # a rule has a code that no branch knows
    replies: list[Reply] = field(default_factory=list)  # of this step
    forced: list[Message] = field(default_factory=list)  # orders of this step's risk check

    # --- what a row has ---------------------------------------------------------------------------

    @property
    def reserve(self) -> ReferenceReserve:
        """The reserve of USDC."""
        return self.desk.reserve

    def reserve_of(self, token: int) -> ReferenceReserve:
        """Return the reserve of a token."""
        return self.desk.reserve if token == 0 else self.desk.token_reserves[token]

    def claims_of(self, token: int) -> Asset:
        """Return where claims on a pool stand: USDC has no token, a spot book has no perps."""
        if token == 0:
            return ("token", 0)
        spot = self.spot_insts[self.desk.tokens[token].asset]
        return ("perp", -1 if spot is None else spot)

    def account(self, user: int) -> MarginAccount:
        """Return an account as margin sees it."""
        return self.desk.account(self.exchange, user)

    def cash(self, row: int) -> int:
        """Return raw cash, micro-USDC."""
        return self.exchange.ledger.cash(row)

    def debt(self, row: int) -> int:
        """Return what a row has borrowed, micro-USDC."""
        return self.reserve.debts.get(row, 0)

    def supply(self, row: int) -> int:
        """Return what a row has lent, micro-USDC."""
        return self.reserve.supplies.get(row, 0)

    def perps(self, row: int) -> dict[int, int]:
        """Return the open perps of a row: instrument to lots."""
        ledger, instruments = self.exchange.ledger, self.exchange.instruments
        found = {i: ledger.perp(row, i) for i, rules in enumerate(instruments) if rules.is_perp}
        return {inst: lots for inst, lots in found.items() if lots != 0}

    def has_pledge(self, row: int) -> bool:
        """Tell whether collateral stands for a loan: one there is, may be, or is being taken."""
        if not self.exchange.users[row].has_portfolio_regime:
            return False
        owes = self.debt(row) > 0 or any(self.token_debt(row, k) for k in self.desk.token_reserves)
        is_owed = owes or self.standings[row].slice_micro > 0
        return is_owed or self.account(row).is_judged_as_portfolio()

    def counts_lent_cash(self, row: int) -> bool:
        """Tell whether lent cash pays a deficit: under portfolio margin, where caps leave any."""
        if not self.exchange.users[row].has_portfolio_regime:
            return False
        rules, caps_count = self.desk.rules, self.desk.rules.user_cap_in_credit
        offers_credit = any(
            token.ltv > 0.0 and (token.user_supply_cap > 0 or not caps_count)
            for token in self.desk.tokens[1:]
        )
        may_borrow = rules.user_borrow_cap_micro > 0 or not caps_count
        return (offers_credit and may_borrow) or self.has_pledge(row)

    def collateral(self, row: int) -> dict[int, int]:
        """Return what can be taken for a loan: token to units, of a pledge."""
        if not self.has_pledge(row):
            return {}
        ledger = self.exchange.ledger
        lendable = [k for k, rules in enumerate(self.desk.tokens) if rules.ltv > 0.0]
        held = {k: ledger.token(row, k) for k in lendable}
        return {k: n for k, n in held.items() if n > self.token_debt(row, k)}

    def token_debt(self, row: int, token: int) -> int:
        """Return what a row has borrowed of a token."""
        return self.desk.token_reserves[token].debts.get(row, 0)

    def owed_tokens(self, row: int) -> dict[int, int]:
        """Return what a row owes beyond what it holds: token to units."""
        ledger = self.exchange.ledger
        owed = {k: self.token_debt(row, k) - ledger.token(row, k) for k in self.desk.token_reserves}
        return {token: units for token, units in owed.items() if units > 0}

    def backs_token_debt(self, row: int) -> bool:
        """Tell whether a row that owes tokens has cash that they can be taken for."""
        has_cash = self.cash(row) > self.debt(row) or self.supply(row) > 0
        return has_cash and bool(self.owed_tokens(row))

    def worth_micro(self, token: int, units: int) -> int:
        """Return the value of units of a token at the borrow oracle, rounded up."""
        rules = self.desk.tokens[token]
        price_usd = self.desk.assets[rules.asset].borrow_oracle_usd
        return round_up(float(units) / float(rules.unit) * price_usd * 1e6)

    def token_debt_micro(self, row: int) -> int:
        """Return the value of the tokens that a row owes beyond those it holds."""
        return sum(self.worth_micro(token, n) for token, n in self.owed_tokens(row).items())

    def perp_value_micro(self, row: int) -> int:
        """Return what perps are worth at the mark, each to the nearest unit."""
        return sum(
            mul_div_reference(lots, self.mark_e8(inst), self.mark_dens[inst], NEAREST)
            for inst, lots in self.perps(row).items()
        )

    def mark_e8(self, inst: int) -> int:
        """Return the mark of an instrument's asset, 1e-8 USD."""
        return self.prices[self.exchange.instruments[inst].asset].mark_e8

    def mark_usd(self, inst: int) -> float:
        """Return the mark of an instrument's asset."""
        return self.desk.assets[self.exchange.instruments[inst].asset].mark_usd

    # --- what rules have in common ----------------------------------------------------------------

    def log(self, t_ms: int, kind: int, user: int, **more: int) -> None:
        """Append an event; what is not given is none."""
        given = {"inst": -1, "lots": 0, "price_e8": 0} | more
        self.exchange.events.append(Event(t_ms, kind, user, **given))

    def repay(self, row: int, amount: int) -> int:
        """Pay back what is owed, at most; return it."""
        paid = self.reserve.repay(row=row, amount=amount)
        if paid > 0:
            self.exchange.ledger.move_cash(row, self.rows.pool, paid, cause=CAUSE_REPAY)
        return paid

    def set_off(self, row: int, *, most: int) -> None:
        """Pay debt out of what the row has lent itself; the pool needs no cash for it."""
        lent = self.reserve.set_off(row=row, most=most)
        if lent > 0:
            self.exchange.ledger.move_cash(self.rows.pool, row, lent, cause=CAUSE_REDEEM)
            self.exchange.ledger.move_cash(row, self.rows.pool, lent, cause=CAUSE_REPAY)

    def pay_from_own(self, row: int) -> None:
        """Pay debts of a row without perps out of what it has lent, then out of what it holds."""
        self.set_off(row, most=self.debt(row))
        self.repay(row, self.cash(row))
        self.pay_token_debts(row)

    def pay_token_debts(self, row: int) -> None:
        """Pay debts of tokens out of what the row has lent and holds, its offers apart."""
        ledger = self.exchange.ledger
        for token, reserve in self.desk.token_reserves.items():
            debt = reserve.debts.get(row, 0)
            if debt <= 0:
                continue
            pool = self.rows.pool + token
            lent = reserve.set_off(row=row, most=debt)
            ledger.move_token(pool, row, token, lent, cause=CAUSE_REDEEM)
            ledger.move_token(row, pool, token, lent, cause=CAUSE_REPAY)
            offered = sum(
                self.exchange.orders.open_lots(row, inst, SELL) * rules.lot_units
                for inst, rules in enumerate(self.exchange.instruments)
                if not rules.is_perp and rules.token == token
            )
            idle = ledger.token(row, token) - offered
            paid = reserve.repay(row=row, amount=idle)
            ledger.move_token(row, pool, token, paid, cause=CAUSE_REPAY)

    def move_token_debt(
        self, source: int, target: int, token: int, units: int, *, cause: int, t_ms: int
    ) -> None:
        """Have another row owe the tokens that one has borrowed."""
        if units <= 0:
            return
        debts = self.desk.token_reserves[token].debts
        debts[source] = debts.get(source, 0) - units
        debts[target] = debts.get(target, 0) + units
        self.note_claim(source, units, cause, token=token)
        self.note_claim(target, -units, cause, token=token)
        self.log(
            t_ms,
            EV_TOKEN_DEBT,
            source,
            inst=token,
            lots=units,
            price_e8=self.prices[self.desk.tokens[token].asset].borrow_oracle_e8,
            amount_micro=self.worth_micro(token, units),
            cause=cause,
            counterparty=target,
        )

    def move_debt(self, source: int, target: int, amount: int, *, cause: int) -> None:
        """Have another row owe what one has borrowed."""
        debts = self.reserve.debts
        debts[source] = debts.get(source, 0) - amount
        debts[target] = debts.get(target, 0) + amount
        self.note_claim(source, amount, cause)
        self.note_claim(target, -amount, cause)

    def move_claim(self, source: int, target: int, amount: int, *, cause: int) -> None:
        """Hand lent USDC over."""
        supplies = self.reserve.supplies
        supplies[source] = supplies.get(source, 0) - amount
        supplies[target] = supplies.get(target, 0) + amount
        self.note_claim(source, -amount, cause)
        self.note_claim(target, amount, cause)

    def note_claim(self, row: int, amount: int, cause: int, *, token: int = 0) -> None:
        """Keep the sums by cause of claims on a pool."""
        self.exchange.ledger.flows[self.claims_of(token), row, cause] += amount
