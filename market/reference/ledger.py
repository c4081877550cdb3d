"""The ledger again, as the rules read: dicts of integers of any size."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from stressbook.market.numbers.units import BALANCE_MAX, NEAREST, TRUNC
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.state.codes import CAUSE_FEE

__all__ = ["Asset", "ReferenceLedger", "cost_of_rest", "fee_of"]

Asset = tuple[str, int]  # ("cash", 0), ("token", number) or ("perp", instrument)
_CASH: Asset = ("cash", 0)


def fee_of(notional_micro: int, rate_e7: int) -> int:
    """Return the fee on a notional, truncated at one micro-USDC; a rebate is negative.

    Examples
    --------
    >>> fee_of(1_000_010_000, 4_500), fee_of(1_000_010_000, -300)
    (450004, -30000)
    """
    fee = notional_micro * abs(rate_e7) // 10_000_000
    return fee if rate_e7 > 0 else -fee


def cost_of_rest(entry_cost: int, position: int, lots: int, cost_micro: int) -> int:
    """Return what the open position was bought for after a trade of signed lots.

    Examples
    --------
    >>> cost_of_rest(400, 4, -1, -130), cost_of_rest(300, 3, -5, -450)
    (300, -180)
    """
    after = position + lots
    if position * lots >= 0:  # a new position, or more of the same
        return entry_cost + cost_micro
    if after == 0:
        return 0
    if after * position > 0:  # a part is closed: its share of the cost leaves with it
        return entry_cost - mul_div_reference(entry_cost, -lots, position, TRUNC)
    return mul_div_reference(cost_micro, after, lots, TRUNC)  # closed, and opened the other way


@dataclass
class ReferenceLedger:
    """What every row has, and by which causes it came.

    Parameters
    ----------
    balances : dict of (asset, row) to int
        Cash in micro-USDC, tokens in their units, perps in lots.
    entry_costs : dict of (instrument, row) to int
        Micro-USDC paid for the open position, with its sign.
    flows : dict of (asset, row, cause) to int
        Sums of bookings.
    treasury : int
        Row that fees go to.
    has_overflowed : bool
        Whether any of these has passed 2**62.

    Examples
    --------
    >>> ledger = ReferenceLedger(treasury=9)
    >>> ledger.trade_perp(1, 0, lots=3, cost_micro=300, fee_micro=2, cause=3)
    >>> ledger.trade_perp(2, 0, lots=-3, cost_micro=-300, fee_micro=1, cause=3)
    >>> ledger.cash(1), ledger.cash(2), ledger.cash(9), ledger.perp(1, 0), ledger.total(("cash", 0))
    (-302, 299, 3, 3, 0)
    """

    balances: defaultdict[tuple[Asset, int], int] = field(default_factory=lambda: defaultdict(int))
    entry_costs: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    flows: defaultdict[tuple[Asset, int, int], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    treasury: int = 0
    has_overflowed: bool = False

    def cash(self, row: int) -> int:
        """Return raw cash, micro-USDC."""
        return self.balances[_CASH, row]

    def token(self, row: int, token: int) -> int:
        """Return units of a token."""
        return self.balances[("token", token), row]

    def perp(self, row: int, inst: int) -> int:
        """Return the position in a perp, lots."""
        return self.balances[("perp", inst), row]

    def open_interest(self, inst: int) -> int:
        """Return what all longs of a perp hold, lots."""
        held = (lots for (asset, _), lots in self.balances.items() if asset == ("perp", inst))
        return sum(max(lots, 0) for lots in held)

    def total(self, asset: Asset) -> int:
        """Return the sum of an asset over all rows: a constant, for perps 0."""
        return sum(amount for (other, _), amount in self.balances.items() if other == asset)

    def assets(self) -> Iterator[Asset]:
        """Yield every asset that anybody has had."""
        yield from dict.fromkeys(asset for asset, _ in self.balances)

    def has_room(self, row: int, token: int, change: int, *, cause: int) -> bool:
        """Tell whether a row can take more of cash or a token: balance and flow below 2**62."""
        asset: Asset = ("token", token) if token else _CASH
        sums = (self.balances[asset, row], self.flows[asset, row, cause])
        return all(-BALANCE_MAX <= amount + change < BALANCE_MAX for amount in sums)

    def move_cash(self, source: int, target: int, amount_micro: int, *, cause: int) -> None:
        """Book cash from one row to another."""
        self._add(_CASH, source, -amount_micro, cause)
        self._add(_CASH, target, amount_micro, cause)

    def move_token(self, source: int, target: int, token: int, units: int, *, cause: int) -> None:
        """Book units of a token from one row to another."""
        self._add(("token", token), source, -units, cause)
        self._add(("token", token), target, units, cause)

    def trade_perp(
        self, row: int, inst: int, *, lots: int, cost_micro: int, fee_micro: int, cause: int
    ) -> None:
        """Book one side of a perp trade, lots and cost signed alike, and its fee."""
        self._pay(row, cost_micro, fee_micro, cause)
        self._add_perp(row, inst, lots, cost_micro, cause)

    def trade_token(
        self, row: int, token: int, *, units: int, cost_micro: int, fee_micro: int, cause: int
    ) -> None:
        """Book one side of a spot trade, units and cost signed alike, and its fee."""
        self._pay(row, cost_micro, fee_micro, cause)
        self._add(("token", token), row, units, cause)

    def hand_over(
        self,
        from_row: int,
        to_row: int,
        inst: int,
        *,
        lots: int,
        price_e8: int,
        mark_den: int,
        cause: int,
    ) -> int:
        """Hand a perp position over at a mark, rounded once; return what `to_row` paid."""
        cost_micro = mul_div_reference(lots, price_e8, mark_den, NEAREST)
        if lots != 0:
            self.move_cash(to_row, from_row, cost_micro, cause=cause)
            self._add_perp(to_row, inst, lots, cost_micro, cause)
            self._add_perp(from_row, inst, -lots, -cost_micro, cause)
        return cost_micro

    def _pay(self, row: int, cost_micro: int, fee_micro: int, cause: int) -> None:
        self._add(_CASH, row, -cost_micro, cause)
        self.move_cash(row, self.treasury, fee_micro, cause=CAUSE_FEE)

    def _add_perp(self, row: int, inst: int, lots: int, cost_micro: int, cause: int) -> None:
        entry_cost, position = self.entry_costs[inst, row], self.perp(row, inst)
        self.entry_costs[inst, row] = cost_of_rest(entry_cost, position, lots, cost_micro)
        self._check(self.entry_costs[inst, row])
        self._add(("perp", inst), row, lots, cause)

    def _add(self, asset: Asset, row: int, amount: int, cause: int) -> None:
        self.balances[asset, row] += amount
        self.flows[asset, row, cause] += amount
        self._check(self.balances[asset, row])
        self._check(self.flows[asset, row, cause])

    def _check(self, amount: int) -> None:
        self.has_overflowed |= not -BALANCE_MAX <= amount < BALANCE_MAX
