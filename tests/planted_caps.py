"""A cap study whose runs are replaced by a loss with a known law, for driver and report."""

import math

import numpy as np

from stressbook.experiments.caps import runs as cap_runs
from stressbook.experiments.caps import size_cap as driver
from stressbook.experiments.caps.episodes import Changes, Episodes
from stressbook.experiments.caps.law import Draw, Element, ScenarioLaw
from stressbook.experiments.caps.study import (
    AbsorptionParams,
    CapParams,
    CapStudy,
    OutcomeParams,
    Row,
    RowParams,
    SecondParams,
)
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.sweeps.cell import Replicate
from tests.planted_losses import MEDIAN_FRAC, SPREAD

GRID = tuple(60e6 * 1.25**k for k in range(14))
FALL = Element("fall", 1.0, (), "assumed")
THIN = Element("thin", 0.5, (), "assumed")
LAW = ScenarioLaw("A loss of part of the cap.", 600.0, 600.0, 0.0, 2.0,
                  (Draw("part", 0.0, 1.0, "1", "assumed"),), {}, {}, (FALL, THIN))  # fmt: skip
STUDY = CapStudy(
    "toy",
    "",
    11,
    load_scenario("skeleton"),
    CapParams(grid=GRID),
    SecondParams(),
    OutcomeParams(),
    LAW,
    AbsorptionParams(multiplies=("agents.dip_buyer.size_factor",)),
    (
        Row(RowParams(name="worse"), Changes(scales={"agents.dip_buyer.size_factor": 0.5})),
        Row(RowParams(name="emergent", demand="emergent"), Changes()),
        Row(RowParams(name="today", at="current"), Changes()),
    ),
)


class Toy:
    """Stands for the simulation: a loss that is a lognormal part of what is borrowed."""

    def __init__(self, monkeypatch, loss=None, crashes=frozenset()):
        self.calls, self.loss, self.crashes = [], loss or lognormal, crashes
        self.plan_was_there = []
        monkeypatch.setattr(cap_runs, "run_jobs", self.run)
        monkeypatch.setattr(Episodes, "scenario", lambda _, seed, changes=None: changes)
        monkeypatch.setattr(driver, "absorption", None)

    def run(self, jobs, *, folder=None, progress=None, **_):
        self.calls += jobs
        if folder is not None:
            self.plan_was_there.append((folder / "plan.json").is_file())
        if progress is not None:
            progress(1.0)
        return [self._one(job) for job in jobs]

    def _one(self, job):
        if job.seed in self.crashes:
            return Replicate(job.seed, "", {}, "LadderExhausted: left")
        changes, ((_, cap),) = job.scenario, job.levers
        is_filled = "agents.borrower.fill_to_usd" in changes.settings
        borrowed = min(cap, math.inf if is_filled else 200e6)
        if changes.settings.get("agents.borrower.fill_to_usd") == 0.0:
            borrowed = 0.0
        absorbed = changes.scales.get("agents.dip_buyer.size_factor", 1.0)
        loss = self.loss(job.seed, borrowed, changes) / absorbed
        found = {"reserve_shortfall_usd": loss, "peak_borrowed_usd": borrowed, "user_cap_bound": 0}
        return Replicate(job.seed, "x", found)


def lognormal(seed, borrowed, changes):
    if changes.probability.get("fall") == 0.0:
        return 0.0
    z = np.random.default_rng(seed).standard_normal()
    return MEDIAN_FRAC * math.exp(SPREAD * z) * borrowed
