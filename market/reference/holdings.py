"""What an account holds, as margin sees it: perps with their tiers, tokens with their credit."""

from __future__ import annotations

from dataclasses import dataclass, field

from stressbook.market.state.codes import BUY

__all__ = ["PerpHolding", "TokenHolding"]


@dataclass
class PerpHolding:
    """A perp of an account: position, leverage, resting orders.

    Examples
    --------
    >>> tiers = [(0.0, 0.0125, 0.0), (150e6, 0.025, 1_875_000.0)]
    >>> PerpHolding(lots=-2, lot_size=1.0, mark_usd=1e8, leverage=40, tiers=tiers).maintenance_usd()
    3125000.0
    """

    lots: int
    lot_size: float
    mark_usd: float
    leverage: int
    tiers: list[tuple[float, float, float]]  # lower notional, maintenance rate, deduction
    open_micro: int = 0  # resting orders at their limits, reduce-only ones left out
    open_lots: dict[int, int] = field(default_factory=dict)  # by side, all resting orders
    # What regimes with a scan ask beside: the underlying, the orders of each side, the oracle.
    asset: str = "0"
    bid_micro: int = 0
    ask_micro: int = 0
    oracle_usd: float = 0.0
    entry_micro: int = 0
    confidence: float = 1.0

    def value_usd(self) -> float:
        """Return the signed value at the mark."""
        return float(self.lots) * self.lot_size * self.mark_usd

    def maintenance_usd(self) -> float:
        """Return the maintenance requirement."""
        return self.maintenance_of(abs(self.value_usd()))

    def maintenance_of(self, notional: float) -> float:
        """Return the maintenance requirement of a notional: rate of its tier less deduction."""
        rate, deduction = next(
            (rate, deduction)
            for lower, rate, deduction in reversed(self.tiers)
            if notional > lower or lower == self.tiers[0][0]
        )
        return notional * rate - deduction

    def initial_usd(self) -> float:
        """Return the initial requirement at the chosen leverage, twice maintenance at least."""
        return self.initial_of(abs(self.value_usd()))

    def initial_of(self, notional: float) -> float:
        """Return the initial requirement of a notional."""
        return max(notional / float(self.leverage), 2.0 * self.maintenance_of(notional))

    def more_initial_usd(self, notional: float, *, side: int) -> float:
        """Return the initial margin that a filled order adds, by the tiers of what is held then."""
        adds = (self.lots > 0) == (side == BUY)
        held = abs(self.value_usd()) if adds else 0.0
        more = self.initial_of(held + notional) - self.initial_of(held)
        return max(notional / float(self.leverage), more)

    def order_margin_usd(self) -> float:
        """Return the margin of the resting orders."""
        return float(self.open_micro) / 1e6 / float(self.leverage)


@dataclass
class TokenHolding:
    """A token of an account.

    Examples
    --------
    >>> TokenHolding(units=10, unit=1, oracle_usd=50.0, borrow_oracle_usd=50.0, ltv=0.5,
    ...              user_supply_cap=10).capacity_usd(True)
    250.0
    """

    units: int
    unit: int
    oracle_usd: float
    borrow_oracle_usd: float
    ltv: float
    user_supply_cap: int
    counted_share: float = 1.0  # in new borrowing, below 1 beyond the platform's supply cap
    credit_weight: float = -1.0  # at maintenance; (1 + LTV) / 2 if below 0
    asset: str = "0"
    name: str = "1"
    bid_micro: int = 0
    ask_micro: int = 0
    confidence: float = 1.0
    debt_units: int = 0  # borrowed; what lies idle of it is no holding
    bid_units: int = 0  # of resting bids

    @property
    def open_micro(self) -> int:
        """Resting orders of both sides at their limits."""
        return self.bid_micro + self.ask_micro

    def owned(self) -> int:
        """Return what is held beyond what is owed."""
        return max(0, self.units - self.debt_units)

    def owed(self) -> int:
        """Return what is owed beyond what is held."""
        return max(0, self.debt_units - self.units)

    def owed_usd(self) -> float:
        """Return the value at the borrow oracle of what is owed."""
        return float(self.owed()) / float(self.unit) * self.borrow_oracle_usd

    def need_usd(self, owed_usd: float) -> float:
        """Return what must stand behind a debt of this token when it is taken."""
        return owed_usd / max(self.ltv, 0.01)

    def bid_overlap_usd(self) -> float:
        """Return what resting bids bind that a debt binds as well: they buy it back."""
        covered = min(self.owed(), self.bid_units)
        worth = float(covered) / float(self.unit) * self.borrow_oracle_usd
        return min(self.need_usd(worth), float(self.bid_micro) / 1e6)

    def value_usd(self) -> float:
        """Return the value at the oracle of what is owned."""
        return float(self.owned()) / float(self.unit) * self.oracle_usd

    def worth_usd(self) -> float:
        """Return the value at the borrow oracle of what is owned."""
        return float(self.owned()) / float(self.unit) * self.borrow_oracle_usd

    def lendable_usd(self, caps_count: bool) -> float:
        """Return the value at the borrow oracle of what is within the user's cap."""
        units = min(self.owned(), self.user_supply_cap) if caps_count else self.owned()
        return float(units) / float(self.unit) * self.borrow_oracle_usd

    def capacity_usd(self, caps_count: bool) -> float:
        """Return what may be borrowed against it."""
        return self.lendable_usd(caps_count) * self.ltv * self.counted_share

    def credit_usd(self, caps_count: bool) -> float:
        """Return what it counts at maintenance."""
        weight = (1.0 + self.ltv) * 0.5 if self.credit_weight < 0.0 else self.credit_weight
        return self.lendable_usd(caps_count) * weight
