"""One run of many: what is asked, what is kept of it, and the key that tells whether it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from stressbook.experiments.plugins import plugin_sources, sources_key
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.sweeps.warm_up import Contents
from stressbook.market.compiling.kernel_cache import sources_digest

__all__ = ["Job", "Replicate", "keys_of"]

_SCHEMA = 1


@dataclass(frozen=True)
class Job:
    """One run to be made.

    Parameters
    ----------
    scenario : Scenario
        What to run.
    seed : int
        Key of its draws.
    engine : {"kernel", "reference"}
        Which venue.
    is_placebo : bool
        Whether one order of one lot is added at the onset.
    onset_s : float, optional
        From when on drawdowns are looked at, and when margin is; the onset of the scenario if it
        is left out.
    label : str
        What it is counted under: an arm, a row of a table.
    run_on_s : float
        How long the episode may go on past its end while assumed debt is unpaid or a debtor in
        breach, s; outcomes are those of its end.
    decided : (str, float), optional
        An outcome and a value: the episode stops at the first minute at which the outcome can only
        end above the value. Names: `stressbook.experiments.sweeps.cell_run.BOOKED`.
    levers : tuple of (str, object)
        Place and value of what a study has set, to be kept beside the outcomes.
    series : tuple of str
        Rows of each step to keep: names in `stressbook.experiments.sweeps.series.SERIES`.
    series_folder : str
        Where they go.
    account : str
        Of the population file, whose outcomes are measured as well; none if empty.
    """

    scenario: Scenario
    seed: int
    engine: str = "kernel"
    is_placebo: bool = False
    onset_s: float | None = None
    label: str = ""
    run_on_s: float = 0.0
    decided: tuple[str, float] | None = None
    levers: tuple[tuple[str, Any], ...] = ()
    series: tuple[str, ...] = ()
    series_folder: str = ""
    account: str = ""


@dataclass(frozen=True)
class Replicate:
    """What is kept of one of many runs.

    Parameters
    ----------
    seed : int
        Key of its draws.
    digest : str
        SHA-256 of the run; empty if it failed.
    outcomes : dict of str to float
        By name; empty if it failed.
    error : str
        Why it failed; empty if it did not.
    stopped_early : bool
        Whether it ended where an outcome was decided; all others are those of that moment.
    moves : dict of str to float
        Of marks after the onset, by `stressbook.experiments.moves.move_name`: no outcomes.
    """

    seed: int
    digest: str
    outcomes: dict[str, float]
    error: str = ""
    stopped_early: bool = False
    moves: dict[str, float] = field(default_factory=dict)


def keys_of(jobs: Iterable[Job]) -> list[str]:
    """Return the key of each job: SHA-256 of all that fixes its result, in hexadecimal.

    Parameters
    ----------
    jobs : iterable of Job
        Those that share a scenario cost little.

    Returns
    -------
    list of str
        Two jobs of one key come out the same. Names and labels are not in it; the sources of the
        package and of own classes are.
    """
    sources = sources_digest()
    contents = Contents()
    own: dict[int, str] = {}
    keys = []
    for job in jobs:
        scenario = job.scenario
        content = contents.whole(scenario)
        if id(scenario) not in own:
            own[id(scenario)] = sources_key(plugin_sources(scenario)).hex()
        fixed = (job.seed, job.engine, job.is_placebo, job.onset_s, job.run_on_s, job.decided)
        made_of = [_SCHEMA, sources, content, own[id(scenario)], *fixed, job.series, job.account]
        keys.append(sha256(json.dumps(made_of).encode()).hexdigest())
    return keys
