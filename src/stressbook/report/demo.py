"""The demo: the study of two margin regimes, run and reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stressbook.experiments.progress import Progress
from stressbook.experiments.regime_plan import demo_plan
from stressbook.experiments.regimes import run_regimes
from stressbook.experiments.store import STUDY, claim_folder, write_whole
from stressbook.report.manifest import study_manifest, study_numbers, study_timelines
from stressbook.report.study_page import write_study_report
from stressbook.report.verdict import verdict_of

__all__ = ["DEMO_SEEDS", "run_demo"]

DEMO_SEEDS = tuple(range(1, 9))


def run_demo(
    out: str | Path,
    *,
    seeds: Sequence[int] = DEMO_SEEDS,
    workers: int = 1,
    full: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Run the demo and write its report.

    Parameters
    ----------
    out : str or Path
        Folder of `report.html` and `study.json`, which holds every number of every run; made if it
        is missing. Finished runs are kept below it, and read again by the same call.
    seeds : sequence of int
        Eight or more, if anything is to be claimed.
    workers : int, default 1
        Processes; the bytes are the same for any. Kernels should be compiled before.
    full : bool, default False
        The long form; see `stressbook.experiments.regimes.demo_plan`.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    Path
        The report.
    """
    folder = Path(out)
    claim_folder(folder, "demo")
    plan = demo_plan(seeds=seeds, full=full)
    study = run_regimes(plan, workers=workers, folder=folder / "runs", progress=progress)
    verdict = verdict_of(study)
    content = study_manifest(study) | {
        "verdict": {"tag": verdict.tag, "sentences": verdict.sentences},
        "runs": study_numbers(study),
        "median_seed": study.median_seed,
        "timelines": study_timelines(study),
    }
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    page = write_study_report(study, folder / "report.html")
    write_whole(folder / STUDY, f"{text}\n".encode())
    return page
