"""What portfolio margin changes: one market calm, then stressed, under two margin regimes.

Each regime starts from its own opening book on the same draws, warms up, and is then run in arms
from one snapshot: calm, stressed, and with parts of the answer switched off. Seeds are paired
across regimes. Beside the reference stand runs with another law of the outside's impact, which
decides how large a cascade can grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from stressbook.agents.near_breach import near_breach_usd
from stressbook.experiments.account_table import Enrolled, enrolled_of
from stressbook.experiments.arms import CONTROL_OF, Arm, ArmRun, loss_usd, run_arms
from stressbook.experiments.episode import (
    CapUse,
    Episode,
    cap_uses,
    episode_of,
    minutes_before,
    onset_of,
)
from stressbook.experiments.kept import kept_file, read_kept, write_kept
from stressbook.experiments.plugins import plugin_sources
from stressbook.experiments.pool import Failure, map_missing, require_whole
from stressbook.experiments.progress import Progress
from stressbook.experiments.regime_plan import RegimePlan, Variant
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import Stress
from stressbook.market.compiling.arrays import F64

__all__ = [
    "REGIMES",
    "ArmNumbers",
    "RegimeRun",
    "RegimeStudy",
    "run_regimes",
]

REGIMES: Final = ("hyperliquid-pm", "cross")  # the pair that is compared
_EPISODES: Final = ("0", "R", "Z")  # arms whose timeline, classes and outcomes are kept


@dataclass(frozen=True)
class ArmNumbers:
    """What is kept of every arm.

    Parameters
    ----------
    log_drawdown : ndarray of float64, shape (n_assets,)
        Largest fall of ln(mark) from the onset.
    liquidated_frac : ndarray of float64, shape (n_assets,)
        Over open interest at the onset.
    loss_usd : float
        Over accounts, how far equity ended below that of arm `0` (passive arm: of `P0`; placebo:
        of `R`); NaN where that arm did not run.
    opening_equity_usd : float
        Sum at the onset.
    losses : dict of str to float
        By name; see `stressbook.experiments.losses.LOSSES`. None of passive arms.
    """

    log_drawdown: F64
    liquidated_frac: F64
    loss_usd: float
    opening_equity_usd: float
    losses: dict[str, float]


@dataclass(frozen=True)
class RegimeRun:
    """One seed under one regime and one law of the outside.

    Parameters
    ----------
    seed : int
        Key of its draws.
    regime, variant : str
        Margin regime; empty for the reference, else the name of the variant.
    arms : dict of str to ArmNumbers
        By arm; milder shocks are "R@0.5".
    episodes : dict of str to Episode
        Of the calm arm and of all that run everything; none of variants but their numbers.
    before : dict of str to ndarray of float64
        Means over minutes before the onset.
    caps : tuple of CapUse
        At the onset.
    n_accounts : int
        Of the crowd.
    near_breach_usd : tuple of float
        Perp notional whose breach lay, at the opening, within one and three deviations of what
        prices move during the warm-up.
    enrolled : Enrolled
        Accounts under portfolio margin at the onset, and their equity.
    """

    seed: int
    regime: str
    variant: str
    arms: dict[str, ArmNumbers]
    episodes: dict[str, Episode]
    before: dict[str, F64]
    caps: tuple[CapUse, ...]
    n_accounts: int
    near_breach_usd: tuple[float, ...]
    enrolled: Enrolled


@dataclass(frozen=True)
class RegimeStudy:
    """All runs of a plan.

    Parameters
    ----------
    plan : RegimePlan
        What was asked.
    runs : tuple of RegimeRun
        In the order of the plan, whatever the number of workers.
    """

    plan: RegimePlan
    runs: tuple[RegimeRun, ...]

    def of(self, regime: str, variant: str = "") -> tuple[RegimeRun, ...]:
        """Return the runs of a regime in the order of seeds."""
        return tuple(r for r in self.runs if r.regime == regime and r.variant == variant)

    def outcome(self, regime: str, arm: str, name: str) -> F64:
        """Return an outcome of an arm, one value a seed."""
        return np.array([run.episodes[arm].outcomes[name] for run in self.of(regime)])

    def drawdown(self, regime: str, arm: str, variant: str = "") -> F64:
        """Return the largest fall of the target's ln(mark) in an arm, one value a seed."""
        k = self.plan.target_index
        return np.array([r.arms[arm].log_drawdown[k] for r in self.of(regime, variant)])

    def fall(self, regime: str, arm: str, variant: str = "") -> F64:
        """Return the largest fall of the target's mark as a fraction, one value a seed."""
        return np.asarray(1.0 - np.exp(-self.drawdown(regime, arm, variant)))

    def values(self, regime: str, arm: str, name: str) -> F64:
        """Return an outcome of an arm, its "fall" or "loss", one value a seed."""
        if name == "fall":
            return self.fall(regime, arm)
        return self.loss(regime, arm) if name == "loss" else self.outcome(regime, arm, name)

    def liquidated(self, regime: str, arm: str, variant: str = "") -> F64:
        """Return the share of the target's open interest that was liquidated, one value a seed."""
        k = self.plan.target_index
        return np.array([r.arms[arm].liquidated_frac[k] for r in self.of(regime, variant)])

    def loss(self, regime: str, arm: str) -> F64:
        """Return the loss of an arm in USD, one value a seed; see `ArmNumbers.loss_usd`."""
        return np.array([run.arms[arm].loss_usd for run in self.of(regime)])

    @cached_property
    def median_seed(self) -> int:
        """The seed with the median drawdown under portfolio margin; the lower one of two."""
        falls = self.drawdown(REGIMES[0], "R")
        order = np.argsort(falls, kind="stable")
        return self.of(REGIMES[0])[int(order[(len(order) - 1) // 2])].seed

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each episode by "variant/regime/seed/arm"; the reference is a variant too."""
        return {
            "/".join((run.variant or "reference", run.regime, str(run.seed), arm)): episode.digest
            for run in self.runs
            for arm, episode in run.episodes.items()
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the digests of all episodes, in order."""
        total = sha256()
        for run in self.runs:
            for arm, episode in run.episodes.items():
                total.update(
                    f"{run.variant}/{run.regime}/{run.seed}/{arm}/{episode.digest}".encode()
                )
        return total.hexdigest()


@dataclass(frozen=True)
class _Job:
    """One seed under one regime and one law of the outside."""

    plan: RegimePlan
    variant: Variant
    regime: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.variant.name or 'reference'}, {self.regime}, seed {self.seed}"

    def made_by(self) -> str:
        """Return what fixes the run but the sources of the package."""
        plan = self.plan
        measured = ("F", "R") if self.variant.name else (plan.arms, plan.severities)
        scenario = self.scenario().stressed(*plan.stresses)
        return f"{scenario.to_toml()} {plan.target} {measured} {self.seed}"

    def scenario(self) -> Scenario:
        return self.plan.scenario.with_(margin_regime=self.regime, world=self.variant.world)


def run_regimes(
    plan: RegimePlan,
    *,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> RegimeStudy:
    """Run a study.

    Parameters
    ----------
    plan : RegimePlan
        What to run.
    workers : int, default 1
        Processes; the numbers are the same for any.
    folder : Path, optional
        Each finished run is kept there; those of a former call of the same plan and sources are
        read instead of run.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    RegimeStudy

    Raises
    ------
    StressbookError
        If runs failed, once all others have ended.
    """
    jobs = _jobs(plan)
    sources = plugin_sources(plan.scenario.stressed(*plan.stresses))

    def file_of(job: _Job) -> Path | None:
        return None if folder is None else kept_file(folder, job.made_by(), sources)

    def keep(job: _Job, result: RegimeRun | Failure) -> RegimeRun | Failure:
        if not isinstance(result, Failure):
            write_kept(file_of(job), result)
        return result

    found = map_missing(
        _run,
        jobs,
        kept=lambda job: read_kept(file_of(job), RegimeRun),
        keep=keep,
        workers=workers,
        sources=sources,
        progress=progress,
    )
    whole = require_whole(found, [job.name for job in jobs])
    return RegimeStudy(plan, tuple(whole))


def _jobs(plan: RegimePlan) -> list[_Job]:
    laws = [(Variant(""), plan.seeds), *((each, plan.variant_seeds) for each in plan.variants)]
    return [
        _Job(plan, variant, regime, seed)
        for variant, seeds in laws
        for seed in seeds
        for regime in REGIMES
    ]


def _run(job: _Job, _progress: Progress | None = None, /) -> RegimeRun:
    scenario = job.scenario()
    sim = Simulation(scenario, seed=job.seed)
    try:
        near = near_breach_usd(
            sim.engine.state,
            [asset.daily_volatility for asset in scenario.world.assets],
            hours=scenario.warmup_s / 3600.0,
        )
        sim.advance(round(scenario.warmup_s * 1000) // sim.dt_ms)
        return _run_arms(sim, job, tuple(near))
    finally:
        sim.close()


def _run_arms(sim: Simulation, job: _Job, near_usd: tuple[float, ...]) -> RegimeRun:
    plan, variant = job.plan, job.variant
    onset, target = onset_of(sim), plan.target_index
    caps, enrolled = cap_uses(sim.engine.state), enrolled_of(sim)
    before = minutes_before(sim, asset=target, minutes=int(plan.scenario.warmup_s / 120.0))
    episodes: dict[str, Episode] = {}
    runs: dict[str, ArmRun] = {}

    def run(stresses: tuple[Stress, ...], arms: tuple[Arm, ...], mark: str) -> None:
        def look(arm: Arm, at_end: Simulation) -> None:
            if arm in _EPISODES:
                episodes[arm + mark] = episode_of(at_end, onset, asset=target)

        horizon_s = plan.scenario.duration_s
        found = run_arms(sim, stresses, horizon_s=horizon_s, arms=arms, after=look)
        runs.update({arm + mark: numbers for arm, numbers in found.items()})

    run(plan.stresses, ("F", "R") if variant.name else plan.arms, "")
    for severity in () if variant.name else plan.severities:
        run(tuple(replace(s, severity=severity) for s in plan.stresses), ("R",), f"@{severity:g}")
    n_accounts = int(sim.classes["n_accounts"].sum())
    return RegimeRun(
        job.seed,
        job.regime,
        variant.name,
        _numbers(runs),
        episodes,
        before,
        caps,
        n_accounts,
        near_usd,
        enrolled,
    )


def _numbers(runs: dict[str, ArmRun]) -> dict[str, ArmNumbers]:
    found = {}
    for name, run in runs.items():
        control = CONTROL_OF[name.partition("@")[0]]
        found[name] = ArmNumbers(
            np.array([run.log_drawdown(k) for k in range(run.log_mark.shape[1])]),
            run.liquidated_frac,
            loss_usd(runs[control], run) if control in runs else math.nan,
            run.opening_equity_usd,
            run.losses,
        )
    return found
