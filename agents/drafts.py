"""An account as the opening book draws it: in USD and lots, before it is booked."""

from __future__ import annotations

from dataclasses import dataclass, field

from stressbook.market.numbers.units import MICRO, NEAREST, PRICE_ONE, mul_div
from stressbook.market.opening.setup import AccountOpening
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.codes import (
    MODE_PORTFOLIO,
    MODE_UNIFIED,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
)


@dataclass
class Listing:
    """What drafts need to know of one asset: its books, its token and its opening price."""

    asset: int
    name: str
    price_e8: int
    perp: int = -1
    spot: int = -1
    token: int = -1
    ltv: float = 0.0
    unit: int = 1
    supply_cap_usd: float = 0.0

    @property
    def price_usd(self) -> float:
        """Opening price in USD."""
        return float(self.price_e8) / 1e8


@dataclass
class Draft:
    """One account of the opening book; equity is what it is worth, whatever it holds.

    Parameters
    ----------
    key, class_id : int
        As in `AccountOpening`.
    equity_micro : int
        Cash, tokens and perps less debt, micro-USDC.
    portfolio : bool
        Whether it is enrolled.
    tokens : dict of int to int
        Token to units.
    perps : dict of int to int
        Instrument to signed lots.
    entries_e8 : dict of int to int
        Entry prices in 1e-8 USD of perps that were not entered at the opening price.
    debt_micro, supply_micro : int
        USDC borrowed from and lent to the reserve.
    lent : dict of int to int
        Token to units of it that are lent, out of `tokens`.
    """

    key: int
    class_id: int
    equity_micro: int
    portfolio: bool = False
    tokens: dict[int, int] = field(default_factory=dict)
    perps: dict[int, int] = field(default_factory=dict)
    entries_e8: dict[int, int] = field(default_factory=dict)
    debt_micro: int = 0
    supply_micro: int = 0
    lent: dict[int, int] = field(default_factory=dict)
    leverage: dict[int, int] = field(default_factory=dict)


def listings(spec: VenueSpec) -> list[Listing]:
    """Return the assets of a venue in order.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> [(one.name, one.spot >= 0) for one in listings(load_preset("hyperliquid"))]
    [('BTC', True), ('ETH', True), ('SOL', False), ('HYPE', True)]
    """
    found = [
        Listing(index, asset.name, round(asset.opening_price_usd * PRICE_ONE))
        for index, asset in enumerate(spec.assets)
    ]
    by_name = {one.name: one for one in found}
    for index, entry in enumerate(spec.instruments):
        setattr(by_name[entry.asset], entry.kind, index)
    for index, token in enumerate(spec.tokens):
        if token.asset:
            one = by_name[token.asset]
            one.token, one.unit, one.ltv = index, token.unit, token.ltv
            one.supply_cap_usd = token.user_supply_cap * one.price_usd
    return found


def token_micro(one: Listing, units: int) -> int:
    """Return the value of token units at the opening price, micro-USDC, to the nearest."""
    return mul_div(units, one.price_e8, 100 * one.unit, NEAREST)


def token_units(spec: VenueSpec, one: Listing, usd: float) -> int:
    """Return the token units that an amount buys, in whole lots of the spot book."""
    lot_size = spec.instruments[one.spot].lot_size
    lots = int(usd / (lot_size * one.price_usd)) if usd > 0.0 else 0
    return lots * (one.unit // round(1.0 / lot_size))


def perp_lots(spec: VenueSpec, one: Listing, usd: float) -> int:
    """Return the lots of a perp that are nearest to a positive or negative amount."""
    lots = usd / (spec.instruments[one.perp].lot_size * one.price_usd)
    return int(lots + 0.5) if lots >= 0.0 else -int(0.5 - lots)


def to_account(
    draft: Draft, spec: VenueSpec, assets: list[Listing], *, latency_us: int, volume_14d_usd: float
) -> AccountOpening:
    """Return the account that a draft stands for.

    Parameters
    ----------
    draft : Draft
        Of the account.
    spec : VenueSpec
        Rules, with opening prices.
    assets : list of Listing
        Of the venue.
    latency_us : int
        Of its messages.
    volume_14d_usd : float
        Weighted volume that sets its fees.

    Returns
    -------
    AccountOpening
        Cash is what is left of the equity after tokens and after what its perps have gained.
    """
    cash = draft.equity_micro
    for one in assets:
        cash -= token_micro(one, draft.tokens.get(one.token, 0))
    perps: dict[int, tuple[int, int]] = {}
    for one in assets:
        lots = draft.perps.get(one.perp, 0)
        if lots:
            entry_e8 = draft.entries_e8.get(one.perp, one.price_e8)
            den = spec.instruments[one.perp].mark_den
            cash -= mul_div(lots, one.price_e8, den, NEAREST) - mul_div(
                lots, entry_e8, den, NEAREST
            )
            perps[one.perp] = (lots, entry_e8)
    return AccountOpening(
        key=draft.key,
        class_id=draft.class_id,
        cash_micro=cash,
        tokens={token: units for token, units in draft.tokens.items() if units},
        perps=perps,
        debt=draft.debt_micro,
        supply=draft.supply_micro,
        lent={token: units for token, units in draft.lent.items() if units},
        regime=REGIME_PORTFOLIO if draft.portfolio else REGIME_CROSS,
        account_mode=MODE_PORTFOLIO if draft.portfolio else MODE_UNIFIED,
        leverage=draft.leverage,
        volume_14d_micro=round(volume_14d_usd * MICRO),
        latency_us=latency_us,
    )


def counted_units(spec: VenueSpec, token: int, units: int) -> int:
    """Return what of an enrolled account's token stands below the platform's supply cap.

    Parameters
    ----------
    spec : VenueSpec
        Rules.
    token : int
        From 1.
    units : int
        That the account has; what is above its own cap counts nowhere.
    """
    one = spec.tokens[token]
    return min(units, round(one.user_supply_cap * one.unit))
