"""`account`: what becomes of one account of one's own file under a scenario."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Engine, Json, Out, Plugins, Quiet, Seed, Sets, Stresses, Workers
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

__all__ = ["account"]


def account(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Accounts: CSV, Parquet or the venue's JSON.")
    ],
    name: Annotated[str, typer.Option("--account", metavar="NAME", help="Which of them.")],
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME|FILE", help="What happens to the market.")
    ],
    seed: Seed = None,
    sets: Sets = [],  # noqa: B006 - typer copies it
    stresses: Stresses = [],  # noqa: B006 - as above
    plugins: Plugins = [],  # noqa: B006 - as above
    engine: Engine = "kernel",
    reps: Annotated[int, typer.Option(min=2, help="Seeds; each is run stressed and calm.")] = 100,
    workers: Workers = 1,
    out: Out = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say how likely an account is liquidated or deleveraged, and what leaving costs it.

    Runs the scenario with the file's accounts beside its classes, on each seed once as it is and
    once with every stress at severity 0.
    """
    from stressbook.api.account_result import account as follow
    from stressbook.experiments.own_book.account_outcomes import require_account
    from stressbook.experiments.store import claim_folder, write_json

    found = resolved(scenario, sets=sets, stresses=stresses, plugins=plugins)
    found = found.with_(population=file)
    require_account(found.resolved, name)
    chosen = chosen_seed(seed, quiet=quiet)
    mark = f"account {found.resolved.digest()} {name} from seed {chosen}"
    short = sha256(mark.encode()).hexdigest()[:8]
    place = out or RUNS / f"account-{found.name}-{chosen}x{reps}-{short}"
    claim_folder(place, mark)
    with stopping(goes_on(place, chosen if seed is None else None)):
        compile_once(found, engine=engine, quiet=quiet)
        with progress_of(f"{name} in {found.name}", quiet=quiet) as progress:
            answer = follow(
                Path(file),
                account=name,
                scenario=found,
                reps=reps,
                seed=chosen,
                engine=engine,
                workers=workers,
                folder=place / "runs",
                progress=progress,
            )
    content = answer.to_table()
    write_json(place / "account.json", content)
    (place / "scenario.toml").write_text(found.to_toml(), encoding="utf-8")
    if as_json:
        result_json(content | {"path": str(place)})
    else:
        result(answer.summary())
        result(f"saved {place}")
        note(f"one of its runs: stressbook run {place / 'scenario.toml'} --seed N", quiet=quiet)
    if answer.failures:
        raise typer.Exit(3)
