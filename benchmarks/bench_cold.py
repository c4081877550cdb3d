"""What a newcomer waits for: help of the command line, and compiling from an empty cache.

Wall and CPU time of whole processes, children of this one. Help and import: median of 9. Compiling:
the first step of the default scenario with an empty kernel cache, less the same with the cache that
this filled; once, since it takes long. The reference of help is an interpreter that starts and
stops; that of compiling is a fixed loop in plain Python.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.goals import N_LOOPED, Times, cpu_seconds, judged, plain_loop

RUNS: Final = 9
GOAL_HELP_S: Final = 0.4
GOAL_COMPILE_S: Final = 15.0
COMMAND: Final = Path(sys.executable).with_name("stressbook")
FIRST_STEP: Final = """
from stressbook.experiments.run import run_scenario
from stressbook.experiments.scenario import load_scenario
run_scenario(load_scenario("hyperliquid").with_(warmup=0.0, duration=1.0), seed=0)
"""


class Seconds(NamedTuple):
    """What one process took."""

    wall: float
    cpu: float


def seconds_of(command: Sequence[str | Path], changes: Mapping[str, str] | None = None) -> Seconds:
    """Return the time of one process from start to end."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNUSUAL}
    begin, cpu_before = time.perf_counter(), _children_cpu()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**environment, **(changes or {})}
    )
    return Seconds(time.perf_counter() - begin, _children_cpu() - cpu_before)


_UNUSUAL: Final = ("PYTHONDONTWRITEBYTECODE",)  # it would parse all sources at each start


def _children_cpu() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def start_of(command: Sequence[str | Path]) -> tuple[Times, Times]:
    """Return wall and CPU time of a command that is run again and again."""
    seconds_of(command)  # reads files, and writes byte code
    found = [seconds_of(command) for _ in range(RUNS)]
    return Times.of(one.wall for one in found), Times.of(one.cpu for one in found)


def compile_seconds() -> Seconds:
    """Return what the first step costs more with an empty kernel cache than with a filled one."""
    command = [sys.executable, "-c", FIRST_STEP]
    with tempfile.TemporaryDirectory() as cache:
        place = {"STRESSBOOK_CACHE_DIR": cache}
        first, second = seconds_of(command, place), seconds_of(command, place)
    print(
        f"first step with an empty cache {first.wall:.1f} s wall, {first.cpu:.1f} s CPU; "
        f"with that cache {second.wall:.2f} s wall, {second.cpu:.2f} s CPU"
    )
    return Seconds(first.wall - second.wall, first.cpu - second.cpu)


def main() -> int:
    """Measure and print; return 1 if the cache that the first start filled does not serve."""
    bare, _ = start_of([sys.executable, "-c", "pass"])
    starts = {
        "stressbook --help": start_of([COMMAND, "--help"]),
        "import stressbook": start_of([sys.executable, "-c", "import stressbook"]),
    }
    for what, (wall, cpu) in starts.items():
        print(f"{what}: {wall.median:.3f} s wall, {cpu.median:.3f} s CPU")
    for what, (wall, _) in starts.items():
        ratio = f"{wall.median / bare.median:.0f} times a bare interpreter"
        promise = f"{what}, at most {GOAL_HELP_S} s wall"
        print(judged(promise, wall, unit="s", ratio=ratio, at_most=GOAL_HELP_S))
    loop_s = Times.of(cpu_seconds(plain_loop) for _ in range(RUNS)).median
    took = compile_seconds()
    if took.cpu < 1.0:
        print("the kernel cache was not used: did sources change meanwhile?")
        return 1
    ratio = f"{took.cpu / loop_s:.0f} times {N_LOOPED:,} additions in plain Python"
    promise = f"compiling from an empty cache, at most {GOAL_COMPILE_S:.0f} s CPU"
    print(judged(promise, Times.of([took.cpu]), unit="s", ratio=ratio, at_most=GOAL_COMPILE_S))
    return 0


if __name__ == "__main__":
    sys.exit(main())
