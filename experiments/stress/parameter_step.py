"""A number of the venue that is changed during a run, for good or for a while."""

from __future__ import annotations

from stressbook.errors import Problem
from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.changes import changed_value, refusal_of
from stressbook.market.rules.parameters import param
from stressbook.market.rules.spec import VenueSpec

__all__ = ["ParameterStep"]


class ParameterStep(Stress):
    """A cap, a loan-to-value or another number of the venue takes another value at the onset.

    It acts from the first step of the stress on, in whatever has to look at the number then; agents
    see it one step later. With `reverts` it goes back at the end: a wrong parameter that was pushed
    and rolled back. A platform cap that is cut below its use leaves no room and calls nothing back;
    a user cap counts in the credit, so that its cut may put a borrower into breach.

    Parameters
    ----------
    place : str
        Of `stressbook.market.rules.changes.CHANGEABLE`: "tokens.USDC.platform_borrow_cap".
    to, factor : float, optional
        New value at severity 1, or what multiplies the present one; one of the two. Below severity
        1 the value lies as far on the way.
    reverts : bool
        Whether the old value comes back after the duration, which has no meaning otherwise.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> step = ParameterStep(place="tokens.HYPE.ltv", to=0.45, severity=0.5)
    >>> step.rules(load_preset("hyperliquid"), step.severity)
    {'tokens.HYPE.ltv': 0.55}
    """

    place: str = param("", unit="text", help="what is changed: tokens.USDC.platform_borrow_cap")
    to: float | None = param(None, unit="1", help="new value, in the unit of the number")
    factor: float | None = param(
        None, unit="1", help="or: multiplies the present value", low=0.0, high=1e6
    )
    reverts: bool = param(False, unit="switch", help="the old value comes back at the end")

    def problems(self) -> list[Problem]:
        """Tell what cannot be changed during a run; see `Stress.problems`."""
        found = []
        reason, allowed = refusal_of(self.place)
        if reason:
            found.append(Problem(reason, "place", self.place, allowed))
        if (self.to is None) == (self.factor is None):
            allowed = "one of `to` and `factor`"
            found.append(Problem("is not said once", "to", self.to, allowed))
        return found

    @property
    def stays(self) -> bool:
        """Whether the new value stays; see `Stress.stays`."""
        return not self.reverts

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Turn no dial; see `rules`."""
        return dials

    def rules(self, spec: VenueSpec, severity: float) -> dict[str, float]:
        """Return the changed number; see `Stress.rules`."""
        change = changed_value(spec, self.place, to=self.to, factor=self.factor, severity=severity)
        return {self.place: change}
