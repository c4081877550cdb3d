"""What each regime asks for a hedged book over its naked leg, and for a pair of two underlyings.

One number says how much portfolio margin a regime is: the requirement of a perp hedged by tokens of
its own asset over that of the perp alone. Beside it stand the pair of a long and a short of two
assets over both legs alone, and what the hedged book costs in own capital, since a haircut on
tokens or a loan-to-value may bind where the requirement does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stressbook.errors import InvalidInput
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.regimes.requirement import PocketMargin
from stressbook.market.regimes.spec import MarginRegime
from stressbook.market.rules.listing import AssetSpec
from stressbook.market.rules.rule_arrays import maintenance_table
from stressbook.market.rules.spec import VenueSpec

__all__ = ["HedgedBook", "hedged_books"]


class HedgedBook(NamedTuple):
    """What one regime asks for books of one asset; requirements as shares of the notional."""

    regime: str
    asset: str
    naked_initial_frac: float  # of a perp alone, at its maximum leverage
    naked_maintenance_frac: float
    hedged_initial_frac: float  # of the perp short against as many tokens
    hedged_maintenance_frac: float
    hedged_over_naked_initial: float | None  # None where the naked leg is asked for nothing
    hedged_over_naked_maintenance: float | None
    pair_asset: str  # the short leg of the pair; empty at a venue of one asset
    pair_over_legs_initial: float | None
    pair_over_legs_maintenance: float | None
    own_capital_frac: float  # with which the hedged book can be opened, over its notional


def hedged_books(
    venue: VenueSpec, regimes: Sequence[MarginRegime], *, notional_usd: float = 1e6
) -> list[HedgedBook]:
    """Return what regimes ask for the hedged book and the pair, for each asset with a perp.

    Parameters
    ----------
    venue : VenueSpec
        Its margin tiers, and the loan-to-value of tokens for regimes that count by it.
    regimes : sequence of MarginRegime
        Rows come in their order, assets in that of the venue.
    notional_usd : float, default 1e6
        Of one leg, USD; tiers and slices make shares depend on it.

    Returns
    -------
    list of HedgedBook
        Fees, resting orders and caps are left out. The pair is long the asset and short the first
        other one.

    Raises
    ------
    InvalidInput
        If the notional is not above 0.

    Examples
    --------
    >>> from stressbook.market.regimes import load_regime
    >>> from stressbook.market.rules.spec import load_preset
    >>> row = hedged_books(load_preset("hyperliquid"), [load_regime("paradex")])[0]
    >>> row.asset, row.naked_initial_frac, row.hedged_initial_frac
    ('BTC', 0.16, 0.01)
    """
    if not 0.0 < notional_usd < float("inf"):
        raise InvalidInput("is out of range", name="notional_usd", value=notional_usd)
    traded = {entry.asset for entry in venue.instruments if entry.kind == "perp"}
    assets = [asset for asset in venue.assets if asset.name in traded]
    found = []
    for regime in regimes:
        for asset in assets:
            other = next((one for one in assets if one.name != asset.name), None)
            found.append(_book(venue, regime, asset, other, notional_usd))
    return found


def _book(
    venue: VenueSpec,
    regime: MarginRegime,
    asset: AssetSpec,
    other: AssetSpec | None,
    notional_usd: float,
) -> HedgedBook:
    token = next((t for t in venue.tokens if t.asset == asset.name), None)
    name = asset.name if token is None else token.name
    ltv = 0.0 if token is None else token.ltv
    spot = Holding(asset.name, notional_usd, token=name, ltv=ltv)
    short = _perp(asset, -notional_usd)
    naked = margin_of(regime, Pocket(0.0, (short,)))
    hedged = margin_of(regime, Pocket(0.0, (short, spot)))
    own_usd = _own_usd(regime, hedged, (short, spot), hedged.initial_worth_usd, notional_usd)
    pair = _pair(regime, asset, other, notional_usd)
    return HedgedBook(
        regime.name,
        asset.name,
        naked.initial_usd / notional_usd,
        naked.maintenance_usd / notional_usd,
        hedged.initial_usd / notional_usd,
        hedged.maintenance_usd / notional_usd,
        _ratio(hedged.initial_usd, naked.initial_usd),
        _ratio(hedged.maintenance_usd, naked.maintenance_usd),
        "" if other is None else other.name,
        *pair,
        own_usd / notional_usd,
    )


def _perp(asset: AssetSpec, value_usd: float) -> Holding:
    tiers = [(tier.lower_usd, tier.max_leverage) for tier in asset.tiers]
    return Holding(
        asset.name,
        value_usd,
        entry_usd=abs(value_usd),
        leverage=float(asset.tiers[0].max_leverage) if asset.tiers else 1.0,
        tiers=tuple(maintenance_table(tiers)),
    )


def _pair(
    regime: MarginRegime, asset: AssetSpec, other: AssetSpec | None, notional_usd: float
) -> tuple[float | None, float | None]:
    """Return initial and maintenance of a long and a short together over both alone."""
    if other is None:
        return None, None
    long, short = _perp(asset, notional_usd), _perp(other, -notional_usd)
    both = margin_of(regime, Pocket(0.0, (long, short)))
    first, second = (margin_of(regime, Pocket(0.0, (leg,))) for leg in (long, short))
    return (
        _ratio(both.initial_usd, first.initial_usd + second.initial_usd),
        _ratio(both.maintenance_usd, first.maintenance_usd + second.maintenance_usd),
    )


def _own_usd(
    regime: MarginRegime,
    hedged: PocketMargin,
    holdings: tuple[Holding, ...],
    worth_usd: float,
    notional_usd: float,
) -> float:
    """Return the least capital of its own with which the hedged book meets initial margin.

    Tokens are paid from it and from USDC that is lent against them: their cost less what they count
    for, and the requirement. Where debts are charged, the charge falls as own capital rises.
    """
    low_usd = notional_usd - worth_usd + hedged.initial_usd
    if worth_usd == 0.0:
        return low_usd  # nothing is lent against tokens that do not count

    def spare_usd(own_usd: float) -> float:
        debt_usd = max(0.0, notional_usd - own_usd)
        needed = margin_of(regime, Pocket(0.0, holdings, debt_usd))
        return own_usd - (notional_usd - worth_usd + needed.initial_usd)

    if spare_usd(low_usd) >= 0.0:
        return low_usd
    high_usd = low_usd + 10.0 * notional_usd  # a rate of 10 on the debt is the most a regime has
    for _ in range(60):
        middle_usd = 0.5 * (low_usd + high_usd)
        if spare_usd(middle_usd) >= 0.0:
            high_usd = middle_usd
        else:
            low_usd = middle_usd
    return high_usd


def _ratio(part_usd: float, whole_usd: float) -> float | None:
    return part_usd / whole_usd if whole_usd > 0.0 else None
