"""Run the reference studies, write what is kept of them, or compare with what is kept."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stressbook.errors import StressbookError
from stressbook.experiments.studies.reference.caps_history import CAPS_HISTORY
from stressbook.experiments.studies.reference.kept_results import (
    differences,
    figure_text,
    kept_file,
    load_table,
    page_part,
    read_values,
    table_text,
    values_text,
)
from stressbook.experiments.studies.reference.ltv_and_supply import LTV_AND_SUPPLY
from stressbook.experiments.studies.reference.regimes import REGIMES
from stressbook.experiments.studies.reference.study import (
    SEEDS,
    ReferenceStudy,
    Values,
    run_arms,
)
from stressbook.experiments.validation.table import fill_page

__all__ = ["STUDIES", "compare", "main", "write"]

STUDIES: Final = {one.name: one for one in (CAPS_HISTORY, REGIMES, LTV_AND_SUPPLY)}
_SHOWN: Final = 20  # differences that are printed


def write(study: ReferenceStudy, values: Values, folder: Path, page: Path) -> None:
    """Write the files of a study, and its part of the page.

    Parameters
    ----------
    study : ReferenceStudy
        Which.
    values : mapping
        By arm and outcome.
    folder, page : Path
        Of the reference, and the page in Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = table_text(study, values)
    (folder / f"{study.name}.csv").write_text(values_text(values), encoding="utf-8")
    (folder / f"{study.name}.json").write_text(table, encoding="utf-8")
    (folder / f"{study.name}.svg").write_text(figure_text(study, values), encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    part = page_part(study, json.loads(table))
    page.write_text(fill_page(text, study.name, part), encoding="utf-8")


def compare(study: ReferenceStudy, values: Values, folder: Path, page: Path) -> list[str]:
    """Return where a study differs from what is kept.

    Parameters
    ----------
    study, values, folder, page
        As of `write`.

    Returns
    -------
    list of str
        Empty if values, table and page are the same. Figures follow from the table and are not
        compared.

    Raises
    ------
    InvalidInput
        If nothing is kept.
    """
    kept = read_values(kept_file(folder, study, ".csv").read_text(encoding="utf-8"))
    found = {arm: {k: x.tolist() for k, x in by.items()} for arm, by in values.items()}
    kept_lists = {arm: {k: x.tolist() for k, x in by.items()} for arm, by in kept.items()}
    told = list(differences(found, kept_lists, f"{study.name}.csv"))
    table = load_table(kept_file(folder, study, ".json"))
    told += differences(json.loads(table_text(study, values)), table, f"{study.name}.json")
    text = page.read_text(encoding="utf-8")
    if fill_page(text, study.name, page_part(study, table)) != text:
        told.append(f"{page.name}: the part {study.name} is not what the table says")
    return told


def main(argv: Sequence[str] | None = None) -> int:
    """Run from a terminal.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if left out.

    Returns
    -------
    int
        0 if all is as kept, or was written; 1 if anything differs; 2 if it could not be run.
    """
    args = _parser().parse_args(argv)
    told: list[str] = []
    try:
        for study in (STUDIES[name] for name in args.only):
            told += _one(study, args)
    except StressbookError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for line in told[:_SHOWN]:
        sys.stdout.write(f"{line}\n")
    if told:
        sys.stdout.write(f"{len(told)} differences from {args.reference}\n")
    return 1 if told else 0


def _one(study: ReferenceStudy, args: argparse.Namespace) -> list[str]:
    start_s = time.monotonic()
    if args.tables:
        text = kept_file(args.reference, study, ".csv").read_text(encoding="utf-8")
        write(study, read_values(text), args.reference, args.page)
        return []
    if not args.write:
        kept_file(args.reference, study, ".csv")  # before the runs, not after
    n = args.seeds or _kept_seeds(study, args.reference)
    last = [-1]

    def told(share: float) -> None:
        if int(10 * share) > last[0]:
            last[0] = int(10 * share)
            sys.stderr.write(f"{study.name}: {share:.0%} of {n * len(study.arms)} episodes\n")

    values = run_arms(
        study, study.arms, n, workers=args.workers, folder=args.folder / study.name, progress=told
    )
    sys.stderr.write(f"{study.name}: {time.monotonic() - start_s:.0f} s\n")
    if args.write:
        write(study, values, args.reference, args.page)
        return []
    return compare(study, values, args.reference, args.page)


def _kept_seeds(study: ReferenceStudy, folder: Path) -> int:
    """Return how many episodes each arm has in what is kept; as many as are wanted if none is."""
    path = folder / f"{study.name}.csv"
    if not path.exists():
        return SEEDS
    first = next(iter(read_values(path.read_text(encoding="utf-8")).values()))
    return len(next(iter(first.values())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stressbook.experiments.studies.reference")
    add = parser.add_argument
    add("--only", nargs="+", choices=STUDIES, default=list(STUDIES), help="which studies")
    add("--seeds", type=int, default=0, help="episodes of each arm; as many as are kept if 0")
    add("--workers", type=int, default=2, help="processes")
    add("--folder", type=Path, default=Path("results/runs/reference-studies"), help="of runs")
    add("--reference", type=Path, default=Path("results/reference"), help="what is kept")
    add("--page", type=Path, default=Path("docs/reference-studies.md"), help="what is said")
    add("--tables", action="store_true", help="make tables and page from kept values, run nothing")
    add("--write", action="store_true", help="keep what was found instead of comparing")
    return parser
