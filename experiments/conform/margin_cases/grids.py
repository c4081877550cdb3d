"""Scenario grids of one underlying: ranges, weighted tails, charges, floors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.margin_cases.books import (
    UNIT,
    book,
    charge,
    initial_of,
    regime,
    scan,
    weight,
)
from stressbook.market.regimes import MarginRegime, load_regime
from stressbook.market.regimes.pocket import Holding, Pocket, healths_usd, margin_of
from stressbook.market.regimes.rows import ScanRow, Tail

__all__ = ["GRIDS"]

_TOKEN: Final = "base"


def _healths(rules: MarginRegime, pocket: Pocket) -> Quantities:
    initial, maintenance = healths_usd(rules, pocket)
    return {"im": lambda: initial, "mm": lambda: maintenance}


# --- scan ----------------------------------------------------------------------------------------


def _read_scan(given: Given) -> Quantities:
    if given.has("shock_weight"):
        return _weighted_grid(given)
    if given.has("shocks", "perp_pct"):
        return _static_charge_grid(given)
    if given.has("shocks", "deltas"):
        return _floored_grid(given)
    if given.has("price_range"):
        return _roll_charge_grid(given)
    if given.has("moves", "delta_btc"):
        row = scan(given.numbers("moves"), inverse=_is_inverse(given))
        delta = given.number("delta_btc")
        return {"pnl": lambda: [delta * move for move in row.moves()]}
    raise NotSupported("no regime has such a grid")


def _is_inverse(given: Given) -> bool:
    payoff = given.text("payoff") if given.has("payoff") else "linear"
    if payoff not in ("linear", "inverse"):
        raise NotSupported(f"payoff {payoff!r} is neither linear nor inverse")
    return payoff == "inverse"


def _static_charge_grid(given: Given) -> Quantities:
    """Read charges on every leg inside the scaled loss; a weak oracle costs more at the initial
    level."""  # noqa: D205, D209
    if given.number("stable", 1.0) != 1.0:
        raise NotSupported("says how far the stablecoin is off its peg, but not what that costs")
    spot, perp = given.number("spot"), given.number("perp", 0.0)
    base_pct = given.number("base_pct", 0.0)
    factors = given.number("im_factor"), given.number("mm_factor", 1.0)
    perp_pct = given.number("perp_pct")
    rules = regime(
        "derive-pmrm1",
        scans=[scan(given.numbers("shocks"))],
        charges=[charge(initial=factors[0] * perp_pct, maintenance=factors[1] * perp_pct)],
        weights=[_base_weight(base_pct, factors)],
        initial_factor=factors[0],
        maintenance_factor=factors[1],
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("conf_margin", 0.0),
    )
    spot_conf = given.number("spot_conf", 1.0)
    mark = given.first("perp_mark", "mark") if perp != 0.0 else spot
    holdings = [
        Holding(
            UNIT,
            perp * mark,
            oracle_usd=perp * spot,
            confidence=min(spot_conf, given.number("perp_conf", 1.0)),
        ),
        Holding(UNIT, given.number("base", 0.0) * spot, token=_TOKEN, confidence=spot_conf),
    ]
    cash = given.number("cash", 0.0) + given.number("funding", 0.0) - perp * mark
    return _healths(rules, book(cash + _profit(given, perp, mark), *holdings))


def _base_weight(pct: float, factors: tuple[float, float]) -> Any:
    row = weight(_TOKEN, 1.0 - factors[0] * pct, 1.0 - factors[1] * pct, scanned=True)
    return replace(
        row,
        liability_initial=1.0 + factors[0] * pct,
        liability_maintenance=1.0 + factors[1] * pct,
    )


def _profit(given: Given, perp: float, mark: float) -> float:
    """Return the unrealised profit, stated or from the entry."""
    if perp == 0.0:
        return 0.0
    if given.has("upnl"):
        return given.number("upnl")
    return perp * (mark - given.number("entry"))


def _weighted_grid(given: Given) -> Quantities:
    """Read weighted moves, charges on perps and haircuts outside the scaled loss."""
    stable, spot, perp = (given.number(name) for name in ("stable", "spot", "perp"))
    off_peg = max(0.0, given.number("peg_threshold", 0.0) - stable)
    at_maintenance = given.number("mm_perp_pct", 0.0)
    collateral = given.tables("collateral") if given.has("collateral") else []
    names = [f"{_TOKEN}{i}" for i in range(len(collateral))]
    weights, tokens = [], []
    spot_conf = given.number("spot_conf", 1.0)
    for name, one in zip(names, collateral, strict=True):
        haircut = one.number("mm_haircut", 0.0)
        cancels = one.raw("risk_cancelling") is True
        weights.append(
            weight(
                name,
                1.0 - (haircut + one.number("im_haircut", 0.0)),
                1.0 - haircut,
                scanned=cancels,
            )
        )
        tokens.append(
            Holding(
                UNIT if cancels else name,
                one.number("amount") * one.number("price") / stable,
                token=name,
                confidence=min(one.number("conf", 1.0), spot_conf),
            )
        )
    tails = tuple(Tail(move, share) for move, share in given.pairs("shock_weight"))
    rules = regime(
        "derive",
        scans=[ScanRow(("*",), 1.0, False, (), tails)],
        charges=[
            charge(
                initial=at_maintenance + given.number("im_perp_pct", 0.0),
                maintenance=at_maintenance,
            )
        ],
        weights=weights,
        initial_factor=given.number("im_loss_factor") + off_peg * given.number("peg_factor", 0.0),
        maintenance_factor=given.number("mm_loss_factor"),
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("conf_margin", 0.0),
    )
    value = perp * given.first("perp_mark", "mark") if perp != 0.0 else 0.0
    confidence = min(spot_conf, given.number("perp_conf", 1.0))
    held = Holding(UNIT, value, oracle_usd=perp * spot, confidence=confidence)
    made = sum(given.number(name, 0.0) for name in ("cash", "perp_upnl", "perp_funding"))
    return _healths(rules, book(made - value, held, *tokens))


def _floored_grid(given: Given) -> Quantities:
    """Read a grid with tails and a least requirement of the net and the hedged part."""
    spot = given.number("spot")
    holdings = [Holding(UNIT, delta * spot) for delta in given.numbers("deltas")]
    tails = tuple(
        Tail(one.number("shock"), one.number("weight"))
        for one in (given.tables("tails") if given.has("tails") else [])
    )
    scans = [ScanRow(("*",), 1.0, False, tuple(given.numbers("shocks")), tails)]
    floors = [
        charge(floor_net=given.number("unhedged", 0.0), floor_hedged=given.number("hedged", 0.0))
    ]
    flat = [scan([0.0])]
    whole = regime(
        "paradex", scans=scans, charges=floors, maintenance_factor=given.number("mm_factor", 1.0)
    )
    needed = margin_of(whole, book(0.0, *holdings))
    return {
        "scan": lambda: initial_of(regime("paradex", scans=scans), *holdings),
        "min_delta": lambda: initial_of(regime("paradex", scans=flat, charges=floors), *holdings),
        "net_imr": lambda: needed.initial_usd,
        "net_mmr": lambda: needed.maintenance_usd,
    }


def _roll_charge_grid(given: Given) -> Quantities:
    """Read a range with a charge on each expiry; amounts are in the coin that is settled in."""
    deltas = given.table("positions")
    holdings = [Holding(UNIT, deltas.number(name)) for name in deltas.names()]
    rate, factor = given.number("roll_min_move"), given.number("mm_factor", 1.0)
    steps = load_regime("deribit").scans[0].steps
    width = given.number("price_range")
    scans = [ScanRow(("*",), width, _is_inverse(given), steps)]
    roll = charge(initial=rate, maintenance=factor * rate)
    fixed = given.number("mmp_margin", 0.0) + given.number("open_orders_margin", 0.0)
    whole = regime(
        "deribit",
        scans=scans,
        charges=[roll],
        maintenance_factor=factor,
        constant_initial_usd=fixed,
    )
    flat = [scan([0.0])]
    needed = margin_of(whole, book(0.0, *holdings))
    matrix = regime("deribit", scans=scans, charges=[roll])
    return {
        "worst_case": lambda: initial_of(regime("deribit", scans=scans), *holdings),
        "roll": lambda: initial_of(regime("deribit", scans=flat, charges=[roll]), *holdings),
        "risk_matrix_margin": lambda: initial_of(matrix, *holdings),
        "initial_margin": lambda: needed.initial_usd,
        "maintenance_margin": lambda: needed.maintenance_usd,
    }


# --- rates on gross notional ---------------------------------------------------------------------


def _read_standard(given: Given) -> Quantities:
    """Read rates on the mark, and what weak oracles and pegs cost on the spot value."""
    off_peg = max(0.0, given.number("depeg_threshold", 0.0) - given.number("stable", 1.0))
    extra = off_peg * given.number("depeg_factor", 0.0)
    spots = {name: given.number(name) for name in ("spot", "spot_eth") if given.has(name)}
    spot = next(iter(spots.values())) if spots else None
    perp = given.number("perp", 0.0)
    bases = [
        (given.number(name), given.number(price))
        for name, price in (("base", "spot"), ("base_eth", "spot_eth"), ("base_btc", "spot_btc"))
        if given.number(name, 0.0) != 0.0
    ]
    if any(amount < 0.0 for amount, _ in bases):
        raise NotSupported("no rule weighs a base that is owed")
    weights = []
    if bases:
        factor = given.number("base_factor")
        weights = [
            weight(f"{_TOKEN}{i}", factor - extra, factor, scanned=False) for i in range(len(bases))
        ]
    spot_conf = given.number("spot_conf", 1.0)
    holdings = []
    cash = given.number("cash", 0.0) + given.number("unsettled_funding", 0.0)
    if perp != 0.0:
        mark = given.first("mark", "perp_mark")
        if spot is None:
            raise NotSupported("lacks `spot`")
        holdings.append(_standard_perp(given, perp * mark, perp * spot, spot_conf))
        cash += _profit(given, perp, mark) - perp * mark
    holdings += [
        Holding(f"{_TOKEN}{i}", amount * price, token=f"{_TOKEN}{i}", confidence=spot_conf)
        for i, (amount, price) in enumerate(bases)
    ]
    rules = regime(
        "derive-standard",
        uses_tiers=True,
        leverage_counts=True,
        rates_at_oracle=True,
        charges=[charge(initial=extra)],
        weights=weights,
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("oracle_conf_factor", 0.0),
    )
    return _healths(rules, book(cash, *holdings))


def _standard_perp(given: Given, value: float, spot_value: float, spot_conf: float) -> Holding:
    return Holding(
        UNIT,
        value,
        oracle_usd=spot_value,
        leverage=1.0 / given.number("im_req"),
        confidence=min(spot_conf, given.number("perp_conf", 1.0)),
        tiers=((0.0, given.number("mm_req"), 0.0),),
    )


GRIDS: Final = {
    "scan": _read_scan,
    "standard_margin": _read_standard,
}
