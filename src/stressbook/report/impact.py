"""How far the outside's impact matters: laws side by side, and each against the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.inference import Estimate, mean_estimate, paired_difference
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.market.compiling.arrays import F64
from stressbook.report.breakage import broken_by_regime, range_text
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import Cell, cell, interval, percent, signed

__all__ = ["impact_text", "size_table"]


def size_table(study: RegimeStudy) -> Table:
    """Return falls, liquidations, amplification and what broke under other laws of impact."""
    keep = len(study.plan.variant_seeds)
    rows = []
    for name in ["", *(v.name for v in study.plan.variants)]:
        falls = [_fall(study, regime, name) for regime in REGIMES]
        broken = broken_by_regime(study, "R", name)
        gap = cell(paired_difference(*falls), "frac", is_difference=True)
        for j, regime in enumerate(REGIMES):
            rows.append(
                (
                    f"{name or 'reference'}, {regime} margin",
                    cell(mean_estimate(falls[j]), "frac", at_least=0.0),
                    gap if j == 0 else Cell(""),
                    _liquidated(study, regime, name),
                    cell(
                        mean_estimate(_added(study, regime, name)),
                        "frac",
                        is_difference=True,
                    ),
                    _broke(broken[j][:keep]),
                )
            )
    head = (
        "",
        "largest fall, %",
        "portfolio less cross, points",
        "liquidated, % of open interest",
        "added by forced orders, points",
        f"broke, of {keep} seeds",
    )
    return table_of("The outside's impact: its slope, and where it turns concave", head, rows)


def _broke(flags: Sequence[bool]) -> Cell:
    share = share_estimate(sum(flags), len(flags))
    return Cell(str(sum(flags)), range_text(share))


def impact_text(study: RegimeStudy) -> str:
    """Return how the laws of impact change the fall, and what forced orders add to it.

    Under portfolio margin, each law against the reference on the same seeds.
    """
    if not study.plan.variants:
        return ""
    if len(study.plan.variant_seeds) < 2:
        return "One seed of each law: no difference between them can be told from chance."
    parts = [
        _law_text(study, _fall, "the mean fall under portfolio margin goes", "%"),
        _law_text(study, _added, "what forced orders add goes", "points"),
    ]
    first, second = (f"{part[0].upper()}{part[1:]}" for part in parts)
    return f"{first}. {second}. Each interval stands by itself, uncorrected."


def _law_text(
    study: RegimeStudy, values: Callable[[RegimeStudy, str, str], F64], what: str, unit: str
) -> str:
    """Return the range of one number over the laws, and whether any law moves it."""
    n, (low, high) = len(study.plan.variant_seeds), _range(study, values)
    differs = _against_reference(study, values)
    text = f"{what} from {low} to {high} {unit} over the laws (n = {n} each)"
    if differs:
        return f"{text}; it differs from the reference {differs}"
    if n >= MIN_PAIRS:
        return f"{text}, and no law moves it by more than its interval"
    widest = f"{_widest(study, values)} {unit}"
    return f"{text}; {n} seeds are too few to tell whether a law moves it: {widest}"


def _widest(study: RegimeStudy, values: Callable[[RegimeStudy, str, str], F64]) -> str:
    """Return how far single seeds lie apart under the law that has the largest of them."""
    names = ["", *(v.name for v in study.plan.variants)]
    found = {name: values(study, REGIMES[0], name) for name in names}
    name = max(found, key=lambda name: float(found[name].max()))
    low, high = percent(float(found[name].min())), percent(float(found[name].max()))
    return f"with {name or 'the reference law'} single seeds go from {low} to {high}"


def _against_reference(study: RegimeStudy, values: Callable[[RegimeStudy, str, str], F64]) -> str:
    """Name the laws whose paired difference from the reference is clear of 0, with its size."""
    found = []
    for variant in study.plan.variants:
        difference = paired_difference(
            values(study, REGIMES[0], variant.name), values(study, REGIMES[0], "")
        )
        if difference.excludes(0.0):
            found.append(f"with {variant.name} ({_points(difference)})")
    return " and ".join(found) if len(found) < 3 else ", ".join(found)


def _points(difference: Estimate) -> str:
    bounds = interval(difference, "frac")
    return f"{signed(percent(difference.value))} points" + (f"; 95 %: {bounds}" if bounds else "")


def _range(study: RegimeStudy, values: Callable[[RegimeStudy, str, str], F64]) -> tuple[str, str]:
    names = ["", *(v.name for v in study.plan.variants)]
    means = [float(values(study, REGIMES[0], name).mean()) for name in names]
    return percent(min(means)), percent(max(means))


def _fall(study: RegimeStudy, regime: str, name: str) -> F64:
    return study.fall(regime, "R", name)[: len(study.plan.variant_seeds)]


def _added(study: RegimeStudy, regime: str, name: str) -> F64:
    keep = len(study.plan.variant_seeds)
    return _fall(study, regime, name) - study.fall(regime, "F", name)[:keep]


def _liquidated(study: RegimeStudy, regime: str, name: str) -> Cell:
    share = study.liquidated(regime, "R", name)[: len(study.plan.variant_seeds)]
    return cell(mean_estimate(share), "frac", at_least=0.0)
