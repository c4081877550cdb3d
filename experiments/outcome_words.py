"""How outcomes are called and shown, wherever they are: names, units, groups, what is given.

Units: "usd", "frac" (shown in %), "ratio", "count" and "hours", as tables of the reports know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stressbook.experiments.disposal import AFTER_MIN
from stressbook.experiments.losses import LOSSES, PAYERS
from stressbook.experiments.outcomes import unit_of

__all__ = [
    "BELOW_ZERO",
    "BY_CONSTRUCTION",
    "GROUPS",
    "MARGIN_ASKED",
    "groups_of",
    "is_signed",
    "kind_of",
    "label_of",
    "shown_outcomes",
    "why_not_judged",
]

BELOW_ZERO: Final = "backstop_below_zero"  # seeds in which it was, counted from `backstop_low_usd`
BY_CONSTRUCTION: Final = "by construction"
_PART: Final = "part of another row"
_SUM: Final = "sum of other rows"
_BESIDE: Final = "beside another row"
MARGIN_ASKED: Final = (
    "initial_margin_over_equity_frac",
    "initial_margin_usd",
    "end_initial_margin_over_equity_frac",
)

_LABELS: Final = {
    "initial_margin_over_equity_frac": "Initial margin asked, of accounts' equity",
    "initial_margin_usd": "Initial margin asked",
    "gross_over_equity_frac": "Perps and tokens held over equity",
    "borrowed_usd": "USDC borrowed at the onset",
    "end_borrowed_usd": "USDC borrowed at the end",
    "n_accounts": "Accounts",
    "n_accounts_under_regime": "Accounts under the rule",
    "accounts_equity_usd": "Accounts' equity",
    "equity_under_regime_usd": "Equity under the rule",
    "liquidated_usd": "Liquidated perps of all assets",
    "forced_fills_usd": "of them by forced orders in the books",
    "taken_over_usd": "of them taken over by the backstop",
    "deleveraged_usd": "of them deleveraged against winners, for accounts",
    "backstop_shed_usd": "Perps deleveraged against winners, for the backstop",
    "n_deleveragings": "Counterparties deleveraged, events",
    "debt_taken_over_usd": "Debt taken over with its collateral",
    "n_breaches": "Breaches begun",
    "treasury_paid_usd": "Treasury, without limit",
    "gap_at_adl_usd": "Those deleveraged, against the mark",
    "socialised_usd": "Accounts that share deficits",
    "backstop_loss_usd": "Backstop, its capital gone at the end",
    "retained_used_usd": "Retained interest",
    "reserve_shortfall_usd": "Suppliers of USDC",
    "borne_usd": "Sum of all who paid",
    "backstop_result_usd": "Backstop's result, end less opening",
    "backstop_low_usd": "Backstop's lowest equity",
    BELOW_ZERO: "Backstop's equity below zero, seeds",
    "backstop_held_usd": "The most that the backstop held",
    "backstop_held_frac": "The most that the backstop held, over its capital",
    "negative_equity_usd": "Accounts' equity below zero, each at its deepest",
    "uncovered_usd": "Below zero before deleveraging and write-off, the backstop's too",
    "uncovered_pm_usd": "Below zero before either, under portfolio margin",
    "reserve_shortfall_peak_usd": "Suppliers' loss at its largest",
    "shortfall_valued_frac": "Suppliers' loss that rests on valuation",
    "backstop_used_for_gaps_usd": "Backstop's capital used for reserve gaps",
    "gross_gaps_usd": "Debt that debtors could not pay",
    "full_utilisation_h": "Time in which lenders could not leave",
}
_DISPOSAL: Final = {
    f"backstop_{name}_{minutes}min_frac": f"{words} {minutes} min after its most"
    for minutes in AFTER_MIN
    for name, words in (
        ("rest", "Backstop holds still,"),
        ("closed", "closed against winners,"),
        ("sold", "sold, net of inflow and prices,"),
    )
}
_LABELS_OF_LOSSES_IN_TABLES: Final = {
    "treasury_paid_usd": "Paid by the treasury, without limit",
    "gap_at_adl_usd": "Lost by those deleveraged, against the mark",
    "socialised_usd": "Paid by accounts that share deficits",
    "backstop_loss_usd": "Backstop's capital gone at the end",
    "retained_used_usd": "Borne by retained interest",
    "reserve_shortfall_usd": "Borne by suppliers of USDC",
}
_GIVEN: Final = {
    *MARGIN_ASKED,
    "gross_over_equity_frac",
    "borrowed_usd",
    "end_borrowed_usd",
    "debt_taken_over_usd",
    "n_accounts_under_regime",
    "equity_under_regime_usd",
}
_REASONS: Final = {
    "forced_fills_usd": _PART,
    "taken_over_usd": _PART,
    "deleveraged_usd": _PART,
    "uncovered_pm_usd": _PART,
    "borne_usd": _SUM,
    "n_deleveragings": _BESIDE,
    "backstop_loss_usd": _BESIDE,
    **{name: _PART for name in _DISPOSAL if "rest" not in name},
}
GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "margin and borrowing",
        (*MARGIN_ASKED[:2], "gross_over_equity_frac", "borrowed_usd", "end_borrowed_usd"),
    ),
    (
        "liquidated, and who took it",
        (
            "liquidated_usd",
            "forced_fills_usd",
            "taken_over_usd",
            "deleveraged_usd",
            "n_breaches",
            "debt_taken_over_usd",
            "backstop_shed_usd",
            "n_deleveragings",
        ),
    ),
    ("who paid", (*PAYERS, "borne_usd")),
    (
        "backstop",
        (
            "backstop_result_usd",
            "backstop_low_usd",
            "backstop_held_frac",
            *(name for name in _DISPOSAL if "_60min" not in name),
        ),
    ),
    (
        "other readings of loss",
        (
            "negative_equity_usd",
            "uncovered_usd",
            "uncovered_pm_usd",
            "reserve_shortfall_peak_usd",
            "shortfall_valued_frac",
            "backstop_used_for_gaps_usd",
            "gross_gaps_usd",
            "full_utilisation_h",
        ),
    ),
)
_SIGNED: Final = {loss.name for loss in LOSSES if loss.is_signed} | {
    name for name in _DISPOSAL if "sold" in name
}
_RATIOS: Final = ("gross_over_equity_frac", "backstop_held_frac")


def label_of(outcome: str, *, alone: bool = False) -> str:
    """Return what an outcome is called; its own name if it has no other.

    Parameters
    ----------
    outcome : str
        Its name.
    alone : bool, default False
        Whether it stands outside the group of those who paid, so that it must say so itself.

    Examples
    --------
    >>> label_of("drawdown_HYPE_frac"), label_of("treasury_paid_usd")
    ('Largest fall of the HYPE mark', 'Treasury, without limit')
    >>> label_of("treasury_paid_usd", alone=True)
    'Paid by the treasury, without limit'
    """
    if alone and outcome in _LABELS_OF_LOSSES_IN_TABLES:
        return _LABELS_OF_LOSSES_IN_TABLES[outcome]
    if outcome.startswith("drawdown_"):
        return f"Largest fall of the {outcome.split('_')[1]} mark"
    if outcome.startswith("spread_"):
        return f"Median spread of the {outcome.split('_')[1]} perp, bp"
    return _LABELS.get(outcome) or _DISPOSAL.get(outcome) or outcome


def kind_of(outcome: str) -> str:
    """Return the unit that an outcome is shown in.

    Examples
    --------
    >>> [kind_of(x) for x in ("liquidated_usd", "backstop_held_frac", "drawdown_X_frac", "n_x")]
    ['usd', 'ratio', 'frac', 'count']
    """
    unit = unit_of(outcome)
    if unit in ("USD", "h"):
        return "usd" if unit == "USD" else "hours"
    if outcome in _RATIOS:
        return "ratio"
    return "frac" if outcome.endswith("_frac") else "count"


def is_signed(outcome: str) -> bool:
    """Tell whether an outcome may fall below zero."""
    return outcome in _SIGNED or outcome not in (*_LABELS, *_DISPOSAL)


def why_not_judged(outcome: str, *, regimes_differ: bool) -> str:
    """Return why nothing is claimed of an outcome; empty if it is judged.

    Parameters
    ----------
    outcome : str
        Its name.
    regimes_differ : bool
        Whether sides are margined by different rules: each then opens from a book of its own, and
        what that holds and borrows is no effect.

    Examples
    --------
    >>> why_not_judged("borrowed_usd", regimes_differ=True)
    'by construction'
    >>> why_not_judged("borrowed_usd", regimes_differ=False)
    ''
    """
    if regimes_differ and outcome in _GIVEN:
        return BY_CONSTRUCTION
    return _REASONS.get(outcome, "")


def groups_of(outcomes: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what a table of several sides shows, group by group; all, if none is of the usual.

    Examples
    --------
    >>> groups_of(["fees_usd", "drawdown_BTC_frac", "liquidated_usd"])[1:]
    (('prices', ('drawdown_BTC_frac',)),)
    """
    found = [(title, tuple(name for name in names if name in outcomes)) for title, names in GROUPS]
    found.append(("prices", tuple(name for name in outcomes if name.startswith("drawdown_"))))
    usual = tuple((title, names) for title, names in found if names)
    return usual or (("outcomes", tuple(outcomes)),)


def shown_outcomes(outcomes: Sequence[str]) -> tuple[str, ...]:
    """Return the outcomes that a table of several sides shows, in its order.

    Examples
    --------
    >>> shown_outcomes(["fees_usd", "drawdown_BTC_frac", "liquidated_usd"])
    ('liquidated_usd', 'drawdown_BTC_frac')
    """
    return tuple(name for _, names in groups_of(outcomes) for name in names)
