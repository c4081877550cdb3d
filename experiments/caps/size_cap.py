"""Size a cap: the grid proposes, fresh seeds certify, and what would change the answer is run.

Every seed is run at every cap of the grid. The first seeds propose; a certificate whose plan is
stored before its first run decides, on seeds that nothing else has seen. Everything shown beside
it uses the seeds of the proposal at the cap that was certified.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np

from stressbook.agents.credit import CAP_SHARE
from stressbook.errors import InvalidInput, InvalidScenario, StressbookError
from stressbook.experiments.caps.absorption import Absorption, absorption
from stressbook.experiments.caps.answer import (
    FAILED_ENOUGH,
    Attempt,
    BindingStress,
    CapAnswer,
    CapGrid,
    RowAnswer,
    largest_clear,
)
from stressbook.experiments.caps.demand import FILL, PLATFORM_CAP, Demand
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.caps.runs import PROPOSAL, Asked, Runner, Runs
from stressbook.experiments.caps.study import CapStudy, OutcomeParams, Row
from stressbook.experiments.progress import Progress
from stressbook.experiments.statistics.break_even import BreakEven, break_even
from stressbook.experiments.statistics.certificate import (
    CertificatePlan,
    judge,
    plan_certificate,
)
from stressbook.experiments.statistics.critical_caps import Proposal, propose
from stressbook.experiments.statistics.paired import compare_rows
from stressbook.experiments.statistics.staircase import Staircase, staircase
from stressbook.experiments.store import claim_folder, write_json
from stressbook.experiments.sweeps.index import Index
from stressbook.experiments.sweeps.status import mean_cell_s

__all__ = ["MOST_EPISODES", "expected_runs", "require_few", "size_cap"]

MOST_EPISODES: Final = 10_000  # that are run without being asked for
_NO_RUNS: Final = Runs((), {}, {})


def expected_runs(study: CapStudy) -> int:
    """Return about how many episodes a study takes, before any has been run."""
    n = study.outcome.seeds
    columns = 1.5 * len(study.cap.grid) + len(study.rows) + 1 + _points(study)
    columns += len(study.cap.grid) * len(study.second.grid)
    return round(n * columns) + _plan(study).n


def require_few(study: CapStudy, *, allow_many: bool = False) -> None:
    """Refuse a study of more episodes than are run without being asked for.

    Raises
    ------
    InvalidInput
        With the number that it takes, unless many are allowed.
    """
    n = expected_runs(study)
    if n > MOST_EPISODES and not allow_many:
        raise InvalidInput(
            "are more than are run without being asked for",
            name="episodes",
            value=n,
            allowed=f"about {MOST_EPISODES:,}, of the grid, the certificate and all rows",
            hint="add --yes, allow_many=True in Python, or ask for fewer seeds or caps",
        )


def size_cap(
    study: CapStudy,
    *,
    folder: Path | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> CapAnswer:
    """Return how large a cap may be under a study's law.

    Parameters
    ----------
    study : CapStudy
        Resolved.
    folder : Path, optional
        Where plan and finished runs are kept; the same study goes on in it.
    workers : int, default 1
        Processes.
    executor : concurrent.futures.Executor, optional
        Instead of own processes.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    CapAnswer

    Raises
    ------
    InvalidInput
        If the folder holds something else, or another process runs in it.
    """
    plan = _plan(study)
    if folder is not None:
        claim_folder(folder, f"cap study {study.digest()}")
        write_json(folder / "plan.json", {"study": study.digest(), **asdict(plan)})
    with Index(folder) as index:
        runner = Runner(
            study,
            folder=folder,
            index=index,
            workers=workers,
            executor=executor,
            progress=progress,
            expected=expected_runs(study),
        )
        answer = _answer(runner, plan)
    if progress is not None:
        progress(1.0)
    return answer


def _answer(runner: Runner, plan: CertificatePlan) -> CapAnswer:
    """Run every table of a study."""
    study = runner.study
    start_s = time.monotonic()
    seeds = runner.seeds(PROPOSAL, study.outcome.seeds)
    grid = _grid(runner, study.demand, study.cap.grid, seeds)
    proposal = propose(
        grid.critical(study.outcome.name, study.outcome.budget),
        study.outcome.alpha,
        study.outcome.confidence,
        _proposing(study),
    )
    attempts = _attempts(runner, plan, proposal)
    tried = attempts[-1].value if attempts else math.nan
    rows = _rows(runner, grid, tried, seeds)
    zero = _zero(runner, seeds)
    even = _break_even(runner, tried, seeds)
    other = _other_demand(runner, seeds)
    return CapAnswer(
        study=study,
        grids={study.demand: grid, **other},
        proposal=proposal,
        attempts=attempts,
        rows=rows,
        zero=zero,
        binding=_binding(runner, grid, seeds),
        break_even=even,
        absorption=_absorption(runner, seeds),
        absorption_at_break_even=(
            None if even is None or even.is_outside else _absorption(runner, seeds, even.value)
        ),
        step_limit=_step_limit(study, grid),
        pairs=_pairs(runner, seeds),
        n_runs=runner.n_done,
        run_s=_run_s(runner, time.monotonic() - start_s),
    )


def _plan(study: CapStudy) -> CertificatePlan:
    outcome = study.outcome
    return plan_certificate(
        outcome.alpha,
        outcome.confidence,
        outcome.power,
        outcome.power_at * outcome.alpha,
        outcome.attempts,
    )


def _run_s(runner: Runner, elapsed_s: float) -> float:
    """Return the mean time of an episode; a folder knows that of former calls as well."""
    kept_s = 0.0 if runner.folder is None else mean_cell_s(runner.folder)
    return kept_s or runner.workers * elapsed_s / max(runner.n_done, 1)


def _proposing(study: CapStudy) -> int:
    """Return how many of the first seeds propose: as few as alpha needs, more sharpen the curve."""
    outcome = study.outcome
    return min(outcome.seeds, study.needed_seeds)


def _points(study: CapStudy) -> int:
    return 8 if study.absorption.multiplies or study.absorption.divides else 0


def _grid(runner: Runner, demand: Demand, values: Sequence[float], seeds: Sequence[int]) -> CapGrid:
    columns = [Asked(f"{demand} at {value:,.0f}", value, demand, Changes()) for value in values]
    return CapGrid(demand, tuple(values), tuple(runner.run(columns, seeds)))


def _attempts(runner: Runner, plan: CertificatePlan, proposal: Proposal) -> tuple[Attempt, ...]:
    """Certify the proposal; where it is refused and more attempts are planned, the next below."""
    study = runner.study
    below = [value for value in study.cap.grid if value <= proposal.cap]
    found: list[Attempt] = []
    for k, value in enumerate(reversed(below), start=1):
        if k > plan.attempts or proposal.is_refused:
            break
        seeds = runner.seeds(f"attempt {k}", plan.n)
        asked = Asked(f"certificate {k} at {value:,.0f}", value, study.demand, Changes())
        (runs,) = runner.run([asked], seeds)
        found.append(Attempt(value, judge(plan, study.outcome.failed(runs)), runs))
        if found[-1].judgement.word == "certified":
            break
    return tuple(found)


def _rows(
    runner: Runner, grid: CapGrid, tried: float, seeds: Sequence[int]
) -> tuple[RowAnswer, ...]:
    """Run what is varied singly; a row that cannot be filled says so."""
    study = runner.study
    found: list[RowAnswer] = []
    for row in study.rows:
        value = study.current if row.about.at == "current" else tried
        if math.isnan(value):
            continue
        found.append(_row(runner, row, value, seeds))
    default = dict(zip(grid.values, grid.runs, strict=True)).get(tried)
    if default is None:
        return tuple(found)
    outcome = study.outcome
    plain = outcome.failed(default)
    failed = {
        row.about.name: _beside(row.runs, default.seeds, outcome)
        for row in found
        if not row.infeasible
    }
    compared = {one.name: one for one in compare_rows(failed, plain, level=outcome.confidence)}
    return tuple(replace(row, compared=compared.get(row.about.name)) for row in found)


def _beside(runs: Runs, seeds: Sequence[int], outcome: OutcomeParams) -> list[bool | None]:
    """Return which seeds failed; None where the row could not be filled."""
    mine = dict(zip(runs.seeds, outcome.failed(runs), strict=True))
    return [mine.get(seed) for seed in seeds]


def _row(runner: Runner, row: Row, value: float, seeds: Sequence[int]) -> RowAnswer:
    demand = row.about.demand or runner.study.demand
    asked = Asked(row.about.name, value, demand, row.changes)
    try:
        (runs,) = runner.run([asked], seeds)
    except InvalidScenario as error:
        return RowAnswer(row.about, value, _NO_RUNS, None, error.problems[0].problem)
    if runs.errors and runs.n_crashed == runs.n:
        return RowAnswer(row.about, value, runs, None, next(iter(runs.errors)))
    if not runs.refused:
        return RowAnswer(row.about, value, runs, None)
    note = f"{len(runs.refused)} of {runs.n} episodes cannot be filled so, and are left out"
    return RowAnswer(row.about, value, runs.opened(), None, note=note)


def _zero(runner: Runner, seeds: Sequence[int]) -> Runs:
    """Run the episodes with a cap of 0: what is lost there, no cap can spare."""
    changes = Changes({FILL: 0.0, PLATFORM_CAP: 0.0})
    (runs,) = runner.run(
        [Asked("nobody borrows", runner.study.current, "emergent", changes)], seeds
    )
    return runs


def _other_demand(runner: Runner, seeds: Sequence[int]) -> dict[str, CapGrid]:
    """Run the demand that is not certified; values beyond what it ever borrows are one."""
    study = runner.study
    other: Demand = "emergent" if study.demand == "filled" else "filled"
    values = study.cap.grid
    if other == "emergent" and study.cap.lever == PLATFORM_CAP:
        top = _grid(runner, other, values[-1:], seeds)
        peaks = top.table("peak_borrowed_usd")
        peak = float(peaks[np.isfinite(peaks)].max(initial=0.0))
        free = [value for value in values if CAP_SHARE * value > peak]  # rations no opening
        values = tuple(dict.fromkeys([v for v in values if v not in free] + free[:1]))
    return {other: _grid(runner, other, values, seeds)}


def _binding(runner: Runner, grid: CapGrid, seeds: Sequence[int]) -> BindingStress | None:
    """Take each element of the law away where seeds fail, and count those that then pass."""
    outcome = runner.study.outcome
    failed = [outcome.failed(runs) for runs in grid.runs]
    counts = [sum(column) for column in failed]
    enough = [k for k, n in enumerate(counts) if n >= FAILED_ENOUGH]
    if not any(counts):
        return None
    k = enough[0] if enough else int(np.argmax(counts))
    value = grid.values[k]
    bad = [seed for seed, fails in zip(seeds, failed[k], strict=True) if fails]
    acting = [e.name for e in runner.study.law.elements if e.probability > 0.0]
    columns = [
        Asked(f"without {name}", value, runner.study.demand, Changes(probability={name: 0.0}))
        for name in acting
    ]
    found = runner.run(columns, bad, decided=True)
    cleared = {
        name: runs.n - outcome.n_failed(runs) for name, runs in zip(acting, found, strict=True)
    }
    return BindingStress(value, len(bad), cleared)


def _break_even(runner: Runner, tried: float, seeds: Sequence[int]) -> BreakEven | None:
    """Bisect what the market absorbs for the failure rate that is certified."""
    study = runner.study
    if math.isnan(tried) or not _points(study):
        return None

    def try_point(multiplier: float) -> tuple[int, int]:
        label = f"absorption x {multiplier:.3g}"
        asked = Asked(label, tried, study.demand, _absorbing(study, multiplier))
        (runs,) = runner.run([asked], seeds, decided=True)
        return study.outcome.n_failed(runs), runs.n

    return break_even(try_point, alpha=study.outcome.alpha)


def _absorbing(study: CapStudy, multiplier: float) -> Changes:
    scales = dict.fromkeys(study.absorption.multiplies, multiplier)
    return Changes(scales=scales | dict.fromkeys(study.absorption.divides, 1.0 / multiplier))


def _absorption(runner: Runner, seeds: Sequence[int], multiplier: float = 1.0) -> Absorption | None:
    """Measure what a calm market takes in the seed with median depth."""
    about, law = runner.study.absorption, runner.study.law
    if not about.asset or not about.median_of:
        return None
    ordered = sorted(seeds, key=lambda seed: law.drawn(seed)[about.median_of])
    seed = ordered[(len(ordered) - 1) // 2]
    calm = Changes(probability={element.name: 0.0 for element in law.elements})
    scenario = runner.episodes.scenario(seed, calm | _absorbing(runner.study, multiplier))
    try:
        return absorption(scenario, seed=seed, asset=about.asset)
    except StressbookError:
        return None


def _pairs(runner: Runner, seeds: Sequence[int]) -> Staircase | None:
    """Try every pair of two caps on the seeds of the proposal."""
    study = runner.study
    if not study.second.lever:
        return None
    columns = [
        Asked(f"pair {a:,.0f}, {b:g}", a, study.demand, Changes({study.second.lever: b}))
        for a in study.cap.grid
        for b in study.second.grid
    ]
    found = runner.run(columns, seeds, decided=True)
    losses = np.stack([runs.of(study.outcome.name) for runs in found], axis=1)
    return staircase(
        losses.reshape(len(seeds), len(study.cap.grid), len(study.second.grid)),
        study.cap.grid,
        study.second.grid,
        study.outcome.budget,
        n_seeds=len(seeds),
    )


def _step_limit(study: CapStudy, grid: CapGrid) -> float:
    """Return the largest value up to twice the present one up to which no seed fails."""
    return largest_clear(grid, study.outcome, most=2.0 * study.current)
