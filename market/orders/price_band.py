"""Price bands: how far from the oracle an order may rest."""

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.units import ON_THE_EDGE
from stressbook.market.state.records import VenueState

__all__ = ["is_near_oracle", "lies_within"]


@inline_kernel
def is_near_oracle(v: VenueState, inst: int, price_tick: int) -> bool:
    """Tell whether a limit price lies within the price band of the venue.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, price_tick : int
        Of an order.

    Returns
    -------
    bool
        True without a band, which is 0.
        Source: error texts of the venue as public clients quote them, 2026-08.
    """
    band_e6 = int(v.par[0].price_band_frac_e6)
    return band_e6 == 0 or lies_within(v, inst, price_tick, band_e6)


@inline_kernel
def lies_within(v: VenueState, inst: int, price_tick: int, band_e6: int) -> bool:
    """Tell whether a price lies within a distance of the oracle.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, price_tick : int
        Of an order.
    band_e6 : int
        The distance, in 1e-6 of the oracle.

    Returns
    -------
    bool
        A price at the edge is in, whatever floats make of it.
    """
    oracle_usd = v.price[natural(v.inst[inst].asset)].oracle_usd
    distance_usd = abs(float(price_tick) * v.inst[inst].tick_usd - oracle_usd)
    return bool(distance_usd <= float(band_e6) / 1e6 * oracle_usd * ON_THE_EDGE)
