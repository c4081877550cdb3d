"""Calibration of world and flow: recordings in, parameters and targets with intervals out.

`calibrate` is the front door. An estimator per file, each of which recovers planted parameters
from simulated records in the tests; rows say what a number is for, so that what fits and what
judges stay apart.
"""

from stressbook.experiments.calibration.calibrate import calibrate
from stressbook.experiments.calibration.result import CalibrationResult, markdown_table
from stressbook.experiments.inference import Estimate

__all__ = ["CalibrationResult", "Estimate", "calibrate", "markdown_table"]
