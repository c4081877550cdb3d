"""Agent-based stress laboratory for a perpetuals-and-spot venue under portfolio margin.

Names load on first use, so that importing a part of the package does not pull in the rest.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

# The public names by the module that holds them; a new one is added here and nowhere else.
_PUBLIC = {
    "stressbook.errors": (
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
        "CorrelationBreak",
        "DepthThinning",
        "Desk",
        "Dials",
        "Outbox",
        "PriceGap",
        "RunResult",
        "Stress",
        "StudyResult",
        "View",
        "demo",
        "param",
        "scenario",
        "size_cap",
        "sweep",
    ),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__version__ = version("stressbook")
__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604 - built from one table on purpose


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
