"""Trigger orders again, as the rules read: a list that is gone through at every mark update."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    EV_TRIGGERED,
    GTC,
    IOC,
    OP_NEW,
    POST_ONLY,
    R_BAD_INSTRUMENT,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_TRIGGER,
    R_DUPLICATE_CLIENT_ID,
    R_HALTED,
    R_TRIGGERS_FULL,
    REDUCE_ONLY,
    SELL,
    TAKE,
    TRIGGER_STOP_LIMIT,
    TRIGGER_STOP_MARKET,
    TRIGGER_TAKE_LIMIT,
    TRIGGER_TAKE_MARKET,
    TRIGGERED,
)
from stressbook.market.state.records import N_TICKS

if TYPE_CHECKING:
    from stressbook.market.reference.match import ReferenceExchange
    from stressbook.market.reference.parts import VenueParts

__all__ = ["Trigger", "fire_triggers", "refusal_of_trigger", "trigger_of"]

_CAUSES = {
    (False, True): TRIGGER_STOP_MARKET,
    (False, False): TRIGGER_STOP_LIMIT,
    (True, True): TRIGGER_TAKE_MARKET,
    (True, False): TRIGGER_TAKE_LIMIT,
}


class Trigger(NamedTuple):
    """A waiting order: fields of `state.TRIGGER`."""

    user: int
    inst: int
    side: int
    tif: int
    flags: int
    price_tick: int
    qty_lots: int
    client_id: int
    trigger_tick: int

    @property
    def takes_profit(self) -> bool:
        """Whether it is a take, not a stop."""
        return self.flags & TAKE != 0

    @property
    def is_market(self) -> bool:
        """Whether it has no limit of its own."""
        return self.price_tick == 0

    def is_reached(self, mark_e8: int, tick_e8: int) -> bool:
        """Tell whether the mark is where it waits for it.

        Examples
        --------
        >>> stop_loss = Trigger(0, 0, SELL, IOC, 0, 0, 5, 0, trigger_tick=95)
        >>> stop_loss.is_reached(9_600, 100), stop_loss.is_reached(9_500, 100)
        (False, True)
        """
        level_e8 = self.trigger_tick * tick_e8
        if self.side == BUY:
            return mark_e8 <= level_e8 if self.takes_profit else mark_e8 >= level_e8
        return mark_e8 >= level_e8 if self.takes_profit else mark_e8 <= level_e8

    def order(self, slippage_frac: float) -> Message:
        """Return the order that it sends."""
        slip = slippage_frac if self.side == BUY else -slippage_frac
        farthest = int(float(self.trigger_tick) * (1.0 + slip))
        return Message(
            OP_NEW,
            user=self.user,
            inst=self.inst,
            side=self.side,
            tif=self.tif,
            flags=self.flags & REDUCE_ONLY | TRIGGERED,
            price_tick=min(max(farthest, 1), N_TICKS - 1) if self.is_market else self.price_tick,
            qty_lots=self.qty_lots,
            client_id=self.client_id,
        )


def trigger_of(message: Message) -> Trigger:
    """Return what a message asks to let wait."""
    fields = message._asdict()
    shared = {name: fields[name] for name in Trigger._fields if name in fields}
    return Trigger(**shared, trigger_tick=message.handle)


def refusal_of_trigger(exchange: ReferenceExchange, message: Message) -> int:
    """Return why a trigger may not wait."""
    if not 0 <= message.inst < len(exchange.instruments):
        return R_BAD_INSTRUMENT
    rules = exchange.instruments[message.inst]
    if not rules.is_perp:
        return R_BAD_INSTRUMENT
    if exchange.order_rules.is_halted(message.inst):
        return R_HALTED
    if message.side not in (BUY, SELL):
        return R_BAD_SIDE
    if message.tif not in (GTC, IOC, POST_ONLY):
        return R_BAD_TIF
    if not 0 < message.qty_lots <= rules.max_position_lots:
        return R_BAD_QUANTITY
    is_market = message.price_tick == 0 and message.tif == IOC
    if not is_market and not 0 < message.price_tick < N_TICKS:
        return R_BAD_PRICE
    if not 0 < message.handle < N_TICKS:
        return R_BAD_TRIGGER
    mark_e8 = exchange.order_rules.books[message.inst].mark_e8
    if trigger_of(message).is_reached(mark_e8, rules.tick_e8):
        return R_BAD_TRIGGER
    if exchange.is_name_in_use(message.user, message.client_id):
        return R_DUPLICATE_CLIENT_ID
    if len(exchange.triggers) == exchange.n_trigger_slots:
        return R_TRIGGERS_FULL
    return ACCEPTED


def fire_triggers(parts: VenueParts, t_ms: int) -> None:
    """Send the orders of triggers that the mark has reached, the oldest first."""
    exchange = parts.exchange
    waiting = []
    for trigger in exchange.triggers:
        mark_e8 = parts.mark_e8(trigger.inst)
        is_reached = trigger.is_reached(mark_e8, exchange.instruments[trigger.inst].tick_e8)
        if not is_reached or exchange.order_rules.is_halted(trigger.inst):
            waiting.append(trigger)
            continue
        parts.forced.append(trigger.order(exchange.order_rules.trigger_slippage_frac))
        parts.log(
            t_ms,
            EV_TRIGGERED,
            trigger.user,
            inst=trigger.inst,
            lots=trigger.qty_lots if trigger.side == BUY else -trigger.qty_lots,
            price_e8=mark_e8,
            cause=_CAUSES[trigger.takes_profit, trigger.is_market],
        )
    exchange.triggers = waiting
