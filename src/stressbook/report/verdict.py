"""The verdict: what portfolio margin changed, and what broke, in sentences that a table backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from stressbook.experiments.claims import MIN_PAIRS, Claim
from stressbook.experiments.inference import Estimate, paired_difference
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.report.breakage import (
    broke_text,
    broken_by_regime,
    paid_text,
    reach_text,
    tag_text,
    what_broke,
)
from stressbook.report.ending import lenders_text
from stressbook.report.numbers import UNITS, interval, money, percent, signed, unit_of_size
from stressbook.report.scale import flattering_text, scale_text
from stressbook.report.study_tables import CALM, STRESSED, Measure, has_frozen, regime_claims

__all__ = ["Line", "Verdict", "claim_text", "exposure_text", "price_text", "verdict_of"]

Tone = Literal["broke", "held", "open"]
_STANDS: Final = ("higher", "lower")
_OPEN: Final = ("inside noise", "inconclusive", "not evidence")
_SAME_FRAC: Final = 0.01  # mean equities that differ by less are called the same, assumed


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
        Those that were judged under stress and do not, with size and interval.
    """

    tag: str
    tone: Tone
    sentences: tuple[str, ...]
    claimed: tuple[Line, ...]
    not_claimed: tuple[str, ...]


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
    broken = broken_by_regime(study)
    stressed = regime_claims(study, STRESSED, arm="R")
    sentences = [
        f"{broke_text(*broken, what=what_broke(study))} {paid_text(study)}",
        " ".join(x for x in (price_text(stressed[0][1], target), scale_text(study)) if x),
        lenders_text(study),
        flattering_text(study),
    ]
    reach = reach_text(study)
    rest = tuple(_open_text(m, c) for m, c in stressed if m.is_judged and _is_open(c))
    if n < MIN_PAIRS:
        count = "One draw, not evidence." if n == 1 else f"{n} seeds, not evidence."
        return Verdict("Not evidence", "open", (count, *sentences, *reach), (), rest)
    lines = [
        Line(where, claim_text(m, c, target=target))
        for where, rows in _groups(study, stressed)
        for m, c in rows
        if c.word in _STANDS
    ]
    by_name = {m.name: c for m, c in stressed}
    sentences += [exposure_text(study, by_name["loss_added"])] if has_frozen(study) else []
    sentences += [*reach, *_what_stands(stressed)]
    if not any(map(any, broken)):
        return Verdict("Held", "held", tuple(sentences), tuple(lines), rest)
    return Verdict(tag_text(study), "broke", tuple(sentences), tuple(lines), rest)


def _groups(
    study: RegimeStudy, stressed: list[tuple[Measure, Claim]]
) -> list[tuple[str, list[tuple[Measure, Claim]]]]:
    milder = [
        (f"Severity {s:g}", regime_claims(study, STRESSED, arm=f"R@{s:g}"))
        for s in study.plan.severities
    ]
    return [("Stressed", stressed), *milder, ("Calm", regime_claims(study, CALM, arm="0"))]


def exposure_text(study: RegimeStudy, added: Claim) -> str:
    """Return what the opening book alone costs, and what trading adds to it.

    Parameters
    ----------
    study : RegimeStudy
        With the arms `P0` and `P`.
    added : Claim
        Of the loss beyond that of frozen holdings.

    Returns
    -------
    str
    """
    frozen = paired_difference(*(study.loss(regime, "P") for regime in REGIMES))
    equity = [np.mean([r.arms["R"].opening_equity_usd for r in study.of(x)]) for x in REGIMES]
    is_same = abs(equity[0] / equity[1] - 1.0) < _SAME_FRAC
    bounds = interval(frozen, "usd")
    if frozen.value == 0.0 or not frozen.excludes(0.0):
        evidence = _evidence(frozen, "usd")
        first = f"With holdings frozen accounts lose alike under both ({evidence})"
    else:
        more = "more" if frozen.value > 0.0 else "less"
        book = "the same equity" if is_same else "the opening book"
        first = (
            f"Under portfolio margin {book} holds {more} of what falls, by construction: with "
            f"holdings frozen accounts lose {money(abs(frozen.value))} {more}"
        ) + (f" (95 %: {bounds})" if bounds else "")
    return f"{first}. {_added_text(added)}"


def _added_text(added: Claim) -> str:
    evidence = _evidence(added.difference, "usd")
    if added.word == "equal":
        return "Trading adds the same under both."
    if added.word in _STANDS:
        return f"What trading adds to that is {added.word} under portfolio margin ({evidence})."
    if added.word == "inside noise":
        return f"What trading adds to that differs by no more than a placebo does ({evidence})."
    if added.difference.excludes(0.0):
        return (
            f"That trading adds more or less to it cannot be claimed ({evidence}; "
            f"p = {added.p:.2g}, before Holm's correction)."
        )
    return f"What trading adds to that cannot be told from no difference ({evidence})."


def _evidence(difference: Estimate, unit: str) -> str:
    bounds = interval(difference, unit_of_size(unit, difference.value))
    return _size(difference.value, unit) + (f"; 95 %: {bounds}" if bounds else "")


def _what_stands(rows: Sequence[tuple[Measure, Claim]]) -> list[str]:
    """Return a sentence on the first two other differences that stand."""
    found = [
        f"{m.label[0].lower()}{m.label[1:]} ({_size(c.difference.value, m.unit)})"
        for m, c in rows
        if c.word in _STANDS and m.name not in ("fall", "loss_added")
    ]
    if not found:
        return ["No other difference under stress stands."]
    return [f"What else differs under stress: {'; '.join(found[:2])}."]


def _is_open(claim: Claim) -> bool:
    difference = claim.difference
    is_nothing = difference.value == 0.0 and not difference.low < difference.high
    return claim.word in _OPEN and not is_nothing


def _open_text(measure: Measure, claim: Claim) -> str:
    return f"{measure.label} ({_evidence(claim.difference, measure.unit)})"


def _size(value: float, unit: str) -> str:
    """Return a difference with its unit; of percentages it is in points."""
    unit = unit_of_size(unit, value)
    suffix = " points" if unit == "frac" else _suffix(unit)
    return signed(UNITS[unit].text(value * UNITS[unit].factor)) + suffix


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
    name = unit_of_size(measure.unit, claim.treated.value, claim.control.value)
    unit = UNITS[name]
    treated, control, difference = (
        unit.text(e.value * unit.factor) for e in (claim.treated, claim.control, claim.difference)
    )
    bounds = interval(claim.difference, name)
    evidence = [signed(difference), *([f"95 %: {bounds}"] if bounds else [])]
    return (
        f"{measure.label.format(target)}: {claim.word}, {treated} against {control}"
        f"{_suffix(name)} ({'; '.join(evidence)}; n = {claim.difference.n})"
    )


def _suffix(unit: str) -> str:
    label = UNITS[unit].label
    return "" if label == "number" else f" {label}"
