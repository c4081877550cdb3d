"""The examples run as they stand."""

import runpy
from pathlib import Path

import pytest

from tests.own_names import own_names_forgotten

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_shows_something(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with own_names_forgotten():
        runpy.run_path(str(path), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.parametrize("name", ["own_agent", "own_stress"])
def test_an_own_class_takes_twenty_lines(name):
    text = next(path for path in EXAMPLES if path.stem == name).read_text()
    body = text.partition("import stressbook as sb\n")[2].partition("\nif __name__")[0]
    assert len(body.strip().splitlines()) <= 20
