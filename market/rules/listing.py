"""What is listed on a venue: underlyings, tokens, books and fee tiers."""

from dataclasses import dataclass, replace
from typing import Final

from stressbook.market.declared import rule
from stressbook.market.rules.ticks import opening_tick_e8
from stressbook.market.state.codes import (
    ORACLE_OUTSIDE,
    ORACLE_VENUE_SPOT,
    ORACLE_WEIGHTED,
    PERP,
    SPOT,
)

__all__ = [
    "KINDS",
    "ORACLE_MODES",
    "AssetSpec",
    "FeeTier",
    "InstrumentSpec",
    "MarginTier",
    "OrderSizeTier",
    "TokenSpec",
]

KINDS: Final = {"spot": SPOT, "perp": PERP}
ORACLE_MODES: Final = {
    "outside": ORACLE_OUTSIDE,
    "venue_spot": ORACLE_VENUE_SPOT,
    "weighted": ORACLE_WEIGHTED,
}


@dataclass(frozen=True)
class MarginTier:
    """Maximum leverage above a notional; maintenance is half of the initial requirement."""

    lower_usd: float = rule("USD", "notional from which the tier holds", low=0.0)
    max_leverage: int = rule("1", "largest notional / initial margin", low=1, high=1000)


@dataclass(frozen=True)
class AssetSpec:
    """An underlying: its opening price, its oracle and the margin tiers of its perp."""

    name: str
    oracle_mode: str = rule("name", "outside, venue_spot or weighted: what the oracle follows")
    oracle_venue_weight: float = rule(
        "1", "the venue's own spot in a weighted oracle", low=0.0, high=1.0
    )
    opening_price_usd: float = rule("USD", "price at the start of a run", low=1e-6, high=1e9)
    tiers: tuple[MarginTier, ...] = ()


@dataclass(frozen=True)
class TokenSpec:
    """What an account can hold and a reserve can lend; token 0 is USDC."""

    name: str
    asset: str
    decimals: int = rule("1", "decimals of a unit", low=0, high=12)
    borrowable: bool = rule("switch", "the reserve lends it")
    ltv: float = rule("1", "loan-to-value; 0 is no collateral", low=0.0, high=1.0)
    user_supply_cap: float = rule("tokens", "collateral or supply of one user", low=0.0)
    user_borrow_cap: float = rule("tokens", "debt of one user", low=0.0)
    platform_supply_cap: float = rule("tokens", "collateral or supply of all users", low=0.0)
    platform_borrow_cap: float = rule("tokens", "debt of all users", low=0.0)
    slice_width_usd: float = rule("USD", "size scale of the takeover discount", low=0.0)
    rate_base: float = rule("1/year", "borrow rate without debts", low=0.0, high=1.0)
    rate_low_slope: float = rule("1/year", "its rise up to the kink", low=0.0, high=1000.0)
    rate_slope: float = rule("1/year", "its rise beyond the kink", low=0.0, high=1000.0)
    kink_utilisation: float = rule("1", "utilisation at the kink", low=0.0, high=1.0)

    @property
    def unit(self) -> int:
        """Units of one token."""
        return int(10**self.decimals)


@dataclass(frozen=True)
class InstrumentSpec:
    """A book: the perp or the spot market of an asset."""

    name: str
    kind: str
    asset: str
    sz_decimals: int = rule("1", "decimals of a size; a lot is the last of them", low=0, high=8)
    impact_notional_usd: float = rule("USD", "size of the impact prices of funding", low=1.0)
    two_sided_max_spread_frac: float = rule("1", "wider is not two-sided", low=0.0, high=1.0)
    open_interest_cap_usd: float = rule("USD", "open interest of a perp; 0 is any", low=0.0)
    tick_e8: int = 0  # fixed by `VenueSpec.with_opening_prices`

    @property
    def lot_size(self) -> float:
        """Size of one lot in tokens."""
        return 1.0 / float(10**self.sz_decimals)

    @property
    def mark_den(self) -> int:
        """Divisor that makes micro-USDC of lots times a price in 1e-8 USD."""
        return int(100 * 10**self.sz_decimals)

    @property
    def micro_per_lot_tick(self) -> int:
        """Micro-USDC that one lot moves by one tick."""
        return self.tick_e8 // self.mark_den

    def ticked(self, price_usd: float) -> "InstrumentSpec":
        """Return it with the tick of an opening price, unchanged if that fits no ladder."""
        if self.kind not in KINDS or not 0.0 < price_usd < 1e9:
            return self
        kind = KINDS[self.kind]
        tick_e8 = opening_tick_e8(price_usd, sz_decimals=self.sz_decimals, kind=kind)
        return replace(self, tick_e8=tick_e8)


@dataclass(frozen=True)
class FeeTier:
    """Fees above a 14-day weighted volume."""

    volume_from_usd: float = rule("USD", "volume above which the tier holds", low=0.0)
    perp_taker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    perp_maker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    spot_taker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    spot_maker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)


@dataclass(frozen=True)
class OrderSizeTier:
    """Largest market order in perps whose maximum leverage is at least this."""

    leverage_from: int = rule("1", "maximum leverage from which the tier holds", low=1, high=1000)
    market_order_max_usd: float = rule("USD", "largest market order; 0 is any", low=0.0)
