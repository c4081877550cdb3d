"""Changes imposed on the market: dials in, dials out."""

from stressbook.experiments.stress.base import REGISTRY, Stress
from stressbook.experiments.stress.correlation_break import CorrelationBreak
from stressbook.experiments.stress.depth_thinning import DepthThinning
from stressbook.experiments.stress.dials import Dials
from stressbook.experiments.stress.price_gap import PriceGap
from stressbook.experiments.stress.schedule import StressSchedule
from stressbook.experiments.stress.venue_halt import VenueHalt

__all__ = [
    "REGISTRY",
    "CorrelationBreak",
    "DepthThinning",
    "Dials",
    "PriceGap",
    "Stress",
    "StressSchedule",
    "VenueHalt",
]
