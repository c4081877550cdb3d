"""How far the outside's impact matters: laws side by side, and each against the reference."""

from __future__ import annotations

from collections.abc import Callable

from stressbook.experiments.inference import Estimate, mean_estimate, paired_difference
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.market.compiling.arrays import F64
from stressbook.report.breakage import broken_by_regime
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
                    str(sum(broken[j][:keep])),
                )
            )
    head = (
        "",
        "largest fall, %",
        "portfolio less cross, points",
        "liquidated, % of open interest",
        "added by forced orders, points",
        f"broke, of {keep}",
    )
    return table_of("The outside's impact: its slope, and where it turns concave", head, rows)


def impact_text(study: RegimeStudy) -> str:
    """Return how the laws of impact change the fall, and what forced orders add to it.

    Under portfolio margin, each law against the reference on the same seeds.
    """
    if not study.plan.variants:
        return ""
    if len(study.plan.variant_seeds) < 2:
        return "One seed of each law: no difference between them can be told from chance."
    fall = _against_reference(study, _fall)
    added = _against_reference(study, _added)
    size = _range(study, _fall)
    first = f"the mean fall under portfolio margin goes from {size[0]} to {size[1]} %"
    first += (
        f"; it differs from the reference {fall}"
        if fall
        else (", and no law moves it by more than its interval")
    )
    size = _range(study, _added)
    second = f"What forced orders add goes from {size[0]} to {size[1]} points"
    second += (
        f"; it differs from the reference {added}"
        if added
        else (", and no law moves that by more than its interval")
    )
    return f"Over the range {first}. {second}. Each interval stands by itself, uncorrected."


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
