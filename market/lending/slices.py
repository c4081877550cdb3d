"""What a slice of a loan takes: collateral at a discount, or cash for borrowed tokens.

The discount is that of the token whose price moves: of the collateral that is taken, or of the
debt where cash is paid for it.
Source: Hyperliquid docs, portfolio margin, 2026-08-19; readings in docs/decisions/0044.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.claims import move_claim
from stressbook.market.lending.token_debts import move_token_debt, worth_micro
from stressbook.market.numbers.units import FLOOR, mul_div, round_down, round_up
from stressbook.market.state.codes import CAUSE_TAKEOVER, EV_SLICE
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash, move_token
from stressbook.market.state.records import VenueState

__all__ = [
    "collateral_usd",
    "collateral_value_usd",
    "slice_price_usd",
    "take_collateral",
    "take_token_debts",
]


@inline_kernel
def slice_price_usd(oracle_usd: float, ltv: float, part_usd: float, width_usd: float) -> float:
    """Return the price at which a part of a loan takes collateral.

    Parameters
    ----------
    oracle_usd : float
        Borrow oracle price.
    ltv : float
        Loan-to-value.
    part_usd : float
        Size of the part.
    width_usd : float
        Size at which the discount is at its largest, (1 - LTV) / 3; from 0 on for a width of 0.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> round(slice_price_usd(100.0, 0.7, 1_000.0, 2_000.0), 9)
    95.0
    """
    depth = 1.0 if part_usd >= width_usd else part_usd / width_usd
    return oracle_usd * (1.0 - (1.0 - ltv) / 3.0 * depth)


@inline_kernel
def collateral_value_usd(v: VenueState, row: int, token: int) -> float:
    """Return the value at the borrow oracle of what a row owns of a token.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, token : int
        A row, and a token from 1.

    Returns
    -------
    float
        USD, at least 0; borrowed units are left out.
    """
    spec = v.token_spec[token]
    owned = max(0, int(v.token[row, token]) - int(v.debt[row, token]))
    units = float(owned) / float(spec.unit)
    return units * float(v.price[spec.asset].borrow_oracle_usd)


@inline_kernel
def collateral_usd(v: VenueState, row: int) -> float:
    """Return the value of all collateral of a row at the borrow oracle.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.

    Returns
    -------
    float
        USD, at least 0.
    """
    total_usd = 0.0
    for token in range(1, v.token_spec.shape[0]):
        if v.token_spec[token].ltv > 0.0:
            total_usd += collateral_value_usd(v, row, token)
    return total_usd


@sub_kernel
def take_collateral(v: VenueState, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Move one token to the backstop for a part of what an account owes.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `event`.
    user, token : int
        Whose, and which.
    part_micro : int
        Of the loan, micro-USDC.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        What of the part was taken, micro-USDC: less if there is not enough.
    """
    backstop = int(v.par[0].row_backstop)
    spec = v.token_spec[token]
    price = v.price[spec.asset]
    part_usd = float(part_micro) / 1e6
    width_usd = 0.0 if v.par[0].slice_full_discount == 1 else spec.slice_width_usd
    price_usd = slice_price_usd(price.borrow_oracle_usd, spec.ltv, part_usd, width_usd)
    units = round_down(part_usd / price_usd * float(spec.unit))
    have = int(v.token[user, token])
    if units > have:
        part_micro = mul_div(part_micro, have, units, FLOOR)
        units = have
    move_token(v, user, backstop, token, units, CAUSE_TAKEOVER)
    borrow_e8 = int(price.borrow_oracle_e8)
    log_event(
        v, t_ms, EV_SLICE, user, token, units, borrow_e8, part_micro, CAUSE_TAKEOVER, backstop
    )
    return part_micro


@sub_kernel
def take_token_debts(v: VenueState, user: int, slice_micro: int, t_ms: int) -> int:
    """Take debts of tokens over, for cash at a discount, then for collateral.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `event`.
    user : int
        Flat; its own tokens have paid what they could.
    slice_micro : int
        Value of what may be taken at most, micro-USDC.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        Value of what was taken, micro-USDC.
    """
    left = slice_micro
    for token in range(1, v.token_spec.shape[0]):
        owed = int(v.debt[user, token])
        if owed > 0 and left > 0:
            part = min(left, worth_micro(v, token, owed))
            taken = _take_for_cash(v, user, token, part, t_ms)
            if taken < part:
                taken += _take_for_collateral(v, user, token, part - taken, t_ms)
            left -= taken
    return slice_micro - left


@inline_kernel
def _take_for_cash(v: VenueState, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take a part of a debt of tokens for cash, what is lent of it last; return what was taken."""
    spec = v.token_spec[token]
    cash = max(0, int(v.cash[user]))
    have = cash + int(v.supply[user, 0])
    if have <= 0:
        return 0
    part_usd = float(part_micro) / 1e6
    width_usd = 0.0 if v.par[0].slice_full_discount == 1 else spec.slice_width_usd
    paid = round_up(part_usd / slice_price_usd(1.0, spec.ltv, part_usd, width_usd) * 1e6)
    if paid > have:
        part_micro = mul_div(part_micro, have, paid, FLOOR)
        paid = have
    backstop = int(v.par[0].row_backstop)
    own = min(paid, cash)
    move_cash(v, user, backstop, own, CAUSE_TAKEOVER)
    move_claim(v, user, backstop, paid - own, CAUSE_TAKEOVER)
    _hand_over(v, user, token, part_micro, t_ms)
    return part_micro


@inline_kernel
def _take_for_collateral(v: VenueState, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take a part of a debt of tokens for collateral, by value; return what was taken."""
    total_usd = collateral_usd(v, user)
    left = part_micro
    for other in range(1, v.token_spec.shape[0]):
        worth = collateral_value_usd(v, user, other)
        if v.token_spec[other].ltv > 0.0 and worth > 0.0 and left > 0:
            part = min(round_up(float(part_micro) * (worth / total_usd)), left)
            taken = take_collateral(v, user, other, part, t_ms)
            _hand_over(v, user, token, taken, t_ms)
            left -= taken
    return part_micro - left


@inline_kernel
def _hand_over(v: VenueState, user: int, token: int, value_micro: int, t_ms: int) -> None:
    """Move the tokens owed that a value stands for, rounded down, all of them at their worth."""
    spec, owed = v.token_spec[token], int(v.debt[user, token])
    price_usd: float = v.price[spec.asset].borrow_oracle_usd
    units = min(owed, round_down(float(value_micro) / 1e6 / price_usd * float(spec.unit)))
    if value_micro >= worth_micro(v, token, owed):
        units = owed
    move_token_debt(v, user, int(v.par[0].row_backstop), token, units, CAUSE_TAKEOVER, t_ms)
