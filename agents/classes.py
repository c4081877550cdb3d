"""The shipped classes of agents: each said once, with all that a population needs of it.

A class is a module with its rule and parameters, a number in
`stressbook.market.numbers.draws`, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from stressbook.agents import (
    arbitrageur,
    basis_trader,
    borrower,
    dip_buyer,
    directional,
    hedger,
    holder,
    lender,
    market_maker,
    order_flow,
)
from stressbook.agents.rule import Rule
from stressbook.market.compiling.arrays import Records

__all__ = ["CLASSES", "AgentClass"]


@dataclass(frozen=True)
class AgentClass:
    """One class of agents.

    Parameters
    ----------
    rule : Rule
        What its accounts do.
    params : type
        Frozen dataclass of what a scenario file may set.
    account_parameters : callable
        `account_parameters(params, keys, **place)`: records of the accounts of one place. It takes
        what it needs of seed, asset, name, inst, kind, price_usd, lot_size, has_spot and tiers.
    stands_in : {"book", "asset", "venue"}
        Its place: accounts are counted for each.
    opens : {"stock", "carry", "bets", "claim", "fill"}
        With USDC and tokens; with a hedged or borrowed book; with a levered position of some age;
        with a claim on the reserve; with what is left to borrow.
    needs_spot : bool, default False
        Whether it stays away from assets without a spot book.
    volume_14d_usd : float, default 0
        Weighted 14-day volume of an account, which sets its fees; USD, assumed.
    """

    rule: Rule
    params: type
    account_parameters: Callable[..., Records]
    stands_in: Literal["book", "asset", "venue"]
    opens: Literal["stock", "carry", "bets", "claim", "fill"]
    needs_spot: bool = False
    volume_14d_usd: float = 0.0

    @property
    def name(self) -> str:
        """As in scenario files: "market_maker"."""
        return self.rule.name


def _class(module: Any, params: str, stands_in: Any, opens: Any, **more: Any) -> AgentClass:
    return AgentClass(
        module.RULE, getattr(module, params), module.account_parameters, stands_in, opens, **more
    )


# By name, in the order of the accounts.
CLASSES: Final[dict[str, AgentClass]] = {
    one.name: one
    for one in (
        _class(market_maker, "MarketMakerParams", "asset", "stock", volume_14d_usd=2.5e9),
        _class(arbitrageur, "ArbitrageurParams", "asset", "stock", volume_14d_usd=2.5e9),
        _class(order_flow, "OrderFlowParams", "book", "stock", volume_14d_usd=30e6),
        _class(dip_buyer, "DipBuyerParams", "book", "stock", volume_14d_usd=30e6),
        _class(directional, "DirectionalParams", "asset", "bets", volume_14d_usd=30e6),
        _class(
            basis_trader,
            "BasisTraderParams",
            "asset",
            "carry",
            needs_spot=True,
            volume_14d_usd=150e6,
        ),
        _class(hedger, "HedgerParams", "asset", "carry", volume_14d_usd=30e6),
        _class(holder, "HolderParams", "asset", "carry", needs_spot=True, volume_14d_usd=6e6),
        _class(lender, "LenderParams", "venue", "claim"),
        _class(borrower, "BorrowerParams", "venue", "fill"),
    )
}
