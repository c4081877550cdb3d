"""Cases of other venues and of this one, one object each: kind, inputs, expected, tolerance."""

from stressbook.experiments.conform.margin_cases.kinds import margin_cases

__all__ = ["margin_cases"]
