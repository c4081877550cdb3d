"""The kept studies: files, page and runs say the same; what differs is found and told."""

import json
from pathlib import Path

import numpy as np
import pytest

from stressbook.experiments.studies.reference import rebuild
from stressbook.experiments.studies.reference.kept_results import (
    differences,
    page_part,
    read_values,
    table_text,
    values_text,
)
from stressbook.experiments.studies.reference.rebuild import STUDIES, compare
from stressbook.experiments.studies.reference.study import run_arms

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "reference"
PAGE = ROOT / "docs" / "reference-studies.md"
SAMPLE = {  # of each study, one cell where much happens
    "caps-history": "filled 2026-08-19",
    "regimes": "hyperliquid-pm",
    "ltv-and-supply-cap": "ltv-0.65-supply-10M",
}


def kept_values(name):
    return read_values((KEPT / f"{name}.csv").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", STUDIES)
def test_table_and_page_follow_from_the_kept_values(name):
    study, values = STUDIES[name], kept_values(name)
    assert list(values) == [arm.name for arm in study.arms]
    assert (KEPT / f"{name}.json").read_text(encoding="utf-8") == table_text(study, values)
    assert compare(study, values, KEPT, PAGE) == []


@pytest.mark.parametrize("name", STUDIES)
def test_an_episode_run_again_is_the_kept_one(name):
    study, kept = STUDIES[name], kept_values(name)
    arm = next(one for one in study.arms if one.name == SAMPLE[name])
    found = run_arms(study, [arm], 1)[arm.name]
    first = {outcome: x[:1].tolist() for outcome, x in kept[arm.name].items()}
    assert list(differences({k: x.tolist() for k, x in found.items()}, first)) == []


@pytest.mark.parametrize("name", STUDIES)
def test_kept_files_are_small(name):
    sizes = {path.suffix: path.stat().st_size for path in KEPT.glob(f"{name}.*")}
    assert set(sizes) == {".csv", ".json", ".svg"}
    assert max(sizes.values()) < 150_000
    assert sizes[".svg"] < 100_000


def test_a_moved_number_a_word_and_a_missing_row_are_told():
    kept = {"rows": [{"p": 0.25, "word": "undecided", "n": 59}, {"p": 0.0}]}
    moved = {"rows": [{"p": 0.25 * (1 + 3e-9), "word": "within 5 %", "n": 59}]}
    assert len(list(differences(moved, kept, "t"))) == 3
    assert list(differences({"p": 0.25 * (1 + 1e-10)}, {"p": 0.25})) == []
    assert len(list(differences({"p": None}, {"p": 0.0}))) == 1


def test_values_survive_the_file():
    values = {"a": {"x": np.array([1.5, -2e-7, 123456.789012])}, "b": {"x": np.zeros(3)}}
    again = read_values(values_text(values))
    assert {arm: by["x"].tolist() for arm, by in again.items()} == {
        arm: by["x"].tolist() for arm, by in values.items()
    }


def test_the_command_writes_compares_and_ends_with_1_on_a_difference(tmp_path, monkeypatch, capsys):
    name = "ltv-and-supply-cap"
    values = kept_values(name)
    monkeypatch.setattr(rebuild, "run_arms", lambda *_, **__: values)
    page = tmp_path / "page.md"
    page.write_text(f"<!-- begin {name} -->\n<!-- end {name} -->\n")
    where = ["--only", name, "--reference", str(tmp_path), "--page", str(page)]
    assert rebuild.main(where) == 2  # nothing is kept yet
    assert rebuild.main([*where, "--write"]) == 0
    assert rebuild.main(where) == 0
    table = json.loads((tmp_path / f"{name}.json").read_text())
    assert page_part(STUDIES[name], table) in page.read_text()
    page.write_text(page.read_text().replace("shortfall", "loss", 1))
    values["ltv-0.5-supply-1M"]["borrowed_usd"][0] *= 1.0 + 1e-8
    capsys.readouterr()
    assert rebuild.main(where) == 1
    told = capsys.readouterr().out
    assert "ltv-0.5-supply-1M.borrowed_usd.0" in told
    assert "not what the table says" in told
