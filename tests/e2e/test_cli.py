"""What is typed: results, progress, exit codes and words for what goes wrong."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from hashlib import sha256

import pytest

from stressbook.cli import calibrate as calibrate_command
from stressbook.cli import demo as demo_command
from stressbook.cli import run as run_command
from stressbook.cli import versus as versus_command
from stressbook.cli import warm
from stressbook.cli.main import main
from stressbook.experiments.sweeps.index import reading
from tests.own_names import own_names_forgotten

COMMANDS = (
    *("demo", "list", "show", "schema", "plan", "run", "versus", "sweep", "status"),
    *("conform", "replay", "report", "calibrate", "doctor"),
    "demo list show schema plan run versus account conform replay report calibrate doctor".split(),  # noqa: SIM905
)
SHORT = """
inherits = "skeleton"
warmup = "10s"
duration = "80s"

[[stresses]]
kind = "price_gap"
at = "20s"
duration = "40s"
assets = ["HYPE"]
fall_frac = 0.25
"""
OWN = '''
import stressbook as sb


class Stubborn(sb.Account):
    """Sells one lot a step, and fails when it is told to."""

    fails_at_s: float = sb.param(1e9, unit="s", help="when it fails", low=0.0)

    def decide(self, view, out):
        if view.t_s >= self.fails_at_s and view.uniform() < 0.5:
            raise RuntimeError("as told")
        out.sell("BTC-PERP", 1)


class Freeze(sb.Stress):
    """The oracle stops."""

    lag_s: float = sb.param(30.0, unit="s", help="age of the oracle", low=0.0)

    def apply(self, dials, severity):
        for asset in dials.assets:
            dials = dials.add(asset, oracle_lag_s=self.lag_s * severity)
        return dials
'''
WITH_OWN = SHORT + "\n[agents.Stubborn]\naccounts = 2\n"


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, in an empty folder; returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.toml").write_text(SHORT)
    monkeypatch.setattr(warm, "compiled_mark", lambda: None)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["stressbook", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        printed = capsys.readouterr()
        return ending.value.code or 0, printed.out, printed.err

    with own_names_forgotten():
        yield call


# --- look ----------------------------------------------------------------------------------------


def test_help_lists_every_command_and_the_exit_codes(cli):
    code, out, _ = cli("--help")
    assert code == 0
    assert [name for name in COMMANDS if not re.search(rf"^│ {name} ", out, re.M)] == []
    assert "Exit codes: 0 done" in out


def test_the_version_is_that_of_the_package(cli):
    import stressbook

    assert cli("--version") == (0, f"{stressbook.__version__}\n", "")


def test_list_names_the_catalogue(cli):
    code, out, _ = cli("list")
    assert code == 0
    assert re.search(r"^  skeleton +Two assets", out, re.M)
    assert re.search(r"^margin_regime\n  binance ", out, re.M)
    assert re.search(r"^stress\n  arbitrage_outage ", out, re.M)
    names = [row["name"] for row in json.loads(cli("list", "--json")[1])]
    assert names == [line.split()[0] for line in out.splitlines() if line.startswith("  ")]


def test_show_prints_numbers_by_place(cli):
    code, out, _ = cli("show", "skeleton", "agents.lender")
    assert code == 0
    assert "agents.lender.supply_usd" in out
    rows = json.loads(cli("show", "skeleton", "dt", "--set", "dt=2", "--json")[1])["parameters"]
    assert [(row["place"], row["value"], row["unit"]) for row in rows] == [("dt", 2.0, "s")]


def test_show_prints_a_file_that_can_be_run(cli, tmp_path):
    out = cli("show", "short.toml", "--toml")[1]
    (tmp_path / "again.toml").write_text(out)
    assert cli("show", "again.toml", "--toml")[1] == out


def test_show_explains_a_kind_of_stress(cli):
    out = cli("show", "price_gap")[1]
    assert out.startswith("price_gap: The fundamental of some assets falls")
    assert "fall_frac" in out
    fields = json.loads(cli("show", "price_gap", "--json")[1])["parameters"]
    assert [field["name"] for field in fields][:3] == ["at", "duration", "severity"]


def test_schema_is_json_and_knows_own_stresses(cli, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    assert "stresses" in json.loads(cli("schema")[1])["properties"]
    assert '"freeze"' not in cli("schema")[1]
    assert '"freeze"' in cli("schema", "--plugin", "own.py")[1]


def test_plan_shows_stresses_of_the_file_and_of_the_options(cli):
    option = "depth_thinning:at=30s,duration=10s,assets=HYPE,cut_frac=.5"
    out = cli("plan", "short.toml", "--stress", option)[1]
    lines = [line.split("  ")[-1] for line in out.splitlines()]
    assert "price_gap starts: assets HYPE, fall_frac 0.25" in lines
    assert "depth_thinning starts: assets HYPE, where both, cut_frac 0.5" in lines
    step = "parameter_step:at=30s,place=tokens.USDC.platform_borrow_cap,factor=.5,reverts=true"
    told = "parameter_step starts: place tokens.USDC.platform_borrow_cap, factor 0.5, reverts True"
    assert told in cli("plan", "short.toml", "--stress", step)[1]
    found = json.loads(cli("plan", "short.toml", "--json")[1])
    assert found["notes"] == []
    assert (len(found["steps"]), found["timeline"][-1]["at"]) == (10, "90 s")
    assert [book["book"] for book in found["books"]] == [
        "BTC-PERP",
        "HYPE-PERP",
        "BTC-SPOT",
        "HYPE-SPOT",
    ]
    assert all(
        book["lowest_usd"] < book["opening_usd"] < book["highest_usd"] for book in found["books"]
    )


def test_doctor_says_where_things_are(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("stressbook.cli.doctor.compiled_mark", lambda: None)
    code, out, _ = cli("doctor", "--json")
    found = json.loads(out)
    assert found["results"] == str(tmp_path / "results" / "runs")
    assert found["numba"]
    assert (code, len(found["problems"])) == (2, 1)
    assert "STRESSBOOK_CACHE_DIR" in cli("doctor")[1]


def test_conform_ends_with_1_on_a_miss_alone(cli, tmp_path):
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text('{"borrow_rate": [{"utilization": 0.5, "borrow_rate": 0.05}, {}]}')
    wrong.write_text('{"borrow_rate": [{"utilization": 0.5, "borrow_rate": 0.06}]}')
    assert cli("conform", str(right))[0] == 0
    code, out, _ = cli("conform", str(right), str(wrong), "--json")
    found = json.loads(out)
    assert code == 1
    assert [found[key] for key in ("passed", "failed", "unsupported")] == [1, 1, 1]
    assert found["misses"][0]["file"] == str(wrong)
    assert "expected 0.06 within 6e-10" in cli("conform", str(wrong))[1]
    code, out, told = cli("conform", "absent.json", str(right), "short.toml")
    assert (code, out) == (2, "")
    assert "absent.json cannot be read" in told
    assert "short.toml is no JSON file" in told


# --- wrong input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], ["No such command"]),
        (["run"], ["Missing argument"]),
        (["run", "short.toml", "--seed", "x"], ["--seed"]),
        (["run", "short.toml", "--seed", "-1"], ["--seed"]),
        (["run", "short.toml", "--reps", "0"], ["--reps"]),
        (["versus", "short.toml", "short.toml", "--reps", "1"], ["--reps"]),
        (["run", "skelton"], ["scenario = 'skelton' is unknown", "did you mean 'skeleton'?"]),
        (["run", "none.toml"], ["none.toml does not exist", "skeleton"]),
        (["run", "bad.toml"], ["dt = 0 is out of range", "duratoin is read by nothing"]),
        (["run", "skeleton", "--set", "dt"], ["--set = 'dt' is no override"]),
        (["plan", "skeleton", "--set", "a.b=1"], ["a is read by nothing"]),
        (
            ["plan", "short.toml", "--stress", "price_gap:at=20s,fall=1", "--stress", "gap"],
            ["--stress 1.fall is read by nothing", "--stress 2.kind = 'gap' is unknown"],
        ),
        (["plan", "short.toml", "--stress", "price_gap:at"], ["has 'at', which sets nothing"]),
        (["plan", "short.toml", "--plugin", "no.py"], ["plugin = ", "is no Python file"]),
        (["plan", "short.toml", "--plugin", "broken.py"], ["does not run: NameError"]),
        (["run", "short.toml", "--engine", "fast", "--seed", "1"], ["engine = 'fast' is unknown"]),
        (
            ["run", "short.toml", "--budget", "a", "--budget", "b=x"],
            ["--budget = 'a' is no budget", "--budget = 'b=x' is no budget"],
        ),
        (["run", "short.toml", "--budget", "n_breach=1"], ["did you mean 'n_breaches'?"]),
        (["run", "short.toml", "--budget", "backstop_low_usd=0"], ["as in backstop_short_usd=0"]),
        (["replay", "nowhere"], ["folder = 'nowhere' does not exist"]),
        (["report", "nowhere"], ["folder = 'nowhere' does not exist"]),
        (["report", "study"], ["holds the study of two margin regimes", "study/report.html"]),
        (["report", "."], ["holds no manifest.json"]),
        (["versus", "short.toml"], ["is nothing to compare", "--regimes cross,scan:0.5"]),
        (
            ["versus", "short.toml", "--regimes", "cross"],
            ["versus = 'cross' is nothing to compare"],
        ),
        (
            ["versus", "short.toml", "--regimes", "cross,scann,cross:1,scan:2"],
            ["'scann' is unknown", "hyperliquid-pm", "'cross:1' has no offset", "is no offset"],
        ),
        (
            ["versus", "short.toml", "--regimes", "cross,scan,scan:0.5"],
            ["side = ", "is the same as", "each scenario once"],
        ),
        (
            ["versus", "short.toml", "--regimes", "cross,scan,isolated", "--against", "scna"],
            ["side = 'scna'", "did you mean 'scan"],
        ),
        (
            ["versus", "short.toml", "skeleton", "--regimes", "cross,scan"],
            ["--regimes = 'skeleton' is one scenario too many"],
        ),
        (["versus", "short.toml", "skeleton", "hype-fall"], ["is not that of the first scenario"]),
        (["run", "short.toml", "--seed", "1", "--out", "bad.toml/x"], ["cannot be written: Not a"]),
        (["versus", "short.toml", "short.toml", "--out", "bad.toml/x"], ["cannot be written"]),
        (["demo", "--out", "bad.toml/x"], ["cannot be written"]),
        (
            ["versus", "short.toml", "short.toml", "--set", "duration=30s"],
            ["duration of short = '30 s' is not that of the first scenario", "--set duration=.."],
        ),
        (["run", "short.toml", "--seed", "1", "--out", "."], ["folder = '.' holds other files"]),
        (["plan", "short.toml", "--stress", "price_gap:assets=BTC,HYPE"], ["assets=[BTC,HYPE]"]),
        (["show", "short.toml", "agents.hodler"], ["place =", "did you mean 'agents.holder'?"]),
        (["plan", "short.toml", "--set", "agents.Own.accounts=2"], ["agents.Own is", "--plugin"]),
        (["plan", "short.toml", "--stress", "melt:at=1h"], ["'melt' is unknown", "--plugin FILE"]),
        (["calibrate", "nowhere", "-q"], ["nowhere"]),
    ],
)
def test_wrong_input_ends_with_2_and_all_problems(cli, tmp_path, arguments, words):
    (tmp_path / "bad.toml").write_text('inherits = "skeleton"\ndt = 0\nduratoin = 1\n')
    (tmp_path / "broken.py").write_text("nonsense")
    (tmp_path / "study").mkdir()
    (tmp_path / "study/study.json").write_text("{}")
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    plain = " ".join(re.sub(r"[│╭╮╰╯─\n]", " ", err).split())
    for word in words:
        assert word in plain
    assert "Traceback" not in err


# --- run -----------------------------------------------------------------------------------------


def test_a_run_prints_outcomes_and_is_kept(cli, tmp_path):
    code, out, err = cli("run", "short.toml", "--seed", "7")
    assert code == 0
    assert out.startswith("short · 2 assets · ")
    assert "liquidated_usd" in out
    folder = re.search(r"^saved (results/runs/short-7-\w{8})$", out, re.M)[1]
    assert (tmp_path / folder / "manifest.json").is_file()
    assert f"replay: stressbook replay {folder}" in err
    shares = re.findall(r"^short: (\d+) % after \d+ s(?:, about \d+ s left)?$", err, re.M)
    assert shares == [str(tenth * 10) for tenth in range(1, 11)]


def test_json_holds_digest_path_and_outcomes_and_nothing_else_is_printed(cli, tmp_path):
    code, out, err = cli("run", "short.toml", "--seed", "7", "--json", "-q", "--out", "here")
    found = json.loads(out)
    assert (code, err, found["path"], found["seed"]) == (0, "", "here", 7)
    assert len(found["digest"]) == 64
    kept = json.loads((tmp_path / "here" / "outcomes.json").read_text())
    assert found["outcomes"] == kept


def test_a_seed_that_is_not_given_is_drawn_and_told(cli):
    _, out, err = cli("run", "short.toml", "--json")
    assert f"seed {json.loads(out)['seed']}\n" in err


def test_options_change_the_run(cli):
    digests = [
        json.loads(cli("run", "short.toml", "--seed", "7", "--json", "-q", *options)[1])["digest"]
        for options in (
            [],
            [],
            ["--set", "margin_regime=hyperliquid-pm"],
            ["--stress", "depth_thinning:at=20s,duration=60s,cut_frac=0.9"],
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--budget", "n_breaches=0"], 0, "budget FAILS: n_breaches"),
        (["--budget", "n_breaches=0", "--check"], 1, "budget FAILS: n_breaches"),
        (["--budget", "n_breaches=999", "--check"], 0, "budget holds: n_breaches"),
        (["--check", "--set", "stresses=[]"], 0, "budget holds: backstop_short_usd 0, at most 0"),
    ],
)
def test_a_budget_is_told_and_counts_with_check(cli, options, code, words):
    found = cli("run", "short.toml", "--seed", "7", *options)
    assert found[0] == code
    assert words in found[1]


def kept_runs(folder):
    """Return digest, number of tries and time of each run that is done."""
    with reading(folder) as db:
        return db.execute(
            "SELECT digest, tries, ended_at FROM cells WHERE state = 'done' ORDER BY id"
        ).fetchall()


def test_several_seeds_have_intervals_and_go_on_where_they_stopped(cli, tmp_path):
    arguments = ["run", "short.toml", "--seed", "7", "--out", "many"]
    code, out, _ = cli(*arguments, "--reps", "2")
    assert code == 0
    assert "short · 2 runs · seeds 7 to 8" in out
    kept = kept_runs(tmp_path / "many/runs")
    found = json.loads(cli(*arguments, "--reps", "3", "--json")[1])
    assert found["seeds"] == [7, 8, 9]
    assert found["outcomes"]["n_breaches"]["n"] == 3
    assert len(kept) == 2
    assert kept_runs(tmp_path / "many/runs")[:2] == kept


BROKEN = """
import stressbook as sb


class Late(sb.Account):
    def decid(self, view, out):
        pass


class Blunt(sb.Stress):
    def aply(self, dials, severity):
        return dials


class Forgets(sb.Stress):
    def apply(self, dials, severity):
        dials.add("BTC", drift=0.0)


class Raises(sb.Stress):
    def apply(self, dials, severity):
        return dials.sett("BTC")
"""


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--set", "agents.Late.accounts=1"], 2, "agents.Late has no decide"),
        (["--stress", "blunt:at=30s,duration=9s"], 2, "'blunt' has no apply"),
        (["--stress", "forgets:at=30s,duration=9s"], 3, "Forgets gave NoneType in apply"),
        (["--stress", "raises:at=30s,duration=9s"], 3, "failed in apply (broken_own.py, line 22)"),
    ],
)
def test_what_is_wrong_in_a_users_class_is_told_with_its_name(cli, tmp_path, options, code, words):
    (tmp_path / "broken_own.py").write_text(BROKEN)
    found = cli("run", "short.toml", "--seed", "1", "--plugin", "broken_own.py", *options)
    assert found[0] == code
    assert words in found[2]
    assert "Traceback" not in found[2]


def test_a_folder_is_written_to_by_one_run_alone(cli, tmp_path):
    first = ["run", "short.toml", "--seed", "7", "--out", "one"]
    assert cli(*first)[0] == cli(*first)[0] == 0
    kept = (tmp_path / "one" / "manifest.json").read_text()
    for other in (
        ["run", "short.toml", "--seed", "8", "--out", "one"],
        ["run", "short.toml", "--seed", "7", "--out", "one", "--set", "dt=2"],
        ["run", "short.toml", "--seed", "7", "--out", "one", "--reps", "2"],
        ["versus", "short.toml", "short.toml", "--seed", "7", "--out", "one", "--reps", "2"],
    ):
        code, _, err = cli(*other)
        assert code == 2
        assert "folder = 'one' holds the result of something else" in err
    assert (tmp_path / "one" / "manifest.json").read_text() == kept


def test_a_scenario_without_anybody_says_so(cli, tmp_path):
    (tmp_path / "empty.toml").write_text('duration = "30s"\nwarmup = 0\n')
    assert "agents: nobody; did you forget `inherits`" in cli("plan", "empty.toml")[1]
    assert "agents: nobody" in cli("run", "empty.toml", "--seed", "1")[2]
    assert "agents: market_maker, arbitrageur" in cli("plan", "short.toml")[1]


def test_replay_compares_digests(cli, tmp_path):
    cli("run", "short.toml", "--seed", "7", "--out", "one")
    code, out, _ = cli("replay", "one")
    assert (code, out) == (0, "1 of 1 runs came out the same\n")
    path = tmp_path / "one" / "manifest.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "seed": 8}))
    code, out, _ = cli("replay", "one", "--json")
    found = json.loads(out)
    assert (code, found["equal"], found["runs"][0]["expected"]) == (1, False, about["digest"])
    assert "seed 8 differs" in cli("replay", "one")[1]


def test_report_writes_a_page_beside_the_run_or_where_it_is_told_to(cli, tmp_path):
    cli("run", "short.toml", "--seed", "7", "--out", "one")
    assert cli("report", "one") == (0, "one/report.html\n", "")
    code, out, _ = cli("report", "one", "--out", "page.html", "--json")
    assert (code, json.loads(out)) == (0, {"path": "page.html"})
    pages = [(tmp_path / name).read_text() for name in ("one/report.html", "page.html")]
    assert pages[0] == pages[1]
    assert "short" in pages[0]


def test_replay_runs_each_run_of_a_comparison_again(cli):
    options = [
        "--seed",
        "7",
        "--reps",
        "2",
        "--out",
        "both",
        "--set",
        "margin_regime=hyperliquid-pm",
    ]
    code, out, _ = cli("versus", "short.toml", "short.toml", *options)
    assert code == 0
    assert "short against short (margin_regime cross -> hyperliquid-pm) · 2 pairs" in out
    assert cli("replay", "both")[:2] == (0, "6 of 6 runs came out the same\n")
    assert cli("report", "both")[0] == 2


def test_versus_as_json_has_differences_with_intervals(cli):
    options = ["--seed", "7", "--reps", "2", "--no-placebo", "--json", "-q"]
    code, out, err = cli("versus", "short.toml", "short.toml", "--set", "stresses=[]", *options)
    found = json.loads(out)
    assert (code, err, found["seeds"]) == (0, "", [7, 8])
    row = found["outcomes"]["n_breaches"]
    assert row["difference"] == row["treated"] - row["control"] < 0.0
    assert row["placebo"] is None
    assert row["verdict"] == "not evidence"


def test_regimes_stand_in_one_table_that_goes_on_and_replays(cli):
    command = ["versus", "short.toml", "--regimes", "cross,hyperliquid-pm,scan:1", "--seed", "7"]
    command += ["--reps", "2", "--out", "regimes"]
    code, out, err = cli(*command, "--json", "-q")
    found = json.loads(out)
    assert (code, err, found["n"], found["failed"]) == (0, "", 2, {})
    assert found["sides"] == ["cross", "hyperliquid-pm", "scan, offset 1"]
    rows = found["outcomes"]["initial_margin_over_equity_frac"]
    assert list(rows) == found["sides"]
    assert rows["cross"]["difference"] is None
    difference = rows["scan, offset 1"]["mean"] - rows["cross"]["mean"]
    assert rows["scan, offset 1"]["difference"] == pytest.approx(difference)
    assert difference != 0.0
    assert found["runs"]["cross"][0]["liquidated_usd"] > 0.0
    assert (found["control"], found["placebo_of"]) == ("cross", "cross")
    assert found["below_zero"]["scan, offset 1"]["n"] == 2
    assert rows["scan, offset 1"]["not_judged"] == "by construction"
    # Finished runs are read; another control asks for its own placebo only.
    code, out, _ = cli(*command, "--against", "scan:1")
    assert code == 0
    assert out.startswith("short · against scan, offset 1 · 3 sides · n = 2 · seeds 7 to 8\n")
    assert "\nWHO PAID\n" in out
    assert "accounts / equity under the rule" in out
    assert not re.search(r"\de-\d", out)
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert "2 pairs are not evidence" in out
    assert cli("replay", "regimes")[:2] == (0, "8 of 8 runs came out the same\n")


# --- own classes ---------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "with_own.toml").write_text(WITH_OWN)
    return ["with_own.toml", "--plugin", "own.py"]


def test_a_plugin_makes_own_classes_usable_in_files_and_options(cli, own, tmp_path):
    assert cli("plan", own[0])[0] == 2
    options = ["--seed", "7", "--out", "own-run", "--stress", "freeze:at=30s,duration=10s"]
    assert cli("run", *own, *options)[0] == 0
    assert (tmp_path / "own-run/plugins/own.py").read_text() == OWN
    assert cli("report", "own-run")[0] == 0
    page = (tmp_path / "own-run/report.html").read_text()
    assert f"SHA-256 {sha256(OWN.encode()).hexdigest()}" in page
    assert "<pre>stressbook replay FOLDER" in page
    assert "stressbook run" not in page
    with own_names_forgotten():
        sys.modules.pop("stressbook_plugin_own")
        assert cli("replay", "own-run")[:2] == (0, "1 of 1 runs came out the same\n")


def test_a_run_that_fails_ends_with_3_and_names_the_line(cli, own):
    code, out, err = cli("run", *own, "--seed", "7", "--set", "agents.Stubborn.fails_at_s=5", "-q")
    assert (code, out) == (3, "")
    assert "AgentError: Stubborn failed in decide (own.py, line 12)" in err
    assert "RuntimeError: as told" in err


def test_some_failed_runs_end_with_3_and_the_others_are_told(cli, own):
    # One draw decides, in the last step.
    settings = ["--set", "agents.Stubborn.fails_at_s=89", "--set", "agents.Stubborn.accounts=1"]
    code, out, _ = cli("run", *own, "--seed", "1", "--reps", "6", *settings)
    assert code == 3
    n_failed = int(re.search(r"· (\d) of 6 failed", out)[1])
    assert 0 < n_failed < 6
    assert out.count("failed, seed") == n_failed
    assert re.search(rf"n_breaches .* {6 - n_failed}  1\n", out)


# --- terminal ------------------------------------------------------------------------------------


def test_the_first_compile_is_announced_once(cli, tmp_path, monkeypatch):
    mark = tmp_path / "compiled"
    monkeypatch.setattr(warm, "compiled_mark", lambda: mark)
    arguments = ["run", "short.toml", "--seed", "7"]
    err = cli(*arguments)[2]
    assert re.search(r"^compiling kernels.*\ncompiled in \d+ s$", err, re.M)
    assert mark.exists()
    assert "compil" not in cli(*arguments)[2]


def test_the_venue_can_be_compiled_in_a_process_of_its_own():
    alone = multiprocessing.get_context("spawn").Process(target=warm._compile_venue)
    alone.start()
    alone.join()
    assert alone.exitcode == 0


KEPT = r"stopped; what was finished is kept in \S+, the same command goes on"
NOTHING = "stopped; nothing was finished, the same command starts afresh"
AFRESH = "stopped; nothing is kept, the same command starts afresh"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "short.toml", "--seed", "1"], AFRESH),
        (["run", "short.toml", "--seed", "1", "--reps", "2"], NOTHING),
        (["run", "short.toml", "--reps", "2"], NOTHING.replace("command", "command with --seed 5")),
        (["versus", "short.toml", "short.toml", "--seed", "1"], NOTHING),
        (["replay", "one"], AFRESH),
        (["demo"], NOTHING),
        (["calibrate", "."], AFRESH),
    ],
)
def test_a_stopped_command_ends_with_130_and_says_what_it_leaves(cli, monkeypatch, arguments, told):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("stressbook.cli.terminal.secrets.randbelow", lambda _: 5)
    monkeypatch.setattr("stressbook.experiments.calibration.calibrate", stop)
    monkeypatch.setattr("stressbook.experiments.replay.replay", stop)
    for module in (run_command, versus_command, demo_command):
        monkeypatch.setattr(module, "compile_once", stop)
    code, out, err = cli(*arguments)
    assert (code, out) == (130, "")
    assert re.fullmatch(told, err.splitlines()[-1])


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_recordings_is_told_before_anything_is_estimated(cli, folder):
    code, out, err = cli("calibrate", folder)
    assert (code, out) == (2, "")
    assert "estimating" not in err
    assert err.startswith("InvalidRecording: ")


def test_calibrate_prints_and_keeps(cli, tmp_path, monkeypatch):
    from stressbook.experiments.calibration import CalibrationResult
    from stressbook.experiments.calibration.assumed import assumed_rows

    found = CalibrationResult(tuple(assumed_rows()), (), 1)
    monkeypatch.setattr("stressbook.experiments.calibration.calibrate", lambda *_, **__: found)
    assert calibrate_command
    code, out, err = cli("calibrate", ".", "--out", "numbers")
    assert (code, out) == (0, found.summary() + "\n")
    assert "saved numbers" in err
    assert json.loads(cli("calibrate", ".", "--json", "-q")[1]) == json.loads(found.to_json())
    assert (tmp_path / "numbers/calibration.toml").read_text() == found.to_toml()


# --- in a process of its own ---------------------------------------------------------------------

START = "from stressbook.cli.main import main; main()"


def test_help_imports_nothing_heavy(tmp_path):
    heavy = {"numba", "mesa", "pandas", "matplotlib", "scipy", "numpy", "jinja2"}
    code = (
        "import atexit, sys; sys.argv = ['stressbook', 'run', '--help'];"
        f"atexit.register(lambda: print('HEAVY', *sorted({heavy} & set(sys.modules))));{START}"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1].split() == ["HEAVY"]
    assert "--stress" in found.stdout


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_no_color_is_obeyed_on_a_terminal(tmp_path, no_color, is_coloured):
    import pty

    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": no_color} if no_color else {})
    subprocess.run(
        [sys.executable, "-c", START, "frobnicate"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "No such command" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", shown)) == is_coloured


# --- studies -------------------------------------------------------------------------------------


STUDY = """
scenario = "short.toml"
seed = 7
replicates = 2
[levers]
"stresses.0.fall_frac" = [0.05, 0.25]
[outcomes]
drawdown_HYPE_frac = { budget = 0.15, alpha = 0.05 }
fees_usd = {}
"""


def test_a_study_is_run_told_and_gone_on_with(cli, tmp_path):
    (tmp_path / "fall.toml").write_text(STUDY)
    code, out, err = cli("sweep", "fall.toml")
    assert code == 0
    assert "fall · 4 runs: 2 combinations (grid) · seeds 7 to 8" in out
    assert "drawdown_HYPE_frac, 1, budget 0.15: at most 5 % of runs over" in out
    assert out.endswith("saved results/runs/sweep-fall\n")
    assert "4 runs, kept in results/runs/sweep-fall" in err
    digest = re.search(r"^digest (\w{64})$", out, re.M)[1]
    kept = kept_runs(tmp_path / "results/runs/sweep-fall/runs")
    about = json.loads((tmp_path / "results/runs/sweep-fall/sweep.json").read_text())
    assert (about["digest"], about["study"]["replicates"]) == (digest, 2)
    code, out, _ = cli("sweep", "fall.toml", "--check", "--json", "-q")
    found = json.loads(out)
    assert (code, found["digest"], found["holds"]) == (1, digest, False)
    assert [row["within"] for row in found["outcomes"]] == ["open", None, "NO", None]
    assert kept_runs(tmp_path / "results/runs/sweep-fall/runs") == kept
    code, out, _ = cli("status", "results/runs/sweep-fall", "--json")
    assert json.loads(out)["states"] == {"done": 4, "failed": 0, "running": 0, "waiting": 0}
    assert re.search(
        r"fall_frac = 0.25 +2 +0 +0 +0$", cli("status", "results/runs/sweep-fall")[1], re.M
    )


def test_a_study_against_its_control_is_told_as_json(cli, tmp_path):
    (tmp_path / "fall.toml").write_text(f'control = "first"\n{STUDY}')
    code, out, _ = cli("sweep", "fall.toml", "--json", "-q")
    found = json.loads(out)
    assert (code, found["cells"], found["control"]) == (0, 6, 0)  # two of them of the placebo
    assert found["unvalidated"].startswith("unvalidated model")
    assert found["moves"] == {"1": []}  # the run ends before the first horizon
    deep = next(row for row in found["outcomes"] if row["cell"] == 1)
    assert (deep["difference"] > 0.0, deep["pairs"], deep["verdict"]) == (True, 2, "not evidence")


def test_a_study_that_makes_no_sense_is_refused_whole(cli, tmp_path):
    (tmp_path / "bad.toml").write_text(
        STUDY.replace("fall_frac", "fal_frac").replace("fees_usd = {}", "fee_usd = {}")
    )
    code, out, err = cli("sweep", "bad.toml")
    assert (code, out) == (2, "")
    assert "bad.toml, levers.stresses.0.fal_frac is read by nothing" in err
    assert "did you mean 'fees_usd'?" in err
    (tmp_path / "fall.toml").write_text(STUDY.replace("= 2", "= 6000"))
    code, _, err = cli("sweep", "fall.toml")
    assert (code, "cells = 12000 are more" in err, "--yes" in err) == (2, True, True)
    assert cli("status", ".")[0] == 2


def test_a_study_with_failed_runs_ends_with_3_and_tells_them(cli, tmp_path, own):
    # One draw decides, in the last step.
    (tmp_path / "own-study.toml").write_text(
        f'scenario = "{own[0]}"\nseed = 1\nreplicates = 6\n[levers]\n'
        '"agents.Stubborn.fails_at_s" = [89.0]\n"agents.Stubborn.accounts" = [1]\n'
        "[outcomes]\nfees_usd = { budget = 1e12 }\n"
    )
    code, out, _ = cli("sweep", "own-study.toml", *own[1:])
    assert code == 3
    n_failed = int(re.search(r"· (\d) of 6 failed", out)[1])
    assert 0 < n_failed < 6
    row = rf" {6 - n_failed} +{n_failed} +{n_failed / 6:.4g} "  # a failed run is over any budget
    assert re.search(row, out)
    assert out.count("AgentError: ") == n_failed
    found = cli("status", "results/runs/sweep-own-study")[1]
    assert f"{6 - n_failed} done, {n_failed} failed" in found
    assert found.count("AgentError: ") == n_failed


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_and_keeps_what_is_finished(tmp_path):
    arguments = ["run", "skeleton", "--seed", "1", "--set", "duration=30min", "--out", "many"]
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments, "--reps", "40", "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that are started in the background inherit an interrupt that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(r"skeleton: [1-9]0 %", line):  # two runs may end at once
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert re.fullmatch(KEPT, err.splitlines()[-1])
    assert "Traceback" not in err
    kept = kept_runs(tmp_path / "many/runs")
    assert 4 <= len(kept) < 40
    assert all(len(digest) == 64 and tries == 1 for digest, tries, _ in kept)
