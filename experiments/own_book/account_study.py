"""One account over many seeds, under a scenario's stresses and at severity 0 on the same draws."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from stressbook.experiments.claims import paired_share_p
from stressbook.experiments.inference import (
    Estimate,
    mean_estimate,
    paired_difference,
    ratio_estimate,
)
from stressbook.experiments.own_book.account_outcomes import require_account
from stressbook.experiments.progress import Progress
from stressbook.experiments.replicates import require_any, seeds_from
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.experiments.statistics.quantiles import median_estimate, quantile_estimate
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.market.compiling.arrays import F64

__all__ = [
    "AccountStudy",
    "Line",
    "calm_of",
    "study_account",
]

SHARES: Final = (
    ("account_liquidated", "P(liquidated)"),
    ("account_leg_deleveraged", "P(a hedge leg deleveraged)"),
    ("account_deleveraged", "P(any perp deleveraged)"),
)
AMOUNTS: Final = (
    ("account_haircut_usd", "haircut", (0.95,)),
    ("account_forced_usd", "forced size", (0.95,)),
    ("account_exit_cost_usd", "exit cost", (0.95,)),
    ("account_equity_change_usd", "equity change", (0.05, 0.95)),
)


@dataclass(frozen=True)
class Line:
    """One line of the answer.

    Parameters
    ----------
    what : str
        In words.
    unit : str
        "1", "USD", "bp" or "min".
    stressed, calm : Estimate
        Under the stresses, and at severity 0.
    difference : Estimate or None
        Of means, paired by seed; None where there is no such thing.
    p : float
        Exact, that two shares are equal over the same seeds; NaN elsewhere.
    """

    what: str
    unit: str
    stressed: Estimate
    calm: Estimate
    difference: Estimate | None = None
    p: float = math.nan


@dataclass(frozen=True)
class AccountStudy:
    """Runs of one account.

    Parameters
    ----------
    scenario : Scenario
        With its stresses and the population file.
    account : str
        Name in the file.
    stressed, calm : tuple of Replicate
        In seed order, failed ones too; the same runs where nothing is stressed.
    level : float
        Confidence of the intervals.
    """

    scenario: Scenario
    account: str
    stressed: tuple[Replicate, ...]
    calm: tuple[Replicate, ...]
    level: float = 0.95

    @property
    def failures(self) -> dict[int, str]:
        """Why runs failed, by seed; such a seed counts in nothing."""
        return {run.seed: run.error for run in (*self.calm, *self.stressed) if run.error}

    @property
    def n(self) -> int:
        """Seeds that count."""
        return len(self.stressed) - len(self.failures)

    def values(self, outcome: str) -> tuple[F64, F64]:
        """Return an outcome under stress and at severity 0, over the seeds that count."""
        failed = self.failures
        stressed, calm = (
            np.array([run.outcomes[outcome] for run in runs if run.seed not in failed])
            for runs in (self.stressed, self.calm)
        )
        return stressed, calm

    def lines(self) -> list[Line]:
        """Return the answer: shares, amounts with tails, exit cost in bp, time to a breach."""
        found = [self._share(outcome, words) for outcome, words in SHARES]
        for outcome, words, tails in AMOUNTS:
            found.append(self._mean(outcome, words))
            found += [self._tail(outcome, words, q) for q in tails]
            if outcome == "account_exit_cost_usd":
                found.append(self._exit_bp())
        found += [self._breach(), self._mean("account_refused", "forced orders refused", "1")]
        return found

    def _share(self, outcome: str, words: str) -> Line:
        pair = [values > 0.0 for values in self.values(outcome)]
        shares = [share_estimate(int(x.sum()), len(x), level=self.level) for x in pair]
        p = paired_share_p(pair[0].tolist(), pair[1].tolist())
        return Line(words, "1", shares[0], shares[1], p=p)

    def _mean(self, outcome: str, words: str, unit: str = "USD") -> Line:
        stressed, calm = self.values(outcome)
        return Line(
            f"{words}, mean",
            unit,
            mean_estimate(stressed, level=self.level),
            mean_estimate(calm, level=self.level),
            paired_difference(stressed, calm, level=self.level),
        )

    def _tail(self, outcome: str, words: str, q: float) -> Line:
        stressed, calm = (quantile_estimate(x, q, level=self.level) for x in self.values(outcome))
        return Line(f"{words}, {100 * q:.0f} % of seeds below", "USD", stressed, calm)

    def _exit_bp(self) -> Line:
        costs, sizes = self.values("account_exit_cost_usd"), self.values("account_forced_usd")
        stressed, calm = (
            ratio_estimate(cost, size, level=self.level).scaled(1e4)
            for cost, size in zip(costs, sizes, strict=True)
        )
        return Line("exit cost over forced size", "bp", stressed, calm)

    def _breach(self) -> Line:
        times = [np.nan_to_num(x, nan=np.inf) for x in self.values("account_first_breach_min")]
        stressed, calm = (median_estimate(x, level=self.level) for x in times)
        return Line("first breach after the onset, median", "min", stressed, calm)


def study_account(
    scenario: Scenario,
    account: str,
    *,
    reps: int,
    seed: int,
    engine: str = "kernel",
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
    level: float = 0.95,
) -> AccountStudy:
    """Follow one account through many runs, with and without the stresses.

    Parameters
    ----------
    scenario : Scenario
        With a population file.
    account : str
        Name in it.
    reps, seed : int
        Number of seeds, and the first of them.
    engine, workers, folder, progress, executor
        As of `stressbook.experiments.sweeps.runner.run_jobs`.
    level : float, default 0.95
        Confidence of the intervals.

    Returns
    -------
    AccountStudy

    Raises
    ------
    UnknownName
        If the file has no such account.
    InvalidScenario
        If the market cannot carry the file's accounts, or one of them is in breach at the opening.
    StressbookError
        If every run failed.
    """
    require_account(scenario, account)
    Simulation(scenario, seed=seed).close()  # what cannot open is told once, not by each seed
    seeds, calm = seeds_from(seed, reps), calm_of(scenario)
    sides = [scenario] if calm is None else [scenario, calm]
    jobs = [Job(side, one, engine, account=account) for side in sides for one in seeds]
    found = run_jobs(jobs, workers=workers, folder=folder, progress=progress, executor=executor)
    stressed, quiet = tuple(found[:reps]), tuple(found[-reps:])
    study = AccountStudy(scenario, account, stressed, quiet, level)
    if study.n == 0:
        require_any([run for run in found if run.error])
    return study


def calm_of(scenario: Scenario) -> Scenario | None:
    """Return a scenario with every stress at severity 0, None where nothing is stressed."""
    if not any(stress.severity > 0.0 for stress in scenario.stresses):
        return None
    return scenario.with_(stresses=[replace(one, severity=0.0) for one in scenario.stresses])
