"""What the backstop of a run came to: end less opening in one number, its risk is what it took."""

from __future__ import annotations

from typing import NamedTuple

from stressbook.experiments.run import RunRecord

__all__ = ["BackstopResult", "backstop_of_run"]


class BackstopResult(NamedTuple):
    """Equity of the backstop over a run, USD."""

    opening_usd: float
    result_usd: float  # at the end, less the opening
    low_usd: float


def backstop_of_run(record: RunRecord) -> BackstopResult:
    """Return what the backstop came to from the opening of a run to its end.

    Parameters
    ----------
    record : RunRecord
        A finished run.

    Returns
    -------
    BackstopResult
        Result and lowest equity are the losses `backstop_result_usd` and `backstop_low_usd`.
    """
    found = record.outcomes
    opening = float(record.accounts[-1]["opening_equity_usd"])
    return BackstopResult(opening, found["backstop_result_usd"], found["backstop_low_usd"])
