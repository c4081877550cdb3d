"""Profit haircuts: winners pay a deficit in cash, the highest scores first, each up to its profit.

An account counts with all its open perps together. What it pays is added to what its positions
cost, so that no profit pays twice. Source: psyto/openhl, liquidation/src/adl.rs at 9f1b824.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.valuation import value_account
from stressbook.market.numbers.allocation import NOBODY, take_by_score
from stressbook.market.numbers.units import NEAREST, mul_div, round_down
from stressbook.market.resolution.deleveraging_scores import deleveraging_score, price_gain
from stressbook.market.state.codes import CAUSE_DEFICIT, EV_HAIRCUT, PERP
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash
from stressbook.market.state.records import VenueState

__all__ = ["cut_profits"]


@sub_kernel
def cut_profits(v: VenueState, user: int, deficit: int, t_ms: int) -> int:
    """Have winners pay what an account owes.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow`, `entry_cost`, `risk` and `event`, one for each that pays.
    user : int
        A flat account.
    deficit : int
        Micro-USDC, above 0.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        Micro-USDC paid.
    """
    for other in range(v.par[0].n_users):
        v.queue_size[other] = 0 if other == user else _payable_micro(v, other)
        if v.queue_size[other] > 0:
            v.queue_score[other] = _account_score(v, other)
    left = take_by_score(v.queue_size, v.queue_score, deficit, v.queue_taken, v.queue_order)
    for place in range(v.queue_order.shape[0]):
        payer = int(v.queue_order[place])
        if payer == NOBODY:
            break
        paid = int(v.queue_taken[payer])
        move_cash(v, payer, user, paid, CAUSE_DEFICIT)
        _add_to_cost(v, payer, paid)
        log_event(v, t_ms, EV_HAIRCUT, user, -1, 0, 0, paid, CAUSE_DEFICIT, payer)
        value_account(v, payer)
    return deficit - left


@inline_kernel
def _profit_micro(v: VenueState, user: int, inst: int) -> int:
    """Return the unrealised profit of a position at the mark."""
    lots = int(v.perp[user, inst])
    if lots == 0 or v.inst[inst].kind != PERP:
        return 0
    mark_e8 = int(v.price[v.inst[inst].asset].mark_e8)
    value = mul_div(lots, mark_e8, int(v.inst[inst].mark_den), NEAREST)
    return value - int(v.entry_cost[user, inst])


@sub_kernel
def _payable_micro(v: VenueState, user: int) -> int:
    """Return what an account can be asked for: its profit, within its equity."""
    profit = 0
    for inst in range(v.inst.shape[0]):
        profit += _profit_micro(v, user, inst)
    equity = round_down(max(0.0, v.risk[user].equity_usd) * 1e6)
    return max(0, min(profit, equity))


@sub_kernel
def _account_score(v: VenueState, user: int) -> float:
    profit = 0
    entry_usd = notional_usd = 0.0
    for inst in range(v.inst.shape[0]):
        if v.perp[user, inst] != 0:
            profit += _profit_micro(v, user, inst)
            mark_usd = v.price[v.inst[inst].asset].mark_usd
            entry_usd += abs(float(v.entry_cost[user, inst])) / 1e6
            notional_usd += float(abs(int(v.perp[user, inst]))) * v.inst[inst].lot_size * mark_usd
    profit_usd = float(profit) / 1e6
    gain = price_gain(True, entry_usd, entry_usd + profit_usd)
    equity_usd = v.risk[user].equity_usd
    return deleveraging_score(v, gain, profit_usd, entry_usd, notional_usd, equity_usd)


@sub_kernel
def _add_to_cost(v: VenueState, user: int, paid: int) -> None:
    """Add what was paid to the cost of positions in profit, in order, each up to its profit."""
    for inst in range(v.inst.shape[0]):
        part = min(paid, max(0, _profit_micro(v, user, inst)))
        v.entry_cost[user, inst] += part
        paid -= part
