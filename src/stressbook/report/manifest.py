"""Where a report comes from: sources with their dates, and what rebuilds it to the byte."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from stressbook.experiments.regimes import RegimeStudy
from stressbook.experiments.scenario import Scenario
from stressbook.market.kernel_cache import sources_digest
from stressbook.market.parameters import ASSUMED
from stressbook.report.layout import Table, table_of

__all__ = [
    "reproduce_table",
    "rule_table",
    "source_table",
    "study_manifest",
    "study_numbers",
    "versions",
]

_PACKAGES: Final = ("stressbook", "numpy", "numba", "mesa", "scipy", "matplotlib")


def versions() -> dict[str, str]:
    """Return the versions that numbers and pictures depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def reproduce_table(scenario: Scenario, seeds: str, digests: Mapping[str, str]) -> Table:
    """Return what fixes a result, and the digests that it came to."""
    rows = [
        ("scenario", f"{scenario.name}, SHA-256 {scenario.digest()}"),
        ("seeds", seeds),
        *((name, digest) for name, digest in digests.items()),
        ("digest of the sources", sources_digest()),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions().items())),
    ]
    return table_of("", ("what", "value"), rows, words=(1,))


def source_table(scenario: Scenario) -> Table:
    """Return what rules, world and behaviour rest on, each with its date."""
    spec = scenario.venue_spec()
    n_assumed = sum(ASSUMED in source for source in spec.sources.values())
    numbers = f"{n_assumed} of {len(spec.sources)} numbers assumed"
    rows = [
        ("rules of the venue", f"{spec.name}, as of {spec.as_of}; {numbers}"),
        ("behaviour of the crowd", f"data up to {scenario.behaviour_date}; defaults of each class"),
        *scenario.sources.items(),
    ]
    return table_of("", ("what", "source"), rows, words=(1,))


def rule_table(scenario: Scenario) -> Table:
    """Return the source of each number of the venue's rules."""
    rows = list(scenario.venue_spec().sources.items())
    return table_of("", ("number", "source"), rows, words=(1,))


def study_manifest(study: RegimeStudy) -> dict[str, Any]:
    """Return what a machine needs to rebuild the study and to check it."""
    plan = study.plan
    return {
        "schema": 1,
        "kind": "regimes",
        "scenario": plan.scenario.to_toml(),
        "scenario_digest": plan.scenario.digest(),
        "stresses": plan.scenario.stressed(*plan.stresses).to_table()["stresses"],
        "target": plan.target,
        "seeds": list(plan.seeds),
        "arms": list(plan.arms),
        "severities": list(plan.severities),
        "variants": {v.name: {k: dict(x) for k, x in v.world.items()} for v in plan.variants},
        "variant_seeds": list(plan.variant_seeds),
        "digest": study.digest,
        "episodes": study.digests,
        "versions": versions(),
    }


def study_numbers(study: RegimeStudy) -> list[dict[str, Any]]:
    """Return every number behind the tables, by run and arm: what a reader can trace a mean to.

    Returns
    -------
    list of dict
        One for each variant, regime, seed and arm; numbers that are none are left out.
    """
    rows = []
    for run in study.runs:
        place = {"variant": run.variant or "reference", "regime": run.regime, "seed": run.seed}
        for arm, found in run.arms.items():
            numbers = {
                "loss_usd": found.loss_usd,
                "opening_equity_usd": found.opening_equity_usd,
            }
            for k, asset in enumerate(study.plan.scenario.assets):
                numbers[f"log_fall_{asset}"] = float(found.drawdown_frac[k])
                numbers[f"liquidated_frac_{asset}"] = float(found.liquidated_frac[k])
            if arm in run.episodes:
                numbers |= run.episodes[arm].outcomes
            kept = {name: x for name, x in numbers.items() if math.isfinite(x)}
            rows.append({**place, "arm": arm, "numbers": kept})
    return rows
