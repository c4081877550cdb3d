"""Margin regimes at equal starting equity: what accounts carry, what breaks, who pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.claims import Claim, claims
from stressbook.experiments.losses import PAYERS
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.studies.reference.study import Arm, ReferenceStudy, Values, always
from stressbook.experiments.studies.reference.words import markdown_table, millions
from stressbook.market.compiling.arrays import F64

__all__ = ["REGIMES"]

_CONTROL: Final = "cross"
_CARRIED: Final = (
    "accounts_equity_usd",
    "n_accounts_under_regime",
    "initial_margin_over_equity_frac",
    "gross_over_equity_frac",
    "borrowed_usd",
)
_BROKEN: Final = ("liquidated_usd", "debt_taken_over_usd", "borne_usd", *PAYERS)
_WORDS: Final = {
    "accounts_equity_usd": "equity of all accounts at the onset, M USD",
    "n_accounts_under_regime": "accounts under the rule",
    "initial_margin_over_equity_frac": "initial margin over equity",
    "gross_over_equity_frac": "gross over equity",
    "borrowed_usd": "USDC owed at the onset, M USD",
    "liquidated_usd": "liquidated perps, M USD",
    "debt_taken_over_usd": "debt taken over, M USD",
    "borne_usd": "paid for others' losses, M USD",
    "treasury_paid_usd": "of it by the treasury, M USD",
    "gap_at_adl_usd": "of it by the deleveraged, M USD",
    "socialised_usd": "of it by those who share deficits, M USD",
    "backstop_loss_usd": "of it by the backstop, M USD",
    "retained_used_usd": "of it by retained interest, M USD",
    "reserve_shortfall_usd": "of it by suppliers of USDC (the shortfall), M USD",
}


def _scan(offset_frac: float) -> Arm:
    changes = Changes({"venue.regime.offset_frac": offset_frac})
    return Arm(
        f"scan-{offset_frac:g}",
        {"regime": f"scan {offset_frac:g}"},
        regime="scan",
        changes=always(changes),
    )


ARMS: Final = (
    Arm("cross", {"regime": "cross"}, regime="cross"),
    Arm("isolated", {"regime": "isolated"}, regime="isolated"),
    Arm("hyperliquid-pm", {"regime": "hyperliquid-pm"}, regime="hyperliquid-pm"),
    _scan(0.0),
    _scan(0.5),
    _scan(1.0),
)


def _judged(values: Values, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Claim]:
    """Return paired differences to the control, judged together."""
    nothing: list[F64] = []  # no placebo
    told = [(name, values[side][name], values[_CONTROL][name], nothing) for name, side in asked]
    return dict(zip(asked, claims(told), strict=True))


def _rows(values: Values) -> list[dict[str, Any]]:
    others = [arm.name for arm in ARMS if arm.name != _CONTROL]
    found = _judged(values, [(name, side) for name in _BROKEN for side in others])
    found |= _judged(values, [(name, side) for name in _CARRIED for side in others])
    rows = []
    for name in (*_CARRIED, *_BROKEN):
        for arm in ARMS:
            x = values[arm.name][name]
            row = {
                "outcome": name,
                "unit": unit_of(name),
                **arm.about,
                "mean": float(np.mean(x)),
                "n": len(x),
            }
            if arm.name != _CONTROL:
                claim = found[name, arm.name]
                row |= {
                    "difference": claim.difference.value,
                    "low": claim.difference.low,
                    "high": claim.difference.high,
                    "word": claim.word if name in _BROKEN else "not judged",
                }
            rows.append(row)
    return rows


def _number(row: Mapping[str, Any], value: float) -> str:
    return millions(value) if row["unit"] == "USD" else f"{value:.3g}"


def _cell(row: Mapping[str, Any]) -> str:
    mean = _number(row, row["mean"])
    if "difference" not in row or row["difference"] == row["low"] == row["high"] == 0.0:
        return mean
    word = f", {row['word']}" if row["word"] in ("higher", "lower") else ""
    sign = "+" if row["difference"] > 0.0 else ""
    bounds = f"{_number(row, row['low'])} to {_number(row, row['high'])}"
    return f"{mean} ({sign}{_number(row, row['difference'])}: {bounds}{word})"


def _page(rows: Sequence[Mapping[str, Any]]) -> str:
    names = [arm.about["regime"] for arm in ARMS]
    by_outcome: dict[str, dict[str, str]] = {}
    for row in rows:
        line = by_outcome.setdefault(row["outcome"], {"outcome": _WORDS[row["outcome"]]})
        line[row["regime"]] = _cell(row)
    heads = {"outcome": f"n = {rows[0]['n']} episodes", **{name: name for name in names}}
    return markdown_table(heads, list(by_outcome.values()))


def _at(rows: Sequence[Mapping[str, Any]], outcome: str, regime: str) -> Mapping[str, Any]:
    return next(row for row in rows if row["outcome"] == outcome and row["regime"] == regime)


def _mean(rows: Sequence[Mapping[str, Any]], outcome: str, regime: str) -> str:
    return millions(_at(rows, outcome, regime)["mean"])


def _against(rows: Sequence[Mapping[str, Any]], outcome: str, regime: str) -> str:
    row = _at(rows, outcome, regime)
    told = {"higher": "more", "lower": "less"}.get(row["word"], "not shown to differ")
    bounds = f"{millions(row['low'])} to {millions(row['high'])}"
    return f"{millions(row['mean'])} (difference {bounds}, {told})"


def _listed(told: Mapping[str, str]) -> str:
    """Return what is told of each regime; those of which the same is told stand together."""
    together: dict[str, list[str]] = {}
    for regime, text in told.items():
        together.setdefault(text, []).append(regime)
    return ", ".join(f"{' = '.join(names)} {text}" for text, names in together.items())


def _answer(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    n = rows[0]["n"]
    others = [arm.about["regime"] for arm in ARMS if arm.name != _CONTROL]
    equity = [_at(rows, "accounts_equity_usd", arm.about["regime"])["mean"] for arm in ARMS]
    spread = (max(equity) - min(equity)) / min(equity)
    liquidated = _listed({one: _against(rows, "liquidated_usd", one) for one in others})
    borne = _listed({one: _against(rows, "borne_usd", one) for one in others})
    first = (
        f"From equal starting equity (means at the onset within {100.0 * spread:.2g} %), over "
        f"n = {n} episodes, cross liquidated {_mean(rows, 'liquidated_usd', _CONTROL)} M USD of "
        f"perps, {liquidated}; differences are paired, 95 %."
    )
    shortfalls = _listed(
        {one: _mean(rows, "reserve_shortfall_usd", one) for one in (_CONTROL, *others)}
    )
    second = (
        f"Of the same n = {n} episodes, what was paid for others' losses was "
        f"{_mean(rows, 'borne_usd', _CONTROL)} M USD under cross, {borne}, of which suppliers of "
        f"USDC bore {shortfalls}."
    )
    return first, second


def _draw(rows: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [arm.about["regime"] for arm in ARMS]
    at = np.arange(len(names))
    left.barh(
        at, [_at(rows, "liquidated_usd", one)["mean"] / 1e6 for one in names], color="#999999"
    )
    left.set_xlabel("liquidated perps, M USD, mean")
    left.set_yticks(at, names)
    left.invert_yaxis()
    colours = ("#000000", "#CC79A7", "#F0E442", "#56B4E9", "#009E73", "#D55E00")
    so_far = np.zeros(len(names))
    for payer, colour in zip(PAYERS, colours, strict=True):
        paid = np.array([_at(rows, payer, one)["mean"] / 1e6 for one in names])
        label = payer.removesuffix("_usd").replace("_", " ")
        right.barh(at, paid, left=so_far, color=colour, label=label)
        so_far += paid
    right.set_xlabel("paid for others' losses, M USD, mean")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


REGIMES: Final = ReferenceStudy(
    name="regimes",
    arms=ARMS,
    outcomes=(*_CARRIED, *_BROKEN),
    rows=_rows,
    answer=_answer,
    page=_page,
    draw=_draw,
)
