"""The whole state of a simulation, copied out and put back in place.

Arrays are written back into the arrays that views and kernels already hold, so nothing has to be
bound anew. Of the price ladders only levels that hold orders are kept: a snapshot of an almost
empty ladder of a quarter million ticks is small.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.rules.changes import RuleEntry
from stressbook.market.state.digest import DigestChain
from stressbook.market.state.records import VenueState


class _Levels(NamedTuple):
    """Occupied levels of all books: flat index and content."""

    where: I64
    content: Records


@dataclass(frozen=True)
class Snapshot:
    """A copy of venue, world, crowd and records at one moment; made by `Simulation.snapshot`."""

    t_ms: int
    defence: float
    stresses: tuple[Any, ...]
    changed_rules: frozenset[RuleEntry]
    venue: dict[str, Any]
    world: dict[str, Any]
    accounts: dict[str, Any]
    market: dict[str, Any]
    memories: tuple[Records, ...]
    own_agents: tuple[dict[str, Any], ...]
    series: dict[str, Any]
    minutes: dict[str, Any]
    replies: I64
    class_sums: Records
    exposures: dict[str, Any]
    margin_use: Records
    events: tuple[Records, ...]
    digest_chain: DigestChain


def copy_arrays(arrays: Any, *, rows: int | None = None) -> dict[str, Any]:
    """Copy every array of a NamedTuple; `rows` keeps the first rows only."""
    return {
        name: array[:rows].copy() if array.ndim else array.copy()
        for name, array in arrays._asdict().items()
    }


def put_arrays(arrays: Any, saved: dict[str, Any]) -> None:
    """Write copies back into the first rows of the arrays they came from."""
    for name, array in saved.items():
        getattr(arrays, name)[: len(array)] = array


def copy_venue(v: VenueState) -> dict[str, Any]:
    """Copy a venue's state, its ladders by occupied level."""
    saved: dict[str, Any] = {
        name: array.copy() for name, array in v._asdict().items() if name != "level"
    }
    flat = v.level.reshape(-1)
    where = np.flatnonzero(flat["head"])
    saved["level"] = _Levels(where, flat[where])
    return saved


def put_venue(v: VenueState, saved: dict[str, Any]) -> None:
    """Put a copied venue back in place."""
    flat = v.level.reshape(-1)
    flat[np.flatnonzero(flat["head"])] = np.zeros(1, flat.dtype)
    levels: _Levels = saved["level"]
    flat[levels.where] = levels.content
    for name, array in saved.items():
        if name != "level":
            np.copyto(getattr(v, name), array)


def copy_own_agent(agent: Any) -> dict[str, Any]:
    """Copy the Python state of an own agent; Mesa's links stay where they are."""
    mine = {k: value for k, value in vars(agent).items() if k not in _MESA_FIELDS}
    return copy.deepcopy(mine)


def put_own_agent(agent: Any, saved: dict[str, Any]) -> None:
    """Put the Python state of an own agent back."""
    for name in [k for k in vars(agent) if k not in _MESA_FIELDS and k not in saved]:
        delattr(agent, name)
    vars(agent).update(copy.deepcopy(saved))


_MESA_FIELDS = frozenset({"model", "unique_id", "pos", "random", "rng", "_mesa_data"})
