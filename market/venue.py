"""The venue on kernels: two compiled calls a step over one NamedTuple of arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from stressbook.market.compiling.by_address import compiled_call
from stressbook.market.compiling.kernel import kernel
from stressbook.market.lending.accrual import accrue
from stressbook.market.margin.enrolment import VOLUME_PERIOD_MS, forget_volume, send_off_too_large
from stressbook.market.margin.loans import repay_unneeded
from stressbook.market.orders.depth import sample_books
from stressbook.market.orders.halts import stands_still
from stressbook.market.orders.match import match_messages
from stressbook.market.orders.order_cancelling import settle_step
from stressbook.market.orders.sequence import sequence_outbox
from stressbook.market.orders.triggers import fire_triggers
from stressbook.market.prices.funding import sample_premium, settle_funding
from stressbook.market.prices.oracle import update_prices
from stressbook.market.resolution.breaches import risk_step
from stressbook.market.resolution.deficit import settle_flat_rows
from stressbook.market.resolution.insurance_fund import charge_forced_fills
from stressbook.market.state.clock import is_due
from stressbook.market.state.faults import raise_faults
from stressbook.market.state.records import (
    C_EVENTS,
    C_FILLS,
    C_OUTBOX,
    C_REPLIES,
    C_STEP,
    VenueState,
)


@kernel
def before_decide(v: VenueState, t_ms: int) -> None:
    """Do steps 3 to 5: prices, accrual, risk; what falls due in a standstill lapses."""
    par = v.par[0]
    v.ctr[C_FILLS] = 0
    v.ctr[C_EVENTS] = 0
    v.ctr[C_REPLIES] = 0
    v.ctr[C_OUTBOX] = 0
    v.ctr[C_STEP] += 1
    if stands_still(v):
        return
    # A day of volume is forgotten in the step that begins the next day.
    if t_ms > par.dt_ms and is_due(t_ms - par.dt_ms, par.dt_ms, VOLUME_PERIOD_MS):
        forget_volume(v)
    price_update = is_due(t_ms, par.dt_ms, par.price_period_ms)
    if price_update:
        update_prices(v)
    if is_due(t_ms, par.dt_ms, par.premium_period_ms):
        sample_premium(v)
    if is_due(t_ms, par.dt_ms, par.funding_period_ms):
        settle_funding(v, t_ms)
        accrue(v, t_ms)
        repay_unneeded(v)
        send_off_too_large(v, t_ms)
    if price_update:
        risk_step(v, t_ms)
        fire_triggers(v, t_ms)


@kernel
def match_step(v: VenueState, t_ms: int) -> None:
    """Do steps 7 to 9: sequence, match, settle; then sample the books that no taker reached."""
    n = sequence_outbox(v, t_ms)
    match_messages(v, n, t_ms)
    charge_forced_fills(v, t_ms)
    if is_due(t_ms, v.par[0].dt_ms, v.par[0].price_period_ms) and not stands_still(v):
        settle_step(v, t_ms)
    settle_flat_rows(v, t_ms)
    sample_books(v)


class Venue:
    """The kernels behind the `Engine` protocol.

    Parameters
    ----------
    state : VenueState
        As made by `stressbook.market.opening.setup.make_state`.
    """

    def __init__(self, state: VenueState) -> None:
        self.state = state

    @cached_property
    def _calls(self) -> tuple[Callable[..., None], Callable[..., None]]:
        # The kernels' own calls would look at sixty arrays twice a step.
        return (
            compiled_call(before_decide, self.state, then=(0,)),
            compiled_call(match_step, self.state, then=(0,)),
        )

    def __getstate__(self) -> dict[str, VenueState]:
        return {"state": self.state}

    def before_decide(self, t_ms: int) -> None:
        """Do steps 3 to 5: prices, accrual, risk. Forced orders are first in the outbox."""
        self._calls[0](t_ms)
        raise_faults(self.state, t_ms)

    def match(self, t_ms: int) -> None:
        """Do steps 7 to 9: sequence and match the outbox, settle margins, sample the books."""
        self._calls[1](t_ms)
        raise_faults(self.state, t_ms)

    def reload(self) -> None:
        """Take the state as it stands: kernels keep nothing beside it."""
