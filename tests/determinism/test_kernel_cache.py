"""Compiled kernels on disk: found again when nothing changed, never when anything did."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

import stressbook.market
from stressbook.market.compiling import kernel_cache

MARKET = Path(stressbook.market.__path__[0])
RUN = """
from stressbook.market.rules import charge
print(charge(100), sum(charge.stats.cache_hits.values()), charge.stats.cache_path is not None)
"""
# Numba is warm and nothing of the package is imported: a process costs a fork, not a second.
STARTER = """
import importlib, json, os, sys, tempfile, traceback
import numba
numba.njit(lambda lots: lots)(1)
outside = sys.path[1:]
for line in sys.stdin:
    asked = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for number in (1, 2):
        os.dup2(os.open(asked["told"][number - 1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    failed = 0
    try:
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        sys.path[:] = ["", *os.environ["PYTHONPATH"].split(os.pathsep), *outside]
        importlib.invalidate_caches()
        tempfile.tempdir = None
        numba.config.reload_config()
        exec(compile(asked["script"], "<string>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        failed = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(failed)
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Run a script in a process of its own; return its exit code and what it prints."""
    told = [str(tmp_path_factory.mktemp("told") / name) for name in ("out", "err")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    starter = subprocess.Popen(
        [sys.executable, "-B", "-W", "error", "-c", STARTER],
        env=environment | {"NUMBA_DISABLE_JIT": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def call(script, environment, folder):
        asked = {"script": script, "environment": environment, "folder": str(folder), "told": told}
        starter.stdin.write(json.dumps(asked) + "\n")
        starter.stdin.flush()
        code = int(starter.stdout.readline())
        return code, *(Path(path).read_text() for path in told)

    yield call
    starter.communicate(timeout=30)


class Checkout:
    """A copy of the package with two kernels in two files, run in processes of its own."""

    def __init__(self, folder, start):
        self.start = start
        self.root = folder / "src"
        self.cache = folder / "cache"
        for name in ("", "market", "market/compiling", "agents"):
            (self.root / "stressbook" / name).mkdir(parents=True)
            (self.root / "stressbook" / name / "__init__.py").touch()
        for name in ("__init__.py", "compiling/kernel.py", "compiling/kernel_cache.py"):
            shutil.copy(MARKET / name, self.root / "stressbook" / "market" / name)
        self.write("agents/taker.py", "")
        self.write("market/rates.py", "FEE = 2\n")
        self.write(
            "market/helper.py",
            "from stressbook.market.compiling.kernel import inline_kernel\n"
            "from stressbook.market.rates import FEE\n"
            "@inline_kernel\n"
            "def fee(lots): return FEE * lots\n",
        )
        self.write(
            "market/rules.py",
            "from stressbook.market.compiling.kernel import kernel\n"
            "from stressbook.market.helper import fee\n"
            "@kernel\n"
            "def charge(lots): return 1000 + fee(lots)\n",
        )

    def write(self, name, text):
        path = self.root / "stressbook" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name, old, new):
        path = self.root / "stressbook" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def run(self, script=RUN, **environment):
        paths = {"PYTHONPATH": str(self.root), "STRESSBOOK_CACHE_DIR": str(self.cache)}
        environment = os.environ | {"NUMBA_DISABLE_JIT": "0"} | paths | environment
        code, out, err = self.start(script, environment, self.root)
        assert (code, err) == (0, "")
        return out.strip()

    def keys(self):
        return {path.name for path in self.cache.iterdir()} if self.cache.exists() else set()


@pytest.fixture
def checkout(tmp_path, start):
    return Checkout(tmp_path, start)


def test_the_second_process_finds_what_the_first_compiled(checkout):
    assert checkout.run() == "1200 0 True"
    assert checkout.run() == "1200 1 True"
    assert len(checkout.keys()) == 1


def test_a_file_that_is_only_touched_changes_nothing(checkout):
    checkout.run()
    (checkout.root / "stressbook/market/helper.py").touch()
    assert checkout.run() == "1200 1 True"


def test_editing_a_helper_in_another_file_is_seen(checkout):
    checkout.run()
    checkout.edit("market/helper.py", "FEE * lots", "FEE * lots + 7")
    assert checkout.run() == "1207 0 True"
    checkout.edit("market/helper.py", "FEE * lots + 7", "FEE * lots")
    assert checkout.run() == "1200 1 True"


def test_editing_a_constant_in_another_file_is_seen(checkout):
    checkout.run()
    checkout.edit("market/rates.py", "FEE = 2", "FEE = 3")
    assert checkout.run() == "1300 0 True"


EDIT_EACH = """
import pathlib, stressbook
from stressbook.market.compiling import kernel_cache
root = pathlib.Path(stressbook.__file__).parent
folders = [kernel_cache.cache_folder()]
for name in ("market/rates.py", "agents/taker.py", "market/reference/new.py", "agents/new.py"):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("FEE = 2  # the same")
    kernel_cache._package_folders.cache_clear()
    kernel_cache._keyed_folder.cache_clear()
    folders.append(kernel_cache.cache_folder())
print(len(set(folders)))
"""


def test_every_source_is_in_the_key(checkout):
    assert checkout.run(EDIT_EACH) == "5"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("OPT", 1),
        ("BOUNDSCHECK", 1),
        ("CPU_NAME", "generic"),
        ("CPU_FEATURES", ""),
        ("LOOP_VECTORIZE", 0),
        ("SLP_VECTORIZE", 1),
        ("ENABLE_AVX", 0),
        ("DEBUGINFO_DEFAULT", 1),
    ],
)
def test_flags_that_change_code_are_in_the_key(monkeypatch, flag, value):
    describe = kernel_cache._environment.__wrapped__
    before = describe()
    monkeypatch.setattr(config, flag, value)
    assert describe() != before


def test_flags_of_the_environment_choose_the_folder(checkout):
    script = (
        "from stressbook.market.compiling.kernel_cache import cache_folder; print(cache_folder())"
    )
    assert checkout.run(script, NUMBA_BOUNDSCHECK="1") != checkout.run(script)


def test_flags_that_change_no_code_are_not_in_the_key(checkout):
    script = (
        "from stressbook.market.compiling.kernel_cache import cache_folder; print(cache_folder())"
    )
    harmless = {"NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": "/nowhere", "NUMBA_DEBUG_CACHE": "0"}
    assert checkout.run(script, **harmless) == checkout.run(script)


def test_other_peoples_kernels_keep_their_own_cache(checkout):
    script = (
        "from numba import config\n"
        "from stressbook.market.rules import charge\n"
        "charge(1)\n"
        "print(config.CACHE_DIR)"
    )
    assert checkout.run(script, NUMBA_CACHE_DIR="/their/own") == "/their/own"


EDIT_AFTER_READING = """
import pathlib, stressbook.market, os
file = pathlib.Path(stressbook.market.__file__).with_name("rates.py")
before = file.read_text()
file.write_text("FEE = 9\\n")
from stressbook.market.rules import charge
print(charge(100))
file.write_text(before)
"""


def test_sources_edited_between_reading_and_import_are_not_kept(checkout):
    # The key was made of FEE = 2, the code of FEE = 9.
    assert checkout.run(EDIT_AFTER_READING) == "1900"
    assert checkout.run() == "1200 0 True"


def test_sources_edited_between_reading_and_import_are_not_run_from_the_cache(checkout):
    checkout.run()
    assert checkout.run(EDIT_AFTER_READING) == "1900"


TWO_PROCESSES_AT_ONCE = """
import importlib.util
from stressbook.market import rules
def charge_of_another_process():
    spec = importlib.util.spec_from_file_location("stressbook.market.rules", rules.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.charge
ints, floats = charge_of_another_process(), charge_of_another_process()
files, late = ints._cache._cache_file, []
save_data, files._save_data = files._save_data, lambda *written: late.append(written)
floats._cache._cache_file._load_index = lambda: {}  # read before the other has written
ints(100), floats(0.5)
save_data(*late[0])
print(charge_of_another_process()(0.5), charge_of_another_process()(100))
"""


def test_processes_that_save_one_kernel_at_once_do_not_mix_their_code(checkout):
    assert checkout.run(TWO_PROCESSES_AT_ONCE) == "1001.0 1200"


def test_one_function_compiled_in_two_ways_is_kept_twice(checkout):
    checkout.write("agents/two.py", "def twice(lots): return 2 * lots\n")
    script = """
from stressbook.agents.two import twice
from stressbook.market.compiling.kernel import inline_kernel, kernel
inner, outer = inline_kernel(twice), kernel(twice)
@kernel
def caller(lots): return inner(lots)
print(caller(2), outer(21), inner(3), inner.stats.cache_path != outer.stats.cache_path)
"""
    for _ in range(2):
        assert checkout.run(script) == "4 42 6 True"


# --- plugins -------------------------------------------------------------------------------------

PLUGIN = """
from stressbook.market.compiling.kernel import kernel
from {helper} import skew
@kernel
def quote(lots): return 10 * lots + skew
"""
RUN_PLUGIN = """
import sys
from stressbook.market.compiling.kernel import register_plugin_folder
{before}
print(register_plugin_folder({path!r}), end=" ")
from my_rule import quote
print(quote(1), sum(quote.stats.cache_hits.values()), quote.stats.cache_path is not None)
"""


@pytest.fixture
def plugin(checkout, tmp_path):
    folder = tmp_path / "plugin"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder / "my_rule.py").write_text(PLUGIN.format(helper="my_numbers"))
    (folder / "my_numbers.py").write_text("skew = 3\n")

    def run(*, register=folder / "my_rule.py", before="", paths=(folder, tmp_path / "elsewhere")):
        script = RUN_PLUGIN.format(path=str(register), before=before)
        path = os.pathsep.join(map(str, (checkout.root, *paths)))
        return checkout.run(script, PYTHONPATH=path)

    run.folder = folder
    run.elsewhere = tmp_path / "elsewhere"
    return run


def test_registered_plugins_are_kept(plugin):
    assert plugin() == "True 13 0 True"
    assert plugin() == "True 13 1 True"


def test_editing_a_helper_of_a_plugin_is_seen(plugin):
    plugin()
    (plugin.folder / "my_numbers.py").write_text("skew = 4\n")
    assert plugin() == "True 14 0 True"


def test_plugins_see_edits_of_the_package(plugin, checkout):
    plugin()
    checkout.write("market/rates.py", "FEE = 3\n")
    assert plugin() == "True 13 0 True"


def test_plugins_that_import_from_elsewhere_are_not_kept(plugin):
    (plugin.elsewhere / "her_numbers.py").write_text("skew = 5\n")
    (plugin.folder / "my_rule.py").write_text(PLUGIN.format(helper="her_numbers"))
    assert plugin() == "True 15 0 False"
    (plugin.elsewhere / "her_numbers.py").write_text("skew = 6\n")
    assert plugin() == "True 16 0 False"


def test_plugins_imported_before_they_are_registered_are_not_kept(plugin):
    assert plugin(before="import my_rule") == "False 13 0 False"


def test_kernels_elsewhere_are_not_kept(plugin):
    assert plugin(register=plugin.elsewhere) == "True 13 0 False"


def test_a_neighbour_with_a_longer_name_is_elsewhere(plugin):
    longer = plugin.folder.with_name("plugin_numbers")
    longer.mkdir()
    (longer / "her_numbers.py").write_text("skew = 5\n")
    (plugin.folder / "my_rule.py").write_text(PLUGIN.format(helper="her_numbers"))
    assert plugin(paths=(plugin.folder, longer)) == "True 15 0 False"


def test_a_folder_that_is_no_plugin_but_a_home_is_not_read(plugin, tmp_path):
    for i in range(501):
        (plugin.folder / f"file_{i}.py").touch()
    assert plugin() == "False 13 0 False"


def test_kernels_that_close_over_functions_are_not_kept(checkout):
    checkout.write(
        "agents/loops.py",
        "from stressbook.market.compiling.kernel import kernel\n"
        "def loop_of(rule, weight):\n"
        "    @kernel\n"
        "    def loop(n):\n"
        "        return weight if rule is None else rule(n)\n"
        "    return loop\n",
    )
    script = """
from stressbook.agents.loops import loop_of
from stressbook.market.compiling.kernel import kernel
@kernel
def rule(n): return n + 1
for loop in (loop_of(rule, 2), loop_of(None, 2)):
    print(loop(3), loop.stats.cache_path is not None, end=" ")
"""
    assert checkout.run(script) == "4 False 2 True"


# --- places --------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_falls_back_to_a_temporary_folder(checkout, tmp_path):
    checkout.cache.write_text("a file, where a folder should be")
    (tmp_path / "tmp").mkdir()
    assert checkout.run(TMPDIR=str(tmp_path / "tmp")) == "1200 0 True"
    assert checkout.run(TMPDIR=str(tmp_path / "tmp")) == "1200 1 True"
    assert len(list((tmp_path / "tmp").glob("stressbook-*/*"))) == 1


def test_without_any_place_kernels_compile_in_each_process(checkout):
    checkout.cache.write_text("a file, where a folder should be")
    script = "import tempfile; tempfile.gettempdir = lambda: '/dev/null'\n" + RUN
    assert checkout.run(script) == "1200 0 False"
    assert not list(checkout.root.rglob("*.nbi"))


def test_a_full_disk_does_not_stop_a_run(checkout):
    script = """
from numba.core.caching import IndexDataCacheFile
def full(*arguments): raise OSError(28, "No space left on device")
IndexDataCacheFile._save_data = full
from stressbook.market.rules import charge
print(charge(100))
"""
    assert checkout.run(script) == "1200"


def test_the_user_cache_of_the_platform_is_the_default(checkout, tmp_path):
    script = (
        "import os; os.environ.pop('STRESSBOOK_CACHE_DIR')\n"
        "from stressbook.market.compiling.kernel_cache import cache_folder\n"
        "print(cache_folder().parent)"
    )
    home = tmp_path / "home"
    in_home = checkout.run(script, HOME=str(home), XDG_CACHE_HOME="")
    assert Path(in_home).is_relative_to(home)
    assert checkout.run(script, XDG_CACHE_HOME=str(home / "xdg")) in (
        str(home / "xdg" / "stressbook"),
        in_home,
    )


def test_with_the_compiler_off_nothing_is_written(checkout):
    script = "from stressbook.market.rules import charge; print(charge(100))"
    assert checkout.run(script, NUMBA_DISABLE_JIT="1") == "1200"
    assert checkout.keys() == set()


def test_former_keys_are_deleted_but_the_newest_and_the_young(tmp_path):
    old = [tmp_path / f"{i:032x}" for i in range(7)]
    young = tmp_path / f"{9:032x}"
    others = [tmp_path / "notes", tmp_path / "0f"]
    for age, path in enumerate([young, *others, *old]):
        path.mkdir()
        (path / "kernel.nbi").touch()
        if path != young:
            os.utime(path, (1e9 - age, 1e9 - age))
    kernel_cache._prune(tmp_path, keep=old[-1])
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in (young, *others, *old[:3], old[-1])
    }


def test_a_temporary_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    monkeypatch.delenv("STRESSBOOK_CACHE_DIR", raising=False)
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(kernel_cache.os, "getuid", lambda: 12_345, raising=False)
    assert tmp_path / "stressbook-12345" not in list(kernel_cache._roots())
