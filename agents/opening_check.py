"""What no run may open with: an account in breach, or more lent than a cap allows.

What is liquidated in a run must come from its stress, not from its opening. Judged by the venue's
own valuation, on a copy: it draws the debts that margin needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from stressbook.agents.classes import CLASSES
from stressbook.agents.near_breach import valued_copy
from stressbook.errors import InvalidScenario, Problem
from stressbook.market.margin.ratio import breaches
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.records import VenueState

__all__ = ["check_opening", "opening_problems"]

LISTED: Final = 8  # accounts of a class that an error names
ORDINALS: Final = 2**20
HINT: Final = "raise the cap or the trigger, or lower what this class owes: load, leverage, equity"

OWN_HINT: Final = "it opens as the population file says, at the opening prices of the scenario"


class _Fault(NamedTuple):
    class_id: int
    what: str
    allowed: str
    ordinal: int
    account: str  # its numbers


def check_opening(
    state: VenueState,
    token_names: Sequence[str],
    *,
    own_classes: Mapping[int, str],
    account_names: Sequence[str] = (),
) -> None:
    """Refuse an opening in which an account is in breach, or a cap is exceeded.

    Parameters
    ----------
    state : VenueState
        At the opening; not changed.
    token_names : sequence of str
        Of the venue.
    own_classes : mapping of int to str
        Names of classes that are not shipped, by number.
    account_names : sequence of str, optional
        Of accounts of a population file, in its order.

    Raises
    ------
    InvalidScenario
        With the classes of all such accounts, their ordinals and numbers.

    Examples
    --------
    >>> from stressbook.market.opening.setup import make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> check_opening(make_state(load_preset("hyperliquid"), [], seed=7), ["USDC"], own_classes={})
    """
    problems = opening_problems(
        state, token_names, own_classes=own_classes, account_names=account_names
    )
    if problems:
        raise InvalidScenario.from_problems(problems)


def opening_problems(
    state: VenueState,
    token_names: Sequence[str],
    *,
    own_classes: Mapping[int, str],
    account_names: Sequence[str] = (),
) -> list[Problem]:
    """Return what is wrong with an opening, class by class, then reserve by reserve.

    Parameters
    ----------
    state, token_names, own_classes, account_names
        As of `check_opening`.

    Returns
    -------
    list of Problem
    """
    names = {one.rule.class_id: name for name, one in CLASSES.items()} | dict(own_classes)
    names |= {CLASS_NUMBERS[name]: name for name in ("own_book", "backstop")}
    groups: dict[tuple[int, str, str], list[str]] = {}
    for fault in (*_above_user_cap(state, token_names), *_in_breach(state)):
        is_named = fault.class_id == CLASS_NUMBERS["own_book"] and account_names
        account = account_names[fault.ordinal] if is_named else str(fault.ordinal)
        groups.setdefault(fault[:3], []).append(f"{account} ({fault.account})")
    problems = []
    for (class_id, what, allowed), accounts in groups.items():
        more = len(accounts) - LISTED
        shown = ", ".join(accounts[:LISTED]) + (f" and {more} more" if more > 0 else "")
        place = f"opening.{names.get(class_id, f'class {class_id}')}"
        is_own = class_id == CLASS_NUMBERS["own_book"]
        text = f"{what}: {len(accounts)} accounts, by {'name' if is_own else 'ordinal'} {shown}"
        problems.append(Problem(text, place, allowed=allowed, hint=OWN_HINT if is_own else HINT))
    return problems + list(_above_platform_caps(state, token_names))


def _in_breach(state: VenueState) -> Iterator[_Fault]:
    valued = valued_copy(state)
    trigger_ratio = float(state.par[0].pm_trigger_ratio)
    for user in range(int(state.par[0].backstop_user)):
        worth = valued.risk[user]
        portfolio, ratio = worth["judged_as_portfolio"] == 1, float(worth["ratio"])
        equity_usd, needed_usd = float(worth["equity_usd"]), float(worth["maintenance_usd"])
        if not breaches(portfolio, ratio, equity_usd, needed_usd, trigger_ratio):
            continue
        class_id, ordinal = _account_of(state, user)
        if portfolio:
            allowed = f"a margin ratio up to {trigger_ratio:g}"
            found = f"ratio {ratio:.4g}, debt {float(worth['debt_usd']):,.0f} USD"
        else:
            allowed = "equity from the maintenance margin on"
            found = f"equity {equity_usd:,.0f} of {needed_usd:,.0f} USD"
        yield _Fault(class_id, "opens in breach", allowed, ordinal, found)


def _above_user_cap(state: VenueState, token_names: Sequence[str]) -> Iterator[_Fault]:
    for token, name in enumerate(token_names):
        spec = state.token_spec[token]
        unit, most = float(spec.unit), int(spec.user_borrow_cap)
        debts = state.debt[: len(state.user), token]
        for user in np.flatnonzero(debts > most).tolist():
            class_id, ordinal = _account_of(state, user)
            what = f"opens above the user borrow cap of {name}"
            found = f"debt {int(debts[user]) / unit:,.0f}"
            yield _Fault(class_id, what, f"up to {most / unit:,.0f} {name}", ordinal, found)


def _above_platform_caps(state: VenueState, token_names: Sequence[str]) -> Iterator[Problem]:
    """Yield reserves that lend or hold too much; collateral beyond its cap only counts for less."""
    for token, name in enumerate(token_names):
        spec, reserve = state.token_spec[token], state.reserve[token]
        if spec.borrowable != 1:
            continue
        unit = float(spec.unit)
        for kind, total, most in (
            ("borrow", int(reserve.total_debt), int(spec.platform_borrow_cap)),
            ("supply", int(state.supply[:, token].sum()), int(spec.platform_supply_cap)),
        ):
            if total > most:
                text = f"opens above the platform {kind} cap of {name}"
                allowed = f"up to {most / unit:,.0f} {name}"
                yield Problem(text, f"opening.{name}", round(total / unit), allowed, HINT)


def _account_of(state: VenueState, user: int) -> tuple[int, int]:
    """Return class and ordinal of a user; of a pocket those of its account."""
    return int(state.user[user].class_id), int(state.user[user].key) % ORDINALS
