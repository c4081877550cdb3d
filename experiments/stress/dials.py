"""What a stress sees and returns: the dials of all assets as an immutable value."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final, Self

from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.compiling.arrays import Records
from stressbook.market.prices.dials import DIALS, DialInfo

__all__ = ["Dials"]

_INFO: Final = {dial.name: dial for dial in DIALS}


@dataclass(frozen=True)
class Dials:
    """Dial values of each asset; every change gives a new object.

    Parameters
    ----------
    assets : tuple of str
        In the order of the dial records.
    values : tuple of dict
        Of each asset, dial name to value.

    Examples
    --------
    >>> calm = Dials.neutral(("BTC", "HYPE"))
    >>> thin = calm.scale("HYPE", venue_depth=0.5).scale("HYPE", venue_depth=0.5)
    >>> thin.value("HYPE", "venue_depth"), calm.value("HYPE", "venue_depth")
    (0.25, 1.0)
    """

    assets: tuple[str, ...]
    values: tuple[dict[str, float], ...]

    @classmethod
    def neutral(cls, assets: tuple[str, ...]) -> Self:
        """Return dials that change nothing."""
        return cls(assets, tuple({dial.name: dial.neutral for dial in DIALS} for _ in assets))

    def value(self, asset: str, name: str) -> float:
        """Return one dial of one asset.

        Raises
        ------
        UnknownName
            If there is no such asset or dial.
        """
        return self.values[self._index(asset)][_info(name).name]

    def set(self, asset: str, **values: float) -> Self:
        """Return dials with some of one asset set.

        Parameters
        ----------
        asset : str
            One of `assets`.
        **values : float
            By dial name; units in `stressbook.market.prices.dials.DIALS`.

        Returns
        -------
        Dials

        Raises
        ------
        UnknownName
            If there is no such asset or dial.
        InvalidInput
            If a value is outside of the dial's range.
        """
        checked = {name: _checked(_info(name), value) for name, value in values.items()}
        index = self._index(asset)
        changed = list(self.values)
        changed[index] = {**changed[index], **checked}
        return type(self)(self.assets, tuple(changed))

    def scale(self, asset: str, **factors: float) -> Self:
        """Return dials with some of one asset multiplied; see `set`."""
        now = {name: self.value(asset, name) for name in factors}
        return self.set(asset, **{name: now[name] * factors[name] for name in factors})

    def add(self, asset: str, **amounts: float) -> Self:
        """Return dials with amounts added to some of one asset; see `set`."""
        now = {name: self.value(asset, name) for name in amounts}
        return self.set(asset, **{name: now[name] + amounts[name] for name in amounts})

    def write(self, records: Records) -> None:
        """Copy all values into dial records.

        Parameters
        ----------
        records : ndarray of DIAL, shape (n_assets,)
            Changed in place.
        """
        for index, values in enumerate(self.values):
            for name, value in values.items():
                records[name][index] = value

    def _index(self, asset: str) -> int:
        if asset not in self.assets:
            raise UnknownName("asset", asset, known=self.assets)
        return self.assets.index(asset)


def _info(name: str) -> DialInfo:
    if name not in _INFO:
        raise UnknownName("dial", name, known=_INFO)
    return _INFO[name]


def _checked(dial: DialInfo, value: float) -> float:
    if not isfinite(value) or not dial.low <= value <= dial.high:
        raise InvalidInput(
            "is out of range",
            name=f"dial {dial.name}",
            value=value,
            allowed=f"{dial.low} to {dial.high}, neutral {dial.neutral}, unit {dial.unit}",
        )
    return float(value)
