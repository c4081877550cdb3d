"""Cells that take milliseconds in place of runs, and a sweep of them as a process to be killed."""

import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.sweeps.cell import Job, Replicate, keys_of
from stressbook.experiments.sweeps.index import Index
from stressbook.experiments.sweeps.runner import run_cells

ROOT = Path(__file__).parents[1]
POISON = 666  # a seed that kills whoever runs it


def tiny(jobs, progress=None):
    """Return outcomes that depend on the seed alone; note each run where the label says."""
    found = []
    for job in jobs:
        if job.seed == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.001 * (job.seed % 5))
        if job.label:
            Path(job.label, f"{job.seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
        if job.seed % 10 == 3:
            found.append(Replicate(job.seed, "", {}, "OverflowFault: too large"))
            continue
        digest = sha256(f"{job.seed}".encode()).hexdigest()
        found.append(Replicate(job.seed, digest, {"x": job.seed / 7.0}))
    return found


def drawn(jobs, progress=None):
    """Return outcomes of known laws, drawn by the seed and scaled by the fall; no order of ends.

    Liquidated: uniform from 0 to 100 falls USD. Fees: ten falls and a small draw, which one more
    order moves by up to 3. Moves of HYPE's mark: the draw, turned at 30 min by a fall of .3.
    """
    found = []
    for job in jobs:
        fall = job.scenario.stresses[0].fall_frac
        key = f"{job.seed}".encode()
        u, v = (int.from_bytes(sha256(key + more).digest()[:4]) / 2**32 for more in (b"u", b"v"))
        time.sleep(0.002 * v)
        fees = 10.0 * fall + 0.01 * v + (6.0 * v - 3.0 if job.is_placebo else 0.0)
        sign = -1.0 if fall == 0.3 else 1.0
        digest = sha256(f"{job.seed} {fall} {job.is_placebo}".encode()).hexdigest()
        outcomes = {"liquidated_usd": 100.0 * fall * u, "fees_usd": fees}
        moves = {"mark_move_HYPE_5min": u, "mark_move_HYPE_30min": sign * u}
        found.append(Replicate(job.seed, digest, outcomes, moves=moves))
    return found


def tiny_jobs(n, label="", first=0):
    scenario = load_scenario("skeleton").with_(stresses=[])
    return [Job(scenario, first + k, label=label) for k in range(n)]


def tiny_sweep(folder, jobs, **how):
    """Run cells with an index, and return what came of them."""
    with Index(folder) as index:
        keys = keys_of(jobs)
        run_cells(jobs, keys, index, function=tiny, **how)
        return index.runs(keys)


def sweep_process(folder, n, noted):
    """Start a sweep of n cells with two workers as a process of its own group."""
    call = [sys.executable, "-m", "tests.tiny_cells", str(folder), str(n), str(noted)]
    return subprocess.Popen(
        call,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that are started in the background inherit an interrupt that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )


def children(pid):
    """Return the workers of a process."""
    listed = subprocess.run(
        ["pgrep", "-P", str(pid), "-f", "spawn_main"], capture_output=True, text=True, check=False
    ).stdout
    return [int(each) for each in listed.split()]


if __name__ == "__main__":
    folder, n, noted = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tiny_sweep(folder, tiny_jobs(n, label=noted), workers=2)
