"""What the venue answered, counted by class of agents: done, found no counterparty, refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import I64
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import kernel
from stressbook.market.numbers.draws import class_numbers
from stressbook.market.state.codes import (
    ACCEPTED,
    CANCELLED,
    FILLED,
    FORCED,
    N_REPLIES,
    OP_NEW,
    PARTLY_FILLED_CANCELLED,
    R_BAD_INSTRUMENT,
    R_BAD_LEVERAGE,
    R_BAD_OP,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_TOKEN,
    R_BAD_TRIGGER,
    R_BAD_USER,
    R_BOOK_FULL,
    R_CAP_REACHED,
    R_DUPLICATE_CLIENT_ID,
    R_HALTED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_NOT_SUPPORTED,
    R_OPEN_INTEREST_CAP,
    R_ORDER_TOO_LARGE,
    R_ORDER_TOO_SMALL,
    R_POSITION_BOUND,
    R_POST_ONLY_WOULD_TAKE,
    R_PRICE_BAND,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_TRIGGERS_FULL,
    R_UNKNOWN_ORDER,
    R_UTILISATION_FULL,
    REFUSAL_NAMES,
    RESTING,
    TWAP,
)
from stressbook.market.state.records import C_REPLIES, VenueState

__all__ = [
    "MEANINGS",
    "NO_COUNTERPARTY",
    "VENUE",
    "Replies",
    "count_replies",
    "lost_messages",
    "make_replies",
    "replies_by_class",
]

VENUE: Final = "the venue"  # orders for the breached, and what the backstop sells
NO_COUNTERPARTY: Final = "no_counterparty"
_N_KINDS: Final = N_REPLIES + 1  # the last one: an order that met nothing and does not rest
_DONE: Final[dict[int, str]] = {
    RESTING: "resting",
    FILLED: "filled",
    PARTLY_FILLED_CANCELLED: "partly_filled",
    CANCELLED: "cancelled",
    ACCEPTED: "accepted",
    N_REPLIES: NO_COUNTERPARTY,
}
_NAMES: Final[dict[int, str]] = _DONE | REFUSAL_NAMES

# By name of the refusal: what is wrong with the message.
MEANINGS: Final[dict[str, str]] = {
    REFUSAL_NAMES[code]: meaning
    for code, meaning in {
        R_BAD_OP: "no such operation",
        R_BAD_USER: "no such account",
        R_BAD_INSTRUMENT: "no such book",
        R_BAD_SIDE: "neither a bid nor an ask",
        R_BAD_TIF: "no such time in force",
        R_BAD_QUANTITY: "not above zero, or beyond the largest position of the book",
        R_BAD_PRICE: "a limit that is not on the ladder of prices",
        R_POSITION_BOUND: "with what is held and rests, beyond the largest position of the book",
        R_POST_ONLY_WOULD_TAKE: "a post-only order that would have traded at once",
        R_REDUCE_ONLY_WOULD_INCREASE: "a reduce-only order without a position to reduce",
        R_UNKNOWN_ORDER: "a cancel of an order that does not rest (any more)",
        R_DUPLICATE_CLIENT_ID: "another live order of the account has that number",
        R_INSUFFICIENT_MARGIN: "a perp order, withdrawal or leverage without the margin for it",
        R_INSUFFICIENT_BALANCE: "more of a token, or of USDC, than the account has to give",
        R_IN_RESOLUTION: "the account is being liquidated and may not add risk",
        R_BOOK_FULL: "the venue holds no more resting orders",
        R_NOT_ELIGIBLE: "the account may not be margined as a portfolio, or is no longer flat",
        R_CAP_REACHED: "a cap of the account or of the platform is used up",
        R_BAD_TOKEN: "no such token, or one that cannot be lent",
        R_BAD_LEVERAGE: "not from 1 to what the book allows",
        R_UTILISATION_FULL: "the reserve has not that much left to lend or to give back",
        R_NOT_SUPPORTED: "the venue does not do that",
        R_PRICE_BAND: "an order that may rest, too far from the oracle",
        R_ORDER_TOO_SMALL: "worth less than the venue's least order, and no close of a position",
        R_HALTED: "the book is halted: it does nothing but cancel orders",
        R_BAD_TRIGGER: "a trigger that the mark has reached already, or that is off the ladder",
        R_TRIGGERS_FULL: "the venue holds no more triggers",
        R_OPEN_INTEREST_CAP: "opens, or rests far away, while the perp is at its open-interest cap",
        R_ORDER_TOO_LARGE: "worth more than the venue's largest market or limit order",
    }.items()
}


@by_address
class Replies(NamedTuple):
    """Answers so far, by class and kind."""

    row: I64  # (n_users,) row of the user's class in `n`; the backstop's is the last
    n: I64  # (n_classes + 1, N_REPLIES + 1)


def make_replies(v: VenueState) -> Replies:
    """Allocate the counts of a run: a row for each class that has accounts, then the venue's."""
    ids, row = np.unique(v.user["class_id"], return_inverse=True)
    row[int(v.par[0].backstop_user)] = len(ids)
    return Replies(row.astype(np.int64), np.zeros((len(ids) + 1, _N_KINDS), np.int64))


@kernel
def count_replies(v: VenueState, replies: Replies) -> None:
    """Add this step's answers."""
    last = replies.n.shape[0] - 1
    for k in range(v.ctr[C_REPLIES]):
        message = v.merged[k]
        user, code = int(message.user), int(v.reply[k].code)
        row = last
        if 0 <= user < replies.row.shape[0] and message.options & (FORCED | TWAP) == 0:
            row = replies.row[user]
        if code == CANCELLED and message.op == OP_NEW:
            code = N_REPLIES
        replies.n[row, code] += 1


def replies_by_class(
    v: VenueState, replies: Replies, classes: Collection[str]
) -> dict[str, dict[str, int]]:
    """Return what was answered to each class, by kind of answer.

    Parameters
    ----------
    v : VenueState
        Of the run.
    replies : Replies
        Its counts.
    classes : collection of str
        Names of the classes that take part, in the order of the result.

    Returns
    -------
    dict of str to dict of str to int
        Kinds without an answer are left out, and so are classes that sent nothing; `VENUE` is the
        last.
    """
    numbers = class_numbers(classes)
    row_of = {
        int(number): int(row) for number, row in zip(v.user["class_id"], replies.row, strict=True)
    }
    rows = {name: row_of[numbers[name]] for name in classes if numbers[name] in row_of}
    rows[VENUE] = len(replies.n) - 1
    found = {
        name: {_NAMES[k]: int(n) for k, n in enumerate(replies.n[row]) if n}
        for name, row in rows.items()
    }
    return {name: counts for name, counts in found.items() if counts}


def lost_messages(name: str, counts: Mapping[str, int]) -> str:
    """Say in one line what of a class's messages came to nothing; empty if all did something.

    Parameters
    ----------
    name : str
        Of the class.
    counts : mapping of str to int
        Its answers by kind.

    Returns
    -------
    str

    Examples
    --------
    >>> lost_messages("Patient", {"filled": 2, "insufficient_margin": 3})
    'Patient: 3 of 5 messages refused: 3 insufficient_margin'
    >>> lost_messages("Hasty", {"no_counterparty": 1, "filled": 4})
    'Hasty: 1 of 5 messages found nobody to trade with at their limit'
    >>> lost_messages("Lucky", {"filled": 4})
    ''
    """
    refused = {kind: n for kind, n in counts.items() if kind in MEANINGS}
    total, unmet = sum(counts.values()), counts.get(NO_COUNTERPARTY, 0)
    parts = []
    if refused:
        reasons = ", ".join(f"{n} {kind}" for kind, n in refused.items())
        parts.append(f"{sum(refused.values())} of {total} messages refused: {reasons}")
    if unmet:
        parts.append(f"{unmet} of {total} messages found nobody to trade with at their limit")
    return f"{name}: {'; '.join(parts)}" if parts else ""
