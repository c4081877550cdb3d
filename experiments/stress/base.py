"""A stress: a pure function from dials to dials, with onset, duration, shape and severity."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, Final, dataclass_transform

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.scenario_files.values import read_value, value_types
from stressbook.experiments.stress.dials import Dials
from stressbook.market.compiling.arrays import F64
from stressbook.market.rules.parameters import param
from stressbook.market.rules.spec import VenueSpec

__all__ = ["REGISTRY", "Stress"]

REGISTRY: Final[dict[str, type[Stress]]] = {}  # kind to class, as stress tables name them


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(param,))
@dataclass(frozen=True, kw_only=True)
class Stress(ABC):
    """Something that is broken on purpose, for a while.

    A subclass becomes a frozen dataclass with keyword arguments by itself (no decorator), and can
    be named in scenario files by its `kind`: the class name in snake case unless it sets another.

    Parameters
    ----------
    at : float or str
        Onset on the clock of the run, warm-up inside: seconds, or a text such as "30min".
    duration : float or str
        Length. The stress acts on the steps that end in (at, at + duration].
    severity : float
        0 changes nothing, 1 is the full effect.

    Raises
    ------
    InvalidInput
        With every problem of the fields at once.

    Examples
    --------
    >>> class StaleOracle(Stress):
    ...     lag_s: float = param(60.0, unit="s", help="age of the oracle", low=0.0)
    ...
    ...     def apply(self, dials, severity):
    ...         for asset in dials.assets:
    ...             dials = dials.add(asset, oracle_lag_s=self.lag_s * severity)
    ...         return dials
    >>> stale = StaleOracle(at="30min", severity=0.5)
    >>> stale.kind, stale.at_s
    ('stale_oracle', 1800.0)
    >>> stale.apply(Dials.neutral(("BTC",)), stale.severity).value("BTC", "oracle_lag_s")
    30.0
    """

    kind: ClassVar[str] = ""
    tail: ClassVar[str] = ""  # fitted tail that gives severities above 1 a return period

    at: float | str = param(1_800.0, unit="s", help="onset on the clock of the run", low=0.0)
    duration: float | str = param(600.0, unit="s", help="how long it lasts", low=0.001, high=1e9)
    severity: float = param(
        1.0, unit="1", help="share of the full effect: 0 changes nothing", low=0.0, high=1.0
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)
        if "kind" not in cls.__dict__:
            cls.kind = _snake_case(cls.__name__)
        if cls.apply is not Stress.apply:
            _register(cls)

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        types = value_types(type(self))
        for entry in fields(self):
            raw = getattr(self, entry.name)
            value = read_value(
                raw, types[entry.name], place=entry.name, entry=entry, problems=problems
            )
            object.__setattr__(self, entry.name, value)
        problems = problems or self.problems()
        if problems:
            raise InvalidInput.from_problems(problems)

    @property
    def at_s(self) -> float:
        """Onset, seconds."""
        return float(self.at)

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return float(self.duration)

    def problems(self) -> list[Problem]:
        """Return what is wrong beyond kinds and ranges; to be extended by subclasses."""
        return []

    def problems_among(self, assets: tuple[str, ...]) -> list[Problem]:
        """Return what is wrong in a scenario of these assets; to be extended by subclasses."""
        return []

    def note(self, assets: tuple[str, ...]) -> str:
        """Return a sentence for readers of a plan or report; none by default."""
        return ""

    @property
    def stays(self) -> bool:
        """Whether the numbers of the venue that it changes stay so after its end."""
        return False

    def shape(self, progress: float) -> float:
        """Return the share of the severity that acts at a time; a box unless overridden.

        Parameters
        ----------
        progress : float
            In (0, 1], 1 at the last step of the stress.

        Returns
        -------
        float
            From 0 to 1.
        """
        return 1.0

    def correlation_target(self, correlation: F64, *, assets: tuple[str, ...]) -> F64:
        """Return the matrix towards which the dial `correlation` moves; unchanged by default.

        Parameters
        ----------
        correlation : ndarray, shape (n_assets, n_assets), dtype float64
            Calm correlations. Not modified.
        assets : tuple of str
            In the order of the matrix.

        Returns
        -------
        ndarray, shape (n_assets, n_assets), dtype float64
            Symmetric with unit diagonal; one target holds for a whole run.
        """
        return correlation

    def rules(self, spec: VenueSpec, severity: float) -> dict[str, float]:
        """Return the numbers of the venue that this stress changes; none by default.

        Parameters
        ----------
        spec : VenueSpec
            As the stresses listed before leave it.
        severity : float
            `severity` times the shape at this time. At 0 nothing may change.

        Returns
        -------
        dict of str to float
            Place, as "tokens.USDC.platform_borrow_cap", to value; places of
            `stressbook.market.rules.changes.CHANGEABLE` only.
        """
        return {}

    @abstractmethod
    def apply(self, dials: Dials, severity: float) -> Dials:
        """Return the dials under this stress.

        Parameters
        ----------
        dials : Dials
            As the stresses listed before leave them.
        severity : float
            `severity` times the shape at this time. At 0 the dials must come back unchanged.

        Returns
        -------
        Dials
        """


def _register(cls: type[Stress]) -> None:
    known = REGISTRY.get(cls.kind)
    # A class that is defined again, as by running a notebook's cell twice, replaces itself.
    if known is not None and _address(known) != _address(cls):
        raise InvalidInput(
            f"is the kind of {_address(known)} already",
            name="kind",
            value=cls.kind,
            allowed="a kind for each class",
            hint=f"give {_address(cls)} another class name, or set `kind` in it",
        )
    REGISTRY[cls.kind] = cls


def _address(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
