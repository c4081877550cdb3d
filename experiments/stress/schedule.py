"""Which stresses act when, and the dials and rules that follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stressbook.errors import InvalidInput, StressbookError, StressError, place_of
from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.compiling.arrays import F64, Records
from stressbook.market.rules.changes import refusal_of
from stressbook.market.rules.spec import VenueSpec

__all__ = ["StressSchedule"]


class StressSchedule:
    """Stresses on the clock of a run.

    What it writes at a step depends on the time alone, so a run that is resumed from a snapshot
    meets the same dials.

    Parameters
    ----------
    stresses : sequence of Stress
        Applied in this order; they compose.
    assets : sequence of str
        In the order of the dial records.
    dt_ms : int
        Length of a step, ms.

    Raises
    ------
    InvalidInput
        If `dt_ms` is below 1.

    Examples
    --------
    >>> from stressbook.experiments.stress import DepthThinning
    >>> from stressbook.market.prices.dials import neutral_dials
    >>> thinning = DepthThinning(at=10, duration=5, cut_frac=0.9)
    >>> schedule = StressSchedule([thinning], assets=("BTC",), dt_ms=1000)
    >>> dials = neutral_dials(1)
    >>> [t for t in range(1, 20) if schedule.apply(dials, t * 1000)]
    [1, 11, 16]
    >>> float(dials[0].venue_depth)
    1.0
    """

    def __init__(self, stresses: Sequence[Stress], *, assets: Sequence[str], dt_ms: int) -> None:
        if dt_ms < 1:
            raise InvalidInput("is too short", name="dt_ms", value=dt_ms, allowed="1 or more ms")
        self.stresses = tuple(stresses)
        self.assets = tuple(assets)
        self.dt_ms = dt_ms
        self._windows = [_window_ms(stress) for stress in self.stresses]
        self._changes = self._steps_of_change()
        # The records may hold what another schedule wrote.
        self._is_fresh = True

    def apply(self, records: Records, t_ms: int) -> bool:
        """Write the dials of a step if they differ from those of the step before.

        Parameters
        ----------
        records : ndarray of DIAL, shape (n_assets,)
            Changed in place at the first call, and then only at steps where a stress starts, ends
            or changes severity.
        t_ms : int
            End of the step, ms.

        Returns
        -------
        bool
            True if the dials were written.
        """
        if not (self._is_fresh or self._may_change(t_ms)):
            return False
        self._is_fresh = False
        self.dials_at(t_ms).write(records)
        return True

    def _may_change(self, t_ms: int) -> bool:
        if self._changes is not None:
            return t_ms in self._changes
        return self.severities(t_ms) != self.severities(t_ms - self.dt_ms)

    def _steps_of_change(self) -> frozenset[int] | None:
        """Return the steps at which boxes start and end, None if a severity may move in between."""
        if any(type(stress).shape is not Stress.shape for stress in self.stresses):
            return None
        times = [time for window in self._windows for time in window]
        return frozenset((time // self.dt_ms + 1) * self.dt_ms for time in times)

    def severities(self, t_ms: int) -> tuple[float | None, ...]:
        """Return the severity of each stress at a step, None for those that do not act."""
        found: list[float | None] = []
        for stress, (start, end) in zip(self.stresses, self._windows, strict=True):
            if start < t_ms <= end:
                found.append(stress.severity * stress.shape((t_ms - start) / (end - start)))
            else:
                found.append(None)
        return tuple(found)

    def dials_at(self, t_ms: int) -> Dials:
        """Return the dials of a step, all stresses applied in order.

        Parameters
        ----------
        t_ms : int
            End of the step, ms.

        Returns
        -------
        Dials
        """
        dials = Dials.neutral(self.assets)
        for stress, severity in zip(self.stresses, self.severities(t_ms), strict=True):
            if severity is not None:
                dials = _applied(stress, dials, severity)
        return dials

    @property
    def changes_rules(self) -> bool:
        """Whether a stress changes numbers of the venue, at any time."""
        return any(type(stress).rules is not Stress.rules for stress in self.stresses)

    def rules_at(self, t_ms: int, spec: VenueSpec) -> VenueSpec:
        """Return the venue as it stands in a step, all stresses applied in order.

        Parameters
        ----------
        t_ms : int
            End of the step, ms.
        spec : VenueSpec
            The venue without them.

        Returns
        -------
        VenueSpec

        Raises
        ------
        InvalidInput
            If a number may not change during a run, or takes a value beyond its range.
        """
        for stress, (start, end) in zip(self.stresses, self._windows, strict=True):
            if t_ms <= start or (t_ms > end and not stress.stays):
                continue
            progress = min(1.0, (t_ms - start) / (end - start))
            spec = _changed(stress, spec, stress.severity * stress.shape(progress))
        return spec

    def correlation_target(self, correlation: F64) -> F64:
        """Return the matrix towards which the dial `correlation` moves in this run.

        Parameters
        ----------
        correlation : ndarray, shape (n_assets, n_assets), dtype float64
            Calm correlations. Not modified.

        Returns
        -------
        ndarray, shape (n_assets, n_assets), dtype float64
        """
        for stress in self.stresses:
            correlation = stress.correlation_target(correlation, assets=self.assets)
        return correlation


def _applied(stress: Stress, dials: Dials, severity: float) -> Dials:
    """Return what a stress makes of the dials; a mistake in a user's is told with its place."""
    try:
        found = stress.apply(dials, severity)
    except StressbookError:
        raise
    except (Exception, SystemExit) as error:
        place = place_of(error, outside=Path(__file__).parent)
        what = f"{type(error).__name__}: {error}".rstrip(".")
        raise StressError(
            f"failed in apply ({place}): {what}", name=type(stress).__name__
        ) from error
    if not isinstance(found, Dials):
        raise StressError(
            f"gave {type(found).__name__} in apply",
            name=type(stress).__name__,
            allowed="dials: every change gives a new object, which is returned",
        )
    return found


def _changed(stress: Stress, spec: VenueSpec, severity: float) -> VenueSpec:
    """Return the venue with the numbers that a stress changes; a mistake is told with its place."""
    try:
        values = dict(stress.rules(spec, severity))
    except StressbookError:
        raise
    except (Exception, SystemExit) as error:
        place = place_of(error, outside=Path(__file__).parent)
        what = f"{type(error).__name__}: {error}".rstrip(".")
        raise StressError(
            f"failed in rules ({place}): {what}", name=type(stress).__name__
        ) from error
    for number in values:
        reason, allowed = refusal_of(number)
        if reason:
            raise InvalidInput(reason, name=number, allowed=allowed)
    return spec.with_values(values) if values else spec


def _window_ms(stress: Stress) -> tuple[int, int]:
    start = round(stress.at_s * 1000.0)
    return start, start + round(stress.duration_s * 1000.0)
