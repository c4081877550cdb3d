"""Shocked markets: what forced trading adds, and how it grows with leverage.

Where nobody is levered it is nothing, to the bit.

R - F is the part of the fall that forced orders make, F - N that of defence. An effect counts when
its interval excludes zero and lies beyond what one more order of one lot changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from stressbook.experiments.inference import (
    Estimate,
    mean_estimate,
    ratio_estimate,
    slope_estimate,
)
from stressbook.experiments.validation.calm import column
from stressbook.experiments.validation.runner import Found
from stressbook.experiments.validation.shocks import CASES, Case
from stressbook.experiments.validation.table import Row, shown
from stressbook.market.compiling.arrays import F64

__all__ = ["LEVERAGES", "OUTSIDES", "amplification_row", "effect_row", "stressed_rows"]

LEVERAGES: Final = (0.5, 1.0, 2.0)
OUTSIDES: Final = (0.3, 1.0, 2.0)
_TO_PERCENT: Final = 100.0
_POINTS: Final = "points of ln(mark)"


def stressed_rows(
    by_leverage: Mapping[float, Sequence[Found]],
    by_outside: Mapping[float, Sequence[Found]],
    unlevered: Sequence[Found],
) -> list[Row]:
    """Return the table of shocks.

    Parameters
    ----------
    by_leverage : mapping of float to sequence of dict
        Of `shock_arms` at each leverage; the arms 0, F and R suffice but at 1.
    by_outside : mapping of float to sequence of dict
        At each outside impact, all arms.
    unlevered : sequence of dict
        Of `unlevered_arms`.

    Returns
    -------
    list of Row
    """
    rows: list[Row] = []
    for case in CASES:
        if f"{case.scenario}.R.drawdown" not in by_outside[1.0][0]:
            continue
        rows += _unlevered_rows(case, unlevered)
        rows += _leverage_rows(case, by_leverage)
        for outside, found in sorted(by_outside.items()):
            rows += _case_rows(case, found, outside)
    return rows


def effect_row(
    name: str, where: str, effect: F64, placebo: F64, *, unit: str = _POINTS, note: str = ""
) -> Row:
    """Return a row for an effect that should be positive, and beyond the placebo.

    Parameters
    ----------
    name, where, unit, note : str
        Of the row.
    effect, placebo : ndarray of float64, shape (n_seeds,)
        In the row's unit.

    Returns
    -------
    Row
        "met" if the interval lies above zero and above the placebo's, "missed" if it lies below
        zero, else "undecided".

    Examples
    --------
    >>> effect_row("R - F", "HYPE", np.array([1.0, 1.2, 1.1]), np.array([0.0, 0.1, -0.1])).verdict
    'met'
    """
    estimate, noise = mean_estimate(effect), mean_estimate(placebo)
    beyond = noise.high if noise.n > 1 else 0.0
    verdict = "undecided"
    if estimate.low > max(0.0, beyond):
        verdict = "met"
    elif estimate.high < 0.0:
        verdict = "missed"
    return Row(name, where, unit, estimate, "above 0 and placebo", verdict, note)


def amplification_row(name: str, where: str, numerator: F64, denominator: F64, noise: F64) -> Row:
    """Return a ratio of two effects, or the statement that it is undefined.

    Parameters
    ----------
    name, where : str
        Of the row.
    numerator, denominator : ndarray of float64, shape (n_seeds,)
        Paired by seed.
    noise : ndarray of float64, shape (n_seeds,)
        What one more order of one lot changes in such a quantity.

    Returns
    -------
    Row
        Undefined when the denominator's interval reaches zero or its mean lies inside the noise.

    Examples
    --------
    >>> zero = np.zeros(3)
    >>> amplification_row("x", "BTC", np.ones(3), np.array([-1.0, 1.0, 0.5]), zero).verdict
    'undefined'
    """
    below, around = mean_estimate(denominator), mean_estimate(noise)
    inside = around.low <= below.value <= around.high
    if inside or not below.excludes(0.0):
        nothing = Estimate(np.nan, np.nan, np.nan, below.n)
        return Row(name, where, "1", nothing, "", "undefined", "denominator inside its noise")
    return shown(name, where, "1", ratio_estimate(numerator, denominator))


def _unlevered_rows(case: Case, found: Sequence[Found]) -> list[Row]:
    gap = column(found, f"{case.scenario}.gap")
    apart = column(found, f"{case.scenario}.equity_gap_usd")
    same = int(np.sum((gap == 0.0) & (apart == 0.0)))
    most = float(column(found, "venue.most_leverage").max())
    debt = float(column(found, "venue.debt_usd").max())
    note = (
        f"{same} of {len(gap)} seeds alike to the bit; at the onset perps of at most {most:.2f}"
        f" of an account's USDC, debt {debt:.0f} USD"
    )
    verdict = "met" if same == len(gap) else "missed"
    estimate = Estimate(float(gap.max()), 0.0, float(gap.max()), len(gap))
    where = f"{case.scenario}, no leverage"
    return [
        Row("gap between R and F in any mark", where, "log", estimate, "0, exactly", verdict, note)
    ]


def _leverage_rows(case: Case, by_leverage: Mapping[float, Sequence[Found]]) -> list[Row]:
    base = by_leverage[1.0]
    placebo = _points(base, case, "Z", "R")
    rows = []
    achieved, effects = [], []
    for leverage, found in sorted(by_leverage.items()):
        factor = _achieved(case, found, base)
        effect = _points(found, case, "R", "F")
        where = f"{case.scenario}, leverage x{leverage:g}"
        note = f"achieved x{factor:.2f}"
        rows.append(effect_row("R - F", where, effect, placebo, note=note))
        achieved.append(float(np.log2(factor)))
        effects.append(effect)
    slope = slope_estimate(achieved, np.array(effects).T)
    verdict = "met" if slope.low > 0.0 else "missed" if slope.high < 0.0 else "undecided"
    where = f"{case.scenario}, same positions"
    rows.append(Row("R - F for a doubling of leverage", where, _POINTS, slope, "above 0", verdict))
    return rows


def _achieved(case: Case, found: Sequence[Found], base: Sequence[Found]) -> float:
    key = f"leverage.{case.target}"
    return float(column(found, key).mean() / column(base, key).mean())


def _case_rows(case: Case, found: Sequence[Found], outside: float) -> list[Row]:
    where = f"{case.scenario}, outside impact x{outside:g}"
    placebo = _points(found, case, "Z", "R")
    rows = [
        shown(f"fall of {case.target} in {arm}", where, _POINTS, _mean_points(found, case, arm))
        for arm in ("0", "P", "N", "F", "R")
    ]
    rows += [
        shown("placebo Z - R", where, _POINTS, mean_estimate(placebo)),
        effect_row("R - F, forced trading", where, _points(found, case, "R", "F"), placebo),
        shown("F - N, defence", where, _POINTS, mean_estimate(_points(found, case, "F", "N"))),
        amplification_row(
            "price amplification (R - 0) / (F - 0)",
            where,
            _points(found, case, "R", "0"),
            _points(found, case, "F", "0"),
            placebo,
        ),
    ]
    return [*rows, *_loss_rows(case, found, where), *_liquidated_rows(case, found, where)]


def _loss_rows(case: Case, found: Sequence[Found], where: str) -> list[Row]:
    name = case.scenario
    noise = column(found, f"{name}.Z.loss_usd")
    loss = column(found, f"{name}.R.loss_usd") - noise
    passive = column(found, f"{name}.P.loss_usd")
    equity = column(found, f"{name}.opening_equity_usd")
    return [
        shown("loss, placebo's off", where, "M USD", mean_estimate(loss).scaled(1e-6)),
        shown("placebo's loss", where, "M USD", mean_estimate(noise).scaled(1e-6)),
        shown("passive loss", where, "M USD", mean_estimate(passive).scaled(1e-6)),
        shown(
            "passive loss over opening equity",
            where,
            "%",
            ratio_estimate(passive, equity).scaled(_TO_PERCENT),
        ),
        amplification_row("loss amplification", where, loss, passive, noise),
    ]


def _liquidated_rows(case: Case, found: Sequence[Found], where: str) -> list[Row]:
    rows = []
    for arm in ("0", "R"):
        share = column(found, f"{case.scenario}.{arm}.liquidated_{case.target}")
        estimate = mean_estimate(share).scaled(_TO_PERCENT)
        rows.append(shown(f"open interest liquidated in {arm}", where, "%", estimate))
    for key in found[0]:
        head = f"{case.scenario}.R.drawdown_"
        other = key.removeprefix(head)
        if key.startswith(head) and other != case.target:
            fell = column(found, key) - column(found, f"{case.scenario}.F.drawdown_{other}")
            estimate = mean_estimate(fell).scaled(_TO_PERCENT)
            rows.append(shown(f"R - F of {other}", where, _POINTS, estimate))
    return rows


def _points(found: Sequence[Found], case: Case, arm: str, control: str) -> F64:
    """Return the difference of two arms' falls, percentage points of the log mark, by seed."""
    one = column(found, f"{case.scenario}.{arm}.drawdown")
    other = column(found, f"{case.scenario}.{control}.drawdown")
    return (one - other) * _TO_PERCENT


def _mean_points(found: Sequence[Found], case: Case, arm: str) -> Estimate:
    falls = column(found, f"{case.scenario}.{arm}.drawdown")
    return mean_estimate(falls).scaled(_TO_PERCENT)
