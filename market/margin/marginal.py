"""What a change of positions does to what an account must maintain, under any regime."""

from stressbook.market.compiling.kernel import sub_kernel
from stressbook.market.margin.valuation import value_account
from stressbook.market.state.records import VenueState

__all__ = ["freed_by_closing_usd", "maintenance_after_usd"]


@sub_kernel
def maintenance_after_usd(v: VenueState, user: int) -> float:
    """Return what an account would have to maintain with other positions.

    Parameters
    ----------
    v : VenueState
        Its `shift_lots` say what is added to each perp. On return perps are as before, and the
        account is valued anew.
    user : int
        A user.

    Returns
    -------
    float
        USD, at the mark. A regime that looks tiers up at entry is asked with the entries as they
        are.
    """
    deepest_usd = float(v.risk[user].deepest_negative_usd)
    needed = 0.0
    for sign in (1, -1):
        for inst in range(v.inst.shape[0]):
            v.perp[user, inst] += sign * v.shift_lots[inst]
        value_account(v, user)
        if sign == 1:  # a trial is no time at which the account was below zero
            needed = float(v.risk[user].maintenance_usd)
            v.risk[user].deepest_negative_usd = deepest_usd
    return needed


@sub_kernel
def freed_by_closing_usd(v: VenueState, user: int, inst: int) -> float:
    """Return what closing one position would set free of the maintenance requirement.

    Parameters
    ----------
    v : VenueState
        Changed in `shift_lots`.
    user, inst : int
        Whose, and what.

    Returns
    -------
    float
        USD, at least 0: a hedge frees nothing, where regimes know one. By tiers it is the
        position's own requirement.
    """
    for other in range(v.inst.shape[0]):
        v.shift_lots[other] = 0
    needed = maintenance_after_usd(v, user)
    v.shift_lots[inst] = -v.perp[user, inst]
    return max(0.0, needed - maintenance_after_usd(v, user))
