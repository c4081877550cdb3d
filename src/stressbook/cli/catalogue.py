"""`list`, `show`, `schema` and `plan`: look before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json, Plugins, ScenarioName, Sets, Stresses
from stressbook.cli.resolve import resolved
from stressbook.cli.terminal import result, result_json

__all__ = ["list_scenarios", "plan", "schema", "show"]


def list_scenarios(as_json: Json = False) -> None:
    """List the shipped scenarios, the rules of `preset`, margin regimes and kinds of stress."""
    from stressbook.experiments.caps.study_file import cap_summary
    from stressbook.experiments.scenario import load_scenario
    from stressbook.experiments.scenario_files.file import catalogue_names
    from stressbook.experiments.stress import REGISTRY
    from stressbook.experiments.studies.shipped import cap_study_names, study_names
    from stressbook.experiments.sweeps.study_file import load_study
    from stressbook.experiments.words import table
    from stressbook.market.regimes import load_regime, regime_names
    from stressbook.market.rules.presets import preset_summaries

    scenarios = [load_scenario(name) for name in catalogue_names()]
    rows = [("scenario", one.name, one.summary) for one in scenarios]
    rows += [
        ("preset", name, f"rules of {day}: {summary}") for name, day, summary in preset_summaries()
    ]
    rows += [("margin_regime", name, load_regime(name).title) for name in regime_names()]
    rows += [("stress", kind, _summary_of(kind)) for kind in sorted(REGISTRY)]
    rows += [("study, for sweep", name, load_study(name).summary) for name in study_names()]
    rows += [("cap study, for size-cap", name, cap_summary(name)) for name in cap_study_names()]
    if as_json:
        result_json([{"kind": kind, "name": name, "summary": text} for kind, name, text in rows])
    else:
        heads = dict.fromkeys(kind for kind, _, _ in rows)
        lines = [(head, [row[1:] for row in rows if row[0] == head]) for head in heads]
        result("\n\n".join(f"{head}\n{table(found, indent=2)}" for head, found in lines))


def show(
    name: ScenarioName,
    prefix: Annotated[
        str, typer.Argument(help="Only places that start so: agents.hedger, world.HYPE, venue.")
    ] = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plugins: Plugins = [],  # noqa: B006 - as above
    as_toml: Annotated[bool, typer.Option("--toml", help="Print the resolved file.")] = False,
    as_json: Json = False,
) -> None:
    """Print every number of a scenario, or of a kind of stress, with unit, meaning and source."""
    if _is_stress(name, plugins):
        _show_stress(name, as_json=as_json)
        return
    found = resolved(name, sets=sets, plugins=plugins)
    if as_toml:
        result(found.to_toml().rstrip("\n"))
    elif as_json:
        rows = [row._asdict() for row in found.parameters(prefix)]
        result_json({"name": found.name, "summary": found.resolved.summary, "parameters": rows})
    else:
        result(found.describe(prefix))


def _is_stress(name: str, plugins: list[Path]) -> bool:
    from stressbook.experiments.stress import REGISTRY

    if plugins:
        from stressbook.api import load_plugin

        for path in plugins:
            load_plugin(path)
    return name in REGISTRY


def _show_stress(kind: str, *, as_json: bool) -> None:
    from stressbook.experiments.stress import REGISTRY
    from stressbook.experiments.words import table
    from stressbook.market.rules.parameters import describe

    fields = describe(REGISTRY[kind])
    if as_json:
        result_json({"kind": kind, "parameters": [field._asdict() for field in fields]})
        return
    cells = [(each.name, str(each.default), each.unit, each.help, each.source) for each in fields]
    result(f"{kind}: {_summary_of(kind)}\n{table(cells, aligned='lr')}")


def _summary_of(kind: str) -> str:
    from stressbook.experiments.stress import REGISTRY

    return (REGISTRY[kind].__doc__ or "").partition("\n")[0]


def schema(plugins: Plugins = []) -> None:  # noqa: B006 - typer copies it
    """Print the JSON Schema of scenario files, for editors."""
    from stressbook.api import load_plugin
    from stressbook.experiments.scenario_files.schema import json_schema

    for path in plugins:
        load_plugin(path)
    result_json(json_schema())


def plan(
    name: ScenarioName,
    sets: Sets = [],  # noqa: B006 - typer copies it
    stresses: Stresses = [],  # noqa: B006 - as above
    plugins: Plugins = [],  # noqa: B006 - as above
    seed: Annotated[int, typer.Option(min=0, help="Of what accounts open with.")] = 1,
    as_json: Json = False,
) -> None:
    """Print what a run will do: its steps, stresses, the room of each book, who is enrolled."""
    from stressbook.api.plan import STEPS, book_ranges, stress_notes, timeline
    from stressbook.experiments.enrolment import opening_enrolment, opening_rations
    from stressbook.experiments.margin_books import scenario_books
    from stressbook.experiments.own_book.distance import own_openings

    found = resolved(name, sets=sets, stresses=stresses, plugins=plugins)
    if as_json:
        rows = [{"at": at, "event": event} for at, event in timeline(found.resolved)]
        books = [one._asdict() for one in book_ranges(found.resolved)]
        margin = [one._asdict() for one in scenario_books(found.resolved)]
        steps = [step for step, _ in STEPS]
        counts = opening_enrolment(found.resolved, seed=seed)
        enrolment = {name: count._asdict() for name, count in counts.items()}
        about = {"steps": steps, "timeline": rows, "books": books, "margin": margin}
        about["notes"] = stress_notes(found.resolved)
        rationed = opening_rations(found.resolved, seed=seed)
        own = [one._asdict() for one in own_openings(found.resolved, seed=seed)]
        about |= {"own_book": own} if own else {}
        result_json(about | {"enrolment": enrolment, "rationed": rationed})
    else:
        result(found.plan(seed=seed))
