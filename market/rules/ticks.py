"""The price grid: five significant figures at the opening, one fixed tick for the whole run.

The venue lets the tick grow with the price; a run keeps the tick of its opening price, so that the
book is one absolute ladder (docs/decisions/0010-fixed-ladder.md).
"""

from decimal import Decimal
from typing import Final, NamedTuple

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.units import PRICE_ONE
from stressbook.market.state.codes import BUY, PERP
from stressbook.market.state.records import N_TICKS

__all__ = [
    "LadderRoom",
    "is_valid_price",
    "ladder_room",
    "limit_tick",
    "opening_tick_e8",
    "price_decimals",
    "tick_of",
]

SIGNIFICANT_FIGURES: Final = 5
MIN_ROOM_UP: Final = 2.0  # a coarser tick is taken until the price can double
_PRICE_DECIMALS: Final = 8  # of the venue's fixed-point prices


class LadderRoom(NamedTuple):
    """How far a price can move before it leaves its ladder."""

    name: str
    opening_tick: int
    up_factor: float
    down_factor: float


def price_decimals(sz_decimals: int, *, kind: int) -> int:
    """Return the most decimals that a price may have.

    Parameters
    ----------
    sz_decimals : int
        Decimals of a size.
    kind : int
        `codes.PERP` or `codes.SPOT`.

    Returns
    -------
    int
        6 (perp) or 8 (spot) less `sz_decimals`; source: Hyperliquid docs, tick and lot size, 2026.

    Examples
    --------
    >>> price_decimals(5, kind=PERP)
    1
    """
    return (6 if kind == PERP else 8) - sz_decimals


def is_valid_price(price: str, *, sz_decimals: int, kind: int) -> bool:
    """Tell whether the venue takes a price as printed.

    Parameters
    ----------
    price : str
        Decimal notation, USD.
    sz_decimals : int
        Decimals of a size.
    kind : int
        `codes.PERP` or `codes.SPOT`.

    Returns
    -------
    bool
        Five significant figures and `price_decimals` at most; whole numbers always.
        Source: Hyperliquid docs, tick and lot size, 2026.

    Examples
    --------
    >>> is_valid_price("1234.5", sz_decimals=0, kind=PERP)
    True
    >>> is_valid_price("12345.6", sz_decimals=0, kind=PERP)
    False
    """
    number = Decimal(price).normalize()
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or number <= 0:
        return False
    if exponent >= 0:
        return True
    return len(digits) <= SIGNIFICANT_FIGURES and -exponent <= price_decimals(
        sz_decimals, kind=kind
    )


def opening_tick_e8(price_usd: float, *, sz_decimals: int, kind: int) -> int:
    """Return the tick of a run that opens at a price, in 1e-8 USD.

    Parameters
    ----------
    price_usd : float
        Opening price, USD, positive.
    sz_decimals : int
        Decimals of a size.
    kind : int
        `codes.PERP` or `codes.SPOT`.

    Returns
    -------
    int
        A power of ten: the fifth figure of the price, not finer than `price_decimals` and not
        coarser than 1 USD, times ten until the price can double on the ladder.

    Examples
    --------
    >>> opening_tick_e8(84.035, sz_decimals=2, kind=PERP) / PRICE_ONE
    0.001
    >>> opening_tick_e8(150_000.0, sz_decimals=5, kind=PERP) / PRICE_ONE
    10.0
    """
    fifth_figure = Decimal(repr(price_usd)).adjusted() - (SIGNIFICANT_FIGURES - 1)
    exponent = max(min(fifth_figure, 0), -price_decimals(sz_decimals, kind=kind))
    exponent = max(exponent, -_PRICE_DECIMALS)
    tick_e8 = int(10 ** (exponent + _PRICE_DECIMALS))
    while price_usd * PRICE_ONE * MIN_ROOM_UP > tick_e8 * (N_TICKS - 1):
        tick_e8 *= 10
    return tick_e8


def ladder_room(name: str, *, price_usd: float, tick_e8: int) -> LadderRoom:
    """Return how far a price can rise and fall on its ladder.

    Parameters
    ----------
    name : str
        Of the instrument.
    price_usd : float
        Opening price, USD.
    tick_e8 : int
        Tick, 1e-8 USD.

    Returns
    -------
    LadderRoom
        Factors: highest and opening price over opening and lowest price.

    Examples
    --------
    >>> room = ladder_room("HYPE-PERP", price_usd=84.035, tick_e8=100_000)
    >>> room.opening_tick, round(room.up_factor, 2), round(room.down_factor)
    (84035, 3.12, 84035)
    """
    ticks = price_usd * PRICE_ONE / tick_e8
    return LadderRoom(name, round(ticks), (N_TICKS - 1) / ticks, ticks)


@inline_kernel
def limit_tick(side: int, price_usd: float, slippage_frac: float, tick_usd: float) -> int:
    """Return the limit of a forced order.

    Parameters
    ----------
    side : int
        Of the order.
    price_usd : float
        Mark, or oracle of a token.
    slippage_frac : float
        How far from it the order may trade.
    tick_usd : float
        Tick of the book.

    Returns
    -------
    int
        Ticks, truncated, on the ladder.

    Examples
    --------
    >>> from stressbook.market.state.codes import SELL
    >>> limit_tick(SELL, 100.0, 0.1, 0.5), limit_tick(BUY, 100.0, 0.1, 0.5)
    (180, 220)
    """
    slip = slippage_frac if side == BUY else -slippage_frac
    return tick_of(price_usd * (1.0 + slip), tick_usd)


@inline_kernel
def tick_of(limit_usd: float, tick_usd: float) -> int:
    """Return a limit in ticks, truncated, on the ladder.

    Parameters
    ----------
    limit_usd, tick_usd : float
        Limit, and tick of the book.

    Returns
    -------
    int

    Examples
    --------
    >>> tick_of(90.7, 0.5), tick_of(-3.0, 0.5)
    (181, 1)
    """
    return min(max(int(limit_usd / tick_usd), 1), N_TICKS - 1)
