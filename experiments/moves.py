"""How far pairing carries: the mark's moves after the onset, and their correlation by horizon.

Two arms on the same draws part with time. What pairing achieves for a mark falls with the horizon
over which it is looked at, and from where the correlation is 0 or less it narrows nothing. Moves
are kept beside the outcomes of a run; they are no outcomes, and no table of outcomes has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from stressbook.experiments.inference import correlation
from stressbook.experiments.scenario import Scenario
from stressbook.market.compiling.arrays import F64

if TYPE_CHECKING:
    from stressbook.experiments.run import RunRecord

__all__ = [
    "HORIZONS_MIN",
    "Horizons",
    "horizons_note",
    "least_of",
    "mark_moves",
    "move_name",
    "move_table",
    "paired_horizons",
    "target_assets",
]

HORIZONS_MIN: Final = (5, 15, 30, 60, 120)


@dataclass(frozen=True)
class Horizons:
    """What pairing achieved for the mark of one asset.

    Parameters
    ----------
    asset : str
        Whose mark.
    minutes : tuple of int
        Horizons after the onset, as far as the runs go.
    correlations : tuple of float
        Of the moves of two arms over seeds, at each; NaN where one does not vary.
    n : int
        Seeds.
    """

    asset: str
    minutes: tuple[int, ...]
    correlations: tuple[float, ...]
    n: int

    @property
    def blind_from_min(self) -> int | None:
        """First horizon at which the correlation is 0 or less; None if there is none."""
        pairs = zip(self.minutes, self.correlations, strict=True)
        return next((minutes for minutes, found in pairs if found <= 0.0), None)


def move_name(asset: str, minutes: int) -> str:
    """Return what a move is kept under.

    Examples
    --------
    >>> move_name("HYPE", 5)
    'mark_move_HYPE_5min'
    """
    return f"mark_move_{asset}_{minutes}min"


def mark_moves(record: RunRecord) -> dict[str, float]:
    """Return the move of each asset's mark from the onset to each horizon that the run reaches.

    Parameters
    ----------
    record : RunRecord
        A finished run.

    Returns
    -------
    dict of str to float
        ln(mark then / mark at the onset) by `move_name`. What a run goes on past its end is left
        out, since not every seed has it.
    """
    scenario = record.scenario
    planned = round((scenario.warmup_s + scenario.duration_s) / scenario.dt_s)
    marks = record.series.asset["mark_usd"][:planned]
    found = {}
    for minutes in HORIZONS_MIN:
        at = record.onset_step + round(60.0 * minutes / scenario.dt_s)
        if at >= len(marks):
            break
        for asset, then, start in zip(
            scenario.assets, marks[at], marks[record.onset_step], strict=True
        ):
            found[move_name(asset, minutes)] = (
                math.log(then / start) if then > 0.0 and start > 0.0 else math.nan
            )
    return found


def target_assets(*scenarios: Scenario) -> tuple[str, ...]:
    """Return the assets that any stress names; all assets where none names any."""
    named = {
        asset
        for scenario in scenarios
        for stress in scenario.stresses
        for asset in getattr(stress, "assets", ())
    }
    return tuple(asset for asset in scenarios[0].assets if asset in named or not named)


def move_table(runs: Sequence[Mapping[str, float]]) -> dict[str, F64]:
    """Return the moves of several runs by name, shape (n,); NaN where a run has none.

    Examples
    --------
    >>> move_table([{"mark_move_HYPE_5min": 0.5}, {}])
    {'mark_move_HYPE_5min': array([0.5, nan])}
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: np.array([run.get(name, math.nan) for run in runs]) for name in names}


def paired_horizons(
    treated: Mapping[str, F64], control: Mapping[str, F64], assets: Sequence[str]
) -> tuple[Horizons, ...]:
    """Return what pairing achieved for the marks of some assets.

    Parameters
    ----------
    treated, control : mapping of str to ndarray, shape (n,)
        Moves by name, the same seeds in the same order.
    assets : sequence of str
        Whose marks.

    Returns
    -------
    tuple of Horizons
        Of each asset of which both arms have any move.

    Examples
    --------
    >>> up = np.arange(4.0)
    >>> found, = paired_horizons({"mark_move_X_5min": up}, {"mark_move_X_5min": -up}, ["X"])
    >>> found.minutes, found.correlations[0].__round__(3), found.blind_from_min
    ((5,), -1.0, 5)
    """
    found = []
    for asset in assets:
        names = {minutes: move_name(asset, minutes) for minutes in HORIZONS_MIN}
        told = {m: name for m, name in names.items() if name in treated and name in control}
        if told:
            n = len(treated[next(iter(told.values()))])
            reached = tuple(correlation(treated[name], control[name]) for name in told.values())
            found.append(Horizons(asset, tuple(told), reached, n))
    return tuple(found)


def least_of(several: Sequence[Sequence[Horizons]]) -> tuple[Horizons, ...]:
    """Return the smallest correlation of several pairs of arms at each horizon, asset by asset.

    Examples
    --------
    >>> one, other = Horizons("X", (5, 15), (0.9, 0.2), 8), Horizons("X", (5,), (0.8,), 8)
    >>> least_of([[one], [other]])
    (Horizons(asset='X', minutes=(5, 15), correlations=(0.8, 0.2), n=8),)
    """
    found: dict[str, dict[int, float]] = {}
    n: dict[str, int] = {}
    for one in (one for pair in several for one in pair):
        by_minutes = found.setdefault(one.asset, {})
        n[one.asset] = min(n.get(one.asset, one.n), one.n)
        for minutes, value in zip(one.minutes, one.correlations, strict=True):
            known = by_minutes.get(minutes, math.nan)
            by_minutes[minutes] = value if math.isnan(known) else np.fmin(known, value).item()
    return tuple(
        Horizons(asset, tuple(sorted(values)), tuple(values[m] for m in sorted(values)), n[asset])
        for asset, values in found.items()
    )


def horizons_note(found: Sequence[Horizons], *, n_pairs_of_arms: int = 1) -> str:
    """Say by horizon what pairing achieved, and from where on it does not help.

    Parameters
    ----------
    found : sequence of Horizons
        Of one pair of arms, or the least of several.
    n_pairs_of_arms : int, default 1
        Of which these are the least.

    Returns
    -------
    str
        Empty if no run reaches the first horizon.

    Examples
    --------
    >>> horizons_note([Horizons("HYPE", (5, 15), (0.99, 0.97), 8)])
    "correlation of the mark's move over seeds at 5/15 min: HYPE 0.99 0.97; above 0 as far as the runs go"
    >>> horizons_note([Horizons("HYPE", (5, 15), (0.4, -0.2), 8)], n_pairs_of_arms=3)
    "correlation of the mark's move over seeds, the least of 3, at 5/15 min: HYPE 0.40 -0.20; pairing does not help the mark of HYPE from 15 min on"
    """  # noqa: E501 - output in one line
    if not found:
        return ""
    minutes = max((one.minutes for one in found), key=len)
    least = f", the least of {n_pairs_of_arms}," if n_pairs_of_arms > 1 else ""
    told = ", ".join(
        f"{one.asset} {' '.join(_told(value) for value in one.correlations)}" for one in found
    )
    blind = [(one.asset, one.blind_from_min) for one in found if one.blind_from_min is not None]
    said = "; ".join(
        f"pairing does not help the mark of {asset} from {first} min on" for asset, first in blind
    )
    if not said:
        is_told = all(not math.isnan(x) for one in found for x in one.correlations)
        said = "above 0 as far as the runs go" if is_told else "none where a mark does not vary"
    at = "/".join(map(str, minutes))
    return f"correlation of the mark's move over seeds{least} at {at} min: {told}; {said}"


def _told(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.2f}"
