"""A sweep survives the end of its workers and its own; nothing is lost, nothing run in vain."""

import os
import pickle
import random
import resource
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.index import INDEX, Index, reading
from stressbook.experiments.sweeps.ownership import owned, owner_of
from stressbook.experiments.sweeps.status import read_status
from tests.tiny_cells import (
    POISON,
    children,
    sweep_process,
    tiny_jobs,
    tiny_sweep,
)


def rows(folder, columns="seed, state, digest, error, tries"):
    with reading(folder) as db:
        return db.execute(f"SELECT {columns} FROM cells ORDER BY id").fetchall()


# --- kills ---------------------------------------------------------------------------------------


def kill_some(process, moments, noted):
    """Kill a sweep or one of its workers at random moments of its work; tell how often."""
    n_before = len(list(noted.iterdir()))
    target = n_before + moments.randint(1, 12)
    while process.poll() is None and len(list(noted.iterdir())) < target:
        time.sleep(0.0005)
    victims = [process.pid, *children(process.pid)]
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(moments.choice(victims), signal.SIGKILL)
        return 1
    return 0


def sweep_with_kills(tmp_path, n_kills, seed, n=400):
    """Run a sweep again and again until n_kills have happened, then to its end."""
    noted = tmp_path / "noted"
    noted.mkdir()
    folder = tmp_path / "runs"
    moments = random.Random(seed)
    killed = 0
    while True:
        process = sweep_process(folder, n, noted)
        try:
            while killed < n_kills and process.poll() is None:
                killed += kill_some(process, moments, noted)
                if killed < n_kills:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(0.05)  # a parent that was killed
            _, err = process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode == 0:
            return folder, noted, killed
        assert process.returncode == -signal.SIGKILL, err


def check_killed_sweep(tmp_path, n_kills, seed, n=400):
    folder, noted, killed = sweep_with_kills(tmp_path, n_kills, seed, n)
    assert killed == n_kills
    whole = tiny_sweep(None, tiny_jobs(n))
    found = rows(folder)
    assert [(s, digest, error) for s, _, digest, error, _ in found] == [
        (run.seed, run.digest, run.error) for run in whole
    ]
    assert {state for _, state, *_ in found} == {"done", "failed"}
    # Whoever was killed took at most two cells with it; failed ones are tried by every call.
    runs = Counter(int(path.name.split("-")[0]) for path in noted.iterdir())
    assert sum(n - 1 for seed, n in runs.items() if seed % 10 != 3) <= 2 * n_kills
    assert set(runs) == set(range(n))


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_and_a_poisoned_cell_costs_itself_alone(tmp_path):
    noted, folder, n = tmp_path / "noted", tmp_path / "runs", 160
    noted.mkdir()
    jobs = [*tiny_jobs(40, label=str(noted)), *tiny_jobs(1, first=POISON)]
    jobs += tiny_jobs(n - 40, label=str(noted), first=40)
    process = sweep_process(folder, n, noted)
    while len(list(noted.iterdir())) < 5:
        time.sleep(0.001)
    # It can be looked at while it runs, and nobody else may run it.
    status = read_status(folder)
    assert status.owner.startswith(f"{process.pid} on ")
    assert status.counts["running"] == 2
    with pytest.raises(InvalidInput, match=rf"is being run by process {process.pid} on "):
        tiny_sweep(folder, jobs)
    process.kill()
    process.communicate()
    assert owner_of(folder) is None
    status = read_status(folder)
    assert status.counts["running"] == 0
    assert 3 <= status.counts["done"] < n - 40
    found = tiny_sweep(folder, jobs, workers=2)
    assert found[40] == Replicate(POISON, "", {}, "killed its worker")
    assert [*found[:40], *found[41:]] == tiny_sweep(None, tiny_jobs(n))
    tries = {seed: tried for seed, *_, tried in rows(folder)}
    assert tries[POISON] == 3
    again = [
        seed for seed, tried in tries.items() if tried > 1 and seed % 10 != 3 and seed != POISON
    ]
    assert len(again) <= 2  # what the killed sweep was at


@pytest.mark.verify
def test_twenty_kills_of_sweep_and_workers_leave_the_whole_result(tmp_path):
    check_killed_sweep(tmp_path, 20, seed=2)


def test_a_failed_cell_is_tried_again_by_a_new_call_only(tmp_path):
    for n in (1, 2):
        run = tiny_sweep(tmp_path, tiny_jobs(1, first=3))[0]
        assert run.error == "OverflowFault: too large"
        assert rows(tmp_path) == [(3, "failed", "", "OverflowFault: too large", n)]


# --- executors -----------------------------------------------------------------------------------


class Greedy(Executor):
    """Runs nothing before it is asked, and knows the most that it was handed at once."""

    num_workers = 3

    def __init__(self):
        self.waiting, self.most, self.is_broken = [], 0, False

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        if self.is_broken:
            raise RuntimeError("cannot schedule new futures")
        self.waiting.append((future, function, args))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == 2 * self.num_workers or kwargs.get("last"):
            self.run()
        return future

    def run(self):
        while self.waiting:
            future, function, args = self.waiting.pop(0)
            future.set_result(function(*args))


def test_jobs_are_handed_to_an_executor_a_few_at_a_time():
    executor = Greedy()
    found = tiny_sweep(None, tiny_jobs(60), executor=executor)
    assert [run.seed for run in found] == list(range(60))
    assert executor.most == 6


def test_any_executor_gives_the_same():
    alone = tiny_sweep(None, tiny_jobs(12))
    with ThreadPoolExecutor(3) as threads:
        assert tiny_sweep(None, tiny_jobs(12), executor=threads) == alone


@pytest.mark.slow
def test_an_executor_that_breaks_is_told_and_what_ended_is_kept(tmp_path):
    jobs = [*tiny_jobs(3), *tiny_jobs(1, first=POISON), *tiny_jobs(3, first=20)]
    with (
        ProcessPoolExecutor(1) as executor,
        pytest.raises(StressbookError, match=r"executor has broken.*\n.*go on with a new"),
    ):
        tiny_sweep(tmp_path, jobs, executor=executor)
    states = {seed: state for seed, state, *_ in rows(tmp_path)}
    assert states == dict.fromkeys([0, 1, 2], "done") | dict.fromkeys(
        [POISON, 20, 21, 22], "waiting"
    )


def test_a_cell_that_kills_workers_of_dask_has_failed_alone():
    class KilledWorker(Exception):
        pass

    class Cluster(Greedy):
        def run(self):
            while self.waiting:
                future, function, args = self.waiting.pop(0)
                asked.append(args)
                if pickle.loads(args[1])[1][0].seed == 3:
                    future.set_exception(KilledWorker("three times"))
                else:
                    future.set_result(function(*args))

        def submit(self, function, /, *args, **kwargs):
            return super().submit(function, *args, last=True)

    asked = []
    found = tiny_sweep(None, tiny_jobs(5), executor=Cluster())
    assert [run.error for run in found] == ["", "", "", "killed its worker", ""]
    assert len(asked) == 6  # once more alone


# --- one owner -----------------------------------------------------------------------------------


def test_a_folder_that_is_run_is_refused_with_the_process(tmp_path):
    assert owner_of(tmp_path) is None
    with Index(tmp_path):
        assert owner_of(tmp_path).startswith(f"{os.getpid()} on ")
        with pytest.raises(InvalidInput, match=rf"is being run by process {os.getpid()} on "):
            Index(tmp_path)
    assert owner_of(tmp_path) is None
    with owned(tmp_path):
        pass


# --- disks ---------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """Let no file of this process grow beyond 300 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_sweep_goes_on_later(tmp_path, small_disk):
    with pytest.raises(StressbookError, match=r"index = .* cannot be written: .*\n.*make room"):
        tiny_sweep(tmp_path, tiny_jobs(200))
    small_disk()
    states = Counter(state for _, state, *_ in rows(tmp_path))
    assert 0 < states["done"] < 180
    assert owner_of(tmp_path) is None
    assert len(tiny_sweep(tmp_path, tiny_jobs(200))) == 200
    assert Counter(state for _, state, *_ in rows(tmp_path)) == {"done": 180, "failed": 20}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"folder = .*file' cannot be written: File exists"):
        Index(tmp_path / "file")
    (tmp_path / "taken" / "index.lock").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="cannot be written: unable to open"):
        Index(tmp_path / "taken")


def test_a_folder_that_goes_in_the_middle_is_told_and_not_made_again(tmp_path):
    folder = tmp_path / "runs"

    def move(share):
        if share == 0.5:
            folder.rename(tmp_path / "moved")

    with pytest.raises(StressbookError, match="was deleted or moved while it was written"):
        tiny_sweep(folder, tiny_jobs(10), progress=move)
    assert not folder.exists()
    assert Counter(state for _, state, *_ in rows(tmp_path / "moved")).keys() >= {"done", "waiting"}
    (tmp_path / "moved").rename(folder)
    assert len(tiny_sweep(folder, tiny_jobs(10))) == 10


def left_alone(folder, problem):
    """Opening and reading are refused alike, and the file is as it was."""
    before = (folder / INDEX).read_bytes()
    with pytest.raises(InvalidInput, match=problem):
        Index(folder)
    with pytest.raises(InvalidInput, match=problem):
        read_status(folder)
    assert (folder / INDEX).read_bytes() == before


def test_an_index_of_another_version_is_left_alone(tmp_path):
    Index(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / INDEX)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA user_version = 99")
    left_alone(tmp_path, "was written by another version")


def test_files_that_are_no_index_are_left_alone(tmp_path):
    (tmp_path / INDEX).write_bytes(b"no database, whatever its name says\n" * 40)
    left_alone(tmp_path, "is no index of runs")
    (tmp_path / INDEX).unlink()
    with closing(sqlite3.connect(tmp_path / INDEX)) as db:
        db.execute("CREATE TABLE cells (id INTEGER)")
        db.execute("PRAGMA user_version = 1")
    left_alone(tmp_path, "is no index of runs")


# --- status --------------------------------------------------------------------------------------


def test_status_tells_states_labels_and_reasons(tmp_path):
    for nothing in (tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(InvalidInput, match="holds no index of runs"):
            read_status(nothing)
    tiny_sweep(tmp_path / "runs", tiny_jobs(14))
    status = read_status(tmp_path)
    assert status.counts == {"done": 12, "failed": 2, "running": 0, "waiting": 0}
    assert status.by_label == {"": status.counts}
    assert status.failures == (
        ("", 3, "OverflowFault: too large"),
        ("", 13, "OverflowFault: too large"),
    )
    assert (status.owner, status.left_s, status.n_cells) == (None, None, 14)
    assert status.rate_per_s > 0.0
    took_s = [s for s, state in rows(tmp_path / "runs", "seconds, state") if state == "done"]
    assert status.cell_s == pytest.approx(sum(took_s) / 12)
    with closing(sqlite3.connect(tmp_path / "runs" / INDEX)) as db, db:
        db.execute("UPDATE cells SET state = 'lost' WHERE seed = 3")
    with pytest.raises(InvalidInput, match=r"holds cells that are 'lost'"):
        read_status(tmp_path)
