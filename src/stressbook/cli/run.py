"""`run`: one run, or several seeds of one scenario."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stressbook.cli.budgets import Judged, budgets_of, judge
from stressbook.cli.options import (
    Engine,
    Json,
    Out,
    Plugins,
    Quiet,
    Reps,
    ScenarioName,
    Seed,
    Sets,
    Stresses,
    Workers,
)
from stressbook.cli.resolve import resolved
from stressbook.cli.terminal import (
    STARTS_AFRESH,
    chosen_seed,
    goes_on,
    note,
    progress_of,
    result,
    result_json,
    stopping,
)
from stressbook.cli.warm import compile_once

if TYPE_CHECKING:
    from stressbook.api import Replicates, RunResult, Scenario

__all__ = ["RUNS", "run"]

RUNS = Path("results/runs")


def run(
    name: ScenarioName,
    seed: Seed = None,
    sets: Sets = [],  # noqa: B006 - typer copies it
    stresses: Stresses = [],  # noqa: B006 - as above
    plugins: Plugins = [],  # noqa: B006 - as above
    engine: Engine = "kernel",
    reps: Reps = 1,
    workers: Workers = 1,
    out: Out = None,
    budget: Annotated[
        list[str],
        typer.Option("--budget", metavar="OUTCOME=MAX", help="Largest allowed value; repeatable."),
    ] = [],  # noqa: B006 - as above
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if a run is over a budget.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario, and keep what came of it in a folder."""
    from stressbook.api.plan import NOBODY
    from stressbook.experiments.batch import batch_folder_name, batch_mark, save_batch
    from stressbook.experiments.store import claim_folder, run_folder_name, run_mark

    found = resolved(name, sets=sets, stresses=stresses, plugins=plugins)
    if not found.resolved.agents:
        note(f"agents: {NOBODY}", quiet=quiet)
    allowed = budgets_of(budget, check=check, assets=found.resolved.assets)
    chosen = chosen_seed(seed, quiet=quiet)
    if reps == 1:
        scenario = found.resolved
        place = out or RUNS / run_folder_name(scenario, chosen)
        claim_folder(place, run_mark(scenario, chosen))
        with stopping(STARTS_AFRESH):
            one = _run_one(found, chosen, engine, quiet)
        judged = judge([one.outcomes], allowed)
        _tell_one(one, one.save(place), judged, as_json=as_json, quiet=quiet)
        n_failed = 0
    else:
        scenarios = {"run": found.resolved}
        place = out or RUNS / batch_folder_name(scenarios, seed=chosen, reps=reps)
        claim_folder(place, batch_mark(scenarios, seed=chosen))
        with stopping(goes_on(place, chosen if seed is None else None)):
            many = _run_many(found, chosen, reps, engine, workers, place, quiet)
        save_batch(place, scenarios, {"run": many.runs}, engine=engine)
        judged = judge([each.outcomes for each in many.runs if not each.error], allowed)
        _tell_many(many, place, judged, as_json=as_json, quiet=quiet)
        n_failed = len(many.failures)
    if n_failed:
        raise typer.Exit(3)
    if check and not all(each.holds for each in judged):
        raise typer.Exit(1)


def _run_one(found: Scenario, seed: int, engine: str, quiet: bool) -> RunResult:
    compile_once(found, engine=engine, quiet=quiet)
    start_s = time.monotonic()
    with progress_of(found.name, quiet=quiet) as progress:
        one = found.run(seed=seed, engine=engine, progress=progress)
    note(f"ran in {time.monotonic() - start_s:.1f} s", quiet=quiet)
    return one


def _run_many(
    found: Scenario,
    seed: int,
    reps: int,
    engine: str,
    workers: int,
    place: Path,
    quiet: bool,
) -> Replicates:
    compile_once(found, engine=engine, quiet=quiet)
    with progress_of(found.name, quiet=quiet) as progress:
        return found.replicate(
            reps=reps,
            seed=seed,
            engine=engine,
            workers=workers,
            folder=place / "runs",
            progress=progress,
        )


def _tell_one(
    one: RunResult, place: Path, judged: Sequence[Judged], *, as_json: bool, quiet: bool
) -> None:
    if as_json:
        from stressbook.experiments.moves import mark_moves

        result_json(
            {
                "scenario": one.name,
                "seed": one.seed,
                "engine": one.record.engine,
                "digest": one.digest,
                "path": str(place),
                "outcomes": one.outcomes,
                "moves": mark_moves(one.record),
                "budgets": _budget_table(judged),
            }
        )
        return
    result(one.summary())
    _tell_budgets(judged)
    result(f"digest {one.digest}")
    result(f"saved {place}")
    note(f"replay: stressbook replay {place}", quiet=quiet)
    note("one run has no interval: add --reps 200", quiet=quiet)


def _tell_many(
    many: Replicates, place: Path, judged: Sequence[Judged], *, as_json: bool, quiet: bool
) -> None:
    from stressbook.experiments.batch import batch_digest

    if as_json:
        means = {name: many.estimate(name) for name in many.names()}
        result_json(
            {
                "scenario": many.scenario.name,
                "seeds": [each.seed for each in many.runs],
                "digest": batch_digest({"run": many.runs}),
                "path": str(place),
                "outcomes": {
                    name: {"mean": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}
                    for name, mean in means.items()
                },
                "failed": {str(seed): error for seed, error in many.failures.items()},
                "budgets": _budget_table(judged),
            }
        )
        return
    result(many.summary())
    _tell_budgets(judged)
    result(f"saved {place}")
    note(f"replay: stressbook replay {place}", quiet=quiet)


def _tell_budgets(judged: Sequence[Judged]) -> None:
    from stressbook.experiments.words import amount

    for each in judged:
        word = "holds" if each.holds else "FAILS"
        worst, limit = amount(each.worst), amount(each.allowed)
        result(f"budget {word}: {each.outcome} {worst}, at most {limit}")


def _budget_table(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    return [{**each._asdict(), "holds": each.holds} for each in judged]
