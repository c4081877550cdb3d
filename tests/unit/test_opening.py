"""The opening book: balanced, solvent, aged, and solved with the reserve."""

import numpy as np
import pytest

from stressbook.agents import carry_book, directional
from stressbook.agents.aging import LONG, SHORT, Life, Past, live, past_of
from stressbook.agents.classes import CLASSES
from stressbook.agents.directional import DirectionalParams
from stressbook.agents.directional_book import (
    Bet,
    balance,
    bets_of,
    maintenance_frac,
    turn_sides,
)
from stressbook.agents.drafts import Draft, listings, perp_lots, token_micro, token_units
from stressbook.agents.holder import HolderParams
from stressbook.agents.lender import LenderParams
from stressbook.agents.near_breach import near_breach_usd
from stressbook.agents.opening import OpeningParams, plain
from stressbook.agents.population import build_population
from stressbook.errors import InvalidScenario
from stressbook.experiments.scenario import load_scenario
from stressbook.market.margin.valuation import value_all
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.rules.listing import MarginTier
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import REGIME_PORTFOLIO

SPEC = load_preset("hyperliquid")
ASSETS = listings(SPEC)
BTC, ETH, SOL, HYPE = ASSETS
REGIMES = ("hyperliquid-pm", "cross")
POPULATION = {
    (regime, seed): build_population({}, SPEC, seed=seed, regime=regime)
    for regime in REGIMES
    for seed in (7, 8, 9)
}


def of_class(population, name):
    rule = CLASSES[name].rule
    (cohort,) = [cohort for cohort in population.cohorts if cohort.rule is rule]
    return cohort, [population.accounts[user] for user in cohort.users]


def breached(v):
    """Value every account; return those that the venue would have to resolve."""
    value_all(v)
    risk = v.risk[:-1]
    below = risk["equity_usd"] < risk["maintenance_usd"]
    over = risk["ratio"] > v.par[0].pm_trigger_ratio
    portfolio = risk["judged_as_portfolio"] == 1
    assert (risk["equity_usd"] >= 0.0).all()
    return np.flatnonzero(np.where(portfolio, over, below)).tolist()


@pytest.mark.parametrize("key", POPULATION, ids=str)
def test_perps_sum_to_zero(key):
    for inst, entry in enumerate(SPEC.instruments):
        lots = [account.perps.get(inst, (0, 0))[0] for account in POPULATION[key].accounts]
        assert sum(lots) == 0
        assert (max(lots) > 0) == (entry.kind == "perp")


@pytest.mark.parametrize("key", POPULATION, ids=str)
def test_nobody_opens_in_breach(key):
    v = make_state(SPEC, POPULATION[key].accounts, seed=key[1])
    assert breached(v) == []
    # What is drawn at once is what rounding has left.
    booked = sum(account.debt for account in POPULATION[key].accounts)
    assert 0 <= int(v.reserve[0].total_debt) - booked < 1_000_000


def test_carry_books_are_hedged():
    for regime in REGIMES:
        for account in of_class(POPULATION[regime, 7], "basis_trader")[1]:
            for one in ASSETS:
                tokens = account.tokens.get(one.token, 0) / one.unit
                lot_size = SPEC.instruments[one.perp].lot_size
                coins = account.perps.get(one.perp, (0, 0))[0] * lot_size
                assert tokens + coins == pytest.approx(0.0, abs=lot_size)


def test_holders_borrow_to_their_load():
    cohort, accounts = of_class(POPULATION["hyperliquid-pm", 7], "holder")
    for p, account in zip(cohort.parameters, accounts, strict=True):
        one = ASSETS[p.asset]
        value = token_micro(one, account.tokens[one.token])
        if account.regime == REGIME_PORTFOLIO:
            assert account.debt / (one.ltv * value) == pytest.approx(p.load, abs=1e-3)
            assert account.cash_micro + account.debt == pytest.approx(0.0, abs=2e6)
        else:
            assert account.debt == 0
            assert value / 1e6 == pytest.approx(p.equity_usd, rel=1e-4)


def test_gross_over_equity_is_that_of_the_regime():
    found = {}
    for regime in REGIMES:
        cohort, accounts = of_class(POPULATION[regime, 7], "holder")
        mine = [i for i, p in enumerate(cohort.parameters) if p.asset == HYPE.asset]
        tokens = sum(token_micro(HYPE, accounts[i].tokens[HYPE.token]) for i in mine) / 1e6
        found[regime] = tokens / cohort.parameters["equity_usd"][mine].sum()
    assert found["cross"] == pytest.approx(1.0, rel=1e-4)
    assert 1.6 < found["hyperliquid-pm"] < 2.0


def test_hedgers_open_at_the_minimum_variance_ratio():
    cohort, accounts = of_class(POPULATION["cross", 7], "hedger")
    for p, m, account in zip(plain(cohort.parameters), cohort.memory, accounts, strict=True):
        ratio = p.cover * min(max(m.covariance / m.variance, p.ratio_low), p.ratio_high)
        one = ASSETS[p.asset]
        value = token_micro(one, account.tokens[one.token]) / 1e6
        basket = sum(
            account.perps[a.perp][0] * SPEC.instruments[a.perp].lot_size * a.price_usd
            for a in ASSETS
        )
        assert basket == pytest.approx(-ratio * value, rel=1e-3)
        assert account.cash_micro / 1e6 == pytest.approx(p.equity_usd - value, abs=1.0)


def test_funding_average_opens_at_its_long_run():
    cohort, _ = of_class(POPULATION["hyperliquid-pm", 7], "basis_trader")
    funding = OpeningParams().funding
    for p, m in zip(cohort.parameters, cohort.memory, strict=True):
        assert m.funding_ema == funding[ASSETS[p.asset].name]
    assert (cohort.memory["next_ms"] < cohort.parameters["interval_ms"]).all()
    assert len(set(cohort.memory["next_ms"])) > 30


# --- the reserve ---------------------------------------------------------------------------------


def debts(population):
    return sum(account.debt for account in population.accounts) / 1e6


@pytest.mark.parametrize("cap", [20e6, 100e6])
def test_platform_cap_rations_every_debt_alike(cap):
    capped = SPEC.with_values({"tokens.USDC.platform_borrow_cap": cap})
    population = build_population({}, capped, seed=7)
    assert debts(population) == pytest.approx(0.9 * cap, rel=0.01)
    assert population.debt_share < 0.5
    _, holders = of_class(population, "holder")
    _, wanted = of_class(POPULATION["hyperliquid-pm", 7], "holder")
    for one, other in zip(holders, wanted, strict=True):
        assert one.debt == pytest.approx(population.debt_share * other.debt, abs=2e3 * 1e6 / 1e3)


def test_user_cap_bounds_each_debt():
    capped = SPEC.with_values({"tokens.USDC.user_borrow_cap": 3e6})
    population = build_population({}, capped, seed=7)
    largest = max(account.debt for account in population.accounts) / 1e6
    assert 0.85 * 3e6 < largest < 0.95 * 3e6
    v = make_state(capped, population.accounts, seed=7)
    assert breached(v) == []


def test_rate_and_debts_fit_together_beyond_the_kink():
    params = {"lender": LenderParams(supply_usd=330e6)}
    population = build_population(params, SPEC, seed=7)
    usdc = SPEC.tokens[0]
    assert population.utilisation > usdc.kink_utilisation
    rate = usdc.rate_base + usdc.rate_slope * (population.utilisation - usdc.kink_utilisation)
    assert population.borrow_rate == pytest.approx(rate, abs=1e-3)
    assert debts(population) == pytest.approx(population.utilisation * 330e6)


def test_without_supply_nobody_borrows():
    population = build_population({"lender": LenderParams(supply_usd=0.0)}, SPEC, seed=7)
    assert debts(population) == 0.0
    assert make_state(SPEC, population.accounts, seed=7).cash.sum() == 0


# --- directional traders -------------------------------------------------------------------------

TIERS = [MarginTier(0.0, 40)]
PAST_HOURS = 240


def trader(leverage=5.0, **changes):
    r = directional.account_parameters(
        DirectionalParams(**changes),
        np.array([5 << 20]),
        seed=7,
        asset=0,
        name="BTC",
        tiers=TIERS,
    )
    r["leverage"] = leverage
    return plain(r)[0]


def flat_past(price=None, probability=0.5):
    prices = np.ones(PAST_HOURS + 1) if price is None else np.asarray(price, float)
    return Past(prices, np.full(PAST_HOURS + 1, probability))


def lives(p, past, n=2000, maintenance=0.0125):
    return [live(p, past, seed=3, key=key, maintenance_frac=maintenance) for key in range(n)]


def test_ages_and_waits_are_stationary():
    found = lives(trader(), flat_past())
    assert np.mean([life.is_open for life in found]) == pytest.approx(2 / 3, abs=0.04)
    held = [life.until_s for life in found if life.is_open]
    waiting = [life.until_s for life in found if not life.is_open]
    assert np.mean(held) == pytest.approx(48 * 3600, rel=0.1)
    assert np.mean(waiting) == pytest.approx(24 * 3600, rel=0.15)
    assert all(life.money == (1.0, 1.0) for life in found if not life.is_open)


def test_a_fall_wipes_out_the_longs_that_it_would_have():
    price = np.where(np.arange(PAST_HOURS + 1) < PAST_HOURS - 1, 1.0 / 0.7, 1.0)
    for leverage, wiped in ((5.0, True), (3.0, False)):
        found = lives(trader(leverage), flat_past(price))
        longs = [life for life in found if life.is_open and life.is_long and life.entry > 1.1]
        assert bool(longs) != wiped
        shorts = [life for life in found if life.is_open and not life.is_long and life.entry > 1.1]
        assert shorts
        gain = leverage * 0.3
        assert {round(life.money[SHORT], 9) for life in shorts} == {round(1.0 + gain, 9)}
        assert all(life.alive == (not wiped, True) for life in shorts)


def test_the_wiped_out_wait_with_little_and_come_back_with_all():
    price = np.where(np.arange(PAST_HOURS + 1) < PAST_HOURS - 2, 1.0 / 0.7, 1.0)
    found = lives(trader(10.0, long_bias={"BTC": 0.5}), flat_past(price, probability=1.0))
    wiped = [life for life in found if not life.is_open and life.money[0] < 0.1]
    assert len(wiped) > 0.5 * len(found)
    assert {life.money[0] for life in wiped} == {0.5 * 0.0125 * 10.0}
    earlier = np.where(np.arange(PAST_HOURS + 1) < 40, 1.0 / 0.7, 1.0)
    found = lives(trader(10.0, long_bias={"BTC": 0.5}), flat_past(earlier, probability=1.0))
    assert np.mean([life.is_open for life in found]) == pytest.approx(2 / 3, abs=0.05)


def test_the_past_has_its_volatility_and_correlation():
    r = directional.account_parameters(
        DirectionalParams(), np.array([5 << 20]), seed=7, asset=0, name="BTC", tiers=TIERS
    )[0]
    steps = []
    for asset, loading in ((0, 1.0), (3, 0.54)):
        pasts = [
            past_of(r, seed=seed, asset=asset, daily_volatility=0.05, market_loading=loading)
            for seed in range(30)
        ]
        assert all(past.price[-1] == 1.0 for past in pasts)
        steps.append(np.concatenate([np.diff(np.log(past.price)) for past in pasts]))
    assert steps[0].std() * np.sqrt(24) == pytest.approx(0.05, rel=0.05)
    assert steps[1].std() * np.sqrt(24) == pytest.approx(0.05, rel=0.05)
    assert np.corrcoef(steps)[0, 1] == pytest.approx(0.54, abs=0.05)


@pytest.mark.parametrize(("times_today", "held"), [(3.0, True), (3.3, False)])
def test_who_entered_off_the_ladder_has_left(times_today, held):
    # The ladder of HYPE ends at 3.1 times the opening price; shorts have survived the fall.
    price = np.where(np.arange(PAST_HOURS + 1) < PAST_HOURS, times_today, 1.0)
    keys = np.arange(200) + (directional.RULE.class_id << 20)
    r = directional.account_parameters(
        DirectionalParams(), keys, seed=7, asset=HYPE.asset, name="HYPE", tiers=TIERS
    )
    past = flat_past(price, probability=0.0)
    bets = bets_of(plain(r), keys.tolist(), class_id=5, one=HYPE, spec=SPEC, past=past, seed=7)
    assert (sum(one.lots for one in bets if one.life.entry > 1.0) > 0) == held


def test_class_opens_about_as_rich_as_it_enters():
    ratios = []
    for (regime, _), population in POPULATION.items():
        if regime == "hyperliquid-pm":
            cohort, accounts = of_class(population, "directional")
            v = make_state(SPEC, population.accounts, seed=1)
            value_all(v)
            equity = v.risk["equity_usd"][cohort.users].sum()
            ratios.append(equity / cohort.parameters["equity_usd"].sum())
            assert np.mean([bool(a.perps) for a in accounts]) == pytest.approx(2 / 3, abs=0.08)
    assert 0.8 < np.mean(ratios) < 1.1


def test_phases_match_positions():
    cohort, accounts = of_class(POPULATION["hyperliquid-pm", 7], "directional")
    for p, m, account in zip(cohort.parameters, cohort.memory, accounts, strict=True):
        lots = account.perps.get(ASSETS[p.asset].perp, (0, 0))[0]
        assert m.phase == (directional.HOLDING if lots else directional.FLAT)
        assert m.target_lots == lots
        assert m.until_ms > 0


# --- longs and shorts ----------------------------------------------------------------------------


def bet(lots, side, draw, alive=(True, True), key=0):
    life = Life(lots > 0, 1.0, side == LONG, draw, 1.0, (1.0, 1.0), alive)
    return Bet(Draft(key, 5, 0), None, life, side, lots)


def test_sides_turn_from_the_undecided_to_the_decided():
    bets = [bet(10, SHORT, 0.9), bet(10, SHORT, 0.6), bet(10, LONG, 0.2), bet(0, SHORT, 0.5)]
    turn_sides(bets, 12)
    assert [one.side for one in bets] == [SHORT, LONG, LONG, SHORT]
    turn_sides(bets, -10)
    assert [one.side for one in bets] == [SHORT, SHORT, LONG, SHORT]


def test_who_would_not_have_survived_does_not_turn():
    bets = [bet(10, SHORT, 0.6, alive=(False, True)), bet(10, SHORT, 0.9)]
    turn_sides(bets, 2)
    assert [one.side for one in bets] == [SHORT, LONG]


def test_where_too_few_can_turn_others_enter_today_on_the_other_side():
    bets = [bet(100, SHORT, 0.6, alive=(False, True)), bet(10, LONG, 0.1)]
    bets[0].life = bets[0].life._replace(entry=0.8, money=(-0.1, 1.3))
    bets[0].draft.entries_e8[3] = 80
    turn_sides(bets, 70)
    assert [one.signed_lots for one in bets] == [80, 10]
    assert bets[0].draft.entries_e8 == {3: 100}
    assert bets[0].life.money == (1.0, 1.0)
    assert balance(bets, 70, name="BTC") == [62, 8]


@pytest.mark.parametrize("seed", [4, 7])
def test_a_crowd_at_twice_its_leverage_can_be_balanced(seed):
    scenario = load_scenario("hyperliquid")
    doubled = scenario.with_(agents={"directional": {"leverage_multiplier": 2.0}})
    population = build_population(
        doubled.agents,
        doubled.venue_spec(),
        seed=seed,
        world=doubled.world,
    )
    for inst in range(len(doubled.venue_spec().instruments)):
        assert sum(one.perps.get(inst, (0, 0))[0] for one in population.accounts) == 0


def test_balance_scales_longs_and_gives_the_rest_to_the_largest():
    bets = [bet(10, LONG, 0.1), bet(23, LONG, 0.1), bet(20, SHORT, 0.9), bet(0, LONG, 0.5)]
    signed = balance(bets, 17, name="BTC")
    assert sum(signed) == 17
    assert signed[2:] == [-20, 0]
    assert signed[0] == 11


@pytest.mark.parametrize("net", [0, 200])
def test_books_that_nobody_can_take_are_refused(net):
    bets = [bet(100, SHORT, 0.9)] if net == 0 else [bet(100, LONG, 0.1)]
    with pytest.raises(InvalidScenario, match="cannot take the other side") as raised:
        balance(bets, net, name="BTC")
    assert raised.value.name == "population.directional.BTC"
    assert "directional.gross_usd" in raised.value.hint


def test_no_traders_and_nothing_to_balance():
    assert balance([], 0, name="BTC") == []


def test_maintenance_follows_the_tiers():
    tiers = SPEC.assets[HYPE.asset].tiers
    v = make_state(SPEC, [], seed=1)
    for notional in (1e6, 20e6, 35e6):
        rates = v.tier[HYPE.asset]
        tier = rates[1] if notional > 20e6 else rates[0]
        wanted = notional * tier.maintenance_rate - tier.deduction_usd
        assert maintenance_frac(notional, tiers) * notional == pytest.approx(wanted)


def test_sizes_are_whole_lots():
    assert token_units(SPEC, BTC, 78_803.0 * 2.000004) == 2 * BTC.unit
    assert token_units(SPEC, HYPE, -5.0) == 0
    assert [perp_lots(SPEC, BTC, x * 0.78803) for x in (1.4, 1.6, -1.4, -1.6)] == [1, 2, -1, -2]
    assert token_micro(HYPE, HYPE.unit) == 84_035_000


def test_carriers_without_collateral_do_not_borrow():
    population = build_population(
        {"holder": HolderParams(load_mean=0.0, load_sd=0.0, load_low=0.0)},
        SPEC,
        seed=7,
    )
    _, holders = of_class(population, "holder")
    assert all(account.debt == 0 for account in holders)
    assert carry_book.CAP_SHARE == 0.9


# --- distance to breach --------------------------------------------------------------------------


def test_notional_near_breach_grows_with_the_move_and_leaves_the_state_alone():
    v = make_state(SPEC, POPULATION["hyperliquid-pm", 7].accounts, seed=7)
    before = v.cash.copy(), v.debt.copy(), v.price.copy(), v.risk.copy()
    near = near_breach_usd(v, [0.025, 0.036, 0.042, 0.05], hours=6.0, deviations=(0.0, 1.0, 3.0))
    assert near[0] == 0.0
    assert 0.0 < near[1] < near[2]
    for old, new in zip(before, (v.cash, v.debt, v.price, v.risk), strict=True):
        assert (old == new).all()


def test_account_at_a_known_distance_counts_from_there_on():
    # 20x long: 1 - 1/20 < q (1 - 1/80) keeps it, so it breaches 3.8 % below.
    lots = 100_000
    price_e8 = BTC.price_e8
    money = round(78_803.0 / 20 * 1e6)
    accounts = [
        AccountOpening(key=1, cash_micro=money, perps={BTC.perp: (lots, price_e8)}),
        AccountOpening(key=2, cash_micro=10**12, perps={BTC.perp: (-lots, price_e8)}),
    ]
    v = make_state(SPEC, accounts, seed=7)
    day = [0.01, 0.0, 0.0, 0.0]
    assert near_breach_usd(v, day, hours=24.0, deviations=(3.7, 4.0)) == [0.0, 78_803.0]
