"""The reserve again, as the rules read: dicts of debts and supplies, integers of any size."""

from __future__ import annotations

from dataclasses import dataclass, field

from stressbook.market.lending.lending_rates import HOURS_PER_YEAR
from stressbook.market.numbers.elementary import ln
from stressbook.market.numbers.units import RATE_ONE, round_nearest
from stressbook.market.state.codes import (
    ACCEPTED,
    R_BAD_QUANTITY,
    R_CAP_REACHED,
    R_INSUFFICIENT_BALANCE,
    R_UTILISATION_FULL,
)

__all__ = ["ReferenceReserve", "hourly_step_e15"]


def hourly_step_e15(yearly_rate: float, *, is_simple: bool) -> int:
    """Return exp(ln(1 + rate) / 8760) - 1, or rate / 8760, in 1e-15.

    Examples
    --------
    >>> hourly_step_e15(0.05, is_simple=False)
    5569668955
    """
    if is_simple:
        return round_nearest(yearly_rate / HOURS_PER_YEAR * 1e15)
    x = ln(1.0 + yearly_rate) / HOURS_PER_YEAR
    growth = 0.0
    for k in range(12, 0, -1):  # x + x^2/2! + ... from the inside out
        growth = (1.0 + growth) * x / float(k)
    return round_nearest(growth * 1e15)


@dataclass
class ReferenceReserve:
    """The reserve of a token: who owes, who has lent, and what stands between.

    Parameters
    ----------
    pool : int
        What lies in the reserve, in units of the token (USDC: micro), as all amounts.
    debts, supplies : dict of int to int
        By row.
    retained, claim : int
        The protocol's interest, and what rounding has left.
    user_borrow_cap, platform_borrow_cap, user_supply_cap, platform_supply_cap : int
        Caps.
    rate_base, rate_low_slope, rate_slope, kink : float
        Borrow rate.
    retained_frac_e6 : int
        The protocol's share of interest, in 1e-6.
    is_simple : bool
        Interest of APY / 8760 an hour.

    Examples
    --------
    >>> reserve = ReferenceReserve(pool=0, user_borrow_cap=10**12, platform_borrow_cap=10**12)
    >>> reserve.supply(row=1, amount=1_000_000_000)
    5
    >>> reserve.draw(row=2, amount=400_000_000)
    >>> reserve.accrue(), reserve.retained, reserve.is_balanced()
    (2228, 222, True)
    """

    pool: int
    debts: dict[int, int] = field(default_factory=dict)
    supplies: dict[int, int] = field(default_factory=dict)
    retained: int = 0
    claim: int = 0
    user_borrow_cap: int = 2**62
    platform_borrow_cap: int = 2**62
    user_supply_cap: int = 2**62
    platform_supply_cap: int = 2**62
    rate_base: float = 0.05
    rate_low_slope: float = 0.0
    rate_slope: float = 4.75
    kink: float = 0.8
    retained_frac_e6: int = 100_000
    is_simple: bool = False
    borrowable: bool = True
    retained_used: int = 0
    supplier_loss: int = 0
    last_rates: tuple[float, float, float, int] = (0.0, 0.0, 0.0, 0)  # as of the last hour

    def total_debt(self) -> int:
        """Return the sum of debts."""
        return sum(self.debts.values())

    def total_supply(self) -> int:
        """Return the sum of supplies."""
        return sum(self.supplies.values())

    def is_balanced(self) -> bool:
        """Tell whether pool and debts are what supplies, retained interest and claim add up to."""
        owned = self.total_supply() + self.retained + self.claim
        return self.pool + self.total_debt() == owned

    def utilisation(self) -> float:
        """Return the share of the supply that is lent."""
        debt, supply = self.total_debt(), self.total_supply()
        if debt <= 0:
            return 0.0
        return 1.0 if debt >= supply else float(debt) / float(supply)

    def borrow_rate(self) -> float:
        """Return the yearly borrow rate."""
        u = self.utilisation()
        low = self.rate_base + self.rate_low_slope * min(u, self.kink)
        return low + self.rate_slope * max(0.0, u - self.kink)

    def supply_rate(self) -> float:
        """Return the yearly rate of suppliers."""
        retained = float(self.retained_frac_e6) / 1e6
        return self.borrow_rate() * self.utilisation() * (1.0 - retained)

    def lendable(self) -> int:
        """Return the supply that is not lent."""
        return max(0, self.total_supply() - self.total_debt())

    def platform_headroom(self) -> int:
        """Return the room under the platform's cap."""
        return max(0, self.platform_borrow_cap - self.total_debt())

    def headroom(self, debt: int) -> int:
        """Return what a borrower with this debt may add, loan-to-value apart."""
        if not self.borrowable:
            return 0
        own = max(0, self.user_borrow_cap - debt)
        return min(own, self.platform_headroom(), self.lendable())

    def draw(self, *, row: int, amount: int) -> None:
        """Lend an amount within all bounds."""
        self.pool -= amount
        self.debts[row] = self.debts.get(row, 0) + amount

    def repay(self, *, row: int, amount: int) -> int:
        """Take a repayment, at most the debt; return it."""
        repaid = max(0, min(amount, self.debts.get(row, 0)))
        self.pool += repaid
        self.debts[row] = self.debts.get(row, 0) - repaid
        return repaid

    def supply(self, *, row: int, amount: int, spare: int = 2**62) -> int:
        """Take what a lender brings, if it has that to spare; return the reply."""
        if amount <= 0:
            return R_BAD_QUANTITY
        if amount > spare:
            return R_INSUFFICIENT_BALANCE
        own = self.supplies.get(row, 0)
        if amount > self.user_supply_cap - own:
            return R_CAP_REACHED
        if amount > self.platform_supply_cap - self.total_supply():
            return R_CAP_REACHED
        self.pool += amount
        self.supplies[row] = own + amount
        return ACCEPTED

    def redeem(self, *, row: int, amount: int) -> int:
        """Give back what a lender wants, if it is not lent; return the reply."""
        if amount <= 0:
            return R_BAD_QUANTITY
        if amount > self.supplies.get(row, 0):
            return R_INSUFFICIENT_BALANCE
        if amount > self.lendable():
            return R_UTILISATION_FULL
        self.pool -= amount
        self.supplies[row] -= amount
        return ACCEPTED

    def set_off(self, *, row: int, most: int) -> int:
        """Pay a row's debt out of what it has lent itself; the pool need not have it."""
        lent = max(0, min(self.supplies.get(row, 0), self.debts.get(row, 0), most))
        if lent > 0:
            self.pool -= lent
            self.supplies[row] -= lent
            self.repay(row=row, amount=lent)
        return lent

    def note_rates(self) -> int:
        """Keep utilisation and rates of the hour; return the growth of a debt, in 1e-15."""
        step = hourly_step_e15(self.borrow_rate(), is_simple=self.is_simple)
        self.last_rates = (self.utilisation(), self.borrow_rate(), self.supply_rate(), step)
        return step

    def accrue(self) -> int:
        """Book an hour's interest at the utilisation just before; return it."""
        step = self.note_rates()
        grown = {row: -(-debt * step // RATE_ONE) for row, debt in self.debts.items()}
        interest = sum(grown.values())
        kept = interest * self.retained_frac_e6 // 10**6
        supplied = self.total_supply()
        shares = {
            row: (interest - kept) * own // supplied for row, own in self.supplies.items() if own
        }
        for row, amount in grown.items():
            self.debts[row] += amount
        for row, amount in shares.items():
            self.supplies[row] += amount
        self.retained += kept
        self.claim += interest - kept - sum(shares.values())
        return interest

    def write_off(self, *, row: int, amount: int) -> int:
        """Cancel debt: retained interest first, then suppliers pro rata; return their loss."""
        loss = max(0, min(amount, self.debts.get(row, 0)))
        self.debts[row] = self.debts.get(row, 0) - loss
        kept = min(loss, self.retained)
        self.retained -= kept
        self.retained_used += kept
        borne = min(loss - kept, self.total_supply())
        self.supplier_loss += borne
        self.claim -= loss - kept - borne
        left, supplied = borne, self.total_supply()
        for lender in sorted(self.supplies):
            own = self.supplies[lender]
            part = left * own // supplied if own else 0
            supplied -= own
            left -= part
            self.supplies[lender] = own - part
        return borne
