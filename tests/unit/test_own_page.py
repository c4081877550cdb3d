"""The page on own agents and stresses: its names are those of the classes, its examples run."""

import inspect
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import stressbook as sb
from stressbook.agents.account import AccountParams
from stressbook.agents.own_view import OwnOrder
from stressbook.cli import warm
from stressbook.cli.main import main
from stressbook.market.prices.dials import DIALS
from stressbook.market.rules.parameters import describe
from tests.own_names import own_names_forgotten

PAGE = (Path(__file__).parents[2] / "docs" / "own.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def tables():
    """Return the tables of the page, by the first cell of the head and then in order."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines()[2:]]
        for rows in found
    ]


ACCOUNT, PARAMS, VIEW, ORDER, OUTBOX, STRESS, DIALS_CLASS, DIAL_ROWS = tables()


def as_written(cls, name):
    """Return a public name as the page has it: with what a method takes, without types."""
    value = inspect.getattr_static(cls, name)
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if not inspect.isfunction(value):
        return f"`{name}`"
    taken = list(inspect.signature(value).parameters.values())[1:]
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in taken]
    return f"`{name}{inspect.Signature(plain)}`"


def public(cls):
    names = dict.fromkeys(name for name in vars(cls) if not name.startswith("_"))
    names |= dict.fromkeys(getattr(cls, "__dataclass_fields__", ()))
    names |= dict.fromkeys(getattr(cls, "_fields", ()))
    return [as_written(cls, name) if hasattr(cls, name) else f"`{name}`" for name in names]


@pytest.mark.parametrize(
    ("cls", "rows"),
    [
        (sb.Account, ACCOUNT),
        (sb.View, VIEW),
        (OwnOrder, ORDER),
        (sb.Outbox, OUTBOX),
        (sb.Stress, STRESS),
        (sb.Dials, DIALS_CLASS),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_page_has_every_public_name_with_what_it_takes(cls, rows):
    assert sorted(row[0] for row in rows) == sorted(public(cls))
    assert all(len(row) == 3 and row[2] for row in rows)


def test_parameters_and_dials_of_the_page_are_those_of_the_code():
    assert [
        [f"`{one.name}`", f"{one.default}", one.unit, one.help] for one in describe(AccountParams)
    ] == PARAMS
    assert len(PARAMS) == len(fields(AccountParams))
    assert [
        [f"`{dial.name}`", f"{dial.neutral:g}", dial.unit, dial.help] for dial in DIALS
    ] == DIAL_ROWS


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files of the page, under the names that their first lines give."""
    monkeypatch.chdir(tmp_path)
    for text in (blocks("python")[0], blocks("toml")[0]):
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_commands_of_the_page_run(files, monkeypatch, capsys):
    monkeypatch.setattr(warm, "compiled_mark", lambda: None)
    lines = [line.removeprefix("$ ") for line in blocks("console")[0].splitlines()]
    assert len(lines) == 3
    with own_names_forgotten():
        for line in lines:
            monkeypatch.setattr(sys, "argv", shlex.split(line))
            with pytest.raises(SystemExit) as ending:
                main()
            assert not ending.value.code, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "oracle_freeze starts: lag_s 30" in printed
    assert printed.count("digest ") == 2
    sys.modules.pop("stressbook_plugin_patient")


@pytest.mark.slow
def test_the_script_of_the_page_runs(files):
    (files / "script.py").write_text(blocks("python")[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("skeleton · 2 assets · ")
    assert "post_only_would_take" in done.stdout
    assert "4 pairs" in done.stdout


def test_the_agent_of_the_page_bids_once_it_sees_a_market(files):
    names = {"__name__": "patient"}
    with own_names_forgotten():
        exec(blocks("python")[0], names)
        calm = sb.scenario("skeleton").with_(warmup=0.0, duration=5.0, stresses=[])
        run = calm.add(names["Patient"], n=2).run(seed=7)
    assert run.record.replies["Patient"] == {"resting": 2}
