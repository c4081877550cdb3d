"""What a pocket must hold and what it is worth, under any regime: legs one by one, then the scan.

There is one loop over the legs of a pocket, `required_usd`. The venue lays the rows of its accounts
out for it (`market.margin`); every question about a single book (agents, tables of requirements,
checks against other venues' examples) lays its numbers out for the same loop.
"""

from typing import NamedTuple

from stressbook.market.compiling.arrays import Record, Records
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.regimes.rates import confidence_rate, sliced
from stressbook.market.regimes.scan import core_requirement_usd, sum_units
from stressbook.market.regimes.tables import MarginTables, PocketScratch
from stressbook.market.regimes.tiers import maintenance_of

__all__ = [
    "PocketMargin",
    "pocket_margin",
    "required_usd",
]


class PocketMargin(NamedTuple):
    """What a pocket must hold at each level, and what its tokens are worth there; all USD."""

    initial_usd: float
    maintenance_usd: float
    initial_worth_usd: float
    maintenance_worth_usd: float


@inline_kernel
def _tier_maintenance_usd(
    regime: Record, tiers: Records, asset: int, n_tiers: int, notional_usd: float, entry_usd: float
) -> float:
    """Return the maintenance of a perp by the venue's tiers; 0 under regimes without them.

    Parameters
    ----------
    regime : record of REGIME
        Says whether tiers count, and whether they are looked up at entry.
    tiers : ndarray of TIER, shape (n_assets, MAX_TIERS)
        Rising lower bounds.
    asset, n_tiers : int
        Row of `tiers`, and how many of it are valid.
    notional_usd, entry_usd : float
        Of the position at the mark and at entry, at least 0.

    Returns
    -------
    float
        USD.
    """
    if regime.uses_tiers == 0 or n_tiers == 0:
        return 0.0
    if regime.tier_at_entry == 1:
        return maintenance_of(tiers, asset, n_tiers, entry_usd)
    return maintenance_of(tiers, asset, n_tiers, notional_usd)


@inline_kernel
def _leg_initial_usd(
    regime: Record,
    leg: Record,
    tier_usd: float,
    notional_usd: float,
    charged_usd: float,
    leverage: float,
    confidence: float,
) -> float:
    """Return the initial requirement of a perp outside the scan.

    Parameters
    ----------
    regime, leg : record of REGIME, LEG
        Rules.
    tier_usd : float
        `_tier_maintenance_usd` of the position.
    notional_usd, charged_usd : float
        At the mark, and what gross rates are charged on; at least 0.
    leverage : float
        That the user chose.
    confidence : float
        Of the oracle, 0 to 1.

    Returns
    -------
    float
        USD: by leverage, a multiple of maintenance at least, and the gross rate on top.
    """
    required = regime.initial_over_maintenance * tier_usd
    if regime.leverage_counts == 1:
        required = max(notional_usd / leverage, required)
    rate = leg.initial_rate
    if regime.confidence_rate != 0.0:
        rate += confidence_rate(confidence, regime.confidence_threshold, regime.confidence_rate)
    total: float = required + charged_usd * rate
    return total


@inline_kernel
def _leg_maintenance_usd(
    regime: Record, leg: Record, tier_usd: float, notional_usd: float, charged_usd: float
) -> float:
    """Return the maintenance requirement of a perp outside the scan.

    Parameters
    ----------
    regime, leg, tier_usd, notional_usd, charged_usd
        As of `_leg_initial_usd`.

    Returns
    -------
    float
        USD: of its tier, with the fee of closing and the gross rate where the regime has them.
    """
    fees = notional_usd * regime.closing_fee_frac
    total: float = tier_usd + fees + charged_usd * leg.maintenance_rate
    return total


@inline_kernel
def _token_worth_usd(leg: Record, value_usd: float, initial: bool) -> float:
    """Return what a balance of a token counts for in equity.

    Parameters
    ----------
    leg : record of LEG
        Its weights.
    value_usd : float
        At the borrow oracle; below zero it is owed.
    initial : bool
        At the initial level, else at maintenance.

    Returns
    -------
    float
        USD.
    """
    if value_usd < 0.0:
        weight = leg.liability_initial if initial else leg.liability_maintenance
    else:
        weight = leg.asset_initial if initial else leg.asset_maintenance
    worth: float = value_usd * weight
    return worth


@inline_kernel
def _loan_usd(leg: Record, steps: Records, owed_usd: float, initial: bool) -> float:
    """Return the requirement of a debt in a token or in USDC, by slices.

    Parameters
    ----------
    leg : record of LEG
        Of the token owed.
    steps : ndarray of STEP, shape (MAX_STEPS,)
        Its rates.
    owed_usd : float
        At least 0.
    initial : bool
        At the initial level, else at maintenance.

    Returns
    -------
    float
        USD; 0 under regimes that do not charge debts.
    """
    n_steps = int(leg.n_loan_steps)
    return 0.0 if n_steps == 0 else sliced(steps, n_steps, owed_usd, initial)


@inline_kernel
def required_usd(
    tables: MarginTables,
    r: int,
    tiers: Records,
    usdc: int,
    scratch: PocketScratch,
    n: int,
    debt_usd: float,
    with_orders: bool,
) -> tuple[float, float]:
    """Return what a pocket must hold at the initial and at the maintenance level.

    Parameters
    ----------
    tables : MarginTables
        Of a venue.
    r : int
        Regime.
    tiers : ndarray of TIER, shape (n_rows, MAX_TIERS)
        Of perps, by `tier_row` of their legs.
    usdc : int
        The leg that is USDC: legs below it are perps, those above it other tokens.
    scratch : PocketScratch
        `pocket` filled with `n` legs, perps first; the rest is overwritten.
    n : int
        Legs held, or with orders.
    debt_usd : float
        USDC owed, for regimes that charge loans.
    with_orders : bool
        Whether resting orders count where the regime nets them.

    Returns
    -------
    tuple of float
        USD, at least 0. Margin of orders that the regime does not net is no part of it.
    """
    regime, leg = tables.regime[r], tables.leg[r]
    nets_orders = with_orders and regime.nets_orders == 1
    initial = maintenance = 0.0
    has_orders = False
    for j in range(n):
        held = scratch.pocket[j]
        kind = leg[held.leg]
        has_orders = has_orders or held.buy_usd != 0.0 or held.sell_usd != 0.0
        if held.leg < usdc:
            notional = abs(held.value_usd)
            tier = _tier_maintenance_usd(
                regime, tiers, int(kind.tier_row), int(kind.n_tiers), notional, held.entry_usd
            )
            charged = abs(held.oracle_usd) if regime.rates_at_oracle == 1 else notional
            maintenance += _leg_maintenance_usd(regime, kind, tier, notional, charged)
            if nets_orders:
                charged += _most_added_usd(held)
            initial += _leg_initial_usd(
                regime, kind, tier, notional, charged, held.leverage, held.confidence
            )
        else:
            initial += _weak_token_usd(regime, held)
            if held.value_usd < 0.0:
                steps = tables.loan_step[r, held.leg]
                initial += _loan_usd(kind, steps, -held.value_usd, True)
                maintenance += _loan_usd(kind, steps, -held.value_usd, False)
    if debt_usd > 0.0:
        initial += _loan_usd(leg[usdc], tables.loan_step[r, usdc], debt_usd, True)
        maintenance += _loan_usd(leg[usdc], tables.loan_step[r, usdc], debt_usd, False)
    if n > 0 and regime.n_moves > 0:
        nets = has_orders and nets_orders
        n_units = sum_units(leg, scratch.pocket, n, scratch.unit, nets)
        core = 0.0
        # One call in a loop, not two: its code stands here once.
        for corners in range(2 if nets else 1):
            core = _core(tables, r, scratch, n_units, corners == 1)
            if corners == 0:
                maintenance += regime.maintenance_factor * core
        initial += regime.initial_factor * core
    if initial > 0.0:
        initial += regime.constant_initial_usd
    if maintenance > 0.0:
        maintenance += regime.constant_maintenance_usd
    return initial, maintenance


@kernel
def pocket_margin(
    tables: MarginTables,
    r: int,
    tiers: Records,
    usdc: int,
    scratch: PocketScratch,
    n: int,
    debt_usd: float,
) -> tuple[float, float, float, float]:
    """Return what a pocket must hold and what its tokens count for; fields of `PocketMargin`.

    Parameters
    ----------
    tables, r, tiers, usdc, scratch, n, debt_usd
        As of `required_usd`.

    Returns
    -------
    tuple of float
        Initial and maintenance requirement, worth of tokens at both levels, USD.
    """
    initial, maintenance = required_usd(tables, r, tiers, usdc, scratch, n, debt_usd, True)
    nets_orders = tables.regime[r].nets_orders == 1
    initial_worth = maintenance_worth = 0.0
    for j in range(n):
        held = scratch.pocket[j]
        if held.leg > usdc:
            kind = tables.leg[r, held.leg]
            initial_worth += _token_worth_usd(kind, held.value_usd, True)
            maintenance_worth += _token_worth_usd(kind, held.value_usd, False)
        elif not nets_orders:
            initial += (held.buy_usd + held.sell_usd) / held.leverage
    return initial, maintenance, initial_worth, maintenance_worth


@inline_kernel
def _most_added_usd(held: Record) -> float:
    """Return how far orders of one side can raise the notional of a perp."""
    bought, sold = abs(held.value_usd + held.buy_usd), abs(held.value_usd - held.sell_usd)
    added: float = max(0.0, max(bought, sold) - abs(held.value_usd))
    return added


@inline_kernel
def _weak_token_usd(regime: Record, held: Record) -> float:
    """Return what a weak oracle adds to the initial requirement of a token that is held."""
    if regime.confidence_rate == 0.0 or held.value_usd <= 0.0:
        return 0.0
    rate = confidence_rate(held.confidence, regime.confidence_threshold, regime.confidence_rate)
    weak: float = held.oracle_usd * rate
    return weak


@inline_kernel
def _core(
    tables: MarginTables, r: int, scratch: PocketScratch, n_units: int, orders: bool
) -> float:
    return core_requirement_usd(
        tables.regime[r],
        tables.move[r],
        tables.unit[r],
        tables.hedge_step[r],
        tables.floor_step[r],
        tables.credit[r],
        scratch.unit,
        n_units,
        scratch.loss_sums,
        orders,
    )
