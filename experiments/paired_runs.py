"""Runs of several arms with the same seeds: which count, and what each outcome came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stressbook.experiments.moves import Horizons, move_table, paired_horizons
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.market.compiling.arrays import F64

__all__ = ["PairedRuns"]


class PairedRuns:
    """What comparisons share: a seed counts if it ended in every arm that counts.

    Attributes
    ----------
    runs : mapping of str to tuple of Replicate
        By arm, each in seed order; subclasses fill it.
    """

    runs: Mapping[str, tuple[Replicate, ...]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, failed ones too."""
        return tuple(replicate.seed for replicate in next(iter(self.runs.values())))

    @property
    def n_pairs(self) -> int:
        """Seeds that count."""
        return len(self._whole())

    @property
    def failures(self) -> dict[str, str]:
        """Why runs failed, by "arm seed"; their seeds count in no statistic."""
        return {
            f"{arm} {replicate.seed}": replicate.error
            for arm, replicates in self.runs.items()
            for replicate in replicates
            if replicate.error
        }

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of all outcomes that any run has."""
        names: dict[str, None] = {}
        for replicates in self.runs.values():
            for replicate in replicates:
                names |= dict.fromkeys(replicate.outcomes)
        return tuple(names)

    def values(self, outcome: str) -> dict[str, F64]:
        """Return an outcome of each arm that counts, over the seeds that count.

        Parameters
        ----------
        outcome : str
            Its name.

        Returns
        -------
        dict of str to ndarray of float64, shape (n,)
        """
        whole = self._whole()
        return {
            arm: np.array([self.runs[arm][k].outcomes.get(outcome, math.nan) for k in whole])
            for arm in self._counted()
        }

    def changed(self, arm: str, other: str) -> tuple[str, ...]:
        """Return the outcomes in which two arms differ in any seed, by more than rounding."""
        both = {name: self.values(name) for name in self.outcomes}
        return tuple(
            name
            for name, found in both.items()
            if not np.allclose(found[arm], found[other], rtol=1e-9, atol=1e-9, equal_nan=True)
        )

    def horizons(self, arm: str, other: str, assets: Sequence[str]) -> tuple[Horizons, ...]:
        """Return what pairing two arms achieved for the marks of some assets, by horizon."""
        whole = self._whole()
        treated = move_table([self.runs[arm][k].moves for k in whole])
        control = move_table([self.runs[other][k].moves for k in whole])
        return paired_horizons(treated, control, assets)

    def _counted(self) -> list[str]:
        return list(self.runs)

    def _whole(self) -> list[int]:
        counted = self._counted()
        return [
            rank
            for rank in range(len(self.seeds))
            if not any(self.runs[arm][rank].error for arm in counted)
        ]
