"""Memory of a worker: the peak of one default run, and whether 1,000 runs in a process leave more.

Each figure is of a process of its own that does nothing else, so nothing measured before counts in
it. The peak is that of the whole process, interpreter and compiled code included, over a default
run of 6 hours; kernels come from the cache. The 1,000 runs are 20 seconds of scenario `skeleton`
each, every one with its own seed, one after the other as in a worker of a sweep. The reference is
a process that has imported Mesa and Numba and done nothing.
"""

import argparse
import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.goals import Times, judged

RUNS: Final = 1_000
LOOKS: Final = (1, 100, RUNS)
PEAKS: Final = 3
GOAL_MB: Final = 350.0
GOAL_GROWTH_MB: Final = 5.0
_MIB: Final = 1024.0 * 1024.0


def resident_mb() -> float:
    """Return what this process holds in memory, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / _MIB


def peak_mb() -> float:
    """Return the most that this process ever held, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return float(peak.split()[1]) / 1024.0


def imports_only() -> None:
    """Print the peak of a process that imports what every run imports."""
    import mesa  # noqa: F401, PLC0415 - the import is what is measured
    import numba  # noqa: F401, PLC0415

    print(peak_mb())


def one_default_run() -> None:
    """Print the peak of a process over one default run."""
    from stressbook.experiments.run import run_scenario  # noqa: PLC0415 - not in the other process
    from stressbook.experiments.scenario import load_scenario  # noqa: PLC0415

    run_scenario(load_scenario("hyperliquid").with_(duration="6h"), seed=1)
    print(peak_mb())


def many_runs() -> None:
    """Print what is held after the first, the hundredth and the last of many runs."""
    from stressbook.experiments.run import run_scenario  # noqa: PLC0415 - not in the other process
    from stressbook.experiments.scenario import load_scenario  # noqa: PLC0415

    scenario = load_scenario("skeleton").with_(warmup=0.0, duration=20.0, stresses=[])
    for n in range(1, RUNS + 1):
        run_scenario(scenario, seed=n)
        if n in LOOKS:
            gc.collect()
            print(resident_mb(), flush=True)


PARTS: Final[dict[str, Callable[[], None]]] = {
    part.__name__: part for part in (imports_only, one_default_run, many_runs)
}


def measured_apart(part: Callable[[], None]) -> list[float]:
    """Return what a part prints in a process of its own, MiB."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", part.__name__]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [float(line) for line in found.stdout.split()]


def main() -> int:
    """Measure and print, or do one part if its name is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="do this alone, in this process")
    given = parser.parse_args()
    if given.part:
        PARTS[given.part]()
        return 0
    measured_apart(one_default_run)  # compiles, if need be
    peaks = Times.of(measured_apart(one_default_run)[0] for _ in range(PEAKS))
    (reference,) = measured_apart(imports_only)
    held = measured_apart(many_runs)
    at = ", ".join(f"{n:,}: {mb:.1f}" for n, mb in zip(LOOKS, held, strict=True))
    print(f"MiB held after short runs in one process, by number of runs: {at}")
    ratio = f"{peaks.median / reference:.1f} times an idle process with the same imports"
    promise = f"peak memory of a default run, at most {GOAL_MB:.0f} MiB"
    print(judged(promise, peaks, unit="MiB", ratio=ratio, at_most=GOAL_MB))
    growth = Times.of([held[2] - held[1]])
    ratio = f"{held[2] / reference:.1f} times an idle process with the same imports"
    promise = f"growth from run 100 to run {RUNS:,}, at most {GOAL_GROWTH_MB:.0f} MiB"
    print(judged(promise, growth, unit="MiB", ratio=ratio, at_most=GOAL_GROWTH_MB))
    return 0


if __name__ == "__main__":
    sys.exit(main())
