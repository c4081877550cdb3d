"""The Python face: what `import stressbook as sb` offers.

A scenario is looked at, changed, run and compared; own agents and stresses are classes.
"""

from stressbook.agents.account import Account
from stressbook.agents.own_outbox import OutboxView as Outbox
from stressbook.agents.own_view import View
from stressbook.api.account_result import AccountResult, account
from stressbook.api.cap import CapResult, size_cap
from stressbook.api.conformity import Conformity, conform
from stressbook.api.effect import Effect
from stressbook.api.effect_table import EffectTable
from stressbook.api.replicates import Replicates
from stressbook.api.result import RunResult
from stressbook.api.scenarios import Scenario, demo, scenario
from stressbook.api.study import StudyResult, sweep
from stressbook.experiments.plugins import load_plugin
from stressbook.experiments.stress import (
    ArbitrageOutage,
    CorrelationBreak,
    DepthThinning,
    Dials,
    LenderRun,
    LiquidatorOutage,
    ParameterStep,
    PriceGap,
    RiskCheckDelay,
    Stress,
    VenueHalt,
)
from stressbook.market.rules.parameters import param

__all__ = [
    "Account",
    "AccountResult",
    "ArbitrageOutage",
    "CapResult",
    "Conformity",
    "CorrelationBreak",
    "DepthThinning",
    "Dials",
    "Effect",
    "EffectTable",
    "LenderRun",
    "LiquidatorOutage",
    "Outbox",
    "ParameterStep",
    "PriceGap",
    "Replicates",
    "RiskCheckDelay",
    "RunResult",
    "Scenario",
    "Stress",
    "StudyResult",
    "VenueHalt",
    "View",
    "account",
    "conform",
    "demo",
    "load_plugin",
    "param",
    "scenario",
    "size_cap",
    "sweep",
]
