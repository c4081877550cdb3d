"""Agent-based stress laboratory for a perpetuals-and-spot venue under portfolio margin.

Names load on first use, so that importing a part of the package does not pull in the rest.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stressbook.api import Account as Account
    from stressbook.api import AccountResult as AccountResult
    from stressbook.api import ArbitrageOutage as ArbitrageOutage
    from stressbook.api import CapResult as CapResult
    from stressbook.api import Conformity as Conformity
    from stressbook.api import CorrelationBreak as CorrelationBreak
    from stressbook.api import DepthThinning as DepthThinning
    from stressbook.api import Dials as Dials
    from stressbook.api import Effect as Effect
    from stressbook.api import EffectTable as EffectTable
    from stressbook.api import LenderRun as LenderRun
    from stressbook.api import LiquidatorOutage as LiquidatorOutage
    from stressbook.api import Outbox as Outbox
    from stressbook.api import ParameterStep as ParameterStep
    from stressbook.api import PriceGap as PriceGap
    from stressbook.api import Replicates as Replicates
    from stressbook.api import RiskCheckDelay as RiskCheckDelay
    from stressbook.api import RunResult as RunResult
    from stressbook.api import Scenario as Scenario
    from stressbook.api import Stress as Stress
    from stressbook.api import StudyResult as StudyResult
    from stressbook.api import VenueHalt as VenueHalt
    from stressbook.api import View as View
    from stressbook.api import account as account
    from stressbook.api import conform as conform
    from stressbook.api import demo as demo
    from stressbook.api import load_plugin as load_plugin
    from stressbook.api import param as param
    from stressbook.api import scenario as scenario
    from stressbook.api import size_cap as size_cap
    from stressbook.api import sweep as sweep
    from stressbook.errors import AgentError as AgentError
    from stressbook.errors import ConservationError as ConservationError
    from stressbook.errors import Interrupted as Interrupted
    from stressbook.errors import InvalidInput as InvalidInput
    from stressbook.errors import InvalidScenario as InvalidScenario
    from stressbook.errors import LadderExhausted as LadderExhausted
    from stressbook.errors import OverflowFault as OverflowFault
    from stressbook.errors import StressbookError as StressbookError
    from stressbook.errors import UnknownName as UnknownName

# The public names by the module that holds them.
# Type checkers cannot follow it: they read the imports above, which a test holds equal.
_PUBLIC = {
    "stressbook.errors": (
        "AgentError",
        "ConservationError",
        "Interrupted",
        "InvalidInput",
        "InvalidScenario",
        "LadderExhausted",
        "OverflowFault",
        "StressbookError",
        "UnknownName",
    ),
    "stressbook.api": (
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
    ),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__version__ = version("stressbook")
__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604 - built from one table on purpose


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
