"""How the stressed run ends: what a horizon cuts off, and what lenders missed until then."""

from __future__ import annotations

import numpy as np

from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.experiments.words import duration
from stressbook.report.breakage import range_text
from stressbook.report.numbers import interval, money, percent, told

__all__ = ["ending_text", "lenders_text", "lent_at_end"]


def lent_at_end(study: RegimeStudy) -> Estimate:
    """Return what is still lent under portfolio margin when the stressed run ends, USD."""
    lines = [run.episodes["R"].timeline for run in study.of(REGIMES[0])]
    return mean_estimate([line.borrowed_usd[-1] for line in lines])


def lenders_text(study: RegimeStudy) -> str:
    """Return what suppliers of USDC missed at the worst minute and at the end, under stress."""
    end, peak = (
        np.array([run.arms["R"].losses[name] for run in study.of(REGIMES[0])])
        for name in ("reserve_shortfall_usd", "reserve_shortfall_peak_usd")
    )
    n = len(peak)
    horizon = duration(study.plan.scenario.duration_s)
    still = f"{horizon} after the onset, with {told(lent_at_end(study), 'usd')} still lent"
    if not peak.any():
        bound = range_text(share_estimate(0, n))
        return (
            f"Under portfolio margin suppliers of USDC missed nothing at any minute in {n} of {n} "
            f"seeds (95 %: missed something in {bound} of such shocks); the run ends {still}."
        )
    count = int((peak > 0.0).sum())
    share = range_text(share_estimate(count, n))
    return (
        f"Under portfolio margin suppliers of USDC missed, at the worst minute, "
        f"{told(mean_estimate(peak), 'usd', at_least=0.0)} in the mean and {money(peak.max())} at "
        f"most, something in {count} of {n} seeds (95 %: {share}); at the end they miss "
        f"{told(mean_estimate(end), 'usd', at_least=0.0)}, {still}."
    )


def ending_text(study: RegimeStudy) -> str:
    """Return where mark, debt and lenders stand when the stressed run ends, means by regime."""
    runs = {r: [run.episodes["R"] for run in study.of(r)] for r in REGIMES}
    first, second = (
        _gap(mean_estimate([e.timeline.premium_frac[-1] for e in runs[r]])) for r in REGIMES
    )
    borne = [
        told(mean_estimate([e.outcomes["written_off_usd"] for e in runs[r]]), "usd", at_least=0.0)
        for r in REGIMES
    ]
    length, n = duration(study.plan.scenario.duration_s), len(study.plan.seeds)
    return (
        f"The run ends {length} after the onset. By then, in the mean over "
        f"{n} seed{'s' if n > 1 else ''}, the {study.plan.target} mark stands {first} under "
        f"portfolio margin and {second} under cross margin; {told(lent_at_end(study), 'usd')} are "
        f"still lent under portfolio margin; {borne[0]} (portfolio) and {borne[1]} (cross) of debt "
        "are written off. What comes later is not in it."
    )


def _gap(frac: Estimate) -> str:
    """Return how far the mark stands from the oracle."""
    size, bounds = percent(abs(frac.value)), interval(frac, "frac")
    within = f" (95 %: {bounds} %)" if bounds else ""
    if size == percent(0.0):
        return f"at the oracle{within}"
    return f"{size} % {'below' if frac.value < 0.0 else 'above'} the oracle{within}"
