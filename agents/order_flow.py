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

from stressbook.agents.execution import Sender, take
from stressbook.agents.outbox import Outbox, deposit, withdraw
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.agents.volumes import (
    PERP_VOLUME_USD,
    SECONDS_PER_DAY,
    SPOT_VOLUME_USD,
    VOLUME_SOURCE,
)
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import (
    CLASS_NUMBERS,
    PURPOSE_FLOW_ARRIVAL,
    PURPOSE_FLOW_SIDE,
    PURPOSE_FLOW_SIZE,
    uniform,
)
from stressbook.market.numbers.elementary import exp, ln, pow_
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import PERP, SPOT

PARAMETERS = record_dtype(
    "asset inst spot_lots",
    "equity_usd base_per_ms branching decay_per_ms child_usd size_tail size_largest "
    "run_tail run_largest closing_usd slippage_frac margin_frac",
)
MEMORY = record_dtype("children_left side", "excitation_per_ms")

REFILL_FROM: Final = 0.02  # of the opening equity: smaller losses wait
EXCESS: Final = 2.0  # equity beyond this multiple of the opening is taken out
TOKENS_LOW: Final = 0.25  # of the opening tokens: a seller with fewer gets new ones


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
    clock = mkt.clock[0]
    asset = mkt.asset[p.asset]
    book = mkt.inst[p.inst]
    if not _arrives(m, p, clock, me.account.key):
        return
    if me.account.n_pending > 0 or me.account.breached != 0 or asset.oracle_usd <= 0.0:
        return
    held = me.position[p.inst] if book.kind == PERP else me.token[book.token] // book.lot_units
    lot_usd = book.lot_size * (asset.mark_usd if book.kind == PERP else asset.oracle_usd)
    cash_usd = float(me.account.cash_micro - me.account.debt_micro) / 1e6
    if m.children_left <= 0:
        begin_run(m, p, clock, me.account.key, float(held - p.spot_lots) * lot_usd)
        # What was bought counts as equity: only losses are refilled.
        missing = p.equity_usd - cash_usd - float(held - p.spot_lots) * lot_usd
        if book.kind == SPOT and m.side < 0 and held < TOKENS_LOW * p.spot_lots:
            units = (p.spot_lots - held) * book.lot_units
            deposit(out, Sender(me.account), book.token, units)
            missing -= float(p.spot_lots - held) * lot_usd
            held = p.spot_lots
        _refill(out, me.account, p, missing)
        cash_usd += missing if missing > 0.0 else 0.0
    m.children_left -= 1
    u = _draw(clock, PURPOSE_FLOW_SIZE, me.account.key)
    usd = p.child_usd * _pareto(u, p.size_tail, p.size_largest)
    if book.kind == PERP:
        most = _perp_room_usd(m, p, cash_usd, float(held) * lot_usd, me.leverage[p.inst])
    else:
        most = p.margin_frac * cash_usd if m.side > 0 else float(held) * lot_usd
    usd = usd if usd < most else most
    if usd > 0.0:
        take(out, me.account, mkt, p.inst, int(usd / lot_usd) * m.side, p.slippage_frac, 0)


@inline_kernel
def _draw(clock: Any, purpose: int, key: int) -> Any:
    return uniform(clock.seed_key0, clock.seed_key1, purpose, key, clock.t_ms, 0)


@inline_kernel
def _arrives(m: Any, p: Any, clock: Any, key: int) -> bool:
    """Whether a child arrives in this step; if so it raises the intensity of the next."""
    dt = float(clock.dt_ms)
    intensity = p.base_per_ms + m.excitation_per_ms
    m.excitation_per_ms *= exp(-p.decay_per_ms * dt)
    if _draw(clock, PURPOSE_FLOW_ARRIVAL, key) < exp(-intensity * dt):
        return False
    m.excitation_per_ms += p.branching * p.decay_per_ms
    return True


@inline_kernel
def _pareto(u: float, tail: float, largest: float) -> Any:
    """Return a Pareto draw from 1 to `largest`; beyond it the law is cut, not heaped."""
    below = 1.0 - pow_(largest, -tail)
    return pow_(1.0 - u * below, -1.0 / tail)


@inline_kernel
def begin_run(m: Any, p: Any, clock: Any, key: int, inventory_usd: float) -> None:
    """Draw side and length of a metaorder; the side leans against the inventory."""
    lean = inventory_usd / p.closing_usd if p.closing_usd > 0.0 else 0.0
    lean = lean if lean < 1.0 else 1.0
    lean = lean if lean > -1.0 else -1.0
    buys = 0.5 - 0.5 * lean
    u = _draw(clock, PURPOSE_FLOW_SIDE, key)
    m.side = 1 if u < buys else -1
    # The place of u within its side is uniform again: one draw serves side and length.
    v = u / buys if m.side > 0 else (u - buys) / (1.0 - buys)
    m.children_left = int(_pareto(v, p.run_tail, p.run_largest))


@inline_kernel
def _refill(out: Outbox, account: Any, p: Any, missing_usd: float) -> None:
    """Bring the equity back to the opening from outside, or take a large excess out."""
    if missing_usd > REFILL_FROM * p.equity_usd:
        deposit(out, Sender(account), 0, int(missing_usd * 1e6))
    elif -missing_usd > (EXCESS - 1.0) * p.equity_usd:
        free = account.available_usd * p.margin_frac
        amount = -missing_usd if -missing_usd < free else free
        if amount >= 1.0:
            withdraw(out, Sender(account), 0, int(amount * 1e6))


@inline_kernel
def _perp_room_usd(m: Any, p: Any, cash_usd: float, held_usd: float, leverage: int) -> Any:
    """Return the largest child that margin bears; the held position is signed."""
    equity = cash_usd + held_usd
    room = p.margin_frac * (equity if equity > 0.0 else 0.0) * float(leverage)
    return room - held_usd * float(m.side)


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("order_flow", CLASS_NUMBERS["order_flow"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: OrderFlowParams,
    keys: I64,
    *,
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
    ...     OrderFlowParams(), np.arange(10) + (6 << 20), asset=0, name="BTC", inst=0,
    ...     kind=PERP, price_usd=8e4, lot_size=1e-5,
    ... )
    >>> round(float(r[0]["child_usd"]))
    18900
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
