"""What the plain venue consists of, and the bookings that several of its rules share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from stressbook.market.codes import CAUSE_REDEEM, CAUSE_REPAY
from stressbook.market.reference.funding import FundingMeter
from stressbook.market.reference.margin import MarginAccount
from stressbook.market.reference.margin_desk import MarginDesk
from stressbook.market.reference.match import ReferenceExchange
from stressbook.market.reference.oracle import AssetPrices
from stressbook.market.reference.records import Event, Message, Reply
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.reference.sequence import ReferenceSequencer
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.units import NEAREST

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
    rank_score_policy: int
    socialise_policy: int


@dataclass
class Standing:
    """What the venue remembers of an account on its way down: fields of `state.USER`."""

    cooldown_until_ms: int = 0
    next_slice_ms: int = 0
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
    reserve_rates: tuple[float, float, float, int]  # utilisation, rates, step: at the last hour
    taken_negative_usd: list[float]  # equity below zero that the backstop took over, by user
    backstop: BackstopSums
    retained_used: int = 0
    supplier_loss: int = 0
    n_steps: int = 0
    n_price_updates: int = 0
    has_left_ladder: bool = False
    replies: list[Reply] = field(default_factory=list)  # of this step
    forced: list[Message] = field(default_factory=list)  # orders of this step's risk check

    # --- what a row has ---------------------------------------------------------------------------

    @property
    def reserve(self) -> ReferenceReserve:
        """The reserve of USDC."""
        return self.desk.reserve

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

    def collateral(self, row: int) -> dict[int, int]:
        """Return what can be taken for a loan: token to units, in the portfolio regime."""
        if not self.exchange.users[row].has_portfolio_regime:
            return {}
        ledger = self.exchange.ledger
        lendable = [k for k, rules in enumerate(self.desk.tokens) if rules.ltv > 0.0]
        return {k: ledger.token(row, k) for k in lendable if ledger.token(row, k) > 0}

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
        """Pay the debt of a row without perps out of what it has lent, then out of its cash."""
        self.set_off(row, most=self.debt(row))
        self.repay(row, self.cash(row))

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

    def note_claim(self, row: int, amount: int, cause: int) -> None:
        """Keep the sums by cause of claims on the pool; they stand where USDC has no token."""
        self.exchange.ledger.flows[("token", 0), row, cause] += amount
