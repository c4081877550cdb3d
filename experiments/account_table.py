"""What each account opened and ended with: for whoever wants to know what became of a book."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stressbook.experiments.accounting import account_equities
from stressbook.experiments.words import amount
from stressbook.market.compiling.arrays import F64, I64, Records, record_dtype
from stressbook.market.state.codes import CAUSE_DEPOSIT, CAUSE_WITHDRAWAL
from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.experiments.simulation import Simulation

__all__ = [
    "ACCOUNT_ROW",
    "Enrolled",
    "account_rows",
    "enrolled_of",
    "equities_usd",
    "gain_line",
    "rows_of",
]

# Equities with outside cash and inventory; deposits less withdrawals of USDC since the opening.
ACCOUNT_ROW = record_dtype(
    "key class_id enrolled",
    "opening_equity_usd equity_usd deposits_usd deepest_negative_usd",
)


def equities_usd(sim: Simulation) -> F64:
    """Return the equity of every user as of now, venue and outside together, USD."""
    found = np.empty(int(sim.engine.state.par[0].n_users))
    account_equities(sim.engine.state, sim.world, found)
    return found


def rows_of(v: VenueState, user: int) -> I64:
    """Return the rows of an account: its own, and those of its pockets of isolated perps.

    Returns
    -------
    ndarray of int64, shape (n,)
        Of users, and of the ledger as well.
    """
    return np.append(user, np.flatnonzero(v.user["parent"] == user)).astype(np.int64)


def account_rows(sim: Simulation) -> Records:
    """Return a row for each account, in the order of users; the backstop is the last.

    What stands in pockets of isolated perps is the account's.

    Returns
    -------
    ndarray of ACCOUNT_ROW, shape (n_accounts + 1,)
    """
    v = sim.engine.state
    n_users = int(v.par[0].n_users)
    rows = np.zeros(n_users, ACCOUNT_ROW)
    for name in ("key", "class_id", "enrolled"):
        rows[name] = v.user[name]
    rows["opening_equity_usd"] = sim.opening_equity_usd
    rows["equity_usd"] = equities_usd(sim)
    moved = v.flow[:n_users, 0, CAUSE_DEPOSIT] + v.flow[:n_users, 0, CAUSE_WITHDRAWAL]
    rows["deposits_usd"] = moved / 1e6
    rows["deepest_negative_usd"] = v.risk["deepest_negative_usd"]
    pockets = np.flatnonzero(v.user["parent"] >= 0)
    parents = v.user["parent"][pockets]
    np.add.at(rows["deepest_negative_usd"], parents, v.risk["deepest_negative_usd"][pockets])
    return rows[v.user["parent"] < 0]


class Enrolled(NamedTuple):
    """How much of a venue stands under portfolio margin: the rest no change of it can touch."""

    n_accounts: int
    equity_usd: float  # of the enrolled, venue and outside together
    all_accounts: int  # without the backstop
    all_equity_usd: float

    @property
    def equity_frac(self) -> float:
        """Share of all equity that stands under the rule; 0 where there is none."""
        return self.equity_usd / self.all_equity_usd if self.all_equity_usd > 0.0 else 0.0


def enrolled_of(sim: Simulation) -> Enrolled:
    """Return how many accounts are enrolled in portfolio margin, and what they are worth now.

    Parameters
    ----------
    sim : Simulation
        Read only.

    Returns
    -------
    Enrolled
        The backstop is none of the accounts; pockets of isolated perps are part of theirs.
    """
    v = sim.engine.state
    is_account = v.user["parent"] < 0
    is_account[int(v.par[0].backstop_user)] = False
    equity, is_in = equities_usd(sim), is_account & (v.user["enrolled"] == 1)
    return Enrolled(
        int(is_in.sum()),
        float(equity[is_in].sum()),
        int(is_account.sum()),
        float(equity[is_account].sum()),
    )


def gain_line(name: str, accounts: Records) -> str:
    """Say in one line what the accounts of a class came to.

    Parameters
    ----------
    name : str
        Of the class.
    accounts : ndarray of ACCOUNT_ROW
        Its accounts.

    Returns
    -------
    str

    Examples
    --------
    >>> rows = np.zeros(2, ACCOUNT_ROW)
    >>> rows["equity_usd"], rows["deposits_usd"] = 1e6, 4e5
    >>> gain_line("Chaser", rows)
    'Chaser: 2 accounts, gained 1.20 M USD net of deposits'
    """
    moved = accounts["opening_equity_usd"] + accounts["deposits_usd"]
    gain = float((accounts["equity_usd"] - moved).sum())
    size = abs(gain)
    text = f"{size / 1e6:.2f} M USD" if size >= 1e5 else f"{amount(round(size, 2))} USD"
    of = f"{len(accounts)} account{'s' if len(accounts) > 1 else ''}"
    return f"{name}: {of}, {'lost' if gain < 0.0 else 'gained'} {text} net of deposits"
