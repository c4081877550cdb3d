"""The page on behaviour says what the reference says, and no miss without a word on it."""

import json
from pathlib import Path

import pytest

from stressbook.experiments.inference import Estimate
from stressbook.experiments.validation.rebuild import PARTS
from stressbook.experiments.validation.table import Row, markdown

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8")
REFERENCE = json.loads(
    (ROOT / "results" / "reference" / "behaviour.json").read_text(encoding="utf-8")
)


def number(value):
    return float("nan") if value is None else value


def rows_of(part):
    return [
        Row(
            one["what"],
            one["where"],
            one["unit"],
            Estimate(
                number(one["value"]),
                number(one["low"]),
                number(one["high"]),
                one["n"],
                one["level"],
            ),
            one["target"],
            one["verdict"],
            one["note"],
        )
        for one in REFERENCE[part]["rows"]
    ]


@pytest.mark.parametrize("part", PARTS)
def test_the_table_on_the_page_is_the_reference(part):
    begin, end = f"<!-- begin {part} -->\n", f"\n<!-- end {part} -->"
    assert PAGE.split(begin)[1].split(end)[0] == markdown(rows_of(part))


@pytest.mark.parametrize("part", PARTS)
def test_every_miss_is_explained_below_its_table(part):
    text = PAGE.split(f"<!-- end {part} -->")[1].split("<!-- begin")[0]
    missed = {row.name for row in rows_of(part) if row.verdict in ("miss", "missed")}
    assert {name for name in missed if f"**{name}**" not in text} == set()
