"""The report of a single run: what happened, who gained, and that one draw is no evidence."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from stressbook.experiments.accounting import OTHER_CLASS
from stressbook.experiments.episode import CLASS_LABELS
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.outcomes import meaning_of, unit_of
from stressbook.experiments.run import RunRecord, manifest
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.scenario_files.file import catalogue_names
from stressbook.experiments.timeline import BIN_S, Timeline, timeline_of
from stressbook.experiments.words import duration
from stressbook.market.state.codes import EVENT_NAMES
from stressbook.report.layout import Picture, Table, table_of, zeros_note
from stressbook.report.loss_tables import run_loss_table
from stressbook.report.manifest import plugin_digests, reproduce_table, source_table
from stressbook.report.numbers import NONE, UNITS, signed, unit_of_size, usd
from stressbook.report.page import embedded_json, render, write_page
from stressbook.report.rule_tables import deciding_table, margin_note, margin_tables, rule_table
from stressbook.report.run_verdict import run_sentences
from stressbook.report.shock import shock_table, shock_window_min
from stressbook.report.svg import COLOURS, house_style, svg_of
from stressbook.report.timeline_figure import draw_timelines
from stressbook.report.timeline_panels import milestones, premium_text, timeline_panels

__all__ = ["run_html", "write_run_report"]

_LEAST_BINS: Final = 20
_LOSS_NAMES: Final = {loss.name for loss in LOSSES}  # they have a table of their own


def write_run_report(record: RunRecord, path: str | Path) -> Path:
    """Write the report of one run, a self-contained HTML file.

    Parameters
    ----------
    record : RunRecord
        A finished run.
    path : str or Path
        Of the file; its folder is made if it is missing.

    Returns
    -------
    Path
        The same file, byte for byte, for the same run and versions.
    """
    return write_page(Path(path), run_html(record))


def run_html(record: RunRecord) -> str:
    """Return the report of one run as HTML."""
    scenario = record.scenario
    place = _worst_asset(record)
    asset = scenario.assets[place]
    timeline = _timeline(record, place)
    window = shock_window_min(scenario.stresses)
    picture = None
    if timeline is not None:
        with house_style():
            panels = timeline_panels(timeline, colour=COLOURS["hyperliquid-pm"])
            figure = draw_timelines({asset: panels}, window_min=window)
            picture = Picture(f"{asset}, seed {record.seed}", Markup(svg_of(figure, name="run")))
    context = {
        "title": f"What happened in {scenario.name}, seed {record.seed}?",
        "version": version("stressbook"),
        "scenario_name": scenario.name,
        "regime": scenario.margin_regime,
        "seed": record.seed,
        "rules_date": scenario.rules_date,
        "behaviour_date": scenario.behaviour_date,
        "sentences": run_sentences(record, asset),
        "summary": scenario.summary,
        "assets": ", ".join(scenario.assets),
        "dt": duration(scenario.dt_s),
        "horizon": duration(scenario.duration_s),
        "warmup": duration(scenario.warmup_s),
        "n_accounts": int(record.classes["n_accounts"].sum()),
        "shock": shock_table(scenario.stresses, assets=scenario.assets),
        "outcomes": _outcome_table(record),
        "losses": run_loss_table(record),
        "timeline": picture,
        "premium": "" if timeline is None else premium_text(timeline),
        "bin": duration(_bin_s(record)),
        "milestones": None if timeline is None else _milestone_table(timeline, window[1]),
        "class_table": _class_table(record),
        "has_system": bool(record.system_usd),
        "events": _event_table(record),
        "refusals": _refusal_table(record),
        "sources": source_table(scenario),
        "deciding": deciding_table(scenario),
        "margin_books": margin_tables(scenario),
        "margin_note": margin_note(scenario),
        "rules": rule_table(scenario),
        "reproduce": reproduce_table(
            scenario,
            str(record.seed),
            {"run digest": f"SHA-256 {record.digest}"} | plugin_digests(scenario),
        ),
        "commands": [_command(record)],
        "scenario_toml": scenario.to_toml(),
        "manifest": embedded_json(manifest(record)),
    }
    return render("run.html.j2", context)


def _command(record: RunRecord) -> str:
    """Return what runs it again: a scenario that the catalogue lacks is in the run's folder."""
    scenario = record.scenario
    name = scenario.name
    if name in catalogue_names() and load_scenario(name).digest() == scenario.digest():
        return f"stressbook run {name} --seed {record.seed}"
    return "stressbook replay FOLDER  # where the run was saved, with its scenario and plugins"


def _worst_asset(record: RunRecord) -> int:
    falls = [record.outcomes[f"drawdown_{name}_frac"] for name in record.scenario.assets]
    return int(np.argmax(falls))


def _bin_s(record: RunRecord) -> float:
    """Return the length of a bin of the timeline: shorter in short runs."""
    dt_s = record.scenario.dt_s
    span_s = len(record.series.venue) * dt_s / _LEAST_BINS
    return max(dt_s, min(BIN_S, span_s // dt_s * dt_s))


def _timeline(record: RunRecord, asset: int) -> Timeline | None:
    found = timeline_of(
        record.series,
        record.scenario,
        record.scenario.stresses,
        onset_step=record.onset_step,
        asset=asset,
        bin_s=_bin_s(record),
    )
    has_onset = len(found.t_min) > 2 and found.t_min[0] <= 0.0 < found.t_min[-1]
    return found if has_onset else None


def _outcome_table(record: RunRecord) -> Table:
    rows, zeros = [], []
    for name, value in record.outcomes.items():
        if name in _LOSS_NAMES:
            continue
        if value == 0.0:
            zeros.append(meaning_of(name))
            continue
        kind = "usd" if unit_of(name) == "USD" else "frac" if name.endswith("_frac") else "count"
        unit = UNITS[unit_of_size(kind, value)]
        is_whole = kind == "count" and value.is_integer()
        text = f"{value:.0f}" if is_whole else unit.text(value * unit.factor)
        rows.append((meaning_of(name), unit.label, text))
    return table_of("", ("outcome", "unit", "value"), rows, note=zeros_note(zeros))


def _milestone_table(timeline: Timeline, stress_min: float) -> Table:
    found = milestones(timeline, stress_min=stress_min)
    if stress_min == 0.0:
        found.pop("end of the imposed stress")
    rows = [(name, f"{t:.1f}" if np.isfinite(t) else "never") for name, t in found.items()]
    return table_of("When it happened", ("", "minutes from the onset"), rows)


def _class_table(record: RunRecord) -> Table:
    """Return who gained; the backstop's change is not split, as what it takes over is its risk."""
    rows, rest = [], 0.0
    labels = (*CLASS_LABELS[:OTHER_CLASS], "backstop", *record.own_classes)
    for k, row in enumerate(record.classes):
        if row["n_accounts"] == 0:
            continue
        change = float(row["equity_usd"] - row["opening_equity_usd"] - row["transfers_usd"])
        net = change - float(row["revaluation_usd"])
        rest -= net
        parts = (float(row["revaluation_usd"]), net)
        shown = [NONE, NONE] if k == OTHER_CLASS else [signed(usd(x)) for x in parts]
        count = str(int(row["n_accounts"]))
        rows.append((labels[k], count, usd(row["opening_equity_usd"]), _gain(change), *shown))
    system = record.system_usd
    rows += [(name, NONE, NONE, _gain(x), NONE, _gain(x)) for name, x in system.items()]
    outside = rest - sum(system.values())
    label = "outside market and price gaps" if system else "treasury, reserve and outside market"
    rows.append((label, NONE, NONE, NONE, NONE, _gain(outside)))
    head = ("", "accounts", "equity at the opening", "change", "of it revaluation", "net of it")
    return table_of("M USD", head, rows)


def _gain(value_usd: float) -> str:
    return signed(usd(value_usd))


def _event_table(record: RunRecord) -> Table:
    rows = []
    for kind in np.unique(record.events["kind"]):
        found = record.events[record.events["kind"] == kind]
        first_min = float(found["t_ms"].min()) / 60_000.0
        name = EVENT_NAMES.get(int(kind), str(kind)).replace("_", " ")
        rows.append((name, f"{len(found)}", f"{first_min:.1f}"))
    head = ("event", "number", "first, minutes of the run")
    return table_of("Events", head, rows or [("none", "0", NONE)])


def _refusal_table(record: RunRecord) -> Table:
    rows = [(name.replace("_", " "), f"{n}") for name, n in record.refusals.items()]
    return table_of("Messages refused", ("reason", "number"), rows or [("none", "0")])
