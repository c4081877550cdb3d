"""The imposed shock in words: what is turned, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stressbook.experiments.stress import Stress
from stressbook.experiments.words import duration
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import percent

__all__ = ["shock_table", "shock_window_min"]

_WORDS: Final = {
    "assets": "{}",
    "beta_factor": "loading on the market x {}",
    "residual_factor": "loadings on all other factors x {}",
    "correlation_after": "correlation with the others {}",
    "where": "depth cut at: {}",
    "left_frac": "{} of the capacity is left",
    "run_per_hour": "hazard of leaving {} an hour",
    "delay_s": "breaches are judged every {} s",
    "place": "{}",
    "to": "becomes {}",
    "factor": "is multiplied by {}",
}


def shock_table(stresses: Sequence[Stress], *, assets: Sequence[str] = ()) -> Table:
    """Return each stress with its onset on the clock of the run, length, severity and effect.

    Below the table stands what stresses say of themselves in a run of these assets: how rare a
    severity above 1 is.
    """
    rows = []
    for stress in stresses:
        own = {k: v for k, v in vars(stress).items() if k not in ("at", "duration", "severity")}
        how = "; ".join(_effect(k, v) for k, v in own.items() if v not in (None, ()))
        kind = stress.kind.replace("_", " ")
        times = (
            duration(s).replace(" ", "\N{NO-BREAK SPACE}") for s in (stress.at_s, stress.duration_s)
        )
        rows.append((kind, *times, f"{stress.severity:g}", how))
    head = ("kind", "at", "lasts", "severity", "how")
    notes = [note for note in (stress.note((*assets,)) for stress in stresses) if note]
    note = " ".join(f"{note[0].upper()}{note[1:]}." for note in notes)
    return table_of("The imposed shock", head, rows, words=(4,), note=note)


def shock_window_min(stresses: Sequence[Stress]) -> tuple[float, float]:
    """Return from the first onset to the last end, minutes from the first onset.

    Examples
    --------
    >>> from stressbook.experiments.stress import PriceGap
    >>> shock_window_min([PriceGap(at=60, duration=120)]), shock_window_min([])
    ((0.0, 2.0), (0.0, 0.0))
    """
    if not stresses:
        return 0.0, 0.0
    first = min(stress.at_s for stress in stresses)
    return 0.0, (max(stress.at_s + stress.duration_s for stress in stresses) - first) / 60.0


def _effect(name: str, value: Any) -> str:
    """Return what a setting does, in words; of a stress of the reader's own, name and value."""
    if name.endswith("fall_frac"):
        moves = "falls" if value >= 0.0 else "rises"
        alone = " on its own" if name.startswith("residual") else ""
        return f"{moves} by {percent(abs(value))} %{alone}"
    shown = ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
    if name == "where" and value == "both":
        shown = "venue and outside"
    if name == "cut_frac":
        return f"{percent(value)} % of the depth gone"
    return _WORDS.get(name, f"{name.replace('_', ' ')} {{}}").format(shown)
