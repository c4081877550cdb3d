"""Rates that a regime charges: by slices of an amount, and more where an oracle is weak."""

from stressbook.market.compiling.arrays import Records
from stressbook.market.compiling.kernel import inline_kernel

__all__ = ["confidence_rate", "sliced"]


@inline_kernel
def sliced(steps: Records, n_steps: int, amount: float, initial: bool) -> float:
    """Return the sum over slices of an amount, each at its own rate.

    Parameters
    ----------
    steps : ndarray of STEP, shape (MAX_STEPS,)
        Rising lower bounds from 0.
    n_steps : int
        How many of them are valid; 0 charges nothing.
    amount : float
        At least 0.
    initial : bool
        Which of the two rates counts.

    Returns
    -------
    float
        In the unit of the amount times that of the rates.
    """
    total = 0.0
    for i in range(n_steps):
        lower = steps[i].lower_usd
        if amount <= lower:
            break
        upper = amount
        if i + 1 < n_steps and steps[i + 1].lower_usd < amount:
            upper = steps[i + 1].lower_usd
        rate = steps[i].initial if initial else steps[i].maintenance
        total += (upper - lower) * rate
    return total


@inline_kernel
def confidence_rate(confidence: float, threshold: float, rate: float) -> float:
    """Return what a weak oracle adds to the initial rate of a leg.

    Parameters
    ----------
    confidence : float
        Of the feed, 0 to 1.
    threshold : float
        From which on nothing is added.
    rate : float
        Of value, at no confidence at all.

    Returns
    -------
    float
        (1 - confidence) x rate below the threshold. Source: Derive, portfolio managers, 2026-01.

    Examples
    --------
    >>> confidence_rate(0.1, 0.55, 1.0), confidence_rate(0.6, 0.55, 1.0)
    (0.9, 0.0)
    """
    return (1.0 - confidence) * rate if confidence < threshold else 0.0
