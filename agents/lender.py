"""Lenders: they supply USDC to the reserve, and tokens where these are lent, and leave them there.

All suppliers of the venue stand in one account with the recorded supply. In calm it does nothing;
a run on the reserve is a hazard that a stress raises (dial `lender_run`). It takes out the USDC
that is still there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stressbook.agents.outbox import Outbox, redeem
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.numbers.units import MS_PER_HOUR
from stressbook.market.rules.parameters import param

PARAMETERS = record_dtype("supply_micro interval_ms", "run_per_hour token_supply_ratio")
MEMORY = record_dtype("next_ms left_micro")


@dataclass(frozen=True)
class LenderParams:
    """The suppliers of the reserves.

    Examples
    --------
    >>> LenderParams().supply_usd
    416300000.0
    """

    supply_usd: float = param(
        416.3e6,
        unit="USD",
        help="USDC supplied to the reserve at the opening",
        source="live reserve state of Hyperliquid, 2026-09-08",
        low=0.0,
    )
    token_supply_ratio: float = param(
        1.25,
        unit="1",
        help="tokens supplied over the platform's borrow cap, of each token that the venue lends",
        source="assumed: at the cap utilisation is at its kink",
        low=0.0,
    )
    run_per_hour: float = param(
        0.0, unit="1/h", help="hazard of leaving; a lender run raises it", low=0.0
    )
    interval_s: float = param(60.0, unit="s", help="time between two looks at the pool", low=1.0)


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Redeem the share that has run, as far as the pool goes."""
    now = mkt.clock[0].t_ms
    m = me.memory
    run_per_hour = p.run_per_hour + mkt.token[0].run_per_hour
    if run_per_hour <= 0.0 or now < m.next_ms or me.account.n_pending > 0:
        return
    m.next_ms = now + p.interval_ms
    share = run_per_hour * float(p.interval_ms) / float(MS_PER_HOUR)
    wanted = int(float(m.left_micro) * (share if share < 1.0 else 1.0))
    pool = mkt.token[0].pool
    units = wanted if wanted < pool else pool
    if units > 0:
        redeem(out, me, 0, units)
        m.left_micro -= units


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("lender", CLASS_NUMBERS["lender"], PARAMETERS, MEMORY, decide, run)


def account_parameters(params: LenderParams, keys: I64) -> Records:
    """Return the parameters of the accounts, which share the supply equally.

    Parameters
    ----------
    params : LenderParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> int(account_parameters(LenderParams(), np.array([9 << 20]))[0].supply_micro)
    416300000000000
    """
    records = np.zeros(len(keys), PARAMETERS)
    records["supply_micro"] = round(params.supply_usd * 1e6 / max(1, len(keys)))
    records["token_supply_ratio"] = params.token_supply_ratio / max(1, len(keys))
    records["interval_ms"] = round(params.interval_s * 1000.0)
    records["run_per_hour"] = params.run_per_hour
    return records
