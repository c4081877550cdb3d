"""Halts: books that do nothing but cancel, and a venue whose own clock stands still.

Both are dials, so that a stress can turn them; readings in docs/decisions/0042.
"""

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.records import VenueState

__all__ = ["is_halted", "stands_still"]


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
    n_standing = 0
    for asset in range(v.dial.shape[0]):
        if v.dial[asset].standstill > 0.0:
            n_standing += 1
    return bool(n_standing == v.dial.shape[0])
