"""Debts of tokens: who owes more than it holds, what it is worth, how it is paid and handed over.

Source: Hyperliquid docs, portfolio margin, 2026-08-19; readings in docs/decisions/0044.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.claims import claims_column
from stressbook.market.lending.reserve import repay, set_off
from stressbook.market.numbers.units import round_up
from stressbook.market.regimes.tables import LEAST_LTV
from stressbook.market.state.codes import EV_TOKEN_DEBT, SELL
from stressbook.market.state.events import log_event
from stressbook.market.state.records import VenueState

__all__ = [
    "backs_token_debt",
    "debt_need_usd",
    "lends_tokens",
    "move_token_debt",
    "offered_units",
    "owes_tokens",
    "pay_token_debts",
    "token_debt_micro",
    "worth_micro",
]


@inline_kernel
def lends_tokens(v: VenueState) -> bool:
    """Tell whether any token but USDC may be borrowed, or is owed still.

    Parameters
    ----------
    v : VenueState
        Read only.
    """
    for token in range(1, v.token_spec.shape[0]):
        if v.token_spec[token].borrowable == 1 or v.reserve[token].total_debt > 0:
            return True
    return False


@sub_kernel
def owes_tokens(v: VenueState, row: int) -> bool:
    """Tell whether a row owes more of a token than it holds.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    """
    for token in range(1, v.token_spec.shape[0]):
        if v.debt[row, token] > v.token[row, token]:
            return True
    return False


@sub_kernel
def backs_token_debt(v: VenueState, row: int) -> bool:
    """Tell whether a row that owes tokens has cash, its own or lent, that they can be taken for.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    """
    has_cash = v.cash[row] > v.debt[row, 0] or v.supply[row, 0] > 0
    return has_cash and owes_tokens(v, row)


@inline_kernel
def worth_micro(v: VenueState, token: int, units: int) -> int:
    """Return the value of units of a token at the borrow oracle.

    Parameters
    ----------
    v : VenueState
        Read only.
    token, units : int
        A token from 1, and how much of it, at least 0.

    Returns
    -------
    int
        Micro-USDC, rounded up.
    """
    spec = v.token_spec[token]
    price_usd: float = v.price[spec.asset].borrow_oracle_usd
    return round_up(float(units) / float(spec.unit) * price_usd * 1e6)


@sub_kernel
def token_debt_micro(v: VenueState, row: int) -> int:
    """Return the value of the tokens that a row owes beyond those it holds.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.

    Returns
    -------
    int
        Micro-USDC at the borrow oracle, each token's rounded up.
    """
    total = 0
    for token in range(1, v.token_spec.shape[0]):
        owed = int(v.debt[row, token]) - int(v.token[row, token])
        if owed > 0:
            total += worth_micro(v, token, owed)
    return total


@sub_kernel
def pay_token_debts(v: VenueState, user: int) -> None:
    """Have a user pay debts of tokens out of what it has lent and holds, its offers apart.

    Parameters
    ----------
    v : VenueState
        Changed in `token`, `debt`, `supply`, `flow`, `reserve`.
    user : int
        A user.
    """
    for token in range(1, v.token_spec.shape[0]):
        if v.debt[user, token] > 0:
            set_off(v, user, token, int(v.debt[user, token]))
            idle = int(v.token[user, token]) - offered_units(v, user, token)
            repay(v, user, token, idle)


@sub_kernel
def move_token_debt(
    v: VenueState, source: int, target: int, token: int, units: int, cause: int, t_ms: int
) -> None:
    """Have another row owe the tokens that one has borrowed.

    Parameters
    ----------
    v : VenueState
        Changed in `debt`, `flow` and `event`.
    source, target, token : int
        Two rows, and a token from 1.
    units : int
        At most the debt of the source; nothing happens at 0.
    cause : int
        One of the `CAUSE_` codes.
    t_ms : int
        Time of the step.
    """
    if units <= 0:
        return
    column = claims_column(v, token)
    v.debt[source, token] -= units
    v.debt[target, token] += units
    v.flow[source, column, cause] += units
    v.flow[target, column, cause] -= units
    borrow_e8 = int(v.price[v.token_spec[token].asset].borrow_oracle_e8)
    value = worth_micro(v, token, units)
    log_event(v, t_ms, EV_TOKEN_DEBT, source, token, units, borrow_e8, value, cause, target)


@inline_kernel
def debt_need_usd(owed_usd: float, ltv: float) -> float:
    """Return what must stand behind a debt of a token when it is taken: its value / loan-to-value.

    Parameters
    ----------
    owed_usd : float
        Value of what is owed, USD.
    ltv : float
        Loan-to-value of the token.

    Returns
    -------
    float
        USD, of cash or of the capacity of other collateral.

    Examples
    --------
    >>> debt_need_usd(100.0, 0.5)
    200.0
    """
    return owed_usd / max(ltv, LEAST_LTV)


@inline_kernel
def offered_units(v: VenueState, user: int, token: int) -> int:
    """Return the units of a token that a user's resting sales offer.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, token : int
        A user, and a token from 1.

    Returns
    -------
    int
        Units, at least 0.
    """
    inst = int(v.asset[v.token_spec[token].asset].spot_inst)
    if inst < 0:
        return 0
    return int(v.open_lots[user, inst, SELL]) * int(v.inst[inst].lot_units)
