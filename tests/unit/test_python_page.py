"""The page on the Python face: its names are those of the classes, its example runs."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import stressbook as sb
from stressbook.api.frames import FRAMES
from stressbook.api.parameters import Parameter
from stressbook.experiments.contrasts import Cell
from stressbook.experiments.inference import Estimate
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.margin_use import MARGIN_USES
from stressbook.experiments.versus import OutcomeEffect
from tests.unit.test_own_page import public

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def tables():
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines()[2:]]
        for rows in found
    ]


SCENARIO, RUN, LOSS_ROWS, MARGIN_ROWS, FRAME_ROWS, REPLICATES, EFFECT, EFFECT_TABLE = tables()


def quoted(text):
    return set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize(
    ("cls", "rows"),
    [
        (sb.Scenario, SCENARIO),
        (sb.RunResult, RUN),
        (sb.Replicates, REPLICATES),
        (sb.Effect, EFFECT),
        (sb.EffectTable, EFFECT_TABLE),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_page_has_every_public_name_with_what_it_takes(cls, rows):
    assert [row[0] for row in rows] == public(cls)
    assert all(len(row) == 2 and row[1] for row in rows)


def test_fields_of_results_are_those_of_the_code():
    about = PAGE[PAGE.index("## `Effect`") :].split("\n\n")[1]
    assert {one.name for one in fields(OutcomeEffect)} <= quoted(about)
    assert {one.name for one in fields(Estimate)} - {"level"} <= quoted(about)
    about = PAGE[PAGE.index("## `EffectTable`") :].split("\n\n")[1]
    assert {one.name for one in fields(Cell)} <= quoted(about)
    (parameters,) = (row[1] for row in SCENARIO if row[0].startswith("`parameters"))
    assert quoted(parameters) == set(Parameter._fields)


@pytest.fixture(scope="module")
def run():
    return sb.scenario("skeleton").with_(warmup=0.0, duration=3.0, stresses=[]).run(seed=7)


def test_the_page_has_every_frame_with_columns_of_it(run):
    assert [row[0] for row in FRAME_ROWS] == [f"`{name}`" for name in FRAMES]
    for name, row in zip(FRAMES, FRAME_ROWS, strict=True):
        assert quoted(row[2])
        assert quoted(row[2]) <= set(run.frame(name).columns), name


@pytest.mark.parametrize(("rows", "outcomes"), [(LOSS_ROWS, LOSSES), (MARGIN_ROWS, MARGIN_USES)])
def test_the_page_has_every_loss_and_what_is_said_of_margin(run, rows, outcomes):
    names = [name for row in rows for name in row[0].replace("`", "").split(", ")]
    assert names == [one.name for one in outcomes]
    assert set(names) <= set(run.outcomes)


@pytest.mark.slow
def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {"__name__": "example"})
    printed = capsys.readouterr().out
    assert printed.startswith("skeleton · 2 assets · ")
    assert "\nTrue\n" in printed


def test_the_readme_leads_to_the_page():
    assert "(docs/python.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
