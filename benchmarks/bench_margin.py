"""Time of all accounts' margin: 20,000 accounts, 60 instruments, 24 tokens, 17 scenarios.

A venue of 37 underlyings with as many perps and 23 spot books; a tenth of all positions and
balances are not zero, half of the accounts rest an order. One call sums requirement and collateral
of every account under a scan of 17 scenarios with an offset, as a mark update does. The reference
is the margin of the plain venue over some accounts, which must give the same numbers to the bit.
CPU time of one core, median of 9 runs.
"""

import sys
from dataclasses import replace
from typing import Any, Final

import numpy as np

from benchmarks.goals import Times, cpu_seconds, judged
from stressbook.market.compiling.kernel import kernel
from stressbook.market.margin.sums import account_sums
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.reference.opening import desk_of, exchange_of
from stressbook.market.regimes import load_regime
from stressbook.market.regimes.rows import ScanRow
from stressbook.market.rules.spec import VenueSpec, load_preset
from stressbook.market.state.codes import MODE_PORTFOLIO, PERP, REGIME_PORTFOLIO
from stressbook.market.state.records import Capacity, VenueState

ACCOUNTS: Final = 20_000
ASSETS: Final = 37
TOKENS: Final = 24
DENSITY: Final = 0.1
CHECKED: Final = 200
GOAL_MS: Final = 15.0
STEPS: Final = tuple(step / 8.0 for step in range(-8, 9))


def wide_venue() -> VenueSpec:
    """Return the venue with its listings repeated under other names."""
    base = load_preset("hyperliquid").with_regime("scan")
    by_name = {asset.name: asset for asset in base.assets}
    perp, spot = base.instruments[0], base.instruments[4]
    names = [f"A{k}" for k in range(ASSETS)]
    assets = tuple(replace(by_name["BTC"], name=name, tiers=by_name["BTC"].tiers) for name in names)
    tokens = [base.tokens[0]]
    tokens += [
        replace(base.tokens[1], name=name, asset=name, user_supply_cap=1e6, platform_supply_cap=1e6)
        for name in names[: TOKENS - 1]
    ]
    books = [replace(perp, name=f"{name}-PERP", asset=name) for name in names]
    books += [replace(spot, name=f"{name}-SPOT", asset=name) for name in names[: TOKENS - 1]]
    rows = load_regime("scan")
    rows = replace(rows, scans=(ScanRow(("*",), 0.2, False, STEPS),))
    return replace(
        base, assets=assets, tokens=tuple(tokens), instruments=tuple(books), regime_rows=rows
    )


def filled_state(spec: VenueSpec, n_accounts: int) -> VenueState:
    """Return a state whose accounts hold a tenth of everything."""
    rng = np.random.default_rng(1)
    accounts = [
        AccountOpening(
            key=user + 1, cash_micro=10**12, regime=REGIME_PORTFOLIO, account_mode=MODE_PORTFOLIO
        )
        for user in range(n_accounts)
    ]
    v = make_state(spec, accounts, seed=1, capacity=Capacity(8, 8, 8, 8))
    perps = np.flatnonzero(v.inst["kind"] == PERP)
    shape = (n_accounts, len(perps))
    lots = rng.integers(-10_000, 10_000, shape) * (rng.random(shape) < DENSITY)
    v.perp[:n_accounts, perps] = lots
    shape = (n_accounts, TOKENS - 1)
    v.token[:n_accounts, 1:] = rng.integers(1, 10**10, shape) * (rng.random(shape) < DENSITY)
    user = np.flatnonzero(rng.random(n_accounts) < 0.5)
    inst, side = rng.choice(perps, len(user)), rng.integers(0, 2, len(user))
    v.open_notional[user, inst, side] = rng.integers(1, 10**10, len(user))
    v.user["n_orders"][user] = 1
    return v


@kernel
def all_margin(v: VenueState, found: Any) -> None:
    """Write requirement and collateral of every account."""
    for row in range(found.shape[0]):
        s = account_sums(v, row)
        found[row, 0] = s.initial_usd
        found[row, 1] = s.maintenance_usd
        found[row, 2] = s.collateral_credit_usd


def plain_ms(spec: VenueSpec) -> tuple[float, bool]:
    """Return the plain venue's time for as many accounts, and whether it gives the same."""
    v = filled_state(spec, CHECKED)
    found = np.zeros((CHECKED, 3))
    all_margin(v, found)
    desk, exchange = desk_of(v), exchange_of(v)
    users = np.flatnonzero(v.user["n_orders"][:CHECKED] == 0)  # its books hold no orders here
    plain: list[tuple[float, ...]] = []

    def look() -> None:
        for user in users:
            one = desk.account(exchange, int(user))
            plain.append((one.initial_usd(), one.maintenance_usd(), one.credit_usd()))

    seconds = cpu_seconds(look)
    is_right = [tuple(row) for row in found[users].tolist()] == plain
    return seconds * 1e3 / len(users) * ACCOUNTS, is_right


def main() -> int:
    """Measure; return 1 if kernel and plain venue differ."""
    spec = wide_venue()
    reference_ms, is_right = plain_ms(spec)  # compiles too
    v = filled_state(spec, ACCOUNTS)
    found = np.zeros((ACCOUNTS, 3))
    all_margin(v, found)
    times = Times.of(cpu_seconds(lambda: all_margin(v, found)) for _ in range(9)).scaled(1e3)
    held = int((v.perp[:ACCOUNTS] != 0).sum() + (v.token[:ACCOUNTS] != 0).sum())
    print(
        f"{len(v.inst)} instruments, {len(v.token_spec)} tokens, {v.move.shape[2]} scenarios, "
        f"{held / ACCOUNTS:.1f} positions an account; numbers {'equal' if is_right else 'DIFFER'}"
    )
    ratio = f"{reference_ms / times.median:.0f} times the plain venue's margin"
    promise = f"margin of {ACCOUNTS} accounts, at most {GOAL_MS:g} ms"
    print(judged(promise, times, unit="ms", ratio=ratio, at_most=GOAL_MS))
    return not is_right


if __name__ == "__main__":
    sys.exit(main())
