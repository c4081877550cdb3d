"""What one episode did from its onset on: a timeline, caps in use, who gained and who lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.accounting import N_CLASSES, OTHER_CLASS
from stressbook.experiments.outcomes import measure
from stressbook.experiments.recorder import liquidated_lots, used
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.timeline import Timeline, sum_of_bins, timeline_of
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import REFUSAL_NAMES
from stressbook.market.state.records import VenueState

__all__ = [
    "CLASS_LABELS",
    "CapUse",
    "Episode",
    "Onset",
    "cap_uses",
    "class_changes",
    "episode_of",
    "minutes_before",
    "onset_of",
    "system_usd",
]


_NAMES: Final = {number: name.replace("_", " ") for name, number in CLASS_NUMBERS.items()}
CLASS_LABELS: Final = (
    *(_NAMES.get(k, "unused") for k in range(OTHER_CLASS)),
    "backstop and others",
    "treasury and reserve",
)


class CapUse(NamedTuple):
    """How much of one cap is used."""

    name: str
    unit: str
    used: float
    cap: float


class Onset(NamedTuple):
    """What the end of an episode is compared with."""

    step: int
    equity_usd: F64  # (N_CLASSES + 1,), treasury and reserve last
    transfers_usd: F64
    revaluation_usd: F64
    total_usd: float  # everything but `outside`, summed by asset
    refused: F64  # messages refused so far, by code


@dataclass(frozen=True)
class Episode:
    """One arm from the onset to its end.

    Parameters
    ----------
    outcomes : dict of str to float
        By name: those of every run, and those of `_episode_outcomes`.
    timeline : Timeline
        Of the asset that the study looks at.
    classes : ndarray of float64, shape (N_CLASSES + 1, 3)
        Equity at the onset, its change less transfers, and of that the revaluation, USD; the rows
        are `CLASS_LABELS`.
    outside_usd : float
        What the outside market gained as the counterparty, with what outside and oracle prices
        moved against the fundamental; found by asset, not by account.
    refusals : dict of str to int
        Refused messages by reason.
    caps : tuple of CapUse
        At the end.
    digest : str
        Of the run so far.
    """

    outcomes: dict[str, float]
    timeline: Timeline
    classes: F64
    outside_usd: float
    refusals: dict[str, int]
    caps: tuple[CapUse, ...]
    digest: str


def onset_of(sim: Simulation) -> Onset:
    """Look at a simulation that stands at the onset."""
    equity, transfers, revaluation = _class_columns(sim)
    return Onset(
        int(sim.series.step[0]),
        equity,
        transfers,
        revaluation,
        _total_by_asset_usd(sim),
        sim.engine.state.reply_count.astype(np.float64),
    )


def episode_of(sim: Simulation, onset: Onset, *, asset: int) -> Episode:
    """Look at a simulation that stands at the end of an episode.

    Parameters
    ----------
    sim : Simulation
        As an arm left it.
    onset : Onset
        The same simulation at the onset.
    asset : int
        Index of the asset whose timeline is kept.

    Returns
    -------
    Episode
    """
    v = sim.engine.state
    refused = v.reply_count - onset.refused
    classes, outside = class_changes(sim, onset)
    outcomes = measure(sim, since_step=onset.step)
    return Episode(
        outcomes=outcomes | _episode_outcomes(sim, onset.step, asset),
        timeline=timeline_of(
            used(sim.series),
            sim.scenario,
            sim.schedule.stresses,
            onset_step=onset.step,
            asset=asset,
        ),
        classes=classes,
        outside_usd=outside,
        refusals={name: int(refused[c]) for c, name in REFUSAL_NAMES.items() if refused[c] > 0},
        caps=cap_uses(v),
        digest=sim.digest(),
    )


def class_changes(sim: Simulation, onset: Onset) -> tuple[F64, float]:
    """Return who gained and who lost, and the outside market as their counterparty.

    Over all rows, change less revaluation and the outside's gain sum to zero: the first is taken
    account by account, the second asset by asset.

    Returns
    -------
    ndarray of float64, shape (N_CLASSES + 1, 3)
        As in `Episode.classes`.
    float
        Gain of the outside market, USD.
    """
    equity, transfers, revaluation = _class_columns(sim)
    moved = transfers - onset.transfers_usd
    revalued = revaluation - onset.revaluation_usd
    change = equity - onset.equity_usd - moved
    table = np.stack([onset.equity_usd, change, revalued], axis=1)
    gained = _total_by_asset_usd(sim) - onset.total_usd - moved.sum() - revalued.sum()
    return table, -float(gained)


def cap_uses(v: VenueState) -> tuple[CapUse, ...]:
    """Return what is used of the caps of the reserves, platform and largest account.

    Of a collateral, what enrolled accounts hold counts, up to each account's own cap.
    """
    usdc, debts = v.token_spec[0], v.debt[:, 0]
    uses = [
        CapUse("USDC borrowed, platform", "USD", debts.sum() / 1e6, usdc.platform_borrow_cap / 1e6),
        CapUse(
            "USDC borrowed, largest account", "USD", debts.max() / 1e6, usdc.user_borrow_cap / 1e6
        ),
        CapUse(
            "USDC supplied, platform",
            "USD",
            v.supply[:, 0].sum() / 1e6,
            usdc.platform_supply_cap / 1e6,
        ),
    ]
    for k in range(1, int(v.par[0].n_tokens)):
        spec = v.token_spec[k]
        price = float(v.price[spec.asset].oracle_usd) / spec.unit
        if spec.ltv > 0.0:
            use = "lent" if spec.borrowable else "as collateral"
            used, cap = v.reserve[k].total_supply, spec.platform_supply_cap
            label = f"{{{int(spec.asset)}}} {use}, platform"
            uses.append(CapUse(label, "USD", used * price, cap * price))
        if spec.borrowable:
            used, cap = v.reserve[k].total_debt, spec.platform_borrow_cap
            label = f"{{{int(spec.asset)}}} borrowed, platform"
            uses.append(CapUse(label, "USD", used * price, cap * price))
    return tuple(CapUse(u.name, u.unit, float(u.used), float(u.cap)) for u in uses)


def minutes_before(sim: Simulation, *, asset: int, minutes: int) -> dict[str, F64]:
    """Return means over the last minutes of the warm-up, for the drift before the onset.

    Parameters
    ----------
    sim : Simulation
        At the onset.
    asset : int
        Index of the asset.
    minutes : int
        How many.

    Returns
    -------
    dict of str to ndarray of float64, shape (minutes,)
    """
    n = round(60_000 / sim.dt_ms)
    stop = int(sim.series.step[0])
    first = stop - n * minutes
    inst = int(sim.engine.state.asset[asset].perp_inst)
    rows, book = sim.series.asset[first:stop, asset], sim.series.book[first:stop, inst]
    venue = sim.series.venue[first:stop]
    return {
        "open interest, lots": sum_of_bins(rows["open_interest_lots"], n) / n,
        "bid depth within 10 bp": sum_of_bins(book["bid_depth_usd"], n) / n,
        "borrowed USDC": sum_of_bins(venue["borrowed_usd"], n) / n,
        "messages a step": sum_of_bins(venue["n_messages"].astype(np.float64), n) / n,
    }


def _episode_outcomes(sim: Simulation, first: int, asset: int) -> dict[str, float]:
    """Return what is asked of the asset's own market, from the onset on."""
    v, inst = sim.engine.state, int(sim.engine.state.asset[asset].perp_inst)
    stop = int(sim.series.step[0])
    rows, book = sim.series.asset[first:stop, asset], sim.series.book[first:stop, inst]
    open_lots = np.maximum(sim.series.asset[first - 1, asset]["open_interest_lots"], 1.0)
    lots = liquidated_lots(rows)
    traded = book["traded_lots"] * v.inst[inst].lot_size * rows["mark_usd"]
    return {
        "liquidated_frac": float(lots.sum() / open_lots),
        "open_interest_change_frac": float(rows["open_interest_lots"][-1] / open_lots - 1.0),
        "bid_depth_usd": float(np.median(book["bid_depth_usd"])),
        "spread_frac": float(np.nanmedian(book["end_spread_frac"])),
        "traded_usd": float(traded.sum()),
        "mean_borrowed_usd": float(sim.series.venue["borrowed_usd"][first:stop].mean()),
        "peak_breached": float(sim.series.venue["n_breached"][first:stop].max()),
        "lowest_premium_frac": float((rows["mark_usd"] / rows["oracle_usd"]).min() - 1.0),
    }


def _class_columns(sim: Simulation) -> tuple[F64, F64, F64]:
    """Return equity, transfers and revaluation by class, treasury and reserve last."""
    rows = sim.classes
    system = sum(system_usd(sim.engine.state).values())
    return (
        np.append(_pooled(rows["equity_usd"]), system),
        np.append(_pooled(rows["transfers_usd"]), 0.0),
        np.append(_pooled(rows["revaluation_usd"]), 0.0),
    )


def _pooled(values: F64) -> F64:
    """Return class sums with own classes among the others."""
    found = values[:N_CLASSES].copy()
    found[OTHER_CLASS] += values[N_CLASSES:].sum()
    return found


def system_usd(v: VenueState) -> dict[str, float]:
    """Return what belongs to no account, which opens at zero: what was gained since.

    Returns
    -------
    dict of str to float
        "treasury", with what rounding left, and "reserve": what the pools own of themselves, USD.
    """
    treasury = [int(v.par[0].row_treasury), int(v.par[0].row_rounding)]
    taken = {*treasury, int(v.par[0].row_outside)}
    pools = [row for row in range(int(v.par[0].n_users), len(v.cash)) if row not in taken]
    return {"treasury": _held_usd(v, treasury), "reserve": _held_usd(v, pools) + _owed_usd(v)}


def _held_usd(v: VenueState, rows: list[int]) -> float:
    """Return cash and tokens of rows of the ledger."""
    total = float(v.cash[rows].sum()) / 1e6
    for k in range(1, int(v.par[0].n_tokens)):
        spec = v.token_spec[k]
        units = float(v.token[rows, k].sum()) / spec.unit
        total += units * float(v.price[spec.asset].oracle_usd)
    return total


def _owed_usd(v: VenueState) -> float:
    """Return what debtors owe the pools, less what the pools owe suppliers."""
    total = float(v.debt[:, 0].sum() - v.supply[:, 0].sum()) / 1e6
    for k in range(1, int(v.par[0].n_tokens)):
        spec = v.token_spec[k]
        units = float(v.debt[:, k].sum() - v.supply[:, k].sum()) / spec.unit
        total += units * float(v.price[spec.asset].oracle_usd)
    return total


def _total_by_asset_usd(sim: Simulation) -> float:
    """Return the value of all rows but `outside`: cash, tokens, perps, own outside books."""
    v, w = sim.engine.state, sim.world
    inside = np.arange(len(v.cash)) != int(v.par[0].row_outside)
    n_users = int(v.par[0].n_users)  # the outside's own row follows
    total = float(v.cash[inside].sum() + w.cash[:n_users].sum()) / 1e6
    for k in range(1, int(v.par[0].n_tokens)):
        spec = v.token_spec[k]
        total += float(v.token[inside, k].sum()) / spec.unit * v.price[spec.asset].oracle_usd
    for i, spec in enumerate(v.inst):
        total += float(v.perp[inside, i].sum()) * spec.lot_size * v.price[spec.asset].mark_usd
    for a, quote in enumerate(v.outside):
        held = w.inventory[:n_users, a].sum(axis=0) * w.asset[a].lot_size
        total += float(held[0] * quote.spot_usd + held[1] * quote.perp_usd)
    return total
