"""Sentences of the page of a cap study that its tables and figures cannot say."""

from __future__ import annotations

import math
import re
from typing import Final

from stressbook.experiments.caps.answer import CapAnswer, RowAnswer
from stressbook.experiments.caps.reading import (
    crashed_columns,
    crashes,
    lifted,
    row_notes,
    rows_with_failures,
    value_text,
)
from stressbook.report.numbers import money, percent

__all__ = [
    "absorption_words",
    "break_even_words",
    "crash_reasons",
    "failure_words",
    "heat_words",
    "held_fixed",
    "reservations",
]

_SHOWN_ROWS: Final = 5
_NUMBERS: Final = re.compile(r"\[[^\]]*\]|(?<![A-Za-z])-?\d+(?:[.,e+-]*\d+)*")


def failure_words(answer: CapAnswer) -> str:
    """Return how many failures at the smallest cap are crashes; empty if a cap was tried."""
    if answer.attempts or answer.proposal.cap != 0.0:
        return ""
    smallest = answer.grid.runs[0]
    failed, crashed = answer.study.outcome.n_failed(smallest), smallest.n_crashed
    if not crashed:
        return ""
    why = "; ".join(crash_reasons(answer))
    at = value_text(answer, answer.grid.values[0])
    who = "All that fail" if crashed == failed else f"{crashed} of the {failed} that fail"
    return (
        f"{who} at {at} crashed ({why}): what they would have lost is not known. Mend that before "
        "the cap is judged."
    )


def heat_words(answer: CapAnswer) -> str:
    """Return of which cap the failures by two draws are; empty where none fails."""
    found, last = answer.with_failures(), answer.last
    if found is None or last is None:
        return ""
    value, runs = found
    at = value_text(answer, value)
    text = f"Failures of {runs.n} episodes at {at} by two draws"
    if value != last.value:
        n = answer.study.outcome.n_failed(answer.at_tried() or runs)
        text += f", as {n} fail at {value_text(answer, last.value)}"
    return f"{text}. A reader with another law may weigh them anew."


def crash_reasons(answer: CapAnswer) -> dict[str, int]:
    """Return why episodes crashed and how many, messages that differ in their numbers as one."""
    found: dict[str, int] = {}
    for why, n in crashes(answer).items():
        kind = _NUMBERS.sub("\N{HORIZONTAL ELLIPSIS}", why.splitlines()[0]).rstrip(".")
        found[kind] = found.get(kind, 0) + n
    return found


def held_fixed(answer: CapAnswer) -> str:
    """Return what the law does not draw, and where it is varied."""
    groups = dict.fromkeys(row.about.group or row.about.name for row in answer.study.rows)
    idle = [one.name for one in answer.study.law.elements if one.probability == 0.0]
    text = "Not drawn: everything else of the scenario stays as it is in every episode. "
    text += f"Varied singly below: {'; '.join(groups)}." if groups else "Nothing is varied singly."
    if idle:
        text += f" Probability 0, in rows alone: {'; '.join(idle)}."
    return text


def reservations(answer: CapAnswer) -> list[str]:
    """Return what stands between the answer and a decision, the heaviest first."""
    found = ["The model is unvalidated: no number here has been held against recorded days."]
    found += _above(answer)
    if answer.break_even is not None:
        found.append(break_even_words(answer)[0])
    worse = rows_with_failures(answer)
    if worse:
        named = [_named(answer, row) for row in worse[:_SHOWN_ROWS]]
        more = f" and {len(worse) - _SHOWN_ROWS} more" if len(worse) > _SHOWN_ROWS else ""
        found.append(f"More failures than by default, if varied singly: {'; '.join(named)}{more}.")
    tokens = [place.split(".")[2] for place in lifted(answer)]
    if tokens:
        found.append(
            f"To fill the cap, platform supply caps of {', '.join(tokens)} are lifted; as they "
            "stand they may keep the debt below it."
        )
    crashed = sum(crashes(answer).values())
    if crashed:
        were = "episode crashed, and counts" if crashed == 1 else "episodes crashed, and count"
        where = "; ".join(crashed_columns(answer))
        found.append(f"{crashed} {were} as failed: {where}.")
    return found


def _above(answer: CapAnswer) -> list[str]:
    """Return what it means that more is in use than the cap that was tried."""
    cap, last = answer.study.cap, answer.last
    if last is None or cap.in_use <= last.value:
        return []
    used, at = value_text(answer, cap.in_use), value_text(answer, last.value)
    return [
        f"{used} are in use ({cap.in_use_source or 'assumed'}), more than {at}: a lower cap stops "
        "what is new and ends nothing; until it is down to the cap, the certificate is of another "
        "venue."
    ]


def _named(answer: CapAnswer, row: RowAnswer) -> str:
    failed = answer.study.outcome.n_failed(row.runs)
    differs = "differs" if row.compared is not None and row.compared.differs else ""
    told = (f"{failed}/{row.runs.n}", differs, row_notes(row))
    return f"{row.about.name} ({', '.join(filter(None, told))})"


def break_even_words(answer: CapAnswer) -> list[str]:
    """Return what the break-even says: the multiplier, what is not told apart, the bounds."""
    found = answer.break_even
    if found is None:
        return []
    alpha = f"{percent(answer.study.outcome.alpha)} %"
    low, high = found.range
    untold = "No multiplier that was tried is told from it with 95 % confidence."
    if found.value == 0.0:
        return [
            f"Break-even: failures stay below {alpha} down to {low:g} of the absorption that is "
            "assumed, the least that was tried.",
            f"That they are below it is told with 95 % confidence from {found.bound_high:.2g} on."
            if math.isfinite(found.bound_high)
            else untold,
        ]
    if math.isinf(found.value):
        return [
            f"Break-even: failures stay above {alpha} up to {high:g} times the absorption that is "
            "assumed, the most that was tried.",
            f"That they are above it is told with 95 % confidence up to {found.bound_low:.2g}."
            if found.bound_low > 0.0
            else untold,
        ]
    said = [
        f"No margin is shown: failures may reach {alpha} anywhere below the absorption that is "
        f"assumed; the best guess of the break-even is {found.value:.2g} of it."
        if found.low <= 1.0 <= found.high
        else f"Break-even: failures reach {alpha} where the market absorbs {found.value:.2g} of "
        "what is assumed.",
        f"From {found.low:.2g} to {found.high:.2g} the episodes do not tell the share of failures "
        f"from {alpha}.",
    ]
    below = f"above {found.bound_low:.2g}" if found.bound_low > 0.0 else ""
    above = f"below {found.bound_high:.2g}" if math.isfinite(found.bound_high) else ""
    bounds = " and ".join(one for one in (below, above) if one)
    if bounds:
        side = " each" if below and above else f"; towards {'more' if below else 'less'} it is open"
        said.append(f"It lies {bounds}, with 95 % confidence{side}.")
    else:
        said.append("No multiplier that was tried is told from it: it is open on both sides.")
    return said


def absorption_words(answer: CapAnswer) -> list[str]:
    """Return what the market takes in USD at 1 and at the break-even, and how to check it."""
    taken = answer.absorption
    if taken is None:
        return []
    too_much = money(taken.too_much_usd)
    if taken.sold_usd <= 0.0:
        return [
            f"At 1, {too_much} of {taken.asset} sold within 30 min, the least that was tried, "
            "lower it by 35 % or more."
        ]
    said = [
        f"At 1, a calm market takes {money(taken.sold_usd)} of {taken.asset}, sold at constant "
        f"pace within 30 min, and falls by {percent(taken.fall_frac)} %"
        + (
            f"; {too_much} lower it by 35 % or more."
            if math.isfinite(taken.too_much_usd)
            else "; no sale that was tried lowers it by 35 %."
        )
    ]
    found = answer.break_even
    if found is None or found.is_outside:
        return said
    ends = [f"{money(end * taken.sold_usd)}" for end in (found.low, found.high)]
    least = money(found.value * taken.sold_usd)
    even = answer.absorption_at_break_even
    if even is None:
        said.append(
            f"In proportion, which is not run, break-even is a market that takes {least} "
            f"({ends[0]} to {ends[1]}) within 35 % of its price in 30 min."
        )
    else:
        said.append(
            f"At the break-even the same market takes {money(even.sold_usd)}; in proportion its "
            f"interval is {ends[0]} to {ends[1]}."
        )
    said.append(
        f"To check: add up the bids for {taken.asset} within 35 % of the price on this venue and "
        f"outside, with what comes back within 30 min. Below {ends[1]}, failures may reach "
        f"{percent(answer.study.outcome.alpha)} %."
    )
    return said
