"""Studies whose answer is known, for tests of the report: no engine behind them."""

from dataclasses import replace

import numpy as np

from stressbook.experiments.account_table import Enrolled
from stressbook.experiments.episode import CLASS_LABELS, CapUse, Episode
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.regime_plan import RegimePlan, Variant
from stressbook.experiments.regimes import REGIMES, ArmNumbers, RegimeRun, RegimeStudy
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.stress import PriceGap
from stressbook.experiments.timeline import Timeline

OUTCOMES = (
    "open_interest_usd",
    "mean_borrowed_usd",
    "traded_usd",
    "bid_depth_usd",
    "spread_frac",
    "n_breaches",
    "peak_breached",
    "liquidated_frac",
    "liquidated_usd",
    "forced_fills_usd",
    "taken_over_usd",
    "deleveraged_usd",
    "backstop_shed_usd",
    "n_deleveragings",
    "debt_taken_over_usd",
    "negative_equity_usd",
    "backstop_short_usd",
    "written_off_usd",
    "open_interest_change_frac",
    "treasury_paid_usd",
    "backstop_held_frac",
)
LOST = {loss.name: 1e6 * (place + 1) for place, loss in enumerate(LOSSES)}
_SPREAD = (0.9, -0.4, 0.3, -0.8, 0.5, -0.6, 0.7, -0.6)  # sums to zero


def wobble(seed, scale=1.0, *, of=3):
    """Differ by seed, not by regime; over eight seeds in a row the mean is zero."""
    return scale * _SPREAD[seed * of % 8]


def timeline(fall=0.3, *, low_min=10.0, backstop_low=5e6):
    t = np.arange(-4.0, 31.0)
    path = 100.0 * (1.0 - fall * np.clip(t / low_min, 0.0, 1.0))
    flat = np.ones(len(t))
    backstop = np.where(t >= low_min, max(backstop_low, 0.0), 12e6)
    return Timeline(
        t_min=t,
        fundamental_usd=path,
        outside_usd=path,
        oracle_usd=path,
        mark_usd=path,
        bid_depth_usd=np.where(t > 0, 5e4, 1e6),
        depth_left_frac=np.where((t > 0) & (t <= 10), 0.1, 1.0),
        forced_usd=np.where(t == 6, 3e6, 0.0),
        taken_over_usd=np.where(t == 8, 4e6, 0.0),
        deleveraged_usd=0.0 * flat,
        backstop_shed_usd=np.where(t == low_min, 5e6 * (backstop_low < 0.0), 0.0),
        open_interest_usd=1e6 * path,
        funding_frac=1e-5 * flat,
        premium_frac=-1e-3 * flat,
        borrowed_usd=3e8 * flat,
        utilisation_frac=0.7 * flat,
        n_breached=0.0 * flat,
        backstop_usd=backstop,
        backstop_low_usd=np.where(t == low_min, backstop_low, backstop),
    )


def classes(net):
    """Give makers what the outside loses, and holders a revaluation."""
    table = np.zeros((len(CLASS_LABELS), 3))
    table[1] = 100e6, net, 0.0
    table[4] = 300e6, -50e6, -50e6
    return table


def episode(seed, *, shift=0.0, short=0.0):
    numbers = dict.fromkeys(OUTCOMES, 0.0)
    numbers |= {"liquidated_frac": 0.3 + wobble(seed, 0.05) + shift, "backstop_short_usd": short}
    net = 2e6 + wobble(seed, 1e5)
    low = -short if short else 5e6
    numbers["backstop_low_usd"] = low
    return Episode(
        outcomes=numbers,
        timeline=timeline(0.3 + shift, backstop_low=low),
        classes=classes(net),
        outside_usd=-net,
        refusals={"insufficient_margin": 3},
        caps=(CapUse("{1} as collateral, platform", "USD", 5e7, 1e8),),
        digest=f"{seed}",
    )


def arms(seed, regime, effect, placebo):
    base = {"0": 0.01, "P0": 0.01, "P": 0.25, "N": 0.27, "F": 0.28, "R": 0.35, "R@0.5": 0.15}
    shift = effect * (1.0 + wobble(seed, 0.05, of=5)) if regime == "hyperliquid-pm" else 0.0
    falls = {
        arm: x + wobble(seed, 0.02) + (shift if "R" in arm else 0.0) for arm, x in base.items()
    }
    falls["Z"] = falls["R"] + placebo * wobble(seed, of=7)
    loss = {"0": 0.0, "P0": 0.0, "P": 2e8, "N": 1.9e8, "F": 2e8, "R": 3e8, "R@0.5": 1e8, "Z": 1e6}
    return {
        arm: ArmNumbers(np.array([0.0, fall]), np.array([0.0, 0.3]), loss[arm], 5e9, LOST)
        for arm, fall in falls.items()
    }


def plan(n, **changes):
    calm = load_scenario("skeleton").with_(warmup=600.0, duration=1800.0, stresses=[])
    made = RegimePlan(
        scenario=calm,
        stresses=(PriceGap(at=600.0, duration=600.0, assets=("HYPE",), fall_frac=0.3),),
        target="HYPE",
        seeds=tuple(range(1, n + 1)),
        variants=(Variant("impact x 2"),),
        n_variant_seeds=min(2, n),
    )
    return replace(made, **changes)


def study(n=8, *, effect=0.0, placebo=0.0, short=(0.0, 0.0), **changes):
    """Make a study: portfolio margin adds `effect` to the log fall; `short`: backstop by regime."""
    asked = plan(n, **changes)
    runs = []
    for variant, seeds in [
        ("", asked.seeds),
        *((v.name, asked.variant_seeds) for v in asked.variants),
    ]:
        for seed in seeds:
            for regime, missing in zip(REGIMES, short, strict=True):
                calm, stressed = episode(seed), episode(seed, short=missing)
                runs.append(
                    RegimeRun(
                        seed,
                        regime,
                        variant,
                        arms(seed, regime, effect, placebo),
                        {"0": calm, "R": stressed, "Z": stressed, "R@0.5": calm},
                        {"open interest, lots": 1e6 + np.arange(5.0) * 10.0},
                        calm.caps,
                        900,
                        (2e6 * seed, 9e6),
                        Enrolled(72, (1.0 + wobble(seed, 0.01)) * 5e8, 899, 5e9),
                    )
                )
    return RegimeStudy(asked, tuple(runs))
