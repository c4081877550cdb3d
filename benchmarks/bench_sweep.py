"""Sweeps: what the runner costs beside the cells, what a second worker brings, and its memory.

The cells are no runs: a trivial function, so that what is measured is the queue, the index and the
processes; and a loop of two seconds, for the gain of the second worker. Efficiency counts from the
first cell's begin to the last one's end, the start of the processes left out. The reference is the
same cells in one process.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from benchmarks.bench_memory import resident_mb
from benchmarks.goals import Times, judged
from stressbook.experiments.progress import Progress
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.sweeps.cell import Job, Replicate, keys_of
from stressbook.experiments.sweeps.index import Index, reading
from stressbook.experiments.sweeps.runner import CellsFunction, run_cells

CELLS: Final = 10_000
POINTS: Final = 100
GOAL_S: Final = 60.0
GOAL_GAIN: Final = 1.9
GOAL_OVERHEAD_FRAC: Final = 0.01
GOAL_GROWTH_MB: Final = 40.0
LONG_S: Final = 2.0
LONG_CELLS: Final = 10


def tiny(jobs: Sequence[Job], _progress: Progress | None = None, /) -> list[Replicate]:
    """Return ten outcomes at once."""
    return [_replicate(job) for job in jobs]


def long(jobs: Sequence[Job], _progress: Progress | None = None, /) -> list[Replicate]:
    """Work for two seconds of processor time a cell."""
    for _ in jobs:
        end_s = time.process_time() + LONG_S
        while time.process_time() < end_s:
            pass
    return tiny(jobs)


def _replicate(job: Job) -> Replicate:
    digest = sha256(str(job.seed).encode()).hexdigest()
    return Replicate(job.seed, digest, {f"outcome_{k}": job.seed / (k + 1.0) for k in range(10)})


def points() -> list[Scenario]:
    """Return scenarios that differ in a structural lever, so that each is resolved and hashed."""
    base = load_scenario("skeleton")
    return [
        base.with_(world={"HYPE": {"daily_volatility": 0.05 + 0.001 * k}}) for k in range(POINTS)
    ]


def swept(jobs: Sequence[Job], function: CellsFunction, workers: int, folder: Path) -> float:
    """Return how long a sweep takes that starts with nothing, keys and index included, s."""
    start_s = time.perf_counter()
    with Index(folder) as index:
        run_cells(jobs, keys_of(jobs), index, workers=workers, function=function)
    return time.perf_counter() - start_s


def cells_span_s(folder: Path) -> float:
    """Return the time from the first cell's begin to the last one's end, s."""
    with reading(folder) as db:
        (span,) = db.execute(
            "SELECT max(ended_at) * 86400.0 - min(ended_at * 86400.0 - seconds) FROM cells"
        ).fetchone()
    return float(span)


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        start_s = time.perf_counter()
        scenarios = points()
        jobs = [Job(one, seed) for seed in range(CELLS // POINTS) for one in scenarios]
        resolve_s = time.perf_counter() - start_s
        alone_s = swept(jobs, tiny, 1, folder / "alone")
        before_mb = resident_mb()
        both_s = swept(jobs, tiny, 2, folder / "tiny")
        growth = Times.of([resident_mb() - before_mb])
        few = [Job(scenarios[0], seed) for seed in range(LONG_CELLS)]
        swept(few, long, 2, folder / "long")
        gain = Times.of([LONG_S * LONG_CELLS / cells_span_s(folder / "long")])
    total = Times.of([resolve_s + both_s])
    ratio = f"{both_s / alone_s:.1f} times one process"
    print(
        judged(
            f"{CELLS:,} tiny cells resolved, queued and indexed by two workers, at most "
            f"{GOAL_S:.0f} s",
            total,
            unit="s",
            ratio=ratio,
            at_most=GOAL_S,
        )
    )
    overhead = Times.of([2.0 * both_s / CELLS / LONG_S])
    print(
        judged(
            f"what the runner adds to a cell of {LONG_S:.0f} s, at most 1 %",
            overhead.scaled(100.0),
            unit="%",
            ratio=ratio,
            at_most=100 * GOAL_OVERHEAD_FRAC,
        )
    )
    print(
        judged(
            f"growth of memory over {CELLS:,} cells, at most {GOAL_GROWTH_MB:.0f} MiB",
            growth,
            unit="MiB",
            ratio=ratio,
            at_most=GOAL_GROWTH_MB,
        )
    )
    if (os.cpu_count() or 1) > 1:
        ratio = f"{LONG_CELLS} cells of {LONG_S:.0f} s of processor time"
        print(
            judged(
                f"gain of a second worker, at least {GOAL_GAIN}",
                gain,
                unit="x",
                ratio=ratio,
                at_least=GOAL_GAIN,
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
