"""Logarithm, exponential, power and inverse normal in explicit arithmetic.

NumPy's and the C library's differ in the last bit between processors and versions. These use
+ - * / and square roots, and `frexp` and `ldexp`, which are exact: they give the same bits
everywhere, compiled or not.
"""

import math
from typing import Final

from stressbook.market.compiling.kernel import kernel

__all__ = ["exp", "ln", "normal_quantile", "pow_"]

_INF: Final = math.inf
_NAN: Final = math.nan
_LN2_HIGH: Final = 6.93147180369123816490e-01  # its last 21 bits are 0: k * _LN2_HIGH is exact
_LN2_LOW: Final = 1.90821492927058770002e-10
_INVERSE_LN2: Final = 1.44269504088896338700
_SQRT_HALF: Final = 0.70710678118654752440
_EXP_MAX: Final = 709.782712893383973096
_EXP_MIN: Final = -745.13321910194110842


@kernel
def ln(x: float) -> float:
    """Return the natural logarithm.

    Parameters
    ----------
    x : float
        From 0.

    Returns
    -------
    float
        Within 1 unit in the last place; -inf at 0, nan below and for nan, inf at inf.

    Notes
    -----
    Source: fdlibm, `e_log.c` (Sun Microsystems, freely distributable): x = 2**k (1 + f), then a
    polynomial in (f / (2 + f))**2.

    Examples
    --------
    >>> ln(1.0), ln(2.0)
    (0.0, 0.6931471805599453)
    """
    if not 0.0 < x < _INF:
        if x == 0.0:
            return -_INF
        return _INF if x > 0.0 else _NAN
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m, k = 2.0 * m, k - 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    even = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half_square = 0.5 * f * f
    rest = s * (half_square + (odd + even))
    scale = float(k)
    return scale * _LN2_HIGH - ((half_square - (rest + scale * _LN2_LOW)) - f)


@kernel
def exp(x: float) -> float:
    """Return e**x.

    Parameters
    ----------
    x : float
        Any.

    Returns
    -------
    float
        Within 1 unit in the last place; inf above 709.78, 0 below -745.13, nan for nan.

    Notes
    -----
    Source: fdlibm, `e_exp.c` (Sun Microsystems, freely distributable): x = k ln 2 + r, then a
    rational approximation of e**r.

    Examples
    --------
    >>> exp(0.0), exp(1.0)
    (1.0, 2.7182818284590455)
    """
    if not _EXP_MIN <= x <= _EXP_MAX:
        if x < _EXP_MIN:
            return 0.0
        return _INF if x > _EXP_MAX else _NAN
    k = int(_INVERSE_LN2 * x + (0.5 if x >= 0.0 else -0.5))
    scale = float(k)
    high = x - scale * _LN2_HIGH
    low = scale * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (
        1.66666666666666019037e-01
        + t
        * (
            -2.77777777770155933842e-03
            + t
            * (
                6.61375632143793436117e-05
                + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
            )
        )
    )
    return math.ldexp(1.0 - ((low - (r * c) / (2.0 - c)) - high), k)


@kernel
def pow_(x: float, y: float) -> float:
    """Return x**y, x not negative, as exp(y ln x).

    Parameters
    ----------
    x, y : float
        Base, from 0, and exponent.

    Returns
    -------
    float
        With a relative error up to (1 + |y ln x|) 2**-52, 1e-14 while |y ln x| < 40. 1 at y = 0,
        otherwise nan below x = 0.

    Examples
    --------
    >>> pow_(4.0, 0.5)
    2.0
    """
    if y == 0.0:
        return 1.0
    return exp(y * ln(x))


@kernel
def normal_quantile(u: float) -> float:
    """Return the number below which a standard normal variable lies with probability u.

    Parameters
    ----------
    u : float
        Probability, 0 < u < 1: a uniform draw becomes a normal one.

    Returns
    -------
    float
        With a relative error of about 1e-15; -inf at 0, inf at 1, nan outside.

    Notes
    -----
    Source: Wichura, Algorithm AS 241, PPND16, Applied Statistics 37 (1988) 477-484.

    Examples
    --------
    >>> normal_quantile(0.5), round(normal_quantile(0.975), 12)
    (0.0, 1.95996398454)
    """
    if not 0.0 < u < 1.0:
        if u == 0.0:
            return -_INF
        return _INF if u == 1.0 else _NAN
    q = u - 0.5
    if -0.425 <= q <= 0.425:
        return _central(q)
    r = math.sqrt(-ln(u if q < 0.0 else 1.0 - u))
    x = _near_tail(r - 1.6) if r <= 5.0 else _far_tail(r - 5.0)
    return -x if q < 0.0 else x


@kernel
def _central(q: float) -> float:
    r = 0.180625 - q * q
    above = (
        ((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
        + 45921.953931549871457
    ) * r + 13731.693765509461125
    above = (
        (above * r + 1971.5909503065514427) * r + 133.14166789178437745
    ) * r + 3.387132872796366608
    below = (
        ((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
        + 21213.794301586595867
    ) * r + 5394.1960214247511077
    below = ((below * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1.0
    return q * above / below


@kernel
def _near_tail(r: float) -> float:
    above = (
        ((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r
        + 1.27045825245236838258
    ) * r + 3.64784832476320460504
    above = (
        (above * r + 5.7694972214606914055) * r + 4.6303378461565452959
    ) * r + 1.42343711074968357734
    below = (
        ((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966)
        * r
        + 0.14810397642748007459
    ) * r + 0.68976733498510000455
    below = ((below * r + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0
    return above / below


@kernel
def _far_tail(r: float) -> float:
    above = (
        ((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386)
        * r
        + 0.026532189526576123093
    ) * r + 0.29656057182850489123
    above = (
        (above * r + 1.7848265399172913358) * r + 5.4637849111641143699
    ) * r + 6.6579046435011037772
    below = (
        ((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5)
        * r
        + 7.868691311456132591e-4
    ) * r + 0.0148753612908506148525
    below = ((below * r + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0
    return above / below
