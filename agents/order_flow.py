"""Order flow: traders who take, in runs of same-sided children, for reasons of their own.

Children arrive by a self-exciting (Hawkes) intensity: each raises the chance of the next for a
while. Their sizes have a Pareto tail; a metaorder is a run of children of one side whose number has
a Pareto tail too, which gives order signs a slowly decaying autocorrelation. The side of a new run
leans against the trader's inventory, so that it closes with a half-life. At the start of each run
the trader is refilled from outside to what it opened with.

Sources: Lillo, Mike and Farmer, Theory for long memory in supply and demand, Physical Review E
2005 (runs of one side); Bacry, Mastromatteo and Muzy, Hawkes processes in finance, Market
Microstructure and Liquidity 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.execution import take
from stressbook.agents.outbox import Outbox, deposit, withdraw
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.agents.volumes import (
    PERP_VOLUME_USD,
    SECONDS_PER_DAY,
    SPOT_VOLUME_USD,
    VOLUME_SOURCE,
)
from stressbook.market.codes import PERP, SPOT
from stressbook.market.draws import (
    CLASS_NUMBERS,
    PURPOSE_FLOW_ARRIVAL,
    PURPOSE_FLOW_SIDE,
    PURPOSE_FLOW_SIZE,
    uniform,
)
from stressbook.market.elementary import exp, ln, pow_
from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.parameters import param
from stressbook.market.state import I64, Records, record_dtype

PARAMETERS = record_dtype(
    "asset inst spot_lots",
    "equity_usd base_per_ms branching decay_per_ms child_usd size_tail size_largest "
    "run_tail run_largest closing_usd slippage_frac margin_frac",
)
MEMORY = record_dtype("children_left side", "excitation_per_ms")

EXCESS: Final = 2.0  # USDC or tokens beyond this multiple of the opening are taken out


@dataclass(frozen=True)
class OrderFlowParams:
    """The flow traders of all books; one account trades one book.

    Examples
    --------
    >>> OrderFlowParams().accounts
    10
    """

    accounts: int = param(10, unit="1", help="traders of a book", low=0)
    volume_frac: float = param(
        0.6, unit="1", help="their part of the book's average volume", low=0.0
    )
    perp_volume_usd: Mapping[str, float] = param(
        PERP_VOLUME_USD, unit="USD/day", help="perp volume", source=VOLUME_SOURCE
    )
    spot_volume_usd: Mapping[str, float] = param(
        SPOT_VOLUME_USD, unit="USD/day", help="spot volume", source=VOLUME_SOURCE
    )
    interval_s: float = param(25.0, unit="s", help="mean time between a trader's children", low=0.1)
    branching: float = param(
        0.5, unit="1", help="children that one child sets off, on average", low=0.0, high=0.95
    )
    excitation_s: float = param(60.0, unit="s", help="time constant of the excitation", low=1.0)
    size_tail: float = param(
        1.4,
        unit="1",
        help="tail exponent of children's sizes",
        source="1.2 to 1.5 in trades of Binance, 2024-08-08",
        low=1.05,
    )
    size_largest: float = param(1000.0, unit="1", help="largest child over the smallest", low=1.0)
    run_tail: float = param(
        1.5,
        unit="1",
        help="tail exponent of the number of children in a metaorder",
        source="order signs of Binance, 2024-08-08: autocorrelation exponent about 0.5",
        low=1.05,
    )
    run_largest: float = param(200.0, unit="1", help="most children of a metaorder", low=1.0)
    closing_h: float = param(4.0, unit="h", help="half-life of a trader's inventory", low=0.01)
    slippage_frac: float = param(
        0.01, unit="1", help="worst price of a child from the middle", low=0.0
    )
    equity_ratio: float = param(
        0.5, unit="1", help="USDC at the opening, of the inventory at which one side is certain"
    )
    stock_ratio: float = param(
        0.5, unit="1", help="tokens at the opening, of the same inventory; spot books only"
    )
    margin_frac: float = param(
        0.8, unit="1", help="share of free cash or margin that a child may use", low=0.0, high=1.0
    )


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """See whether a child arrives; send it, or begin a new run with it."""
    m: Any = me.memory
    dt = float(mkt.clock[0].dt_ms)
    intensity = p.base_per_ms + m.excitation_per_ms
    m.excitation_per_ms *= exp(-p.decay_per_ms * dt)
    if _draw(me, mkt, PURPOSE_FLOW_ARRIVAL) < exp(-intensity * dt):
        return
    m.excitation_per_ms += p.branching * p.decay_per_ms
    asset = mkt.asset[p.asset]
    if me.account.n_pending > 0 or me.account.breached != 0 or asset.oracle_usd <= 0.0:
        return
    if m.children_left <= 0:
        _begin_run(me, mkt, p, out)
    m.children_left -= 1
    usd = p.child_usd * _pareto(_draw(me, mkt, PURPOSE_FLOW_SIZE), p.size_tail, p.size_largest)
    _send_child(me, mkt, p, out, usd)


@inline_kernel
def _draw(me: Me, mkt: Market, purpose: int) -> Any:
    clock = mkt.clock[0]
    return uniform(clock.seed_key0, clock.seed_key1, purpose, me.account.key, clock.t_ms, 0)


@inline_kernel
def _pareto(u: float, tail: float, largest: float) -> Any:
    """Return a Pareto draw from 1 to `largest`; beyond it the law is cut, not heaped."""
    below = 1.0 - pow_(largest, -tail)
    return pow_(1.0 - u * below, -1.0 / tail)


@inline_kernel
def _begin_run(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    m: Any = me.memory
    lean = inventory_usd(me, mkt, p) / p.closing_usd if p.closing_usd > 0.0 else 0.0
    lean = lean if lean < 1.0 else 1.0
    lean = lean if lean > -1.0 else -1.0
    u = _draw(me, mkt, PURPOSE_FLOW_SIDE)
    m.side = 1 if u < 0.5 - 0.5 * lean else -1
    # The place of u within its side is uniform again: one draw serves side and length.
    split = 0.5 - 0.5 * lean
    v = u / split if m.side > 0 else (u - split) / (1.0 - split)
    m.children_left = int(_pareto(v, p.run_tail, p.run_largest))
    _refill(me, mkt, p, out)


@inline_kernel
def _held_lots(me: Me, mkt: Market, p: Any) -> Any:
    """Return the signed lots of the book that the trader has."""
    book = mkt.inst[p.inst]
    if book.kind == PERP:
        return me.position[p.inst]
    return me.token[book.token] // book.lot_units


@inline_kernel
def inventory_usd(me: Me, mkt: Market, p: Any) -> Any:
    """Return what has been bought beyond the opening stock."""
    lots = float(_held_lots(me, mkt, p) - p.spot_lots)
    return lots * mkt.inst[p.inst].lot_size * mkt.asset[p.asset].oracle_usd


@inline_kernel
def _cash_usd(me: Me, mkt: Market, p: Any) -> Any:
    """Return USDC, unrealised result of the perp in."""
    cash = float(me.account.cash_micro - me.account.debt_micro) / 1e6
    if mkt.inst[p.inst].kind == PERP:
        lots = float(me.position[p.inst])
        cash += lots * mkt.inst[p.inst].lot_size * mkt.asset[p.asset].mark_usd
    return cash


@inline_kernel
def _refill(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Bring USDC and tokens back to the opening from outside, and take a large excess out."""
    missing = p.equity_usd - _cash_usd(me, mkt, p)
    if missing >= 1.0:
        deposit(out, me, 0, int(missing * 1e6))
    elif -missing > (EXCESS - 1.0) * p.equity_usd:
        free = me.account.available_usd * p.margin_frac
        amount = -missing if -missing < free else free
        if amount >= 1.0:
            withdraw(out, me, 0, int(amount * 1e6))
    book = mkt.inst[p.inst]
    if book.kind == SPOT:
        lots = p.spot_lots - _held_lots(me, mkt, p)
        # Only a seller without stock needs tokens: inventory itself is not topped up.
        if me.memory.side < 0 and 2 * lots > p.spot_lots:
            deposit(out, me, book.token, lots * book.lot_units)


@inline_kernel
def _send_child(me: Me, mkt: Market, p: Any, out: Outbox, usd: float) -> None:
    book = mkt.inst[p.inst]
    lot_usd = book.lot_size * mkt.asset[p.asset].oracle_usd
    if book.kind == PERP:
        most = _cash_usd(me, mkt, p) * float(me.leverage[p.inst])
        signed = float(me.position[p.inst]) * lot_usd * float(me.memory.side)
        most = p.margin_frac * (most if most > 0.0 else 0.0) - signed
    elif me.memory.side > 0:
        most = p.margin_frac * _cash_usd(me, mkt, p)
    else:
        most = float(_held_lots(me, mkt, p)) * lot_usd
    usd = usd if usd < most else most
    if usd > 0.0:
        take(out, me.account, mkt, p.inst, int(usd / lot_usd) * me.memory.side, p.slippage_frac, 0)


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("flow", CLASS_NUMBERS["flow"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: OrderFlowParams,
    keys: I64,
    *,
    seed: int,
    asset: int,
    name: str,
    inst: int,
    kind: int,
    price_usd: float,
    lot_size: float,
) -> Records:
    """Return the parameters of one book's flow traders.

    Parameters
    ----------
    params : OrderFlowParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys.
    seed : int
        Of the run; nothing is drawn: the traders differ by their luck.
    asset : int
        Index of the asset in the venue.
    name : str
        Its name.
    inst : int
        Index of the book.
    kind : int
        `codes.SPOT` or `codes.PERP`.
    price_usd : float
        Opening price of the asset.
    lot_size : float
        Lot of the book, in tokens.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)
        `equity_usd` is the USDC to open with, `spot_lots` the tokens, in lots of the book.

    Examples
    --------
    >>> import numpy as np
    >>> r = account_parameters(
    ...     OrderFlowParams(), np.arange(10) + (6 << 20), seed=7, asset=0, name="BTC", inst=0,
    ...     kind=PERP, price_usd=8e4, lot_size=1e-5,
    ... )
    >>> round(float(r[0]["child_usd"]))
    18913
    """
    n = len(keys)
    r = np.zeros(n, PARAMETERS)
    volumes = params.perp_volume_usd if kind == PERP else params.spot_volume_usd
    rate_usd = params.volume_frac * volumes.get(name, 0.0) / SECONDS_PER_DAY / max(1, n)
    mean = _pareto_mean(params.size_tail, params.size_largest)
    closing = rate_usd * 3600.0 * params.closing_h / ln(2.0)
    r["asset"], r["inst"] = asset, inst
    r["base_per_ms"] = (1.0 - params.branching) / (1000.0 * params.interval_s)
    r["branching"] = params.branching
    r["decay_per_ms"] = 1.0 / (1000.0 * params.excitation_s)
    r["child_usd"] = rate_usd * params.interval_s / mean
    r["size_tail"], r["size_largest"] = params.size_tail, params.size_largest
    r["run_tail"], r["run_largest"] = params.run_tail, params.run_largest
    r["closing_usd"] = closing
    r["equity_usd"] = params.equity_ratio * closing
    if kind == SPOT:
        r["spot_lots"] = round(params.stock_ratio * closing / (price_usd * lot_size))
    r["slippage_frac"] = params.slippage_frac
    r["margin_frac"] = params.margin_frac
    return r


def _pareto_mean(tail: float, largest: float) -> float:
    """Return the mean of a Pareto law from 1, cut at `largest`."""
    if largest <= 1.0:
        return 1.0
    below = 1.0 - exp(-tail * ln(largest))
    return tail / (tail - 1.0) * (1.0 - exp((1.0 - tail) * ln(largest))) / below
