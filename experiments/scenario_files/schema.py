"""JSON Schema of scenario files, for editors: names, units, ranges, defaults and sources."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin

from stressbook.experiments.agent_classes import agent_class_names, params_class
from stressbook.experiments.scenario_files.durations import PATTERN
from stressbook.experiments.scenario_files.population_table import POPULATION_KEYS
from stressbook.experiments.scenario_files.table import Header
from stressbook.experiments.scenario_files.values import (
    NO_UNIT,
    bounds,
    is_mapping_type,
    value_types,
)
from stressbook.experiments.scenario_files.venue_table import venue_places
from stressbook.experiments.stress import REGISTRY, Stress
from stressbook.market.prices.world_parameters import AssetWorld, WorldParams
from stressbook.market.regimes import regime_names
from stressbook.market.rules.presets import newest_preset, preset_names, undated
from stressbook.market.rules.spec import VenueSpec, load_preset

__all__ = ["json_schema"]

_Schema = dict[str, Any]
_TYPE: Final = {float: "number", int: "integer", bool: "boolean", str: "string"}
_WORDS: Final = ("name", "asset", "text", "date")  # units of what is no quantity: no source
_PAIR: Final = {"type": "number", "minimum": -1.0, "maximum": 1.0}


def json_schema() -> dict[str, Any]:
    """Return the schema of scenario files (JSON Schema, draft 7).

    Returns
    -------
    dict
        Own stresses and agents are in it once their modules are imported.

    Examples
    --------
    >>> tables = json_schema()["properties"]
    >>> tables["dt"]["description"]
    'length of a step [s]; source: assumed'
    >>> tables["agents"]["properties"]["lender"]["properties"]["supply_usd"]["minimum"]
    0.0
    """
    properties = _properties(Header)
    parents = "name of the catalogue, or path of a file, whose tables this one changes"
    properties["inherits"] = {"type": "string", "description": parents}
    properties["preset"]["enum"] = _preset_choices()
    properties["margin_regime"]["enum"] = regime_names()
    properties |= {
        "population": {
            "anyOf": [
                {"type": "string"},
                _table({key: {"type": "string"} for key in POPULATION_KEYS}),
            ],
            "description": "file of accounts that open as they are: CSV, Parquet or the venue's "
            "JSON; in the resolved form its content",
        },
        "sources": _table({}, "what the numbers rest on", others={"type": "string"}),
        "opening_price_usd": _table(
            {}, "price at the start by asset [USD]", others={"type": "number", "minimum": 0.0}
        ),
        "world": _world(),
        "venue": _venue(load_preset(newest_preset())),
        "agents": _table(
            {name: _dataclass(params_class(name)) for name in agent_class_names()},
            "classes of agents that take part, with what differs from their defaults",
        ),
        "stresses": {
            "type": "array",
            "description": "what is broken on purpose, in order of application",
            "items": {"anyOf": [_stress(kind, cls) for kind, cls in sorted(REGISTRY.items())]},
        },
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "stressbook scenario",
        **_table(properties, "A market, its crowd and what happens to it."),
    }


def _preset_choices() -> list[str]:
    dated = preset_names()
    return sorted({*dated, *(undated(name) for name in dated)})


def _table(properties: _Schema, description: str = "", *, others: Any = False) -> _Schema:
    table: _Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": others,
    }
    return {"description": description, **table} if description else table


def _world() -> _Schema:
    law = _properties(WorldParams, skip=("assets", "correlation"))
    row = _table({}, others=_PAIR)
    law["correlation"] = _table({}, "by pair, in the order of `assets`", others=row)
    asset = _table(_properties(AssetWorld, skip=("name",)), _summary(AssetWorld))
    return _table(law, _summary(WorldParams), others=asset)


def _venue(spec: VenueSpec) -> _Schema:
    """Return the numbers of a preset that a scenario may change, nested as in its file."""
    places = spec.places()
    schema = _table({}, "numbers of the preset that are changed")
    for place, value in venue_places(spec).items():
        *path, last = place.split(".")
        node = schema
        for key in path:
            node = node["properties"].setdefault(key, _table({}))
        section, index, attribute = places[place]
        holder = getattr(spec, section)
        holder = holder if index < 0 else holder[index]
        entry = next(entry for entry in fields(holder) if entry.name == attribute)
        node["properties"][last] = _scalar(type(value), entry) | _about(
            entry, value, spec.sources.get(place, "")
        )
        if "choices" in entry.metadata:
            node["properties"][last]["enum"] = list(entry.metadata["choices"])
    return schema


def _stress(kind: str, cls: type[Stress]) -> _Schema:
    table = _dataclass(cls)
    table["properties"]["kind"] = {"const": kind}
    return {**table, "required": ["kind"]}


def _dataclass(cls: type) -> _Schema:
    """Return the table of a dataclass; what is by asset stands in a table of the asset."""
    by_asset = {name for name, hint in value_types(cls).items() if is_mapping_type(hint)}
    everything = _properties(cls)
    plain = {name: item for name, item in everything.items() if name not in by_asset}
    if not by_asset:
        return _table(plain, _summary(cls))
    of_asset = {name: item for name, item in everything.items() if name in by_asset}
    return _table(plain, _summary(cls), others=_table(of_asset, "what differs for one asset"))


def _properties(cls: type, *, skip: tuple[str, ...] = ()) -> _Schema:
    hints = value_types(cls)
    found = {}
    for entry in fields(cls):
        if entry.init and entry.name not in skip:
            hint = hints[entry.name]
            member = get_args(hint)[1] if is_mapping_type(hint) else hint
            default = entry.default
            if entry.default_factory is not MISSING:
                default = entry.default_factory()
            source = entry.metadata.get("source", "")
            found[entry.name] = _type(member, entry) | _about(entry, default, source)
    return found


def _type(hint: Any, entry: Field[Any]) -> _Schema:
    origin = get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint)
    if origin is tuple:
        return {"type": "array", "items": _type(get_args(hint)[0], entry)}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        hint = float if set(members) == {float, str} else members[0]
    return _scalar(hint, entry)


def _scalar(hint: type, entry: Field[Any]) -> _Schema:
    schema: _Schema = {"type": _TYPE[hint]}
    if hint in (int, float):
        low, high = bounds(entry)
        schema |= {} if low is None else {"minimum": low}
        schema |= {} if high is None else {"maximum": high}
    if hint is float and entry.metadata.get("unit") == "s":
        return {"anyOf": [schema, {"type": "string", "pattern": f"^{PATTERN}$"}]}
    return schema


def _about(entry: Field[Any], default: Any, source: str) -> _Schema:
    """Return meaning, unit and source as a description, and the default where it is plain."""
    unit = entry.metadata.get("unit", "")
    words = entry.metadata.get("help", "")
    if unit not in NO_UNIT:
        words += f" [{unit}]"
    if isinstance(default, Mapping):
        words += f"; default: {', '.join(f'{key} {item}' for key, item in default.items())}"
    if source and unit not in _WORDS:
        words += f"; source: {source}"
    about: _Schema = {"description": words} if words else {}
    has_plain_default = default is not MISSING and default is not None
    if has_plain_default and not isinstance(default, Mapping) and not is_dataclass(default):
        about["default"] = _listed(default)
    return about


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]
