"""What a change did: paired differences over seeds, as text, table and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from stressbook.api.effect_cells import without_dust
from stressbook.api.effect_notes import placebo_note
from stressbook.api.frames import runs_frame
from stressbook.api.parameters import scenario_changes
from stressbook.errors import UnknownName
from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.inference import Estimate
from stressbook.experiments.moves import horizons_note
from stressbook.experiments.versus import Comparison, OutcomeEffect, shared_onset_s
from stressbook.experiments.words import Text, amount, html_table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Effect"]


class Effect:
    """The difference between two scenarios that ran with the same seeds.

    Parameters
    ----------
    comparison : Comparison
        All runs of both, and of the placebo.

    Attributes
    ----------
    comparison : Comparison
        As given: single runs by arm and seed.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.outcomes: dict[str, OutcomeEffect] = {
            effect.name: effect for effect in comparison.effects()
        }

    def __getitem__(self, outcome: str) -> OutcomeEffect:
        if outcome not in self.outcomes:
            raise UnknownName("outcome", outcome, known=self.outcomes)
        return self.outcomes[outcome]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def summary(self) -> Text:
        """Return means, paired differences with intervals, and what may be claimed of them."""
        body = table(self._rows(), aligned="llrrrrr")
        return Text("\n".join([self._headline(), body, *self._notes()]))

    def frame(self) -> pd.DataFrame:
        """Return one row for each outcome.

        Returns
        -------
        pandas.DataFrame
            Means of both, difference and placebo with bounds, p-value before correction,
            correlation, n and verdict.
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `frame` as plain tables."""
        return [_record(effect) for effect in self.outcomes.values()]

    def values(self) -> pd.DataFrame:
        """Return every outcome of every run.

        Returns
        -------
        pandas.DataFrame
            A row for each arm and seed; runs that failed have an `error` and no outcomes.
        """
        return runs_frame("arm", self.comparison.runs)

    def _headline(self) -> str:
        found = self.comparison
        seeds = found.seeds
        pair = f"{found.treated.name} against {found.control.name}"
        changed = "; ".join(scenario_changes(found.control, found.treated))
        pair = f"{pair} ({changed})" if changed else pair
        span = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        n_failed = len(seeds) - found.n_pairs
        failed = f" · {n_failed} of {len(seeds)} failed" if n_failed else ""
        return f"{pair} · {found.n_pairs} pairs · {span}{failed}"

    def _rows(self) -> list[tuple[str, ...]]:
        percent = f"{self.comparison.level:.0%}"
        rows: list[tuple[str, ...]] = [
            (
                "outcome",
                "unit",
                "control",
                "treated",
                "difference",
                f"{percent} interval",
                "corr",
                "verdict",
            )
        ]
        for effect in self.outcomes.values():
            scale = max(abs(effect.control.value), abs(effect.treated.value))
            difference = without_dust(effect.difference, scale)
            rows.append(
                (
                    effect.name,
                    effect.unit,
                    amount(effect.control.value),
                    amount(effect.treated.value),
                    amount(difference.value),
                    interval(difference),
                    "" if math.isnan(effect.correlation) else f"{effect.correlation:.2f}",
                    "" if effect.verdict == "not evidence" else effect.verdict,
                )
            )
        return rows

    def _notes(self) -> list[str]:
        found, notes = self.comparison, []
        n = next(iter(self.outcomes.values())).difference.n if self.outcomes else 0
        if n < MIN_PAIRS:
            pairs = "1 pair is" if n == 1 else f"{n} pairs are"
            notes.append(f"{pairs} not evidence: ask for {MIN_PAIRS} reps or more")
        if n >= MIN_PAIRS:
            notes.append(
                f"intervals are of single outcomes; a verdict stands after Holm's correction over "
                f"{len(self)} outcomes"
            )
        notes.append(f"drawdowns count from minute {self._onset_min():g} on")
        notes += _backstop_note(found)
        changed = found.changed("placebo", "treated") if "placebo" in found.runs else None
        notes.append(placebo_note(changed, "the treated runs", n=found.n_pairs))
        blind = [effect.name for effect in self.outcomes.values() if effect.correlation <= 0.0]
        if blind:
            notes.append(f"pairing did not narrow: {', '.join(blind)}")
        by_horizon = horizons_note(found.by_horizon())
        notes += [by_horizon] if by_horizon else []
        notes += [f"failed, {place}: {error}" for place, error in found.failures.items()]
        return notes

    def _onset_min(self) -> float:
        return shared_onset_s(self.comparison.control, self.comparison.treated) / 60.0

    def __repr__(self) -> str:
        claimed = [e.name for e in self.outcomes.values() if e.verdict in ("higher", "lower")]
        found = self.comparison
        return (
            f"<Effect of {found.treated.name} against {found.control.name}: "
            f"{found.n_pairs} pairs, {len(claimed)} of {len(self)} outcomes differ>"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        return f"<p>{escape(self._headline())}</p>{html_table(self._rows())}<ul>{notes}</ul>"


def _backstop_note(found: Comparison) -> list[str]:
    """Say in how many seeds the backstop's equity was below zero, where runs tell."""
    if "backstop_low_usd" not in found.outcomes:
        return []
    lows = found.values("backstop_low_usd")
    k = {arm: int((lows[arm] < 0.0).sum()) for arm in ("control", "treated")}
    return [
        f"the backstop's equity fell below zero in {k['control']} of {found.n_pairs} seeds of the "
        f"control, in {k['treated']} of the treated"
    ]


def interval(estimate: Estimate) -> str:
    """Return the bounds of an estimate as text, empty where there are none."""
    if math.isnan(estimate.low):
        return ""
    return f"{amount(estimate.low)} to {amount(estimate.high)}"


def _record(effect: OutcomeEffect) -> dict[str, Any]:
    return {
        "outcome": effect.name,
        "unit": effect.unit,
        "control": effect.control.value,
        "treated": effect.treated.value,
        "difference": effect.difference.value,
        "low": effect.difference.low,
        "high": effect.difference.high,
        "n": effect.difference.n,
        "p": effect.p,
        "correlation": effect.correlation,
        "placebo": effect.placebo.value,
        "placebo_low": effect.placebo.low,
        "placebo_high": effect.placebo.high,
        "verdict": effect.verdict,
    }
