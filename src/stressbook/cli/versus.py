"""`versus`: two or more scenarios on the same draws."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stressbook.cli.options import (
    Engine,
    Json,
    Out,
    Plugins,
    Quiet,
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
from stressbook.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from pathlib import Path

    from stressbook.api import Effect, EffectTable, Scenario

__all__ = ["versus"]


Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME|FILE...", help="Names that `list` prints, or TOML files."),
]


def versus(
    names: Names,
    regimes: Annotated[
        str,
        typer.Option(
            metavar="NAME[:OFFSET],..",
            help="Run one scenario under these margin regimes, as in isolated,cross,scan:0.5.",
        ),
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Side that the others are compared with: a name, or a regime as given. The first.",
        ),
    ] = "",
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
        bool,
        typer.Option(
            help="Run the second of two, the control of more, again with one more order of one lot."
        ),
    ] = True,
    out: Out = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare scenarios on the same draws: paired differences to one of them, with intervals.

    `--set` and `--stress` change all but the first, as in `versus hype-fall hype-fall --set
    margin_regime=cross`; with `--regimes`, the one scenario. All take the same time: runs of
    unequal length are refused.
    """
    from stressbook.api.scenarios import named_sides
    from stressbook.experiments.batch import batch_folder_name, batch_mark, save_batch
    from stressbook.experiments.contrasts import require_sides
    from stressbook.experiments.store import claim_folder
    from stressbook.experiments.versus import require_same_clock

    found = _sides(names, regimes, sets=sets, stresses=stresses, plugins=plugins)
    control = _control(found, against, regimes.split(",") if regimes else names)
    if len(found) == 2 and control == 1:
        found, control = found[::-1], 0
    first, *others = found
    chosen = chosen_seed(seed, quiet=quiet)
    if len(others) == 1:
        scenarios = {"control": first.resolved, "treated": others[0].resolved}
        require_same_clock(*scenarios.values())
        told = f"{first.name} versus {others[0].name}"
    else:
        scenarios = named_sides(first, *others)
        require_sides(scenarios)
        told = f"{len(scenarios)} sides"
    place = out or RUNS / batch_folder_name(scenarios, seed=chosen, reps=reps)
    claim_folder(place, batch_mark(scenarios, seed=chosen))
    with stopping(goes_on(place, chosen if seed is None else None)):
        compile_once(others[0], engine=engine, quiet=quiet)
        with progress_of(told, quiet=quiet) as progress:
            effect = first.versus(
                *others,
                reps=reps,
                seed=chosen,
                engine=engine,
                workers=workers,
                placebo=placebo,
                against=list(scenarios)[control] if len(others) > 1 else "",
                folder=place / "runs",
                progress=progress,
            )
    placebo_of = list(scenarios)[control] if len(others) > 1 else None
    runs = effect.comparison.runs
    save_batch(place, scenarios, runs, engine=engine, placebo_of=placebo_of)
    _tell(effect, place, as_json=as_json, quiet=quiet)
    if effect.comparison.failures:
        raise typer.Exit(3)


def _sides(
    names: list[str],
    regimes: str,
    *,
    sets: list[str],
    stresses: list[str],
    plugins: list[Path],
) -> list[Scenario]:
    """Return the scenarios that are to be compared, the first first."""
    if not regimes:
        changed = {"sets": sets, "stresses": stresses}
        found = [
            resolved(name, plugins=plugins, **(changed if rank else {}))
            for rank, name in enumerate(names)
        ]
        _require_two(found, "name another, or give several: --regimes cross,scan:0.5", names)
        return found
    if len(names) > 1:
        raise InvalidInput(
            "is one scenario too many",
            name="--regimes",
            value=" ".join(names[1:]),
            allowed="one scenario, which runs under each of the regimes",
        )
    base = resolved(names[0], sets=sets, stresses=stresses, plugins=plugins)
    asked = [regime.strip() for regime in regimes.split(",")]
    found = list(base.under(*asked))
    _require_two(found, "give several, as in --regimes cross,scan:0.5", asked)
    return found


def _control(found: list[Scenario], against: str, given: list[str]) -> int:
    """Return the rank of the side that the others are compared with: by its name or as given."""
    from stressbook.api.scenarios import named_sides

    if not against:
        return 0
    names = list(named_sides(*found))
    for known in ([one.strip() for one in given], names):
        if known.count(against) == 1:
            return known.index(against)
    raise UnknownName("side", against, known=list(dict.fromkeys([*given, *names])))


def _require_two(found: list[Scenario], hint: str, given: list[str]) -> None:
    if len(found) < 2:
        raise InvalidInput(
            "is nothing to compare",
            name="versus",
            value=" ".join(given),
            allowed="2 or more scenarios or regimes",
            hint=hint,
        )


def _tell(effect: Effect | EffectTable, place: Path, *, as_json: bool, quiet: bool) -> None:
    from stressbook.api import Effect
    from stressbook.experiments.batch import batch_digest

    if not as_json:
        result(effect.summary())
        result(f"saved {place}")
        note(f"replay: stressbook replay {place}", quiet=quiet)
        return
    found = effect.comparison
    about = {"seeds": list(found.seeds), "digest": batch_digest(found.runs), "path": str(place)}
    if isinstance(effect, Effect):
        pair = effect.comparison
        names = {"control": pair.control.name, "treated": pair.treated.name}
        outcomes = {row.pop("outcome"): row for row in effect.rows()}
        moves = [asdict(one) for one in pair.by_horizon()]
        result_json(
            {**names, **about, "outcomes": outcomes, "moves": moves, "failed": found.failures}
        )
        return
    outcomes = {}
    for row in effect.rows():
        outcomes.setdefault(row.pop("outcome"), {})[row.pop("side")] = row
    result_json(
        {
            "sides": list(effect.comparison.sides),
            "control": effect.comparison.control,
            "placebo_of": effect.comparison.placebo_of,
            **about,
            "n": found.n_pairs,
            "shown": list(effect.shown),
            "judged": list(effect.judged),
            "below_zero": effect.below_zero(),
            "alike": effect.comparison.alike(),
            "placebo_changed": effect.comparison.placebo_changed(),
            "outcomes": outcomes,
            "moves": {
                side: [asdict(one) for one in several]
                for side, several in effect.comparison.by_horizon().items()
            },
            "runs": {side: [run.outcomes for run in runs] for side, runs in found.runs.items()},
            "failed": found.failures,
        }
    )
