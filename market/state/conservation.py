"""Conservation: nothing that is booked is created or lost, checked on the ledger itself.

Cash and tokens sum to constants over all rows, perps to zero. Each reserve's pool and debts are
what supplies, retained interest and the claim of rounding add up to; claims that change hands sum
to zero. Each balance is the sum of its flows, and open interest what all longs hold.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stressbook.errors import ConservationError
from stressbook.market.compiling.arrays import I64
from stressbook.market.compiling.kernel import kernel
from stressbook.market.state.codes import PERP
from stressbook.market.state.ledger import imbalance
from stressbook.market.state.records import VenueState

__all__ = ["Conservation"]

_CLAIMS: Final = 1  # column of `flow` for claims on the pool, which tokens do not use
_N_OTHERS: Final = 5  # three sums of the reserve, balances against flows, open interest


class Conservation:
    """What must stay as it is at the start, whatever happens.

    Parameters
    ----------
    state : VenueState
        Of either engine; its sums as they stand are the constants.

    Examples
    --------
    >>> from stressbook.market.opening.setup import AccountOpening, make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> v = make_state(load_preset("hyperliquid"), [AccountOpening(key=1, cash_micro=5)], seed=1)
    >>> books = Conservation(v)
    >>> books.check(v)
    >>> v.cash[0] += 1
    >>> books.check(v, t_ms=3_000)
    Traceback (most recent call last):
    ...
    stressbook.errors.ConservationError: cash = 1 was created or lost.
      allowed: 0 units
      hint   : at t = 3000 ms
    """

    def __init__(self, state: VenueState) -> None:
        n_tokens, n_insts = state.token.shape[1], state.perp.shape[1]
        self._names = ["cash"]
        self._names += ["claims on the pool"] + [f"token {k}" for k in range(1, n_tokens)]
        self._names += [f"perp of instrument {inst}" for inst in range(n_insts)]
        self._names += ["pool and debts of the reserve", "debts", "supplies", "flows"]
        self._names += ["open interest"]
        self._constants = _sums_of(state)
        self._constants[1 + n_tokens :] = 0

    def check(self, state: VenueState, *, t_ms: int = 0) -> None:
        """Compare the sums with what they were.

        Parameters
        ----------
        state : VenueState
            Read only.
        t_ms : int
            For the message.

        Raises
        ------
        ConservationError
            The first sum that has moved, and by how much.
        """
        moved = _sums_of(state) - self._constants
        for place in np.flatnonzero(moved)[:1]:
            raise ConservationError(
                "was created or lost",
                name=self._names[place],
                value=int(moved[place]),
                allowed="0 units",
                hint=f"at t = {t_ms} ms",
            )


def _sums_of(state: VenueState) -> I64:
    sums = np.zeros(1 + state.token.shape[1] + state.perp.shape[1] + _N_OTHERS, np.int64)
    _add_up(state, sums)
    return sums


@kernel
def _add_up(v: VenueState, sums: I64) -> None:
    n = 1 + v.token.shape[1] + v.perp.shape[1]
    for column in range(n):
        sums[column] = imbalance(v, column)
    for token in range(v.token.shape[1]):
        _add_reserve(v, token, sums, n)
    for row in range(v.cash.shape[0]):
        for column in range(n):
            if _holds_claims(v, column):
                sums[column] += _flows(v, row, column)
            else:
                sums[n + 3] += abs(_balance(v, row, column) - _flows(v, row, column))
    for inst in range(v.perp.shape[1]):
        longs = 0
        for row in range(v.perp.shape[0]):
            longs += max(int(v.perp[row, inst]), 0)
        sums[n + 4] += abs(int(v.open_interest[inst]) - longs)


@kernel
def _add_reserve(v: VenueState, token: int, sums: I64, n: int) -> None:
    """Add by how much a reserve fails its identity and the sums that it keeps."""
    reserve = v.reserve[token]
    debts = supplies = 0
    for row in range(v.debt.shape[0]):
        debts += int(v.debt[row, token])
        supplies += int(v.supply[row, token])
    pool = int(v.par[0].row_pool0) + token
    held = int(v.cash[pool]) if token == 0 else int(v.token[pool, token])
    owned = supplies + int(reserve.retained) + int(reserve.claim)
    debts_off, supplies_off = int(reserve.total_debt) - debts, int(reserve.total_supply) - supplies
    if token == 0:
        sums[n] += held + debts - owned
        sums[n + 1] += debts_off
        sums[n + 2] += supplies_off
        return
    # Units of several tokens: off one way in one and the other way in another is off twice.
    sums[n] += abs(held + debts - owned)
    sums[n + 1] += abs(debts_off)
    if v.token_spec[token].borrowable == 1:
        sums[n + 2] += abs(supplies_off)


@kernel
def _holds_claims(v: VenueState, column: int) -> bool:
    """Tell whether a column of `flow` is for claims on a pool: no holding uses it."""
    inst = column - 1 - v.token.shape[1]
    return column == _CLAIMS or (inst >= 0 and v.inst[inst].kind != PERP)


@kernel
def _balance(v: VenueState, row: int, column: int) -> int:
    n_tokens = v.token.shape[1]
    if column == 0:
        return int(v.cash[row])
    if column <= n_tokens:
        return int(v.token[row, column - 1])
    return int(v.perp[row, column - 1 - n_tokens])


@kernel
def _flows(v: VenueState, row: int, column: int) -> int:
    total = 0
    for cause in range(v.flow.shape[2]):
        total += int(v.flow[row, column, cause])
    return total
