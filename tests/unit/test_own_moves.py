"""Own moves between the venue and an outside book create nothing."""

from __future__ import annotations

import numpy as np

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.state.codes import OP_DEPOSIT, OP_WITHDRAW, OWN_MOVE

ARBITRAGEUR = 7
BTC = 1  # token
SPOT = 0


def _first_user(sim: Simulation, class_id: int) -> int:
    return int(np.flatnonzero(sim.engine.state.user["class_id"] == class_id)[0])


def _move(sim: Simulation, op: int, user: int, token: int, amount: int) -> None:
    def emit(_: Simulation, out: object) -> None:
        row = out.message[out.count[0]]  # type: ignore[attr-defined]
        for name in row.dtype.names:
            row[name] = 0
        row["op"], row["user"], row["inst"] = op, user, token
        row["qty_lots"], row["options"] = amount, OWN_MOVE
        out.count[0] += 1  # type: ignore[attr-defined]

    sim.inject(emit)
    sim.advance(2)  # the message may wait for its latency


def test_what_comes_in_leaves_the_outside_book() -> None:
    """Tokens and cash moved in are missing outside, moved out they are back; sums stay."""
    sim = Simulation(
        load_scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=()), seed=3
    )
    sim.desks = []  # nobody else acts
    user, w, v = _first_user(sim, ARBITRAGEUR), sim.world, sim.engine.state
    lots, cash = int(w.inventory[user, 0, SPOT]), int(w.cash[user])
    per_lot = int(v.inst[v.asset[0].spot_inst].lot_units)
    _move(sim, OP_DEPOSIT, user, BTC, 7 * per_lot)
    _move(sim, OP_DEPOSIT, user, 0, 1_000_000)
    assert w.inventory[user, 0, SPOT] == lots - 7
    assert w.cash[user] == cash - 1_000_000
    _move(sim, OP_WITHDRAW, user, BTC, 7 * per_lot)
    _move(sim, OP_WITHDRAW, user, 0, 1_000_000)
    assert w.inventory[user, 0, SPOT] == lots
    assert w.cash[user] == cash
    assert w.inventory[:, 0, SPOT].sum() == 0
    assert w.cash.sum() == 0
    sim.close()
