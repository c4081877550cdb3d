"""What an answer says: the sentences and numbers that terminal and page share.

Nothing here pretends: where no cap is certified the sentence says why, and every answer carries
that the model is unvalidated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.caps.answer import Attempt, CapAnswer, CapGrid, RowAnswer
from stressbook.experiments.caps.demand import lifted_caps
from stressbook.experiments.caps.runs import Runs
from stressbook.experiments.statistics.critical_caps import cap_interval
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.experiments.words import amount

__all__ = [
    "Fact",
    "binding_words",
    "certificate_sentence",
    "crashed_columns",
    "crashes",
    "facts",
    "lifted",
    "per_year",
    "percent_text",
    "row_notes",
    "rows_with_failures",
    "value_text",
    "verdict",
]

_MILLION: Final = 1e6
_LOAD: Final = "agents.borrower.load_mean"


class Fact(NamedTuple):
    """One row of the recommendation."""

    name: str
    value: str
    note: str


def value_text(answer: CapAnswer, value: float) -> str:
    """Return a value of the lever with its unit.

    Examples
    --------
    >>> from types import SimpleNamespace as N
    >>> value_text(N(study=N(cap=N(unit="USD"))), 4e8), value_text(N(study=N(cap=N(unit="1"))), 0.5)
    ('400 M USD', '0.5')
    """
    unit = answer.study.cap.unit
    if math.isnan(value):
        return "none"
    if math.isinf(value):
        return "above the grid"
    if unit == "USD" and value >= _MILLION:
        return f"{value / _MILLION:,.4g} M USD".replace(",", " ")
    return f"{amount(value)}" + ("" if unit == "1" else f" {unit}")


def verdict(answer: CapAnswer) -> str:
    """Return the first sentence of the answer: what is certified, or why nothing is."""
    certified = answer.certified
    if certified is not None:
        above = " (the largest that was tried)" if math.isinf(answer.proposal.cap) else ""
        outcome = answer.study.outcome
        return (
            f"Certified: a cap of {value_text(answer, certified.value)}{above}, at alpha "
            f"{percent_text(outcome.alpha)} an episode and {percent_text(outcome.confidence)} "
            "confidence."
        )
    if answer.proposal.is_refused:
        return f"No number: {answer.proposal.reason}. The curve is shown instead."
    if answer.proposal.cap == 0.0:
        smallest = value_text(answer, answer.grid.values[0])
        n = answer.critical.n
        failing = int(answer.critical.failed[:, 0].sum())
        return (
            f"Nothing to certify: at {smallest}, the smallest cap that was tried, {failing} of {n} "
            "episodes fail already."
        )
    tried = value_text(answer, answer.attempts[-1].value)
    return f"Refused: a cap of {tried} was proposed and not certified."


def certificate_sentence(answer: CapAnswer) -> str:
    """Return the certificate in one sentence; empty if no cap was tried.

    All planned episodes are run, so that failures and bound are those of the whole plan.
    """
    last, outcome = answer.last, answer.study.outcome
    if last is None:
        return ""
    plan = last.judgement.plan
    failed, crashed = outcome.n_failed(last.runs), last.runs.n_crashed
    or_crashed = f" or crashed ({crashed} of them)" if crashed else ""
    counted = (
        f"At {value_text(answer, last.value)}, {failed} of {plan.n} fresh episodes lost more than "
        f"{outcome.budget_text} ({outcome.name}){or_crashed}, "
        f"{plan.allowed} allowed{_largest(answer, last)}"
    )
    if last.judgement.word != "certified":
        return f"{counted}: refused."
    upper = last.upper(outcome)
    rate = answer.study.law.episodes_per_year
    return (
        f"{counted}: P(loss above it) is at most {percent_text(upper)} an episode at "
        f"{100 * plan.attempt_confidence:.4g} % confidence, that is at most "
        f"{percent_text(per_year(answer, upper))} a year if episodes come by themselves, at an "
        f"assumed {rate:g} a year, under the law of the study."
    )


def _largest(answer: CapAnswer, attempt: Attempt) -> str:
    """Return the largest loss among the episodes of a certificate, as a part of a sentence."""
    outcome = answer.study.outcome
    losses = attempt.runs.of(outcome.name)
    if not np.isfinite(losses).any():
        return ""
    by, unit = outcome.shown_in
    largest = f"{float(np.nanmax(losses)) / by:.3g} {unit}".rstrip()
    return f", the largest loss {largest}"


def percent_text(share: float) -> str:
    """Return a share in percent, three digits that matter.

    Examples
    --------
    >>> percent_text(0.0267), percent_text(0.3), percent_text(0.00123), percent_text(1.0)
    ('2.67 %', '30.0 %', '0.123 %', '100 %')
    """
    return f"{100.0 * share:#.3g}".rstrip(".") + " %"


def per_year(answer: CapAnswer, share: float) -> float:
    """Return the probability of a failure in a year, episodes being independent and Poisson.

    Examples
    --------
    >>> from types import SimpleNamespace as N
    >>> round(per_year(N(study=N(law=N(episodes_per_year=2.0))), 0.05), 4)
    0.0952
    """
    return -math.expm1(-answer.study.law.episodes_per_year * share)


def facts(answer: CapAnswer) -> list[Fact]:
    """Return the rows of the recommendation, in the order in which they are read."""
    study = answer.study
    certified, last = answer.certified, answer.last
    at_most = certified.upper(study.outcome) if certified else math.nan
    proposed = answer.proposal.cap if answer.proposal.cap > 0.0 else math.nan
    rows = [
        Fact("lever", study.cap.lever, study.law.summary),
        Fact("current", value_text(answer, study.current), _current_note(answer)),
        *_in_use(answer),
        Fact("proposed", value_text(answer, proposed), _proposal_note(answer)),
        Fact(
            "certified",
            value_text(answer, certified.value) if certified else "none",
            _tried(last, answer) if last else "no cap was tried",
        ),
        Fact("largest that holds", *_largest_that_holds(answer)),
        Fact("binding stress", *_binding(answer)),
        Fact("step limit", *_step(answer)),
    ]
    full = _at_load_1(answer)
    if full is not None:
        rows.append(full)
    if certified:
        rate = study.law.episodes_per_year
        note = f"{rate:g} episodes a year are assumed, each apart from the others"
        rows.append(Fact("P a year", f"at most {percent_text(per_year(answer, at_most))}", note))
    return rows


def lifted(answer: CapAnswer) -> dict[str, float]:
    """Return the platform supply caps that the fill lifts, at the cap last tried or the largest."""
    if answer.grid.demand != "filled":
        return {}
    value = answer.last.value if answer.last is not None else answer.grid.values[-1]
    found = lifted_caps(value, answer.study.scenario.venue_spec())
    found.pop(answer.study.cap.lever, None)
    return found


def _tried(attempt: Attempt, answer: CapAnswer) -> str:
    plan, outcome = attempt.judgement.plan, answer.study.outcome
    upper = attempt.upper(outcome)
    counted = f"{outcome.n_failed(attempt.runs)} of {plan.n} fresh episodes, {plan.allowed} allowed"
    return f"{counted}; P at most {percent_text(upper)}"


def _proposal_note(answer: CapAnswer) -> str:
    """Return how the cap is proposed, with the interval of what the episodes bear at alpha."""
    reason, critical = answer.proposal.reason, answer.critical
    found = cap_interval(critical, answer.study.outcome.alpha)
    if answer.proposal.is_refused or critical.is_non_monotone.any():
        return reason
    low, high = (
        "below the grid" if end == 0.0 else value_text(answer, end)
        for end in (found.low, found.high)
    )
    return f"{reason}; 95 % interval {low} to {high}"


def _current_note(answer: CapAnswer) -> str:
    row = next((row for row in answer.rows if row.about.at == "current"), None)
    if row is None or not row.runs.n:
        return ""
    failed = answer.study.outcome.n_failed(row.runs)
    return f"{failed} of {row.runs.n} episodes fail, filled to it"


def _binding(answer: CapAnswer) -> tuple[str, str]:
    found = answer.binding
    if found is None:
        return "none", "no episode of the grid fails"
    at = value_text(answer, found.value)
    always = {one.name for one in answer.study.law.elements if one.probability == 1.0}
    ranked = sorted(found.cleared.items(), key=lambda item: -item[1])
    at_times = [(name, n) for name, n in ranked if n and name not in always]
    ever = ", ".join(f"{name} {n}" for name, n in ranked if n and name in always)
    if not at_times and not ever:
        return "none alone", f"{found.n_failed} episodes fail at {at}, each by several elements"
    cleared = ", ".join(f"{name} {n}" for name, n in at_times)
    without = "; ".join(filter(None, (cleared, f"always acting: {ever}" if ever else "")))
    name = at_times[0][0] if at_times else ever.rpartition(" ")[0]
    return name, f"of {found.n_failed} failing at {at}, pass without it: {without}"


def _step(answer: CapAnswer) -> tuple[str, str]:
    limit, current = answer.step_limit, answer.study.current
    if answer.proposal.is_refused:
        return "none", "no cap is proposed"
    if math.isnan(limit):
        text, note = "no raise", "every value of the grid up to twice the present one fails"
    elif limit <= current:
        text, note = "no raise", f"0 failures only up to {value_text(answer, limit)}"
    else:
        text = f"to {value_text(answer, limit)}"
        note = "largest raise, at most double, without a failure"
    return text, note


def _largest_that_holds(answer: CapAnswer) -> tuple[str, str]:
    largest, n = answer.largest_that_holds, answer.critical.n
    if answer.proposal.is_refused:
        return "none", "no cap is proposed"
    if math.isnan(largest):
        return value_text(answer, largest), "some episode fails at the smallest cap that was tried"
    return value_text(answer, largest), f"0 of {n} episodes fail, at it or below"


def _in_use(answer: CapAnswer) -> list[Fact]:
    """Return what is owed already, where the study says so, and what a lower cap does to it."""
    cap = answer.study.cap
    if cap.in_use <= 0.0:
        return []
    return [Fact("in use", value_text(answer, cap.in_use), cap.in_use_source or "assumed")]


def _at_load_1(answer: CapAnswer) -> Fact | None:
    """Return what the row in which every borrower owes all it may comes to; None if none is."""
    names = {row.about.name for row in answer.study.rows if row.changes.settings.get(_LOAD) == 1.0}
    row = next((row for row in answer.rows if row.about.name in names and row.runs.n), None)
    if row is None:
        return None
    outcome = answer.study.outcome
    failed = outcome.n_failed(row.runs)
    upper = upper_bound(failed, row.runs.n, confidence=outcome.confidence)
    at = f"{row.about.name}, at {value_text(answer, row.value)}; P at most {percent_text(upper)}"
    return Fact("at load 1", f"{failed} of {row.runs.n} fail", f"{at}, no certificate")


def binding_words(answer: CapAnswer, grid: CapGrid) -> str:
    """Return where the cap binds under a demand; crashed episodes count as binding."""
    found = grid.binding(answer.study.cap.lever)
    if found.never_binds:
        return f"not binding up to {value_text(answer, found.caps[-1])}: more would change nothing"
    last = max(i for i, count in enumerate(found.seeds) if count)
    at = value_text(answer, found.caps[last])
    if last == len(found.caps) - 1:
        text = f"binding in {found.seeds[last]} of {found.n} episodes at {at}"
    else:
        text = f"binding up to {at}, not binding from {value_text(answer, found.caps[last + 1])} on"
    is_crashed = bool(np.isnan(grid.table(answer.study.outcome.name)[:, last]).any())
    return f"{text}; crashed episodes count as binding" if is_crashed else text


def rows_with_failures(answer: CapAnswer) -> list[RowAnswer]:
    """Return rows with more failures than the default has, most failures first."""
    worse = [
        row for row in answer.rows
        if row.compared is not None and row.compared.only_here > row.compared.only_default
    ]  # fmt: skip
    return sorted(worse, key=lambda row: -(row.compared.failures if row.compared else 0))


def row_notes(row: RowAnswer) -> str:
    """Return what must be known of a row's numbers: what they leave out, failures that crashed."""
    crashed = row.runs.n_crashed
    return ", ".join(filter(None, (row.note, f"{crashed} crashed" if crashed else "")))


def crashes(answer: CapAnswer) -> dict[str, int]:
    """Return why episodes crashed, and how many."""
    found: dict[str, int] = {}
    for _, runs in _columns(answer):
        for why, n in runs.errors.items():
            found[why] = found.get(why, 0) + n
    return found


def crashed_columns(answer: CapAnswer) -> list[str]:
    """Return where episodes crashed, each place with how many."""
    told = [(name, sum(runs.errors.values())) for name, runs in _columns(answer)]
    return [f"{n} in {name}" for name, n in told if n]


def _columns(answer: CapAnswer) -> Iterator[tuple[str, Runs]]:
    for grid in answer.grids.values():
        for value, runs in zip(grid.values, grid.runs, strict=True):
            yield f"{grid.demand} at {value_text(answer, value)}", runs
    for k, one in enumerate(answer.attempts, start=1):
        yield f"certificate {k}", one.runs
    yield from ((row.about.name, row.runs) for row in answer.rows if not row.infeasible)
