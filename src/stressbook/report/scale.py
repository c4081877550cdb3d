"""What the shock is by itself, what the venue makes of it, and what in the model flatters it."""

from __future__ import annotations

import numpy as np

from stressbook.experiments.inference import Estimate, mean_estimate, paired_difference
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.words import duration
from stressbook.market.compiling.arrays import F64
from stressbook.report.ending import lent_at_end
from stressbook.report.numbers import interval, percent, plain, told
from stressbook.report.study_tables import utilisation

__all__ = ["flattering_text", "scale_text", "withdrawal_text"]

_FIRST = REGIMES[0]


def scale_text(study: RegimeStudy) -> str:
    """Return the fall of the outside alone, without forced orders, and of everything.

    Parameters
    ----------
    study : RegimeStudy
        All runs.

    Returns
    -------
    str
        Under portfolio margin; empty where the arms did not run.
    """
    if not {"P", "F"} <= set(study.plan.arms):
        return ""
    alone, calmed, all_in = (told(mean_estimate(_fall(study, arm)), "frac") for arm in "PFR")
    forced = paired_difference(_fall(study, "R"), _fall(study, "F"))
    return (
        f"The shock alone, outside prices with nobody trading, takes {study.plan.target} down by "
        f"{alone}; with trading but no forced orders it falls by {calmed}, with everything by "
        f"{all_in}: forced orders {_adds(forced)}. Under portfolio margin, "
        f"n = {len(study.plan.seeds)}."
    )


def _fall(study: RegimeStudy, arm: str) -> F64:
    return study.fall(_FIRST, arm)


def _adds(effect: Estimate) -> str:
    size = f"{percent(abs(effect.value))} points{_within(effect)}"
    if not effect.excludes(0.0):
        return f"change that by {size}, which cannot be told from nothing"
    return f"add {size}" if effect.value > 0.0 else f"take off {size}"


def _within(effect: Estimate) -> str:
    bounds = interval(effect, "frac")
    if bounds:
        return f" (95 %: {bounds})"
    return "" if np.isfinite(effect.low) else " (no interval)"


def flattering_text(study: RegimeStudy) -> str:
    """Return what in the model spares the venue, each with what was measured of it."""
    parts = (
        _share_text(study),
        _buyers_text(study),
        _treasury_text(study),
        _backstop_text(study),
        _lenders_text(study),
    )
    return f"What flatters the venue here: {'; '.join(part for part in parts if part)}."


def _share_text(study: RegimeStudy) -> str:
    found = [run.enrolled for run in study.of(_FIRST)]
    share = mean_estimate([one.equity_frac for one in found])
    accounts = np.mean([one.n_accounts for one in found])
    of = np.mean([one.all_accounts for one in found])
    who = f"{plain(float(accounts), 0)} of {plain(float(of), 0)} accounts"
    if share.value > 0.9995:
        return f"all equity is under portfolio margin ({who})"
    return (
        f"only {told(share, 'frac')} of the accounts' equity is under portfolio margin ({who}), "
        "the rest is asked the same under both regimes"
    )


def _buyers_text(study: RegimeStudy) -> str:
    """Return what trading takes off the outside's fall; empty where it adds to it."""
    if not {"P", "N"} <= set(study.plan.arms):
        return ""
    absorbed = paired_difference(_fall(study, "P"), _fall(study, "N"))
    size = f"{percent(abs(absorbed.value))} points{_within(absorbed)}"
    if not absorbed.excludes(0.0):
        return f"buyers of assumed size change the fall by {size}, not told from nothing"
    return f"buyers of assumed size take {size} off the fall" if absorbed.value > 0.0 else ""


def _treasury_text(study: RegimeStudy) -> str:
    """Return what a treasury that knows no limit paid; empty where others bear deficits."""
    if study.plan.scenario.venue_spec().liquidation.socialise != "none":
        return ""
    paid = [study.outcome(regime, "R", "treasury_paid_usd") for regime in REGIMES]
    if not any(x.any() for x in paid):
        return "the treasury would pay deficits without limit, and had none to pay"
    first, second = (told(mean_estimate(x), "usd", at_least=0.0) for x in paid)
    return f"the treasury, without limit, paid {first} under portfolio and {second} under cross"


def _backstop_text(study: RegimeStudy) -> str:
    """Return how many times its capital the backstop held; empty where it held nothing."""
    most = max(study.outcome(regime, "R", "backstop_held_frac").max() for regime in REGIMES)
    if not most > 0.0:
        return ""
    return f"the backstop held up to {plain(float(most), 1)} times its capital, asked for no margin"


def _lenders_text(study: RegimeStudy) -> str:
    """Return how much was lent while no lender ran; empty where nothing was."""
    lent, (low, high) = lent_at_end(study), utilisation(study)[2]
    if not high > 0.0:
        return ""
    horizon = duration(study.plan.scenario.duration_s)
    return (
        f"no lender runs, with {percent(low)} to {percent(high)} % of what is supplied lent at the "
        f"peak, by seed; and the run ends after {horizon} with {told(lent, 'usd')} still lent"
    )


def withdrawal_text(study: RegimeStudy) -> str:
    """Return what makers' and others' withdrawal adds while nothing is forced, of both regimes."""
    if not {"N", "F"} <= set(study.plan.arms):
        return ""
    found = [
        paired_difference(study.fall(regime, "F"), study.fall(regime, "N")) for regime in REGIMES
    ]
    first, second = (f"{percent(e.value)} points{_within(e)}" for e in found)
    if not any(e.excludes(0.0) for e in found):
        said = "adds nothing that can be told from zero"
    else:
        said = "changes the fall"
    return (
        f"What makers and others withdraw while nothing is forced {said}: {first} under portfolio "
        f"and {second} under cross margin, n = {len(study.plan.seeds)}."
    )
