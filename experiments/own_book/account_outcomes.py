"""What becomes of one account of a population file in a run: read once, while the run goes.

The account does nothing itself, so that each of its forced bookings is the venue's: forced orders,
slices, takeovers, deleveraging. What these cost is taken against the mark of their step.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from stressbook.agents.own_book import own_keys
from stressbook.errors import InvalidInput, UnknownName
from stressbook.experiments.account_table import rows_of
from stressbook.experiments.own_book.checks import scenario_accounts
from stressbook.experiments.progress import Progress
from stressbook.experiments.run import RunRecord, record_of
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stepping import step_to
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.state.codes import (
    CAUSE_BORROW,
    CAUSE_FORCED_TRADE,
    CAUSE_REDEEM,
    CAUSE_REPAY,
    CAUSE_SUPPLY,
    CAUSE_TAKEOVER,
    EV_BREACH,
    EV_COLLATERAL_BOUGHT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_HAIRCUT,
    EV_LIQUIDATION_FEE,
    EV_REFUSAL,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    EV_TOKEN_DEBT,
)
from stressbook.market.state.records import C_EVENTS, VenueState

if TYPE_CHECKING:
    from stressbook.experiments.scenario import Scenario

__all__ = ["ACCOUNT_OUTCOMES", "AccountOutcome", "hedge_legs", "require_account", "run_followed"]


class AccountOutcome(NamedTuple):
    """One number that a followed account has in every run."""

    name: str
    unit: str
    help: str


ACCOUNT_OUTCOMES: Final = (
    AccountOutcome(
        "account_liquidated",
        "1",
        "whether there was a forced order, a slice, a takeover, or a closing below zero",
    ),
    AccountOutcome(
        "account_deleveraged", "1", "whether a perp of it was closed for somebody else's losses"
    ),
    AccountOutcome(
        "account_leg_deleveraged",
        "1",
        "whether that perp was a hedge: opposite to own tokens of its asset at the opening",
    ),
    AccountOutcome(
        "account_haircut_usd",
        "USD",
        "what deleveraging cost it against the mark, and what was taken of its profits",
    ),
    AccountOutcome("account_forced_usd", "USD", "size forced out of it, at mark and oracle"),
    AccountOutcome(
        "account_exit_cost_usd",
        "USD",
        "what that size brought less than mark and oracle, with liquidation fees",
    ),
    AccountOutcome(
        "account_takeover_cost_usd", "USD", "of it what takeovers and slices took, debt taken off"
    ),
    AccountOutcome("account_opening_equity_usd", "USD", "equity at the opening"),
    AccountOutcome("account_equity_change_usd", "USD", "equity at the end less at the opening"),
    AccountOutcome(
        "account_first_breach_min",
        "min",
        "from the onset to its first breach, which may lie before it; none without one",
    ),
    AccountOutcome("account_refused", "1", "forced orders of it that were refused"),
)
_LIQUIDATIONS: Final = (
    EV_FORCED_ORDER,
    EV_SLICE,
    EV_TAKEOVER_PERPS,
    EV_TAKEOVER_ALL,
    EV_COLLATERAL_BOUGHT,
    EV_TOKEN_DEBT,
    EV_DELEVERAGED,
)
# Forced trades, takeovers, then what else changes debts and claims.
_CAUSES: Final = (
    CAUSE_FORCED_TRADE,
    CAUSE_TAKEOVER,
    CAUSE_BORROW,
    CAUSE_REPAY,
    CAUSE_SUPPLY,
    CAUSE_REDEEM,
)


def require_account(scenario: Scenario, account: str) -> int:
    """Return the rank of an account in the population file of a scenario.

    Raises
    ------
    InvalidInput
        If the scenario has no population file.
    UnknownName
        If the file has no such account.
    """
    if scenario.population is None:
        hint = 'population = "FILE" in the scenario file'
        raise InvalidInput("has no accounts of its own", name=scenario.name, hint=hint)
    names = scenario.population.account_names
    if account not in names:
        raise UnknownName("account", account, known=names)
    return names.index(account)


def hedge_legs(scenario: Scenario, account: str) -> list[int]:
    """Return the perps of an account that are opposite to its own tokens at the opening.

    Parameters
    ----------
    scenario : Scenario
        With a population file.
    account : str
        Name in it.

    Returns
    -------
    list of int
        Instruments.
    """
    one = scenario_accounts(scenario)[require_account(scenario, account)]
    spec = scenario.venue_spec()
    token_of = {token.asset: index for index, token in enumerate(spec.tokens) if token.asset}
    found = []
    for inst, (lots, _) in one.perps.items():
        token = token_of.get(spec.instruments[inst].asset)
        if token is not None and lots * one.own_units(token) < 0:
            found.append(inst)
    return found


class Followed:
    """One account of a simulation, looked at after every step.

    Parameters
    ----------
    sim : Simulation
        Before its first step.
    account : str
        Name in the population file.
    """

    def __init__(self, sim: Simulation, account: str) -> None:
        self._sim = sim
        self._v: VenueState = sim.engine.state
        self.key = int(own_keys(require_account(sim.scenario, account) + 1)[-1])
        self._legs = hedge_legs(sim.scenario, account)
        me = int(np.flatnonzero(self._v.user["key"] == self.key)[0])
        self.rows = rows_of(self._v, me)
        self.forced_usd = self.exit_cost_usd = self.takeover_cost_usd = 0.0
        self._flow = self._flow_now()
        self._loan = self._loan_now()

    def _flow_now(self) -> I64:
        """Return what moved so far, by column of `flow` and by cause."""
        found: I64 = self._v.flow[self.rows][:, :, _CAUSES].sum(axis=0)
        return found

    def _loan_now(self) -> I64:
        v = self._v
        return np.array([v.debt[self.rows, 0].sum(), v.supply[self.rows, 0].sum()], np.int64)

    def look(self) -> None:
        """Add what the step has forced out of the account: bookings that are always logged."""
        if not self._v.ctr[C_EVENTS]:
            return
        flow, loan = self._flow_now(), self._loan_now()
        moved = flow - self._flow
        if moved[:, 0].any():
            self.exit_cost_usd += self._cost_usd(moved[:, 0])
        if moved[:, 1].any():
            cost_usd = self._cost_usd(moved[:, 1]) - self._handed_over_usd(moved, loan)
            self.exit_cost_usd += cost_usd
            self.takeover_cost_usd += cost_usd
        self._flow, self._loan = flow, loan

    def _cost_usd(self, moved: I64) -> float:
        """Return value given less value got in a step, and add its size."""
        v = self._v
        n_tokens = v.token.shape[1]
        cost_usd = -float(moved[0]) / 1e6
        values = []
        for token in range(1, n_tokens):
            spec = v.token_spec[token]
            oracle_usd = float(v.price[spec.asset].oracle_usd)
            values.append(float(moved[1 + token]) / float(spec.unit) * oracle_usd)
        for inst in range(v.inst.shape[0]):
            one = v.inst[inst]
            mark_usd = float(v.price[one.asset].mark_usd)
            values.append(float(moved[1 + n_tokens + inst]) * float(one.lot_size) * mark_usd)
        self.forced_usd += sum(abs(value) for value in values)
        return cost_usd - sum(values)

    def _handed_over_usd(self, moved: I64, loan: I64) -> float:
        """Return the debt less the claim that a takeover moved: what no loan or repayment did.

        Interest of the same step is in it.
        """
        borrowed, repaid, supplied, redeemed = (int(moved[0, rank]) for rank in (2, 3, 4, 5))
        debt = int(self._loan[0]) + borrowed + repaid - int(loan[0])
        claim = int(self._loan[1]) - supplied - redeemed - int(loan[1])
        return (max(debt, 0) - max(claim, 0)) / 1e6

    def outcomes(self, record: RunRecord) -> dict[str, float]:
        """Return every outcome of the account at the end of the run."""
        mine = np.isin(record.events["user"], self.rows)
        against = np.isin(record.events["counterparty"], self.rows)
        of, kind = record.events, record.events["kind"]
        closed = of[mine & (kind == EV_DELEVERAGED)]
        paid = of[against & (kind == EV_DELEVERAGED)]
        haircut = np.maximum(paid["amount_micro"], 0).sum()
        haircut += of["amount_micro"][against & (kind == EV_HAIRCUT)].sum()
        fees = of["amount_micro"][mine & (kind == EV_LIQUIDATION_FEE)].sum()
        breaches = of["t_ms"][mine & (kind == EV_BREACH)]
        row = record.accounts[record.accounts["key"] == self.key][0]
        opening_usd = float(row["opening_equity_usd"])
        onset_min = record.onset_step * self._sim.dt_ms / 60_000.0
        values = (
            float((mine & np.isin(kind, _LIQUIDATIONS)).any()),
            float(len(paid) > 0),
            float(np.isin(paid["inst"], self._legs).any()),
            float(haircut) / 1e6,
            self.forced_usd + self._closed_usd(closed),
            self.exit_cost_usd + float(fees - closed["amount_micro"].sum()) / 1e6,
            self.takeover_cost_usd,
            opening_usd,
            float(row["equity_usd"]) - opening_usd - float(row["deposits_usd"]),
            float(breaches.min()) / 60_000.0 - onset_min if len(breaches) else math.nan,
            float((mine & (kind == EV_REFUSAL)).sum()),
        )
        names = [one.name for one in ACCOUNT_OUTCOMES]
        return dict(zip(names, values, strict=True))

    def _closed_usd(self, closed: Records) -> float:
        """Return the size of its perps that were closed below zero, at the price of the closing."""
        lot = np.array([float(one.lot_size) for one in self._v.inst])
        lots = np.abs(closed["lots"]) * lot[closed["inst"]]
        return float((lots * closed["price_e8"]).sum()) / 1e8


def run_followed(
    scenario: Scenario,
    *,
    account: str,
    seed: int,
    engine: str = "kernel",
    progress: Progress | None = None,
    onset_s: float | None = None,
) -> RunRecord:
    """Run a scenario and follow one account of its population file.

    Parameters
    ----------
    scenario : Scenario
        With a population file.
    account : str
        Name in it.
    seed, engine, progress, onset_s
        As of `stressbook.experiments.run.run_scenario`.

    Returns
    -------
    RunRecord
        The same run, with `ACCOUNT_OUTCOMES` among its outcomes.

    Raises
    ------
    UnknownName
        If the file has no such account.
    """
    sim = Simulation(scenario, seed=seed, engine=engine, onset_s=onset_s)
    try:
        followed = Followed(sim, account)
        step_to(sim, sim.n_steps_planned, progress, after_each=followed.look)
        record = record_of(sim, seed=seed, engine=engine, onset_s=onset_s)
        return replace(record, outcomes=record.outcomes | followed.outcomes(record))
    finally:
        sim.close()
