"""The way down on random venues: kernels and plain Python stay equal to the bit."""

from collections import Counter

import numpy as np
import pytest

from stressbook.market.codes import (
    EV_BACKSTOP_USED,
    EV_BREACH,
    EV_BREACH_ENDED,
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
)
from tests.distress import RULE_SETS, DistressedVenue
from tests.small_venue import differences

pytestmark = pytest.mark.boundscheck

SEEDS = range(12)
N_STEPS = 16


class Twin:
    """One random venue on both engines, fed with the same prices and messages."""

    def __init__(self, seed, values):
        self.kernel = DistressedVenue(seed, engine="kernel", values=values)
        self.reference = DistressedVenue(seed, engine="reference", values=values)
        self.seen = Counter()

    def step(self):
        for venue in (self.kernel, self.reference):
            venue.random_step()
        assert differences(self.kernel.v, self.reference.v) == []
        self.seen.update(self.kernel.kinds())


@pytest.mark.parametrize("rules", sorted(RULE_SETS))
def test_both_venues_stay_equal_all_the_way_down(rules):
    for seed in SEEDS:
        twin = Twin(seed, RULE_SETS[rules])
        for _ in range(N_STEPS):
            twin.step()


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
        EV_BACKSTOP_USED,
        EV_BREACH,
        EV_BREACH_ENDED,
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
