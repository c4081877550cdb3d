"""What each class holds of each asset at one moment."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.agents.population import PLACE
from stressbook.experiments.account_table import equities_usd
from stressbook.experiments.accounting import N_CLASSES, OTHER_CLASS
from stressbook.experiments.simulation import Simulation
from stressbook.market.compiling.arrays import F64, I64
from stressbook.market.numbers.draws import CLASS_NUMBERS

__all__ = [
    "CLASS_NAMES",
    "Holdings",
    "account_gross_usd",
    "asset_of_accounts",
    "class_of_accounts",
    "holdings",
]

CLASS_NAMES: Final = {number: name for name, number in CLASS_NUMBERS.items() if name != "backstop"}
_IN_BOOKS: Final = ("order_flow", "dip_buyer")  # their place is a book
_MICRO: Final = 1e6


class Holdings(NamedTuple):
    """Sums over the accounts of each class, in units of the underlying unless named USD.

    The first axis is the class, the second the asset. Equity, debt and gross belong to the asset in
    whose place an account stands.
    """

    long_units: F64
    short_units: F64
    token_units: F64
    carry_units: F64  # the smaller of tokens and opposite perp, account by account
    equity_usd: F64
    debt_usd: F64
    gross_usd: F64


def holdings(sim: Simulation) -> Holdings:
    """Return what each class holds at this moment.

    Parameters
    ----------
    sim : Simulation
        Looked at only.

    Returns
    -------
    Holdings
        Arrays of shape (N_CLASSES, n_assets).
    """
    v = sim.engine.state
    n_users, n_assets = int(v.par[0].n_users), len(v.asset)
    classes = class_of_accounts(sim)
    place = asset_of_accounts(sim)
    equity = equities_usd(sim)
    found = Holdings(*(np.zeros((N_CLASSES, n_assets)) for _ in Holdings._fields))
    for a in range(n_assets):
        perp, token = _perp_units(sim, a, n_users), _token_units(sim, a, n_users)
        rows = (
            perp.clip(min=0.0),
            -perp.clip(max=0.0),
            token,
            np.minimum(token, -perp.clip(max=0.0)),
        )
        for sums, values in zip(found, rows, strict=False):
            sums[:, a] = np.bincount(classes, values, N_CLASSES)
    np.add.at(found.gross_usd, (classes, place), account_gross_usd(sim))
    np.add.at(found.equity_usd, (classes, place), equity)
    np.add.at(found.debt_usd, (classes, place), v.debt[:n_users, 0] / _MICRO)
    return found


def account_gross_usd(sim: Simulation) -> F64:
    """Return |perps| at the mark plus tokens at the oracle of every account, shape (n_users,)."""
    v = sim.engine.state
    n_users = int(v.par[0].n_users)
    gross = np.zeros(n_users)
    for a in range(len(v.asset)):
        gross += np.abs(_perp_units(sim, a, n_users)) * float(v.price[a].mark_usd)
        gross += _token_units(sim, a, n_users) * float(v.price[a].oracle_usd)
    return gross


def class_of_accounts(sim: Simulation) -> I64:
    """Return the row of each account's class in sums by class, shape (n_users,)."""
    v = sim.engine.state
    found: I64 = np.minimum(v.user["class_id"][: int(v.par[0].n_users)], OTHER_CLASS)
    return found


def asset_of_accounts(sim: Simulation) -> I64:
    """Return the asset of each account, shape (n_users,): where it stands, or whose book."""
    v = sim.engine.state
    place = v.user["key"][: int(v.par[0].n_users)] % 2**20 // PLACE
    by_book = np.isin(class_of_accounts(sim), [CLASS_NUMBERS[name] for name in _IN_BOOKS])
    asset_of_book = v.inst["asset"][np.minimum(place, len(v.inst) - 1)]
    found: I64 = np.where(by_book, asset_of_book, np.minimum(place, len(v.asset) - 1))
    return found


def _perp_units(sim: Simulation, asset: int, n_users: int) -> F64:
    v = sim.engine.state
    inst = int(v.asset[asset].perp_inst)
    if inst < 0:
        return np.zeros(n_users)
    units: F64 = v.perp[:n_users, inst] * np.float64(v.inst[inst].lot_size)
    return units


def _token_units(sim: Simulation, asset: int, n_users: int) -> F64:
    v = sim.engine.state
    token = int(v.asset[asset].token)
    if token <= 0:
        return np.zeros(n_users)
    units: F64 = v.token[:n_users, token] / np.float64(v.token_spec[token].unit)
    return units
