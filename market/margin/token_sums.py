"""Tokens of a row, and bids for them: worth, collateral, credit, debts, and their legs laid out."""

from typing import NamedTuple

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.lending.token_bids import bid_overlap_usd
from stressbook.market.lending.token_debts import debt_need_usd
from stressbook.market.margin.perp_sums import PerpSums
from stressbook.market.margin.protection import capped_credit_usd
from stressbook.market.state.codes import BUY, REGIME_PORTFOLIO, SELL
from stressbook.market.state.records import VenueState

__all__ = ["TokenSums", "token_sums"]


class TokenSums(NamedTuple):
    """Sums over the tokens of a row, USD, and how many legs of `v.pocket` are taken with them."""

    spot_bid_usd: float  # but for what is bound behind token debts already
    value_usd: float  # every token, at the oracle
    collateral_usd: float
    capacity_usd: float
    credit_usd: float
    bid_haircut_usd: float
    debt_usd: float
    bound_usd: float
    n_legs: int


@inline_kernel
def token_sums(v: VenueState, row: int, perps: PerpSums) -> TokenSums:
    """Return what a row's tokens are worth, lend and owe, and lay out those that are legs.

    Parameters
    ----------
    v : VenueState
        Changed in the scratch of `pocket`.
    row : int
        Main row of a user, or a pocket.
    perps : PerpSums
        Of the row: its legs go on from there.

    Returns
    -------
    TokenSums
        At oracle and borrow oracle.
    """
    user = int(v.row[row].user)
    r = int(v.row[row].regime)
    regime = v.regime[r]
    scans = regime.n_moves > 0
    rests = v.user[user].n_orders > 0
    n_legs = perps.n_legs
    spot_bid = perps.spot_bid_usd
    haircut = 0.0
    tokens = collateral = capacity = credit = token_debt = token_need = 0.0
    caps_count = v.par[0].user_cap_in_credit == 1
    gives_credit = r == REGIME_PORTFOLIO
    for k in range(1, v.token_spec.shape[0]):
        # Borrowed tokens that lie idle are no holding: what counts is what is owned.
        units = int(v.token[row, k]) - int(v.debt[row, k])
        if units == 0 and not rests:
            continue
        token = v.token_spec[k]
        price = v.price[token.asset]
        held = worth = 0.0  # what of it is a leg, at the borrow oracle and at the oracle
        if units < 0:
            held = float(units) / float(token.unit) * price.borrow_oracle_usd
            worth = float(units) / float(token.unit) * price.oracle_usd
            token_debt -= held
            if not scans:
                token_need += debt_need_usd(-held, token.ltv)
        elif units > 0:
            owned = float(units) / float(token.unit) * price.oracle_usd
            tokens += owned
            if gives_credit and token.ltv > 0.0:
                collateral += owned
                held = float(units) / float(token.unit) * price.borrow_oracle_usd
                worth = owned
                if caps_count and units > token.user_supply_cap:
                    units = int(token.user_supply_cap)
                lendable = float(units) / float(token.unit) * price.borrow_oracle_usd
                capacity += lendable * token.ltv * v.reserve[k].counted_share
                credit += lendable * token.credit_weight
        if regime.tokens_count == 1:
            bid = ask = 0
            spot = int(v.asset[token.asset].spot_inst)
            if rests and spot >= 0:
                bid = int(v.open_notional[user, spot, BUY])
                ask = int(v.open_notional[user, spot, SELL])
                if scans:
                    haircut += float(bid) / 1e6 * (1.0 - token.ltv)
            if held != 0.0 or bid + ask != 0:
                leg = v.pocket[n_legs]
                leg.leg = v.inst.shape[0] + k
                leg.value_usd, leg.oracle_usd = held, worth
                leg.buy_usd, leg.sell_usd = float(bid) / 1e6, float(ask) / 1e6
                leg.confidence = v.dial[token.asset].oracle_confidence
                n_legs += 1
    # Collateral stands behind debts of tokens first; the rest of their need is bound in cash.
    token_bound = max(0.0, token_need - capacity)
    if token_bound > 0.0:
        spot_bid -= min(token_bound, bid_overlap_usd(v, row))
    capacity = max(0.0, capacity - token_need)
    credit = capped_credit_usd(v, row, credit, token_debt)
    if credit <= 0.0 and token_debt <= 0.0 and regime.falls_back == 1:
        collateral = 0.0
    return TokenSums(
        spot_bid,
        tokens,
        collateral,
        capacity,
        credit,
        haircut,
        token_debt,
        token_bound,
        n_legs,
    )
