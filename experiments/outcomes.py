"""What a run came to: one number an outcome, each with its unit and meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.backstop_account import capital_usd
from stressbook.experiments.disposal import AFTER_MIN, closed_frac, peak_of, rest_frac
from stressbook.experiments.losses import LOSSES, Loss, losses_of
from stressbook.experiments.margin_use import MARGIN_USES, MarginUse, margin_uses
from stressbook.experiments.recorder import LIQUIDATED
from stressbook.experiments.simulation import Simulation
from stressbook.market.compiling.arrays import F64, I64, Records
from stressbook.market.state.codes import (
    CAUSE_FEE,
    EV_BREACH,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    EV_WRITTEN_OFF,
)


class Outcome(NamedTuple):
    """An outcome that every run has."""

    name: str
    unit: str
    help: str
    measure: Callable[[_Run], float]


class _Run:
    """A finished simulation, with what several outcomes need."""

    def __init__(self, sim: Simulation, since_step: int, onset_s: float | None) -> None:
        self.v, self.rationed = sim.engine.state, sim.rationed
        self.n = int(sim.series.step[0])
        self.asset = sim.series.asset[since_step : self.n]
        self.book = sim.series.book[since_step : self.n]
        self.venue = sim.series.venue[since_step : self.n]
        events: Records = np.concatenate(sim.events) if sim.events else self.v.event[:0]
        self.events = events[events["t_ms"] > since_step * sim.dt_ms]
        self.onset = max(onset_step(sim, onset_s) - since_step, 0)
        self.losses = losses_of(sim, since_step=since_step)
        minutes = sim.minutes.row[: sim.minutes.n[0] + 1]  # the last is of the end
        minutes = minutes[minutes["t_ms"] > since_step * sim.dt_ms]
        self.held_usd: F64 = minutes["held_usd"]
        self.closed_usd = self._closed_usd(minutes["t_ms"] // sim.dt_ms - since_step)
        self.margin = margin_uses(sim)

    def events_of(self, *kinds: int) -> Records:
        return self.events[np.isin(self.events["kind"], kinds)]

    def count(self, *kinds: int) -> float:
        return float(len(self.events_of(*kinds)))

    def amount_usd(self, *kinds: int) -> float:
        return float(self.events_of(*kinds)["amount_micro"].sum()) / 1e6

    def lots_usd(self, *columns: str) -> float:
        """Value of lots by asset at each step's mark, over the run."""
        rows, lot = self.asset, self.lot_sizes()
        return sum(float((rows[column] * rows["mark_usd"] * lot).sum()) for column in columns)

    def _closed_usd(self, ends: I64) -> F64:
        """Value of the backstop's perps that were closed against winners, up to each step."""
        rows = self.asset
        by_step = (rows["backstop_shed_lots"] * rows["mark_usd"] * self.lot_sizes()).sum(axis=1)
        return np.append(0.0, np.cumsum(by_step))[ends]

    def lot_sizes(self) -> F64:
        return np.array(
            [self.v.inst[i].lot_size if i >= 0 else 0.0 for i in self.v.asset["perp_inst"]]
        )


def onset_step(sim: Simulation, onset_s: float | None = None) -> int:
    """Return the first step from an onset on; that of the scenario if it is left out."""
    at_s = sim.scenario.onset_s if onset_s is None else onset_s
    return min(round(at_s * 1000) // sim.dt_ms, int(sim.series.step[0]) - 1)


def drawdown_frac(marks: F64, onset: int) -> F64:
    """Return the largest fall of the mark after the onset, by asset: .2 is a fall by a fifth."""
    if len(marks) == 0:
        return np.zeros(marks.shape[1])
    fall: F64 = np.maximum(1.0 - (marks[onset:] / marks[onset]).min(axis=0), 0.0)
    return fall


def _open_interest_usd(r: _Run) -> float:
    last = r.asset[-1]
    return float((last["open_interest_lots"] * last["mark_usd"] * r.lot_sizes()).sum())


def _outcome_of(loss: Loss) -> Outcome:
    return Outcome(loss.name, loss.unit, loss.help, lambda r: r.losses[loss.name])


def _disposal_after(minutes: int) -> tuple[Outcome, ...]:
    most = "of the most that the backstop held"
    return (
        Outcome(
            f"backstop_rest_{minutes}min_frac",
            "1",
            f"share {most} that is left {minutes} min later, or at the end; none without any",
            lambda r: rest_frac(r.held_usd, minutes),
        ),
        Outcome(
            f"backstop_closed_{minutes}min_frac",
            "1",
            f"share {most} that was closed against winners within {minutes} min, which is no sale",
            lambda r: closed_frac(r.held_usd, r.closed_usd, minutes),
        ),
        Outcome(
            f"backstop_sold_{minutes}min_frac",
            "1",
            f"share {most} gone else in {minutes} min: sold, less what came in and what prices did",
            lambda r: (
                1.0
                - rest_frac(r.held_usd, minutes)
                - closed_frac(r.held_usd, r.closed_usd, minutes)
            ),
        ),
    )


def _outcome_of_margin(one: MarginUse) -> Outcome:
    return Outcome(*one, lambda r: r.margin[one.name])


OUTCOMES: Final[tuple[Outcome, ...]] = (
    Outcome(
        "liquidated_usd",
        "USD",
        "forced fills, takeovers and deleveraging of perps, at the mark",
        lambda r: r.lots_usd(*LIQUIDATED),
    ),
    Outcome(
        "forced_fills_usd",
        "USD",
        "forced orders filled in the book",
        lambda r: r.lots_usd("forced_fill_lots"),
    ),
    Outcome(
        "taken_over_usd",
        "USD",
        "perps taken over by the backstop",
        lambda r: r.lots_usd("taken_over_lots"),
    ),
    Outcome(
        "deleveraged_usd",
        "USD",
        "perps of accounts closed by auto-deleveraging",
        lambda r: r.lots_usd("deleveraged_lots"),
    ),
    Outcome(
        "backstop_shed_usd",
        "USD",
        "perps of the backstop closed by auto-deleveraging",
        lambda r: r.lots_usd("backstop_shed_lots"),
    ),
    Outcome("n_breaches", "1", "breaches begun", lambda r: r.count(EV_BREACH)),
    Outcome(
        "n_takeovers",
        "1",
        "takeovers of perps, slices and loans",
        lambda r: r.count(EV_TAKEOVER_PERPS, EV_TAKEOVER_ALL, EV_SLICE),
    ),
    Outcome(
        "n_deleveragings",
        "1",
        "counterparties deleveraged, each time one is",
        lambda r: r.count(EV_DELEVERAGED),
    ),
    Outcome(
        "debt_taken_over_usd",
        "USD",
        "debt that went to the backstop with its collateral",
        lambda r: r.amount_usd(EV_SLICE, EV_TAKEOVER_ALL),
    ),
    Outcome(
        "written_off_usd",
        "USD",
        "debt written off down the reserve's waterfall",
        lambda r: r.amount_usd(EV_WRITTEN_OFF),
    ),
    Outcome(
        "deficit_booked_usd",
        "USD",
        "deficits of flat accounts, paid by the treasury but for what is socialised",
        lambda r: r.amount_usd(EV_DEFICIT),
    ),
    *(_outcome_of(loss) for loss in LOSSES),
    Outcome(
        "backstop_held_usd",
        "USD",
        "the most that the backstop held at a minute's end, perps and tokens, long or short",
        lambda r: peak_of(r.held_usd),
    ),
    Outcome(
        "backstop_held_frac",
        "1",
        "the same over its capital at the opening; 0 without any",
        lambda r: peak_of(r.held_usd) / capital_usd(r.v) if capital_usd(r.v) > 0.0 else 0.0,
    ),
    *(one for minutes in AFTER_MIN for one in _disposal_after(minutes)),
    Outcome(
        "backstop_short_usd",
        "USD",
        "how far the backstop's equity fell below zero, within steps too",
        lambda r: max(-r.losses["backstop_low_usd"], 0.0),
    ),
    Outcome(
        "peak_borrowed_usd",
        "USD",
        "largest debt to the reserve",
        lambda r: float(r.venue["borrowed_usd"].max()),
    ),
    Outcome(
        "peak_utilisation_frac",
        "1",
        "largest utilisation of the reserve",
        lambda r: float(r.venue["utilisation"].max()),
    ),
    Outcome(
        "user_cap_bound",
        "1",
        "accounts that open smaller than they want by their user borrow cap",
        lambda r: float(sum(n.get("user_borrow_cap", 0) for n in r.rationed.values())),
    ),
    Outcome(
        "platform_cap_bound",
        "1",
        "accounts that open smaller than they want by the platform's borrow cap",
        lambda r: float(sum(n.get("platform_borrow_cap", 0) for n in r.rationed.values())),
    ),
    Outcome(
        "open_interest_usd", "USD", "open interest at the end, at the mark", _open_interest_usd
    ),
    Outcome(
        "fees_usd",
        "USD",
        "fees to the treasury",
        lambda r: float(r.v.flow[r.v.par[0].row_treasury, 0, CAUSE_FEE]) / 1e6,
    ),
    Outcome(
        "messages_per_step",
        "1",
        "messages executed in a mean step",
        lambda r: float(r.venue["n_messages"].mean()),
    ),
    *(_outcome_of_margin(one) for one in MARGIN_USES),
)


def measure(
    sim: Simulation, *, since_step: int = 0, onset_s: float | None = None
) -> dict[str, float]:
    """Return every outcome of a finished run, and the drawdown of each asset's mark.

    Parameters
    ----------
    sim : Simulation
        At its end.
    since_step : int, default 0
        Steps before it do not count; what accounts and bookings sum up, they sum from the opening.
    onset_s : float, optional
        From when on drawdowns are looked at; the onset of the scenario if it is left out.

    Returns
    -------
    dict of str to float
        `OUTCOMES` by name, then `drawdown_<ASSET>_frac` and `spread_<ASSET>_bp`: as
        `outcome_names` has them.
    """
    run = _Run(sim, since_step, onset_s)
    found = {outcome.name: outcome.measure(run) for outcome in OUTCOMES}
    falls = drawdown_frac(run.asset["mark_usd"], run.onset)
    for name, fall in zip(sim.scenario.assets, falls, strict=True):
        found[f"drawdown_{name}_frac"] = float(fall)
    for name, inst in zip(sim.scenario.assets, run.v.asset["perp_inst"], strict=True):
        found[f"spread_{name}_bp"] = _spread_bp(run.book[run.onset :], int(inst))
    return found


def _spread_bp(book: Records, inst: int) -> float:
    """Return the median spread that a book ends a step with; NaN if it never had two sides."""
    spreads: F64 = book["end_spread_frac"][:, inst] if inst >= 0 else np.empty(0)
    there = spreads[np.isfinite(spreads)]
    return float(1e4 * np.median(there)) if len(there) else np.nan


def outcome_names(assets: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all outcomes of a run with these assets.

    Examples
    --------
    >>> outcome_names(["BTC", "HYPE"])[-4:]
    ('drawdown_BTC_frac', 'drawdown_HYPE_frac', 'spread_BTC_bp', 'spread_HYPE_bp')
    """
    drawdowns = (f"drawdown_{asset}_frac" for asset in assets)
    spreads = (f"spread_{asset}_bp" for asset in assets)
    return (*(outcome.name for outcome in OUTCOMES), *drawdowns, *spreads)


def meaning_of(outcome: str) -> str:
    """Return what an outcome says, in words.

    Examples
    --------
    >>> meaning_of("drawdown_HYPE_frac")
    'largest fall of the mark of HYPE after the onset'
    """
    if outcome.startswith("spread_"):
        asset = outcome.removeprefix("spread_").removesuffix("_bp")
        return f"median spread of the perp of {asset} after the onset, of steps with two sides"
    asset = outcome.removeprefix("drawdown_").removesuffix("_frac")
    return _MEANINGS.get(outcome, f"largest fall of the mark of {asset} after the onset")


def unit_of(outcome: str) -> str:
    """Return the unit of an outcome: "USD", "h", "bp", or "1" for counts and fractions."""
    return _UNITS.get(outcome, "bp" if outcome.startswith("spread_") else "1")


_MEANINGS: Final = {outcome.name: outcome.help for outcome in OUTCOMES}
_UNITS: Final = {outcome.name: outcome.unit for outcome in OUTCOMES}

__all__ = [
    "OUTCOMES",
    "Outcome",
    "drawdown_frac",
    "meaning_of",
    "measure",
    "onset_step",
    "outcome_names",
    "unit_of",
]
