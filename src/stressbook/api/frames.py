"""Rows of a run as tidy pandas tables, one a concept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from stressbook.errors import UnknownName
from stressbook.experiments.accounting import OTHER_CLASS
from stressbook.experiments.replies import MEANINGS
from stressbook.experiments.run import RunRecord
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import (
    BEARER_NAMES,
    CAUSE_NAMES,
    EV_FUNDING,
    EV_INTEREST,
    EV_REFUSAL,
    EV_RISK_ORDER_CANCELLED,
    EV_SLICE,
    EV_TOKEN_DEBT,
    EV_TRIGGERED,
    EV_WRITTEN_OFF,
    EVENT_NAMES,
    REFUSAL_NAMES,
    TRIGGER_NAMES,
)

if TYPE_CHECKING:
    import pandas as pd

    from stressbook.experiments.sweeps.cell import Replicate
    from stressbook.market.compiling.arrays import Records

__all__ = ["FRAMES", "frame", "runs_frame"]


def runs_frame(kind: str, runs: Mapping[str, Sequence[Replicate]]) -> pd.DataFrame:
    """Return every outcome of every run of a comparison.

    Parameters
    ----------
    kind : str
        Name of the first column.
    runs : mapping of str to sequence of Replicate
        By what stands in it.

    Returns
    -------
    pandas.DataFrame
        A row for each run; those that failed have an `error` and no outcomes.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {kind: name, "seed": run.seed, "error": run.error, **run.outcomes}
            for name, each in runs.items()
            for run in each
        ]
    )


# Events whose instrument, if any, is a token.
_OF_TOKENS: Final = (EV_SLICE, EV_TOKEN_DEBT, EV_INTEREST, EV_WRITTEN_OFF)


def frame(record: RunRecord, name: str) -> pd.DataFrame:
    """Return one table of a run.

    Parameters
    ----------
    record : RunRecord
        A finished run.
    name : {"market", "assets", "venue", "classes", "accounts", "events", "refusals"}
        "market": a row for each step and book; "assets": for each step and underlying; "venue": for
        each step; "classes": for each class of agents at the end, own ones after the shipped;
        "accounts": for each account at the end; "events": for each event; "refusals": for each
        class and reason for which the venue refused its messages, with their number.

    Returns
    -------
    pandas.DataFrame
        `t_s` is the end of the step, seconds; other units are in the names of the columns.

    Raises
    ------
    UnknownName
        If there is no such table.
    """
    if name not in FRAMES:
        raise UnknownName("frame", name, known=FRAMES)
    return FRAMES[name](record)


def _by_step(record: RunRecord, rows: Records, key: str, names: list[str]) -> pd.DataFrame:
    """Lay rows of shape (n_steps, n) out under one another, step by step."""
    import pandas as pd

    n_steps, n = rows.shape
    t_s = (np.arange(n_steps) + 1) * record.scenario.dt_s
    columns = {"t_s": np.repeat(t_s, n), key: pd.Categorical(names * n_steps, categories=names)}
    return pd.DataFrame(columns | _columns(rows.reshape(-1)))


def _columns(rows: Records) -> dict[str, Records]:
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}


def _market(record: RunRecord) -> pd.DataFrame:
    books = [book.name for book in record.scenario.venue_spec().instruments]
    return _by_step(record, record.series.book, "instrument", books)


def _assets(record: RunRecord) -> pd.DataFrame:
    table = _by_step(record, record.series.asset, "asset", list(record.scenario.assets))
    table["funding_rate"] = table.pop("funding_rate_e15") / 1e15
    return table


def _venue(record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    t_s = (np.arange(len(record.series.venue)) + 1) * record.scenario.dt_s
    return pd.DataFrame({"t_s": t_s} | _columns(record.series.venue))


def _classes(record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    names = {number: name for name, number in CLASS_NUMBERS.items()}
    table = pd.DataFrame(_columns(record.classes))
    labels = [*(names.get(k, "") for k in range(OTHER_CLASS)), "others", *record.own_classes]
    table.insert(0, "class", labels[: len(table)])
    table["profit_usd"] = (
        table["equity_usd"]
        - table["opening_equity_usd"]
        - table["transfers_usd"]
        - table["revaluation_usd"]
    )
    return table[table["n_accounts"] > 0].reset_index(drop=True)


def _accounts(record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    numbers = CLASS_NUMBERS | record.own_classes
    names = {number: name for name, number in numbers.items()}
    table = pd.DataFrame(_columns(record.accounts))
    last = len(table) - 1
    labels = [names.get(int(number), "") for number in table["class_id"]]
    table.insert(0, "class", [*labels[:last], "backstop"])
    table.insert(1, "rank", table.pop("key") % 2**20)
    table["enrolled"] = table["enrolled"].astype(bool)
    table["gain_usd"] = table["equity_usd"] - table["opening_equity_usd"] - table["deposits_usd"]
    return table.drop(columns="class_id")


def _events(record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    rows = record.events
    spec = record.scenario.venue_spec()
    books = [book.name for book in spec.instruments]
    tokens = [token.name for token in spec.tokens]
    is_rate = rows["kind"] == EV_FUNDING
    # The field `lots` counts token units of slices and of debts, and orders that were cancelled.
    is_slice, is_count = np.isin(rows["kind"], _OF_TOKENS), rows["kind"] == EV_RISK_ORDER_CANCELLED
    is_slice &= rows["inst"] >= 0
    unit = np.array([float(token.unit) for token in spec.tokens])
    sold = rows["lots"] / unit[np.where(is_slice, rows["inst"], 0)]
    price_usd = np.where(is_rate, np.nan, rows["price_e8"] / 1e8)
    names = [
        "" if i < 0 else (tokens if kind in _OF_TOKENS else books)[i]
        for kind, i in zip(rows["kind"], rows["inst"], strict=True)
    ]
    return pd.DataFrame(
        {
            "t_s": rows["t_ms"] / 1000.0,
            "kind": [EVENT_NAMES.get(int(kind), str(kind)) for kind in rows["kind"]],
            "account": rows["user"],
            "traded": names,
            "lots": np.where(is_slice | is_count, np.nan, rows["lots"]),
            "tokens": np.where(is_slice, sold, np.nan),
            "n_orders": np.where(is_count, rows["lots"], np.nan),
            "price_usd": price_usd,
            "rate": np.where(is_rate, rows["price_e8"] / 1e15, np.nan),
            "amount_usd": rows["amount_micro"] / 1e6,
            "detail": [
                _detail(int(kind), int(code))
                for kind, code in zip(rows["kind"], rows["cause"], strict=True)
            ],
            "counterparty": rows["counterparty"],
        }
    )


def _refusals(record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (name, code, MEANINGS[code], n)
        for name, counts in record.replies.items()
        for code, n in counts.items()
        if code in MEANINGS
    ]
    table = pd.DataFrame(rows, columns=["class", "code", "meaning", "n"])
    return table.astype({"n": np.int64})


def _detail(kind: int, code: int) -> str:
    """Return what the code of an event says: a reason, who bears, or why it was booked."""
    if kind == EV_REFUSAL:
        return REFUSAL_NAMES.get(code, str(code))
    if kind == EV_WRITTEN_OFF:
        return BEARER_NAMES[code]
    if kind == EV_TRIGGERED:
        return TRIGGER_NAMES[code]
    return CAUSE_NAMES[code] if code else ""


FRAMES: Final[dict[str, Callable[[RunRecord], pd.DataFrame]]] = {
    "market": _market,
    "assets": _assets,
    "venue": _venue,
    "classes": _classes,
    "accounts": _accounts,
    "events": _events,
    "refusals": _refusals,
}
