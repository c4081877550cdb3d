"""Units of money and rates, and exact arithmetic on them.

All that is booked is int64: cash in micro-USDC, prices of oracle and mark in 1e-8 USD, rates in
1e-15. `mul_div` multiplies and divides with a 128-bit intermediate on 32-bit limbs; the `round_*`
functions are the only door from a float to an amount. Every function gives the same number
compiled and as plain Python. What does not fit gives `NOT_REPRESENTABLE`, and the caller sets the
fault word: a kernel cannot raise.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, kernel, wrapping_mul

__all__ = [
    "BALANCE_MAX",
    "CEIL",
    "FLOOR",
    "INT64_MAX",
    "INT64_MIN",
    "MICRO",
    "MS_PER_HOUR",
    "MS_PER_S",
    "NEAREST",
    "NOT_REPRESENTABLE",
    "ON_THE_EDGE",
    "PRICE_ONE",
    "RATE_ONE",
    "TRUNC",
    "mul_div",
    "round_down",
    "round_nearest",
    "round_up",
]

MICRO: Final = 1_000_000  # micro-USDC of one USDC
PRICE_ONE: Final = 10**8  # 1 USD in units of oracle, mark and index prices
RATE_ONE: Final = 10**15  # 1 in units of funding and interest rates
MS_PER_S: Final = 1000
MS_PER_HOUR: Final = 3_600_000

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)
BALANCE_MAX: Final = 2**62  # a balance beyond it sets the fault word
ON_THE_EDGE: Final = 1.0 + 1e-12  # times a bound in floats: what lies on it is within
NOT_REPRESENTABLE: Final = INT64_MIN  # result of an operation whose result is not an int64

# Rounding modes; a number is never reused.
FLOOR: Final = 0  # towards minus infinity
CEIL: Final = 1  # towards plus infinity
TRUNC: Final = 2  # towards zero
NEAREST: Final = 3  # halves away from zero, so that both sides of a booking round alike

_MASK32: Final = 0xFFFF_FFFF
_MASK31: Final = 0x7FFF_FFFF
# Below it a product of two rounded floats proves that the exact product is below 2**63.
_SAFE_PRODUCT: Final = 9.2e18
_LIMIT: Final = 2.0**63
_DIGIT_BITS: Final = 9  # 63 = 7 digits
_DIGIT_MASK: Final = 2**_DIGIT_BITS - 1
_DIGIT_DIVISOR_MAX: Final = 2 ** (63 - _DIGIT_BITS)


@kernel
def mul_div(a: int, b: int, c: int, mode: int) -> int:
    """Return `a * b / c`, exactly rounded, whatever the size of the product.

    Parameters
    ----------
    a, b, c : int
        Any int64.
    mode : int
        `FLOOR`, `CEIL`, `TRUNC` or `NEAREST` (halves away from zero).

    Returns
    -------
    int
        The quotient, or `NOT_REPRESENTABLE` if it lies outside +-(2**63 - 1) or `c` is 0.

    Notes
    -----
    Products under 2**63 take one hardware division; larger ones are divided digit by digit,
    since a 128-bit division is a library call that Numba's linker does not find.
    Source: Knuth, The Art of Computer Programming 2, 4.3.1.

    Examples
    --------
    Interest of 10 billion USDC at a rate of 0.04:

    >>> mul_div(10**10 * MICRO, 4 * RATE_ONE // 100, RATE_ONE, CEIL) // MICRO
    400000000
    >>> mul_div(-7, 1, 2, FLOOR), mul_div(-7, 1, 2, TRUNC), mul_div(-7, 1, 2, NEAREST)
    (-4, -3, -4)
    """
    a, b, c = int(a), int(b), int(c)
    if c == 0:
        return NOT_REPRESENTABLE
    if abs(float(a)) * abs(float(b)) < _SAFE_PRODUCT and c != INT64_MIN:
        product = a * b
        negative = (product < 0) != (c < 0)
        size = -product if product < 0 else product
        divisor = -c if c < 0 else c
        quotient = size // divisor
        return _rounded(quotient, size - quotient * divisor, divisor, negative, mode)
    return _mul_div_wide(a, b, c, mode)


@kernel
def _mul_div_wide(a: int, b: int, c: int, mode: int) -> int:
    """Divide the 126-bit product of two magnitudes, held as high * 2**63 + low."""
    negative = ((a < 0) != (b < 0)) != (c < 0)
    a_high, a_low = _limbs(a)
    b_high, b_low = _limbs(b)
    low = wrapping_mul(a_low, b_low)
    cross_a = a_low * b_high
    cross_b = a_high * b_low
    middle = ((low >> 32) & _MASK32) + (cross_a & _MASK32) + (cross_b & _MASK32)
    high = a_high * b_high + (cross_a >> 32) + (cross_b >> 32) + (middle >> 32)
    if high >> 62 != 0:
        return NOT_REPRESENTABLE
    high63 = (high << 1) | ((middle >> 31) & 1)
    low63 = ((middle & _MASK31) << 32) | (low & _MASK32)
    if c == INT64_MIN:
        # 2**63 is no int64, and half of 2**63 - 1 rounds alike.
        return _rounded(high63, low63, INT64_MAX, negative, mode)
    divisor = -c if c < 0 else c
    if high63 >= divisor:
        return NOT_REPRESENTABLE
    return _long_division(high63, low63, divisor, negative, mode)


@inline_kernel
def _limbs(a: int) -> tuple[int, int]:
    """Return the magnitude as high * 2**32 + low; 2**63 itself would not fit one int64."""
    high, low = a >> 32, a & _MASK32
    if a >= 0:
        return high, low
    if low == 0:
        return -high, 0
    return -high - 1, (_MASK32 + 1) - low


@kernel
def _long_division(high: int, low: int, divisor: int, negative: bool, mode: int) -> int:
    """Divide high * 2**63 + low, high < divisor, from the highest digit down."""
    quotient = 0
    rest = high
    if divisor <= _DIGIT_DIVISOR_MAX:
        for shift in range(63 - _DIGIT_BITS, -1, -_DIGIT_BITS):
            rest = (rest << _DIGIT_BITS) | ((low >> shift) & _DIGIT_MASK)
            digit = rest // divisor
            rest -= digit * divisor
            quotient = (quotient << _DIGIT_BITS) | digit
    else:
        for shift in range(62, -1, -1):
            bit = (low >> shift) & 1
            quotient <<= 1
            # Twice the rest may pass 2**63, its excess over the divisor cannot.
            room = divisor - rest
            if rest + bit >= room:
                rest += bit - room
                quotient |= 1
            else:
                rest += rest + bit
    return _rounded(quotient, rest, divisor, negative, mode)


@inline_kernel
def _rounded(quotient: int, rest: int, divisor: int, negative: bool, mode: int) -> int:
    """Round a magnitude by its rest and give it its sign."""
    away = False
    if rest > 0:
        if mode == FLOOR:
            away = negative
        elif mode == CEIL:
            away = not negative
        elif mode == NEAREST:
            away = rest >= divisor - rest
    if away:
        if quotient == INT64_MAX:
            return NOT_REPRESENTABLE
        quotient += 1
    return -quotient if negative else quotient


@inline_kernel
def round_down(amount: float) -> int:
    """Return the largest integer that is not above `amount` (receipts).

    Parameters
    ----------
    amount : float
        In whole units of what is booked.

    Returns
    -------
    int
        `NOT_REPRESENTABLE` if `amount` is not a number or not inside +-2**63.

    Examples
    --------
    >>> round_down(2.5), round_down(-2.5)
    (2, -3)
    """
    if not -_LIMIT < amount < _LIMIT:
        return NOT_REPRESENTABLE
    whole = int(amount)
    return whole - 1 if float(whole) > amount else whole


@inline_kernel
def round_up(amount: float) -> int:
    """Return the smallest integer that is not below `amount` (debt).

    Parameters
    ----------
    amount : float
        In whole units of what is booked.

    Returns
    -------
    int
        `NOT_REPRESENTABLE` if `amount` is not a number or not inside +-2**63.

    Examples
    --------
    >>> round_up(2.5), round_up(-2.5)
    (3, -2)
    """
    if not -_LIMIT < amount < _LIMIT:
        return NOT_REPRESENTABLE
    whole = int(amount)
    return whole + 1 if float(whole) < amount else whole


@inline_kernel
def round_nearest(amount: float) -> int:
    """Return the nearest integer, halves away from zero.

    Parameters
    ----------
    amount : float
        In whole units of what is booked.

    Returns
    -------
    int
        `NOT_REPRESENTABLE` if `amount` is not a number or not inside +-2**63.

    Examples
    --------
    >>> round_nearest(2.5), round_nearest(-2.5), round_nearest(0.49999999999999994)
    (3, -3, 0)
    """
    if not -_LIMIT < amount < _LIMIT:
        return NOT_REPRESENTABLE
    whole = int(amount)
    rest = amount - float(whole)  # exact: both have the same binary point
    # Without a branch: half of all draws would go the way that was not foreseen.
    return whole + int(rest >= 0.5) - int(rest <= -0.5)
