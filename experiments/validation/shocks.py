"""Shocks of one seed: all arms from one warmed-up state, at one leverage and one outside impact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stressbook.experiments.arms import ARMS, CONTROL_OF, Arm, ArmRun, loss_usd, run_arms
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import Stress
from stressbook.experiments.validation.runner import Found
from stressbook.market.state.codes import PERP

__all__ = ["CASES", "Case", "shock_arms", "unlevered", "unlevered_arms", "with_outside_impact"]

WARMUP_H: Final = 6
HORIZON_S: Final = 7_200.0
_MICRO: Final = 1e6
_UNLEVERED_MULTIPLIER: Final = 0.025  # of the largest leverage, 30, leaves three quarters
_UNLEVERED_MARGIN: Final = 1.5  # USDC over the perps of hedged books


@dataclass(frozen=True)
class Case:
    """A shock of the catalogue and the asset whose mark is looked at.

    Parameters
    ----------
    scenario : str
        Whose stresses are applied, from the end of the warm-up on.
    target : str
        Asset.
    """

    scenario: str
    target: str

    def stresses(self, at_s: float) -> list[Stress]:
        """Return the stresses, all starting at one time."""
        return [replace(one, at=at_s) for one in load_scenario(self.scenario).stresses]


CASES: Final = (Case("hype-fall", "HYPE"), Case("btc-fall-thin", "BTC"))


def shock_arms(
    scenario: Scenario,
    seed: int,
    *,
    leverage: float = 1.0,
    outside: float = 1.0,
    arms: Sequence[Arm] = ARMS,
    warmup_h: float = WARMUP_H,
    horizon_s: float = HORIZON_S,
) -> Found:
    """Return what the arms of every case came to, from one warmed-up state.

    Parameters
    ----------
    scenario : Scenario
        Calm.
    seed : int
        Key of its draws.
    leverage : float
        Divides the equity of directional accounts at the same positions.
    outside : float
        Multiplies the outside impact of all assets.
    arms : sequence of str
        Which ones.
    warmup_h : float
        Hours before the onset.
    horizon_s : float
        Seconds from it.

    Returns
    -------
    dict of str to float
        By "CASE.arm.name"; drawdowns as positive log moves.
    """
    scenario = scenario.with_(agents={"directional": {"leverage_multiplier": leverage}})
    sim = _warmed(with_outside_impact(scenario, outside), seed, warmup_h, horizon_s)
    try:
        found = {f"leverage.{name}": x for name, x in leverages(sim).items()}
        for case in CASES:
            if case.target in scenario.assets:
                runs = run_arms(sim, case.stresses(sim.t_ms / 1e3), horizon_s=horizon_s, arms=arms)
                found |= _of_case(case, runs, scenario.assets)
        return found
    finally:
        sim.close()


def unlevered_arms(
    scenario: Scenario,
    seed: int,
    *,
    warmup_h: float = WARMUP_H,
    horizon_s: float = HORIZON_S,
) -> Found:
    """Return how far R and F lie apart where nobody is levered: not by a bit.

    Parameters
    ----------
    scenario : Scenario
        Calm.
    seed : int
        Key of its draws.
    warmup_h : float
        Hours before the onset.
    horizon_s : float
        Seconds from it.

    Returns
    -------
    dict of str to float
        By "CASE.name": `gap`, the largest difference of a log mark; `equity_gap_usd`, that of an
        account's equity; `drawdown`. Of the onset: `venue.debt_usd`, `venue.most_leverage`.
    """
    sim = _warmed(unlevered(scenario), seed, warmup_h, horizon_s, unlevered=True)
    try:
        found = _onset(sim)
        for case in CASES:
            if case.target in scenario.assets:
                runs = run_arms(
                    sim, case.stresses(sim.t_ms / 1e3), horizon_s=horizon_s, arms=("F", "R")
                )
                a = scenario.assets.index(case.target)
                gap = np.abs(runs["R"].log_mark - runs["F"].log_mark).max()
                apart = np.abs(runs["R"].equity_usd - runs["F"].equity_usd).max()
                found[f"{case.scenario}.gap"] = float(gap)
                found[f"{case.scenario}.equity_gap_usd"] = float(apart)
                found[f"{case.scenario}.drawdown"] = runs["R"].log_drawdown(a)
        return found
    finally:
        sim.close()


def unlevered(scenario: Scenario) -> Scenario:
    """Return a scenario in which no account opens with debt or with more perps than own USDC.

    Parameters
    ----------
    scenario : Scenario
        Any.

    Returns
    -------
    Scenario
        Under cross margin; directional traders at a fortieth of their leverage and the same
        positions, hedged books with USDC for one and a half times their perps. That accounts also
        trade at a leverage of 1 is the run's part.
    """
    margin = {"cross_margin_low": _UNLEVERED_MARGIN, "cross_margin_high": _UNLEVERED_MARGIN}
    return scenario.with_(
        margin_regime="cross",
        agents={
            "directional": {"leverage_multiplier": _UNLEVERED_MULTIPLIER},
            "basis_trader": margin,
            "hedger": margin,
        },
    )


def with_outside_impact(scenario: Scenario, factor: float) -> Scenario:
    """Return a scenario with the outside impact of all assets multiplied.

    Parameters
    ----------
    scenario : Scenario
        Any.
    factor : float
        Of displacement by flow.

    Returns
    -------
    Scenario
    """
    legs = {
        one.name: {
            leg: {"impact_bp_per_musd": factor * getattr(one, leg).impact_bp_per_musd}
            for leg in ("spot", "perp")
        }
        for one in scenario.world.assets
    }
    return scenario.with_(world=legs)


def leverages(sim: Simulation) -> Found:
    """Return the leverage that directional traders take, position over equity, by asset."""
    (desk,) = [desk for desk in sim.desks if desk.rule.name == "directional"]
    p = desk.parameters
    found = {}
    for a, name in enumerate(sim.scenario.assets):
        mine = p[p["asset"] == a]
        found[name] = float(
            (mine["equity_usd"] * mine["leverage"]).sum() / mine["equity_usd"].sum()
        )
    return found


def _warmed(
    scenario: Scenario, seed: int, warmup_h: float, horizon_s: float, *, unlevered: bool = False
) -> Simulation:
    warmup_s = warmup_h * 3600.0
    sim = Simulation(scenario.with_(warmup=warmup_s, duration=horizon_s, stresses=()), seed=seed)
    if unlevered:
        sim.engine.state.leverage[:] = 1
    sim.advance(round(warmup_s * 1000.0) // sim.dt_ms)
    return sim


def _onset(sim: Simulation) -> Found:
    """Return debts, and the largest perp notional over own USDC of any account."""
    v = sim.engine.state
    n_users = int(v.par[0].n_users)
    gross, equity = np.zeros(n_users), v.cash[:n_users] / _MICRO
    for inst, spec in enumerate(v.inst):
        if spec.kind == PERP:
            value = v.perp[:n_users, inst] * spec.lot_size * v.price[spec.asset].mark_usd
            gross += np.abs(value)
            equity = equity + value
    held = gross > 0.0
    return {
        "venue.debt_usd": float(v.debt.sum() / _MICRO),
        "venue.most_leverage": float((gross[held] / equity[held]).max()),
    }


def _of_case(case: Case, runs: dict[str, ArmRun], assets: Sequence[str]) -> Found:
    a, name = assets.index(case.target), case.scenario
    found: Found = {}
    for arm, run in runs.items():
        found[f"{name}.{arm}.drawdown"] = run.log_drawdown(a)
        for other, asset in enumerate(assets):
            found[f"{name}.{arm}.drawdown_{asset}"] = run.log_drawdown(other)
            found[f"{name}.{arm}.liquidated_{asset}"] = float(run.liquidated_frac[other])
        control = CONTROL_OF[arm]
        if control != arm and control in runs:
            found[f"{name}.{arm}.loss_usd"] = loss_usd(runs[control], run)
    if "P" in runs:
        found[f"{name}.opening_equity_usd"] = runs["P"].opening_equity_usd
    return found
