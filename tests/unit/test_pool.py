"""Jobs come back in order whatever runs them; one failure is one failure; Ctrl-C ends them all."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from stressbook.errors import InvalidInput, LadderExhausted, StressbookError
from stressbook.experiments.interrupts import interrupts_held
from stressbook.experiments.plugins import load_plugin, plugin_sources
from stressbook.experiments.pool import Failure, map_jobs, require_whole
from stressbook.experiments.scenario import load_scenario
from tests.own_names import own_names_forgotten


def root(job, progress=None):
    """Return a square root, of which stressbook knows the positive ones."""
    if progress is not None:
        progress(0.5)
    if job < 0:
        raise LadderExhausted(f"{job} is left of the ladder")
    return job**0.5


def broken(job, progress=None):
    raise TypeError(job)


def test_somebody_elses_executor_keeps_the_order():
    with ThreadPoolExecutor(2) as executor:
        assert map_jobs(root, [9, 4, 1], executor=executor) == [3.0, 2.0, 1.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_jobs_whichever_of_them_fails(workers):
    came = {}
    found = map_jobs(root, [9, -1, 4], workers=workers, finished=came.__setitem__)
    failure = Failure("LadderExhausted: -1 is left of the ladder.")
    assert found == [3.0, failure, 2.0]
    assert came == dict(enumerate(found))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_of_ours_is_raised(workers):
    with pytest.raises(TypeError):
        map_jobs(broken, [1, 2], workers=workers)


def test_what_needs_all_results_says_which_are_missing():
    assert require_whole([1.0, 2.0], ["seed 1", "seed 2"]) == [1.0, 2.0]
    failed = [Failure(f"LadderExhausted: {k}") for k in range(7)]
    with pytest.raises(StressbookError, match="7 of 8 runs failed\nseed 1: Ladder") as error:
        require_whole([1.0, *failed], [f"seed {k}" for k in range(8)])
    assert "seed 5" in str(error.value)
    assert "seed 6" not in str(error.value)


def test_progress_is_the_share_that_is_done():
    told = []
    map_jobs(root, [1, 4], workers=1, progress=told.append, n_before=2)
    assert told == [0.5, 0.625, 0.75, 0.875, 1.0]


def test_no_workers_is_refused_with_the_number():
    with pytest.raises(InvalidInput, match=r"workers.*0"):
        map_jobs(root, [1], workers=0)


OWN = """
import stressbook as sb


class Cut(sb.Stress):
    def apply(self, dials, severity):
        return dials
"""


def kinds(scenario, progress=None):
    return [stress.kind for stress in scenario.stresses]


def test_own_classes_are_imported_where_jobs_run(tmp_path):
    (tmp_path / "own_cut.py").write_text(OWN)
    with own_names_forgotten():
        own = load_plugin(tmp_path / "own_cut.py").Cut(at="10min")
        scenario = load_scenario("skeleton").stressed(own)
        sources = plugin_sources(scenario)
        found = map_jobs(kinds, [scenario, scenario], workers=2, sources=sources)
    assert [each[-1] for each in found] == ["cut", "cut"]


UNGUARDED = """
from stressbook.experiments.pool import map_jobs

def root(job, progress=None):
    return job**0.5

print(map_jobs(root, [4, 9], workers=2))
"""


@pytest.mark.parametrize("is_file", [True, False])
def test_a_script_without_a_guard_is_told_of_it(tmp_path, is_file):
    (tmp_path / "unguarded.py").write_text(UNGUARDED)
    found = subprocess.run(
        [sys.executable, "unguarded.py" if is_file else "-"],
        cwd=tmp_path,
        input=UNGUARDED,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")
    last, hint = found.stderr.splitlines()[-2:]
    assert last.endswith("StressbookError: workers died before any run had ended.")
    assert 'below `if __name__ == "__main__":`' in hint
    if is_file:  # what multiprocessing says of standard input is not ours
        assert found.stderr.count("Traceback") == 1


SLEEPERS = """
import sys, time
from pathlib import Path
from stressbook.experiments.pool import map_jobs

def sleep(job, progress=None):
    Path(f"started-{job}").touch()
    time.sleep(0.0 if job == 0 else 600.0)

if __name__ == "__main__":
    try:
        map_jobs(sleep, range(6), workers=2, finished=lambda *_: print("one is done", flush=True))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture
def sleepers(tmp_path):
    """Two workers that sleep, and the script that waits for them; all ended afterwards."""
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    process = subprocess.Popen(
        [sys.executable, "sleepers.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that are started in the background inherit an interrupt that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )
    assert process.stdout is not None
    process.stdout.readline()  # both workers are at it
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(sleepers):
    sleepers.kill()
    sleepers.wait()
    # They hold the other end of the pipe, which closes with the last of them.
    assert sleepers.communicate(timeout=30)[0] == ""


@pytest.mark.slow
def test_ctrl_c_ends_jobs_in_the_middle(sleepers, tmp_path):
    sleepers.send_signal(signal.SIGINT)
    _, err = sleepers.communicate(timeout=60)
    assert (sleepers.returncode, err) == (130, "")
    assert len(list(tmp_path.glob("started-*"))) < 6


@pytest.fixture
def heard():
    """Tests that are started in the background inherit an interrupt that is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_an_interrupt_that_comes_while_processes_start_is_held_and_not_lost():
    child = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"]
    told = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012 - the end raises it
        os.kill(os.getpid(), signal.SIGINT)
        told.append(subprocess.run(child, check=False).returncode)
    assert told == [0]  # a process that was started meanwhile never sees one
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with interrupts_held():
        told.append(1)
    assert told == [0, 1]
