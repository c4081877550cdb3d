"""A scenario: the whole set-up of a run, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from stressbook.errors import InvalidScenario, Problem
from stressbook.experiments.own_book.holdings import OwnBook
from stressbook.experiments.scenario_files import file as scenario_file
from stressbook.experiments.scenario_files import table as scenario_table
from stressbook.experiments.scenario_files.toml_text import toml_text
from stressbook.experiments.scenario_files.values import unknown_name
from stressbook.experiments.scenario_files.venue_table import restricted
from stressbook.experiments.stress import Stress
from stressbook.market.prices.world_parameters import WorldParams
from stressbook.market.rules.spec import VenueSpec, load_preset

__all__ = ["Scenario", "load_scenario", "scenario_from_table"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything that a run needs beside its seed; made by `load_scenario`.

    Parameters
    ----------
    name, summary : str
        What `stressbook list` prints.
    preset : str
        Rules of the venue, with their date: "hyperliquid-2026-08".
    rules_date, behaviour_date : str
        Days for which the rules hold and from which data of behaviour come, ISO form.
    sources : mapping of str to str
        What else the numbers rest on.
    margin_regime : str
        Margin rule of the accounts, of `market.regimes.regime_names`.
    assets : tuple of str
        The market first.
    dt, duration, warmup : float
        Seconds. The run takes warm-up and duration together.
    opening_price_usd : mapping of str to float
        By asset.
    venue : mapping of str to value
        Numbers of the preset that are changed: "tokens.HYPE.ltv" to 0.65.
    world : WorldParams
        The outside.
    agents : mapping of str to dataclass
        Parameters of each class that takes part.
    stresses : tuple of Stress
        Applied in this order.
    population : OwnBook, optional
        Accounts of one's own file, which open beside the classes.

    Examples
    --------
    >>> scenario = load_scenario("skeleton")
    >>> scenario.assets, scenario.margin_regime, scenario.duration_s
    (('BTC', 'HYPE'), 'cross', 1800.0)
    """

    name: str
    summary: str
    preset: str
    rules_date: str
    behaviour_date: str
    margin_regime: str
    assets: tuple[str, ...]
    dt: float
    duration: float
    warmup: float
    sources: Mapping[str, str]
    opening_price_usd: Mapping[str, float]
    venue: Mapping[str, Any]
    world: WorldParams
    agents: Mapping[str, Any]
    stresses: tuple[Stress, ...]
    population: OwnBook | None = None

    @property
    def dt_s(self) -> float:
        """Length of a step, seconds."""
        return self.dt

    @property
    def duration_s(self) -> float:
        """Length after the warm-up, seconds."""
        return self.duration

    @property
    def warmup_s(self) -> float:
        """Length of the warm-up, seconds."""
        return self.warmup

    @property
    def onset_s(self) -> float:
        """When the first stress starts; the end of the warm-up where there is none, seconds."""
        return min((stress.at_s for stress in self.stresses), default=self.warmup)

    def venue_spec(self, preset: VenueSpec | None = None) -> VenueSpec:
        """Return the venue with the assets, opening prices and changed numbers of this scenario.

        Parameters
        ----------
        preset : VenueSpec, optional
            Other rules to start from than those of `preset`.

        Returns
        -------
        VenueSpec

        Raises
        ------
        InvalidInput
            If the changed numbers do not fit other rules.

        Examples
        --------
        >>> [book.name for book in load_scenario("skeleton").venue_spec().instruments]
        ['BTC-PERP', 'HYPE-PERP', 'BTC-SPOT', 'HYPE-SPOT']
        """
        rules = load_preset(self.preset) if preset is None else preset
        return (
            restricted(rules.with_regime(self.margin_regime), self.assets)
            .with_opening_prices(self.opening_price_usd)
            .with_values(self.venue)
        )

    def with_(self, **changes: Any) -> Self:
        """Return the scenario with some of it replaced, checked again as a whole.

        Parameters
        ----------
        **changes
            By key of a scenario file: `margin_regime="cross"`, `duration="1h"`. Tables are merged,
            `stresses` and `assets` replaced.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidScenario
            With every problem at once.

        Examples
        --------
        >>> load_scenario("skeleton").with_(world={"HYPE": {"daily_volatility": 0.1}}).name
        'skeleton'
        """
        table = self.to_table()
        if "preset" in changes:
            del table["rules_date"]  # other rules have their own day
        changed = scenario_table.inherit(table, scenario_table.as_table(changes))
        return type(self)(**scenario_table.read(changed, source=self.name))

    def stressed(self, *stresses: Stress) -> Self:
        """Return the scenario with stresses added after those it has.

        Parameters
        ----------
        *stresses : Stress
            In the order of application.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidScenario
            If a stress does not fit the assets or the clock.
        """
        return self.with_(stresses=(*self.stresses, *stresses))

    def to_table(self) -> dict[str, Any]:
        """Return the resolved form as a table: all defaults are in, nothing is inherited."""
        given = {key: value for key, value in vars(self).items() if value is not None}
        return scenario_table.as_table(given)

    def to_toml(self) -> str:
        """Return the resolved form as TOML; it reads back to an equal scenario.

        Examples
        --------
        >>> print(load_scenario("skeleton").to_toml().partition("summary")[0], end="")
        name = "skeleton"
        """
        return toml_text(self.to_table())

    def digest(self) -> str:
        """Return the SHA-256 of the resolved form, in hexadecimal."""
        return sha256(self.to_toml().encode()).hexdigest()


def load_scenario(name_or_path: str | Path, *, overrides: Sequence[str] = ()) -> Scenario:
    """Return a scenario of the catalogue or of a file, checked as a whole.

    Parameters
    ----------
    name_or_path : str or Path
        A name of the catalogue, or the path of a TOML file.
    overrides : sequence of str
        Single values, each "place=value"; see `apply_overrides`.

    Returns
    -------
    Scenario
        With every default filled in.

    Raises
    ------
    UnknownName
        If the catalogue has no such name.
    InvalidInput
        If an override is not of that form.
    InvalidScenario
        With every problem of the file at once.

    Examples
    --------
    >>> load_scenario("skeleton", overrides=["duration=1h"]).duration_s
    3600.0
    """
    path = scenario_file.find_file(name_or_path)
    table = scenario_file.apply_overrides(_read_chain(path, ()), overrides)
    source = f"{path.name} with --set" if overrides else path.name
    return Scenario(**scenario_table.read({"name": path.stem, **table}, source=source))


def scenario_from_table(table: Mapping[str, Any], *, source: str = "") -> Scenario:
    """Return a scenario of a parsed TOML table that may inherit from the catalogue.

    Parameters
    ----------
    table : mapping
        As a file has it.
    source : str
        Name in errors.

    Returns
    -------
    Scenario

    Raises
    ------
    InvalidScenario
        With every problem at once.
    """
    merged = _inherit(dict(table), source=source, beside=Path(), chain=())
    return Scenario(**scenario_table.read(merged, source=source))


def _read_chain(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    table = scenario_file.read_file(path)
    if isinstance(table.get("population"), str) and table["population"]:
        table["population"] = str(path.parent / table["population"])
    return _inherit(table, source=path.name, beside=path.parent, chain=(*chain, path.resolve()))


def _inherit(
    table: dict[str, Any], *, source: str, beside: Path, chain: tuple[Path, ...]
) -> dict[str, Any]:
    """Merge a table over the file that it inherits from, which is checked by itself first."""
    if "inherits" not in table:
        return table
    parent = _parent(table.pop("inherits"), source=source, beside=beside)
    if parent.resolve() in chain:
        loop = " -> ".join(path.name for path in (*chain, parent))
        problem = Problem("inherits from itself", "inherits", parent.name, hint=f"break {loop}")
        raise InvalidScenario.from_problems([problem], source=source)
    base = _read_chain(parent, chain)
    scenario_table.read({"name": parent.stem, **base}, source=parent.name)
    own = {key: item for key, item in base.items() if key not in ("name", "summary")}
    return scenario_table.inherit(own, table)


def _parent(name: Any, *, source: str, beside: Path) -> Path:
    problem = None
    if not isinstance(name, str):
        problem = Problem("is not a text", "inherits", name, "a name, or a path that ends .toml")
    elif not name.endswith(".toml") and name not in scenario_file.catalogue_names():
        problem = unknown_name("inherits", name, known=scenario_file.catalogue_names())
    elif name.endswith(".toml") and not (beside / name).is_file():
        problem = Problem("does not exist", "inherits", name, f"a file beside {source}")
    if problem is not None:
        raise InvalidScenario.from_problems([problem], source=source)
    return scenario_file.find_file(name, beside=beside)
