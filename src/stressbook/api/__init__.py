"""The Python face: what `import stressbook as sb` offers.

A scenario is looked at, changed, run and compared; own agents and stresses are classes.
"""

from stressbook.agents.base import Desk
from stressbook.api.result import RunResult
from stressbook.api.scenario import Scenario, demo, scenario
from stressbook.experiments.stress import (
    CorrelationBreak,
    DepthThinning,
    Dials,
    PriceGap,
    Stress,
)
from stressbook.market.parameters import param

__all__ = [
    "CorrelationBreak",
    "DepthThinning",
    "Desk",
    "Dials",
    "PriceGap",
    "RunResult",
    "Scenario",
    "Stress",
    "demo",
    "param",
    "scenario",
]
