"""Answers of cap studies made by hand: the shipped law and rows, losses in closed form, no runs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.caps.absorption import Absorption
from stressbook.experiments.caps.answer import (
    Attempt,
    BindingStress,
    CapAnswer,
    CapGrid,
    RowAnswer,
)
from stressbook.experiments.caps.law import episode_seed
from stressbook.experiments.caps.runs import Runs
from stressbook.experiments.caps.study import SecondParams
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.statistics.break_even import break_even
from stressbook.experiments.statistics.certificate import failures, judge, plan_certificate
from stressbook.experiments.statistics.critical_caps import propose
from stressbook.experiments.statistics.paired import compare_rows
from stressbook.experiments.statistics.staircase import staircase

WANTED_USD = 380e6  # of the emergent population
CRASH = (
    "LadderExhausted: oracle or mark price = [{}, 2.5] left the price ladder.\n  allowed: 1 to 9"
)
SECOND = SecondParams(lever="venue.tokens.HYPE.ltv", unit="1", grid=(0.4, 0.5, 0.6, 0.65))


@cache
def shipped():
    """Return the shipped study; read once."""
    return load_cap_study("usdc-borrow-cap")


def loss_of(draws, borrowed_usd):
    """Return a loss that rises with fall, load and debt: what a deep fall leaves of collateral."""
    left = draws["hype_fall"] * draws["load"] ** 0.5 / (0.8 + 0.2 * draws["depth"]) - 0.38
    return max(0.0, left) * borrowed_usd * (borrowed_usd / 500e6)


def toothed(draws, borrowed_usd):
    """Return a loss that does not rise with the debt."""
    return 40e6 if (round(borrowed_usd / 50e6) + round(100 * draws["depth"])) % 3 == 0 else 0.0


def crashed_at_once(draws, borrowed_usd):
    """Crash in the one episode with the deepest falls, whatever is borrowed."""
    return math.nan if draws["hype_fall"] > 0.59 else 0.2 * loss_of(draws, borrowed_usd)


def cap_answer(loss=loss_of, *, study=None, fresh=None, pairs=False, attempts=1):
    """Return a whole answer under a loss of (draws, USDC borrowed).

    `fresh`: loss of the certificate's episodes, where it is another one.
    """
    study = study or shipped()
    study = replace(study, second=SECOND) if pairs else study
    outcome, values = study.outcome, study.cap.grid
    seeds = _seeds(study, "proposal", outcome.seeds)
    grids = {
        demand: CapGrid(
            demand, values, tuple(_runs(study, seeds, loss, _owed(demand, v)) for v in values)
        )
        for demand in (study.demand, "emergent" if study.demand == "filled" else "filled")
    }
    grid = grids[study.demand]
    critical = grid.critical(outcome.name, outcome.budget)
    proposal = propose(critical, outcome.alpha, outcome.confidence, outcome.seeds)
    found = _attempts(study, proposal, fresh or loss, attempts)
    tried = found[-1].value if found else math.nan
    clear = [v for v, bad in zip(values, critical.failed.T, strict=True) if not bad.any()]
    return CapAnswer(
        study=study,
        grids=grids,
        proposal=proposal,
        attempts=found,
        rows=_rows(study, seeds, loss, tried),
        zero=_runs(study, seeds, loss, 0.0),
        binding=_binding(critical),
        break_even=_break_even(study, seeds, loss, tried) if found else None,
        absorption=Absorption("HYPE", seeds[0], 183e6, 0.31, 190e6),
        step_limit=max((v for v in clear if v <= 2.0 * study.current), default=math.nan),
        pairs=_pairs(study, seeds, loss) if pairs else None,
        n_runs=4_321,
        run_s=1.234,
    )


def certified():
    """Return an answer with a certificate, that decides two caps."""
    return cap_answer(pairs=True)


def refused():
    """Return an answer whose fresh episodes fail where those of the proposal did not."""
    return cap_answer(fresh=lambda draws, usd: loss_of(draws, 4.0 * usd))


def non_monotone():
    """Return an answer without a proposal: losses do not rise with the cap."""
    return cap_answer(toothed)


def never_binding():
    """Return the answer for a demand that no cap of the grid reaches."""
    study = shipped()
    cap = replace(study.cap, demand="emergent", grid=(450e6, 600e6, 800e6))
    return cap_answer(lambda *_: 0.0, study=replace(study, cap=cap))


def nothing_proposed():
    """Return an answer whose smallest cap fails already."""
    return cap_answer(lambda draws, usd: loss_of(draws, 400.0 * usd) if usd else 0.0)


def crashing():
    """Return an answer whose smallest cap fails by crashes alone."""
    return cap_answer(crashed_at_once)


def above_grid():
    """Return a certificate at the largest cap that was tried."""
    return cap_answer(lambda draws, usd: 0.01 * loss_of(draws, usd))


def _seeds(study, purpose, n):
    return tuple(episode_seed(study.seed, purpose, i) for i in range(n))


def _owed(demand, value):
    return value if demand == "filled" else min(value, WANTED_USD)


def _runs(study, seeds, loss, owed_usd, factor=1.0):
    values, errors = [], {}
    for seed in seeds:
        values.append(factor * loss(study.law.drawn(seed), owed_usd))
        if math.isnan(values[-1]):
            error = CRASH.format(seed % 97)
            errors[error] = errors.get(error, 0) + 1
    losses = np.array(values)
    is_there = np.where(np.isnan(losses), np.nan, 1.0)
    outcomes = {
        "reserve_shortfall_usd": losses,
        "reserve_shortfall_peak_usd": 1.3 * losses,
        "uncovered_usd": 1.6 * losses + 2e6 * is_there,
        "gap_at_adl_usd": 0.4 * losses,
        "peak_borrowed_usd": owed_usd * is_there,
        "open_interest_usd": (2.3e9 - 0.1 * owed_usd) * is_there,
        "spread_HYPE_bp": (8.0 + owed_usd / 1e9) * is_there,
        "user_cap_bound": float(owed_usd > 0.0) * is_there,
    }
    return Runs(seeds, outcomes, errors)


def _attempts(study, proposal, loss, n_attempts):
    outcome, found = study.outcome, []
    plan = plan_certificate(
        outcome.alpha,
        outcome.confidence,
        outcome.power,
        outcome.power_at * outcome.alpha,
        n_attempts,
    )
    below = [value for value in study.cap.grid if value <= proposal.cap]
    for k, value in enumerate(reversed(below[-n_attempts:]), start=1):
        seeds = _seeds(study, f"attempt {k}", plan.n)
        runs = _runs(study, seeds, loss, _owed(study.demand, value))
        judged = judge(plan, failures(runs.of(outcome.name).tolist(), outcome.budget))
        found.append(Attempt(value, judged, runs))
        if judged.word == "certified":
            break
    return tuple(found)


def _rows(study, seeds, loss, tried):
    outcome, found = study.outcome, []
    for k, row in enumerate(study.rows):
        value = study.current if row.about.at == "current" else tried
        if math.isnan(value):
            continue
        if "supply caps kept" in row.about.name:
            why = "supply caps of HYPE and BTC hold 212 M USD of the debt that is asked for"
            found.append(RowAnswer(row.about, value, Runs((), {}, {}), None, why))
            continue
        factor = 6.0 if "1/3" in row.about.name else 1.0 + 0.05 * (k % 7)
        owed = _owed(row.about.demand or study.demand, value)
        found.append(RowAnswer(row.about, value, _runs(study, seeds, loss, owed, factor), None))
    if math.isnan(tried):
        return tuple(found)
    default = _runs(study, seeds, loss, _owed(study.demand, tried))
    failed = {
        row.about.name: row.runs.failed(outcome.name, outcome.budget)
        for row in found
        if not row.infeasible
    }
    compared = {
        one.name: one for one in compare_rows(failed, default.failed(outcome.name, outcome.budget))
    }
    return tuple(replace(row, compared=compared.get(row.about.name)) for row in found)


def _binding(critical):
    counts = critical.failed.sum(axis=0)
    if not counts.any():
        return None
    k = int(np.argmax(counts >= min(6, counts.max())))
    bad = int(counts[k])
    return BindingStress(
        float(critical.caps[k]), bad, {"fall of HYPE": bad, "lender run": bad // 2}
    )


def _break_even(study, seeds, loss, tried):
    owed = _owed(study.demand, tried)

    def try_point(multiplier):
        runs = _runs(study, seeds, loss, owed, 1.0 / multiplier)
        return sum(runs.failed(study.outcome.name, study.outcome.budget)), runs.n

    return break_even(try_point, alpha=study.outcome.alpha)


def _pairs(study, seeds, loss):
    second = study.second.grid
    losses = np.array(
        [
            [
                [loss(study.law.drawn(seed), value * (b / second[-1]) ** 0.7) for b in second]
                for value in study.cap.grid
            ]
            for seed in seeds
        ]
    )
    budget, n = study.outcome.budget, len(seeds)
    if not np.isfinite(losses).all():
        raise InvalidInput("pairs are made of losses without crashes")
    return staircase(losses, study.cap.grid, second, budget, n_seeds=n)
