"""What stands below a table of several sides: what is claimed, what is given, what is alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.contrasts import Contrasts
from stressbook.experiments.losses import LOSSES, PAYERS
from stressbook.experiments.moves import horizons_note, least_of
from stressbook.experiments.outcome_words import BY_CONSTRUCTION, label_of
from stressbook.experiments.versus import shared_onset_s
from stressbook.report.numbers import CUT

__all__ = ["notes_of", "placebo_note"]

_LOSS_NAMES: Final = {loss.name for loss in LOSSES}


def notes_of(
    found: Contrasts,
    *,
    n_judged: int,
    not_judged: Sequence[str],
    nothing: Sequence[str],
    n_outcomes: int,
) -> list[str]:
    """Return the notes of a table.

    Parameters
    ----------
    found : Contrasts
        All runs.
    n_judged : int
        Outcomes that are judged together.
    not_judged : sequence of str
        Reasons that stand at rows.
    nothing : sequence of str
        Outcomes that are 0, or none, in every run.
    n_outcomes : int
        Of each run.

    Returns
    -------
    list of str
    """
    notes = [_reading(found), _evidence(found, n_judged)]
    if not_judged:
        reasons = ", ".join(dict.fromkeys(not_judged))
        why = ""
        if BY_CONSTRUCTION in not_judged:
            why = ": each regime opens from a book of its own, what that holds is no effect"
        notes.append(f"not judged, {reasons}{why}")
    if any(name in found.outcomes for name in PAYERS):
        notes.append(
            "who paid: no dollar twice; the backstop's part ends where its equity is 0, the "
            "deleveraged lose against the mark, gains of others not netted"
        )
    notes += _alike(found)
    if nothing:
        notes.append(f"0 or none in every run: {'; '.join(label_of(x) for x in nothing)}")
    onset_s = shared_onset_s(*found.sides.values())
    notes.append(
        f"the onset is minute {onset_s / 60.0:g}, drawdowns from it on; {n_outcomes} outcomes, "
        "and correlations over seeds, are in the frame and in --json"
    )
    notes.append(placebo_note(found.placebo_changed(), found.placebo_of, n=found.n_pairs))
    pairs = list(found.by_horizon().values())
    by_horizon = horizons_note(least_of(pairs), n_pairs_of_arms=len(pairs))
    notes += [by_horizon] if by_horizon else []
    return notes + [f"failed, {place}: {error}" for place, error in found.failures.items()]


def placebo_note(changed: Sequence[str] | None, of: str, *, n: int) -> str:
    """Say what one more order of one lot changed.

    Parameters
    ----------
    changed : sequence of str or None
        Outcomes that differ in any seed; None if no placebo ran.
    of : str
        Whose run it was.
    n : int
        Seeds.

    Examples
    --------
    >>> placebo_note(["fees_usd"], "cross", n=6)
    'placebo: cross with one more order of one lot at the onset changed no loss and no liquidation in any of 6 seeds, only fees_usd: here it sets no bound on noise'
    >>> placebo_note((), "cross", n=1)
    'placebo: cross with one more order of one lot at the onset changed nothing in the 1 seed: here it sets no bound on noise'
    """  # noqa: E501 - output in one line
    if changed is None:
        return "no placebo ran: differences may be noise of single orders"
    what = f"placebo: {of} with one more order of one lot at the onset"
    seeds = "the 1 seed" if n == 1 else f"any of {n} seeds"
    mute = "here it sets no bound on noise"
    if not changed:
        return f"{what} changed nothing in {seeds}: {mute}"
    if not any(_is_told(name) for name in changed):
        shown = ", ".join(changed[:4]) + (" and others" if len(changed) > 4 else "")
        return f"{what} changed no loss and no liquidation in {seeds}, only {shown}: {mute}"
    return f"{what}; a difference within what that changes is not claimed"


def _is_told(name: str) -> bool:
    """Whether a change of it may bear on what is claimed of losses and liquidations."""
    words = ("liquidated", "forced", "taken_over", "deleverag", "shed", "breaches", "takeovers")
    return name in _LOSS_NAMES or any(word in name for word in (*words, "drawdown"))


def _reading(found: Contrasts) -> str:
    return (
        f"mean, below it its {found.level:.0%} interval, cut at 0 where {CUT} stands; diff: paired "
        f"difference to {found.control} ± half its interval; (8): over so many seeds, others have "
        "none; k, M, B: 1e3, 1e6, 1e9, for both numbers of a cell"
    )


def _evidence(found: Contrasts, n_judged: int) -> str:
    if found.n_pairs < MIN_PAIRS:
        pairs = "1 pair is" if found.n_pairs == 1 else f"{found.n_pairs} pairs are"
        return f"{pairs} not evidence: ask for {MIN_PAIRS} reps or more"
    n_others = len(found.sides) - 1
    return (
        f"higher, lower and equal stand after Holm's correction over {n_judged} outcomes x "
        f"{n_others} sides; where no word stands the runs do not tell"
    )


def _alike(found: Contrasts) -> list[str]:
    return [
        f"{'; '.join(group)}: alike in every seed and outcome but the margin asked, so that what "
        "they ask differently bound no account"
        for group in found.alike()
    ]
