"""What a market takes: the sale at constant pace that lowers a token by 35 % within 30 minutes.

A reader can hold it against the real book: USD that the venue's and the outside's books,
arbitrage and dip buyers take together, in a calm market, from the onset on. The seller follows the
bids down, so that beyond the pace at which bids come back the price runs away: what is said is
the largest sale that is still taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from stressbook.agents.outbox import Outbox
from stressbook.errors import InvalidInput
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import BUY, CAUSE_DEPOSIT, GTC, OP_CANCEL_ALL, OP_NEW, SELL
from stressbook.market.state.ledger import move_token
from stressbook.market.state.records import N_TICKS, VenueState

__all__ = ["FALL_FRAC", "WINDOW_S", "Absorption", "absorption"]

FALL_FRAC: Final = 0.35
WINDOW_S: Final = 1_800.0
_MEAN_S: Final = 60.0  # of the price at the end
_ROUNDS: Final = 6  # bisections between two of them: within 1 %
_PACES_USD: Final = tuple(1e8 * 2**k for k in range(7))
_CONCESSION: Final = 0.01  # below the best bid


@dataclass(frozen=True)
class Absorption:
    """What a token's market took.

    Parameters
    ----------
    asset : str
        Whose token.
    seed : int
        Of the episode.
    sold_usd : float
        Proceeds of the largest sale that lowers the oracle price by less than 35 % in 30 minutes;
        0 if the smallest that was tried lowers it more.
    fall_frac : float
        Fall of the oracle price that it makes, mean of the last minute.
    too_much_usd : float
        Smallest sale that was tried and lowers it by 35 % or more, at the price of the onset;
        infinite if none does.
    """

    asset: str
    seed: int
    sold_usd: float
    fall_frac: float
    too_much_usd: float


def absorption(scenario: Scenario, *, seed: int, asset: str) -> Absorption:
    """Return what an asset's spot market absorbs from the onset of a calm scenario.

    Parameters
    ----------
    scenario : Scenario
        Without stresses, or with those under which it is asked.
    seed : int
        Of the run.
    asset : str
        Whose token is sold.

    Returns
    -------
    Absorption

    Raises
    ------
    InvalidInput
        If the asset has no spot book, or no account that could sell.
    """
    sim = Simulation(scenario, seed=seed)
    try:
        sim.advance(round(scenario.onset_s * 1000) // sim.dt_ms)
        start = sim.snapshot()
        taken, fall = 0.0, 0.0

        def is_too_much(offered_usd: float) -> bool:
            nonlocal taken, fall
            sim.restore(start)
            sold, moved = _sell(sim, asset, offered_usd)
            if moved < FALL_FRAC and sold > taken:
                taken, fall = sold, moved
            return moved >= FALL_FRAC

        high = next((usd for usd in _PACES_USD if is_too_much(usd)), math.inf)
        low = 0.5 * high if high > _PACES_USD[0] else 0.0
        for _ in range(_ROUNDS if math.isfinite(high) else 0):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if is_too_much(middle) else (middle, high)
        return Absorption(asset, seed, taken, fall, high)
    finally:
        sim.close()


def _sell(sim: Simulation, asset: str, offered_usd: float) -> tuple[float, float]:
    """Sell at constant pace for the window; return proceeds and the fall of the oracle price."""
    v, index = sim.engine.state, sim.scenario.assets.index(asset)
    inst = int(v.asset[index].spot_inst)
    user = _seller(v)
    if inst < 0 or user < 0:
        raise InvalidInput("has no spot book or no seller", name="asset", value=asset)
    token = int(v.inst[inst].token)
    price_usd = float(v.price[index].oracle_usd)
    n_steps = round(WINDOW_S * 1000) // sim.dt_ms
    lots = max(1, round(offered_usd / n_steps / (price_usd * float(v.inst[inst].lot_size))))
    units = lots * n_steps * int(v.inst[inst].lot_units)
    move_token(v, int(v.par[0].row_outside), user, token, units, CAUSE_DEPOSIT)
    cash_before = int(v.cash[user])
    order = _Seller(user, inst, token, lots, int(v.inst[inst].lot_units))
    first = int(sim.series.step[0])
    for _ in range(n_steps):
        sim.inject(order)
        sim.step()
    last = max(1, round(_MEAN_S * 1000) // sim.dt_ms)
    rows = sim.series.asset[first + n_steps - last : first + n_steps, index]
    after_usd = float(rows["oracle_usd"].mean())
    return (int(v.cash[user]) - cash_before) / 1e6, 1.0 - after_usd / price_usd


def _seller(v: VenueState) -> int:
    """Return a user that does nothing of its own in calm: a lender."""
    found = np.flatnonzero(v.user["class_id"] == CLASS_NUMBERS["lender"])
    return int(found[0]) if len(found) else -1


class _Seller:
    """Offers what is due so far and unsold, a little below the best bid; what is left rests."""

    def __init__(self, user: int, inst: int, token: int, lots: int, lot_units: int) -> None:
        self.user, self.inst, self.token = user, inst, token
        self.lots, self.lot_units = lots, lot_units
        self.first_units = -1
        self.bid_tick = 0
        self.n = 0

    def __call__(self, sim: Simulation, out: Outbox) -> None:
        v = sim.engine.state
        held = int(v.token[self.user, self.token])
        self.first_units = held if self.n == 0 else self.first_units
        self.n += 1
        if v.best[self.inst, BUY] >= 0:  # else where bids were last
            self.bid_tick = int(v.best[self.inst, BUY])
        cancel, row = out.message[out.count[0]], out.message[out.count[0] + 1]
        cancel.op, cancel.user, cancel.inst = OP_CANCEL_ALL, self.user, self.inst
        row.op, row.user, row.inst, row.side, row.tif = OP_NEW, self.user, self.inst, SELL, GTC
        row.price_tick = min(max(int(self.bid_tick * (1.0 - _CONCESSION)), 1), N_TICKS - 1)
        row.qty_lots = self.n * self.lots - (self.first_units - held) // self.lot_units
        for message in (cancel, row):
            message.options = message.client_id = message.handle = 0
        out.count[0] += 2
