"""From (user, client id) to the resting order: a hash table with open addressing.

One int64 an entry, `hash << 32 | slot + 1`, 0 if free, so that a probe reads an order only when
the 31-bit hashes agree. A deletion shifts later entries back instead of leaving a tombstone: the
table is never rebuilt. Source: Knuth, The Art of Computer Programming 3, 6.4, algorithm R.
"""

from typing import Final

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel, wrapping_mul
from stressbook.market.state.records import VenueState

__all__ = ["find_client_id", "forget_client_id", "hash_client_id", "note_client_id", "table_size"]

_MASK31: Final = 0x7FFF_FFFF
_MASK32: Final = 0xFFFF_FFFF
# Odd; high bits of a product with them depend on all bits of the number.
_MIX_ID: Final = 0x1E37_79B9_7F4A_7C15
_MIX_USER: Final = 0x2545_F491_4F6C_DD1D


def table_size(orders: int) -> int:
    """Return the number of entries for `orders` resting orders: a power of two, half of it empty.

    Parameters
    ----------
    orders : int
        Capacity in resting orders, at least 1.

    Returns
    -------
    int
        Length of `VenueState.client_slot`.

    Examples
    --------
    >>> table_size(1000)
    2048
    """
    return 1 << (2 * orders - 1).bit_length()


@inline_kernel
def hash_client_id(user: int, client_id: int) -> int:
    """Return 31 mixed bits of a user and a client id.

    Parameters
    ----------
    user, client_id : int
        Any int64.

    Returns
    -------
    int
        In [0, 2**31).

    Examples
    --------
    >>> hash_client_id(1, 7) != hash_client_id(7, 1)
    True
    """
    mixed = wrapping_mul(client_id, _MIX_ID) ^ wrapping_mul(user, _MIX_USER)
    return (mixed >> 33) & _MASK31


@inline_kernel
def find_client_id(v: VenueState, user: int, client_id: int, client_hash: int) -> int:
    """Return slot + 1 of the resting order of that name, 0 if there is none.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, client_id : int
        The name.
    client_hash : int
        `hash_client_id(user, client_id)`.

    Returns
    -------
    int
        Slot + 1, or 0.
    """
    mask = v.client_slot.shape[0] - 1
    at = client_hash & mask
    while True:
        entry = int(v.client_slot[at])
        if entry == 0:
            return 0
        if entry >> 32 == client_hash:
            link = entry & _MASK32
            order = v.order[natural(link - 1)]
            if order.client_id == client_id and order.user == user:
                return link
        at = (at + 1) & mask


@inline_kernel
def note_client_id(v: VenueState, link: int, client_hash: int) -> None:
    """Enter an order whose name is not in the table.

    Parameters
    ----------
    v : VenueState
        Changed in `client_slot`.
    link : int
        Slot + 1.
    client_hash : int
        Of its user and client id.
    """
    mask = v.client_slot.shape[0] - 1
    at = client_hash & mask
    while v.client_slot[at] != 0:
        at = (at + 1) & mask
    v.client_slot[at] = client_hash << 32 | link


@inline_kernel
def forget_client_id(v: VenueState, link: int, client_hash: int) -> None:
    """Remove an order that is in the table.

    Parameters
    ----------
    v : VenueState
        Changed in `client_slot`.
    link : int
        Slot + 1.
    client_hash : int
        Of its user and client id.
    """
    mask = v.client_slot.shape[0] - 1
    gone = client_hash << 32 | link
    hole = client_hash & mask
    while v.client_slot[hole] != gone:
        hole = (hole + 1) & mask
    at = (hole + 1) & mask
    while True:
        entry = int(v.client_slot[at])
        if entry == 0:
            break
        # Move back what probing from its home would no longer reach across the hole.
        if ((at - (entry >> 32)) & mask) >= ((at - hole) & mask):
            v.client_slot[hole] = entry
            hole = at
        at = (at + 1) & mask
    v.client_slot[hole] = 0
