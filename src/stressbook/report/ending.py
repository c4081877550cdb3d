"""How the stressed run ends: what a horizon cuts off, in a sentence."""

from __future__ import annotations

import numpy as np

from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.words import duration
from stressbook.report.numbers import percent, usd

__all__ = ["ending_text"]


def ending_text(study: RegimeStudy) -> str:
    """Return where mark, debt and lenders stand when the stressed run ends, means by regime."""
    runs = {r: [run.episodes["R"] for run in study.of(r)] for r in REGIMES}
    gaps = [np.mean([e.timeline.premium_frac[-1] for e in runs[r]]) for r in REGIMES]
    lent = np.mean([e.timeline.borrowed_usd[-1] for e in runs[REGIMES[0]]])
    borne = [np.mean([e.outcomes["written_off_usd"] for e in runs[r]]) for r in REGIMES]
    length = duration(study.plan.scenario.duration_s)
    return (
        f"The run ends {length} after the onset, in the mean with the {study.plan.target} mark "
        f"{_gap(float(gaps[0]))} (portfolio) and {_gap(float(gaps[1]))} (cross) the oracle, "
        f"{usd(float(lent))} M USDC still lent under portfolio margin and {usd(float(borne[0]))} "
        f"and {usd(float(borne[1]))} M USD written off: what comes later is not in it."
    )


def _gap(frac: float) -> str:
    size = percent(abs(frac))
    return "at" if size == percent(0.0) else f"{size} % {'under' if frac < 0.0 else 'over'}"
