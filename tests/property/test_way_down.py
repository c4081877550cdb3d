"""What must hold on the way down whatever the accounts, the prices and the messages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stressbook.market.state.codes import (
    BUY,
    CAUSE_DEFICIT,
    EV_BREACH,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_SHORTFALL_PAID,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    GTC,
    OP_DEPOSIT,
    REGIME_PORTFOLIO,
    SELL,
)
from tests.distress import HOUSE, RULE_SETS, DistressedVenue
from tests.small_venue import BTC_PERP, BTC_SPOT, HYPE_PERP, HYPE_SPOT

SEEDS = st.integers(0, 2**32 - 1)
# A takeover of everything takes perps along: one measure, of which the second event speaks.
MEASURES = (EV_DELEVERAGED, EV_FORCED_ORDER, EV_SLICE, EV_TAKEOVER_ALL, EV_TAKEOVER_PERPS)
# Rules that leave a breach alone, for a while at least.
WAITING = ("slices_of_the_rest", "recorded_only", "auctions", "auctions_to_a_fund")
CASH_ONLY = ("haircuts", "small_fund")
# Rules by which others than the treasury pay, or it pays for more than deficits.
SHARING = (
    "at_the_mark",
    "auctions",
    "auctions_to_a_fund",
    "fund",
    "haircuts",
    "one_factor",
    "small_fund",
    "socialised",
)
RESOLVING = st.sampled_from(sorted(set(RULE_SETS) - set(WAITING)))
N_STEPS = 12
PERPS_AND_TOKENS = (
    (BTC_PERP, "BTC"),
    (HYPE_PERP, "HYPE"),
    (BTC_SPOT, "BTC"),
    (HYPE_SPOT, "HYPE"),
)


def run(seed, rules, n_steps=N_STEPS):
    """A random venue after each of its steps; conservation is checked within."""
    venue = DistressedVenue(seed, engine="kernel", values=RULE_SETS[rules])
    for _ in range(n_steps):
        breached = venue.v.user["breached"].copy()
        venue.random_step()
        yield venue, breached


def measures_of(venue, user):
    found = {int(e["kind"]) for e in venue.risk_events if e["user"] == user}
    measures = found & set(MEASURES)
    return measures - {EV_TAKEOVER_PERPS} if EV_TAKEOVER_ALL in measures else measures


@given(seed=SEEDS, rules=st.sampled_from(sorted(RULE_SETS)))
@settings(max_examples=60)
def test_no_account_is_left_below_zero_with_nothing_to_close_or_take(seed, rules):
    for venue, _ in run(seed, rules):
        v = venue.v
        for user in range(venue.backstop):
            has_collateral = v.row[user].regime == REGIME_PORTFOLIO and any(
                v.token_spec["ltv"][token] > 0.0 and v.token[user, token] > 0
                for token in range(1, v.token.shape[1])
            )
            if not v.perp[user].any() and not has_collateral:
                assert v.cash[user] >= v.debt[user, 0]
                assert not v.user[user].breached or v.cash[user] > v.debt[user, 0]


@given(seed=SEEDS, rules=st.sampled_from(sorted(RULE_SETS)))
@settings(max_examples=60)
def test_nothing_that_only_grows_or_shrinks_passes_zero(seed, rules):
    for venue, _ in run(seed, rules):
        v = venue.v
        users = slice(0, int(v.par[0].n_users))
        assert (v.token[users] >= 0).all()
        assert (v.debt >= 0).all()
        assert (v.supply >= 0).all()
        assert v.reserve[0].retained >= 0


@given(seed=SEEDS, rules=RESOLVING)
@settings(max_examples=60)
def test_each_account_in_breach_gets_exactly_one_measure_a_mark_update(seed, rules):
    for venue, was_breached in run(seed, rules):
        if venue.t_ms % 3_000:
            continue
        fell = {int(e["user"]) for e in venue.risk_events if e["kind"] == EV_BREACH}
        for user in range(venue.backstop):
            measures = measures_of(venue, user)
            assert len(measures) <= 1
            if measures:
                assert was_breached[user] or user in fell
            elif venue.users_at_risk_check[user].breached:
                # Deleveraged as a counterparty before its own turn, or its lent cash was enough.
                closed = any(e["counterparty"] == user for e in venue.risk_events)
                assert closed or venue.v.debt[user, 0] == 0 <= venue.v.cash[user]


@given(seed=SEEDS, rules=st.sampled_from(sorted(set(RULE_SETS) - {"recorded_only"})))
@settings(max_examples=60)
def test_accounts_in_breach_have_no_resting_orders_after_the_check(seed, rules):
    for venue, _ in run(seed, rules):
        if venue.t_ms % 3_000 == 0:
            at_check = venue.users_at_risk_check
            assert not (at_check["n_orders"] * at_check["breached"])[: venue.backstop].any()


@given(seed=SEEDS, rules=st.sampled_from(sorted(RULE_SETS)))
@settings(max_examples=60)
def test_deficits_are_what_the_treasury_and_holders_paid(seed, rules):
    booked = 0
    for venue, _ in run(seed, rules):
        booked += sum(int(e["amount_micro"]) for e in venue.events if e["kind"] == EV_DEFICIT)
        booked += sum(
            int(e["amount_micro"])
            for e in venue.events
            if e["kind"] == EV_SHORTFALL_PAID and e["counterparty"] == venue.v.par[0].row_treasury
        )
        paid = venue.v.flow[:, 0, CAUSE_DEFICIT]
        assert paid[paid > 0].sum() <= booked
        assert paid.sum() == 0
        if rules not in SHARING:
            assert -paid[int(venue.v.par[0].row_treasury)] == booked


@given(seed=SEEDS, rules=RESOLVING)
@settings(max_examples=40)
def test_with_prices_at_rest_and_buyers_every_breach_ends(seed, rules):
    *_, (venue, _) = run(seed, rules)
    venue.send(op=OP_DEPOSIT, user=HOUSE, inst=0, qty_lots=10**15)
    for inst, name in PERPS_AND_TOKENS:
        venue.order(HOUSE, inst, BUY, venue.prices[name] * 0.995, 10**7, tif=GTC)
        venue.order(HOUSE, inst, SELL, venue.prices[name] * 1.005, 10**7, tif=GTC)
    for _ in range(60):
        venue.update(**venue.prices)
        # Where winners pay in cash, a vault below zero sells on at its own pace.
        n = venue.backstop if rules in CASH_ONLY else venue.backstop + 1
        if not venue.v.user["breached"][:n].any():
            return
    raise AssertionError(venue.v.user["breached"])
