"""What a run keeps of each step: arrays of fixed size, no series of accounts, no growing lists."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import F64, I64, Records, record_dtype
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.state.codes import EV_DELEVERAGED, EV_TAKEOVER_PERPS, FORCED, PERP, TWAP
from stressbook.market.state.records import C_EVENTS, C_FILLS, C_REPLIES, VenueState

ACCOUNT_SUMS_EVERY: Final = 3  # steps: sums over all accounts are repeated in between

# Of each book at each step: the sample that the first taker met, and the one at the end.
BOOK_ROW = record_dtype(
    "traded_lots forced_lots",
    "mid_usd spread_frac bid_depth_usd ask_depth_usd end_mid_usd end_spread_frac "
    "end_bid_depth_usd end_ask_depth_usd",
)
ASSET_ROW = record_dtype(
    "funding_rate_e15",
    "fundamental_usd outside_spot_usd outside_perp_usd oracle_usd mark_usd open_interest_lots "
    "forced_fill_lots taken_over_lots deleveraged_lots backstop_shed_lots",
)
VENUE_ROW = record_dtype(
    "n_messages n_fills n_breached",
    "borrowed_usd utilisation equity_deficit_usd backstop_equity_usd backstop_deepest_usd",
)


LIQUIDATED: Final = ("forced_fill_lots", "taken_over_lots", "deleveraged_lots")


def liquidated_lots(rows: Records) -> F64:
    """Return the perps that accounts lost, each lot once: filled by force, taken over, deleveraged.

    Parameters
    ----------
    rows : ndarray of ASSET_ROW, any shape

    Returns
    -------
    ndarray of float64, of the same shape
        Lots.
    """
    lots: F64 = rows[LIQUIDATED[0]] + rows[LIQUIDATED[1]] + rows[LIQUIDATED[2]]
    return lots


@by_address
class Series(NamedTuple):
    """Rows recorded so far; the first axis is the step."""

    book: Records  # (n_steps, n_insts) BOOK_ROW
    asset: Records  # (n_steps, n_assets) ASSET_ROW
    venue: Records  # (n_steps,) VENUE_ROW
    step: I64  # (1,) steps recorded


def make_series(n_steps: int, v: VenueState) -> Series:
    """Allocate the series of a run."""
    par = v.par[0]
    return Series(
        np.zeros((n_steps, par.n_insts), BOOK_ROW),
        np.zeros((n_steps, par.n_assets), ASSET_ROW),
        np.zeros(n_steps, VENUE_ROW),
        np.zeros(1, np.int64),
    )


@kernel
def record_step(v: VenueState, s: Series) -> None:
    """Write this step's rows."""
    n = s.step[0]
    for i in range(v.par[0].n_insts):
        row = s.book[n, i]
        book = v.book[i]
        row.traded_lots = book.traded_lots
        row.mid_usd = book.mid_usd
        row.spread_frac = book.spread_frac
        row.bid_depth_usd = book.bid_depth_usd
        row.ask_depth_usd = book.ask_depth_usd
        row.end_mid_usd = book.end_mid_usd
        row.end_spread_frac = book.end_spread_frac
        row.end_bid_depth_usd = book.end_bid_depth_usd
        row.end_ask_depth_usd = book.end_ask_depth_usd
        row.forced_lots = 0
    for k in range(v.ctr[C_FILLS]):
        if v.fill[k].options & FORCED:
            s.book[n, v.fill[k].inst].forced_lots += v.fill[k].qty_lots
    _record_assets(v, s, n)
    _record_venue(v, s, n)
    s.step[0] = n + 1


@inline_kernel
def _record_assets(v: VenueState, s: Series, n: int) -> None:
    for a in range(v.par[0].n_assets):
        row = s.asset[n, a]
        row.fundamental_usd = v.outside[a].fundamental_usd
        row.outside_spot_usd = v.outside[a].spot_usd
        row.outside_perp_usd = v.outside[a].perp_usd
        row.oracle_usd = v.price[a].oracle_usd
        row.mark_usd = v.price[a].mark_usd
        row.funding_rate_e15 = v.price[a].last_funding_rate_e15
        row.forced_fill_lots = 0.0  # rows are written over after a snapshot was restored
        row.taken_over_lots = 0.0
        row.deleveraged_lots = 0.0
        row.backstop_shed_lots = 0.0
        inst = v.asset[a].perp_inst
        if inst >= 0:
            row.open_interest_lots = _open_interest(v, s, inst, a, n)
    _record_liquidations(v, s, n)


@inline_kernel
def _record_liquidations(v: VenueState, s: Series, n: int) -> None:
    """Count each perp lot of the breached once; what the backstop sheds stands apart."""
    for k in range(v.ctr[C_FILLS]):
        fill = v.fill[k]
        spec = v.inst[fill.inst]
        if spec.kind == PERP and fill.options & FORCED and fill.options & TWAP == 0:
            s.asset[n, spec.asset].forced_fill_lots += float(fill.qty_lots)
    for k in range(v.ctr[C_EVENTS]):
        e = v.event[k]
        if e.inst >= 0 and e.kind == EV_TAKEOVER_PERPS:
            s.asset[n, v.inst[e.inst].asset].taken_over_lots += float(abs(e.lots))
        elif e.inst >= 0 and e.kind == EV_DELEVERAGED:
            row = s.asset[n, v.inst[e.inst].asset]
            if e.user == v.par[0].backstop_user:
                row.backstop_shed_lots += float(abs(e.lots))
            else:
                row.deleveraged_lots += float(abs(e.lots))


@inline_kernel
def _is_counted(n: int) -> bool:
    """Whether sums over all accounts are taken: every third step, which is a mark update at 1 s."""
    return n % ACCOUNT_SUMS_EVERY == ACCOUNT_SUMS_EVERY - 1 or n == 0


@inline_kernel
def _open_interest(v: VenueState, s: Series, inst: int, a: int, n: int) -> float:
    if not _is_counted(n):
        return float(s.asset[n - 1, a].open_interest_lots)
    lots = 0
    for u in range(v.par[0].n_users):
        lots += max(v.perp[u, inst], 0)
    return float(lots)


@inline_kernel
def _record_venue(v: VenueState, s: Series, n: int) -> None:
    if not _is_counted(n):
        s.venue[n] = s.venue[n - 1]
        s.venue[n].n_messages = v.ctr[C_REPLIES]
        s.venue[n].n_fills = v.ctr[C_FILLS]
        s.venue[n].backstop_deepest_usd = v.risk[v.par[0].backstop_user].deepest_negative_usd
        return
    row = s.venue[n]
    row.n_messages = v.ctr[C_REPLIES]
    row.n_fills = v.ctr[C_FILLS]
    borrowed = 0
    breached = 0
    deficit = 0.0
    for u in range(v.par[0].n_users):
        borrowed += v.debt[u, 0]
        if v.user[u].breached == 1:
            breached += 1
        if v.risk[u].equity_usd < 0.0:
            deficit -= v.risk[u].equity_usd
    row.n_breached = breached
    row.borrowed_usd = float(borrowed) / 1e6
    row.utilisation = v.reserve[0].utilisation
    row.equity_deficit_usd = deficit
    row.backstop_equity_usd = v.risk[v.par[0].backstop_user].equity_usd
    row.backstop_deepest_usd = v.risk[v.par[0].backstop_user].deepest_negative_usd


def backstop_lows_usd(venue: Records, *, first: int) -> F64:
    """Return the lowest equity of the backstop in each step, however short it lasted.

    Below zero its book is closed against winners at once, so that the end of the step no longer
    shows it.

    Parameters
    ----------
    venue : ndarray of VENUE_ROW, shape (n,)
        From the first step of the run on.
    first : int
        Steps that are left out.

    Returns
    -------
    ndarray of float64, shape (n - first,)
        USD; 0 until accounts were first valued.
    """
    deepest = venue["backstop_deepest_usd"]
    is_new = deepest < np.append(0.0, deepest[:-1])
    lows = np.where(is_new, deepest, venue["backstop_equity_usd"])
    return np.asarray(lows[first:])


def used(series: Series) -> Series:
    """Return views of the rows that were written."""
    n = int(series.step[0])
    return Series(series.book[:n], series.asset[:n], series.venue[:n], series.step)


__all__ = [
    "ASSET_ROW",
    "BOOK_ROW",
    "VENUE_ROW",
    "Series",
    "backstop_lows_usd",
    "make_series",
    "record_step",
    "used",
]
