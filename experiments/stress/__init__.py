"""Changes imposed on the market: dials in, dials out."""

from stressbook.experiments.stress.arbitrage_outage import ArbitrageOutage
from stressbook.experiments.stress.base import REGISTRY, Stress
from stressbook.experiments.stress.correlation_break import CorrelationBreak
from stressbook.experiments.stress.depth_thinning import DepthThinning
from stressbook.experiments.stress.dials import Dials
from stressbook.experiments.stress.lender_run import LenderRun
from stressbook.experiments.stress.liquidator_outage import LiquidatorOutage
from stressbook.experiments.stress.parameter_step import ParameterStep
from stressbook.experiments.stress.price_gap import PriceGap
from stressbook.experiments.stress.risk_check_delay import RiskCheckDelay
from stressbook.experiments.stress.schedule import StressSchedule
from stressbook.experiments.stress.venue_halt import VenueHalt

__all__ = [
    "REGISTRY",
    "ArbitrageOutage",
    "CorrelationBreak",
    "DepthThinning",
    "Dials",
    "LenderRun",
    "LiquidatorOutage",
    "ParameterStep",
    "PriceGap",
    "RiskCheckDelay",
    "Stress",
    "StressSchedule",
    "VenueHalt",
]
