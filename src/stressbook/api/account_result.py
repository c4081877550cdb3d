"""What becomes of one account of one's own file: the answer of `stressbook account`."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stressbook.api.scenarios import Scenario, scenario
from stressbook.experiments.inference import Estimate
from stressbook.experiments.own_book.account_study import AccountStudy, Line, study_account
from stressbook.experiments.progress import Progress
from stressbook.experiments.scenario import Scenario as Resolved
from stressbook.experiments.words import Text, amount, duration, html_table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AccountResult", "account"]

_HEAD = ("", "stressed", "95% interval", "severity 0", "95% interval", "difference, paired", "unit")
CAVEATS = (
    "The account does nothing in a run: no order, no deposit, no hedge kept; its owner would.",
    "It opens at the opening prices of the scenario, which need not be those of its file.",
    "Unvalidated model: a share of seeds is a share of draws of the model, not the probability of "
    "a real event (docs/limits.md).",
)


class AccountResult:
    """One account over many seeds, under the stresses and at severity 0.

    Parameters
    ----------
    study : AccountStudy
        Its runs.

    Attributes
    ----------
    study : AccountStudy
        As given: scenario, account, runs of both sides.
    """

    def __init__(self, study: AccountStudy) -> None:
        self.study = study

    @property
    def lines(self) -> list[Line]:
        """The answer line by line: `what`, `unit`, `stressed`, `calm`, `difference`, `p`."""
        return self.study.lines()

    @property
    def failures(self) -> dict[int, str]:
        """Why runs failed, by seed; such a seed counts in nothing."""
        return self.study.failures

    def frame(self) -> pd.DataFrame:
        """Return every outcome of every run: a row for each seed and side."""
        import pandas as pd

        sides = {"stressed": self.study.stressed, "severity 0": self.study.calm}
        return pd.DataFrame(
            [
                {"side": side, "seed": run.seed, "error": run.error, **run.outcomes}
                for side, runs in sides.items()
                for run in runs
            ]
        )

    def summary(self) -> Text:
        """Return the answer as text."""
        lines = [self._headline(), *self._stresses(), table(self._rows(), aligned="lrrrrrl")]
        lines += [f"failed, seed {seed}: {error}" for seed, error in self.failures.items()]
        return Text("\n".join([*lines, *CAVEATS]))

    def to_table(self) -> dict[str, Any]:
        """Return the answer as plain data, as `--json` prints it."""
        study = self.study
        return {
            "account": study.account,
            "scenario": study.scenario.name,
            "scenario_digest": study.scenario.digest(),
            "seeds": [run.seed for run in study.stressed],
            "n": study.n,
            "level": study.level,
            "lines": [
                {
                    "what": line.what,
                    "unit": line.unit,
                    "stressed": _plain(line.stressed),
                    "severity_0": _plain(line.calm),
                    "difference": None if line.difference is None else _plain(line.difference),
                    "p": line.p,
                }
                for line in self.lines
            ],
            "failed": {str(seed): error for seed, error in self.failures.items()},
            "caveats": list(CAVEATS),
        }

    def _headline(self) -> str:
        study = self.study
        opening, _ = study.values("account_opening_equity_usd")
        worth = f"{amount(float(opening[0]))} USD at the opening" if len(opening) else ""
        seeds = f"seeds {study.stressed[0].seed} to {study.stressed[-1].seed}"
        return (
            f"{study.account} in {study.scenario.name}, {worth} · n = {study.n} pairs, {seeds} · "
            f"{study.scenario.margin_regime} margin, rules of {study.scenario.rules_date}"
        )

    def _stresses(self) -> list[str]:
        found = [
            f"  {one.kind} at {duration(one.at_s)} for {duration(one.duration_s)}, severity "
            f"{amount(one.severity)}"
            for one in self.study.scenario.stresses
        ]
        return found or ["  no stress: both sides are the same runs"]

    def _rows(self) -> list[tuple[str, ...]]:
        return [_HEAD, *map(_cells, self.lines)]

    def __repr__(self) -> str:
        return f"<AccountResult of {self._headline()}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{one}</p>" for one in CAVEATS)
        return f"<p>{self._headline()}</p>{html_table(self._rows())}{notes}"


def _cells(line: Line) -> tuple[str, ...]:
    difference = ""
    if line.difference is not None:
        difference = f"{_number(line.difference.value)} ({_bounds(line.difference)})"
    elif not math.isnan(line.p):
        difference = f"p = {amount(line.p)}"
    return (
        line.what,
        _number(line.stressed.value),
        _bounds(line.stressed),
        _number(line.calm.value),
        _bounds(line.calm),
        difference,
        line.unit if line.unit != "1" else "",
    )


def _number(value: float) -> str:
    return "never" if math.isinf(value) else amount(value)


def _bounds(estimate: Estimate) -> str:
    """Return the interval; an end that n is too small for is open.

    Of values that are all alike a t interval has no width, which says nothing of what is rare.
    """
    if math.isnan(estimate.low) and math.isnan(estimate.high):
        return ""
    if estimate.low == estimate.high:
        return "all alike"
    low = "..." if math.isnan(estimate.low) else _number(estimate.low)
    high = "..." if math.isnan(estimate.high) else _number(estimate.high)
    return f"{low} to {high}"


def _plain(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": "never" if math.isinf(estimate.value) else estimate.value,
        "low": "never" if math.isinf(estimate.low) else estimate.low,
        "high": "never" if math.isinf(estimate.high) else estimate.high,
        "n": estimate.n,
    }


def account(
    file: str | Path,
    *,
    account: str,
    scenario: str | Path | Scenario | Resolved,
    reps: int = 100,
    seed: int = 1,
    engine: str = "kernel",
    workers: int = 1,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> AccountResult:
    """Follow one account of a population file through a scenario, over many seeds.

    Parameters
    ----------
    file : str or Path
        CSV, Parquet, or the JSON of the venue's account states: docs/own-book.md.
    account : str
        Name in the file.
    scenario : str, Path or Scenario
        A name that `stressbook list` prints, a TOML file, or a scenario.
    reps : int, default 100
        Number of seeds; each is run twice, the second time with every stress at severity 0.
    seed : int, default 1
        First of them.
    engine, workers, folder, progress, executor
        As of `Scenario.replicate`.

    Returns
    -------
    AccountResult

    Raises
    ------
    InvalidScenario
        With every problem of the file at once.
    UnknownName
        If the file has no such account.
    StressbookError
        If every run failed.
    """
    found = study_account(
        _with_file(scenario, file).resolved,
        account,
        reps=reps,
        seed=seed,
        engine=engine,
        workers=workers,
        folder=None if folder is None else Path(folder),
        progress=progress,
        executor=executor,
    )
    return AccountResult(found)


def _with_file(given: str | Path | Scenario | Resolved, file: str | Path) -> Scenario:
    if isinstance(given, Resolved):
        given = Scenario(given)
    base = given if isinstance(given, Scenario) else scenario(given)
    return base.with_(population=str(file))
