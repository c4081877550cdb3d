"""Halts: books that do nothing but cancel, and a venue whose own clock stands still.

Both are dials, so that a stress can turn them; readings in docs/decisions/0042.
"""

from stressbook.market.compiling.arrays import F64
from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.records import VenueState

__all__ = ["is_halted", "is_up_for_all", "stands_still"]


@inline_kernel
def is_halted(v: VenueState, inst: int) -> bool:
    """Tell whether a book takes and matches no orders.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst : int
        Any int64.

    Returns
    -------
    bool
        By the dial `halt` of its asset; False for what is no book.
    """
    if inst < 0 or inst >= v.inst.shape[0]:
        return False
    return bool(v.dial[natural(v.inst[natural(inst)].asset)].halt > 0.0)


@inline_kernel
def stands_still(v: VenueState) -> bool:
    """Tell whether what the venue does by itself is suspended.

    Parameters
    ----------
    v : VenueState
        Read only.

    Returns
    -------
    bool
        True if the dial `standstill` is up for every asset: breaches are of whole accounts.
    """
    return is_up_for_all(v.dial["standstill"])


@inline_kernel
def is_up_for_all(dial: F64) -> bool:
    """Tell whether a dial that acts on whole accounts is above 0 for every asset.

    Parameters
    ----------
    dial : ndarray of float64, shape (n_assets,)
        One field of the dials.

    Returns
    -------
    bool
    """
    n_up = 0
    for asset in range(dial.shape[0]):
        if dial[asset] > 0.0:
            n_up += 1
    return n_up == dial.shape[0]
