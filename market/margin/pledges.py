"""Whether an account's collateral stands for a loan, or it is a cross account in all but name."""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.equity import is_judged_as_portfolio
from stressbook.market.margin.sums import account_sums
from stressbook.market.state.codes import REGIME_PORTFOLIO
from stressbook.market.state.records import VenueState

__all__ = ["counts_lent_cash", "has_pledge", "owes"]


@inline_kernel
def owes(v: VenueState, row: int) -> bool:
    """Tell whether a row has borrowed anything, USDC or tokens.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    """
    owed = 0
    for token in range(v.debt.shape[1]):
        owed |= int(v.debt[row, token])
    return owed != 0


@sub_kernel
def has_pledge(v: VenueState, row: int) -> bool:
    """Tell whether a row's collateral secures a loan: one it has, may have, or is losing to.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    bool
        Of the portfolio regime, and with a debt of USDC or of tokens, with credit, or with a slice
        taken in this breach. An enrolled account without any of them is a cross account: caps of
        zero leave nothing of portfolio margin (docs/decisions/0048-account-modes.md). A debt whose
        credit a cap took away is still secured.
    """
    if v.row[row].regime != REGIME_PORTFOLIO:
        return False
    if owes(v, row) or int(v.user[row].slice_micro) > 0:
        return True
    return is_judged_as_portfolio(account_sums(v, row))


@sub_kernel
def counts_lent_cash(v: VenueState, row: int) -> bool:
    """Tell whether what a row has lent pays its deficit: under portfolio margin with credit.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    bool
        Of enrolled accounts, tokens or not, as long as caps leave anybody credit; of others with
        a pledge.
    """
    if v.row[row].regime != REGIME_PORTFOLIO:
        return False
    return _offers_credit(v) or has_pledge(v, row)


@sub_kernel
def _offers_credit(v: VenueState) -> bool:
    """Tell whether caps leave any token that would give an account credit."""
    caps_count = v.par[0].user_cap_in_credit == 1
    if caps_count and int(v.token_spec[0].user_borrow_cap) == 0:
        return False
    for token in range(1, v.token_spec.shape[0]):
        spec = v.token_spec[token]
        if spec.ltv > 0.0 and (not caps_count or int(spec.user_supply_cap) > 0):
            return True
    return False
