"""Portfolio against cross margin: what the same equity carries, by class of hedged books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stressbook.experiments.account_table import equities_usd
from stressbook.experiments.inference import mean_estimate, paired_difference
from stressbook.experiments.regimes import REGIMES
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation.calm import column
from stressbook.experiments.validation.holdings import (
    account_gross_usd,
    asset_of_accounts,
    class_of_accounts,
)
from stressbook.experiments.validation.runner import Found
from stressbook.experiments.validation.table import Row, shown
from stressbook.experiments.validation.watch import drop_rows
from stressbook.market.compiling.arrays import I64
from stressbook.market.numbers.draws import CLASS_NUMBERS

__all__ = ["regime_pair", "regime_rows"]

Bools = npt.NDArray[np.bool_]

_CLASSES: Final = ("basis_trader", "hedger", "holder")


def regime_pair(scenario: Scenario, seed: int, *, warmup_h: int = 6, hours: int = 18) -> Found:
    """Return gross positions over equity under both regimes, one seed.

    Parameters
    ----------
    scenario : Scenario
        Without stresses; its regime is replaced.
    seed : int
        Key of its draws.
    warmup_h, hours : int
        Means are taken over the hours after the warm-up.

    Returns
    -------
    dict of str to float
        By "class.ASSET.group.regime"; groups are all accounts and those that the portfolio regime
        enrols. Beside them "class.ASSET.group.opening_usd" by regime.
    """
    found: Found = {}
    enrolled = np.zeros(0, np.bool_)
    for regime in REGIMES:
        calm = scenario.with_(
            margin_regime=regime, warmup=warmup_h * 3600.0, duration=hours * 3600.0, stresses=()
        )
        sim = Simulation(calm, seed=seed)
        try:
            if regime == "hyperliquid-pm":
                enrolled = sim.engine.state.user["enrolled"][: sim.engine.state.par[0].n_users] != 0
            found |= _of_regime(sim, regime, enrolled, warmup_h, hours)
        finally:
            sim.close()
    return found


def _of_regime(sim: Simulation, regime: str, enrolled: Bools, warmup_h: int, hours: int) -> Found:
    groups = _groups(sim, enrolled)
    opening = equities_usd(sim)
    gross, equity = np.zeros(len(opening)), np.zeros(len(opening))
    per_hour = 3_600_000 // sim.dt_ms
    for hour in range(warmup_h + hours):
        sim.advance(per_hour)
        drop_rows(sim)
        if hour >= warmup_h:
            gross += account_gross_usd(sim)
            equity += equities_usd(sim)
    found: Found = {}
    for name, mine in groups.items():
        found[f"{name}.{regime}"] = float(gross[mine].sum() / equity[mine].sum())
        found[f"{name}.opening_usd.{regime}"] = float(opening[mine].sum())
    return found


def _groups(sim: Simulation, enrolled: Bools) -> dict[str, I64]:
    """Return the accounts of every class, asset and group that has any."""
    classes, asset = class_of_accounts(sim), asset_of_accounts(sim)
    found = {}
    for name in _CLASSES:
        for a, coin in enumerate(sim.scenario.assets):
            mine = (classes == CLASS_NUMBERS[name]) & (asset == a)
            for group, members in (("all", mine), ("enrolled", mine & enrolled)):
                if members.any():
                    found[f"{name}.{coin}.{group}"] = np.flatnonzero(members)
    return found


def regime_rows(found: Sequence[Found]) -> list[Row]:
    """Return the table of both regimes.

    Parameters
    ----------
    found : sequence of dict
        One a seed, of `regime_pair`.

    Returns
    -------
    list of Row
        The difference of enrolled accounts is "met" if its interval lies above 0; where a whole
        class is looked at, some have no credit under either regime.
    """
    rows: list[Row] = []
    for key in found[0]:
        name, _, regime = key.rpartition(".")
        if regime == "hyperliquid-pm" and not name.endswith(".opening_usd"):
            rows += _group_rows(found, name)
    return rows


def _group_rows(found: Sequence[Found], name: str) -> list[Row]:
    with_credit = column(found, f"{name}.hyperliquid-pm")
    without = column(found, f"{name}.cross")
    where = _place(name)
    rows = [
        shown("gross over equity, hyperliquid-pm", where, "1", mean_estimate(with_credit)),
        shown("gross over equity, cross", where, "1", mean_estimate(without)),
    ]
    apart = paired_difference(with_credit, without)
    if name.endswith(".all"):
        return [*rows, shown("hyperliquid-pm - cross", where, "1", apart)]
    verdict = "met" if apart.low > 0.0 else "missed" if apart.high < 0.0 else "undecided"
    opening = [column(found, f"{name}.opening_usd.{one}") for one in REGIMES]
    note = f"opening equities differ by at most {np.abs(opening[0] - opening[1]).max():.2f} USD"
    return [*rows, Row("hyperliquid-pm - cross", where, "1", apart, "above 0", verdict, note)]


def _place(name: str) -> str:
    kind, asset, group = name.split(".")
    return f"{kind} {asset}, {'all accounts' if group == 'all' else 'enrolled accounts'}"
