"""The venue again, as the rules read: the steps of the clock over plain objects.

It is the test oracle of the kernels: the same messages give the same fills, balances and digest.
"""

from __future__ import annotations

from typing import Final

from stressbook.market.margin.enrolment import VOLUME_PERIOD_MS
from stressbook.market.reference.accrual import (
    accrue_interest,
    sample_premiums,
    settle_funding,
)
from stressbook.market.reference.breaches import risk_step
from stressbook.market.reference.deficit import settle_flat_rows
from stressbook.market.reference.enrolment import forget_volume, send_off_too_large
from stressbook.market.reference.insurance_fund import charge_forced_fills
from stressbook.market.reference.mirror import Mirror
from stressbook.market.reference.oracle import BookQuote, OracleDials
from stressbook.market.reference.order_cancelling import settle_step
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.reading import read_parts, read_rules
from stressbook.market.reference.records import Message
from stressbook.market.reference.triggers import fire_triggers
from stressbook.market.state.codes import REPLY_PENDING
from stressbook.market.state.faults import raise_faults
from stressbook.market.state.records import C_OUTBOX, VenueState

__all__ = ["ReferenceVenue"]

_MESSAGE_FIELDS: Final = len(Message._fields)


class ReferenceVenue:
    """The plain venue behind the `Engine` protocol.

    Parameters
    ----------
    state : VenueState
        As made by `stressbook.market.opening.setup.make_state`. From then on a mirror: rules,
        outside prices and dials are read from it, as is the outbox; all else is only written.

    Examples
    --------
    >>> from stressbook.market.opening.setup import AccountOpening, make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> state = make_state(load_preset("hyperliquid"), [AccountOpening(key=1)], seed=7)
    >>> venue = ReferenceVenue(state)
    >>> venue.before_decide(3_000)
    >>> venue.match(3_000)
    >>> venue.parts.prices[0].mark_e8
    7880300000000
    """

    def __init__(self, state: VenueState) -> None:
        self.state = state
        self.reload()

    def reload(self) -> None:
        """Take the state as it stands: it has been written to from outside."""
        self.parts: VenueParts = read_parts(self.state)
        self._mirror = Mirror(self.state)

    def before_decide(self, t_ms: int) -> None:
        """Do steps 3 to 5: prices, accrual, risk. Forced orders are first in the outbox."""
        self._open_step()
        if not self._stands_still():
            self._do_what_is_due(t_ms)
        self._mirror.write_risk(self.parts)
        raise_faults(self.state, t_ms)

    def _do_what_is_due(self, t_ms: int) -> None:
        parts, clock = self.parts, self.parts.clock
        # A day of volume is forgotten in the step that begins the next day.
        if t_ms > clock.dt_ms and clock.ends(VOLUME_PERIOD_MS, t_ms - clock.dt_ms):
            forget_volume(parts)
        is_update = clock.ends(clock.price_ms, t_ms)
        if is_update:
            self._update_prices()
        if clock.ends(clock.premium_ms, t_ms):
            sample_premiums(parts)
        if clock.ends(clock.funding_ms, t_ms):
            settle_funding(parts, t_ms)
            accrue_interest(parts, t_ms)
            send_off_too_large(parts, t_ms)
        if is_update:
            risk_step(parts, t_ms)
            fire_triggers(parts, t_ms)

    def _stands_still(self) -> bool:
        """Tell whether a halt has stopped what the venue does by itself."""
        return all(float(dial.standstill) > 0.0 for dial in self.state.dial)

    def match(self, t_ms: int) -> None:
        """Do steps 7 to 9: sequence and match the outbox, settle margins, sample the books."""
        parts, exchange = self.parts, self.parts.exchange
        read_rules(parts, self.state)
        outbox = self._outbox()
        due = parts.sequencer.sequence(outbox, exchange.users, t_ms=t_ms)
        waiting = sum(timed.emitted_ms == t_ms for timed in parts.sequencer.pending)
        exchange.reply_count[REPLY_PENDING] += waiting
        parts.replies = exchange.match(due, t_ms=t_ms)
        self._mirror.write_executed(due)
        charge_forced_fills(parts, t_ms)
        is_update = parts.clock.ends(parts.clock.price_ms, t_ms)
        if is_update and not self._stands_still():
            settle_step(parts, t_ms)
        settle_flat_rows(parts, t_ms)
        self._look_at_books()
        self._mirror.write_match(parts, outbox)
        raise_faults(self.state, t_ms)

    def _open_step(self) -> VenueParts:
        parts = self.parts
        read_rules(parts, self.state)
        parts.n_steps += 1
        parts.exchange.events.clear()
        parts.exchange.fills.clear()
        parts.forced.clear()
        return parts

    def _outbox(self) -> list[Message]:
        records = self.state.outbox[: self.state.ctr[C_OUTBOX]].tolist()
        return [Message(*record[:_MESSAGE_FIELDS]) for record in records]

    def _update_prices(self) -> None:
        parts = self.parts
        parts.n_price_updates += 1
        period_s = float(max(parts.clock.price_ms, parts.clock.dt_ms)) / 1000
        for asset, price in enumerate(parts.prices):
            outside, dial = self.state.outside[asset], self.state.dial[asset]
            is_inside = price.update(
                self._quote(parts.perp_insts[asset]),
                self._quote(parts.spot_insts[asset]),
                outside_spot_usd=float(outside.spot_usd),
                outside_perp_usd=float(outside.perp_usd),
                period_s=period_s,
                dials=OracleDials(
                    lag_s=float(dial.oracle_lag_s),
                    shift=float(dial.oracle_shift),
                    weight=float(dial.oracle_weight),
                ),
            )
            parts.has_left_ladder |= not is_inside
            seen = parts.desk.assets[asset]
            former_usd = seen.oracle_usd
            seen.mark_usd = float(price.mark_e8) / 1e8
            seen.oracle_usd = float(price.oracle_e8) / 1e8
            parts.desk.follow_volatility(asset, former_usd, seen.oracle_usd, period_s=period_s)
            seen.borrow_oracle_usd = float(price.borrow_oracle_e8) / 1e8

    def _quote(self, inst: int | None) -> BookQuote | None:
        if inst is None:
            return None
        exchange = self.parts.exchange
        book = exchange.orders.books[inst]
        return BookQuote(
            bid_tick=book.best(0),
            ask_tick=book.best(1),
            last_tick=exchange.last_ticks[inst],
            tick_usd=exchange.instruments[inst].tick_usd,
            max_spread_frac=self.parts.max_spreads_frac[inst],
        )

    def _look_at_books(self) -> None:
        """Look again: margins may have taken orders out since the last message."""
        exchange = self.parts.exchange
        for step, depth in zip(exchange.steps, exchange.orders.depths(), strict=True):
            if step.first is step.last:
                step.first = depth
            step.last = depth
