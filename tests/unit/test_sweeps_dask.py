"""A sweep on the workers of a Dask scheduler: the same numbers, whoever of them is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.sweeps import cluster
from stressbook.experiments.sweeps.cluster import dask_executor
from tests.tiny_cells import ROOT, tiny_jobs, tiny_sweep

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:ResourceWarning")]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler and two workers on loopback: its address, and the processes of the workers."""
    folder = tmp_path_factory.mktemp("dask")
    about = folder / "scheduler.json"
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "TMPDIR": str(folder),
    }
    start = "from distributed.cli import {0}; {0}.main()"
    at = ["--scheduler-file", str(about), "--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as held:

        def begin(name, *options):
            call = [sys.executable, "-c", start.format(name), *at, *options]
            log = held.enter_context((folder / f"{name}.log").open("a"))
            process = subprocess.Popen(call, cwd=folder, env=env, stdout=log, stderr=log)
            held.callback(process.wait)
            held.callback(process.kill)
            return process

        begin("dask_scheduler", "--port", "0")
        workers = [begin("dask_worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]
        deadline = time.monotonic() + 60.0
        while not about.exists() or not about.read_text():
            assert time.monotonic() < deadline, (folder / "dask_scheduler.log").read_text()
            time.sleep(0.05)
        address = json.loads(about.read_text())["address"]
        _wait_for_workers(address, 2)
        yield address, workers


def _wait_for_workers(address, n):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(n, timeout=60)


def test_a_worker_that_is_killed_costs_nothing_but_time(dask, tmp_path):
    address, workers = dask
    noted = tmp_path / "noted"
    noted.mkdir()
    jobs = tiny_jobs(60, label=str(noted))
    killed = []

    def kill(share):
        if share > 0.3 and not killed:
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    with dask_executor(address) as executor:
        found = tiny_sweep(tmp_path / "runs", jobs, executor=executor, progress=kill)
    assert killed
    assert found == tiny_sweep(None, tiny_jobs(60))
    seeds = [int(path.name.split("-")[0]) for path in noted.iterdir()]
    assert set(seeds) == set(range(60))
    assert len(seeds) <= 62  # what it had done and not yet told, and what it was at


def test_workers_of_other_sources_are_refused(dask, monkeypatch):
    address, _ = dask
    monkeypatch.setattr(cluster, "sources_digest", lambda: "edited")
    with (
        pytest.raises(InvalidInput, match="lack these sources of stressbook"),
        dask_executor(address),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.2)
    with (
        pytest.raises(InvalidInput, match=r"scheduler = 'tcp://127.0.0.1:9' does not answer"),
        dask_executor("tcp://127.0.0.1:9"),
    ):
        pass
