"""Six arms of one snapshot, two of them passive, and a placebo.

They tell what the shock did, what holders lost by standing still, what defence added and what
forced trading added.

`0` no shock; `P0` and `P` passive without and with the shock: holdings frozen, the outside world
alone; `N` neither forced orders nor defensive reactions; `F` no forced orders, takeovers or
deleveraging at the venue; `R` everything; `Z` is R with one more order of one lot at the onset:
what differs between Z and R is noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from stressbook.agents.outbox import Outbox
from stressbook.agents.own_outbox import MARKET_SLIPPAGE_FRAC
from stressbook.experiments.account_table import equities_usd
from stressbook.experiments.losses import losses_of
from stressbook.experiments.recorder import liquidated_lots
from stressbook.experiments.running_on import run_on
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import Stress
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_setup import raise_world_faults
from stressbook.market.state.codes import BUY, IOC, OP_NEW, PLACEBO, SELL
from stressbook.market.state.records import N_TICKS

Arm = Literal["0", "P0", "P", "N", "F", "R", "Z"]
COMPARED: Final[tuple[Arm, ...]] = ("0", "P0", "P", "N", "F", "R")
ARMS: Final[tuple[Arm, ...]] = (*COMPARED, "Z")
# What an arm's loss is measured against: the calm market, the calm passive one, or R for noise.
CONTROL_OF: Final[dict[str, Arm]] = {
    "0": "0",
    "P0": "P0",
    "P": "P0",
    "N": "0",
    "F": "0",
    "R": "0",
    "Z": "R",
}


@dataclass(frozen=True)
class ArmRun:
    """What one arm of one seed came to, over the horizon from the onset.

    Parameters
    ----------
    arm : str
        One of `ARMS`.
    log_mark : ndarray of float64, shape (n_steps + 1, n_assets)
        Log mark (passive arm: log outside perp price) from the onset on.
    equity_usd : ndarray of float64, shape (n_users,)
        Equity at the end of the horizon.
    opening_equity_usd : float
        Sum over accounts at the onset.
    liquidated_frac : ndarray of float64, shape (n_assets,)
        Forced fills, takeovers and deleveraging over open interest at the onset.
    losses : dict of str to float
        By name, at the end of the episode: `stressbook.experiments.losses.LOSSES`. None of passive
        arms, where nothing is booked.
    ran_on_s : float
        How long the episode went on past the horizon.
    """

    arm: str
    log_mark: F64
    equity_usd: F64
    opening_equity_usd: float
    liquidated_frac: F64
    losses: dict[str, float]
    ran_on_s: float = 0.0

    def log_drawdown(self, asset: int, *, direction: int = -1) -> float:
        """Return the largest move of ln(mark) from the onset in a direction, at least 0."""
        move = (self.log_mark[:, asset] - self.log_mark[0, asset]) * direction
        return float(max(move.max(), 0.0))


def run_arms(
    sim: Simulation,
    stresses: Sequence[Stress],
    *,
    horizon_s: float = 7200.0,
    arms: Sequence[Arm] = ARMS,
    after: Callable[[Arm, Simulation], None] | None = None,
    run_on_s: float = 0.0,
) -> dict[str, ArmRun]:
    """Run arms from the present state of a simulation, which is the onset.

    Parameters
    ----------
    sim : Simulation
        Warmed up to the onset; left as it was found.
    stresses : sequence of Stress
        The shock; times are those of the run, so that they start at the present.
    horizon_s : float, default 7200
        Length of each arm, s.
    arms : sequence of str
        Which ones.
    after : callable, optional
        Called with each arm and the simulation at the end of that arm's horizon, to look at it.
    run_on_s : float, default 0
        How long an arm may go on past the horizon while assumed debt is unpaid or a debtor in
        breach, s: `losses` are those at its end, all else is of the horizon.

    Returns
    -------
    dict of str to ArmRun
    """
    start = sim.snapshot()
    found: dict[str, ArmRun] = {}
    try:
        for arm in arms:
            sim.restore(start)
            first = int(sim.series.step[0])
            at_horizon = _run_arm(sim, arm, stresses, horizon_s)
            if after is not None:
                after(arm, sim)
            found[arm] = _to_the_end(sim, at_horizon, first, run_on_s)
    finally:
        sim.restore(start)
    return found


def _to_the_end(sim: Simulation, run: ArmRun, first: int, run_on_s: float) -> ArmRun:
    """Let an arm run on past its horizon, and count what was lost by its end."""
    if run.arm in ("P", "P0"):
        return run
    ran_on_s = run_on(sim, run_on_s)
    return replace(run, losses=losses_of(sim, since_step=first), ran_on_s=ran_on_s)


def loss_usd(control: ArmRun, arm: ArmRun) -> float:
    """Return the loss of an arm: over accounts, how far equity ended below the control's."""
    return float(np.maximum(control.equity_usd - arm.equity_usd, 0.0).sum())


def _run_arm(sim: Simulation, arm: str, stresses: Sequence[Stress], horizon_s: float) -> ArmRun:
    v = sim.engine.state
    n_steps = round(horizon_s * 1000) // sim.dt_ms
    sim.set_stresses(() if arm in ("0", "P0") else tuple(stresses))
    if arm in ("F", "N"):
        v.par[0].resolution_on = 0
    if arm == "N":
        sim.defence = 0.0
    before = equities_usd(sim)
    if arm in ("P", "P0"):
        return _run_passive(sim, arm, n_steps, before)
    log_mark = np.empty((n_steps + 1, len(v.asset)))
    log_mark[0] = np.log(v.price["mark_usd"])
    open_interest = _open_interest_lots(sim)
    first = int(sim.series.step[0])
    for k in range(n_steps):
        if arm == "Z" and k == 0:
            sim.inject(one_lot_order)
        sim.step()
        log_mark[k + 1] = np.log(v.price["mark_usd"])
    rows = sim.series.asset[first : first + n_steps]
    lots = liquidated_lots(rows)
    share = lots.sum(axis=0) / np.maximum(open_interest, 1.0)
    return ArmRun(arm, log_mark, equities_usd(sim), float(before.sum()), share, {})


def _run_passive(sim: Simulation, arm: str, n_steps: int, before: F64) -> ArmRun:
    """Let the world move while nobody trades; value what they hold at outside prices."""
    v, w = sim.engine.state, sim.world
    log_mark = np.empty((n_steps + 1, len(v.asset)))
    log_mark[0] = np.log(v.outside["perp_usd"])
    for k in range(n_steps):
        t_ms = sim.t_ms + (k + 1) * sim.dt_ms
        sim.apply_dials(t_ms)
        if advance(w, t_ms):
            raise_world_faults(w, t_ms)
        log_mark[k + 1] = np.log(v.outside["perp_usd"])
    v.price["mark_usd"] *= np.exp(log_mark[-1] - log_mark[0])
    v.price["oracle_usd"] *= np.exp(log_mark[-1] - log_mark[0])
    nothing = np.zeros(len(v.asset))
    return ArmRun(arm, log_mark, equities_usd(sim), float(before.sum()), nothing, {})


def _open_interest_lots(sim: Simulation) -> F64:
    v = sim.engine.state
    n_users = int(v.par[0].n_users)
    held = [
        v.perp[:n_users, inst].clip(min=0).sum() if inst >= 0 else 0
        for inst in v.asset["perp_inst"]
    ]
    return np.array(held, np.float64)


def one_lot_order(sim: Simulation, out: Outbox) -> None:
    """Let one account buy one lot of the first perp, up to 5 % beyond the best ask: the placebo.

    It is the first that only takes: an order of a maker would first cancel its own quote.
    """
    v = sim.engine.state
    inst = int(v.asset[0].perp_inst)
    row = out.message[out.count[0]]
    row.op, row.user, row.inst, row.side, row.tif = OP_NEW, _first_taker(sim), inst, BUY, IOC
    row.price_tick = min(int(v.best[inst, SELL] * (1.0 + MARKET_SLIPPAGE_FRAC)), N_TICKS - 1)
    row.qty_lots = 1
    row.options = PLACEBO  # a lot may be worth less than the least order
    row.client_id = row.handle = 0
    out.count[0] += 1


def _first_taker(sim: Simulation) -> int:
    """Return the first account of the flow, of levered traders where there is none, or of all."""
    class_id = sim.engine.state.user["class_id"]
    for name in ("order_flow", "directional"):
        users = np.flatnonzero(class_id == CLASS_NUMBERS[name])
        if len(users):
            return int(users[0])
    return 0


__all__ = [
    "ARMS",
    "COMPARED",
    "CONTROL_OF",
    "Arm",
    "ArmRun",
    "loss_usd",
    "one_lot_order",
    "run_arms",
]
