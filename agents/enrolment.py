"""Who is enrolled when a run begins: accounts ask, and the venue's rules answer as they always do.

Accounts open with positions; that they enrolled before they took them is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stressbook.market.margin.enrolment import eligibility
from stressbook.market.numbers.units import MICRO
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.codes import ELIGIBLE, TOO_LARGE, TOO_SMALL

__all__ = ["NOT_ASKED", "EnrolmentCount", "answer", "answers", "count_of"]

NOT_ASKED: Final = -1  # beside the answers of `market.enrolment.eligibility`


class EnrolmentCount(NamedTuple):
    """How many accounts of a class ask to be enrolled at the opening, and what becomes of them."""

    asked: int
    enrolled: int
    too_large: int  # account value at or above `account_value_max_usd`
    too_small: int  # neither volume above `eligible_volume_usd` nor value above the least


def answer(spec: VenueSpec, *, value_micro: int, volume_micro: int) -> int:
    """Tell whether an account may enrol, by the venue's own rule.

    Parameters
    ----------
    spec : VenueSpec
        Rules.
    value_micro, volume_micro : int
        Account value and weighted volume, micro-USDC.

    Returns
    -------
    int
        `ELIGIBLE`, `TOO_LARGE` or `TOO_SMALL`.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> venue = load_preset("hyperliquid")
    >>> [answer(venue, value_micro=usd * MICRO, volume_micro=0) for usd in (9_000, 20_000)]
    [2, 0]
    """
    margin = spec.margin
    bounds = (margin.eligible_volume_usd, margin.eligible_value_usd, margin.account_value_max_usd)
    return int(
        eligibility(volume_micro, float(value_micro), *(round(usd * MICRO) for usd in bounds))
    )


def answers(
    spec: VenueSpec, asks: Iterable[bool], *, values_usd: Sequence[float], volume_usd: float
) -> tuple[int, ...]:
    """Return what the accounts of one class are answered.

    Parameters
    ----------
    spec : VenueSpec
        Rules.
    asks : iterable of bool
        Whether each of them wants to be enrolled.
    values_usd : sequence of float
        What each opens with.
    volume_usd : float
        Weighted volume of each.

    Returns
    -------
    tuple of int
        `NOT_ASKED`, or the `answer`.
    """
    volume_micro = round(volume_usd * MICRO)
    return tuple(
        answer(spec, value_micro=round(value * MICRO), volume_micro=volume_micro)
        if wants
        else NOT_ASKED
        for wants, value in zip(asks, values_usd, strict=True)
    )


def count_of(found: Sequence[int]) -> EnrolmentCount:
    """Count answers.

    Examples
    --------
    >>> count_of([NOT_ASKED, ELIGIBLE, ELIGIBLE, TOO_LARGE])
    EnrolmentCount(asked=3, enrolled=2, too_large=1, too_small=0)
    """
    kinds = [sum(one == kind for one in found) for kind in (ELIGIBLE, TOO_LARGE, TOO_SMALL)]
    return EnrolmentCount(sum(kinds), *kinds)
