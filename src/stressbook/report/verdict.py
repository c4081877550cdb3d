"""The verdict: what portfolio margin changed, and what broke, in sentences that a table backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stressbook.experiments.claims import MIN_PAIRS, Claim, share_estimate
from stressbook.experiments.inference import Estimate
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.report.numbers import UNITS, interval, percent, signed
from stressbook.report.study_tables import CALM, STRESSED, Measure, regime_claims

__all__ = ["Verdict", "claim_text", "has_broken", "price_text", "verdict_of"]

Tone = Literal["broke", "held", "open"]


@dataclass(frozen=True)
class Verdict:
    """What the first box of the report says.

    Parameters
    ----------
    tag : str
        Two or three words.
    tone : {"broke", "held", "open"}
        Of its colour; the tag says the same.
    sentence : str
        The answer.
    claimed, not_claimed : tuple of str
        Differences that stand, and those that were looked at and do not.
    """

    tag: str
    tone: Tone
    sentence: str
    claimed: tuple[str, ...]
    not_claimed: tuple[str, ...]


def has_broken(run: RegimeRun, arm: str = "R") -> bool:
    """Tell whether the backstop's capital was used up or debt had to be written off."""
    outcomes = run.episodes[arm].outcomes
    return outcomes["backstop_short_usd"] > 0.0 or outcomes["written_off_usd"] > 0.0


def verdict_of(study: RegimeStudy) -> Verdict:
    """Return the verdict of a study.

    Parameters
    ----------
    study : RegimeStudy
        All runs.

    Returns
    -------
    Verdict
        With fewer than eight seeds it says that it is no evidence.
    """
    n, target = len(study.plan.seeds), study.plan.target
    broken = [sum(has_broken(run) for run in study.of(regime)) for regime in REGIMES]
    stressed = regime_claims(study, STRESSED, arm="R")
    groups = [("stressed", stressed), ("calm", regime_claims(study, CALM, arm="0"))]
    for severity in study.plan.severities:
        milder = regime_claims(study, STRESSED, arm=f"R@{severity:g}")
        groups.insert(1, (f"severity {severity:g}", milder))
    stands = [
        (where, *row)
        for where, rows in groups
        for row in rows
        if row[1].word in ("higher", "lower")
    ]
    rest = [
        row[0].label.format(target) for row in stressed if row[1].word not in ("higher", "lower")
    ]
    sentence = f"{_broke_text(broken, n)} {price_text(stressed[0][1], target)}"
    if n < MIN_PAIRS:
        count = "One draw" if n == 1 else f"{n} seeds"
        tone: Tone = "open"
        return Verdict("Not evidence", tone, f"{count}, not evidence. {sentence}", (), tuple(rest))
    tag, tone = ("Broke", "broke") if any(broken) else ("Held", "held")
    return Verdict(
        f"{tag}: portfolio {broken[0]} of {n}, cross {broken[1]} of {n}" if any(broken) else tag,
        tone,
        sentence,
        tuple(claim_text(m, c, target=target, where=where) for where, m, c in stands),
        tuple(rest),
    )


def _broke_text(broken: Sequence[int], n: int) -> str:
    first, second = (share_estimate(k, n) for k in broken)
    if not any(broken):
        return (
            f"Nothing broke: the backstop's capital held and no debt was written off, in all {n} "
            f"seeds under both regimes (95 %: in at most {percent(first.high)} % of such shocks)."
        )
    return (
        f"The backstop's capital was used up, or debt written off, in {broken[0]} of {n} seeds "
        f"under portfolio margin (95 %: {_range(first)}) and in {broken[1]} of {n} under cross "
        f"margin ({_range(second)})."
    )


def _range(share: Estimate) -> str:
    return f"{100.0 * share.low:.0f} to {100.0 * share.high:.0f} %"


def price_text(fall: Claim, target: str) -> str:
    """Return what the regime did to the fall of the price, as far as it may be claimed.

    Parameters
    ----------
    fall : Claim
        Of the largest fall, as a fraction; treated: portfolio margin.
    target : str
        Name of the asset.

    Returns
    -------
    str
    """
    values = f"{percent(fall.treated.value)} % against {percent(fall.control.value)} %"
    size = f"{signed(percent(fall.difference.value))} points"
    bounds = interval(fall.difference, "frac")
    n = fall.difference.n
    evidence = f"({size}, 95 %: {bounds}, n = {n})" if bounds else f"({size}, n = {n})"
    if fall.word == "higher":
        return f"Portfolio margin made {target} fall deeper: {values} {evidence}."
    if fall.word == "lower":
        return f"Portfolio margin made {target} fall less: {values} {evidence}."
    if fall.word == "inside noise":
        return f"The fall of {target}, {values}, differs by no more than a placebo does {evidence}."
    if fall.word == "equal":
        return f"{target} fell alike under both: {values}."
    return f"That {target} falls deeper under one regime cannot be claimed: {values} {evidence}."


def claim_text(measure: Measure, claim: Claim, *, target: str, where: str) -> str:
    """Return one difference as a line: both means, difference, interval and n."""
    unit = UNITS[measure.unit]
    treated, control, difference = (
        unit.text(e.value * unit.factor) for e in (claim.treated, claim.control, claim.difference)
    )
    label = unit.label if unit.label != "number" else ""
    what = f"{where}: {measure.label.format(target)} {claim.word}"
    return (
        f"{what}: {treated} against {control} {label} "
        f"({signed(difference)}, 95 %: {interval(claim.difference, measure.unit)}, "
        f"n = {claim.difference.n})"
    ).replace("  ", " ")
