"""Each policy that a rule can name has a behaviour, on both engines."""

import ast
from pathlib import Path

import pytest

import stressbook.market
from stressbook.errors import OverflowFault
from stressbook.market.rules import policies
from stressbook.market.state import codes
from stressbook.market.state.codes import FAULT_POLICY
from stressbook.market.state.records import C_FAULT
from tests.distress import DistressedVenue, QuotingVenue

MARKET = Path(next(iter(stressbook.market.__path__)))
# Under it nothing happens that another policy would have to be told from.
WITHOUT_A_READER = {"VALUE_MAX_NOTHING"}
IN_A_BREACH = ("select", "taker", "price", "backstop", "allocate", "score", "socialise")
UNKNOWN = 99


def compared_names(path):
    """Names that stand in comparisons of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compared = (node for node in ast.walk(tree) if isinstance(node, ast.Compare))
    return {n.id for node in compared for n in ast.walk(node) if isinstance(n, ast.Name)}


def readers():
    """Names compared by kernels, and names compared by the reference."""
    kernels, reference = set(), set()
    for path in sorted(MARKET.rglob("*.py")):
        folder = path.relative_to(MARKET).parts[0]
        if folder == "reference":
            reference |= compared_names(path)
        elif folder not in ("rules", "state"):
            kernels |= compared_names(path)
    return kernels, reference


def constants_of(table):
    """Names of the codes that a table of policies stands for, in its own file."""
    tree = ast.parse(Path(policies.__file__).read_text(encoding="utf-8"))
    tables = {node.target.id: node.value for node in tree.body if isinstance(node, ast.AnnAssign)}
    return [value.id for value in tables[table].values]


@pytest.mark.parametrize("table", policies.__all__)
def test_each_policy_is_told_from_the_others_by_a_kernel_and_by_the_reference(table):
    constants = constants_of(table)
    assert {getattr(codes, name) for name in constants} == set(getattr(policies, table).values())
    wanted = set(constants) - WITHOUT_A_READER
    for found in readers():
        assert wanted - found == set()


@pytest.mark.parametrize("rule", IN_A_BREACH)
def test_a_code_without_behaviour_is_a_fault(rule, engine):
    """Not silently the last of those that have one."""
    meets_an_unknown_policy(DistressedVenue(0, engine=engine, values={"backstop_usd": 0.0}), rule)


def test_an_unknown_way_to_cancel_orders_is_a_fault(engine):
    meets_an_unknown_policy(QuotingVenue(0, engine=engine, values={}), "cancel_below_initial")


def meets_an_unknown_policy(s, rule):
    s.v.par[0][f"{rule}_policy"] = UNKNOWN
    s.engine.reload()
    with pytest.raises(OverflowFault, match="names a policy that has no behaviour"):
        run(s)
    assert s.v.ctr[C_FAULT] == FAULT_POLICY


def run(s):
    for _ in range(16):
        s.random_step()
