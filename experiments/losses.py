"""The losses of a run, each under its own name: they answer different questions.

Equity below zero, what no capital covered, what deleveraging cost winners, what was socialised, and
what suppliers of the reserve lose. Readings: docs/decisions/0045-named-losses.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from stressbook.experiments import backstop_account
from stressbook.experiments.shortfall import MINUTE_MS, Minutes, value_reserve
from stressbook.market.compiling.arrays import F64, Records
from stressbook.market.state.codes import (
    CAUSE_DEFICIT,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_HAIRCUT,
    EV_SOCIALISED,
    EV_WRITTEN_OFF,
)
from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.experiments.simulation import Simulation

__all__ = ["FULL_FRAC", "LOSSES", "PAYERS", "Loss", "losses_of", "named_losses"]

FULL_FRAC: Final = 0.999  # lenders leave dust behind: a pool is full before the last dollar


class Loss(NamedTuple):
    """A loss, or what is read beside one."""

    name: str
    unit: str
    help: str
    is_signed: bool = False  # may fall below zero


LOSSES: Final = (
    Loss(
        "negative_equity_usd",
        "USD",
        "each account's deepest equity below zero at a mark update, once; the backstop is none",
    ),
    Loss(
        "uncovered_usd",
        "USD",
        "equity below zero before deleveraging and write-off, accounts' and what the backstop's "
        "capital did not hold",
    ),
    Loss(
        "uncovered_pm_usd",
        "USD",
        "of it of accounts under portfolio margin, and of the backstop up to its unpaid debt",
    ),
    Loss(
        "gap_at_adl_usd",
        "USD",
        "what the deleveraged lost against the mark, gains of others not netted",
    ),
    Loss("socialised_usd", "USD", "deficits that other accounts paid: shared, or out of profits"),
    Loss(
        "reserve_shortfall_usd",
        "USD",
        "what suppliers of USDC lose by the end: booked, and what open gaps leave them",
    ),
    Loss(
        "reserve_shortfall_peak_usd",
        "USD",
        "its largest value at the end of a minute",
    ),
    Loss(
        "shortfall_valued_frac",
        "1",
        "share of it that rests on valuation, the rest is booked",
    ),
    Loss(
        "backstop_result_usd",
        "USD",
        "equity of the backstop at the end less its capital at the opening, all that it holds "
        "valued at mark and oracle",
        is_signed=True,
    ),
    Loss(
        "backstop_low_usd",
        "USD",
        "lowest equity of the backstop, within steps too",
        is_signed=True,
    ),
    Loss(
        "backstop_loss_usd",
        "USD",
        "capital of the backstop that is gone at the end; what it owes beyond is others' loss",
    ),
    Loss("treasury_paid_usd", "USD", "deficits paid out of the treasury, without limit"),
    Loss(
        "borne_usd",
        "USD",
        "what was paid for others' losses: by the treasury, the deleveraged, those who share "
        "deficits, the backstop, retained interest and suppliers",
    ),
    Loss("retained_used_usd", "USD", "retained interest that bears gaps, booked and open"),
    Loss(
        "backstop_used_for_gaps_usd",
        "USD",
        "capital of the backstop that bears gaps of the reserve, booked and open; what its perps "
        "lost is in backstop_result_usd only",
    ),
    Loss(
        "gross_gaps_usd",
        "USD",
        "debt that debtors could not pay, booked and open: suppliers', retained interest's and "
        "the backstop's part",
    ),
    Loss(
        "full_utilisation_h",
        "h",
        "time for which 99.9 % of what is supplied was lent: nothing to redeem",
    ),
)

# Who paid: nothing is counted by two of them. The backstop's part ends where its equity is zero,
# gaps beyond are those of retained interest and suppliers; the deleveraged lose against the mark.
PAYERS: Final = (
    "treasury_paid_usd",
    "gap_at_adl_usd",
    "socialised_usd",
    "backstop_loss_usd",
    "retained_used_usd",
    "reserve_shortfall_usd",
)


def losses_of(sim: Simulation, *, since_step: int = 0) -> dict[str, float]:
    """Return every loss of a simulation as it stands; see `named_losses`.

    Parameters
    ----------
    sim : Simulation
        Stepped at least once.
    since_step : int, default 0
        Steps before it do not count, where time matters.

    Returns
    -------
    dict of str to float
    """
    v = sim.engine.state
    value_reserve(v, sim.series, sim.minutes)
    events: Records = np.concatenate(sim.events) if sim.events else v.event[:0]
    venue = sim.series.venue[: sim.series.step[0]]
    return named_losses(v, events, sim.minutes, venue, since_ms=since_step * sim.dt_ms)


def named_losses(
    v: VenueState, events: Records, minutes: Minutes, venue: Records, *, since_ms: int = 0
) -> dict[str, float]:
    """Return every loss of a run.

    Parameters
    ----------
    v : VenueState
        At the end.
    events : ndarray of EVENT
        Of the whole run.
    minutes : Minutes
        As `stressbook.experiments.shortfall.value_reserve` leaves them at the end.
    venue : ndarray of VENUE_ROW, shape (n_steps,)
        Of all steps of the run.
    since_ms : int, default 0
        Deleveraging, minutes and lows of the backstop before it do not count; bookings, depths and
        results are from the opening.

    Returns
    -------
    dict of str to float
        By name, in the order of `LOSSES`.
    """
    now = minutes.row[minutes.n[0]]
    found = _below_zero(v, events) | _borne_by_accounts(events, since_ms)
    found |= {
        "reserve_shortfall_usd": float(now["shortfall_usd"]),
        "shortfall_valued_frac": _share_valued(now["shortfall_usd"], now["booked_usd"]),
        "retained_used_usd": float(now["retained_used_usd"]),
        "backstop_used_for_gaps_usd": float(now["backstop_used_usd"]),
        "gross_gaps_usd": float(now["gross_gaps_usd"]),
    }
    found |= _over_time(minutes, since_ms) | _of_the_backstop(v, venue, since_ms)
    found["treasury_paid_usd"] = -float(v.flow[v.par[0].row_treasury, 0, CAUSE_DEFICIT]) / 1e6
    found["borne_usd"] = sum(found[name] for name in PAYERS)
    return {loss.name: found[loss.name] for loss in LOSSES}


def _of_the_backstop(v: VenueState, venue: Records, since_ms: int) -> dict[str, float]:
    capital_usd, end_usd = backstop_account.capital_usd(v), backstop_account.end_equity_usd(v)
    first = min(since_ms // int(v.par[0].dt_ms), len(venue) - 1)
    return {
        "backstop_result_usd": end_usd - capital_usd,
        "backstop_low_usd": backstop_account.lowest_usd(venue, first=first),
        "backstop_loss_usd": backstop_account.loss_usd(capital_usd, end_usd),
    }


def _below_zero(v: VenueState, events: Records) -> dict[str, float]:
    backstop = int(v.par[0].backstop_user)
    deepest = -np.minimum(v.risk["deepest_negative_usd"], 0.0)
    accounts = deepest[:backstop]
    # A forced order may leave a deficit that is booked before the next mark update sees it.
    before = np.maximum(accounts, _deepest_write_off_usd(events, backstop))
    uncovered = np.maximum(before - v.taken_negative_usd[:backstop], 0.0)
    enrolled = v.user["enrolled"][:backstop] == 1
    own = float(deepest[backstop])
    assumed = min(own, float(v.backstop[0].debt_at_deepest_usd))
    return {
        "negative_equity_usd": float(accounts.sum()),
        "uncovered_usd": float(uncovered.sum()) + own,
        "uncovered_pm_usd": float(uncovered[enrolled].sum()) + assumed,
    }


def _deepest_write_off_usd(events: Records, n_users: int) -> F64:
    """Return the most that was booked at once as an account's deficit and debt, by user."""
    booked = events[np.isin(events["kind"], (EV_DEFICIT, EV_WRITTEN_OFF))]
    booked = booked[booked["user"] < n_users]
    deepest = np.zeros(n_users)
    times, place = np.unique(booked["t_ms"], return_inverse=True)
    for k in range(len(times)):
        at_once = booked[place == k]
        usd = np.bincount(at_once["user"], at_once["amount_micro"] / 1e6, minlength=n_users)
        np.maximum(deepest, usd, out=deepest)
    return deepest


def _borne_by_accounts(events: Records, since_ms: int) -> dict[str, float]:
    closed = events[(events["kind"] == EV_DELEVERAGED) & (events["t_ms"] > since_ms)]
    shared = events["amount_micro"][np.isin(events["kind"], (EV_HAIRCUT, EV_SOCIALISED))]
    return {
        "gap_at_adl_usd": float(np.maximum(closed["amount_micro"], 0).sum()) / 1e6,
        "socialised_usd": float(shared.sum()) / 1e6,
    }


def _share_valued(shortfall_usd: float, booked_usd: float) -> float:
    return float(1.0 - booked_usd / shortfall_usd) if shortfall_usd > 0.0 else 0.0


def _over_time(minutes: Minutes, since_ms: int) -> dict[str, float]:
    n = int(minutes.n[0])
    rows, now = minutes.row[:n], minutes.row[n]
    rows = rows[rows["t_ms"] > since_ms]
    n_full = int((rows["utilisation"] >= FULL_FRAC).sum())
    return {
        "reserve_shortfall_peak_usd": float(max(now["shortfall_usd"], *rows["shortfall_usd"], 0.0)),
        "full_utilisation_h": n_full * MINUTE_MS / 3.6e6,
    }
