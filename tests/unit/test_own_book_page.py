"""The page on one's own book: columns, outcomes and the example are those of the code."""

import re
from pathlib import Path

from stressbook.experiments.own_book.account_outcomes import ACCOUNT_OUTCOMES
from stressbook.experiments.own_book.holdings import COLUMNS, KINDS
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-book.md").read_text(encoding="utf-8")


def first_cells(head):
    table = PAGE[PAGE.index(f"| {head} |") :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_columns_kinds_and_outcomes_are_those_of_the_code():
    assert first_cells("column") == list(COLUMNS)
    assert first_cells("outcome") == [one.name for one in ACCOUNT_OUTCOMES]
    (kinds,) = re.findall(r"^\| `kind` \| (.*) \|$", PAGE, re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", kinds)) == KINDS


def test_the_example_opens_in_the_scenario_of_the_page():
    scenario = load_scenario(
        "hype-fall", overrides=[f"population={ROOT / 'examples' / 'my_book.csv'}"]
    )
    assert scenario.population.account_names == ("carry", "levered", "borrower")
    assert all(name in PAGE for name in ("levered", "examples/my_book.csv"))
    sim = Simulation(scenario, seed=7)
    assert sim.enrolment["own_book"].enrolled == 2
