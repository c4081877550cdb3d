"""The opening state: arrays allocated, rules written in, accounts booked from outside.

Account rows come first, the backstop's as the last of them; then `outside`, `treasury`,
`rounding` and one `pool` per token. Everything that an account has at the opening was moved from
`outside` (loans and lent cash: between account and pool) under the cause `opening`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.market.compiling.arrays import Records, zero_pages
from stressbook.market.lending.reserve import (
    borrow_rate,
    refresh_collateral,
    supply_rate,
    utilisation,
)
from stressbook.market.numbers.draws import CLASS_NUMBERS, account_key, key_from_seed
from stressbook.market.numbers.units import FLOOR, MICRO, NEAREST, PRICE_ONE, mul_div
from stressbook.market.opening.opening_checks import account_problems, size_problems
from stressbook.market.orders.client_ids import table_size
from stressbook.market.prices.dials import DIAL, reset_dials
from stressbook.market.rules.rule_arrays import rule_arrays
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state import records as state
from stressbook.market.state.codes import (
    CAUSE_OPENING,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    N_CAUSES,
    N_REPLIES,
    PERP,
    REGIME_CROSS,
)
from stressbook.market.state.records import N_TICKS, Capacity, VenueState

__all__ = ["AccountOpening", "SharedWorld", "make_state"]


@dataclass(frozen=True)
class AccountOpening:
    """What one account has at the opening.

    Parameters
    ----------
    key : int
        Account key of the draws: class number x 2**20 + ordinal; each once.
    class_id : int
        Number of its class.
    cash_micro : int
        USDC that it brings, micro-USDC. Raw cash is that less what its perps cost at entry, plus
        what it has borrowed, less what it has supplied: with perps entered at the mark, equity is
        `cash_micro` plus its tokens, whatever it has borrowed or lent.
    tokens : mapping of int to int
        Token (from 1) to units.
    perps : mapping of int to (int, int)
        Instrument to signed lots and entry price in 1e-8 USD.
    debt, supply : int
        USDC borrowed from and lent to the reserve, micro-USDC.
    borrowed, lent : mapping of int to int
        Token (from 1) to units borrowed from and lent to its reserve; what is lent is out of
        `tokens`, what is borrowed comes on top of them: negative tokens are borrowed and sold.
    regime, account_mode : int
        `codes.REGIME_*`, `codes.MODE_*`.
    leverage : mapping of int to int
        Instrument to leverage; the venue's maximum where not given.
    owner : int
        Number of the owner, who may have many accounts; the account itself if -1.
    volume_14d_micro : int
        14-day weighted volume, micro-USDC.
    latency_us : int
        Of its messages, microseconds; the venue's median if -1.

    Examples
    --------
    >>> AccountOpening(key=1 << 20, cash_micro=1_000 * MICRO, perps={0: (-3, 78_803 * 10**8)}).debt
    0
    """

    key: int
    class_id: int = 0
    cash_micro: int = 0
    tokens: Mapping[int, int] = field(default_factory=dict)
    perps: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    debt: int = 0
    supply: int = 0
    borrowed: Mapping[int, int] = field(default_factory=dict)
    lent: Mapping[int, int] = field(default_factory=dict)
    regime: int = REGIME_CROSS
    account_mode: int = MODE_STANDARD
    leverage: Mapping[int, int] = field(default_factory=dict)
    owner: int = -1
    volume_14d_micro: int = 0
    latency_us: int = -1


class SharedWorld(Protocol):
    """What a venue shares with the world around it."""

    @property
    def outside(self) -> Records:
        """Outside prices, shape (n_assets,), OUTSIDE."""

    @property
    def dial(self) -> Records:
        """Dials of stresses, shape (n_assets,), DIAL."""


def make_state(
    spec: VenueSpec,
    accounts: Sequence[AccountOpening],
    *,
    seed: int,
    dt_ms: int = 1000,
    capacity: Capacity | None = None,
    backstop: AccountOpening | None = None,
    world: SharedWorld | None = None,
) -> VenueState:
    """Return the state of a venue at its opening.

    Parameters
    ----------
    spec : VenueSpec
        Rules, with opening prices: oracle and mark start there.
    accounts : sequence of AccountOpening
        User u is `accounts[u]`; its row is u.
    seed : int
        Of every draw.
    dt_ms : int, default 1000
        Length of a step, ms.
    capacity : Capacity, optional
        Sizes of orders and logs.
    backstop : AccountOpening, optional
        The last user; by default it brings the capital of the rules.
    world : SharedWorld, optional
        Outside prices and dials of this world are shared, not copied; without one they are the
        state's own, at the opening prices and neutral.

    Returns
    -------
    VenueState
        Ladders are zero pages that cost nothing until touched. No reference to `accounts` is kept.

    Raises
    ------
    InvalidInput
        With every problem of the accounts at once: keys that clash, perps whose lots do not sum
        to zero, debts beyond what is supplied, amounts beyond their bounds.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> trader = AccountOpening(key=1 << 20, cash_micro=10_000 * MICRO)
    >>> v = make_state(load_preset("hyperliquid"), [trader], seed=7)
    >>> int(v.cash.sum()), int(v.cash[0]), int(v.par[0].backstop_user)
    (0, 10000000000, 1)
    """
    last = _default_backstop(spec) if backstop is None else backstop
    sizes = Capacity() if capacity is None else capacity
    problems = [*size_problems(sizes, dt_ms), *account_problems(spec, [*accounts, last])]
    if problems:
        raise InvalidInput.from_problems(problems)
    pockets = _pockets(spec, accounts)
    users = [*accounts, *(_pocket_opening(accounts[user]) for user, _ in pockets), last]
    v = _allocated(spec, len(users), sizes)
    if world is None:
        _open_outside(v, spec)
    else:
        v = v._replace(outside=world.outside, dial=world.dial)
    _write_sizes(v, seed=seed, dt_ms=dt_ms)
    _open_prices(v, spec)
    for user, account in enumerate(users):
        _write_user(v, user, account)
        _book_opening(v, user, account)
    v.par[0].n_pockets = len(pockets)
    rows: dict[int, list[tuple[int, int]]] = {}
    for row, (user, inst) in enumerate(pockets, start=len(accounts)):
        rows.setdefault(user, []).append((row, inst))
    for user, mine in rows.items():
        _open_pockets(v, user, mine)
    v.open_interest[:] = v.perp.clip(min=0).sum(axis=0)
    _open_reserves(v)
    return v


def _pockets(spec: VenueSpec, accounts: Sequence[AccountOpening]) -> list[tuple[int, int]]:
    """Return user and perp of each pocket: none but where positions are margined one by one."""
    if spec.ordinary.rules.pockets != "position":
        return []
    perps = [inst for inst, entry in enumerate(spec.instruments) if entry.kind == "perp"]
    return [
        (user, inst)
        for user, account in enumerate(accounts)
        if account.regime == REGIME_CROSS
        for inst in perps
    ]


def _pocket_opening(account: AccountOpening) -> AccountOpening:
    """Return the empty pocket of an account: its key, class, fees and leverage."""
    return replace(account, cash_micro=0, tokens={}, perps={}, debt=0, supply=0)


def _open_pockets(v: VenueState, user: int, pockets: Sequence[tuple[int, int]]) -> None:
    """Hand the positions of an account over to its pockets, each with its share of the cash.

    A pocket opens with initial margin, or with its part by notional of half of what the account
    has in USDC if that is more (assumed).
    """
    values = {inst: _value_micro(v, user, inst) for _, inst in pockets}
    gross = sum(abs(value) for value in values.values())
    equity = max(int(v.cash[user]) + sum(values.values()), 0)
    for row, inst in pockets:
        me, value = v.user[row], values[inst]
        me.parent, me.pocket_inst, me.owner = user, inst, v.user[user].owner
        v.row_of[user, inst] = row
        if value == 0:
            continue
        initial = -(-abs(value) // int(v.leverage[user, inst]))
        share = mul_div(equity, abs(value), 2 * gross, FLOOR)
        most = mul_div(equity, abs(value), gross, FLOOR)
        margin = min(max(initial, share), most)
        lots, cost = int(v.perp[user, inst]), int(v.entry_cost[user, inst])
        _move(v, user, row, column=1 + v.token.shape[1] + inst, amount=lots)
        _move(v, user, row, column=0, amount=margin - value)
        v.entry_cost[row, inst], v.entry_cost[user, inst] = cost, 0


def _value_micro(v: VenueState, user: int, inst: int) -> int:
    """Return the value of a position at the opening mark."""
    mark_e8 = int(v.price[v.inst[inst].asset].mark_e8)
    return mul_div(int(v.perp[user, inst]), mark_e8, int(v.inst[inst].mark_den), NEAREST)


def _default_backstop(spec: VenueSpec) -> AccountOpening:
    capital = round(spec.liquidation.backstop_capital_usd * MICRO)
    class_id = CLASS_NUMBERS["backstop"]
    return AccountOpening(key=account_key(class_id, 0), class_id=class_id, cash_micro=capital)


def _allocated(spec: VenueSpec, n_users: int, capacity: Capacity) -> VenueState:
    """Allocate every array of the state, all zero but the rules."""
    n_insts, n_tokens, n_assets = len(spec.instruments), len(spec.tokens), len(spec.assets)
    n_rows = n_users + 3 + n_tokens
    i8, u8, f8 = np.int64, np.uint64, np.float64
    layout: dict[str, tuple[tuple[int, ...], Any]] = {
        "cash": ((n_rows,), i8),
        "token": ((n_rows, n_tokens), i8),
        "perp": ((n_rows, n_insts), i8),
        "open_interest": ((n_insts,), i8),
        "entry_cost": ((n_rows, n_insts), i8),
        "supply": ((n_rows, n_tokens), i8),
        "debt": ((n_rows, n_tokens), i8),
        "flow": ((n_rows, 1 + n_tokens + n_insts, N_CAUSES), i8),
        "user": ((n_users,), state.USER),
        "row": ((n_rows,), state.ROW),
        "leverage": ((n_users, n_insts), i8),
        "row_of": ((n_users, n_insts), i8),
        "order": ((capacity.orders,), state.ORDER),
        "level": ((n_insts, N_TICKS), state.LEVEL),
        "bits0": ((n_insts, 2, N_TICKS // 64), u8),
        "bits1": ((n_insts, 2, N_TICKS // 64**2), u8),
        "bits2": ((n_insts, 2), u8),
        "best": ((n_insts, 2), i8),
        "own_head": ((n_users, n_insts), i8),
        "client_slot": ((table_size(capacity.orders),), i8),
        "open_lots": ((n_users, n_insts, 2), i8),
        "open_notional": ((n_users, n_insts, 2), i8),
        "book": ((n_insts,), state.BOOK),
        "trigger": ((capacity.triggers,), state.TRIGGER),
        "n_triggers": ((n_users,), i8),
        "price": ((n_assets,), state.PRICE),
        "oracle_history": ((n_assets, state.N_ORACLE_HISTORY), f8),
        "outside": ((n_assets,), state.OUTSIDE),
        "dial": ((n_assets,), DIAL),
        "reserve": ((n_tokens,), state.RESERVE),
        "outbox": ((capacity.messages,), state.MESSAGE),
        "pending": ((capacity.messages,), state.MESSAGE),
        "merged": ((capacity.messages,), state.MESSAGE),
        "order_key": ((capacity.messages,), i8),
        "order_index": ((2, capacity.messages), i8),
        "digit_count": ((state.N_SORT_DIGITS,), i8),
        "reply": ((capacity.messages,), state.REPLY),
        "reply_count": ((N_REPLIES,), i8),
        "fill": ((capacity.fills,), state.FILL),
        "event": ((capacity.events,), state.EVENT),
        "risk": ((n_users,), state.RISK),
        "taken_negative_usd": ((n_users,), f8),
        "backstop": ((1,), state.BACKSTOP_SUMS),
        "work_index": ((n_users, 2), i8),
        "work_rank": ((n_users, 2), f8),
        "plan_lots": ((n_insts,), i8),
        "shift_lots": ((n_insts,), i8),
        "queue_size": ((n_users,), i8),
        "queue_score": ((n_users,), f8),
        "queue_taken": ((n_users,), i8),
        "queue_order": ((n_users,), i8),
        "queue_rest": ((n_users,), f8),
        "ctr": ((state.N_COUNTERS,), i8),
    }
    arrays: dict[str, Any] = {
        name: zero_pages(shape, dtype) for name, (shape, dtype) in layout.items()
    }
    return VenueState(**{**rule_arrays(spec), **arrays})


def _write_sizes(v: VenueState, *, seed: int, dt_ms: int) -> None:
    n_users = v.user.shape[0]
    par = v.par[0]
    par.seed_key0, par.seed_key1 = key_from_seed(seed)
    par.dt_ms, par.n_users = dt_ms, n_users
    par.backstop_user = par.row_backstop = n_users - 1
    par.row_outside, par.row_treasury, par.row_rounding, par.row_pool0 = range(n_users, n_users + 4)
    v.row["user"] = -1
    v.best[:, 0], v.best[:, 1] = state.EMPTY_BID, state.EMPTY_ASK


def _open_outside(v: VenueState, spec: VenueSpec) -> None:
    reset_dials(v.dial)
    for index, asset in enumerate(spec.assets):
        outside = v.outside[index]
        outside.fundamental_usd = outside.spot_usd = outside.perp_usd = asset.opening_price_usd
        outside.volatility_ratio = 1.0


def _open_prices(v: VenueState, spec: VenueSpec) -> None:
    """Start oracle and mark at the opening price; books have traded there last."""
    for index, asset in enumerate(spec.assets):
        price_e8 = round(asset.opening_price_usd * PRICE_ONE)
        usd = float(price_e8) / 1e8
        price = v.price[index]
        price.oracle_e8 = price.mark_e8 = price.previous_mark_e8 = price_e8
        price.borrow_oracle_e8 = price_e8
        price.oracle_usd = price.mark_usd = price.borrow_oracle_usd = usd
        v.oracle_history[index, 0] = usd
    for index, inst in enumerate(v.inst):
        book = v.book[index]
        opening_e8 = int(v.price[inst.asset].oracle_e8)
        book.last_tick = mul_div(opening_e8, 1, int(inst.tick_e8), NEAREST)
        book.bid_tick = book.end_bid_tick = state.EMPTY_BID
        book.ask_tick = book.end_ask_tick = state.EMPTY_ASK


def _write_user(v: VenueState, user: int, account: AccountOpening) -> None:
    me = v.user[user]
    me.key, me.class_id, me.account_mode = account.key, account.class_id, account.account_mode
    me.enrolled = int(account.account_mode == MODE_PORTFOLIO)
    me.owner = user if account.owner < 0 else account.owner
    me.parent = me.pocket_inst = -1
    me.volume_14d_micro = account.volume_14d_micro
    me.fee_tier = int((v.fee_tier["volume_from_micro"][1:] < account.volume_14d_micro).sum())
    median_us = round(float(v.par[0].latency_median_ms) * 1000.0)
    me.latency_us = median_us if account.latency_us < 0 else account.latency_us
    v.row[user].user, v.row[user].regime = user, account.regime
    v.row_of[user, :] = user
    for index, inst in enumerate(v.inst):
        most = int(v.asset[inst.asset].max_leverage) if inst.kind == PERP else 1
        v.leverage[user, index] = account.leverage.get(index, most)


def _book_opening(v: VenueState, row: int, account: AccountOpening) -> None:
    outside, pool = int(v.par[0].row_outside), int(v.par[0].row_pool0)
    _move(v, outside, row, column=0, amount=account.cash_micro)
    for token, units in account.tokens.items():
        _move(v, outside, row, column=1 + token, amount=units)
    for inst, (lots, price_e8) in account.perps.items():
        cost_micro = mul_div(lots, price_e8, int(v.inst[inst].mark_den), NEAREST)
        _move(v, row, outside, column=0, amount=cost_micro)
        _move(v, outside, row, column=1 + v.token.shape[1] + inst, amount=lots)
        v.entry_cost[row, inst] = cost_micro
    _move(v, row, pool, column=0, amount=account.supply - account.debt)
    v.supply[row, 0], v.debt[row, 0] = account.supply, account.debt
    for token, units in account.lent.items():
        _move(v, row, pool + token, column=1 + token, amount=units)
        v.supply[row, token] = units
    for token, units in account.borrowed.items():
        _move(v, pool + token, row, column=1 + token, amount=units)
        v.debt[row, token] = units


def _move(v: VenueState, source: int, target: int, *, column: int, amount: int) -> None:
    """Book an amount of cash (0), a token or a perp, by the columns of `flow`."""
    n_tokens = v.token.shape[1]
    for row, signed in ((source, -amount), (target, amount)):
        v.flow[row, column, CAUSE_OPENING] += signed
        if column == 0:
            v.cash[row] += signed
        elif column <= n_tokens:
            v.token[row, column - 1] += signed
        else:
            v.perp[row, column - 1 - n_tokens] += signed


def _open_reserves(v: VenueState) -> None:
    for token, spec in enumerate(v.token_spec):
        if token == 0 or spec.borrowable == 1:
            reserve = v.reserve[token]
            reserve.total_supply = v.supply[:, token].sum()
            reserve.total_debt = v.debt[:, token].sum()
            reserve.utilisation = utilisation(reserve)
            reserve.borrow_rate = borrow_rate(spec, reserve)
            reserve.supply_rate = supply_rate(spec, reserve, int(v.par[0].retained_frac_e6))
    v.reserve["counted_share"] = 1.0
    refresh_collateral(v)
