"""A case as a book under a regime: the presets' rules, with the numbers that the case gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.market.regimes import MarginRegime, load_regime
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.regimes.rows import ChargeRow, ScanRow, Step, WeightRow, has_whole_loss
from stressbook.market.regimes.tables import MAX_STEPS

__all__ = [
    "UNIT",
    "book",
    "charge",
    "initial_of",
    "pair",
    "regime",
    "scan",
    "steps_given",
    "weight",
]

UNIT: Final = "U"  # the underlying of a case that has one


def regime(preset: str, **changes: Any) -> MarginRegime:
    """Return a shipped regime without its numbers, and with those of a case.

    Parameters
    ----------
    preset : str
        Whose choices hold.
    **changes
        Rows by table - `scans`, `charges`, `weights`, `spreads` - and rules by name.

    Returns
    -------
    MarginRegime
        Without constants, factors of 1, a trigger of 1; tables that are not given are empty.

    Examples
    --------
    >>> regime("paradex", maintenance_factor=0.5).rules.maintenance_factor
    0.5
    """
    rows: dict[str, Any] = dict.fromkeys(("scans", "charges", "weights", "spreads"), ())
    rows |= {name: tuple(changes.pop(name)) for name in rows if name in changes}
    plain = {
        "initial_factor": 1.0,
        "maintenance_factor": 1.0,
        "constant_initial_usd": 0.0,
        "constant_maintenance_usd": 0.0,
        "closing_fee_frac": 0.0,
        "trigger_ratio": 1.0,
        "confidence_rate": 0.0,
    }
    preset_regime = load_regime(preset)
    rules = replace(preset_regime.rules, **(plain | changes))
    for row in rows["scans"]:
        _check_falls(row)
    return replace(preset_regime, rules=rules, **rows)


def scan(
    moves: Sequence[float], *, inverse: bool = False, assets: Sequence[str] = ("*",)
) -> ScanRow:
    """Return scenarios by their relative moves of price."""
    row = ScanRow(tuple(assets), 1.0, inverse, tuple(moves))
    _check_falls(row)
    return row


def _check_falls(row: ScanRow) -> None:
    if has_whole_loss(row):
        raise NotSupported("an inverse contract has no payoff at a price of 0 or below")


def charge(
    *,
    initial: float = 0.0,
    maintenance: float = 0.0,
    floor_net: float = 0.0,
    floor_hedged: float = 0.0,
    hedged: Sequence[Step] = (),
    floor_steps: Sequence[Step] = (),
    assets: Sequence[str] = ("*",),
    group: str = "",
) -> ChargeRow:
    """Return charges beside the scan that are 0 where nothing is said."""
    return ChargeRow(
        tuple(assets),
        initial,
        maintenance,
        floor_net,
        floor_hedged,
        tuple(hedged),
        tuple(floor_steps),
        group,
    )


def weight(token: str, initial: float, maintenance: float, *, scanned: bool) -> WeightRow:
    """Return what a balance of a token counts for; what is owed of it counts in full."""
    return WeightRow((token,), initial, maintenance, 1.0, 1.0, scanned)


def steps_given(rows: Sequence[Given], rate: str) -> tuple[Step, ...]:
    """Return slices with their rates, as `lower` and a name give them."""
    steps = tuple(Step(row.number("lower"), row.number(rate)) for row in rows)
    lowers = [step.lower_usd for step in steps]
    if not lowers or lowers[0] != 0.0 or lowers != sorted(set(lowers)):
        raise NotSupported("its tiers do not rise from 0")
    if len(steps) > MAX_STEPS:
        raise NotSupported(f"has {len(steps)} tiers, where a regime has up to {MAX_STEPS}")
    return steps


def book(cash: float, *holdings: Holding, debt: float = 0.0) -> Pocket:
    """Return a book."""
    return Pocket(cash, holdings, debt)


def pair(net: float, gross: float) -> tuple[Holding, Holding]:
    """Return two perps of one underlying with a net and a gross value."""
    if gross < abs(net):
        raise NotSupported("the gross value is below the net one")
    return (
        Holding(UNIT, 0.5 * (gross + net)),
        Holding(UNIT, -0.5 * (gross - net)),
    )


def initial_of(rules: MarginRegime, *holdings: Holding) -> float:
    """Return the initial requirement of some holdings."""
    return margin_of(rules, book(0.0, *holdings)).initial_usd
