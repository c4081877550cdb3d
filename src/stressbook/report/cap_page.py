"""The report of a cap study: one page that a committee reads, the recommendation first."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stressbook.experiments.caps.answer import CapAnswer
from stressbook.experiments.caps.losses import LOSS_NAMES
from stressbook.experiments.caps.reading import (
    binding_words,
    certificate_sentence,
    facts,
    value_text,
    verdict,
)
from stressbook.experiments.scenario_files.toml_text import toml_text
from stressbook.experiments.studies.shipped import cap_study_names
from stressbook.experiments.words import UNVALIDATED, duration
from stressbook.report import cap_figures as figures
from stressbook.report import cap_law as law_tables
from stressbook.report import cap_tables as tables
from stressbook.report import cap_words as words
from stressbook.report.cap_rows import row_table
from stressbook.report.layout import Picture, Table, table_of
from stressbook.report.page import embedded_json, render
from stressbook.report.svg import house_style, svg_of

__all__ = ["cap_page"]


def cap_page(answer: CapAnswer) -> str:
    """Return the report of a cap study as HTML.

    Parameters
    ----------
    answer : CapAnswer
        Of a finished study.

    Returns
    -------
    str
        The same bytes for the same answer and version.
    """
    with house_style():
        pictures = _pictures(answer)
    return render("cap.html.j2", _words(answer) | _tables(answer) | pictures)


def _words(answer: CapAnswer) -> dict[str, Any]:
    study = answer.study
    law, outcome = study.law, study.outcome
    certified = answer.certified
    return {
        "title": study.summary or f"How large may {study.cap.lever} be?",
        "version": version("stressbook"),
        "study_name": study.name,
        "rules_date": study.scenario.rules_date,
        "behaviour_date": study.scenario.behaviour_date,
        # Green is for models that are validated.
        "tone": ("open" if UNVALIDATED else "held") if certified else "broke",
        "verdict": verdict(answer),
        "certificate": certificate_sentence(answer),
        "unvalidated": UNVALIDATED,
        "law_summary": law.summary,
        "onset": duration(law.onset_s),
        "length": duration(law.duration_s),
        "run_on": duration(law.run_on_s),
        "outcome": outcome,
        "n_seeds": outcome.seeds,
        "demand": study.demand,
        "tried": value_text(answer, answer.last.value) if answer.last is not None else "",
        "heat_words": words.heat_words(answer),
        "bindings": [(grid.demand, binding_words(answer, grid)) for grid in answer.grids.values()],
        "never_binds": binding_words(answer, answer.grid)
        if answer.grid.binding(study.cap.lever).never_binds
        else "",
        "failure_words": words.failure_words(answer),
        "reservations": words.reservations(answer),
        "held_fixed": words.held_fixed(answer),
        "break_even_words": words.break_even_words(answer),
        "absorption_words": words.absorption_words(answer),
        "multiplies": study.absorption.multiplies,
        "divides": study.absorption.divides,
        "n_compared": sum(row.compared is not None for row in answer.rows),
        "differing": [row for row in answer.rows if row.compared and row.compared.differs],
        "scenario_toml": study.scenario.to_toml(),
        "study_toml": toml_text({**study.to_table(), "scenario": study.scenario.name}),
        "reproduce": table_of(
            "",
            ("", ""),
            [
                ("study", study.name),
                ("digest of the study", study.digest()[:16]),
                ("seed", str(study.seed)),
                ("stressbook", version("stressbook")),
            ],
            words=(1,),
        ),
        "commands": [f"stressbook size-cap {_called(study.name)} --workers 2"],
        "manifest": embedded_json(_manifest(answer)),
    }


def _called(name: str) -> str:
    """Return what the command line calls a study: by its name if it ships, else by a file."""
    return name if name in cap_study_names() else f"{name}.cap.toml"


def _manifest(answer: CapAnswer) -> dict[str, Any]:
    return {
        "study": answer.study.name,
        "digest": answer.study.digest(),
        "seed": answer.study.seed,
        "verdict": verdict(answer),
        "certificate": certificate_sentence(answer),
        "facts": {fact.name: [fact.value, fact.note] for fact in facts(answer)},
        "episodes": answer.n_runs,
        "validated": False,
    }


def _tables(answer: CapAnswer) -> dict[str, Any]:
    return {
        "fact_table": tables.fact_table(answer),
        "elements": law_tables.element_table(answer),
        "draws": law_tables.draw_table(answer),
        "fixed": law_tables.fixed_table(answer),
        "lifted": law_tables.lifted_table(answer),
        "curve": tables.curve_table(answer),
        "losses": tables.loss_table(answer),
        "severity": tables.severity_table(answer, answer.study.outcome.name),
        "other_severities": _other_severities(answer),
        "rows": row_table(answer),
        "alphas": tables.alpha_table(answer),
        "pairs": tables.pair_table(answer),
        "counts": tables.count_table(answer),
    }


def _other_severities(answer: CapAnswer) -> list[Table]:
    others = [name for name in LOSS_NAMES if name != answer.study.outcome.name]
    found = [tables.severity_table(answer, name) for name in others]
    return [one for one in found if one is not None]


def _pictures(answer: CapAnswer) -> dict[str, Picture | None]:
    by = answer.study.absorption.table_by
    cells = answer.failures_by((by[0], by[1])) if len(by) == 2 else []
    frontier = svg_of(figures.draw_frontier(answer), name="frontier")
    return {
        "curves_picture": _picture("Failures by cap", "curves", figures.draw_curves, answer),
        "seeds_picture": _picture("What each episode bears", "seeds", figures.draw_seeds, answer),
        "losses_picture": _picture("Losses by cap", "losses", figures.draw_losses, answer),
        "frontier_picture": Picture("Loss against what is allowed", Markup(frontier)),
        "heat_picture": _picture(
            "Where the failures lie",
            "heat",
            lambda _: figures.draw_heat(cells, (by[0], by[1])),
            answer,
        )
        if cells
        else None,
        "break_even_picture": _picture(
            "Break-even absorption", "absorption", figures.draw_break_even, answer
        )
        if answer.break_even is not None
        else None,
        "pairs_picture": _picture("Two caps", "pairs", figures.draw_pairs, answer)
        if answer.pairs is not None
        else None,
    }


def _picture(
    title: str, name: str, draw: Callable[[CapAnswer], Axes], answer: CapAnswer
) -> Picture:
    figure = draw(answer).figure
    assert isinstance(figure, Figure)
    return Picture(title, Markup(svg_of(figure, name=name)))
