"""Who borrows when a cap is tried: those of the scenario, or borrowers who fill the cap.

*Emergent*: the population borrows what it wants, and a cap above that binds nowhere. *Filled*:
borrowers, their collateral and the USDC that is lent to them are added at unchanged load and
utilisation until the platform owes what it may; books and open interest stay. The second is what
a cap permits, and what is certified.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from stressbook.experiments.caps.episodes import Changes
from stressbook.market.rules.spec import VenueSpec

__all__ = ["FILL", "PLATFORM_CAP", "Demand", "demand_changes"]

Demand = Literal["filled", "emergent"]
PLATFORM_CAP: Final = "venue.tokens.USDC.platform_borrow_cap"
FILL: Final = "agents.borrower.fill_to_usd"
_LEAST_UTILISATION: Final = 0.2  # of the emergent population, at low loads
_LEAST_LOAD: Final = 0.2  # mean over accounts of 1 / load, inverted


def demand_changes(demand: Demand, lever: str, value: float, spec: VenueSpec) -> Changes:
    """Return what a value of a lever changes under a demand mode.

    Parameters
    ----------
    demand : {"filled", "emergent"}
        Who borrows.
    lever : str
        Place that is decided.
    value : float
        Of the lever.
    spec : VenueSpec
        Rules that it changes.

    Returns
    -------
    Changes
        Platform supply caps are lifted as far as the fill may need, but for the lever itself.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> demand_changes("emergent", PLATFORM_CAP, 4e8, load_preset("hyperliquid")).settings
    {'venue.tokens.USDC.platform_borrow_cap': 400000000.0}
    """
    settings: dict[str, Any] = {lever: value}
    if demand == "emergent":
        return Changes(settings)
    filled_usd = value if lever == PLATFORM_CAP else spec.tokens[0].platform_borrow_cap
    settings[FILL] = filled_usd
    return Changes(lifted_caps(filled_usd, spec) | settings)


def lifted_caps(filled_usd: float, spec: VenueSpec) -> dict[str, float]:
    """Return the platform supply caps that a fill may need, by place: none is lowered."""
    prices = {asset.name: asset.opening_price_usd for asset in spec.assets}
    found = {}
    for token in spec.tokens:
        if not token.asset:
            needed = filled_usd / _LEAST_UTILISATION
        elif token.ltv > 0.0:
            needed = token.platform_supply_cap
            needed += filled_usd / (_LEAST_LOAD * token.ltv * prices[token.asset])
        else:
            continue
        if needed > token.platform_supply_cap:
            found[f"venue.tokens.{token.name}.platform_supply_cap"] = float(round(needed))
    return found
