"""Episodes sorted by one of their draws, so that a reader may weigh them anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.caps.law import ScenarioLaw
from stressbook.market.compiling.arrays import I64

__all__ = ["N_BINS", "DrawBins", "draw_bins"]

N_BINS: Final = 4


class DrawBins(NamedTuple):
    """Ranges of a draw of equal width, and in which of them each episode lies."""

    name: str
    edges: tuple[float, ...]  # one more than ranges
    rank: I64  # (n_episodes,), from 0

    def ends(self, k: int) -> dict[str, float]:
        """Return the bounds of a range under the names that tables give them."""
        return {f"{self.name}_from": self.edges[k], f"{self.name}_to": self.edges[k + 1]}


def draw_bins(law: ScenarioLaw, name: str, seeds: Sequence[int], *, n: int = N_BINS) -> DrawBins:
    """Return the episodes of seeds by one draw of their law.

    Parameters
    ----------
    law : ScenarioLaw
        With the draw.
    name : str
        Of it.
    seeds : sequence of int
        Of the episodes.
    n : int, default 4
        Ranges.

    Returns
    -------
    DrawBins

    Examples
    --------
    >>> from stressbook.experiments.caps.law import Draw
    >>> fall = Draw("fall", 0.0, 1.0, "1", "assumed")
    >>> law = ScenarioLaw("HYPE falls.", 600.0, 7200.0, 0.0, 1.0, (fall,), {}, {}, ())
    >>> found = draw_bins(law, "fall", [7, 8, 9])
    >>> found.edges, [int(4 * law.drawn(seed)["fall"]) for seed in (7, 8, 9)] == [*found.rank]
    ((0.0, 0.25, 0.5, 0.75, 1.0), True)
    """
    draw = next(one for one in law.draws if one.name == name)
    edges = np.linspace(draw.low, draw.high, n + 1)
    drawn = np.array([law.drawn(seed)[name] for seed in seeds])
    rank = np.clip(np.searchsorted(edges, drawn, side="right") - 1, 0, n - 1)
    return DrawBins(name, tuple(edges.tolist()), rank.astype(np.int64))
