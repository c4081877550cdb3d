"""How long an episode goes on: until assumed debt is repaid and no debtor is in breach.

A loss that is still open at a fixed horizon rests on valuation. So an episode may run on past it,
under no new stress, for at most a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.experiments.simulation import Simulation

__all__ = ["MOST_S", "is_unsettled", "run_on"]

MOST_S: Final = 3_600.0
_UNPAID_FRAC: Final = 0.05


def is_unsettled(v: VenueState) -> bool:
    """Tell whether more than 5 % of assumed debt is unpaid, or a debtor is in breach.

    Parameters
    ----------
    v : VenueState
        Between two steps.
    """
    backstop = int(v.par[0].backstop_user)
    assumed = float(v.backstop[0].assumed_micro)
    if float(v.debt[backstop, 0]) > _UNPAID_FRAC * assumed:
        return True
    in_breach = v.user["breached"][:backstop] == 1
    return bool(np.any(in_breach & (v.debt[:backstop, 0] > 0)))


def run_on(
    sim: Simulation, most_s: float = MOST_S, *, until: Callable[[], bool] | None = None
) -> float:
    """Step on while it is unsettled; stresses that act go on, others do not begin.

    Parameters
    ----------
    sim : Simulation
        At the end of an episode, with room for as many steps (its `run_on_s`).
    most_s : float, default 3600
        At most, s.
    until : callable, optional
        Asked before each step; what it tells ends it as well.

    Returns
    -------
    float
        How long it ran on, s.
    """
    sim.set_stresses(tuple(s for s in sim.schedule.stresses if s.at_s * 1000 < sim.t_ms))
    start_ms = sim.t_ms
    for _ in range(round(most_s * 1000) // sim.dt_ms):
        if not is_unsettled(sim.engine.state) or (until is not None and until()):
            break
        sim.step()
    return (sim.t_ms - start_ms) / 1000.0
