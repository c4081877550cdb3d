"""The caps history step by step, under one law.

Did each raise keep the reserve whole? Three populations: today's, as it is (*frozen*); the same
with portfolio margin's borrowers scaled to the USDC that was borrowed nearest the date (*scaled*,
assumed); and borrowers who owe all that the platform may lend on that date (*filled*). Prices and
all rules that a date does not name are today's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from stressbook.experiments.caps.demand import PLATFORM_CAP, demand_changes
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.inference import Estimate, mean_estimate, paired_difference
from stressbook.experiments.studies.reference.study import (
    BUDGET_USD,
    Arm,
    ReferenceStudy,
    Values,
    always,
)
from stressbook.experiments.studies.reference.words import (
    between,
    failures,
    markdown_table,
    millions,
    percent,
)
from stressbook.market.rules.spec import VenueSpec, load_preset

__all__ = ["CAPS_HISTORY"]

_POPULATIONS: Final = ("frozen", "scaled", "filled")
_FEWEST_ACCOUNTS: Final = 30  # holders of an asset, as the classes have them
_SEEN_SUPPLIED: Final = {  # 2026-10-06, live reserve states: above the documented caps
    "venue.tokens.HYPE.platform_supply_cap": 13.4e6,
    "venue.tokens.BTC.platform_supply_cap": 2_221.0,
}
_USDC_SUPPLIED_AT_MOST: Final = 1e11  # filled: the USDC side is never what limits
_ASSETS: Final = ("BTC", "HYPE")


class _Step(NamedTuple):
    preset: str
    date: str


class _Scale(NamedTuple):
    """Borrowers of portfolio margin times this owe about what was borrowed on a day."""

    preset: str
    borrowed_usd: float
    seen: str
    factor: float  # assumed: so that the mean debt at the onset comes near
    lifted: Mapping[str, float] = {}  # supply caps


_STEPS: Final = (
    _Step("hyperliquid-2025-12", "2025-12-23"),
    _Step("hyperliquid-2026-03", "2026-03-14"),
    _Step("hyperliquid-2026-05", "2026-05-07"),
    _Step("hyperliquid-2026-06-21", "2026-06-21"),
    _Step("hyperliquid-2026-06", "2026-06-23"),
    _Step("hyperliquid-2026-08", "2026-08-19"),
)
_SCALES: Final = (
    _Scale("hyperliquid-2026-03", 13.0e6, "spring of 2026", 0.09),
    _Scale("hyperliquid-2026-05", 13.0e6, "spring of 2026", 0.09),
    _Scale("hyperliquid-2026-06", 253e6, "2026-09-04", 1.61),
    _Scale("hyperliquid-2026-08", 253e6, "2026-09-04", 1.07),
    _Scale("hyperliquid-2026-08", 414.3e6, "2026-10-06", 2.6, _SEEN_SUPPLIED),
)


def _usdc_caps(spec: VenueSpec) -> dict[str, float]:
    tokens = {token.name: token for token in spec.tokens}
    usdc, hype = tokens["USDC"], tokens["HYPE"]
    return {
        "platform_borrow_cap_usd": usdc.platform_borrow_cap,
        "user_borrow_cap_usd": usdc.user_borrow_cap,
        "hype_supply_cap_tokens": hype.platform_supply_cap,
        "hype_ltv": hype.ltv,
    }


def _about(step: _Step, population: str, borrowed: str = "") -> dict[str, Any]:
    caps = _usdc_caps(load_preset(step.preset))
    return {"date": step.date, "population": population, "known": borrowed, **caps}


def _scaled(scale: _Scale) -> Changes:
    """Return more or fewer borrowers: accounts above 1, since large ones may not enrol."""
    settings: dict[str, Any] = {
        f"agents.holder.{asset}.accounts": round(_FEWEST_ACCOUNTS * max(scale.factor, 1.0))
        for asset in _ASSETS
    }
    settings |= scale.lifted
    scales = {f"agents.holder.{asset}.equity_usd": scale.factor for asset in _ASSETS}
    for name in ("basis_trader", "hedger"):
        for asset in _ASSETS:
            scales[f"agents.{name}.{asset}.enrolled_frac"] = min(scale.factor, 1.0)
    return Changes(settings, scales)


def _filled(preset: str) -> Changes:
    spec = load_preset(preset)
    filled = demand_changes("filled", PLATFORM_CAP, spec.tokens[0].platform_borrow_cap, spec)
    lifted = {"venue.tokens.USDC.platform_supply_cap": _USDC_SUPPLIED_AT_MOST}
    return filled | Changes(lifted)


def _arms() -> tuple[Arm, ...]:
    arms = []
    by_preset = {step.preset: step for step in _STEPS}
    for step in _STEPS:
        arms.append(Arm(f"frozen {step.date}", _about(step, "frozen"), preset=step.preset))
    for scale in _SCALES:
        changes, step = _scaled(scale), by_preset[scale.preset]
        known = f"{millions(scale.borrowed_usd)} ({scale.seen})"
        name = f"scaled {step.date} {millions(scale.borrowed_usd)}M"
        about = _about(step, "scaled", known)
        arms.append(Arm(name, about, preset=step.preset, changes=always(changes)))
    # At first a user may owe 1,000 USD and all together 1 M: the budget cannot be lost.
    for step in _STEPS[1:]:
        changes = _filled(step.preset)
        name, about = f"filled {step.date}", _about(step, "filled")
        arms.append(Arm(name, about, preset=step.preset, changes=always(changes)))
    return tuple(arms)


ARMS: Final = _arms()


def _rows(values: Values) -> list[dict[str, Any]]:
    rows = []
    before: Mapping[str, Any] | None = None
    for arm in ARMS:
        x = values[arm.name]
        losses = x["reserve_shortfall_usd"]
        mean = mean_estimate(losses)
        row = {
            **arm.about,
            "borrowed_usd": float(np.mean(x["borrowed_usd"])),
            "debt_taken_over_usd": float(np.mean(x["debt_taken_over_usd"])),
            "shortfall_usd": mean.value,
            "shortfall_low_usd": mean.low,
            "shortfall_high_usd": mean.high,
            "peak_usd": float(np.max(x["reserve_shortfall_peak_usd"])),
            **failures(int((losses > BUDGET_USD).sum()), len(losses)),
        }
        if before is not None and before["population"] == arm.about["population"]:
            step = paired_difference(losses, before["losses"])
            row |= {"step_usd": step.value, "step_low_usd": step.low, "step_high_usd": step.high}
        before = {"population": arm.about["population"], "losses": losses}
        rows.append(row)
    return rows


def _estimate(row: Mapping[str, Any], name: str) -> str:
    bounds = Estimate(
        row[f"{name}_usd"], row[f"{name}_low_usd"], row[f"{name}_high_usd"], row["n"], 0.95
    )
    if bounds.low == bounds.high == 0.0:
        return "0"
    return f"{millions(bounds.value)} ({between(bounds)})"


def _page(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = {
        "date": "rules of",
        "caps": "may lend, M USD (a user)",
        "hype": "HYPE supply cap, M; loan-to-value",
        "borrowed": "borrowed, M USD",
        "failures": "shortfall above 25 M",
        "p": "P, % (exact 95 %)",
        "mean": "mean shortfall, M USD (95 %)",
        "step": "against the step before, paired",
        "word": "P at most 5 %?",
    }
    parts = []
    for population in _POPULATIONS:
        cells = [
            {
                "date": row["date"] + (f", known {row['known']}" if row["known"] else ""),
                "caps": f"{millions(row['platform_borrow_cap_usd'])} "
                f"({millions(row['user_borrow_cap_usd'])})",
                "hype": f"{row['hype_supply_cap_tokens'] / 1e6:g}; {row['hype_ltv']:.2f}",
                "borrowed": millions(row["borrowed_usd"]),
                "failures": f"{row['failures']} of {row['n']}",
                "p": f"{percent(row['p'])} ({percent(row['p_low'])} to {percent(row['p_high'])})",
                "mean": _estimate(row, "shortfall"),
                "step": _estimate(row, "step") if "step_usd" in row else "",
                "word": row["word"],
            }
            for row in rows
            if row["population"] == population
        ]
        parts.append(f"*{population.capitalize()}*\n\n{markdown_table(heads, cells)}")
    return "\n\n".join(parts)


def _answer(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    n, most = rows[0]["n"], percent(max(row["p_high"] for row in rows if not row["failures"]))
    failing = sorted(row["date"] for row in rows if row["failures"])
    safe = [row["date"] for row in rows if not failing or row["date"] < failing[0]]
    first = (
        f"Under the law and with n = {n} episodes a row, no population lost suppliers more than "
        f"25 M USD with the rules up to {max(safe)} (P at most {most} % each, two-sided 95 %)"
        + (f"; from {failing[0]} on some did." if failing else ".")
    )
    last = _STEPS[-1].date
    today = ", ".join(_counted(row) for row in rows if row["date"] == last)
    steps = " and ".join(
        f"{_estimate(row, 'step')} with the {row['population']} population"
        for row in rows
        if row["date"] == last and row["population"] != "scaled" and "step_usd" in row
    )
    second = (
        f"With those of {last} they did in {today}; that step alone adds to the mean shortfall, in "
        f"M USD (paired, 95 %), {steps}."
    )
    return first, second


def _counted(row: Mapping[str, Any]) -> str:
    known = f" to {row['known']} M USD" if row["known"] else ""
    bounds = f"{percent(row['p_low'])} to {percent(row['p_high'])} %"
    return f"{row['failures']} of {row['n']} {row['population']}{known} ({bounds})"


def _draw(rows: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.subplots()
    dates = [step.date for step in _STEPS]
    styles = {"frozen": ("#0072B2", "o"), "scaled": ("#E69F00", "s"), "filled": ("#D55E00", "^")}
    for k, population in enumerate(_POPULATIONS):
        part = [row for row in rows if row["population"] == population]
        colour, marker = styles[population]
        at = []
        for row in part:
            same = sum(one["date"] == row["date"] for one in part[: part.index(row)])
            at.append(dates.index(row["date"]) + 0.15 * (k - 1) + 0.07 * same)
        p = np.array([100.0 * row["p"] for row in part])
        low = p - [100.0 * row["p_low"] for row in part]
        high = np.array([100.0 * row["p_high"] for row in part]) - p
        axes.errorbar(
            at,
            p,
            yerr=np.array([low, high]),
            fmt=marker,
            capsize=3,
            color=colour,
            label=population,
        )
    axes.axhline(5.0, color="#999999", linewidth=0.8, linestyle="--")
    caps = {row["date"]: millions(row["platform_borrow_cap_usd"]) for row in rows}
    axes.set_xticks(range(len(dates)), [f"{one}\n{caps[one]} M USD" for one in dates], fontsize=8)
    axes.set_ylabel("P(shortfall > 25 M USD), %")
    axes.legend(frameon=False)
    return figure


CAPS_HISTORY: Final = ReferenceStudy(
    name="caps-history",
    arms=ARMS,
    outcomes=(
        "borrowed_usd",
        "debt_taken_over_usd",
        "reserve_shortfall_usd",
        "reserve_shortfall_peak_usd",
    ),
    rows=_rows,
    answer=_answer,
    page=_page,
    draw=_draw,
)
