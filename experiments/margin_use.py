"""What all accounts together hold, and what their margin regime wants of it, at one moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from stressbook.experiments.accounting import own_units, venue_equity_usd
from stressbook.market.compiling.arrays import Records, record_dtype
from stressbook.market.compiling.kernel import kernel
from stressbook.market.margin.sums import filled_sums
from stressbook.market.rules.spec import ORDINARY
from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.experiments.simulation import Simulation

__all__ = ["MARGIN_USE", "MARGIN_USES", "MarginUse", "add_up", "make_margin_use", "margin_uses"]

# Sums over accounts, pockets of isolated perps in, USD; the backstop is none of them.
MARGIN_USE = record_dtype(
    "n_accounts n_enrolled",
    "initial_margin_usd equity_usd gross_usd borrowed_usd enrolled_equity_usd",
)


class MarginUse(NamedTuple):
    """A number of it, as an outcome."""

    name: str
    unit: str
    help: str


MARGIN_USES: Final = (
    MarginUse(
        "initial_margin_usd",
        "USD",
        "initial margin that the regime asks for what accounts hold at the onset, orders out",
    ),
    MarginUse(
        "initial_margin_over_equity_frac",
        "1",
        "the same over the equity of all accounts, tokens at the oracle in full",
    ),
    MarginUse(
        "gross_over_equity_frac",
        "1",
        "perp notional and tokens of all accounts over their equity at the onset",
    ),
    MarginUse("borrowed_usd", "USD", "USDC that accounts owe at the onset"),
    MarginUse("n_accounts", "1", "accounts, pockets and the backstop left out"),
    MarginUse(
        "n_accounts_under_regime",
        "1",
        "those that the regime holds for at the onset: all under cross and isolated, else enrolled",
    ),
    MarginUse("accounts_equity_usd", "USD", "equity of all accounts at the onset"),
    MarginUse("equity_under_regime_usd", "USD", "of it of those that the regime holds for"),
    MarginUse("end_initial_margin_over_equity_frac", "1", "initial margin over equity at the end"),
    MarginUse("end_gross_over_equity_frac", "1", "gross over equity at the end"),
    MarginUse("end_borrowed_usd", "USD", "USDC that accounts owe at the end"),
)


def make_margin_use() -> Records:
    """Return room for two moments, the onset and the end: MARGIN_USE, shape (2,)."""
    return np.zeros(2, MARGIN_USE)


@kernel
def add_up(v: VenueState, found: Records, place: int) -> None:
    """Write what accounts hold and must hold as the venue stands.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    found : ndarray of MARGIN_USE, shape (n,)
        One row is written.
    place : int
        Which one.
    """
    initial = equity = gross = borrowed = enrolled_equity = 0.0
    n_accounts = n_enrolled = 0
    for user in range(v.par[0].n_users):
        if user == v.par[0].backstop_user:
            continue
        sums = filled_sums(v, user)
        initial += sums.initial_usd
        own = venue_equity_usd(v, user)
        equity += own
        if v.user[user].parent < 0:
            n_accounts += 1
        if v.user[user].enrolled == 1:
            n_enrolled += 1
            enrolled_equity += own
        gross += sums.gross_notional_usd
        for k in range(1, v.par[0].n_tokens):
            token = v.token_spec[k]
            units = abs(own_units(v, user, k))
            gross += float(units) / float(token.unit) * v.price[token.asset].oracle_usd
        borrowed += sums.debt_usd
    row = found[place]
    row.initial_margin_usd = initial
    row.equity_usd = equity
    row.n_accounts = n_accounts
    row.n_enrolled = n_enrolled
    row.enrolled_equity_usd = enrolled_equity
    row.gross_usd = gross
    row.borrowed_usd = borrowed


def margin_uses(sim: Simulation) -> dict[str, float]:
    """Return the outcomes of margin of a simulation as it stands.

    Parameters
    ----------
    sim : Simulation
        One that has not reached its onset has the present in its place.

    Returns
    -------
    dict of str to float
        By name, in the order of `MARGIN_USES`; a share is NaN where equity is not positive.
    """
    add_up(sim.engine.state, sim.margin_use, 1)
    end = sim.margin_use[1]
    onset = sim.margin_use[0] if sim.has_met_onset else end
    holds_for_all = sim.scenario.margin_regime in ORDINARY
    found = {
        "n_accounts": float(onset["n_accounts"]),
        "n_accounts_under_regime": float(onset["n_accounts" if holds_for_all else "n_enrolled"]),
        "accounts_equity_usd": float(onset["equity_usd"]),
        "equity_under_regime_usd": float(
            onset["equity_usd" if holds_for_all else "enrolled_equity_usd"]
        ),
        "initial_margin_usd": float(onset["initial_margin_usd"]),
        "initial_margin_over_equity_frac": _over_equity(onset, "initial_margin_usd"),
        "gross_over_equity_frac": _over_equity(onset, "gross_usd"),
        "borrowed_usd": float(onset["borrowed_usd"]),
        "end_initial_margin_over_equity_frac": _over_equity(end, "initial_margin_usd"),
        "end_gross_over_equity_frac": _over_equity(end, "gross_usd"),
        "end_borrowed_usd": float(end["borrowed_usd"]),
    }
    return {one.name: found[one.name] for one in MARGIN_USES}


def _over_equity(row: Records, name: str) -> float:
    equity = float(row["equity_usd"])
    return float(row[name]) / equity if equity > 0.0 else math.nan
