"""Where agents put their messages.

Nothing is executed here: the venue sequences and matches once a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import (
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_NEW,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRIGGER,
    OP_WITHDRAW,
    OWN_MOVE,
)


@by_address
class Outbox(NamedTuple):
    """Messages of this step in the order of emission, and orders to the outside market."""

    message: Records  # (capacity,) MESSAGE
    # (2,) messages written, messages that found no room; hides `tuple.count`
    count: I64  # type: ignore[assignment]
    outside: I64  # (n_users, n_assets, 2) signed lots to trade outside at the next step


@inline_kernel
def _put(
    out: Outbox,
    user: int,
    op: int,
    inst: int,
    side: int,
    price_tick: int,
    qty_lots: int,
    tif: int,
    flags: int,
    client_id: int,
) -> None:
    n = out.count[0]
    if n >= out.message.shape[0]:
        out.count[1] += 1
        return
    m = out.message[n]
    m.op = op
    m.user = user
    m.inst = inst
    m.side = side
    m.price_tick = price_tick
    m.qty_lots = qty_lots
    m.tif = tif
    m.options = flags
    m.client_id = client_id
    m.handle = 0
    out.count[0] = n + 1


@inline_kernel
def place(
    out: Outbox,
    me: Any,
    inst: int,
    side: int,
    price_tick: int,
    qty_lots: int,
    tif: int,
    flags: int,
    client_id: int,
) -> None:
    """Emit a new order; `client_id` 0 is anonymous, others are unique among own live orders."""
    _put(out, me.account.user, OP_NEW, inst, side, price_tick, qty_lots, tif, flags, client_id)


@inline_kernel
def place_trigger(
    out: Outbox,
    me: Any,
    inst: int,
    side: int,
    trigger_tick: int,
    price_tick: int,
    qty_lots: int,
    tif: int,
    flags: int,
    client_id: int,
) -> None:
    """Emit an order that waits for the mark to reach a tick; `price_tick` 0 is a market order."""
    n = out.count[0]
    user = me.account.user
    _put(out, user, OP_TRIGGER, inst, side, price_tick, qty_lots, tif, flags, client_id)
    if out.count[0] > n:
        out.message[n].handle = trigger_tick


@inline_kernel
def cancel(out: Outbox, me: Any, client_id: int) -> None:
    """Emit the cancel of one own order or trigger by its client id."""
    _put(out, me.account.user, OP_CANCEL_CLIENT_ID, 0, 0, 0, 0, 0, 0, client_id)


@inline_kernel
def cancel_all(out: Outbox, me: Any, inst: int) -> None:
    """Emit the cancel of every own order and trigger in one book, or in all with inst = -1."""
    _put(out, me.account.user, OP_CANCEL_ALL, inst, 0, 0, 0, 0, 0, 0)


@inline_kernel
def deposit(out: Outbox, me: Any, token: int, units: int) -> None:
    """Bring token units (0 = micro-USDC) in from outside."""
    _put(out, me.account.user, OP_DEPOSIT, token, 0, 0, units, 0, 0, 0)


@inline_kernel
def withdraw(out: Outbox, me: Any, token: int, units: int) -> None:
    """Take token units (0 = micro-USDC) out to outside."""
    _put(out, me.account.user, OP_WITHDRAW, token, 0, 0, units, 0, 0, 0)


@inline_kernel
def move_in(out: Outbox, me: Any, token: int, units: int) -> None:
    """Bring token units in from the account's own outside book, which shrinks by as much."""
    _put(out, me.account.user, OP_DEPOSIT, token, 0, 0, units, 0, OWN_MOVE, 0)


@inline_kernel
def move_out(out: Outbox, me: Any, token: int, units: int) -> None:
    """Take token units out into the account's own outside book."""
    _put(out, me.account.user, OP_WITHDRAW, token, 0, 0, units, 0, OWN_MOVE, 0)


@inline_kernel
def supply(out: Outbox, me: Any, token: int, units: int) -> None:
    """Lend token units to the reserve."""
    _put(out, me.account.user, OP_SUPPLY, token, 0, 0, units, 0, 0, 0)


@inline_kernel
def redeem(out: Outbox, me: Any, token: int, units: int) -> None:
    """Take lent token units back from the reserve."""
    _put(out, me.account.user, OP_REDEEM, token, 0, 0, units, 0, 0, 0)


@inline_kernel
def trade_outside(out: Outbox, me: Any, asset: int, kind: int, lots: int) -> None:
    """Ask for a trade outside at the next step: signed lots of the asset's perp size."""
    out.outside[me.account.user, asset, kind] += lots
