"""`versus`: two scenarios on the same draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stressbook.cli.options import (
    Engine,
    Json,
    Out,
    Plugins,
    Quiet,
    ScenarioName,
    Seed,
    Sets,
    Stresses,
    Workers,
)
from stressbook.cli.resolve import resolved
from stressbook.cli.run import RUNS
from stressbook.cli.terminal import (
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
    from pathlib import Path

    from stressbook.api import Effect

__all__ = ["versus"]


def versus(
    control: ScenarioName,
    treated: ScenarioName,
    seed: Seed = None,
    sets: Sets = [],  # noqa: B006 - typer copies it
    stresses: Stresses = [],  # noqa: B006 - as above
    plugins: Plugins = [],  # noqa: B006 - as above
    engine: Engine = "kernel",
    reps: Annotated[
        int, typer.Option(min=2, help="Number of seeds; nothing is claimed of fewer than 8.")
    ] = 30,
    workers: Workers = 1,
    placebo: Annotated[
        bool, typer.Option(help="Run the second once more with one more order of one lot.")
    ] = True,
    out: Out = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two scenarios on the same draws: paired differences with intervals.

    `--set` and `--stress` change the second one, as in `versus hype-fall hype-fall --set
    margin_regime=cross`. Both take the same time: runs of unequal length are refused.
    """
    from stressbook.experiments.batch import batch_folder_name, batch_mark, save_batch
    from stressbook.experiments.store import claim_folder
    from stressbook.experiments.versus import require_same_clock

    first = resolved(control, plugins=plugins)
    second = resolved(treated, sets=sets, stresses=stresses, plugins=plugins)
    chosen = chosen_seed(seed, quiet=quiet)
    scenarios = {"control": first.resolved, "treated": second.resolved}
    place = out or RUNS / batch_folder_name(scenarios, seed=chosen, reps=reps)
    require_same_clock(first.resolved, second.resolved)
    claim_folder(place, batch_mark(scenarios, seed=chosen))
    with stopping(goes_on(place, chosen if seed is None else None)):
        compile_once(second, engine=engine, quiet=quiet)
        with progress_of(f"{first.name} versus {second.name}", quiet=quiet) as progress:
            effect = first.versus(
                second,
                reps=reps,
                seed=chosen,
                engine=engine,
                workers=workers,
                placebo=placebo,
                folder=place / "runs",
                progress=progress,
            )
    save_batch(place, scenarios, effect.comparison.runs, engine=engine)
    _tell(effect, place, as_json=as_json, quiet=quiet)
    if effect.comparison.failures:
        raise typer.Exit(3)


def _tell(effect: Effect, place: Path, *, as_json: bool, quiet: bool) -> None:
    from stressbook.experiments.batch import batch_digest

    if as_json:
        found = effect.comparison
        result_json(
            {
                "control": found.control.name,
                "treated": found.treated.name,
                "seeds": list(found.seeds),
                "digest": batch_digest(found.runs),
                "path": str(place),
                "outcomes": {row.pop("outcome"): row for row in effect.rows()},
                "failed": found.failures,
            }
        )
        return
    result(effect.summary())
    result(f"saved {place}")
    note(f"replay: stressbook replay {place}", quiet=quiet)
