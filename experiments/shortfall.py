"""What suppliers of USDC would lose if the run ended now: losses booked, and gaps that stand open.

An open gap is debt that its debtor could not pay. Tokens are worth the median oracle of the last
ten minutes, so that a wick counts only through what was sold in it. Those of the backstop and of
debtors in breach are to be sold, together: each minute 1 - 2^-0.1 of the rest, which halves it in
ten minutes, into the median depth of the last minutes, refilled every minute. What finds no bid is
worth the last price that was reached. The waterfall then runs as it would when gaps are booked:
the backstop's capital for what it assumed, retained interest, suppliers
(docs/decisions/0045-named-losses.md).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.recorder import Series
from stressbook.market.compiling.arrays import F64, I64, Record, Records, record_dtype
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import kernel, sub_kernel
from stressbook.market.lending.reserve import utilisation
from stressbook.market.orders.occupancy import next_tick
from stressbook.market.state.codes import (
    BUY,
    CAUSE_DELEVERAGING,
    CAUSE_FEE,
    CAUSE_FORCED_TRADE,
    CAUSE_FUNDING,
    CAUSE_OPENING,
    PERP,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.records import EMPTY_BID, VenueState

__all__ = [
    "BANDS_FRAC",
    "MINUTE_MS",
    "MINUTE_ROW",
    "Minutes",
    "make_minutes",
    "median_of",
    "record_minute",
    "sold_frac",
    "value_reserve",
]

MINUTE_MS: Final = 60_000
N_MINUTES: Final = 10  # looked back at
# Depth of bids for a token within these fractions below its oracle; forced orders reach the last.
BANDS_FRAC: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1)
N_BANDS: Final = len(BANDS_FRAC)
SOLD_A_MINUTE_FRAC: Final = 1.0 - 2.0**-0.1
_UNSOLD_FRAC: Final = 1e-6  # what then is left is too small to move a price
_MEDIAN: Final = 0  # columns of `price_usd`
_SOLD: Final = 1

# The reserve at a minute's end, in USD: shortfall + retained + backstop = gross gaps.
MINUTE_ROW = record_dtype(
    "t_ms",
    # booked: of the shortfall, what suppliers have lost already
    # held: perps and tokens of the backstop, long and short alike
    "shortfall_usd booked_usd retained_used_usd backstop_used_usd gross_gaps_usd utilisation "
    "held_usd",
)


@by_address
class Minutes(NamedTuple):
    """What is kept of each minute, and scratch."""

    row: Records  # (n_minutes + 1,) MINUTE_ROW; the one after the last is of now
    bid_depth_usd: F64  # (n_minutes + 1, n_assets, N_BANDS) bids, at the oracle, summed up
    n: I64  # (1,) minutes recorded
    oracle_usd: F64  # scratch: oracles of ten minutes
    depth_usd: F64  # (N_BANDS,) scratch: medians of minutes
    price_usd: F64  # (n_tokens, 2) of a token held on, and of one that is sold
    to_sell: F64  # (n_tokens,) scratch: tokens of the backstop and of debtors in breach


def make_minutes(n_steps: int, v: VenueState) -> Minutes:
    """Allocate what is kept of each minute of a run."""
    par = v.par[0]
    n_minutes = n_steps * int(par.dt_ms) // MINUTE_MS + 2
    n_oracles = N_MINUTES * MINUTE_MS // max(int(par.dt_ms), int(par.price_period_ms)) + 1
    return Minutes(
        np.zeros(n_minutes, MINUTE_ROW),
        np.zeros((n_minutes, int(par.n_assets), N_BANDS)),
        np.zeros(1, np.int64),
        np.zeros(max(n_oracles, N_MINUTES)),
        np.zeros(N_BANDS),
        np.zeros((int(par.n_tokens), 2)),
        np.zeros(int(par.n_tokens)),
    )


@kernel
def record_minute(v: VenueState, s: Series, m: Minutes) -> None:
    """Record a minute that has ended; the step in which it did is recorded already."""
    n = m.n[0]
    _sample_bids(v, m, n)
    m.n[0] = n + 1
    _value_reserve(v, s, m, m.row[n])


@kernel
def value_reserve(v: VenueState, s: Series, m: Minutes) -> None:
    """Write the row after the last: the reserve as it stands now, by the minutes recorded so far.

    Parameters
    ----------
    v : VenueState
        Read only, after a step.
    s : Series
        With at least one step.
    m : Minutes
        Row `n` is written, and scratch.
    """
    n = m.n[0]
    if n == 0:
        _sample_bids(v, m, 0)
    _value_reserve(v, s, m, m.row[n])


@sub_kernel
def median_of(x: F64, n: int) -> float:
    """Return the median of the first values of an array, which are left in another order.

    Parameters
    ----------
    x : ndarray of float64
        Finite numbers.
    n : int
        How many of them count, at least 1.

    Examples
    --------
    >>> median_of(np.array([3.0, 1.0, 2.0, 9.0]), 4), median_of(np.array([3.0, 1.0, 2.0]), 3)
    (2.5, 2.0)
    """
    place = n // 2
    low, high = 0, n - 1
    while low < high:  # Hoare's selection: values up to `place` end below those behind it
        pivot = x[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if j < place:
            low = i
        if i > place:
            high = j
    if n % 2 == 1:
        return float(x[place])
    below = x[0]
    for k in range(1, place):
        below = max(below, x[k])
    return 0.5 * (float(below) + float(x[place]))


@sub_kernel
def sold_frac(value_usd: float, depth_usd: F64) -> float:
    """Return what a sale over time brings, as a fraction of its value at the oracle.

    Parameters
    ----------
    value_usd : float
        Of what is to be sold, at the oracle, positive.
    depth_usd : ndarray of float64, shape (N_BANDS,)
        Bids within each of `BANDS_FRAC`, never falling; there again every minute.

    Returns
    -------
    float
        From 1 - the last of `BANDS_FRAC` to 1.

    Examples
    --------
    Within the first band, evenly filled; into an empty book:

    >>> depth = np.full(N_BANDS, 1e9)
    >>> round(sold_frac(1e9 / SOLD_A_MINUTE_FRAC, depth), 4), round(sold_frac(1.0, 0.0 * depth), 4)
    (0.9997, 0.9)
    """
    got = 0.0
    rest = value_usd
    while rest > _UNSOLD_FRAC * value_usd:
        sale = rest * SOLD_A_MINUTE_FRAC
        got += _walk(sale, depth_usd)
        rest -= sale
    return (got + _walk(rest, depth_usd)) / value_usd


@sub_kernel
def _walk(sale_usd: float, depth_usd: F64) -> float:
    """Return what one sale brings; bids lie evenly between the bounds of a band."""
    got = 0.0
    left = sale_usd
    inner = 0.0
    within = 0.0
    last = BANDS_FRAC[N_BANDS - 1]
    for band in range(N_BANDS):
        outer = BANDS_FRAC[band]
        width = float(depth_usd[band]) - within
        if width > 0.0 and left > 0.0:
            part = min(left, width)
            last = inner + (outer - inner) * part / width
            got += part * (1.0 - 0.5 * (inner + last))
            left -= part
            within = float(depth_usd[band])
        inner = outer
    return got + left * (1.0 - last)


@sub_kernel
def _sample_bids(v: VenueState, m: Minutes, n: int) -> None:
    """Note the bids for each token by their distance below the oracle, at the oracle's value."""
    for a in range(v.par[0].n_assets):
        for band in range(N_BANDS):
            m.bid_depth_usd[n, a, band] = 0.0
        inst = int(v.asset[a].spot_inst)
        if inst < 0:
            continue
        oracle_usd = float(v.price[a].oracle_usd)
        tick = int(v.best[inst, BUY])
        lots = 0.0
        for band in range(N_BANDS):
            lowest = oracle_usd * (1.0 - BANDS_FRAC[band]) / v.inst[inst].tick_usd
            while tick != EMPTY_BID and float(tick) >= lowest:
                lots += float(v.level[inst, tick].qty_lots)
                tick = next_tick(v, inst, BUY, tick)
            m.bid_depth_usd[n, a, band] = lots * v.inst[inst].lot_size * oracle_usd


@sub_kernel
def _value_reserve(v: VenueState, s: Series, m: Minutes, row: Record) -> None:
    """Write the gaps as they stand, and who bears them."""
    reserve = v.reserve[0]
    sums = v.backstop[0]
    backstop = int(v.par[0].backstop_user)
    if reserve.total_debt > 0:
        _find_prices(v, s, m)
    gaps = 0.0
    for user in range(v.par[0].n_users):
        if user != backstop and v.debt[user, 0] > 0:
            gaps += _gap_usd(v, m, user, 0.0)
    net = _gap_usd(v, m, backstop, 0.0)
    gross = _gap_usd(v, m, backstop, _capital_left_usd(v))
    by_retained = min(float(max(reserve.retained, 0)) / 1e6, gaps + net)
    booked = float(reserve.supplier_loss) / 1e6
    retained = float(reserve.retained_used) / 1e6
    used = float(sums.used_micro) / 1e6
    row.t_ms = s.step[0] * v.par[0].dt_ms
    row.booked_usd = booked
    row.shortfall_usd = booked + (gaps + net - by_retained)
    row.retained_used_usd = retained + by_retained
    row.backstop_used_usd = used + (gross - net)
    row.gross_gaps_usd = booked + retained + used + gaps + gross
    row.utilisation = utilisation(reserve)
    row.held_usd = _held_usd(v, backstop)


@sub_kernel
def _held_usd(v: VenueState, row: int) -> float:
    """Return the value of a row's perps at the mark and tokens at the oracle, sizes summed up."""
    total = 0.0
    for i in range(v.par[0].n_insts):
        spec = v.inst[i]
        if spec.kind == PERP:
            lots = float(abs(int(v.perp[row, i])))
            total += lots * spec.lot_size * v.price[spec.asset].mark_usd
    for k in range(1, v.par[0].n_tokens):
        token = v.token_spec[k]
        units = float(v.token[row, k]) / float(token.unit)
        total += units * v.price[token.asset].oracle_usd
    return total


@sub_kernel
def _gap_usd(v: VenueState, m: Minutes, user: int, without_usd: float) -> float:
    """Return the debt that a row could not pay out of its equity less an amount."""
    debt = float(v.debt[user, 0]) / 1e6
    if debt <= 0.0:
        return 0.0
    equity = float(v.cash[user] + v.supply[user, 0]) / 1e6 - debt + _perps_usd(v, user)
    column = _SOLD if _is_sold(v, user) else _MEDIAN
    for k in range(1, v.par[0].n_tokens):
        if v.token[user, k] > 0 and _counts(v, user, k):
            tokens = float(v.token[user, k]) / float(v.token_spec[k].unit)
            equity += tokens * m.price_usd[k, column]
    return min(debt, max(0.0, without_usd - equity))


@sub_kernel
def _is_sold(v: VenueState, user: int) -> bool:
    """Tell whether a row's tokens are on their way to the market: the backstop's, or in breach."""
    if user == v.par[0].backstop_user:
        return True
    return v.user[user].breached == 1 and v.debt[user, 0] > 0


@sub_kernel
def _counts(v: VenueState, user: int, token: int) -> bool:
    """Tell whether a token stands behind a row's debt: what can be taken, and what was."""
    if user == v.par[0].backstop_user:
        return True
    return v.row[user].regime == REGIME_PORTFOLIO and v.token_spec[token].ltv > 0.0


@sub_kernel
def _perps_usd(v: VenueState, user: int) -> float:
    total = 0.0
    for i in range(v.par[0].n_insts):
        spec = v.inst[i]
        if spec.kind == PERP and v.perp[user, i] != 0:
            total += float(v.perp[user, i]) * spec.lot_size * v.price[spec.asset].mark_usd
    return total


@sub_kernel
def _capital_left_usd(v: VenueState) -> float:
    """Return opening capital and what perps brought, all fees in, less capital spent on debts."""
    user = int(v.par[0].backstop_user)
    flow = v.flow[user, 0]
    cash = flow[CAUSE_OPENING] + flow[CAUSE_FORCED_TRADE] + flow[CAUSE_FUNDING]
    cash += flow[CAUSE_DELEVERAGING] + flow[CAUSE_FEE]
    cash += v.backstop[0].perp_cash_micro - v.backstop[0].used_micro
    return max(0.0, float(cash) / 1e6 + _perps_usd(v, user))


@sub_kernel
def _find_prices(v: VenueState, s: Series, m: Minutes) -> None:
    """Write what a token is worth, held on and sold."""
    for k in range(1, v.par[0].n_tokens):
        m.to_sell[k] = 0.0
    for user in range(v.par[0].n_users):
        if _is_sold(v, user):
            for k in range(1, v.par[0].n_tokens):
                if _counts(v, user, k):
                    m.to_sell[k] += float(v.token[user, k]) / float(v.token_spec[k].unit)
    for k in range(1, v.par[0].n_tokens):
        asset = int(v.token_spec[k].asset)
        price = _median_oracle_usd(v, s, m, asset)
        m.price_usd[k, _MEDIAN] = price
        m.price_usd[k, _SOLD] = price
        if m.to_sell[k] > 0.0:
            _find_median_depth(m, asset)
            m.price_usd[k, _SOLD] = price * sold_frac(m.to_sell[k] * price, m.depth_usd)


@sub_kernel
def _median_oracle_usd(v: VenueState, s: Series, m: Minutes, asset: int) -> float:
    """Return the median over oracle updates of the last minutes, from the latest step back."""
    dt_ms = int(v.par[0].dt_ms)
    stride = max(1, int(v.par[0].price_period_ms) // dt_ms)
    step = int(s.step[0]) - 1
    first = max(0, step + 1 - max(1, N_MINUTES * MINUTE_MS // dt_ms))
    n = 0
    while step >= first and n < m.oracle_usd.shape[0]:
        m.oracle_usd[n] = s.asset[step, asset].oracle_usd
        n += 1
        step -= stride
    return median_of(m.oracle_usd, n)


@sub_kernel
def _find_median_depth(m: Minutes, asset: int) -> None:
    stop = max(int(m.n[0]), 1)
    first = max(0, stop - N_MINUTES)
    for band in range(N_BANDS):
        for n in range(first, stop):
            m.oracle_usd[n - first] = m.bid_depth_usd[n, asset, band]
        m.depth_usd[band] = median_of(m.oracle_usd, stop - first)
