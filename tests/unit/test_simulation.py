"""What a simulation leaves behind."""

import gc
import weakref

from stressbook.experiments.accounting import N_CLASSES, OTHER_CLASS
from stressbook.experiments.episode import CLASS_LABELS
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.numbers.draws import CLASS_NUMBERS


def test_a_closed_simulation_is_freed_with_the_last_reference_and_can_be_read_until_then():
    scenario = load_scenario("skeleton").with_(warmup=0.0, duration=10.0, stresses=[])
    for _ in range(2):  # compiling, in the first, keeps frames that refer to it
        sim = Simulation(scenario, seed=7, uncompiled=("lender",))
        sim.advance(2)
        before = sim.digest()
        sim.close()
    assert sim.digest() == before
    seen = weakref.ref(sim)
    gc.disable()
    try:
        del sim
        assert seen() is None
    finally:
        gc.enable()


def test_every_shipped_class_has_a_row_of_its_own_in_the_sums():
    shipped = {name: number for name, number in CLASS_NUMBERS.items() if name != "backstop"}
    assert max(shipped.values()) < OTHER_CLASS < min(CLASS_NUMBERS["backstop"], N_CLASSES)
    assert [CLASS_LABELS[k] for k in shipped.values()] == [n.replace("_", " ") for n in shipped]
