"""What a pocket must hold under a scan: one kernel over legs, underlyings and scenarios.

For each unit (an underlying) with signed values V of its legs, X their sum and G the sum of |V|:

    loss[s]  = - multiple x X x move[s]                   move: profit over value, weight in
    hedged   = (G - |X|) / 2
    own      = max(max over s of loss[s] + charge(hedged), floor)
    floor    = sliced(net_rate x |X| + hedged_rate x hedged)

and over units, with an offset between 0 and 1,

    mix      = max((1 - offset) x sum of own
               + offset x (max over s of the sum of losses + charges), floors)
    groups   = sum over groups of max over s of (losses - offset x gains), charges and floors alike
    credits  = sum of own, less credits for spreads of units on opposite sides

Orders that may add to a leg enter by their two corners, all bids filled or all asks: since losses
are convex and the value of a unit is monotone in each order, these give the worst partial fill.

A unit's worst loss stands at its lowest or its highest move, to the bit, since rounding keeps
order; the loop over scenarios is needed where units are added up scenario by scenario alone.

Source: the published rules of each preset; the common form is ours (docs/decisions).
"""

from stressbook.market.compiling.arrays import F64, Record, Records
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.regimes.rates import sliced
from stressbook.market.regimes.spreads import credits_usd
from stressbook.market.regimes.tables import CREDITS, GROUPS

__all__ = ["core_requirement_usd", "sum_units"]


@inline_kernel
def sum_units(leg: Records, pocket: Records, n: int, scratch: Records, with_orders: bool) -> int:
    """Sum the values of scanned legs by unit, and list the units as they are met.

    Parameters
    ----------
    leg : ndarray of LEG, shape (n_legs,)
        Of the regime.
    pocket : ndarray of POCKET, shape (n_legs,)
        What it holds, the first `n` valid.
    n : int
        Legs held.
    scratch : ndarray of UNIT_SCRATCH, shape (n_units,)
        Overwritten.
    with_orders : bool
        Whether the corners of resting orders are summed too.

    Returns
    -------
    int
        Units listed.
    """
    n_units = 0
    for j in range(n):
        held = pocket[j]
        kind = leg[held.leg]
        if kind.scanned == 0:
            continue
        u = int(kind.unit)
        sums = scratch[u]
        if sums.touched == 0:
            scratch[n_units].listed = u
            n_units += 1
            sums.touched = 1
            sums.net_usd = sums.gross_usd = 0.0
            sums.buy_net_usd = sums.buy_gross_usd = 0.0
            sums.sell_net_usd = sums.sell_gross_usd = 0.0
        value = held.value_usd
        sums.net_usd += value
        sums.gross_usd += abs(value)
        if with_orders:
            bought = value + held.buy_usd
            sold = value - held.sell_usd
            sums.buy_net_usd += bought
            sums.buy_gross_usd += abs(bought)
            sums.sell_net_usd += sold
            sums.sell_gross_usd += abs(sold)
    for i in range(n_units):
        scratch[scratch[i].listed].touched = 0
    return n_units


@inline_kernel
def core_requirement_usd(
    regime: Record,
    move: F64,
    unit: Records,
    hedge_step: Records,
    floor_step: Records,
    credit: Records,
    scratch: Records,
    n_units: int,
    loss_sums: F64,
    with_orders: bool,
) -> float:
    """Return the scanned requirement of a pocket, hedged part and floor in, before factors.

    Parameters
    ----------
    regime : record of REGIME
        Its rules.
    move, unit, hedge_step, floor_step, credit
        Rows of `MarginTables` of that regime.
    scratch : ndarray of UNIT_SCRATCH, shape (n_units,)
        The pocket by `sum_units`; `worst_usd` and `rest_usd` are overwritten.
    n_units : int
        Units listed.
    loss_sums : ndarray of float64, shape (2, n_moves)
        Overwritten.
    with_orders : bool
        Whether the corners of resting orders count; they must have been summed.

    Returns
    -------
    float
        USD, at least 0.
    """
    n_moves = int(regime.n_moves)
    if regime.aggregation == GROUPS:
        return _by_groups(
            regime,
            move,
            unit,
            hedge_step,
            floor_step,
            scratch,
            loss_sums,
            n_units,
            n_moves,
            with_orders,
        )
    own = charges = floors = 0.0
    for i in range(n_units):
        u = int(scratch[i].listed)
        bought, sold = _bought_usd(scratch[u], with_orders), _sold_usd(scratch[u], with_orders)
        worst = _worst_usd(unit[u], bought, sold)
        charge = _hedge_charge_usd(unit[u], hedge_step[u], scratch[u], with_orders)
        floor = _floor_usd(unit[u], floor_step[u], scratch[u], with_orders)
        charges += charge
        floors += floor
        own += max(worst + charge, floor)
        scratch[u].worst_usd = worst
    if regime.aggregation == CREDITS:
        n_credits = int(regime.n_credits)
        return max(0.0, own - credits_usd(credit, n_credits, scratch, n_units, with_orders))
    offset: float = regime.offset
    if offset == 0.0:
        return own
    joint = _joint_usd(move, unit, scratch, loss_sums, n_units, n_moves, with_orders)
    return max((1.0 - offset) * own + offset * (joint + charges), floors)


@inline_kernel
def _bought_usd(sums: Record, with_orders: bool) -> float:
    """Return the net value of a unit with all its bids filled, where orders count."""
    net: float = sums.buy_net_usd if with_orders else sums.net_usd
    return net


@inline_kernel
def _sold_usd(sums: Record, with_orders: bool) -> float:
    """Return the net value of a unit with all its asks filled, where orders count."""
    net: float = sums.sell_net_usd if with_orders else sums.net_usd
    return net


@inline_kernel
def _worst_usd(unit: Record, bought_usd: float, sold_usd: float) -> float:
    """Return the worst loss of a unit over scenarios and over the corners; at least 0."""
    lost = max(_most_lost_usd(unit, bought_usd), _most_lost_usd(unit, sold_usd))
    worst: float = max(0.0, lost) * unit.range_multiple
    return worst


@inline_kernel
def _most_lost_usd(unit: Record, net_usd: float) -> float:
    adverse = unit.lowest_move if net_usd > 0.0 else unit.highest_move
    lost: float = -(net_usd * adverse)
    return lost


@inline_kernel
def _loss_usd(bought_usd: float, sold_usd: float, move: float, multiple: float) -> float:
    """Return what a unit loses in a scenario, at the worse of the corners."""
    return max(-(bought_usd * move), -(sold_usd * move)) * multiple


@inline_kernel
def _joint_usd(
    move: F64,
    unit: Records,
    scratch: Records,
    sums: F64,
    n_units: int,
    n_moves: int,
    with_orders: bool,
) -> float:
    """Return the worst loss of all units together, each at its worse corner in each scenario."""
    for s in range(n_moves):
        sums[0, s] = 0.0
    for i in range(n_units):
        u = int(scratch[i].listed)
        bought, sold = _bought_usd(scratch[u], with_orders), _sold_usd(scratch[u], with_orders)
        multiple = unit[u].range_multiple
        for s in range(n_moves):
            sums[0, s] += _loss_usd(bought, sold, move[u, s], multiple)
    joint = 0.0
    for s in range(n_moves):
        joint = max(joint, sums[0, s])
    return joint


@inline_kernel
def _hedge_charge_usd(unit: Record, steps: Records, sums: Record, with_orders: bool) -> float:
    """Return the charge on the hedged part of a unit, the worse of the corners."""
    n_steps = int(unit.n_hedge_steps)
    if n_steps == 0:
        return 0.0
    if not with_orders:
        return sliced(steps, n_steps, (sums.gross_usd - abs(sums.net_usd)) * 0.5, False)
    bought = (sums.buy_gross_usd - abs(sums.buy_net_usd)) * 0.5
    sold = (sums.sell_gross_usd - abs(sums.sell_net_usd)) * 0.5
    return sliced(steps, n_steps, max(bought, sold), False)


@inline_kernel
def _floor_usd(unit: Record, steps: Records, sums: Record, with_orders: bool) -> float:
    """Return the least charge of a unit, the worse of the corners."""
    if unit.floor_net_rate == 0.0 and unit.floor_hedged_rate == 0.0:
        return 0.0
    if with_orders:
        raw = max(
            _raw_floor_usd(unit, sums.buy_net_usd, sums.buy_gross_usd),
            _raw_floor_usd(unit, sums.sell_net_usd, sums.sell_gross_usd),
        )
    else:
        raw = _raw_floor_usd(unit, sums.net_usd, sums.gross_usd)
    n_steps = int(unit.n_floor_steps)
    return raw if n_steps == 0 else sliced(steps, n_steps, raw, False)


@inline_kernel
def _raw_floor_usd(unit: Record, net_usd: float, gross_usd: float) -> float:
    hedged = (gross_usd - abs(net_usd)) * 0.5
    floor: float = unit.floor_net_rate * abs(net_usd) + unit.floor_hedged_rate * hedged
    return floor


@inline_kernel
def _by_groups(
    regime: Record,
    move: F64,
    unit: Records,
    hedge_step: Records,
    floor_step: Records,
    scratch: Records,
    sums: F64,
    n_units: int,
    n_moves: int,
    with_orders: bool,
) -> float:
    """Return losses less offset gains point by point inside each group, groups added up."""
    total = 0.0
    for i in range(n_units):
        group = int(unit[scratch[i].listed].group)
        if _is_seen(unit, scratch, i, group):
            continue
        charges = floors = 0.0
        for s in range(n_moves):
            sums[0, s] = sums[1, s] = 0.0
        for j in range(i, n_units):
            u = int(scratch[j].listed)
            if unit[u].group != group:
                continue
            bought, sold = _bought_usd(scratch[u], with_orders), _sold_usd(scratch[u], with_orders)
            multiple = unit[u].range_multiple
            for s in range(n_moves):
                loss = _loss_usd(bought, sold, move[u, s], multiple)
                sums[0, s] += max(loss, 0.0)
                sums[1, s] += max(-loss, 0.0)
            charges += _hedge_charge_usd(unit[u], hedge_step[u], scratch[u], with_orders)
            floors += _floor_usd(unit[u], floor_step[u], scratch[u], with_orders)
        worst = 0.0
        for s in range(n_moves):
            worst = max(worst, sums[0, s] - regime.offset * sums[1, s])
        total += max(worst + charges, floors)
    return total


@inline_kernel
def _is_seen(unit: Records, scratch: Records, i: int, group: int) -> bool:
    """Tell whether a unit listed before has the same group."""
    seen = False
    for j in range(i):
        seen = seen or unit[scratch[j].listed].group == group
    return seen
