"""The report of the study of two regimes: from runs to one HTML file."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from stressbook.experiments.accounting import OTHER_CLASS
from stressbook.experiments.arms import COMPARED
from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.episode import CLASS_LABELS
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.words import duration
from stressbook.report import study_figures as figures
from stressbook.report import study_layout as layout
from stressbook.report.ending import ending_text
from stressbook.report.impact import impact_text, size_table
from stressbook.report.layout import Picture
from stressbook.report.loss_tables import study_loss_table
from stressbook.report.manifest import reproduce_table, source_table, study_manifest
from stressbook.report.numbers import percent, plain, told
from stressbook.report.page import embedded_json, render, write_page
from stressbook.report.rule_tables import deciding_table, margin_note, margin_tables, rule_table
from stressbook.report.scale import withdrawal_text
from stressbook.report.shock import shock_table, shock_window_min
from stressbook.report.study_tables import CALM, DRIFT_BAND, STRESSED, class_rows, utilisation
from stressbook.report.svg import COLOURS, house_style, svg_of
from stressbook.report.timeline_figure import draw_timelines
from stressbook.report.timeline_panels import premium_text, timeline_panels
from stressbook.report.verdict import verdict_of

__all__ = ["study_html", "write_study_report"]


def write_study_report(study: RegimeStudy, path: Path) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    study : RegimeStudy
        All runs.
    path : Path
        Of the HTML file; its folder is made if it is missing.

    Returns
    -------
    Path
        The same file, byte for byte, for the same study and versions.
    """
    return write_page(path, study_html(study))


def study_html(study: RegimeStudy) -> str:
    """Return the report of a study as HTML."""
    with house_style():
        pictures = _pictures(study)
    return render("study.html.j2", _words(study) | _tables(study) | pictures)


def _words(study: RegimeStudy) -> dict[str, Any]:
    plan, n = study.plan, len(study.plan.seeds)
    scenario = plan.scenario
    return {
        "title": "What did portfolio margin change, and what broke?",
        "version": version("stressbook"),
        "scenario_name": scenario.name,
        "shock_name": _shock_name(study),
        "rules_date": scenario.rules_date,
        "behaviour_date": scenario.behaviour_date,
        "verdict": verdict_of(study),
        "n": n,
        "n_variant": len(plan.variant_seeds),
        "min_pairs": MIN_PAIRS,
        "target": plan.target,
        "shock_summary": plan.summary,
        "assets": ", ".join(scenario.assets),
        "dt": duration(scenario.dt_s),
        "warmup": duration(scenario.warmup_s),
        "is_short": scenario.warmup_s < 3600.0,
        "horizon": duration(scenario.duration_s),
        "median_seed": study.median_seed,
        "impact": impact_text(study),
        "n_accounts": _account_text(study),
        "peaks": [percent(x) for x in utilisation(study)[2]],
        "ending": ending_text(study),
        "withdrawal": withdrawal_text(study),
        "premiums": _premiums(study),
        "backstop": _backstop_text(study),
        "alone": f'run_demo("alone", seeds=({plan.seeds[0]},))',
        "drift_minutes": len(next(iter(study.runs[0].before.values()))),
        "drift_band": percent(DRIFT_BAND),
        "scenario_toml": _stressed(study).to_toml(),
        "manifest": embedded_json(study_manifest(study)),
        "commands": _commands(study),
    }


def _commands(study: RegimeStudy) -> list[str]:
    plan, n = study.plan, len(study.plan.seeds)
    is_long = plan.scenario.warmup_s >= 3600.0
    typed = f"stressbook demo --seeds {n}{' --full' if is_long else ''}"
    call = f'run_demo("demo", seeds={plan.seeds!r}{", full=True" if is_long else ""})'
    python = f"from stressbook.report import run_demo\n\n{call}"
    return [typed, python] if plan.seeds == tuple(range(1, n + 1)) else [python]


def _tables(study: RegimeStudy) -> dict[str, Any]:
    plan = study.plan
    milder = [
        layout.outcome_table(study, STRESSED, arm=f"R@{s:g}", caption=f"Stressed at severity {s:g}")
        for s in plan.severities
    ]
    has_arms = set(COMPARED) <= set(plan.arms)
    loss_table = study_loss_table(study)
    digests = {"shock": _shock_name(study), "study digest": f"SHA-256 {study.digest}"}
    return {
        "shock": shock_table(plan.stresses, assets=plan.scenario.assets),
        "calm": layout.outcome_table(study, CALM, arm="0", caption="Calm: the same hour, no shock"),
        "stressed": layout.outcome_table(
            study, STRESSED, arm="R", caption="Stressed: the shock in full"
        ),
        "losses": loss_table,
        "milder": milder,
        "milestones": layout.milestone_table(study),
        "seeds": layout.seed_table(study),
        "caps": layout.cap_table(study),
        "amplification": layout.amplification_table(study) if has_arms else None,
        "sizes": size_table(study) if plan.variants else None,
        "class_table": layout.class_table(study),
        "drift": layout.drift_table(study),
        "near_breach": layout.near_breach_table(study),
        "refusals": layout.refusal_table(study),
        "sources": source_table(plan.scenario),
        "deciding": deciding_table(plan.scenario),
        "margin_books": margin_tables(plan.scenario, first=REGIMES),
        "margin_note": margin_note(plan.scenario, first=REGIMES),
        "rules": rule_table(plan.scenario),
        "reproduce": reproduce_table(plan.scenario, _seed_text(plan.seeds), digests),
    }


def _shock_name(study: RegimeStudy) -> str:
    plan = study.plan
    of = f" of {plan.shock_name}" if plan.shock_name else ""
    return f"shock{of} to {plan.target}"


def _stressed(study: RegimeStudy) -> Scenario:
    """Return what the stressed arms run: the calm scenario with its shock in it."""
    plan = study.plan
    shown = plan.scenario.stressed(*plan.stresses)
    return replace(shown, summary=plan.summary) if plan.summary else shown


def _premiums(study: RegimeStudy) -> str:
    """Return where the mark left the oracle in the runs that are drawn."""
    parts = []
    for regime in REGIMES:
        run = next(r for r in study.of(regime) if r.seed == study.median_seed)
        parts.append(f"{premium_text(run.episodes['R'].timeline)} ({regime})")
    return "; ".join(parts)


def _backstop_text(study: RegimeStudy) -> str:
    """Return the change of the backstop with both parts in one: what it took over was its risk."""
    label = CLASS_LABELS[OTHER_CLASS]
    row = next((row for row in class_rows(study) if row.label == label), None)
    if row is None:
        return ""
    first, second = (told(change, "usd") for change in row.change)
    return (
        f"The parts of {label} belong together, as what is taken over is revalued from then on: "
        f"{first} under portfolio and {second} under cross margin."
    )


def _account_text(study: RegimeStudy) -> str:
    """Return how many accounts there are, as a range where seeds differ."""
    counts = [run.n_accounts for run in study.runs if not run.variant]
    low, high = (plain(x, 0) for x in (min(counts), max(counts)))
    return low if low == high else f"{low} to {high}"


def _seed_text(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _pictures(study: RegimeStudy) -> dict[str, Picture | None]:
    target = study.plan.target
    axis = "largest fall of the mark, %"
    drawn: dict[str, tuple[str, Any]] = {
        "doses": (
            f"Fall and liquidations of {target} by severity of the shock",
            figures.draw_doses(study),
        ),
        "timeline": (f"{target} in the stressed run, under both regimes", _timeline(study)),
        "classes": (
            "Change of equity by class, stressed run",
            figures.draw_classes(class_rows(study)[:-1]),
        ),
    }
    if set(COMPARED) <= set(study.plan.arms):
        drawn["arms"] = (
            f"Largest fall of {target} with parts of the answer switched off",
            figures.draw_dots(figures.arm_dots(study), unit=axis).figure,
        )
    if study.plan.variants:
        drawn["size"] = (
            f"Largest fall of {target} under other laws of the outside's impact",
            figures.draw_dots(figures.size_dots(study), unit=axis).figure,
        )
    none: dict[str, Picture | None] = {"arms": None, "size": None}
    return none | {
        name: Picture(title, Markup(svg_of(figure, name=name)))
        for name, (title, figure) in drawn.items()
    }


def _timeline(study: RegimeStudy) -> Figure:
    plan, seed = study.plan, study.median_seed
    cap_usd = plan.scenario.venue_spec().tokens[0].platform_borrow_cap
    columns = {}
    for regime in REGIMES:
        run = next(r for r in study.of(regime) if r.seed == seed)
        columns[f"{regime.capitalize()} margin"] = timeline_panels(
            run.episodes["R"].timeline,
            colour=COLOURS[regime],
            control=run.episodes["0"].timeline,
            cap_usd=cap_usd if regime == REGIMES[0] else 0.0,
        )
    return draw_timelines(columns, window_min=shock_window_min(plan.stresses))
