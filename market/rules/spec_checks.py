"""What can be wrong with a venue as a whole: names, tiers, tokens, ticks and lots, fees."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Final

from stressbook.errors import Problem
from stressbook.market.declared import range_problems
from stressbook.market.regimes.spec_checks import choice_problems, row_problems
from stressbook.market.rules.listing import KINDS, ORACLE_MODES, InstrumentSpec, TokenSpec
from stressbook.market.rules.ticks import MIN_ROOM_UP, ladder_room
from stressbook.market.state.records import MAX_TIERS

if TYPE_CHECKING:
    from stressbook.market.rules.spec import VenueSpec

__all__ = ["SECTIONS", "TABLES", "spec_problems"]

SECTIONS: Final = (
    "clock",
    "mark",
    "funding",
    "margin",
    "lending",
    "liquidation",
    "orders",
    "latency",
    "regime",
)
TABLES: Final = ("assets", "tokens", "instruments", "fee_tiers", "order_sizes")


def spec_problems(spec: VenueSpec) -> Iterator[Problem]:
    """Yield everything that is wrong with a venue."""
    for section in SECTIONS:
        yield from range_problems(getattr(spec, section), place=section)
    for table in TABLES:
        for index, entry in enumerate(getattr(spec, table)):
            label = getattr(entry, "name", index)
            yield from range_problems(entry, place=f"{table}.{label}")
    yield from choice_problems(spec.enrolled, place="regime")
    yield from row_problems(spec.enrolled)
    yield from _name_problems(spec)
    yield from _asset_problems(spec)
    yield from _token_problems(spec)
    yield from _instrument_problems(spec)
    yield from _fee_problems(spec)
    yield from _order_size_problems(spec)


def _name_problems(spec: VenueSpec) -> Iterator[Problem]:
    for table in TABLES[:3]:
        names = [entry.name for entry in getattr(spec, table)]
        if not names:
            yield Problem("is empty", table, allowed="1 or more entries")
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem("is there twice", f"{table}.name", name, "each name once")


def _asset_problems(spec: VenueSpec) -> Iterator[Problem]:
    for asset in spec.assets:
        place = f"assets.{asset.name}"
        if asset.oracle_mode not in ORACLE_MODES:
            yield Problem(
                "is unknown", f"{place}.oracle_mode", asset.oracle_mode, ", ".join(ORACLE_MODES)
            )
        for index, tier in enumerate(asset.tiers):
            yield from range_problems(tier, place=f"{place}.tiers[{index}]")
        lowers = [tier.lower_usd for tier in asset.tiers]
        if len(lowers) > MAX_TIERS:
            yield Problem("are too many", f"{place}.tiers", len(lowers), f"{MAX_TIERS} or fewer")
        if lowers and (lowers[0] != 0.0 or sorted(set(lowers)) != lowers):
            yield Problem(
                "do not rise from 0", f"{place}.tiers.lower_usd", lowers, "0, then rising"
            )
        has_perp = any(entry.asset == asset.name for entry in spec.instruments if _is_perp(entry))
        if has_perp and not asset.tiers:
            yield Problem("is empty", f"{place}.tiers", allowed="1 or more tiers for a perp")


def _token_problems(spec: VenueSpec) -> Iterator[Problem]:
    assets = [asset.name for asset in spec.assets]
    for index, token in enumerate(spec.tokens):
        place = f"tokens.{token.name}"
        if index > 0 and token.asset not in assets:
            yield Problem("is unknown", f"{place}.asset", token.asset, ", ".join(assets))
        if index == 0 and (token.name != "USDC" or token.asset or token.decimals != 6):
            yield Problem("is not USDC", place, token.asset, "token 0: USDC, 6 decimals, no asset")
        yield from _lending_problems(spec, index, token, place)
        if index == 0 and token.ltv != 0.0:
            yield Problem("counts USDC twice", f"{place}.ltv", token.ltv, "0.0")
        for cap in ("user_supply", "user_borrow", "platform_supply", "platform_borrow"):
            units = getattr(token, f"{cap}_cap") * token.unit
            if isfinite(units) and units >= 2**62:
                yield Problem("overflows", f"{place}.{cap}_cap", units, "below 2**62 units")
    used = [token.asset for token in spec.tokens if token.asset]
    for name in sorted({name for name in used if used.count(name) > 1}):
        yield Problem("has two tokens", "tokens.asset", name, "one token an asset")


def _lending_problems(
    spec: VenueSpec, index: int, token: TokenSpec, place: str
) -> Iterator[Problem]:
    if index == 0:
        if not token.borrowable:
            yield Problem("is not supported", f"{place}.borrowable", False, "USDC is always lent")
    elif token.borrowable:
        spots = [entry.asset for entry in spec.instruments if entry.kind == "spot"]
        if token.ltv <= 0.0:
            allowed = "above 0 for a token that is lent: it sizes what must stand behind a debt"
            yield Problem("is too low", f"{place}.ltv", token.ltv, allowed)
        if token.asset not in spots:
            allowed = "a token with a spot book, where it is bought back"
            yield Problem("is not supported", f"{place}.borrowable", True, allowed)


def _instrument_problems(spec: VenueSpec) -> Iterator[Problem]:
    prices = {asset.name: asset.opening_price_usd for asset in spec.assets}
    token_of = {token.asset: token for token in spec.tokens[1:]}
    pairs = [(entry.kind, entry.asset) for entry in spec.instruments]
    for entry in spec.instruments:
        place = f"instruments.{entry.name}"
        if entry.kind not in KINDS:
            yield Problem("is unknown", f"{place}.kind", entry.kind, ", ".join(KINDS))
        if pairs.count((entry.kind, entry.asset)) > 1:
            yield Problem("is there twice", f"{place}.asset", entry.asset, "one book a kind")
        if entry.asset not in prices:
            yield Problem("is unknown", f"{place}.asset", entry.asset, ", ".join(prices))
            continue
        if entry.kind == "spot" and entry.open_interest_cap_usd != 0.0:
            found = entry.open_interest_cap_usd
            yield Problem("is no perp", f"{place}.open_interest_cap_usd", found, "0.0 for a token")
        if entry.kind == "spot":
            yield from _lot_problems(entry, token_of.get(entry.asset), place)
        yield from _tick_problems(entry, prices[entry.asset], place)


def _lot_problems(entry: InstrumentSpec, token: TokenSpec | None, place: str) -> Iterator[Problem]:
    if token is None:
        yield Problem("has no token", f"{place}.asset", entry.asset, "an asset with a token")
    elif token.decimals < entry.sz_decimals:
        yield Problem(
            "is finer than a token unit",
            f"{place}.sz_decimals",
            entry.sz_decimals,
            f"{token.decimals} or fewer, the decimals of {token.name}",
        )


def _tick_problems(entry: InstrumentSpec, price_usd: float, place: str) -> Iterator[Problem]:
    if entry.tick_e8 <= 0 or entry.tick_e8 % entry.mark_den:
        yield Problem(
            "makes no whole number of micro-USDC a lot",
            f"{place}.tick_e8",
            entry.tick_e8,
            f"multiples of {entry.mark_den}, in 1e-8 USD",
            "call with_opening_prices, which sets it",
        )
    elif isfinite(price_usd) and price_usd > 0.0:
        room = ladder_room(entry.name, price_usd=price_usd, tick_e8=entry.tick_e8)
        if room.up_factor < MIN_ROOM_UP or room.opening_tick < 2:
            yield Problem(
                "leaves no room on the ladder",
                f"{place}.tick_e8",
                entry.tick_e8,
                f"2 ticks or more at the opening, and {MIN_ROOM_UP} times up; it has "
                f"{room.opening_tick} and {room.up_factor:.6g}",
            )


def _fee_problems(spec: VenueSpec) -> Iterator[Problem]:
    volumes = [tier.volume_from_usd for tier in spec.fee_tiers]
    if not volumes or volumes[0] != 0.0 or sorted(set(volumes)) != volumes:
        yield Problem("do not rise from 0", "fee_tiers.volume_from_usd", volumes, "0, then rising")
    median_ms, p99_ms = spec.latency.median_ms, spec.latency.p99_ms
    if p99_ms < median_ms:
        yield Problem("is below the median", "latency.p99_ms", p99_ms, f"{median_ms} or more ms")


def _order_size_problems(spec: VenueSpec) -> Iterator[Problem]:
    bounds = [tier.leverage_from for tier in spec.order_sizes]
    if not bounds or bounds[0] != 1 or sorted(set(bounds)) != bounds:
        place = "order_sizes.leverage_from"
        yield Problem("do not rise from 1", place, bounds, "1, then rising")


def _is_perp(entry: InstrumentSpec) -> bool:
    return entry.kind == "perp"
