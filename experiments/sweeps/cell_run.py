"""Runs cells: to their end, past it, or to where an outcome is decided; warm-ups shared or not."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from stressbook.errors import StressbookError, UnknownName
from stressbook.experiments.arms import one_lot_order
from stressbook.experiments.moves import mark_moves
from stressbook.experiments.own_book.account_outcomes import run_followed
from stressbook.experiments.progress import Progress
from stressbook.experiments.run import RunRecord, record_of
from stressbook.experiments.running_on import is_unsettled, run_on
from stressbook.experiments.shortfall import MINUTE_MS
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stepping import step_to
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.warm_up import branch_ms
from stressbook.market.state.records import VenueState

__all__ = ["BOOKED", "play", "run_together"]


def _booked_shortfall_usd(v: VenueState) -> float:
    return float(v.reserve[0].supplier_loss) / 1e6


# The part of an outcome that is booked: it never falls, and the outcome ends at or above it.
BOOKED: Final[dict[str, Callable[[VenueState], float]]] = {
    "reserve_shortfall_usd": _booked_shortfall_usd,
}


def run_together(jobs: Sequence[Job], progress: Progress | None = None, /) -> tuple[Replicate, ...]:
    """Run cells that share a warm-up, which is run once; one failure is one failure.

    Parameters
    ----------
    jobs : sequence of Job
        One, or several of one `stressbook.experiments.sweeps.warm_up.warm_key`.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    tuple of Replicate
        The same as of each by itself, to the bit.
    """
    first = jobs[0]
    if first.account:
        return tuple(_followed(job, progress) for job in jobs)
    try:
        sim = Simulation(
            first.scenario,
            seed=first.seed,
            engine=first.engine,
            run_on_s=first.run_on_s,
            onset_s=first.onset_s,
        )
    except Exception as error:
        return tuple(_failed(job, error) for job in jobs)
    try:
        return _run_all(sim, jobs, progress)
    finally:
        sim.close()


def _run_all(
    sim: Simulation, jobs: Sequence[Job], progress: Progress | None
) -> tuple[Replicate, ...]:
    if len(jobs) == 1:
        return (_run(sim, jobs[0], progress),)
    try:
        # A step early: whatever a stress does, it has not begun.
        sim.advance(max(branch_ms(jobs) // sim.dt_ms - 1, 0))
    except Exception as error:
        return tuple(_failed(job, error) for job in jobs)
    start = sim.snapshot()
    found = []
    for rank, job in enumerate(jobs):
        if rank:
            sim.restore(start)
        sim.scenario = job.scenario
        sim.set_stresses(job.scenario.stresses)
        found.append(_run(sim, job, None))
        if progress is not None:
            progress((rank + 1) / len(jobs))
    return tuple(found)


def _run(sim: Simulation, job: Job, progress: Progress | None) -> Replicate:
    try:
        stopped_early = play(sim, job, progress)
        record = record_of(sim, seed=job.seed, engine=job.engine, onset_s=job.onset_s)
        _keep_series(record, job)
    except Exception as error:
        return _failed(job, error)
    moves = mark_moves(record)
    return Replicate(job.seed, record.digest, record.outcomes, "", stopped_early, moves)


def _followed(job: Job, progress: Progress | None) -> Replicate:
    """Run a cell in which one account of its population file is looked at after each step."""
    try:
        record = run_followed(
            job.scenario,
            account=job.account,
            seed=job.seed,
            engine=job.engine,
            progress=progress,
            onset_s=job.onset_s,
        )
    except Exception as error:
        return _failed(job, error)
    return Replicate(job.seed, record.digest, record.outcomes)


def _failed(job: Job, error: Exception) -> Replicate:
    """Return what is left of a run: of a mistake of ours also where it is."""
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, StressbookError):
        at = traceback.extract_tb(error.__traceback__)[-1]
        text += f" ({Path(at.filename).name}, line {at.lineno})"
    return Replicate(job.seed, "", {}, text)


def _keep_series(record: RunRecord, job: Job) -> None:
    if job.series:
        from stressbook.experiments.sweeps.series import write_series  # noqa: PLC0415 - pyarrow

        write_series(record, job)


def play(sim: Simulation, job: Job, progress: Progress | None = None) -> bool:
    """Step a simulation to the end of its cell.

    Parameters
    ----------
    sim : Simulation
        Of the scenario of the job, at most at its onset.
    job : Job
        What is run.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    bool
        Whether it was stopped because the outcome was decided.
    """
    is_decided = _decision(sim, job)
    if job.is_placebo:
        onset = round(job.scenario.onset_s * 1000) // sim.dt_ms
        before = min(onset, sim.n_steps_planned - 1)
        if step_to(sim, before, progress, after_each=is_decided):
            return True
        sim.inject(one_lot_order)
    if step_to(sim, sim.n_steps_planned, progress, after_each=is_decided):
        return True
    ran_on_s = run_on(sim, job.run_on_s, until=is_decided)
    is_cut = ran_on_s < job.run_on_s and is_unsettled(sim.engine.state)
    return is_cut and is_decided is not None and is_decided()


def _decision(sim: Simulation, job: Job) -> Callable[[], bool] | None:
    """Return what tells at the end of a minute that an outcome is decided."""
    if job.decided is None:
        return None
    name, value = job.decided
    if name not in BOOKED:
        raise UnknownName("outcome that is decided before the end", name, known=BOOKED)
    booked = BOOKED[name]

    def is_decided() -> bool:
        return sim.t_ms % MINUTE_MS < sim.dt_ms and booked(sim.engine.state) > value

    return is_decided
