"""Opening positions of directional traders, and the balance of longs and shorts of every perp.

Each trader comes from its own past (`agents.aging`). Sides are then turned, those whose draw was
closest first, until longs exceed shorts by what hedged books are short; a last factor on all longs
makes each perp sum to zero. Which sides turn is decided against the hedged books under cross
margin, so that a trader has the same side and the same money whatever regime or cap is studied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stressbook.agents.aging import LONG, SHORT, Life, Past, live
from stressbook.agents.directional import leverage_setting
from stressbook.agents.drafts import Draft, Listing
from stressbook.errors import InvalidScenario, Problem
from stressbook.market.numbers.units import MICRO, PRICE_ONE
from stressbook.market.rules.listing import MarginTier
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.records import N_TICKS

FACTOR_LOW: Final = 0.5  # of the longs that are left after sides have been turned
FACTOR_HIGH: Final = 1.5


@dataclass
class Bet:
    """One directional trader at the opening."""

    draft: Draft
    p: Any  # its parameters
    life: Life
    side: int
    lots: int  # of its position, unsigned; 0 if it has none

    @property
    def signed_lots(self) -> int:
        """Lots with the sign of the side."""
        return self.lots if self.side == LONG else -self.lots


def bets_of(
    records: Any,
    keys: Sequence[int],
    *,
    class_id: int,
    one: Listing,
    spec: VenueSpec,
    past: Past,
    seed: int,
) -> list[Bet]:
    """Return the traders of one asset as their past leaves them.

    Parameters
    ----------
    records : ndarray of directional.PARAMETERS, shape (n,)
        Of the traders.
    keys : sequence of int
        Their account keys.
    class_id : int
        Of their class.
    one : Listing
        Their asset.
    spec : VenueSpec
        Rules, with opening prices.
    past : Past
        Of the asset.
    seed : int
        Of the run.

    Returns
    -------
    list of Bet
        With sides as drawn.
    """
    tiers = spec.assets[one.asset].tiers
    perp = spec.instruments[one.perp]
    lot_usd = perp.lot_size * one.price_usd
    bets = []
    for p, key in zip(records, keys, strict=True):
        notional = float(p.equity_usd * p.leverage)
        life = live(p, past, seed=seed, key=key, maintenance_frac=maintenance_frac(notional, tiers))
        entry_e8 = max(1, round(life.entry * one.price_usd * PRICE_ONE))
        # Entered at a price that this run's ladder does not reach: such a trader has left by now.
        is_open = life.is_open and entry_e8 < perp.tick_e8 * N_TICKS
        lots = int(notional / (lot_usd * life.entry)) if is_open else 0
        draft = Draft(key, class_id, 0)
        setting = leverage_setting(float(p.leverage), notional, tiers)
        draft.leverage[one.perp] = setting
        draft.entries_e8[one.perp] = entry_e8
        bets.append(Bet(draft, p, life, LONG if life.is_long else SHORT, lots))
    return bets


def maintenance_frac(notional_usd: float, tiers: Sequence[MarginTier]) -> float:
    """Return the maintenance requirement over a notional: half the initial one, by tiers.

    Parameters
    ----------
    notional_usd : float
        Positive.
    tiers : sequence of MarginTier
        Rising lower bounds.

    Returns
    -------
    float

    Examples
    --------
    >>> maintenance_frac(30e6, [MarginTier(0.0, 10), MarginTier(20e6, 5)])
    0.06666666666666667
    """
    required = 0.0
    for tier, after in zip(tiers, [*tiers[1:], None], strict=True):
        top = notional_usd if after is None else min(notional_usd, after.lower_usd)
        if top > tier.lower_usd:
            required += (top - tier.lower_usd) / (2.0 * tier.max_leverage)
    return required / notional_usd if notional_usd > 0.0 else 0.0


def turn_sides(bets: Sequence[Bet], net_lots: int) -> None:
    """Turn sides until longs less shorts come as near to a net as whole traders allow.

    Parameters
    ----------
    bets : sequence of Bet
        Changed in place. Only positions that would have survived on the other side turn; where
        these are too few, as at high leverage, others do, entered at the opening price.
    net_lots : int
        Wanted.
    """
    held = [bet for bet in bets if bet.lots > 0]
    _turn([bet for bet in held if all(bet.life.alive)], bets, net_lots)
    if held and not _can_be_scaled(bets, net_lots):
        _turn([bet for bet in held if not all(bet.life.alive)], bets, net_lots)


def _turn(turnable: Sequence[Bet], bets: Sequence[Bet], net_lots: int) -> None:
    gap = net_lots - sum(bet.signed_lots for bet in bets)
    wrong = SHORT if gap > 0 else LONG
    candidates = [bet for bet in turnable if bet.side == wrong]
    for bet in sorted(candidates, key=lambda bet: (abs(bet.life.draw - 0.5), bet.draft.key)):
        change = _turned_lots(bet) - bet.signed_lots
        if abs(gap - change) < abs(gap):
            gap -= change
            _turn_one(bet)


def _turned_lots(bet: Bet) -> int:
    """Return the signed lots of the other side, at today's price if it would not have survived."""
    lots = bet.lots if all(bet.life.alive) else int(bet.lots * bet.life.entry)
    return lots if bet.side == SHORT else -lots


def _turn_one(bet: Bet) -> None:
    lots = _turned_lots(bet)
    if not all(bet.life.alive):
        for perp, entry_e8 in bet.draft.entries_e8.items():
            bet.draft.entries_e8[perp] = round(entry_e8 / bet.life.entry)
        bet.life = bet.life._replace(entry=1.0, money=(1.0, 1.0), alive=(True, True))
    bet.side, bet.lots = (LONG if lots > 0 else SHORT), abs(lots)


def _can_be_scaled(bets: Sequence[Bet], net_lots: int) -> bool:
    """Tell whether one factor on the longs, within its bounds, balances the perp."""
    longs = sum(bet.lots for bet in bets if bet.side == LONG)
    wanted = net_lots + sum(bet.lots for bet in bets if bet.side == SHORT)
    return longs > 0 and FACTOR_LOW <= wanted / longs <= FACTOR_HIGH


def balance(bets: Sequence[Bet], net_lots: int, *, name: str, own_lots: int = 0) -> list[int]:
    """Return signed lots that sum to a net: shorts as they are, longs by one factor.

    Parameters
    ----------
    bets : sequence of Bet
        Of one asset.
    net_lots : int
        Longs less shorts.
    name : str
        Of the asset, for the error.
    own_lots : int, default 0
        Of the net, what accounts of a population file hold, for the error.

    Returns
    -------
    list of int
        By bet; what rounding leaves goes to the largest long.

    Raises
    ------
    InvalidScenario
        If there are no longs to scale, or the factor is beyond its bounds.
    """
    longs = sum(bet.lots for bet in bets if bet.side == LONG)
    wanted = net_lots + sum(bet.lots for bet in bets if bet.side == SHORT)
    if not bets and net_lots == 0:
        return []
    if not _can_be_scaled(bets, net_lots):
        books = "the hedged books"
        if own_lots:
            books += f" and of {own_lots:+} lots of the population file"
        problem = Problem(
            f"cannot take the other side of {books} at the opening",
            f"population.directional.{name}",
            longs,
            f"longs of {FACTOR_LOW} to {FACTOR_HIGH} times {wanted} lots",
            "raise directional.gross_usd, or lower the equity of basis traders and hedgers",
        )
        raise InvalidScenario.from_problems([problem])
    factor = wanted / longs
    signed = [int(bet.lots * factor + 0.5) if bet.side == LONG else -bet.lots for bet in bets]
    largest = max(range(len(bets)), key=lambda i: (signed[i], -i))
    signed[largest] += net_lots - sum(signed)
    return signed


def settle_draft(bet: Bet, lots: int, perp: int) -> Draft:
    """Return the draft of a trader with its position; its money does not depend on the factor.

    Parameters
    ----------
    bet : Bet
        The trader.
    lots : int
        Signed, as balanced.
    perp : int
        Instrument.

    Returns
    -------
    Draft
    """
    money = float(bet.p.equity_usd) * bet.life.money[bet.side]
    bet.draft.equity_micro = round(money * MICRO)
    if lots:
        bet.draft.perps[perp] = lots
    return bet.draft
