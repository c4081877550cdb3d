"""Where a report comes from: sources with their dates, and what rebuilds it to the byte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from stressbook.experiments.episode import CLASS_LABELS, CapUse, Episode
from stressbook.experiments.plugins import plugin_sources
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.experiments.run import versions as run_versions
from stressbook.experiments.scenario import Scenario
from stressbook.market.compiling.kernel_cache import sources_digest
from stressbook.market.rules.parameters import ASSUMED
from stressbook.report.layout import Table, table_of

__all__ = [
    "plugin_digests",
    "reproduce_table",
    "source_table",
    "study_manifest",
    "study_numbers",
    "study_timelines",
    "versions",
]


def versions() -> dict[str, str]:
    """Return the versions that numbers and pictures depend on."""
    return {**run_versions(), "matplotlib": version("matplotlib")}


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


def plugin_digests(scenario: Scenario) -> dict[str, str]:
    """Return the files of own agents and stresses as rows of `reproduce_table`."""
    found = {}
    for module, path in plugin_sources(scenario):
        if path is None:
            found[f"plugin {module}"] = "typed in, no file holds it"
        else:
            found[f"plugin {path.name}"] = f"SHA-256 {sha256(path.read_bytes()).hexdigest()}"
    return found


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


def study_manifest(study: RegimeStudy) -> dict[str, Any]:
    """Return what a machine needs to rebuild the study and to check it."""
    plan = study.plan
    return {
        "schema": 1,
        "kind": "regimes",
        "scenario": plan.scenario.to_toml(),
        "scenario_digest": plan.scenario.digest(),
        "stresses": plan.scenario.stressed(*plan.stresses).to_table()["stresses"],
        "shock_name": plan.shock_name,
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
        One for each variant, regime, seed and arm. Arms that ran everything, or nothing but the
        calm market, also have classes, caps and refusals; the calm arm of the reference has what
        came before the onset. Numbers that are none are left out.
    """
    return [
        {
            "variant": run.variant or "reference",
            "regime": run.regime,
            "seed": run.seed,
            "arm": arm,
            **_arm_numbers(study, run, arm),
        }
        for run in study.runs
        for arm in run.arms
    ]


def _arm_numbers(study: RegimeStudy, run: RegimeRun, arm: str) -> dict[str, Any]:
    found = run.arms[arm]
    numbers = {"loss_usd": found.loss_usd, "opening_equity_usd": found.opening_equity_usd}
    for k, asset in enumerate(study.plan.scenario.assets):
        numbers[f"log_fall_{asset}"] = float(found.log_drawdown[k])
        numbers[f"liquidated_frac_{asset}"] = float(found.liquidated_frac[k])
    more: dict[str, Any] = {}
    if arm in run.episodes:
        episode = run.episodes[arm]
        numbers |= episode.outcomes
        numbers["outside_gain_usd"] = episode.outside_usd
        more = {
            "classes": _classes(episode),
            "caps": _caps(episode.caps, study),
            "refusals": episode.refusals,
        }
    if arm == "0":
        more |= {
            "n_accounts": run.n_accounts,
            "under_portfolio_margin_at_onset": run.enrolled._asdict(),
            "near_breach_at_opening_usd": list(run.near_breach_usd),
            "minutes_before_onset": {k: x.tolist() for k, x in run.before.items()},
            "caps_at_onset": _caps(run.caps, study),
        }
    return {"numbers": {k: x for k, x in numbers.items() if math.isfinite(x)}, **more}


def _classes(episode: Episode) -> dict[str, dict[str, float]]:
    names = ("equity_at_onset_usd", "change_usd", "of_it_revaluation_usd")
    return {
        label: dict(zip(names, map(float, row), strict=True))
        for label, row in zip(CLASS_LABELS, episode.classes, strict=True)
        if row.any()
    }


def _caps(caps: tuple[CapUse, ...], study: RegimeStudy) -> dict[str, dict[str, float]]:
    assets = study.plan.scenario.assets
    return {use.name.format(*assets): {"used_usd": use.used, "cap_usd": use.cap} for use in caps}


def study_timelines(study: RegimeStudy) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """Return the timelines that the page draws: of the median seed, by regime and arm."""
    return {
        regime: {
            arm: {
                name: [float(x) if math.isfinite(x) else None for x in values]
                for name, values in run.episodes[arm].timeline._asdict().items()
            }
            for arm in ("0", "R")
        }
        for regime in REGIMES
        for run in study.of(regime)
        if run.seed == study.median_seed
    }
