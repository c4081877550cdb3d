"""What a file's accounts hold at the opening, and how far each of them is from a breach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stressbook.agents.near_breach import valued_copy
from stressbook.agents.own_book import own_keys
from stressbook.agents.population import build_population
from stressbook.experiments.account_table import rows_of
from stressbook.experiments.agent_classes import is_own_class
from stressbook.experiments.own_book.checks import scenario_accounts
from stressbook.experiments.words import amount
from stressbook.market.compiling.arrays import F64, I64
from stressbook.market.opening.setup import make_state
from stressbook.market.state.codes import MODE_PORTFOLIO, MODE_UNIFIED
from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.experiments.scenario import Scenario

__all__ = ["OWN_HEAD", "OwnOpening", "own_cells", "own_openings"]

OWN_HEAD: Final = ("account", "mode", "equity USD", "gross USD", "debt USD", "first breach")
FARTHEST: Final = 0.6  # moves beyond are not looked for
STEP: Final = 0.01
_MODES: Final = {MODE_PORTFOLIO: "portfolio", MODE_UNIFIED: "unified"}


class OwnOpening(NamedTuple):
    """One account of a population file at the opening."""

    account: str
    account_mode: str
    equity_usd: float
    gross_usd: float  # of perps, and of tokens
    debt_usd: float  # with what margin draws at the first mark update
    asset: str  # whose move alone brings the first breach; empty where none within 60 % does
    move_frac: float  # that move: -.2 is a fall by a fifth; 0 where it opens in breach


def own_openings(scenario: Scenario, *, seed: int) -> list[OwnOpening]:
    """Return the accounts of the population file, those nearest to a breach first.

    Parameters
    ----------
    scenario : Scenario
        Resolved.
    seed : int
        Of what all others open with.

    Returns
    -------
    list of OwnOpening
        Empty without a file. Moves are of one asset alone, all its prices together, in whole
        percents up to 60, at unchanged holdings; debts that margin needs are drawn.
    """
    own = scenario_accounts(scenario)
    if not own:
        return []
    spec = scenario.venue_spec()
    shipped = {name: mine for name, mine in scenario.agents.items() if not is_own_class(name)}
    population = build_population(
        shipped,
        spec,
        seed=seed,
        regime=scenario.margin_regime,
        world=scenario.world,
        classes=shipped,
        own=own,
    )
    state = make_state(spec, population.accounts, seed=seed)
    first = int(np.flatnonzero(state.user["key"] == own_keys(1)[0])[0])
    users = np.arange(first, first + len(own), dtype=np.int64)
    nearest = _nearest(state, users)
    found = []
    valued = valued_copy(state)
    tokens_usd = _tokens_usd(state, users)
    for rank, (one, user) in enumerate(zip(own, users, strict=True)):
        asset, move = nearest[rank]
        rows = rows_of(state, int(user))
        equity = sum(float(valued.risk[row]["equity_usd"]) for row in rows)
        gross = sum(float(valued.risk[row]["gross_notional_usd"]) for row in rows)
        found.append(
            OwnOpening(
                one.name,
                _MODES.get(int(state.user[user].account_mode), "standard"),
                equity,
                gross + float(tokens_usd[rank]),
                float(valued.debt[user, 0]) / 1e6,
                scenario.assets[asset] if asset >= 0 else "",
                move,
            )
        )
    return sorted(found, key=lambda row: abs(row.move_frac) if row.asset else FARTHEST)


def _tokens_usd(state: VenueState, users: I64) -> F64:
    total: F64 = np.zeros(len(users))
    for token in range(1, state.token.shape[1]):
        spec = state.token_spec[token]
        held = state.token[users, token] + state.supply[users, token]
        total += held / float(spec.unit) * float(state.price[spec.asset].oracle_usd)
    return total


def _nearest(state: VenueState, users: I64) -> list[tuple[int, float]]:
    """Return asset and size of the smallest move of one asset that brings each into breach."""
    n_assets = len(state.price)
    found: dict[int, tuple[int, float]] = {}
    rank_of = np.full(len(state.user), -1)  # by row; pockets have that of their account
    for rank, user in enumerate(users):
        rank_of[rows_of(state, int(user))] = rank
    for step in range(round(FARTHEST / STEP) + 1):
        for asset in range(n_assets):
            for sign in (-1.0, 1.0):
                factor = np.ones(n_assets)
                factor[asset] += sign * step * STEP
                breached = _breached(valued_copy(state, factor)) & (rank_of >= 0)
                for rank in rank_of[breached].tolist():
                    found.setdefault(rank, (asset, sign * step * STEP))
        if len(found) == len(users):
            break
    return [found.get(rank, (-1, 0.0)) for rank in range(len(users))]


def _breached(valued: VenueState) -> npt.NDArray[np.bool_]:
    """Return which rows must be resolved, by the rule of `market.margin.ratio.breaches`."""
    worth, trigger_ratio = valued.risk, float(valued.par[0].pm_trigger_ratio)
    below: npt.NDArray[np.bool_] = worth["equity_usd"] < worth["maintenance_usd"]
    return np.where(worth["judged_as_portfolio"] == 1, worth["ratio"] > trigger_ratio, below)


def own_cells(rows: list[OwnOpening]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `OWN_HEAD`, and a last one with their sum."""
    cells = [
        (one.account, one.account_mode, *(amount(x) for x in one[2:5]), _breach(one))
        for one in rows
    ]
    sums = [amount(sum(one[place] for one in rows)) for place in (2, 3, 4)]  # type: ignore[misc]
    return [*cells, (f"all {len(rows)}", "", *sums, "")]


def _breach(one: OwnOpening) -> str:
    if not one.asset:
        return f"none within {FARTHEST:.0%} of any price"
    if one.move_frac == 0.0:
        return "at the opening: the run is refused"
    return f"{one.asset} {one.move_frac:+.0%}"
