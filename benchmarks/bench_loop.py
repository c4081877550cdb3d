"""CPU time of the whole loop: 6 books, 500 accounts, about 190 messages a step, cross margin.

10,000 steps of 1 s: world, prices, risk, agents, matching, rows and digest; opening left out. Once
with the shipped populations, compiled; once with 500 own agents, each a Python object behind the
public interface that looks and draws at every step. The reference loop of both is the exchange in
plain Python over the first steps of the same run, and both must have one digest there. Then the
shipped populations once more under portfolio margin, each from its own opening book, beside cross
in turns. CPU time of one core, median of 5 and of 3 runs.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

import stressbook as sb
from benchmarks.goals import Times, cpu_seconds, judged
from stressbook.experiments.scenario import Scenario, load_scenario, scenario_from_table
from stressbook.experiments.simulation import Simulation

STEPS: Final = 10_000
REFERENCE_STEPS: Final = 60
SEED: Final = 1
ASSETS: Final = ("BTC", "ETH", "HYPE")
GOAL_COMPILED_S: Final = 0.6
GOAL_SCALAR_S: Final = 6.0
GOAL_PORTFOLIO: Final = 1.3  # times cross
# By class and asset: eleven makers a book give the messages, 260 directional traders the accounts.
COMPILED: Final[Mapping[str, Any]] = {
    "market_maker": {asset: {"accounts": 11} for asset in ASSETS},
    "arbitrageur": {},
    "order_flow": {},
    "dip_buyer": {},
    "basis_trader": {},
    "hedger": {},
    "holder": {},
    "directional": {"BTC": {"accounts": 100}, "ETH": {"accounts": 80}, "HYPE": {"accounts": 84}},
    "lender": {},
}
SCALAR: Final[Mapping[str, Any]] = {"OwnTrader": {"accounts": 500}}


class OwnTrader(sb.Account):
    """Trades one book: renews two quotes now and then, and seldom takes what others quote."""

    renewing_frac: float = sb.param(0.124, unit="1", help="steps at which it renews its quotes")
    taking_frac: float = sb.param(0.01, unit="1", help="steps at which it takes")
    clip_usd: float = sb.param(5e3, unit="USD", help="size of an order", low=0.0)
    width_frac: float = sb.param(0.0005, unit="1", help="least distance of a quote", low=0.0)

    def setup(self) -> None:
        """Choose a book."""
        self.asset = ASSETS[self.unique_id % len(ASSETS)]
        self.is_perp = self.unique_id % (2 * len(ASSETS)) < len(ASSETS)
        self.book = f"{self.asset}-{'PERP' if self.is_perp else 'SPOT'}"

    def decide(self, view: sb.View, out: sb.Outbox) -> None:
        """Look at price and own holding; act at a share of the steps."""
        price = view.oracle(self.asset)
        held = view.position(self.book) if self.is_perp else view.tokens(self.asset)
        chance = view.uniform()
        if chance < self.taking_frac:
            (out.sell if held > 0 else out.buy)(self.book, view.lots(self.book, self.clip_usd))
        elif chance < self.taking_frac + self.renewing_frac:
            lots = max(view.lots(self.book, self.clip_usd), 1)
            away = self.width_frac * (1.0 + 10.0 * chance)
            out.cancel_all(self.book)
            out.buy(self.book, lots, price * (1.0 - away))
            out.sell(self.book, lots, price * (1.0 + away))


def loop_scenario(agents: Mapping[str, Any], regime: str = "cross") -> Scenario:
    """Return three assets under a margin regime with these classes."""
    base = load_scenario("hyperliquid").with_(
        assets=ASSETS, margin_regime=regime, warmup=0.0, duration=float(STEPS)
    )
    table = base.to_table() | {"name": "loop", "agents": agents}
    return scenario_from_table(table, source="bench_loop")


def reference_ms(scenario: Scenario) -> tuple[float, bool]:
    """Return the time a step of the plain-Python exchange, and whether it ran as the compiled."""
    sims = [Simulation(scenario, seed=SEED, engine=name) for name in ("kernel", "reference")]
    seconds = [cpu_seconds(lambda sim=sim: sim.advance(REFERENCE_STEPS)) for sim in sims]
    digests = {sim.digest() for sim in sims}
    for sim in sims:
        sim.close()
    return seconds[1] / REFERENCE_STEPS * 1e3, len(digests) == 1


def measure(promise: str, agents: Mapping[str, Any], *, runs: int, at_most_s: float) -> bool:
    """Print one goal; return whether equal runs were equal."""
    scenario = loop_scenario(agents)
    step_ms, is_right = reference_ms(scenario)  # compiles too
    seconds, digests = [], set()
    for _ in range(runs):
        sim = Simulation(scenario, seed=SEED)
        seconds.append(cpu_seconds(lambda sim=sim: sim.advance(STEPS)))
        digests.add(sim.digest())
        sim.close()
    is_right = is_right and len(digests) == 1
    times, venue = Times.of(seconds), sim.series.venue
    print(
        f"{len(sim.engine.state.book)} books, {len(sim.accounts.account)} accounts, "
        f"{venue['n_messages'].mean():.0f} messages and {venue['n_fills'].mean():.1f} fills a step"
        f"; {times.median / STEPS * 1e6:.0f} us a step; digests {'equal' if is_right else 'DIFFER'}"
    )
    ratio = f"{step_ms * STEPS / 1e3 / times.median:.0f} times the plain-Python exchange"
    print(judged(promise, times, unit="s", ratio=ratio, at_most=at_most_s))
    return is_right


def measure_portfolio(runs: int) -> None:
    """Print how much longer the loop takes under portfolio margin than under cross, run by run."""
    ratios = []
    for _ in range(runs):
        seconds = []
        for regime in ("cross", "hyperliquid-pm"):
            sim = Simulation(loop_scenario(COMPILED, regime), seed=SEED)
            seconds.append(cpu_seconds(lambda sim=sim: sim.advance(STEPS)))
            sim.close()
        ratios.append(seconds[1] / seconds[0])
    promise = f"10,000 steps under portfolio margin over cross, at most {GOAL_PORTFOLIO} times"
    print(
        judged(
            promise,
            Times.of(ratios),
            unit="times",
            ratio="cross of the same run",
            at_most=GOAL_PORTFOLIO,
        )
    )


def main() -> int:
    """Measure both ways of writing agents; return 1 if equal runs differ."""
    rights = [
        measure(
            f"10,000 steps, compiled populations, at most {GOAL_COMPILED_S} s",
            COMPILED,
            runs=5,
            at_most_s=GOAL_COMPILED_S,
        ),
        measure(
            f"10,000 steps, 500 own agents in Python, at most {GOAL_SCALAR_S} s",
            SCALAR,
            runs=3,
            at_most_s=GOAL_SCALAR_S,
        ),
    ]
    measure_portfolio(runs=5)
    return not all(rights)


if __name__ == "__main__":
    sys.exit(main())
