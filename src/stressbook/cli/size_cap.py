"""`size-cap`: how large a cap may be, with its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stressbook.cli.options import Dask, Json, Out, Quiet, Sets, Workers
from stressbook.cli.run import RUNS
from stressbook.cli.terminal import goes_on, note, progress_of, result, result_json, stopping
from stressbook.cli.warm import compile_once

if TYPE_CHECKING:
    from stressbook.api import CapResult

__all__ = ["size_cap"]


def size_cap(
    study: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="Cap study that `list` prints, or a TOML file."),
    ] = "usdc-borrow-cap",
    sets: Sets = [],  # noqa: B006 - typer copies it
    workers: Workers = 1,
    dask: Dask = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run more episodes than 10,000.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 1 unless the present cap is certified.")
    ] = False,
    out: Out = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Size a cap: propose it from a grid of episodes, certify it on fresh ones, say what matters.

    About half an hour on two cores for the study that ships. The same command goes on where it was
    stopped.
    """
    from stressbook.api import Scenario
    from stressbook.api import size_cap as answer
    from stressbook.experiments.caps.size_cap import expected_runs, require_few
    from stressbook.experiments.caps.study_file import load_cap_study

    asked = load_cap_study(study, overrides=sets)
    require_few(asked, allow_many=yes)
    place = out or RUNS / f"{asked.name}-{asked.digest()[:8]}"
    about = f"about {expected_runs(asked):,} episodes"
    note(f"{about}, kept in {place}: stressbook status {place}", quiet=quiet)
    if asked.needed_seeds > asked.outcome.seeds:
        note(
            f"outcome.seeds = {asked.outcome.seeds} propose nothing at alpha "
            f"{asked.outcome.alpha:g}, which needs {asked.needed_seeds}: the curve alone",
            quiet=quiet,
        )
    with stopping(goes_on(place)):
        if dask is None:
            compile_once(Scenario(asked.scenario), engine="kernel", quiet=quiet)
        with progress_of(asked.name, quiet=quiet) as progress:
            found = answer(
                asked,
                folder=place,
                workers=workers,
                dask=dask,
                allow_many=yes,
                progress=progress,
            )
    page = found.report(place / "report.html")
    if as_json:
        result_json({**found.to_json(), "path": str(place), "report": str(page)})
    else:
        result(found.summary())
        result(f"saved {place}, report {page}")
    if found.crashed:
        note(f"exit 3: episodes crashed, {found.crashed}, and count as failed", quiet=quiet)
    raise typer.Exit(_code(found, check=check))


def _code(found: CapResult, *, check: bool) -> int:
    if found.crashed:
        return 3
    is_below = found.certified is not None and found.answer.study.current <= found.certified
    return 1 if check and not is_below else 0
