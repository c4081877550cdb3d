"""Tables of the study of two regimes, laid out: labels, units, intervals, words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from stressbook.experiments.claims import Claim
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.report.breakage import has_broken
from stressbook.report.layout import Table, table_of, zeros_note
from stressbook.report.numbers import (
    NONE,
    UNITS,
    Cell,
    cell,
    is_zero,
    k_usd,
    percent,
    plain,
    unit_of_size,
    usd,
)
from stressbook.report.shock import shock_window_min
from stressbook.report.study_tables import (
    Measure,
    amplifications,
    cap_rows,
    class_rows,
    drift_rows,
    refusal_rows,
    regime_claims,
    utilisation,
)
from stressbook.report.timeline_panels import LOWEST, STRESS_ENDS, milestones

__all__ = [
    "amplification_table",
    "cap_table",
    "class_table",
    "drift_table",
    "milestone_table",
    "outcome_table",
    "refusal_table",
    "seed_table",
]

_DIGITS: Final = 16  # of a digest that a table shows; study.json has it whole
_MARKS: Final = {
    "higher": "▲ higher",
    "lower": "▼ lower",
    "equal": "= equal",
    "inside noise": "≈ inside placebo noise",
    "inconclusive": "? inconclusive",
    "not evidence": "∅ not evidence",
}


def outcome_table(
    study: RegimeStudy, measures: tuple[Measure, ...], *, arm: str, caption: str
) -> Table:
    """Return portfolio against cross margin in one arm, an outcome a row."""
    has_noise = arm.startswith("R") and "Z" in study.plan.arms
    judged = regime_claims(study, measures, arm=arm)
    rows = [_outcome_row(m, c, has_noise=has_noise) for m, c in judged if not _is_nothing(c)]
    zeros = [m.label for m, c in judged if _is_nothing(c)]
    note = zeros_note(zeros, where=" in every seed under both regimes")
    head = ["", "unit", "hyperliquid-pm", "cross", "difference", "correlation"]
    head += ["placebo", "p"] if has_noise else ["p"]
    return table_of(caption, [*head, "portfolio is"], rows, words=(len(head),), note=note)


def _is_nothing(claim: Claim) -> bool:
    """Tell whether an outcome is zero in every seed under both regimes."""
    return is_zero(claim.treated) and is_zero(claim.control)


def _outcome_row(measure: Measure, claim: Claim, *, has_noise: bool) -> list[Cell | str]:
    name = unit_of_size(measure.unit, claim.treated.value, claim.control.value)
    unit = UNITS[name]
    noise = unit.text(claim.noise * unit.factor)
    least = -math.inf if measure.is_signed else 0.0
    row: list[Cell | str] = [
        measure.label,
        unit.label,
        cell(claim.treated, name, at_least=least),
        cell(claim.control, name, at_least=least),
        cell(claim.difference, name, is_difference=True),
        plain(claim.correlation, 2),
    ]
    row += [f"± {noise}" if math.isfinite(claim.noise) else NONE] if has_noise else []
    word = measure.not_judged or _MARKS[claim.word]
    return [*row, _p_text(claim.p), word]


def _p_text(p: float) -> str:
    if not math.isfinite(p):
        return NONE
    return "<\N{NO-BREAK SPACE}0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def milestone_table(study: RegimeStudy) -> Table:
    """Return when things first happened in the median seed, and in how many seeds they did."""
    stress_min = shock_window_min(study.plan.stresses)[1]
    found = [
        [milestones(run.episodes["R"].timeline, stress_min=stress_min) for run in study.of(regime)]
        for regime in REGIMES
    ]
    place = [run.seed for run in study.of(REGIMES[0])].index(study.median_seed)
    rows = []
    for name in found[0][0]:
        times = (_minute(of_regime[place][name]) for of_regime in found)
        counts = (
            NONE
            if name in (LOWEST, STRESS_ENDS)
            else str(sum(math.isfinite(x[name]) for x in of_regime))
            for of_regime in found
        )
        rows.append((name, *times, *counts))
    n = len(study.plan.seeds)
    head = (
        "end of the half minute, minutes from the onset",
        *(f"{regime} margin, seed {study.median_seed}" for regime in REGIMES),
        *(f"{regime} margin, seeds of {n}" for regime in REGIMES),
    )
    return table_of("When it first happened, and in how many seeds", head, rows)


def _minute(minute: float) -> str:
    return f"{minute:.1f}" if math.isfinite(minute) else "never"


def seed_table(study: RegimeStudy) -> Table:
    """Return what happened in each seed under each regime."""
    rows = []
    for seed in study.plan.seeds:
        for regime in REGIMES:
            run = next(r for r in study.of(regime) if r.seed == seed)
            fall = 1.0 - math.exp(-float(run.arms["R"].log_drawdown[study.plan.target_index]))
            found = run.episodes["R"].outcomes
            rows.append(
                (
                    f"{seed}, {regime}",
                    percent(fall),
                    percent(found["liquidated_frac"]),
                    k_usd(found["backstop_low_usd"]),
                    plain(found["n_deleveragings"], 0),
                    k_usd(found["treasury_paid_usd"]),
                    _ending_of(run),
                    run.episodes["R"].digest[:_DIGITS],
                )
            )
    head = (
        "seed, margin",
        "largest fall, %",
        "liquidated, % of open interest",
        "backstop's lowest equity, k USD",
        "counterparties deleveraged, events",
        "paid by the treasury, k USD",
        "backstop and debt",
        "digest, SHA-256",
    )
    return table_of(f"Stressed, {study.plan.target}", head, rows, words=(6, 7))


def _ending_of(run: RegimeRun) -> str:
    if not has_broken(run):
        return "held"
    is_empty = run.episodes["R"].outcomes["backstop_short_usd"] > 0.0
    return "emptied" if is_empty else "debt written off"


def cap_table(study: RegimeStudy) -> Table:
    """Return the use of each cap under portfolio margin, and of what was lent."""
    rows: list[tuple[Cell | str, ...]] = [
        (
            row.label,
            usd(row.cap),
            cell(row.onset, "usd"),
            _share(row.onset_share),
            usd(row.end_cap),
            cell(row.end, "usd"),
            _share(row.end_share),
        )
        for row in cap_rows(study)
    ]
    onset, end, _ = utilisation(study)
    if onset.value > 0.0:
        shares = NONE, NONE, _share(onset), NONE, NONE, _share(end)
        rows.append(("Utilisation: borrowed of lent", *shares))
    return table_of(
        "Portfolio margin, M USD",
        (
            "",
            "cap at the onset",
            "used at the onset",
            "of that cap",
            "cap at the end, stressed",
            "used at the end, stressed",
            "of that cap",
        ),
        rows,
    )


def _share(share: Estimate) -> Cell:
    found = cell(share, "frac", at_least=0.0)
    return found._replace(text=f"{found.text} %")


def amplification_table(study: RegimeStudy) -> Table:
    """Return what forced trading and withdrawal added, of both regimes."""
    found = amplifications(study)
    rows: list[list[Cell | str]] = [
        [label, unit, *(pick(found[regime]) for regime in REGIMES)]
        for label, unit, pick in _AMPLIFICATION
    ]
    return table_of(
        f"How the fall of {study.plan.target} grew",
        ("", "unit", *(f"{regime} margin" for regime in REGIMES)),
        rows,
    )


def _ratio(estimate: Estimate | None) -> Cell:
    return Cell("undefined") if estimate is None else cell(estimate, "ratio")


_AMPLIFICATION: Final[tuple[tuple[str, str, Callable[[Any], Cell]], ...]] = (
    (
        "what trading at the venue adds, below zero: absorbs: N - P",
        "log points",
        lambda a: cell(a.absorbed, "frac", is_difference=True),
    ),
    (
        "defence while nothing is forced: F - N",
        "log points",
        lambda a: cell(a.defence, "frac", is_difference=True),
    ),
    (
        "forced trading and the withdrawal it sets off: R - F",
        "log points",
        lambda a: cell(a.forced, "frac", is_difference=True),
    ),
    ("all of it: R - P", "log points", lambda a: cell(a.whole, "frac", is_difference=True)),
    ("price amplification: (R - 0) / (F - 0)", "ratio", lambda a: _ratio(a.price)),
    ("the same against frozen holdings: (R - 0) / (P - P0)", "ratio", lambda a: _ratio(a.frozen)),
    ("passive loss: P against P0", "M USD", lambda a: cell(a.passive_loss, "usd")),
    ("loss of R against 0, less the placebo's", "M USD", lambda a: cell(a.loss, "usd")),
    ("loss amplification: that loss / passive loss", "ratio", lambda a: _ratio(a.loss_ratio)),
)


def class_table(study: RegimeStudy) -> Table:
    """Return who gained and who lost under stress; net of revaluation the rows sum to zero."""
    rows: list[Sequence[Cell | str]] = [
        (
            row.label,
            *(
                usd(x.value) if row.label != "outside market and price gaps" else NONE
                for x in row.equity
            ),
            *(
                cell(part[j], "usd", is_difference=True)
                for j in range(len(REGIMES))
                for part in (row.revaluation, row.net)
            ),
            cell(row.difference, "usd", is_difference=True),
        )
        for row in class_rows(study)
    ]
    head = ["", *(f"{regime}: equity at the onset" for regime in REGIMES)]
    head += [f"{regime}: {what}" for regime in REGIMES for what in ("revaluation", "net of it")]
    return table_of(
        "Stressed run, from the onset to its end, M USD",
        [*head, "portfolio less cross, both parts"],
        rows,
        totals=("sum",),
    )


def drift_table(study: RegimeStudy) -> Table:
    """Return whether the market stood still before the onset."""
    minutes = len(next(iter(study.runs[0].before.values())))
    rows = [
        (
            row.label,
            *(
                x
                for j in range(2)
                for x in (cell(row.drift[j], "frac", is_difference=True), row.word[j])
            ),
        )
        for row in drift_rows(study)
    ]
    head = ["", *(x for r in REGIMES for x in (f"{r}: % an hour", "word"))]
    return table_of(
        f"Drift over the last {minutes} minutes before the onset, {study.plan.target}",
        head,
        rows,
        words=(2, 4),
    )


def near_breach_table(study: RegimeStudy) -> Table:
    """Return how much of the opening books stood close to a breach."""
    rows: list[tuple[Cell | str, ...]] = []
    for k, size in enumerate(("one deviation", "three deviations")):
        means = [mean_estimate([run.near_breach_usd[k] for run in study.of(r)]) for r in REGIMES]
        cells = (cell(mean, "usd", at_least=0.0) for mean in means)
        rows.append((f"within {size} of the warm-up's move", *cells))
    return table_of("Perps near a breach at the opening, M USD", ["", *REGIMES], rows)


def refusal_table(study: RegimeStudy) -> Table:
    """Return refused messages by reason."""
    rows = [
        (name, *(UNITS["count"].text(e.value) for e in found))
        for name, found in refusal_rows(study)
    ]
    head = ["reason", *(f"{r}, {word}" for r in REGIMES for word in ("calm", "stressed"))]
    return table_of("Messages refused", head, rows or [("none", "0", "0", "0", "0")])
