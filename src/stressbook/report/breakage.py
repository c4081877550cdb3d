"""What broke, how far, who paid, and whether it breaks under a milder shock or another outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stressbook.experiments.claims import paired_share_p
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.market.compiling.arrays import F64
from stressbook.report.numbers import money, told
from stressbook.report.study_tables import backstop_onset_usd

__all__ = [
    "broke_text",
    "broken_by_regime",
    "has_broken",
    "paid_text",
    "range_text",
    "reach_text",
    "tag_text",
    "what_broke",
]

_EMPTIED: Final = "The backstop's capital was used up"
_WRITTEN: Final = "Debt was written off"
_SHORT: Final = {_EMPTIED: "Backstop emptied", _WRITTEN: "Debt written off"}
_LEVEL: Final = 0.05  # a p-value below it is a difference
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
        f"{what} in {sum(portfolio)} of {n} seeds under portfolio margin "
        f"(95 %: {range_text(first)}) and in {sum(cross)} of {n} under cross margin "
        f"({range_text(second)}): "
        f"{_difference(portfolio, cross)}."
    )


def tag_text(study: RegimeStudy) -> str:
    """Return what broke in a line, and whether the regimes differ in it: no rank without a test."""
    portfolio, cross = broken_by_regime(study)
    name = _SHORT.get(what_broke(study), "Backstop emptied or debt written off")
    counts = f"{sum(portfolio)} (portfolio) and {sum(cross)} (cross) of {len(portfolio)} seeds"
    if portfolio == cross:
        word = "the same seeds"
    else:
        is_clear = paired_share_p(portfolio, cross) < _LEVEL
        word = "a difference that stands" if is_clear else "no difference shown"
    return f"{name} in {counts}: {word}"


def _difference(portfolio: Sequence[bool], cross: Sequence[bool]) -> str:
    if list(portfolio) == list(cross):
        return "the same seeds"
    p = paired_share_p(portfolio, cross)
    if p < _LEVEL:
        return f"a difference that stands (p = {p:.2g})"
    least = next(k for k in range(1, 99) if 2.0 * 0.5**k < _LEVEL)
    return (
        f"no difference that so few seeds can show (p = {p:.2g}; "
        f"below 0.05 only if {least} or more seeds differ, all one way)"
    )


def range_text(share: Estimate) -> str:
    """Return the interval of a share in percent.

    Examples
    --------
    >>> range_text(share_estimate(0, 8))
    '0 to 37 %'
    """
    return f"{100.0 * share.low:.0f} to {100.0 * share.high:.0f} %"


def what_broke(study: RegimeStudy) -> str:
    """Return the subject and verb of `broke_text`: capital, debt, or both."""
    short, written = (_found(study, x) for x in ("backstop_short_usd", "written_off_usd"))
    if not written.any():
        return _EMPTIED
    if not short.any():
        return _WRITTEN
    return "The backstop's capital was used up, or debt written off,"


def paid_text(study: RegimeStudy) -> str:
    """Return how deep the backstop went, how close the others came, and who paid the rest."""
    capital = backstop_onset_usd(study)
    short, low = _found(study, "backstop_short_usd"), _found(study, "backstop_low_usd")
    text = ""
    if short.any():
        text = f"It went {_span(short[short > 0.0])} below zero, of {money(capital)}"
        is_shed = _found(study, "backstop_shed_usd")[short > 0.0].any()
        text += "; its book is then closed against winners. " if is_shed else ". "
    else:
        text = f"Of the backstop's {money(capital)} at least {money(low.min())} were left. "
    spent = ((low >= 0.0) & (low < _SPENT_FRAC * capital)).sum(axis=1)
    if spent.any():
        others = " further" if short.any() else ""
        share = f"{100.0 * _SPENT_FRAC:.0f} %"
        counts = f"{spent[0]} (portfolio) and {spent[1]} (cross)"
        text += f"In {counts}{others} seeds less than {share} of it was left. "
    return text + _treasury_text(_found(study, "treasury_paid_usd"))


def _treasury_text(deficits: F64) -> str:
    if not deficits.any():
        return "No deficit of an account had to be paid by the treasury."
    counts, n = (deficits > 0.0).sum(axis=1), deficits.shape[1]
    means = [told(mean_estimate(x), "usd", at_least=0.0) for x in deficits]
    return (
        f"The treasury paid deficits of accounts in {counts[0]} (portfolio) and {counts[1]} "
        f"(cross) of {n} seeds, {means[0]} and {means[1]} in the mean."
    )


def _span(amounts: F64) -> str:
    """Return the least and the most of some amounts, or the one that there is."""
    least, most = money(float(amounts.min())), money(float(amounts.max()))
    return least if least == most else f"{least} to {most}"


def reach_text(study: RegimeStudy) -> list[str]:
    """Return whether it breaks under milder shocks and under other laws of outside impact."""
    n, found = len(study.plan.seeds), []
    for severity in study.plan.severities:
        counts = _counts(study, f"R@{severity:g}")
        found.append(f"At severity {severity:g} it broke in {_shares(counts, n)}.")
    return [*found, _variants_text(study)] if study.plan.variants else found


def _variants_text(study: RegimeStudy) -> str:
    plan, keep = study.plan, len(study.plan.variant_seeds)
    here = [sum(flags[:keep]) for flags in broken_by_regime(study)]
    counts = {v.name: _counts(study, "R", v.name) for v in plan.variants}
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, found in counts.items():
        alike.setdefault(tuple(found), []).append(name)
    parts = [f"with {' or '.join(names)} in {_shares(k, keep)}" for k, names in alike.items()]
    seeds = f"the first {keep} seeds" if keep > 1 else "the first seed alone"
    return (
        f"Under other laws of the outside's impact, run on {seeds}, it broke "
        f"{'; '.join(parts)}; as assumed here in {_shares(here, keep)}."
    )


def _counts(study: RegimeStudy, arm: str, variant: str = "") -> list[int]:
    return [sum(flags) for flags in broken_by_regime(study, arm, variant)]


def _shares(counts: Sequence[int], n: int) -> str:
    """Return how many of n seeds broke under portfolio and under cross margin, with intervals.

    Examples
    --------
    >>> _shares([2, 1], 3)
    '2 (portfolio, 95 %: 9 to 99 %) and 1 (cross, 1 to 91 %) of 3'
    >>> _shares([0, 0], 8)
    'none of 8 under either regime (95 %: 0 to 37 %)'
    """
    first, second = (range_text(share_estimate(count, n)) for count in counts)
    if not any(counts):
        return f"none of {n} under either regime (95 %: {first})"
    return f"{counts[0]} (portfolio, 95 %: {first}) and {counts[1]} (cross, {second}) of {n}"


def _found(study: RegimeStudy, name: str) -> F64:
    """Return an outcome of the stressed run, shape (n_regimes, n_seeds)."""
    return np.stack([study.outcome(regime, "R", name) for regime in REGIMES])
