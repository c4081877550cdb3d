"""CPU time of one default run: scenario `hyperliquid`, 6 simulated hours in steps of 1 s.

Timed is the whole call that users make: opening of books and accounts, 21,600 steps, digest and
record. Without the 10 minutes of warm-up of the catalogue, and with kernels compiled before. The
reference loop is the exchange in plain Python over the first steps of the same run, opening left
out; both must have one digest there. CPU time of one core, median of 5 runs.
"""

import sys
from typing import Final

from benchmarks.goals import Times, cpu_seconds, judged
from stressbook.experiments.run import RunRecord, run_scenario
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.simulation import Simulation

RUNS: Final = 5
REFERENCE_STEPS: Final = 60
SEED: Final = 7
GOAL_S: Final = 2.5


def reference_ms(scenario: Scenario, *, seed: int) -> tuple[float, bool]:
    """Return the time a step of the plain-Python exchange, and whether it ran as the compiled."""
    twins = [Simulation(scenario, seed=seed, engine=name) for name in ("kernel", "reference")]
    seconds = [cpu_seconds(lambda sim=sim: sim.advance(REFERENCE_STEPS)) for sim in twins]
    digests = {sim.digest() for sim in twins}
    for sim in twins:
        sim.close()
    return seconds[1] / REFERENCE_STEPS * 1e3, len(digests) == 1


def main() -> int:
    """Measure and print; return 1 if two equal runs differ."""
    scenario = load_scenario("hyperliquid").with_(warmup=0.0, duration="6h")
    run_scenario(scenario.with_(duration="1min"), seed=SEED)  # loads, or compiles, the kernels
    records: list[RunRecord] = []
    times = Times.of(
        cpu_seconds(lambda: records.append(run_scenario(scenario, seed=SEED))) for _ in range(RUNS)
    )
    step_ms, is_right = reference_ms(scenario, seed=SEED)
    is_right = is_right and len({record.digest for record in records}) == 1
    venue = records[0].series.venue
    n_steps = len(venue)
    print(
        f"{n_steps:,} steps, {len(records[0].accounts)} accounts, "
        f"{venue['n_messages'].mean():.0f} messages and {venue['n_fills'].mean():.1f} fills a step"
        f"; digests {'equal' if is_right else 'DIFFER'}"
    )
    ratio = f"{step_ms * n_steps / 1e3 / times.median:.0f} times the plain-Python exchange"
    print(judged("default run of 6 h, at most 2.5 s", times, unit="s", ratio=ratio, at_most=GOAL_S))
    return not is_right


if __name__ == "__main__":
    sys.exit(main())
