"""The table of behaviour at full size: rebuilt, compared with the reference, its gates held.

`make verify` has run the seeds just before; what it kept is read here.
"""

import json
import math
from pathlib import Path

import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.validation.rebuild import PARTS, Settings, rebuild
from stressbook.experiments.validation.table import as_record

pytestmark = pytest.mark.verify
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference" / "behaviour.json"

# What has to hold before anything else is believed: (part, start of the name, verdicts allowed).
GATES = [
    ("calm", "steps with spot within", {"inside"}),
    ("calm", "steps with two sides", {"inside"}),
    ("calm", "profit net of revaluation", {"inside", "compatible", "undecided"}),
    ("calm", "liquidated over open interest", {"inside", "compatible", "undecided"}),
    ("calm", "drift in the last hour", {"met", "undecided"}),
    ("stationarity", "first day less last ten", {"met", "undecided"}),
    ("stressed", "gap between R and F in any mark", {"met"}),
    ("stressed", "R - F for a doubling", {"met"}),
    ("stressed", "R - F, forced trading", {"met"}),
]


@pytest.fixture(scope="module")
def tables():
    settings = Settings(workers=2, folder=ROOT / "results" / "runs" / "verify")
    return rebuild(tuple(PARTS), settings)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate[0]}: {gate[1]}")
def test_gates_hold(tables, gate):
    part, name, allowed = gate
    rows = [row for row in tables[part] if row.name.startswith(name)]
    assert rows
    failed = {f"{row.where}": row.verdict for row in rows if row.verdict not in allowed}
    assert not failed


def test_hedged_books_carry_more_under_portfolio_margin(tables):
    verdicts = {
        row.where: row.verdict for row in tables["regimes"] if row.name == "hyperliquid-pm - cross"
    }
    for place in ("basis_trader BTC", "hedger HYPE", "holder BTC", "holder HYPE"):
        assert verdicts[f"{place}, enrolled accounts"] == "met"


def test_the_reference_is_what_the_runs_give(tables):
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    assert set(reference) == set(tables)
    for part, rows in tables.items():
        assert reference[part]["scenario"] == load_scenario("hyperliquid").digest()
        for row, kept in zip(rows, reference[part]["rows"], strict=True):
            now = as_record(row)
            assert (now["what"], now["where"]) == (kept["what"], kept["where"])
            for name in ("value", "low", "high"):
                if math.isfinite(now[name]):
                    assert now[name] == pytest.approx(kept[name], rel=1e-9, abs=1e-12)
