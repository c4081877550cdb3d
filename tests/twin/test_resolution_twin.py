"""The way down on random venues: kernels and plain Python stay equal to the bit."""

from collections import Counter

import numpy as np
import pytest

from stressbook.market.rules.policies import (
    ALLOCATE_POLICIES,
    BACKSTOP_POLICIES,
    CANCEL_POLICIES,
    PRICE_POLICIES,
    SCORE_POLICIES,
    SELECT_POLICIES,
    SOCIALISE_POLICIES,
    TAKER_POLICIES,
)
from stressbook.market.state.codes import (
    EV_AUCTION,
    EV_BACKSTOP_USED,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_COLLATERAL_BOUGHT,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_FUNDING,
    EV_HAIRCUT,
    EV_INTEREST,
    EV_LIQUIDATION_FEE,
    EV_RISK_ORDER_CANCELLED,
    EV_SHORTFALL_PAID,
    EV_SLICE,
    EV_SOCIALISED,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    EV_TOKEN_DEBT,
    EV_WRITTEN_OFF,
)
from tests.distress import (
    FOLLOWING_RULE_SETS,
    RULE_SETS,
    TWO_WAY_RULE_SETS,
    DistressedVenue,
    QuotingVenue,
    TwoWayVenue,
)
from tests.small_venue import BTC, ETH, HYPE, differences

pytestmark = pytest.mark.boundscheck

SEEDS = (0, 2, 3, 5, 7, 10)  # between them they reach every branch: see below
POLICIES = {
    "select": SELECT_POLICIES,
    "taker": TAKER_POLICIES,
    "price": PRICE_POLICIES,
    "backstop": BACKSTOP_POLICIES,
    "allocate": ALLOCATE_POLICIES,
    "score": SCORE_POLICIES,
    "socialise": SOCIALISE_POLICIES,
}
N_STEPS = 16
ORDERED = ["op", "user", "inst", "side", "price_tick", "qty_lots", "tif", "options"]


class Twin:
    """One random venue on both engines, fed with the same prices and messages."""

    def __init__(self, seed, values, kind=DistressedVenue):
        self.kernel = kind(seed, engine="kernel", values=values)
        self.reference = kind(seed, engine="reference", values=values)
        self.seen = Counter()

    def step(self):
        for venue in (self.kernel, self.reference):
            venue.random_step()
        assert differences(self.kernel.v, self.reference.v) == []
        # A limit that no bid came near leaves no other trace.
        assert self.kernel.forced[ORDERED].tolist() == self.reference.forced[ORDERED].tolist()
        self.seen.update(self.kernel.kinds())


@pytest.mark.parametrize("rules", sorted(RULE_SETS))
def test_both_venues_stay_equal_all_the_way_down(rules):
    for seed in SEEDS:
        twin = Twin(seed, RULE_SETS[rules])
        for _ in range(N_STEPS):
            twin.step()


@pytest.mark.parametrize("tool", sorted(FOLLOWING_RULE_SETS))
def test_both_venues_stay_equal_where_ranges_follow_volatility(tool):
    multiples = set()
    for seed in range(3):
        twin = Twin(seed, FOLLOWING_RULE_SETS[tool])
        for _ in range(N_STEPS):
            twin.step()
            multiples.update(twin.kernel.v.unit["range_multiple"][1].tolist())
        assert (twin.kernel.v.unit["range_multiple"][0] == 1.0).all()  # cross has no scan
    assert max(multiples) > 2.0 * min(multiples)


def test_both_venues_stay_equal_under_any_combination_of_policies():
    """Each seed draws one policy of every step, a margin regime, and how much capital there is."""
    for seed in range(24):
        rng = np.random.default_rng(1_000 + seed)
        values = {
            f"liquidation__{step}": str(rng.choice(sorted(p))) for step, p in POLICIES.items()
        }
        values |= {
            "backstop_usd": float(rng.choice([0.0, 5_000.0, 300_000.0])),
            "liquidation__auction_period_ms": int(rng.choice([3_000, 30_000])),
            "liquidation__auction_reserve_frac": float(rng.choice([0.0, 0.01, 0.1])),
            "liquidation__auction_insolvent_period_ms": 60_000,
            "regime": str(rng.choice(["hyperliquid-pm", "scan", "derive", "isolated"])),
            "orders__cancel_below_initial": str(rng.choice(sorted(CANCEL_POLICIES))),
        }
        twin = Twin(seed, values)
        for _ in range(N_STEPS):
            twin.step()


# What a rule needs to be reached at all; all else is out of the way of the book.
ALONE = {"liquidation__backstop": "none", "liquidation__adl_on": False, "backstop_usd": 300_000.0}
REACHED_BY = {
    "taker": {
        "liquidation__backstop": "vault",
        "liquidation__backstop_mm_frac": 0.0,
        "liquidation__auction_reserve_frac": 0.05,
    },
    "allocate": {"liquidation__adl_on": True},
    "score": {"liquidation__adl_on": True},
}


@pytest.mark.parametrize("rule", POLICIES)
def test_both_venues_stay_equal_under_each_policy_alone(rule):
    """In a random combination another rule may leave a policy nothing to decide."""
    for name in POLICIES[rule]:
        for seed in (3, 11):
            values = ALONE | REACHED_BY.get(rule, {}) | {f"liquidation__{rule}": name}
            twin = Twin(seed, values)
            for _ in range(N_STEPS):
                twin.step()


@pytest.mark.parametrize("way", sorted(CANCEL_POLICIES))
def test_both_venues_stay_equal_where_orders_go_for_margin(way):
    n_cancelled = Counter()
    for seed in range(4):
        twin = Twin(seed, {"orders__cancel_below_initial": way}, QuotingVenue)
        for _ in range(12):
            twin.step()
            orders = [e for e in twin.kernel.events if e["kind"] == EV_RISK_ORDER_CANCELLED]
            n_cancelled.update(int(e["lots"]) for e in orders)
    assert n_cancelled.total() > 30
    assert (max(n_cancelled) > 1) == (way == "not_offsetting")


@pytest.mark.parametrize("rules", sorted(TWO_WAY_RULE_SETS))
def test_both_venues_stay_equal_where_tokens_are_lent(rules):
    seen = Counter()
    for seed in range(6):
        twin = Twin(seed, TWO_WAY_RULE_SETS[rules], TwoWayVenue)
        for _ in range(N_STEPS):
            twin.step()
            # Interest and write-offs of tokens name the token.
            seen.update(int(e["kind"]) for e in twin.kernel.events if e["inst"] in (BTC, HYPE))
        assert twin.kernel.v.reserve[ETH].total_debt == 0
    assert {EV_TOKEN_DEBT, EV_INTEREST, EV_WRITTEN_OFF} <= set(seen)
    assert EV_SLICE in seen or rules == "lent_without_capital"


def test_the_random_venues_reach_every_branch():
    """Or the test above would prove less than it says."""
    seen = Counter()
    for rules in sorted(RULE_SETS):
        for seed in SEEDS:
            venue = DistressedVenue(seed, engine="kernel", values=RULE_SETS[rules])
            for _ in range(N_STEPS):
                venue.random_step()
                seen.update(venue.kinds())
    wanted = {
        EV_AUCTION,
        EV_BACKSTOP_USED,
        EV_BREACH,
        EV_BREACH_ENDED,
        EV_COLLATERAL_BOUGHT,
        EV_DEFICIT,
        EV_DELEVERAGED,
        EV_FORCED_ORDER,
        EV_FUNDING,
        EV_HAIRCUT,
        EV_INTEREST,
        EV_LIQUIDATION_FEE,
        EV_RISK_ORDER_CANCELLED,
        EV_SHORTFALL_PAID,
        EV_SLICE,
        EV_SOCIALISED,
        EV_TAKEOVER_ALL,
        EV_TAKEOVER_PERPS,
        EV_WRITTEN_OFF,
    }
    assert wanted - set(seen) == set()


def test_a_difference_of_one_unit_is_seen():
    twin = Twin(0, {})
    twin.step()
    twin.reference.v.cash[0] += 1
    assert differences(twin.kernel.v, twin.reference.v) == ["cash"]
    twin.reference.v.cash[0] -= 1
    twin.reference.v.risk[0].ratio = np.nextafter(twin.reference.v.risk[0].ratio, 2.0)
    assert differences(twin.kernel.v, twin.reference.v) == ["risk"]
