"""Outcomes of one scenario over several seeds, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stressbook.api.effect import interval
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.words import Text, amount, html_table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Replicates"]


class Replicates:
    """Several runs of one scenario.

    Parameters
    ----------
    scenario : stressbook.experiments.scenario.Scenario
        What was run.
    runs : sequence of Replicate
        In seed order; failed ones too.

    Attributes
    ----------
    runs : tuple of Replicate
        As given.
    """

    def __init__(self, scenario: Scenario, runs: Sequence[Replicate]) -> None:
        self.scenario = scenario
        self.runs = tuple(runs)

    @property
    def failures(self) -> dict[int, str]:
        """Why runs failed, by seed; they count in no statistic."""
        return {run.seed: run.error for run in self.runs if run.error}

    def estimate(self, outcome: str, *, level: float = 0.95) -> Estimate:
        """Return the mean of an outcome over the seeds that ended, with its interval."""
        values = [run.outcomes.get(outcome, np.nan) for run in self.runs if not run.error]
        return mean_estimate(values, level=level)

    def frame(self) -> pd.DataFrame:
        """Return every outcome of every run: a row for each seed."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"seed": run.seed, "digest": run.digest, "error": run.error, **run.outcomes}
                for run in self.runs
            ]
        )

    def summary(self) -> Text:
        """Return the mean of each outcome with its interval, as text."""
        lines = [self._headline(), table(self._rows(), aligned="lrrr")]
        lines += [f"failed, seed {seed}: {error}" for seed, error in self.failures.items()]
        return Text("\n".join(lines))

    def names(self) -> list[str]:
        """Return the names of all outcomes."""
        found: dict[str, None] = {}
        for run in self.runs:
            found |= dict.fromkeys(run.outcomes)
        return list(found)

    def _headline(self) -> str:
        n_failed = len(self.failures)
        failed = f" · {n_failed} of {len(self.runs)} failed" if n_failed else ""
        first, last = self.runs[0].seed, self.runs[-1].seed
        return f"{self.scenario.name} · {len(self.runs)} runs · seeds {first} to {last}{failed}"

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("outcome", "mean", "95% interval", "n", "unit")]
        for name in self.names():
            mean = self.estimate(name)
            text = amount(mean.value)
            rows.append((name, text, interval(mean), str(mean.n), unit_of(name)))
        return rows

    def __repr__(self) -> str:
        return f"<Replicates of {self._headline()}>"

    def _repr_html_(self) -> str:
        return html_table(self._rows())
