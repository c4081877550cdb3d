"""Who trades: keys, traits, enrolment, and what stays the same when something else changes."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stressbook.agents.classes import CLASSES
from stressbook.agents.drafts import listings, token_micro
from stressbook.agents.holder import HolderParams
from stressbook.agents.population import (
    PLACE,
    build_population,
)
from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.numbers.units import NEAREST, mul_div
from stressbook.market.rules.parameters import describe
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import MODE_PORTFOLIO, REGIME_PORTFOLIO

SPEC = load_preset("hyperliquid")
ASSETS = listings(SPEC)
PORTFOLIO = build_population({}, SPEC, seed=7)
CROSS = build_population({}, SPEC, seed=7, regime="cross")


def equity_micro(account):
    """Value an account at the opening, in whole micro-USDC."""
    total = account.cash_micro
    for one in ASSETS:
        total += token_micro(one, account.tokens.get(one.token, 0))
        lots, entry_e8 = account.perps.get(one.perp, (0, 1))
        den = SPEC.instruments[one.perp].mark_den
        total += mul_div(lots, one.price_e8, den, NEAREST) - mul_div(lots, entry_e8, den, NEAREST)
    return total


def by_key(population):
    return {account.key: account for account in population.accounts}


def traits(population):
    """Return parameters and opening memory of every account by key."""
    return {
        population.accounts[user].key: (p.tobytes(), m.tobytes())
        for cohort in population.cohorts
        for user, p, m in zip(cohort.users, cohort.parameters, cohort.memory, strict=True)
    }


def test_same_seed_same_population():
    again = build_population({}, SPEC, seed=7)
    assert again.accounts == PORTFOLIO.accounts
    assert traits(again) == traits(PORTFOLIO)
    other = build_population({}, SPEC, seed=8)
    assert traits(other).keys() == traits(PORTFOLIO).keys()
    assert traits(other) != traits(PORTFOLIO)


def digest():
    """Return the hash of a population with its opening book."""
    population = build_population({}, SPEC, seed=7)
    hashed = hashlib.sha256(repr(population.accounts).encode())
    for cohort in population.cohorts:
        hashed.update(cohort.parameters.tobytes() + cohort.memory.tobytes())
    return hashed.hexdigest()


@pytest.mark.slow
def test_compiled_and_plain_python_build_the_same_population():
    other = "0" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "1"
    code = f"import runpy; print(runpy.run_path({__file__!r})['digest']())"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": other},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.strip() == digest()


def test_users_are_numbered_by_class_and_place():
    users = np.concatenate([cohort.users for cohort in PORTFOLIO.cohorts])
    assert users.tolist() == list(range(len(PORTFOLIO.accounts)))
    for cohort in PORTFOLIO.cohorts:
        accounts = [PORTFOLIO.accounts[user] for user in cohort.users]
        assert {account.class_id for account in accounts} == {cohort.rule.class_id}
        assert {account.key >> 20 for account in accounts} == {cohort.rule.class_id}
        assert cohort.parameters.dtype == cohort.rule.parameters
        assert cohort.memory.dtype == cohort.rule.memory
        asset = cohort.parameters["asset"] if "asset" in cohort.parameters.dtype.names else [0]
        if "inst" not in cohort.parameters.dtype.names:
            places = [account.key % 2**20 // PLACE for account in accounts]
            assert places == list(asset)
    assert len({account.key for account in PORTFOLIO.accounts}) == len(PORTFOLIO.accounts)


def test_every_class_has_its_own_desk():
    present = [name for name in CLASSES if name != "borrower"]  # who fill a cap: none by default
    assert [cohort.rule.name for cohort in PORTFOLIO.cohorts] == present


def test_added_accounts_move_no_other_trait():
    more = HolderParams().accounts | {"BTC": 33}
    params = {"holder": HolderParams(accounts=more)}
    larger = traits(build_population(params, SPEC, seed=7))
    smaller = traits(PORTFOLIO)
    holder = CLASSES["holder"].rule
    new = set(larger) - set(smaller)
    assert len(new) == 3
    assert {key >> 20 for key in new} == {holder.class_id}
    directional = CLASSES["directional"].rule.class_id
    for key, (p, m) in smaller.items():
        if key >> 20 == holder.class_id and key % 2**20 < PLACE:
            before = np.frombuffer(p, holder.parameters)[0]
            after = np.frombuffer(larger[key][0], holder.parameters)[0]
            # The total is shared by more: equity and what follows from it shrink, nothing else.
            assert after.equity_usd < before.equity_usd
            assert (after.load, after.rate_tolerance) == (before.load, before.rate_tolerance)
        else:
            assert larger[key][0] == p
        if key >> 20 != directional:
            assert larger[key][1] == m


def test_traits_do_not_depend_on_the_regime():
    portfolio, cross = traits(PORTFOLIO), traits(CROSS)
    assert {key: p for key, (p, _) in portfolio.items()} == {k: p for k, (p, _) in cross.items()}


def test_equity_does_not_depend_on_the_regime():
    cross = by_key(CROSS)
    for account in PORTFOLIO.accounts:
        assert equity_micro(account) == equity_micro(cross[account.key])


def test_equity_does_not_depend_on_caps():
    capped = SPEC.with_values(
        {"tokens.USDC.user_borrow_cap": 2e6, "tokens.USDC.platform_borrow_cap": 5e7}
    )
    other = by_key(build_population({}, capped, seed=7))
    for account in PORTFOLIO.accounts:
        assert equity_micro(account) == equity_micro(other[account.key])


def test_only_some_classes_enrol_and_only_under_portfolio():
    assert not any(account.regime == REGIME_PORTFOLIO for account in CROSS.accounts)
    enrolled = [account for account in PORTFOLIO.accounts if account.regime == REGIME_PORTFOLIO]
    classes = {CLASSES[name].rule.class_id for name in ("basis_trader", "hedger", "holder")}
    assert {account.class_id for account in enrolled} == classes
    assert all(account.account_mode == MODE_PORTFOLIO for account in enrolled)
    holders = [a for a in enrolled if a.class_id == CLASSES["holder"].rule.class_id]
    hype = [a for a in holders if a.key % 2**20 // PLACE == 3]
    assert (len(hype), len(holders) - len(hype)) == (30, 10)


def test_enrolling_more_moves_no_equity_of_others():
    everyone = replace(HolderParams(), enrolled_frac={"BTC": 1.0, "HYPE": 1.0})
    other = build_population({"holder": everyone}, SPEC, seed=7)
    assert {key: p for key, (p, _) in traits(other).items()} == {
        key: p for key, (p, _) in traits(PORTFOLIO).items()
    }
    for account in other.accounts:
        assert equity_micro(account) == equity_micro(by_key(PORTFOLIO)[account.key])


def test_enrolled_accounts_are_eligible():
    rules = SPEC.margin
    for account in PORTFOLIO.accounts:
        if account.regime == REGIME_PORTFOLIO:
            assert rules.eligible_value_usd * 1e6 < equity_micro(account)
            assert equity_micro(account) < rules.account_value_max_usd * 1e6


def test_latencies_are_lognormal_and_the_account_s_own():
    latency = np.array([account.latency_us for account in PORTFOLIO.accounts])
    assert np.median(latency) == pytest.approx(200_000, rel=0.1)
    assert (latency > 900_000).mean() < 0.03
    cross = by_key(CROSS)
    assert all(cross[a.key].latency_us == a.latency_us for a in PORTFOLIO.accounts)


def test_collateral_and_debt_are_near_the_recorded_ones():
    enrolled = [account for account in PORTFOLIO.accounts if account.regime == REGIME_PORTFOLIO]
    btc = sum(account.tokens.get(1, 0) for account in enrolled) / SPEC.tokens[1].unit
    hype = sum(account.tokens.get(3, 0) for account in enrolled) / SPEC.tokens[3].unit
    assert btc == pytest.approx(1_818, rel=0.2)
    assert hype == pytest.approx(9.9e6, rel=0.3)
    assert btc < SPEC.tokens[1].platform_supply_cap
    assert hype < SPEC.tokens[3].platform_supply_cap
    debt_usd = sum(account.debt for account in enrolled) / 1e6
    assert debt_usd == pytest.approx(264.3e6, rel=0.15)
    assert PORTFOLIO.utilisation == pytest.approx(debt_usd / 416.3e6, rel=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_says_what_it_is(name):
    for info in describe(CLASSES[name].params):
        assert info.unit, info.name
        assert info.help, info.name
        assert info.source, info.name
        if isinstance(info.default, float | int) and info.low is not None:
            assert info.low <= info.default <= (np.inf if info.high is None else info.high)


def test_unknown_regime_is_refused():
    with pytest.raises(UnknownName, match="'isolatd'") as raised:
        build_population({}, SPEC, seed=7, regime="isolatd")
    assert "isolated" in str(raised.value)


def test_too_many_accounts_of_a_place_are_refused():
    many = HolderParams().accounts | {"BTC": PLACE + 1}
    with pytest.raises(InvalidInput, match=r"holder\.accounts = 16385 is too large") as raised:
        build_population({"holder": HolderParams(accounts=many)}, SPEC, seed=7)
    assert "16384" in raised.value.allowed
