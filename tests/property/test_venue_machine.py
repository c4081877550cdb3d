"""Deposits, orders, loans, prices and what follows, in any order, on both venues at once.

Whatever happens: nothing is made or lost, no draw goes beyond a cap or the pool, nobody in breach
is left alone longer than the rules allow, and the plain venue agrees to the bit.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stressbook.market.state.codes import (
    BUY,
    CAUSE_BORROW,
    EV_AUCTION,
    EV_COLLATERAL_BOUGHT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_HAIRCUT,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    GTC,
    IOC,
    OP_DEPOSIT,
    OP_ENROL,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_WITHDRAW,
    POST_ONLY,
    SELL,
)
from tests.distress import HOUSE, LENT, RULE_SETS, DistressedVenue
from tests.small_venue import BTC_PERP, BTC_SPOT, HYPE_PERP, HYPE_SPOT, differences

SETS = {**RULE_SETS, "lent": LENT}
BOOKS = {BTC_PERP: "BTC", HYPE_PERP: "HYPE", BTC_SPOT: "BTC", HYPE_SPOT: "HYPE"}
# Rules that may leave a breach alone for a while: slices that wait, auctions, nobody to resolve it.
WAITING = ("slices_of_the_rest", "recorded_only", "auctions", "auctions_to_a_fund")
MEASURES = {
    EV_AUCTION,
    EV_COLLATERAL_BOUGHT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_HAIRCUT,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
}

users = st.integers(0, HOUSE)
books = st.sampled_from(sorted(BOOKS))
sides = st.sampled_from((BUY, SELL))
near = st.floats(-0.1, 0.1)
sizes = st.integers(1, 300_000)


class VenueMachine(RuleBasedStateMachine):
    """A random distressed venue, twice."""

    @initialize(seed=st.integers(0, 2**32 - 1), rules=st.sampled_from(sorted(SETS)))
    def open(self, seed, rules):
        self.rules = rules
        self.venues = [
            DistressedVenue(seed, engine=engine, values=SETS[rules])
            for engine in ("kernel", "reference")
        ]
        self.prices = dict(self.venues[0].prices)

    def both(self, call, *arguments, **more):
        for venue in self.venues:
            getattr(venue, call)(*arguments, **more)

    @rule(
        name=st.sampled_from(("BTC", "HYPE")), change=st.sampled_from((-0.99, -0.5, -0.1, 0.1, 0.6))
    )
    def shock(self, name, change):
        low, high = (1_000.0, 240_000.0) if name == "BTC" else (1.0, 200.0)
        self.prices[name] = min(max(self.prices[name] * (1.0 + change), low), high)

    @rule(
        user=users,
        inst=books,
        side=sides,
        away=near,
        lots=sizes,
        tif=st.sampled_from((GTC, IOC, POST_ONLY)),
    )
    def order(self, user, inst, side, away, lots, tif):
        usd = self.prices[BOOKS[inst]] * (1.0 + away)
        self.both("order", user, inst, side, usd, lots, tif=tif)

    @rule(
        user=users,
        op=st.sampled_from((OP_DEPOSIT, OP_WITHDRAW, OP_SUPPLY, OP_REDEEM)),
        token=st.sampled_from((0, 0, 1, 3)),
        amount=st.integers(1, 10**12),
    )
    def request(self, user, op, token, amount):
        self.both("send", op=op, user=user, inst=token, qty_lots=amount)

    @rule(user=users, mode=st.integers(0, 2))
    def enrol(self, user, mode):
        self.both("send", op=OP_ENROL, user=user, qty_lots=mode)

    @rule(user=users, inst=st.sampled_from((BTC_PERP, HYPE_PERP)), amount=st.integers(1, 10**10))
    def add_isolated_margin(self, user, inst, amount):
        self.both("send", op=OP_TRANSFER, user=user, inst=inst, qty_lots=amount)

    @rule()
    def update(self):
        self.step("update")

    @rule()
    def hour(self):
        for venue in self.venues:
            venue.t_ms += 3_600_000 - venue.t_ms % 3_600_000 - 3_000
        self.step("update")

    def step(self, call):
        v = self.venues[0].v
        drawn = v.flow[: self.venues[0].backstop, 0, CAUSE_BORROW].copy()
        self.both(call, **self.prices)
        self.check_caps(v, v.flow[: self.venues[0].backstop, 0, CAUSE_BORROW] - drawn)
        self.check_breaches(self.venues[0])

    def check_caps(self, v, drawn):
        """Whoever drew is within its cap, and all together within the platform's and the pool."""
        usdc, reserve = v.token_spec[0], v.reserve[0]
        for user in (drawn > 0).nonzero()[0]:
            assert v.debt[user, 0] <= usdc.user_borrow_cap
        if (drawn > 0).any():
            assert reserve.total_debt <= usdc.platform_borrow_cap
            assert reserve.total_debt <= reserve.total_supply

    def check_breaches(self, venue):
        """Every account in breach at the check had its measure, or was closed as a counterparty."""
        if self.rules in WAITING:
            return
        touched = {int(e["user"]) for e in venue.risk_events if int(e["kind"]) in MEASURES}
        touched |= {int(e["counterparty"]) for e in venue.risk_events}
        for user in range(venue.backstop):
            if venue.users_at_risk_check[user].breached and user not in touched:
                v = venue.v
                assert not v.perp[user].any() or v.user[user].breached == 0
                owes = v.debt[user].any() or v.cash[user] < 0
                assert not owes or v.user[user].next_slice_ms > venue.t_ms - 3_000

    @invariant()
    def venues_agree(self):
        if hasattr(self, "venues"):
            assert differences(self.venues[0].v, self.venues[1].v) == []


VenueMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestVenueMachine = VenueMachine.TestCase
