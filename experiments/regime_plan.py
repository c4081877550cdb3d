"""What a study of two margin regimes runs: scenario, shock, arms, severities, outside laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from stressbook.errors import InvalidInput
from stressbook.experiments.arms import ARMS, Arm
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.stress import Stress
from stressbook.experiments.words import duration

__all__ = ["RegimePlan", "Variant", "demo_plan"]

_LEAST_WARMUP_S: Final = 240.0


@dataclass(frozen=True)
class Variant:
    """Another law of the outside.

    Parameters
    ----------
    name : str
        As tables show it.
    world : mapping
        Changes of `[world]`, as `Scenario.with_` takes them.
    """

    name: str
    world: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RegimePlan:
    """Everything that fixes a study.

    Parameters
    ----------
    scenario : Scenario
        Calm; its duration is the horizon.
    stresses : tuple of Stress
        The shock, from the end of the warm-up on.
    target : str
        Asset that the shock hits, which the study looks at.
    seeds : tuple of int
        Of the reference; the first `n_variant_seeds` of the variants.
    arms : tuple of str
        Of the reference; variants run `F` and `R`.
    severities : tuple of float
        Milder shocks that run beside the full one.
    variants : tuple of Variant
        Beside the reference.
    n_variant_seeds : int
        Seeds of each variant.
    summary : str
        The shock in a sentence.
    shock_name : str
        Of the catalogue scenario that the stresses are from; empty if they are from none.
    """

    scenario: Scenario
    stresses: tuple[Stress, ...]
    target: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...] = ARMS
    severities: tuple[float, ...] = (0.5,)
    variants: tuple[Variant, ...] = ()
    n_variant_seeds: int = 3
    summary: str = ""
    shock_name: str = ""

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InvalidInput("is empty", name="seeds", value=self.seeds, allowed="1 or more")
        if self.scenario.warmup_s < _LEAST_WARMUP_S:
            raise InvalidInput(
                "is too short to see a drift before the onset",
                name="warmup",
                value=self.scenario.warmup_s,
                allowed=f"{_LEAST_WARMUP_S:g} s or more",
            )

    @property
    def target_index(self) -> int:
        """Index of the target."""
        return self.scenario.assets.index(self.target)

    @property
    def variant_seeds(self) -> tuple[int, ...]:
        """Seeds of each variant."""
        return self.seeds[: self.n_variant_seeds]


def demo_plan(*, seeds: Sequence[int] = tuple(range(1, 9)), full: bool = False) -> RegimePlan:
    """Return the study behind the demo: HYPE breaks away and its books thin.

    Parameters
    ----------
    seeds : sequence of int
        Paired across regimes.
    full : bool, default False
        Warm up for an hour, look at two hours, and run variants on all seeds; the demo itself warms
        up for 20 minutes and looks at one hour.

    Returns
    -------
    RegimePlan

    Examples
    --------
    >>> plan = demo_plan()
    >>> plan.target, len(plan.seeds), plan.scenario.warmup_s
    ('HYPE', 8, 1200.0)
    """
    warmup_s, horizon_s = (3600.0, 7200.0) if full else (1200.0, 3600.0)
    broken = load_scenario("correlation-break")
    calm = load_scenario("hyperliquid").with_(warmup=warmup_s, duration=horizon_s)
    stresses = tuple(replace(stress, at=warmup_s) for stress in broken.stresses)
    summary = (
        f"The venue with {len(calm.assets)} assets, calm: {duration(horizon_s)} after "
        f"{duration(warmup_s)} of warm-up, under either margin regime."
    )
    return RegimePlan(
        scenario=replace(calm, summary=summary),
        stresses=stresses,
        target="HYPE",
        summary=broken.summary,
        shock_name=broken.name,
        seeds=tuple(seeds),
        variants=impact_variants(calm, "HYPE"),
        n_variant_seeds=len(seeds) if full else min(3, len(seeds)),
    )


def impact_variants(scenario: Scenario, target: str) -> tuple[Variant, ...]:
    """Return the range of the outside's impact: its slope, and where it turns concave."""
    asset = next(a for a in scenario.world.assets if a.name == target)
    slope, turn = asset.spot.impact_bp_per_musd, asset.spot.impact_concave_from

    def changed(name: str, **leg: float) -> Variant:
        return Variant(name, {target: {"spot": dict(leg), "perp": dict(leg)}})

    return (
        changed("impact x 0.3", impact_bp_per_musd=0.3 * slope),
        changed("impact x 2", impact_bp_per_musd=2.0 * slope),
        changed(f"concave from {100.0 * turn / 6.0:.0f} %", impact_concave_from=turn / 6.0),
        changed("never concave", impact_concave_from=10.0),
    )
