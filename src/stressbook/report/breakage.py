"""What broke, how far, who paid, and whether it breaks under a milder shock or another outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stressbook.experiments.claims import paired_share_p, share_estimate
from stressbook.experiments.inference import Estimate
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.market.compiling.arrays import F64
from stressbook.report.numbers import usd
from stressbook.report.study_tables import backstop_onset_usd

__all__ = ["broke_text", "broken_by_regime", "has_broken", "paid_text", "reach_text", "what_broke"]

_SPENT_FRAC: Final = (
    0.05  # of the capital; what is left below it would not carry a takeover, assumed
)


def has_broken(run: RegimeRun, arm: str = "R") -> bool:
    """Tell whether the backstop's capital was used up or debt had to be written off."""
    outcomes = run.episodes[arm].outcomes
    return outcomes["backstop_short_usd"] > 0.0 or outcomes["written_off_usd"] > 0.0


def broken_by_regime(study: RegimeStudy, arm: str = "R", variant: str = "") -> list[list[bool]]:
    """Return of each regime, seed by seed, whether it broke."""
    return [[has_broken(run, arm) for run in study.of(r, variant)] for r in REGIMES]


def broke_text(
    portfolio: Sequence[bool],
    cross: Sequence[bool],
    *,
    what: str = "The backstop's capital was used up, or debt written off,",
) -> str:
    """Return what broke, in how many seeds, with exact intervals and the paired test.

    Parameters
    ----------
    portfolio, cross : sequence of bool
        Of each seed, whether the backstop's capital was used up or debt written off.
    what : str
        Which of the two.

    Returns
    -------
    str
    """
    n = len(portfolio)
    first, second = share_estimate(sum(portfolio), n), share_estimate(sum(cross), n)
    if not any((*portfolio, *cross)):
        seeds = "the one seed" if n == 1 else f"all {n} seeds"
        return (
            f"Nothing broke: the backstop's capital held and no debt was written off, in {seeds} "
            f"under both regimes (95 %: in at most {100.0 * first.high:.0f} % of such shocks)."
        )
    return (
        f"{what} in {sum(portfolio)} of {n} seeds under portfolio margin (95 %: {_range(first)}) "
        f"and in {sum(cross)} of {n} under cross margin ({_range(second)}): "
        f"{_difference(portfolio, cross)}."
    )


def _difference(portfolio: Sequence[bool], cross: Sequence[bool]) -> str:
    if list(portfolio) == list(cross):
        return "the same seeds"
    p = paired_share_p(portfolio, cross)
    if p < 0.05:
        return f"a difference that stands (p = {p:.2g})"
    least = next(k for k in range(1, 99) if 2.0 * 0.5**k < 0.05)
    return (
        f"no difference that so few seeds can show (p = {p:.2g}; "
        f"below 0.05 only if {least} or more seeds differ, all one way)"
    )


def _range(share: Estimate) -> str:
    return f"{100.0 * share.low:.0f} to {100.0 * share.high:.0f} %"


def what_broke(study: RegimeStudy) -> str:
    """Return the subject and verb of `broke_text`: capital, debt, or both."""
    short, written = (_found(study, x) for x in ("backstop_short_usd", "written_off_usd"))
    if not written.any():
        return "The backstop's capital was used up"
    if not short.any():
        return "Debt was written off"
    return "The backstop's capital was used up, or debt written off,"


def paid_text(study: RegimeStudy) -> str:
    """Return how deep the backstop went, how close the others came, and who paid the rest."""
    capital = backstop_onset_usd(study)
    short, low = _found(study, "backstop_short_usd"), _found(study, "backstop_low_usd")
    text = ""
    if short.any():
        text = f"It went at most {usd(short.max())} M USD below zero, of {usd(capital)} M"
        is_shed = _found(study, "backstop_shed_usd")[short > 0.0].any()
        text += "; its book is then closed against winners. " if is_shed else ". "
    else:
        text = f"Of the backstop's {usd(capital)} M USD at least {usd(low.min())} M were left. "
    spent = ((low >= 0.0) & (low < _SPENT_FRAC * capital)).sum(axis=1)
    if spent.any():
        others = " further" if short.any() else ""
        share = f"{100.0 * _SPENT_FRAC:.0f} %"
        counts = f"{spent[0]} (portfolio) and {spent[1]} (cross)"
        text += f"In {counts}{others} seeds less than {share} of it was left. "
    return text + _treasury_text(_found(study, "deficit_booked_usd"))


def _treasury_text(deficits: F64) -> str:
    if not deficits.any():
        return "No deficit of an account had to be paid by the treasury."
    counts, n = (deficits > 0.0).sum(axis=1), deficits.shape[1]
    means = [usd(x) for x in deficits.mean(axis=1)]
    return (
        f"The treasury paid deficits of accounts in {counts[0]} (portfolio) and {counts[1]} "
        f"(cross) of {n} seeds, {means[0]} and {means[1]} M USD in the mean."
    )


def reach_text(study: RegimeStudy) -> list[str]:
    """Return whether it breaks under milder shocks and under other laws of outside impact."""
    n, found = len(study.plan.seeds), []
    for severity in study.plan.severities:
        counts = _counts(study, f"R@{severity:g}")
        first, second = counts
        where = (
            f"{first} (portfolio) and {second} (cross) of {n}" if any(counts) else f"none of {n}"
        )
        found.append(f"At severity {severity:g} it broke in {where}.")
    return [*found, _variants_text(study)] if study.plan.variants else found


def _variants_text(study: RegimeStudy) -> str:
    plan, keep = study.plan, len(study.plan.variant_seeds)
    here = [sum(flags[:keep]) for flags in broken_by_regime(study)]
    counts = {v.name: _counts(study, "R", v.name) for v in plan.variants}
    parts = [f"{_pair(found)} with {name}" for name, found in counts.items() if any(found)]
    calm = [name for name, found in counts.items() if not any(found)]
    parts += [f"none with {' or '.join(calm)}"] if calm else []
    seeds = f"of the first {keep}, " if keep > 1 else "of the first alone, "
    return (
        f"Under other laws of the outside's impact, seeds that broke {seeds}"
        f"portfolio and cross: {', '.join(parts)}; as assumed here {_pair(here)}."
    )


def _counts(study: RegimeStudy, arm: str, variant: str = "") -> list[int]:
    return [sum(flags) for flags in broken_by_regime(study, arm, variant)]


def _pair(counts: Sequence[int]) -> str:
    """Return how many broke under portfolio and under cross margin.

    Examples
    --------
    >>> _pair([2, 0]), _pair([0, 0])
    ('2 and 0', 'none')
    """
    return f"{counts[0]} and {counts[1]}" if any(counts) else "none"


def _found(study: RegimeStudy, name: str) -> F64:
    """Return an outcome of the stressed run, shape (n_regimes, n_seeds)."""
    return np.stack([study.outcome(regime, "R", name) for regime in REGIMES])
