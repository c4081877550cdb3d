"""The draw table against what a run draws: every call is recorded with the compiler off."""

import json
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest

from stressbook.market.numbers.draws import PURPOSES

N_STEPS = 25
CHANGES = {
    "margin_regime": "hyperliquid-pm",
    "venue": {"liquidation": {"select": "random"}},
    "warmup": 5,
    "duration": "13h",  # shorter runs replace nobody
    "stresses": [
        {"kind": "price_gap", "at": 5, "duration": 10, "assets": ["HYPE"], "fall_frac": 0.6}
    ],
    # Traders who come and go, and holders who look at what is left, within the steps that are run.
    "agents": {
        "holder": {"interval_low_s": 1.0, "interval_high_s": 3.0},
        "directional": {"children": 1, "child_s": 1.0, "BTC": {"hold_h": 0.2, "flat_h": 0.1}},
    },
}
OWN_INDICES = {0, 3}
AT_THE_OPENING = "at the opening"
# What `index_is` says of the indices that one key has at one time.
INDICES = {
    "0": lambda found: found == {0},
    "component": lambda found: found == set(range(3)),
    "2 x leg + slow": lambda found: found <= set(range(4)),
    "leg": lambda found: found <= {0, 1},
    "message": lambda found: max(found) < 1_000,
    "as the agent says": lambda found: found == OWN_INDICES,
    "trait": lambda found: found - {1_000} <= set(range(7)),
    "spell": lambda found: found == set(range(len(found))),
    "0, then 2 x spell + 1 and + 2": lambda found: (
        0 in found and max(found) // 2 <= len(found) <= max(found) + 1
    ),
    "hours before": lambda found: found == set(range(len(found))),
}
# One value for all who ask, each of whom draws it anew; an own agent's first draw of an index is
# drawn again when the second of its class asks.
SHARED = {"sentiment", "opening.path", "own_agent"}


@pytest.fixture(scope="module")
def recorded():
    """Return {purpose: {(step, key, t_ms, index): times drawn}}; step 0 is the opening."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, __file__]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = defaultdict(dict)
    for purpose, *draw, times in json.loads(run.stdout):
        found[purpose][tuple(draw)] = times
    return found


@pytest.mark.slow
def test_every_purpose_is_drawn_and_no_other(recorded):
    assert set(recorded) == {purpose.number for purpose in PURPOSES}


@pytest.mark.slow
@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_indices_are_what_the_table_says(recorded, purpose):
    by_time = defaultdict(set)
    by_step = defaultdict(set)
    for step, key, t_ms, index in recorded[purpose.number]:
        by_time[key, t_ms].add(index)
        by_step[step, key].add((t_ms, index))
    wrong = {who: found for who, found in by_time.items() if not INDICES[purpose.index_is](found)}
    assert wrong == {}
    is_opening = purpose.per_step.endswith(AT_THE_OPENING)
    if is_opening:
        assert {step for step, _ in by_step} == {0}
    most = purpose.per_step.split()[0]
    if most.isdigit():
        counts = [len(found) for (step, _), found in by_step.items() if is_opening or step > 0]
        assert max(counts) <= int(most)


@pytest.mark.slow
@pytest.mark.parametrize(
    "purpose", [p for p in PURPOSES if p.name not in SHARED], ids=lambda purpose: purpose.name
)
def test_nothing_is_drawn_twice_in_a_step(recorded, purpose):
    world_opens = purpose.key != "account"  # twice: once to build the population on
    twice = [
        draw
        for draw, times in recorded[purpose.number].items()
        if times > 1 and not (world_opens and draw[0] == 0)
    ]
    assert twice == []


@pytest.mark.slow
@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_keys_are_whose_the_table_says(recorded, purpose):
    keys = {key for _, key, _, _ in recorded[purpose.number]}
    if purpose.key == "account":
        assert min(keys) >= 2**20
    else:
        assert keys <= ({0} if purpose.key == "asset 0" else {0, 1})


class Recorder:
    """Stands in for the functions that draw, wherever a module has them by name."""

    def __init__(self):
        self.step = 0
        self.times = defaultdict(int)

    def listen(self):
        from stressbook.market.numbers import philox

        for name in ("uniform", "draw_bits", "uniforms"):
            function = getattr(philox, name)
            heard = (self._many if name == "uniforms" else self._one)(function)
            for module_name, module in list(sys.modules.items()):
                if module_name.startswith("stressbook.") and vars(module).get(name) is function:
                    setattr(module, name, heard)

    def _one(self, function):
        def heard(key0, key1, purpose, account_key, t_ms, index):
            self._add(purpose, account_key, t_ms, index)
            return function(key0, key1, purpose, account_key, t_ms, index)

        return heard

    def _many(self, function):
        def heard(key0, key1, *, purpose, account_key, t_ms, index=0):
            for draw in np.broadcast(account_key, t_ms, index):
                self._add(purpose, *draw)
            return function(
                key0, key1, purpose=purpose, account_key=account_key, t_ms=t_ms, index=index
            )

        return heard

    def _add(self, purpose, *draw):
        self.times[int(purpose), self.step, *(int(word) for word in draw)] += 1


def main():
    """Print what a run draws, one row [purpose, step, key, t_ms, index, times] each."""
    import stressbook as sb
    from stressbook.experiments.caps.law import Draw, ScenarioLaw
    from stressbook.experiments.simulation import Simulation

    class Drawing(sb.Account):
        def decide(self, view, out):
            for index in OWN_INDICES:
                view.uniform(index)

    changes = CHANGES | {"agents": CHANGES["agents"] | {"Drawing": {}}}
    scenario = sb.scenario("skeleton").with_(**changes)
    recorder = Recorder()
    recorder.listen()
    draws = tuple(Draw(name, 0.0, 1.0, "1", "assumed") for name in ("fall", "load"))
    ScenarioLaw("", 0.0, 1.0, 0.0, 1.0, draws, {}, {}, ()).drawn(5)
    sim = Simulation(scenario.resolved, seed=5)
    for desk in sim.desks:
        if desk.rule.name == "holder":
            desk.parameters["equity_usd"] *= 10.0  # they find themselves ruined
    for _ in range(N_STEPS):
        recorder.step += 1
        sim.step()
    json.dump([[*draw, times] for draw, times in recorder.times.items()], sys.stdout)


if __name__ == "__main__":
    main()
