"""Run parts of the validation and write what they found: rows as JSON, tables into the page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.store import write_json
from stressbook.experiments.validation.calm import calm_day, calm_rows, profit_rates
from stressbook.experiments.validation.regimes import regime_pair, regime_rows
from stressbook.experiments.validation.runner import Found, Task, run_seeds
from stressbook.experiments.validation.shocks import shock_arms, unlevered_arms
from stressbook.experiments.validation.stationarity import long_run, stationarity_rows
from stressbook.experiments.validation.stressed import LEVERAGES, OUTSIDES, stressed_rows
from stressbook.experiments.validation.table import Row, as_record, fill_page, markdown

__all__ = ["PARTS", "Settings", "main", "rebuild"]


@dataclass(frozen=True)
class Settings:
    """How much is run, and where results are kept.

    Parameters
    ----------
    scenario : str
        Name of the calm scenario.
    seeds : int
        Number of seeds, 1, 2, ...; 0: as many as the part asks for.
    workers : int
        Processes.
    folder : Path, optional
        Where the results of seeds are kept.
    """

    scenario: str = "hyperliquid"
    seeds: int = 0
    workers: int = 1
    folder: Path | None = None

    def numbers(self, wanted: int) -> list[int]:
        """Return the seeds of a part that asks for some number of them."""
        return list(range(1, (self.seeds or wanted) + 1))

    def progress(self, share: float) -> None:
        """Say on stderr how far a part is."""
        sys.stderr.write(f"{share:.0%}\n")


def _calm_days(settings: Settings) -> list[Found]:
    return run_seeds(
        calm_day,
        load_scenario(settings.scenario),
        settings.numbers(30),
        workers=settings.workers,
        folder=settings.folder,
        progress=settings.progress,
    )


def _calm(settings: Settings) -> list[Row]:
    return calm_rows(_calm_days(settings), load_scenario(settings.scenario).assets)


def _stressed(settings: Settings) -> list[Row]:
    scenario, seeds = load_scenario(settings.scenario), settings.numbers(20)

    def run(task: Task, **options: Any) -> list[Found]:
        return run_seeds(
            task,
            scenario,
            seeds,
            options=options,
            workers=settings.workers,
            folder=settings.folder,
            progress=settings.progress,
        )

    by_outside = {outside: run(shock_arms, outside=outside) for outside in OUTSIDES}
    by_leverage = {
        leverage: by_outside[1.0]
        if leverage == 1.0
        else run(shock_arms, leverage=leverage, arms=("F", "R"))
        for leverage in LEVERAGES
    }
    return stressed_rows(by_leverage, by_outside, run(unlevered_arms))


def _regimes(settings: Settings) -> list[Row]:
    found = run_seeds(
        regime_pair,
        load_scenario(settings.scenario),
        settings.numbers(12),
        workers=settings.workers,
        folder=settings.folder,
        progress=settings.progress,
    )
    return regime_rows(found)


def _stationarity(settings: Settings) -> list[Row]:
    scenario = load_scenario(settings.scenario)
    rates = profit_rates(_calm_days(settings))
    found = run_seeds(
        long_run,
        scenario,
        settings.numbers(8),
        workers=settings.workers,
        folder=settings.folder,
        progress=settings.progress,
    )
    return stationarity_rows(
        found, scenario.assets, {name: rate.value for name, rate in rates.items()}
    )


PARTS: Final[dict[str, Callable[[Settings], list[Row]]]] = {
    "calm": _calm,
    "stationarity": _stationarity,
    "stressed": _stressed,
    "regimes": _regimes,
}


def rebuild(parts: Sequence[str], settings: Settings) -> dict[str, list[Row]]:
    """Return the rows of some parts, running what is not on disk yet."""
    return {part: PARTS[part](settings) for part in parts}


def write(
    tables: dict[str, list[Row]], *, page: Path | None, reference: Path | None, scenario: str = ""
) -> None:
    """Put tables into the page and their rows into the reference file; other parts stay.

    Parameters
    ----------
    tables : dict of str to list of Row
        By part.
    page : Path, optional
        Markdown with marks.
    reference : Path, optional
        JSON.
    scenario : str
        Digest of the scenario that was run, noted with each part.
    """
    if reference is not None:
        kept: dict[str, Any] = {}
        if reference.exists():
            kept = json.loads(reference.read_text(encoding="utf-8"))
        for part, rows in tables.items():
            kept[part] = {"scenario": scenario, "rows": [as_record(row) for row in rows]}
        write_json(reference, kept)
    if page is not None:
        text = page.read_text(encoding="utf-8")
        for part, rows in tables.items():
            text = fill_page(text, part, markdown(rows))
        page.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Rebuild parts from the command line."""
    parser = argparse.ArgumentParser(prog="python -m stressbook.experiments.validation")
    parser.add_argument("--part", action="append", choices=tuple(PARTS), help="default: all")
    parser.add_argument("--seeds", type=int, default=0, help="default: as many as a part asks for")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scenario", default="hyperliquid")
    parser.add_argument("--folder", type=Path, default=Path("results/runs/verify"))
    parser.add_argument("--page", type=Path, help="Markdown page whose tables are replaced")
    parser.add_argument("--reference", type=Path, help="JSON file of all rows")
    given = parser.parse_args(arguments)
    settings = Settings(given.scenario, given.seeds, given.workers, given.folder)
    tables = rebuild(given.part or tuple(PARTS), settings)
    digest = load_scenario(given.scenario).digest()
    write(tables, page=given.page, reference=given.reference, scenario=digest)
    for part, rows in tables.items():
        sys.stdout.write(f"## {part}\n\n{markdown(rows)}\n\n")
