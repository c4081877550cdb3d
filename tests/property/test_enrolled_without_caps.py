"""Enrolled accounts where every cap is zero are cross accounts, to the last digit."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from stressbook.market.lending.reserve import refresh_collateral
from stressbook.market.margin.admission import admits, fill_keeps_margin
from stressbook.market.margin.loans import draw_needed_debt
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_BREACH_ENDED,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    OP_ENROL,
    OP_WITHDRAW,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
)
from tests.distress import N_ACCOUNTS, DistressedVenue, random_accounts
from tests.random_states import random_state
from tests.small_venue import SCRATCH, counting, same
from tests.twin.test_margin_twin import figures, random_order

NO_CAPS = {
    f"tokens.{token}.{cap}_cap": 0.0
    for token in ("USDC", "BTC", "HYPE")
    for cap in ("user_supply", "user_borrow", "platform_supply", "platform_borrow")
    if token == "USDC" or cap.endswith("supply")
}
# Nothing can be borrowed, but USDC can be lent.
NO_LOANS = {"tokens.USDC.user_borrow_cap": 0.0, "tokens.USDC.platform_borrow_cap": 0.0}
CAPS_AND_WAYS = [
    NO_CAPS,
    NO_LOANS,
    NO_LOANS | {"backstop_usd": 0.0, "liquidation.socialise": "positions"},
    {"margin.borrowable_in_credit": True, "tokens.USDC.platform_borrow_cap": 0.0},
    NO_CAPS | {"liquidation.backstop": "insurance_fund", "backstop_usd": 100_000.0},
    NO_LOANS | {"liquidation.taker": "auction", "liquidation.auction_period_ms": 20_000},
]
# What says that an account is enrolled, and by which rules: the only difference there may be.
BADGES = ("regime", "account_mode", "enrolled")
RULES = {"regime", "leg", "move", "unit", "hedge_step", "floor_step", "loan_step", "credit"}


def test_margin_and_decisions_of_an_order():
    codes = Counter()
    for seed in range(10):
        enrolled, rng = random_state(seed, values=NO_CAPS)
        cross, _ = random_state(seed, values=NO_CAPS, regime="cross")
        n = int(cross.par[0].backstop_user)
        enrolled.row["regime"][:n] = REGIME_PORTFOLIO
        enrolled.user["account_mode"][:n] = MODE_PORTFOLIO
        cross.row["regime"][:n] = REGIME_CROSS
        cross.user["account_mode"][:n] = MODE_STANDARD
        refresh_collateral(enrolled)
        for user in range(n):
            assert figures(enrolled, user) == figures(cross, user), (seed, user)
            assert draw_needed_debt(enrolled, user) == 0
        for _ in range(60):
            user = int(rng.integers(n))
            inst, side, tick, lots = random_order(enrolled, rng, user)
            asked = (user, inst, side, tick, lots)
            code = admits(enrolled, *asked, 0)
            assert code == admits(cross, *asked, 0), (seed, asked)
            fills = fill_keeps_margin(enrolled, *asked)
            assert fills == fill_keeps_margin(cross, *asked), (seed, asked)
            codes[code, bool(fills)] += 1
        for name in ("cash", "supply", "debt", "flow"):
            assert np.array_equal(getattr(enrolled, name), getattr(cross, name)), name
    assert len(codes) >= 4


class Badged(DistressedVenue):
    """A random venue without loans whose accounts are all enrolled, or all are not."""

    def __init__(self, seed, *, portfolio, values):
        self.portfolio = portfolio
        named = {name.replace(".", "__"): x for name, x in values.items()}
        regime = "hyperliquid-pm" if portfolio else "cross"
        super().__init__(seed, engine="kernel", values={"regime": regime} | named)

    def random_accounts(self, rng):
        """As on any random venue, but nobody owes."""
        return [
            replace(
                one,
                regime=REGIME_PORTFOLIO if self.portfolio else REGIME_CROSS,
                account_mode=MODE_PORTFOLIO if self.portfolio else MODE_STANDARD,
                cash_micro=one.cash_micro + one.debt,
                debt=0,
            )
            for one in random_accounts(rng)
        ]

    def send(self, **message):
        """Nobody changes its badge."""
        if message["op"] != OP_ENROL:
            super().send(**message)

    def take_tokens_out(self):
        """An account asks for half of a token, whatever state it is in."""
        user, token = int(self.rng.integers(N_ACCOUNTS)), int(self.rng.choice([1, 3]))
        units = int(self.v.token[user, token]) // 2
        if units > 0:
            self.send(op=OP_WITHDRAW, user=user, inst=token, qty_lots=units)


@pytest.mark.parametrize("values", CAPS_AND_WAYS, ids=range(len(CAPS_AND_WAYS)))
def test_whole_runs_down(values):
    seen = Counter()
    for seed in range(6):
        venues = [Badged(seed, portfolio=portfolio, values=values) for portfolio in (True, False)]
        for _ in range(16):
            for venue in venues:
                venue.take_tokens_out()
                venue.random_step()
            assert unlike(*(venue.v for venue in venues)) == [], seed
            seen.update(venues[0].kinds())
    assert {EV_BREACH, EV_BREACH_ENDED} <= set(seen)


def unlike(enrolled, cross):
    """Names of the arrays that differ, badges and tables of the rules apart."""
    names = [name for name in enrolled._fields if name not in SCRATCH | RULES]
    return [name for name in names if not same(unbadged(enrolled, name), unbadged(cross, name))]


def unbadged(v, name):
    entries = counting(v, name).copy()
    for badge in set(BADGES) & set(entries.dtype.names or ()):
        entries[badge] = 0
    if name == "reserve":  # of collateral it counts what enrolled accounts hold
        entries["total_supply"][1:] = 0
    return entries
