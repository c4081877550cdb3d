"""Credits for spreads: units on opposite sides of a pocket, line by line in order of priority."""

from stressbook.market.compiling.arrays import Record, Records
from stressbook.market.compiling.kernel import inline_kernel

__all__ = ["credits_usd"]


@inline_kernel
def credits_usd(
    credit: Records, n_credits: int, scratch: Records, n_units: int, with_orders: bool
) -> float:
    """Return the credits for spreads, line by line on what earlier lines have left."""
    for u in range(scratch.shape[0]):
        scratch[u].rest_usd = 0.0
    for i in range(n_units):
        sums = scratch[scratch[i].listed]
        sums.rest_usd = sums.net_usd
        if with_orders:
            sums.rest_usd = _smaller(sums.buy_net_usd, sums.sell_net_usd)
    total = 0.0
    for c in range(n_credits):
        line = credit[c]
        n_legs = int(line.n_legs)
        spreads = _spreads(line, n_legs, scratch)
        if spreads == 0.0:
            continue
        for i in range(n_legs):
            sums = scratch[_unit_of(line, i)]
            used = spreads * _ratio_of(line, i)
            whole = abs(sums.net_usd)
            if with_orders:
                whole = max(abs(sums.buy_net_usd), abs(sums.sell_net_usd))
            total += _credit_of(line, i) * abs(used) * (sums.worst_usd / whole)
            sums.rest_usd -= used
    return total


@inline_kernel
def _spreads(line: Record, n_legs: int, scratch: Records) -> float:
    """Return how many spreads of a line are left, signed by the side of its legs; 0 if none."""
    fewest = 0.0
    for i in range(n_legs):
        sums = scratch[_unit_of(line, i)]
        if sums.rest_usd == 0.0:
            return 0.0
        formed = sums.rest_usd / _ratio_of(line, i)
        if i == 0:
            fewest = formed
        elif (formed > 0.0) != (fewest > 0.0):
            return 0.0
        elif abs(formed) < abs(fewest):
            fewest = formed
    return fewest


@inline_kernel
def _smaller(bought: float, sold: float) -> float:
    """Return what both corners have in common."""
    if (bought > 0.0) != (sold > 0.0):
        return 0.0
    return bought if abs(bought) < abs(sold) else sold


@inline_kernel
def _unit_of(line: Record, i: int) -> int:
    if i == 0:
        return int(line.unit0)
    return int(line.unit1) if i == 1 else int(line.unit2)


@inline_kernel
def _ratio_of(line: Record, i: int) -> float:
    ratio: float = line.ratio0
    if i == 1:
        ratio = line.ratio1
    elif i == 2:
        ratio = line.ratio2
    return ratio


@inline_kernel
def _credit_of(line: Record, i: int) -> float:
    rate: float = line.credit0
    if i == 1:
        rate = line.credit1
    elif i == 2:
        rate = line.credit2
    return rate
