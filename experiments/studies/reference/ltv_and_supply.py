"""Loan-to-value x supply cap of HYPE: how many pledged tokens the reserve bears.

Filled borrowers alone hold collateral: nobody else is under portfolio margin. They owe what the
whole supply cap secures at the law's drawn load; supply caps are kept, and as loads differ between
borrowers all of them rise by the few per cent that make the collateral fit the cap. The USDC side
is lifted, so that the cap of HYPE is what limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from stressbook.experiments.caps.demand import FILL, PLATFORM_CAP
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.inference import mean_estimate
from stressbook.experiments.statistics.critical_caps import CriticalCaps, propose
from stressbook.experiments.studies.reference.study import (
    BUDGET_USD,
    Arm,
    ReferenceStudy,
    Values,
    shipped_law,
)
from stressbook.experiments.studies.reference.words import (
    between,
    failures,
    markdown_table,
    millions,
    percent,
)

__all__ = ["LTV_AND_SUPPLY"]

LTVS: Final = (0.5, 0.65)
SUPPLY_TOKENS: Final = (1e6, 2e6, 5e6, 10e6, 15e6, 20e6)
ALPHAS: Final = (0.05, 0.01, 0.001)
_LIFTED_USD: Final = 2e9  # what the platform lends, beyond what 20 M tokens secure
_NOBODY_ELSE: Final = {
    "agents.holder.BTC.accounts": 0,
    "agents.holder.HYPE.accounts": 0,
    "agents.basis_trader.BTC.enrolled_frac": 0.0,
    "agents.basis_trader.HYPE.enrolled_frac": 0.0,
    "agents.hedger.BTC.enrolled_frac": 0.0,
    "agents.hedger.HYPE.enrolled_frac": 0.0,
}


def _arm(ltv: float, tokens: float) -> Arm:
    def changes(drawn: Mapping[str, float]) -> Changes:
        assets = shipped_law().scenario.venue_spec().assets
        price_usd = next(one.opening_price_usd for one in assets if one.name == "HYPE")
        return Changes(
            {
                "venue.tokens.HYPE.ltv": ltv,
                "venue.tokens.HYPE.platform_supply_cap": tokens,
                PLATFORM_CAP: _LIFTED_USD,
                "venue.tokens.USDC.platform_supply_cap": 10.0 * _LIFTED_USD,
                FILL: tokens * price_usd * ltv * drawn["load"],
                "agents.borrower.supply_caps": "kept",
                "agents.borrower.HYPE.token_weight": 1.0,
                "agents.borrower.BTC.token_weight": 0.0,
                "agents.borrower.mixed_frac": 0.0,
                **_NOBODY_ELSE,
            }
        )

    about = {"ltv": ltv, "supply_cap_tokens": tokens}
    return Arm(f"ltv-{ltv:g}-supply-{tokens / 1e6:g}M", about, changes=changes)


ARMS: Final = tuple(_arm(ltv, tokens) for ltv in LTVS for tokens in SUPPLY_TOKENS)


def _rows(values: Values) -> list[dict[str, Any]]:
    rows = []
    for arm in ARMS:
        losses = values[arm.name]["reserve_shortfall_usd"]
        mean = mean_estimate(losses)
        rows.append(
            {
                **arm.about,
                "borrowed_usd": float(np.mean(values[arm.name]["borrowed_usd"])),
                "debt_taken_over_usd": float(np.mean(values[arm.name]["debt_taken_over_usd"])),
                "shortfall_usd": mean.value,
                "shortfall_low_usd": mean.low,
                "shortfall_high_usd": mean.high,
                **failures(int((losses > BUDGET_USD).sum()), len(losses)),
            }
        )
    for ltv in LTVS:
        first = rows[LTVS.index(ltv) * len(SUPPLY_TOKENS)]
        first["critical"] = _critical(values, ltv)
    return rows


def _critical(values: Values, ltv: float) -> dict[str, dict[str, Any]]:
    """Return the largest supply cap by alpha that the episodes support, or why none."""
    columns = [values[arm.name]["reserve_shortfall_usd"] for arm in ARMS if arm.about["ltv"] == ltv]
    failed = np.stack([column > BUDGET_USD for column in columns], axis=1)
    found = CriticalCaps(np.array(SUPPLY_TOKENS), failed)
    told = {}
    for alpha in ALPHAS:
        proposal = propose(found, alpha, n_seeds=found.n)
        is_cap = not proposal.is_refused
        told[f"{alpha:g}"] = {
            "tokens": min(proposal.cap, SUPPLY_TOKENS[-1]) if is_cap else None,
            "is_above_grid": bool(is_cap and np.isinf(proposal.cap)),
            "reason": proposal.reason,
        }
    return told


def _cap(one: Mapping[str, Any]) -> str:
    if one["tokens"] is None:
        return str(one["reason"])
    if one["tokens"] == 0.0:
        return f"below {SUPPLY_TOKENS[0] / 1e6:g} M tokens"
    more = " or more" if one["is_above_grid"] else ""
    return f"{one['tokens'] / 1e6:g} M tokens{more}"


def _criticals(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, Mapping[str, Any]]]:
    return [(row["ltv"], row["critical"]) for row in rows if "critical" in row]


def _page(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = {
        "ltv": "loan-to-value",
        "cap": "supply cap, M HYPE",
        "borrowed": "borrowed, M USD",
        "taken": "debt taken over, M USD",
        "failures": "shortfall above 25 M",
        "p": "P, % (exact 95 %)",
        "mean": "mean shortfall, M USD (95 %)",
        "word": "P at most 5 %?",
    }
    cells = [
        {
            "ltv": f"{row['ltv']:.2f}",
            "cap": f"{row['supply_cap_tokens'] / 1e6:g}",
            "borrowed": millions(row["borrowed_usd"]),
            "taken": millions(row["debt_taken_over_usd"]),
            "failures": f"{row['failures']} of {row['n']}",
            "p": f"{percent(row['p'])} ({percent(row['p_low'])} to {percent(row['p_high'])})",
            "mean": f"{millions(row['shortfall_usd'])} "
            f"({between((row['shortfall_low_usd'], row['shortfall_high_usd']))})",
            "word": row["word"],
        }
        for row in rows
    ]
    critical = [
        {
            "ltv": f"{ltv:.2f}",
            **{alpha: _cap(one) for alpha, one in by_alpha.items()},
        }
        for ltv, by_alpha in _criticals(rows)
    ]
    alphas = {f"{alpha:g}": f"alpha {100.0 * alpha:g} %" for alpha in ALPHAS}
    second = markdown_table({"ltv": "largest cap, loan-to-value", **alphas}, critical)
    return f"{markdown_table(heads, cells)}\n\n{second}"


def _answer(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    n = rows[0]["n"]
    told = "; ".join(
        f"{_cap(by_alpha['0.05'])} at a loan-to-value of {ltv:.2f}"
        for ltv, by_alpha in _criticals(rows)
    )
    first = (
        "The largest supply cap of HYPE at which, all of it being pledged, a shortfall above 25 M "
        f"USD has probability 5 % at most (95 % confidence, n = {n} episodes) is proposed as: "
        f"{told}; alpha 1 and .1 % need 299 and 2,995 episodes."
    )
    half = len(SUPPLY_TOKENS)
    at = SUPPLY_TOKENS.index(10e6)
    low, high = rows[at], rows[half + at]
    second = (
        f"At the cap of 10 M tokens, a shortfall above 25 M USD came in {low['failures']} of {n} "
        f"episodes ({percent(low['p_low'])} to {percent(low['p_high'])} %) at .50 and in "
        f"{high['failures']} of {n} ({percent(high['p_low'])} to {percent(high['p_high'])} %) at "
        f".65, which lends {millions(high['borrowed_usd'])} instead of "
        f"{millions(low['borrowed_usd'])} M USD against the same tokens."
    )
    return first, second


def _draw(rows: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    axes = figure.subplots()
    half = len(SUPPLY_TOKENS)
    for k, (ltv, colour) in enumerate(zip(LTVS, ("#0072B2", "#D55E00"), strict=True)):
        part = rows[k * half : (k + 1) * half]
        x = [row["supply_cap_tokens"] / 1e6 + 0.15 * (k - 0.5) for row in part]
        p = np.array([100.0 * row["p"] for row in part])
        spread = [
            p - [100.0 * row["p_low"] for row in part],
            [100.0 * row["p_high"] for row in part] - p,
        ]
        label = f"loan-to-value {ltv:.2f}"
        axes.errorbar(x, p, yerr=np.array(spread), marker="o", capsize=3, color=colour, label=label)
    axes.axhline(5.0, color="#999999", linewidth=0.8, linestyle="--")
    axes.set_xlabel("platform supply cap of HYPE, M tokens, all of it pledged")
    axes.set_ylabel("P(shortfall > 25 M USD), %")
    axes.legend(loc="upper left", frameon=False)
    return figure


LTV_AND_SUPPLY: Final = ReferenceStudy(
    name="ltv-and-supply-cap",
    arms=ARMS,
    outcomes=("borrowed_usd", "debt_taken_over_usd", "reserve_shortfall_usd"),
    rows=_rows,
    answer=_answer,
    page=_page,
    draw=_draw,
)
