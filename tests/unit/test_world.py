"""The world outside: orders and their impact to the digit, paths, dials, copies, streams."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stressbook.errors import InvalidInput, InvalidScenario, OverflowFault, UnknownName
from stressbook.experiments.snapshot import copy_arrays, put_arrays
from stressbook.market.prices.dials import DIALS, neutral_dials, reset_dials
from stressbook.market.prices.outside_crowd import OutsideCrowd
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_parameters import (
    AssetWorld,
    OutsideLeg,
    WorldParams,
    checked,
    default_world,
)
from stressbook.market.prices.world_setup import (
    make_world,
    raise_world_faults,
    set_correlation_target,
)
from stressbook.market.state.codes import FAULT_OVERFLOW, FAULT_PATH_END

NAMES = ("BTC", "ETH", "SOL", "HYPE")
OPENING = {"BTC": 80_000.0, "ETH": 2_700.0, "SOL": 100.0, "HYPE": 84.0}
DEN = {"BTC": 10**7, "ETH": 10**6, "SOL": 10**4, "HYPE": 10**4}
STILL_LEG = OutsideLeg(half_spread_bp=1.0, impact_bp_per_musd=100.0)


def world(params=None, *, n_users=3, seed=7, **options):
    params = default_world(NAMES) if params is None else params
    names = [asset.name for asset in params.assets]
    return make_world(
        params,
        opening_usd=[OPENING[name] for name in names],
        lot_size=[100.0 / DEN[name] for name in names],
        mark_den=[DEN[name] for name in names],
        n_users=n_users,
        seed=seed,
        **options,
    )


def still_world(leg=STILL_LEG, *, cross_share=0.5, **options):
    """One asset at 100 USD whose price only flow can move; a lot is 0.01 token, 1 USD."""
    asset = AssetWorld("SOL", daily_volatility=0.0, cross_share=cross_share, spot=leg, perp=leg)
    return world(WorldParams(assets=(asset,), correlation=((1.0,),)), **options)


def crowded(params, open_interest_usd, **law):
    """The same world with a levered crowd in the outside perp of each asset."""
    crowd = OutsideCrowd(open_interest_usd=open_interest_usd, **law)
    return replace(params, assets=tuple(replace(asset, crowd=crowd) for asset in params.assets))


def run(w, n_steps, *, start_ms=0):
    dt_ms = int(w.par[0].dt_ms)
    for step in range(1, n_steps + 1):
        advance(w, start_ms + step * dt_ms)
    return start_ms + n_steps * dt_ms


def content(w):
    return b"".join(array.tobytes() for array in w)


# --- orders of accounts ---------------------------------------------------------------------------


@pytest.mark.boundscheck
def test_an_order_fills_at_the_mid_half_a_spread_and_its_average_impact():
    w = still_world()
    w.request[1, 0, OUTSIDE_SPOT] = 1_000_000  # 1 M USD: displacement 1 %, on average half of it
    advance(w, 1_000)
    price_e8 = round(100.0 * 1.005 * 1.0001 * 1e8)
    cost_micro = round(1_000_000 * price_e8 / 10**4)
    assert w.cash.tolist() == [0, -cost_micro, 0, cost_micro]
    assert w.inventory[:, 0, OUTSIDE_SPOT].tolist() == [0, 1_000_000, 0, -1_000_000]
    assert w.outside[0].spot_usd == pytest.approx(101.0, rel=1e-14)
    assert w.outside[0].perp_usd == pytest.approx(100.5, rel=1e-14)
    assert not w.request.any()


def test_a_sale_receives_less_than_the_mid():
    w = still_world()
    w.request[0, 0, OUTSIDE_PERP] = -100
    advance(w, 1_000)
    assert w.cash[0] == round(100 * round(100.0 * (1.0 - 5e-7) * 0.9999 * 1e8) / 10**4)
    assert w.inventory[0, 0].tolist() == [0, -100]


def test_beyond_its_threshold_impact_grows_with_the_root():
    w = still_world()
    w.request[0, 0, OUTSIDE_SPOT] = -12_000_000  # a load of 12 %, four times the threshold
    advance(w, 1_000)
    # .97 at the threshold, then the root in log price: (.06 - .03) / .97 below it.
    assert w.outside[0].spot_usd / 100.0 == pytest.approx(0.97 * math.exp(-0.03 / 0.97), rel=1e-12)


def test_orders_of_one_step_share_one_price_and_opposite_ones_cancel():
    w = still_world()
    w.request[0, 0, OUTSIDE_SPOT] = 3_000_000
    w.request[2, 0, OUTSIDE_SPOT] = -3_000_000
    advance(w, 1_000)
    assert w.outside[0].spot_usd == 100.0
    assert w.cash[0] == -3_000_000 * 100_010_000 // 100
    assert w.cash[2] == 3_000_000 * 99_990_000 // 100
    assert w.cash.sum() == 0


def test_impact_decays_with_its_two_half_lives():
    leg = replace(
        STILL_LEG, impact_fast_share=0.75, impact_fast_halflife_s=120, impact_slow_halflife_s=21_600
    )
    w = still_world(leg)
    w.request[0, 0, OUTSIDE_SPOT] = 1_000_000
    t_ms = run(w, 121)
    left = 0.75 * 0.5 + 0.25 * 0.5 ** (120 / 21_600)
    assert w.outside[0].spot_usd / 100.0 - 1.0 == pytest.approx(0.01 * left, rel=1e-10)
    w.dial[0].outside_recovery = 0.0
    before = float(w.outside[0].spot_usd)
    run(w, 10, start_ms=t_ms)
    assert w.outside[0].spot_usd == before


def test_the_depth_dial_divides_the_impact_of_new_flow_only():
    w = still_world()
    w.dial[0].outside_depth = 0.25
    w.request[0, 0, OUTSIDE_SPOT] = 100_000
    advance(w, 1_000)
    assert w.outside[0].spot_usd / 100.0 - 1.0 == pytest.approx(0.004, rel=1e-12)
    w.dial[0].outside_depth = 1.0
    w.dial[0].outside_recovery = 0.0
    advance(w, 2_000)
    assert w.outside[0].spot_usd / 100.0 - 1.0 == pytest.approx(0.004, rel=1e-12)


def test_no_round_trip_gains():
    leg = replace(STILL_LEG, half_spread_bp=0.0, impact_fast_halflife_s=1e12, impact_fast_share=1.0)
    rng = np.random.default_rng(11)
    for _ in range(50):
        w = still_world(leg, cross_share=1.0)
        trades = rng.integers(-4_000_000, 4_000_001, (int(rng.integers(1, 6)), 3, 1, 2))
        for step, lots in enumerate([*trades, -trades.sum(axis=0)]):
            w.request[...] += lots
            advance(w, 1_000 * (step + 1))
        assert not w.inventory.any()
        # Each of at most 36 fills is rounded to 1e-8 USD a token and to a micro-USDC.
        assert w.cash[:-1].sum() <= 36 * 1_000_000


def test_cash_and_lots_outside_sum_to_zero():
    w = world(n_users=40)
    rng = np.random.default_rng(5)
    for step in range(1, 200):
        w.request[rng.integers(40, size=7), rng.integers(4, size=7), rng.integers(2, size=7)] = (
            rng.integers(-500, 500, 7)
        )
        assert advance(w, 1_000 * step) == 0
    assert w.cash.any()
    assert w.cash.sum() == 0
    assert not w.inventory.sum(axis=0).any()


def test_a_cost_beyond_the_bound_of_balances_sets_the_fault_word():
    w = still_world()
    w.request[0, 0, OUTSIDE_SPOT] = 2**55
    assert advance(w, 1_000) == FAULT_OVERFLOW
    assert not w.cash.any()
    with pytest.raises(OverflowFault, match="t = 1000 ms") as caught:
        raise_world_faults(w, 1_000)
    assert caught.value.allowed


# --- fundamentals ---------------------------------------------------------------------------------


def test_a_given_path_replaces_the_law_asset_by_asset():
    path = np.full((3, 4), np.nan)
    path[:, 0] = [0.01, -0.02, 0.03]
    w, free = world(path=path), world()
    for step in range(3):
        assert advance(w, 1_000 * (step + 1)) == 0
        advance(free, 1_000 * (step + 1))
        assert math.log(w.outside[0].fundamental_usd / 80_000.0) == pytest.approx(path[step, 0])
        assert (w.outside["fundamental_usd"] == free.outside["fundamental_usd"])[1:].all()
    raise_world_faults(w, 3_000)
    assert advance(w, 4_000) == FAULT_PATH_END
    with pytest.raises(InvalidInput, match="shorter than the run") as caught:
        raise_world_faults(w, 4_000)
    assert caught.value.name == "path"


def test_dials_shift_a_path_too():
    w = world(path=np.zeros((2, 4)))
    w.dial[3].drift = -0.01
    w.dial[1].jump = 0.05
    advance(w, 1_000)
    assert w.outside["fundamental_usd"].tolist() == pytest.approx(
        [80_000.0, 2_700.0 * math.exp(0.05), 100.0, 84.0 * math.exp(-0.01)]
    )


def test_neutral_dials_change_no_bit_and_a_dial_only_its_asset():
    plain, dialled = world(), world()
    reset_dials(dialled.dial)
    dialled.dial[1].volatility = 3.0
    run(plain, 50)
    run(dialled, 50)
    same = plain.outside["spot_usd"] == dialled.outside["spot_usd"]
    assert same.tolist() == [True, False, True, True]


def test_the_correlation_dial_moves_along_the_way_to_its_target():
    params = replace(default_world(("BTC", "ETH")), correlation=((1.0, 0.0), (0.0, 1.0)))
    w = world(params)
    set_correlation_target(w, np.array([[1.0, 1.0], [1.0, 1.0]]))
    w.dial["correlation"] = 1.0
    w.component["noise"] = w.component["value"] = 0.0
    w.par[0].log_vol_variance = 0.0
    run(w, 100)
    moves = w.asset["log_value"] / w.asset["step_sd"]
    assert moves[0] == pytest.approx(moves[1], abs=0.02)  # but for their drifts
    with pytest.raises(InvalidInput, match="does not fit the assets"):
        set_correlation_target(w, np.eye(3))


def test_the_basis_dial_lifts_the_perp_over_the_spot():
    plain, lifted = world(), world()
    lifted.dial[2].outside_basis = 0.01
    run(plain, 3)
    run(lifted, 3)
    assert (plain.outside["spot_usd"] == lifted.outside["spot_usd"]).all()
    ratio = lifted.outside["perp_usd"] / plain.outside["perp_usd"]
    assert ratio.tolist() == pytest.approx([1.0, 1.0, math.exp(0.01), 1.0])


def test_public_volatility_follows_a_fall():
    w = world()
    run(w, 600)
    calm = float(w.outside[3].volatility_ratio)
    w.dial[3].drift = math.log(0.8) / 600
    run(w, 600, start_ms=600_000)
    assert w.outside[3].volatility_ratio > 5.0 * calm
    assert w.outside[0].step_volatility == pytest.approx(0.025 / math.sqrt(86_400.0))


# --- reproducibility ------------------------------------------------------------------------------


def test_more_accounts_move_no_draw():
    few, many = world(n_users=1), world(n_users=700)
    run(few, 100)
    run(many, 100)
    assert (few.outside == many.outside).all()


def test_a_copy_is_a_snapshot():
    w = world()
    run(w, 20)
    saved, before = copy_arrays(w), content(w)
    w.request[0, 1, 0] = 77
    run(w, 30, start_ms=20_000)
    once = content(w)
    put_arrays(w, saved)
    assert content(w) == before != once
    w.request[0, 1, 0] = 77
    run(w, 30, start_ms=20_000)
    assert content(w) == once


DIGEST = """
import hashlib
import numpy as np
from tests.unit.test_world import NAMES, crowded, world
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_parameters import default_world
from stressbook.market.prices.world_setup import set_correlation_target
w = world(crowded(default_world(NAMES), 2e7), n_users=50)
w.dial["drift"] = -0.001
set_correlation_target(w, np.full((4, 4), 0.9) + 0.1 * np.eye(4))
digest = hashlib.sha256()
for step in range(1, 201):
    w.dial["correlation"] = 0.5 if step > 100 else 0.0
    w.dial["outside_recovery"] = 0.5 if step > 150 else 1.0
    w.request[step % 50, step % 4, step % 2] = (-1) ** step * 1_000_000
    advance(w, 1_000 * step)
    digest.update(b"".join(array.tobytes() for array in w))
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_compiled_and_plain_python_give_equal_bits():
    digests = [
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for disabled in ("0", "1")
    ]
    assert len(digests[0]) == 65
    assert digests[0] == digests[1]


# --- parameters -----------------------------------------------------------------------------------


def test_all_problems_of_a_world_are_reported_at_once():
    bad_leg = replace(OutsideLeg(), half_spread_bp=-1.0)
    params = WorldParams(
        assets=(AssetWorld("BTC", daily_volatility=float("nan"), perp=bad_leg),),
        correlation=((1.0, 0.5),),
        innovation="cauchy",
        log_vol_variances=(-0.1, 0.1, 0.1),
        log_vol_halflives_s=(1.0,),
    )
    with pytest.raises(InvalidScenario) as caught:
        checked(params)
    names = [problem.name for problem in caught.value.problems]
    assert names == [
        "world.BTC.daily_volatility",
        "world.BTC.perp.half_spread_bp",
        "world.correlation",
        "world.innovation",
        "world.log_vol_halflives_s",
        "world.log_vol_variances",
    ]
    assert all(problem.allowed for problem in caught.value.problems)


def test_an_asset_without_defaults_is_unknown():
    with pytest.raises(UnknownName, match="DOGE") as caught:
        default_world(["DOGE"])
    assert "BTC" in caught.value.allowed


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("opening_usd", [0.0], "opening_usd"),
        ("lot_size", [1.0, 1.0], "lot_size"),
        ("mark_den", [np.inf], "mark_den"),
        ("path", np.zeros((5, 2)), "path"),
        ("path", np.array([[0.0], [np.nan]]), "path"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(option, value, name):
    columns = {"opening_usd": [1.0], "lot_size": [1.0], "mark_den": [100]}
    with pytest.raises(InvalidInput) as caught:
        make_world(default_world(["BTC"]), n_users=1, seed=1, **(columns | {option: value}))
    assert caught.value.name == name
    assert caught.value.allowed


def test_no_assets_have_no_dials():
    with pytest.raises(InvalidInput, match="n_assets"):
        neutral_dials(0)


def test_every_dial_says_what_it_does():
    for dial in DIALS:
        assert dial.low <= dial.neutral <= dial.high
        assert dial.help
        assert dial.unit
