"""The verdict: what portfolio margin changed, and what broke, in sentences that a table backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stressbook.experiments.claims import MIN_PAIRS, Claim, paired_share_p, share_estimate
from stressbook.experiments.inference import Estimate
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.report.numbers import UNITS, interval, percent, signed
from stressbook.report.study_tables import CALM, STRESSED, Measure, regime_claims

__all__ = ["Line", "Verdict", "broke_text", "claim_text", "has_broken", "price_text", "verdict_of"]

Tone = Literal["broke", "held", "open"]
_STANDS: Final = ("higher", "lower")


class Line(NamedTuple):
    """One difference that stands."""

    where: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """What the first box of the report says.

    Parameters
    ----------
    tag : str
        Two or three words.
    tone : {"broke", "held", "open"}
        Of its colour; the tag says the same.
    sentences : tuple of str
        The answer: what broke, what the price did, what else differs.
    claimed : tuple of Line
        Differences that stand.
    not_claimed : tuple of str
        Those that were looked at under stress and do not.
    """

    tag: str
    tone: Tone
    sentences: tuple[str, ...]
    claimed: tuple[Line, ...]
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
    broken = tuple([has_broken(run) for run in study.of(regime)] for regime in REGIMES)
    stressed = regime_claims(study, STRESSED, arm="R")
    sentences = [broke_text(*broken), price_text(stressed[0][1], target)]
    rest = tuple(
        m.label.format(target) for m, c in stressed if m.is_judged and c.word not in _STANDS
    )
    if n < MIN_PAIRS:
        count = "One draw, not evidence." if n == 1 else f"{n} seeds, not evidence."
        return Verdict("Not evidence", "open", (count, *sentences), (), rest)
    lines = [
        Line(where, claim_text(m, c, target=target))
        for where, rows in _groups(study, stressed)
        for m, c in rows
        if c.word in _STANDS
    ]
    sentences += _what_stands(study, stressed[1:])
    counts = [sum(flags) for flags in broken]
    if not any(counts):
        return Verdict("Held", "held", tuple(sentences), tuple(lines), rest)
    tag = f"Broke: portfolio {counts[0]} of {n}, cross {counts[1]} of {n}"
    return Verdict(tag, "broke", tuple(sentences), tuple(lines), rest)


def _groups(
    study: RegimeStudy, stressed: list[tuple[Measure, Claim]]
) -> list[tuple[str, list[tuple[Measure, Claim]]]]:
    milder = [
        (f"Severity {s:g}", regime_claims(study, STRESSED, arm=f"R@{s:g}"))
        for s in study.plan.severities
    ]
    return [("Stressed", stressed), *milder, ("Calm", regime_claims(study, CALM, arm="0"))]


def _what_stands(study: RegimeStudy, rows: Sequence[tuple[Measure, Claim]]) -> list[str]:
    """Return a sentence on the first two differences that stand."""
    found = []
    for measure, claim in rows:
        if claim.word in _STANDS:
            size = _size(claim.difference.value, measure.unit)
            if measure.name == "loss" and {"P", "P0"} <= set(study.plan.arms):
                passive = study.loss(REGIMES[0], "P") - study.loss(REGIMES[1], "P")
                size += f"; with holdings frozen it is {_size(passive.mean(), 'usd')}"
            label = measure.label.format(study.plan.target)
            found.append(f"{label[0].lower()}{label[1:]} ({size})")
    if not found:
        return ["No other difference under stress stands."]
    return [f"What portfolio margin did change under stress: {'; '.join(found[:2])}."]


def _size(value: float, unit: str) -> str:
    return signed(UNITS[unit].text(value * UNITS[unit].factor)) + _suffix(unit)


def broke_text(portfolio: Sequence[bool], cross: Sequence[bool]) -> str:
    """Return what broke, in how many seeds, with exact intervals and the paired test.

    Parameters
    ----------
    portfolio, cross : sequence of bool
        Of each seed, whether the backstop's capital was used up or debt written off.

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
    p = paired_share_p(portfolio, cross)
    differs = "a difference that stands" if p < 0.05 else "no difference that so few seeds can show"
    return (
        "The backstop's capital was used up, or debt written off, "
        f"in {sum(portfolio)} of {n} seeds under portfolio margin (95 %: {_range(first)}) "
        f"and in {sum(cross)} of {n} under cross margin ({_range(second)}): "
        f"{differs} (p = {p:.2g})."
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


def claim_text(measure: Measure, claim: Claim, *, target: str) -> str:
    """Return one difference as a line: both means, difference, interval and n."""
    unit = UNITS[measure.unit]
    treated, control, difference = (
        unit.text(e.value * unit.factor) for e in (claim.treated, claim.control, claim.difference)
    )
    return (
        f"{measure.label.format(target)}: {claim.word}, {treated} against {control}"
        f"{_suffix(measure.unit)} ({signed(difference)}; 95 %: "
        f"{interval(claim.difference, measure.unit)}; n = {claim.difference.n})"
    )


def _suffix(unit: str) -> str:
    label = UNITS[unit].label
    return "" if label == "number" else f" {label}"
