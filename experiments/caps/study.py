"""A cap study: which lever, which law, which loss may be how large how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from stressbook.experiments.caps.demand import PLATFORM_CAP, Demand
from stressbook.experiments.caps.episodes import Changes, Episodes
from stressbook.experiments.caps.law import Draw, ScenarioLaw
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files.toml_text import toml_text
from stressbook.experiments.scenario_files.venue_table import venue_places
from stressbook.experiments.statistics.exact import least_runs
from stressbook.market.rules.parameters import param

if TYPE_CHECKING:
    from stressbook.experiments.caps.runs import Runs

__all__ = [
    "AbsorptionParams",
    "CapParams",
    "CapStudy",
    "OutcomeParams",
    "Row",
    "RowParams",
    "SecondParams",
]


@dataclass(frozen=True, kw_only=True)
class CapParams:
    """The `[cap]` table: what is decided."""

    lever: str = param(PLATFORM_CAP, unit="place", help="number that is decided")
    unit: str = param("USD", unit="text", help="of the lever, for print")
    grid: tuple[float, ...] = param(
        (), unit="1", help="values that are tried, rising", low=0.0, high=1e18
    )
    in_use: float = param(
        0.0, unit="1", help="of it already, for the reader; 0 is not known", low=0.0, high=1e18
    )
    in_use_source: str = param("", unit="text", help="where and when that was seen")
    demand: Literal["filled", "emergent"] = param(
        "filled", unit="name", help="who borrows in the answer that is certified"
    )


@dataclass(frozen=True, kw_only=True)
class OutcomeParams:
    """The `[outcome]` table: which loss may be how large, how often, with which confidence."""

    name: str = param("reserve_shortfall_usd", unit="name", help="outcome that is bounded")
    budget: float = param(
        25e6,
        unit="USD",
        help="largest loss that is no failure, the same at every cap",
        source="assumed: 5 % of the cap of 500 M USD of 2026-08-19",
        low=0.0,
    )
    alpha: float = param(
        0.05, unit="1", help="largest probability of a failure", low=1e-4, high=0.5
    )
    confidence: float = param(0.95, unit="1", help="of the certificate", low=0.5, high=0.999)
    power_at: float = param(
        0.4,
        unit="1",
        help="true rate over alpha at which the certificate passes with `power`",
        low=0.01,
        high=0.95,
    )
    power: float = param(
        0.8, unit="1", help="with which a cap of that rate passes", low=0.1, high=0.99
    )
    attempts: int = param(1, unit="1", help="planned certificates, which share the error", low=1)
    seeds: int = param(
        59, unit="1", help="episodes that propose, and of each shown row", low=2, high=10_000
    )

    @property
    def shown_in(self) -> tuple[float, str]:
        """What its values are divided by where they are shown, and their unit; empty of counts."""
        unit = unit_of(self.name)
        return (1e6, "M USD") if unit == "USD" else (1.0, "" if unit == "1" else unit)

    @property
    def budget_text(self) -> str:
        """The budget with its unit.

        Examples
        --------
        >>> OutcomeParams().budget_text, OutcomeParams(name="n_breaches", budget=20.0).budget_text
        ('25 M USD', '20')
        """
        by, unit = self.shown_in
        return f"{self.budget / by:,.4g} {unit}".rstrip()

    def titled(self, text: str) -> str:
        """Return a title of its values, with their unit.

        Examples
        --------
        >>> OutcomeParams().titled("mean loss"), OutcomeParams(name="n_breaches").titled("mean")
        ('mean loss, M USD', 'mean')
        """
        _, unit = self.shown_in
        return f"{text}, {unit}" if unit else text

    def failed(self, runs: Runs) -> list[bool]:
        """Return which episodes failed: above the budget, or crashed."""
        return runs.failed(self.name, self.budget)

    def n_failed(self, runs: Runs) -> int:
        """Return how many episodes failed."""
        return sum(self.failed(runs))


@dataclass(frozen=True, kw_only=True)
class RowParams:
    """A `[[rows]]` table: one thing varied at the certified cap."""

    name: str = param("", unit="text", help="of the row")
    group: str = param("", unit="text", help="heading under which the report prints it")
    demand: Literal["filled", "emergent", ""] = param(
        "", unit="name", help="who borrows; as in the certificate if left out"
    )
    at: Literal["certified", "current"] = param("certified", unit="name", help="value of the lever")


@dataclass(frozen=True, kw_only=True)
class SecondParams:
    """The `[second]` table: a second cap, tried with each value of the first."""

    lever: str = param("", unit="place", help="number that is decided too; empty: none is")
    unit: str = param("USD", unit="text", help="of the lever, for print")
    grid: tuple[float, ...] = param(
        (), unit="1", help="values that are tried, rising", low=0.0, high=1e18
    )


@dataclass(frozen=True, kw_only=True)
class AbsorptionParams:
    """The `[absorption]` table: what the market takes, and how it is scaled for the break-even."""

    asset: str = param("", unit="asset", help="whose token is sold; empty: none is")
    median_of: str = param("", unit="name", help="draw whose median seed is looked at")
    multiplies: tuple[str, ...] = param((), unit="place", help="places that grow with it")
    divides: tuple[str, ...] = param((), unit="place", help="places that shrink with it")
    table_by: tuple[str, ...] = param(
        (), unit="name", help="two draws by which failures are tabled"
    )


@dataclass(frozen=True)
class Row:
    """One thing that is varied, on the seeds of the proposal.

    Parameters
    ----------
    about : RowParams
        Name, group, demand and where it is tried.
    changes : Changes
        On top of the law.
    """

    about: RowParams
    changes: Changes


@dataclass(frozen=True)
class CapStudy:
    """A cap study, resolved.

    Parameters
    ----------
    name, summary : str
        As the report prints them.
    seed : int
        Of all its episodes.
    scenario : Scenario
        What the law does not change.
    cap, second : CapParams, SecondParams
        What is decided, alone and with a second one.
    outcome : OutcomeParams
        By which loss.
    law : ScenarioLaw
        Of the episodes.
    absorption : AbsorptionParams
        What the market takes.
    rows : tuple of Row
        Varied singly.
    """

    name: str
    summary: str
    seed: int
    scenario: Scenario
    cap: CapParams
    second: SecondParams
    outcome: OutcomeParams
    law: ScenarioLaw
    absorption: AbsorptionParams
    rows: tuple[Row, ...]

    @property
    def demand(self) -> Demand:
        """Who borrows in the answer."""
        return self.cap.demand

    @property
    def current(self) -> float:
        """Value of the lever in the scenario."""
        places = venue_places(self.scenario.venue_spec())
        return float(places[self.cap.lever.removeprefix("venue.")])

    @property
    def asset(self) -> str:
        """Asset whose market is looked at: the one that absorption is asked of, or the first."""
        return self.absorption.asset or self.scenario.assets[0]

    @property
    def needed_seeds(self) -> int:
        """Fewest episodes of the grid that may propose a cap at alpha."""
        return least_runs(self.outcome.alpha, self.outcome.confidence)

    def episodes(self) -> Episodes:
        """Return what makes the scenario of each episode."""
        return Episodes(self.scenario, self.law)

    def to_table(self) -> dict[str, Any]:
        """Return the resolved study as a table, as a file has it but for the scenario in full."""
        law = self.law
        return {
            "name": self.name,
            "summary": self.summary,
            "seed": self.seed,
            "scenario": self.scenario.to_table(),
            "cap": _plain(vars(self.cap)),
            "second": _plain(vars(self.second)),
            "outcome": _plain(vars(self.outcome)),
            "law": {
                "summary": law.summary,
                "onset": law.onset_s,
                "duration": law.duration_s,
                "run_on": law.run_on_s,
                "episodes_per_year": law.episodes_per_year,
                "draws": {one.name: _without_name(one) for one in law.draws},
                "set": _plain(law.settings),
                "scale": _plain(law.scales),
                "elements": [_plain(vars(one)) for one in law.elements],
            },
            "absorption": _plain(vars(self.absorption)),
            "rows": [
                {
                    **_plain(vars(row.about)),
                    "set": _plain(row.changes.settings),
                    "scale": _plain(row.changes.scales),
                    "probability": _plain(row.changes.probability),
                }
                for row in self.rows
            ],
        }

    def digest(self) -> str:
        """Return the SHA-256 of the resolved study, in hexadecimal."""
        return sha256(toml_text(self.to_table()).encode()).hexdigest()

    def with_outcome(self, **changes: Any) -> CapStudy:
        """Return the study with parts of its `[outcome]` replaced."""
        return replace(self, outcome=replace(self.outcome, **changes))


def _without_name(draw: Draw) -> dict[str, Any]:
    return {key: value for key, value in _plain(vars(draw)).items() if key != "name"}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
