"""The scan again, as the rules of a regime read: legs, underlyings, scenarios, order corners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from stressbook.market.regimes.rows import ChargeRow, SpreadRow, Step, row_for
from stressbook.market.regimes.spec import MarginRegime

__all__ = ["ReferenceLeg", "gross_rate", "loan_usd", "scanned_usd", "sliced", "token_weight"]


class ReferenceLeg(NamedTuple):
    """A perp or a token that a pocket holds, or has orders for."""

    asset: str
    value_usd: float
    token: str = ""
    buy_usd: float = 0.0
    sell_usd: float = 0.0


def sliced(steps: Sequence[tuple[float, float]], amount: float) -> float:
    """Return the sum of slices, each at its own rate.

    Examples
    --------
    >>> sliced([(0.0, 1.0), (10_000.0, 2.0)], 30_000.0)
    50000.0
    """
    total = 0.0
    uppers = [*(lower for lower, _ in steps[1:]), amount]
    for (lower, rate), upper in zip(steps, uppers, strict=False):
        if amount > lower:
            total += (min(upper, amount) - lower) * rate
    return total


def gross_rate(regime: MarginRegime, asset: str, *, initial: bool) -> float:
    """Return the rate of a perp's gross notional outside the scan."""
    charge: ChargeRow | None = row_for(regime.charges, asset)
    if charge is None:
        return 0.0
    return charge.gross_initial_frac if initial else charge.gross_maintenance_frac


def token_weight(regime: MarginRegime, token: str, *, owed: bool, initial: bool) -> float:
    """Return what a unit of value of a token counts for in equity."""
    row = row_for(regime.weights, token, "tokens")
    if row is None:
        return 0.0
    if owed:
        return float(row.liability_initial if initial else row.liability_maintenance)
    return float(row.asset_initial if initial else row.asset_maintenance)


def loan_usd(regime: MarginRegime, token: str, owed_usd: float, *, initial: bool) -> float:
    """Return the requirement of a debt, by slices."""
    row = row_for(regime.weights, token, "tokens")
    if row is None:
        return 0.0
    lowers = sorted({step.lower_usd for step in (*row.loan_initial, *row.loan_maintenance)})
    rates = row.loan_initial if initial else row.loan_maintenance
    return sliced([(lower, _rate_at(rates, lower)) for lower in lowers], owed_usd)


def _rate_at(steps: Sequence[Step], amount: float) -> float:
    rates = [step.rate for step in steps if step.lower_usd <= amount]
    return rates[-1] if rates else 0.0


class _Corner(NamedTuple):
    """One underlying, all its orders of one side filled."""

    net_usd: float
    gross_usd: float
    losses: list[float]  # by scenario

    @property
    def hedged_usd(self) -> float:
        return (self.gross_usd - abs(self.net_usd)) * 0.5


class _Unit(NamedTuple):
    """One underlying of a pocket."""

    asset: str
    corners: list[_Corner]
    charge: ChargeRow | None
    multiple: float  # of losses, where ranges follow volatility

    def losses(self) -> list[float]:
        worse = [max(each) for each in zip(*(c.losses for c in self.corners), strict=True)]
        return [self.multiple * loss for loss in worse]

    def worst_usd(self) -> float:
        return max([0.0, *self.losses()])

    def charge_usd(self) -> float:
        if self.charge is None or not self.charge.hedged:
            return 0.0
        steps = [(step.lower_usd, step.rate) for step in self.charge.hedged]
        return sliced(steps, max(corner.hedged_usd for corner in self.corners))

    def floor_usd(self) -> float:
        one = self.charge
        if one is None or (one.floor_net_frac == 0.0 and one.floor_hedged_frac == 0.0):
            return 0.0
        raw = max(
            one.floor_net_frac * abs(c.net_usd) + one.floor_hedged_frac * c.hedged_usd
            for c in self.corners
        )
        if not one.floor_steps:
            return raw
        return sliced([(step.lower_usd, step.rate) for step in one.floor_steps], raw)


def scanned_usd(
    regime: MarginRegime,
    legs: Sequence[ReferenceLeg],
    *,
    orders: bool,
    multiples: Mapping[str, float] | None = None,
) -> float:
    """Return the scanned requirement, hedged part and floor in, before factors.

    Parameters
    ----------
    regime : MarginRegime
        Rules.
    legs : sequence of ReferenceLeg
        In the order of the venue: perps, then tokens. Underlyings count as they are met.
    orders : bool
        Whether resting orders count, each side filled at once.
    multiples : mapping of str to float, optional
        Of losses, by asset; 1 where none is given.
    """
    assets = dict.fromkeys(leg.asset for leg in legs)
    found = [
        _unit(regime, asset, legs, orders, (multiples or {}).get(asset, 1.0)) for asset in assets
    ]
    units = [unit for unit in found if unit is not None]
    rules = regime.rules
    if rules.aggregation == "groups":
        return _by_groups(regime, units)
    own = _total(max(u.worst_usd() + u.charge_usd(), u.floor_usd()) for u in units)
    if rules.aggregation == "credits":
        return max(0.0, own - _credits_usd(regime.spreads, units))
    if rules.offset_frac == 0.0:
        return own
    joint = max([0.0, *_by_scenario(units, _total)])
    charges, floors = _total(u.charge_usd() for u in units), _total(u.floor_usd() for u in units)
    mixed = (1.0 - rules.offset_frac) * own + rules.offset_frac * (joint + charges)
    return max(mixed, floors)


def _unit(
    regime: MarginRegime,
    asset: str,
    legs: Sequence[ReferenceLeg],
    orders: bool,
    multiple: float,
) -> _Unit | None:
    scan = row_for(regime.scans, asset)
    held = [
        leg for leg in legs if leg.asset == asset and (not leg.token or _is_scanned(regime, leg))
    ]
    if scan is None or not held:
        return None
    corners = [_corner([leg.value_usd + leg.buy_usd * orders for leg in held], scan.moves())]
    if orders:
        corners.append(_corner([leg.value_usd - leg.sell_usd for leg in held], scan.moves()))
    return _Unit(asset, corners, row_for(regime.charges, asset), multiple)


def _is_scanned(regime: MarginRegime, leg: ReferenceLeg) -> bool:
    row = row_for(regime.weights, leg.token, "tokens")
    return row is not None and row.scanned


def _corner(values: Sequence[float], moves: Sequence[float]) -> _Corner:
    net = _total(values)
    return _Corner(net, _total(abs(value) for value in values), [-net * move for move in moves])


def _by_scenario(units: Sequence[_Unit], add: Callable[[Sequence[float]], float]) -> list[float]:
    return [add(each) for each in zip(*(unit.losses() for unit in units), strict=True)]


def _by_groups(regime: MarginRegime, units: Sequence[_Unit]) -> float:
    groups: dict[str, list[_Unit]] = {}
    for unit in units:
        name = unit.charge.group if unit.charge else ""
        groups.setdefault(name or f"alone: {unit.asset}", []).append(unit)

    def net(losses: Sequence[float]) -> float:
        gains = _total(-loss for loss in losses if loss <= 0.0)
        return _total(loss for loss in losses if loss > 0.0) - regime.rules.offset_frac * gains

    total = 0.0
    for members in groups.values():
        worst = max([0.0, *_by_scenario(members, net)])
        charges = _total(unit.charge_usd() for unit in members)
        total += max(worst + charges, _total(unit.floor_usd() for unit in members))
    return total


def _credits_usd(spreads: Sequence[SpreadRow], units: Sequence[_Unit]) -> float:
    by_asset = {unit.asset: unit for unit in units}
    rest = {unit.asset: _common(unit) for unit in units}
    total = 0.0
    for spread in spreads:
        formed = [rest.get(a, 0.0) / r for a, r in zip(spread.assets, spread.ratios, strict=True)]
        if not (all(f > 0.0 for f in formed) or all(f < 0.0 for f in formed)):
            continue
        n = min(formed, key=abs)
        rows = zip(spread.assets, spread.ratios, spread.credit_fracs, strict=True)
        for asset, ratio, credit in rows:
            whole = max(abs(corner.net_usd) for corner in by_asset[asset].corners)
            total += credit * abs(n * ratio) * (by_asset[asset].worst_usd() / whole)
            rest[asset] -= n * ratio
    return total


def _common(unit: _Unit) -> float:
    """Return the net value that all corners have in common."""
    nets = [corner.net_usd for corner in unit.corners]
    if any(net > 0.0 for net in nets) == any(net <= 0.0 for net in nets):
        return 0.0
    return min(nets, key=abs)


def _total(parts: Iterable[float]) -> float:
    """Add from 0 in the given order."""
    total = 0.0
    for part in parts:
        total += part
    return total
