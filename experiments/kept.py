"""Results of single jobs, kept to the bit as JSON: a study that was stopped goes on from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from stressbook.experiments.plugins import PluginSource, sources_key
from stressbook.experiments.store import write_whole
from stressbook.market.compiling.kernel_cache import sources_digest

__all__ = ["kept_file", "read_kept", "write_kept"]

Kept = TypeVar("Kept")


def kept_file(folder: Path, made_by: str, sources: Sequence[PluginSource] = ()) -> Path:
    """Return the file of a result: another one if anything that it depends on is another.

    Parameters
    ----------
    folder : Path
        Of all results.
    made_by : str
        What fixes the result, but the sources.
    sources : sequence of PluginSource
        Files of own classes in it.

    Returns
    -------
    Path
    """
    made_of = f"{made_by} {sources_digest()}".encode() + sources_key(sources)
    return folder / f"{sha256(made_of).hexdigest()[:24]}.json"


def write_kept(file: Path | None, result: Any) -> None:
    """Write a result of numbers, texts, arrays of float64, and tuples and tables of them."""
    if file is not None:
        write_whole(file, json.dumps(_plain(result)).encode())


def read_kept(file: Path | None, kind: type[Kept]) -> Kept | None:
    """Return a result, None if there is none that can be read.

    Parameters
    ----------
    file : Path, optional
        As `write_kept` has left it.
    kind : type
        Of the result.

    Returns
    -------
    object or None
    """
    if file is None:
        return None
    try:
        found: Kept = _typed(kind, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _typed(kind: Any, plain: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        return np.array(plain, np.float64)
    if origin is tuple:
        return tuple(_typed(inner[0], item) for item in plain)
    if origin is dict:
        return {name: _typed(inner[1], item) for name, item in plain.items()}
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return kind(**{name: _typed(hint, plain[name]) for name, hint in hints.items()})
    return plain
