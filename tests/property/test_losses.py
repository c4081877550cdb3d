"""What suppliers lose, found a second time by walking over the books, whatever happens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stressbook.experiments.shortfall import BANDS_FRAC, sold_frac
from stressbook.market.state.codes import (
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    BUY,
    CAUSE_DELEVERAGING,
    CAUSE_FEE,
    CAUSE_FORCED_TRADE,
    CAUSE_FUNDING,
    CAUSE_OPENING,
    EV_BACKSTOP_USED,
    EV_WRITTEN_OFF,
    REGIME_PORTFOLIO,
)
from tests.distress import RULE_SETS, DistressedVenue
from tests.watched_venue import Watch

SEEDS = st.integers(0, 2**32 - 1)
CAPITAL = (CAUSE_OPENING, CAUSE_FORCED_TRADE, CAUSE_FUNDING, CAUSE_DELEVERAGING, CAUSE_FEE)


class Bookkeeper:
    """Adds up gaps from events, orders and balances, in plain Python."""

    def __init__(self, watch):
        self.watch, self.v = watch, watch.venue.v
        self.backstop = watch.venue.backstop
        self.booked = {BORNE_BY_RETAINED: 0, BORNE_BY_SUPPLIERS: 0, EV_BACKSTOP_USED: 0}
        self.oracles, self.depths = [], []

    def note(self):
        for e in self.watch.venue.events:
            if e["kind"] == EV_WRITTEN_OFF:
                self.booked[int(e["cause"])] += int(e["amount_micro"])
            elif e["kind"] == EV_BACKSTOP_USED:
                self.booked[EV_BACKSTOP_USED] += int(e["amount_micro"])
        oracles = self.v.price["oracle_usd"].copy()
        self.oracles.append(oracles)
        self.depths.append([self.bids(a, usd) for a, usd in enumerate(oracles)])

    def bids(self, asset, oracle_usd):
        spec = self.v.inst[int(self.v.asset[asset].spot_inst)] if self.has_book(asset) else None
        if spec is None:
            return np.zeros(len(BANDS_FRAC))
        orders = self.v.order[self.v.order["qty_lots"] > 0]
        mine = orders[(orders["inst"] == self.v.asset[asset].spot_inst) & (orders["side"] == BUY)]
        usd, lots = mine["price_tick"] * spec.tick_usd, mine["qty_lots"]
        return np.array(
            [lots[usd >= oracle_usd * (1.0 - f)].sum() for f in BANDS_FRAC], np.float64
        ) * (spec.lot_size * oracle_usd)

    def has_book(self, asset):
        return int(self.v.asset[asset].spot_inst) >= 0

    def prices(self, sellers):
        """By token: held on to, and sold by these rows."""
        found = {}
        for k, spec in enumerate(self.v.token_spec[1:], start=1):
            held = np.median([o[spec.asset] for o in self.oracles[-200:]])
            units = sum(self.tokens(row, k) for row in sellers)
            depth = np.median([d[spec.asset] for d in self.depths[-10:]], axis=0)
            found[k] = held, held * sold_frac(units * held, depth) if units > 0 else held
        return found

    def tokens(self, row, k):
        spec = self.v.token_spec[k]
        is_taken = self.v.row[row].regime == REGIME_PORTFOLIO and spec.ltv > 0.0
        return self.v.token[row, k] / spec.unit if is_taken or row == self.backstop else 0.0

    def perps_usd(self, row):
        marks = self.v.price["mark_usd"][self.v.inst["asset"]]
        return float((self.v.perp[row] * self.v.inst["lot_size"] * marks).sum())

    def totals(self):
        v, b = self.v, self.backstop
        debtors = [u for u in range(b) if v.debt[u, 0] > 0]
        sellers = [u for u in debtors if v.user[u].breached]
        prices = self.prices([*sellers, b])

        def gap(row, without_usd=0.0):
            worth = float(v.cash[row] + v.supply[row, 0] - v.debt[row, 0]) / 1e6
            is_sold = row in sellers or row == b
            worth += sum(self.tokens(row, k) * prices[k][is_sold] for k in prices)
            worth += self.perps_usd(row) - without_usd
            return min(v.debt[row, 0] / 1e6, max(0.0, -worth))

        used = self.booked[EV_BACKSTOP_USED] / 1e6
        capital = float(sum(v.flow[b, 0, cause] for cause in CAPITAL)) / 1e6
        capital += float(v.backstop[0].perp_cash_micro) / 1e6 + self.perps_usd(b) - used
        of_accounts = sum(gap(row) for row in debtors)
        net, gross = gap(b), gap(b, max(0.0, capital))
        open_usd = of_accounts + net
        retained = min(v.reserve[0].retained / 1e6, open_usd)
        return {
            "reserve_shortfall_usd": self.booked[BORNE_BY_SUPPLIERS] / 1e6 + open_usd - retained,
            "retained_used_usd": self.booked[BORNE_BY_RETAINED] / 1e6 + retained,
            "backstop_used_for_gaps_usd": used + gross - net,
            "gross_gaps_usd": sum(self.booked.values()) / 1e6 + of_accounts + gross,
        }


@given(seed=SEEDS, rules=st.sampled_from(sorted(RULE_SETS)), retained=st.integers(0, 20_000))
@settings(max_examples=40)
def test_gaps_are_borne_by_suppliers_retained_interest_and_the_backstop(seed, rules, retained):
    venue = DistressedVenue(seed, engine="kernel", values=RULE_SETS[rules])
    venue.v.reserve[0].retained += retained * 10**6
    venue.v.reserve[0].claim -= retained * 10**6
    watch = Watch(venue)
    books = Bookkeeper(watch)
    for _ in range(12):
        venue.random_step()
        watch.note()
        watch.minute()
        books.note()
        found, expected = watch.losses(), books.totals()
        assert {name: found[name] for name in expected} == pytest.approx(
            expected, rel=1e-9, abs=1e-3
        )
        borne = sum(found[name] for name in expected if name != "gross_gaps_usd")
        assert borne == pytest.approx(found["gross_gaps_usd"], rel=1e-9, abs=1e-3)
        if not venue.v.debt.any():
            assert found["shortfall_valued_frac"] == 0.0
