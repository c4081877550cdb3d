"""The policies of each step on the way down, and of modes, by the names that rules give them."""

from typing import Final

from stressbook.market.state.codes import (
    ALLOCATE_LEVELLING,
    ALLOCATE_PRO_RATA,
    ALLOCATE_PROFIT_HAIRCUT,
    ALLOCATE_RANK,
    BACKSTOP_FUND,
    BACKSTOP_NONE,
    BACKSTOP_VAULT,
    CANCEL_NEWEST,
    CANCEL_NOT_OFFSETTING,
    PRICE_FILLABLE,
    PRICE_SLIPPAGE,
    SCORE_GAIN_LEVERAGE,
    SCORE_PROFIT_COLLATERAL,
    SCORE_PROFIT_LEVERAGE,
    SELECT_ALL_OR_PART,
    SELECT_LARGEST,
    SELECT_RANDOM,
    SELECT_SHARE_OF_ALL,
    SOCIALISE_FACTOR,
    SOCIALISE_NONE,
    SOCIALISE_POSITIONS,
    TAKER_AUCTION,
    TAKER_BACKSTOP,
    TAKER_BOOK,
    VALUE_MAX_LEAVES,
    VALUE_MAX_NO_LOANS,
    VALUE_MAX_NOTHING,
)

__all__ = [
    "ALLOCATE_POLICIES",
    "BACKSTOP_POLICIES",
    "CANCEL_POLICIES",
    "PRICE_POLICIES",
    "SCORE_POLICIES",
    "SELECT_POLICIES",
    "SOCIALISE_POLICIES",
    "TAKER_POLICIES",
    "VALUE_MAX_POLICIES",
]

SELECT_POLICIES: Final = {
    "all_or_part": SELECT_ALL_OR_PART,
    "share_of_all": SELECT_SHARE_OF_ALL,
    "random": SELECT_RANDOM,
    "largest_contributor": SELECT_LARGEST,
}
ALLOCATE_POLICIES: Final = {
    "rank": ALLOCATE_RANK,
    "pro_rata": ALLOCATE_PRO_RATA,
    "leverage_levelling": ALLOCATE_LEVELLING,
    "profit_haircut": ALLOCATE_PROFIT_HAIRCUT,
}
TAKER_POLICIES: Final = {
    "book": TAKER_BOOK,
    "backstop": TAKER_BACKSTOP,
    "auction": TAKER_AUCTION,
}
PRICE_POLICIES: Final = {
    "slippage": PRICE_SLIPPAGE,
    "fillable": PRICE_FILLABLE,
}
BACKSTOP_POLICIES: Final = {
    "vault": BACKSTOP_VAULT,
    "insurance_fund": BACKSTOP_FUND,
    "none": BACKSTOP_NONE,
}
SOCIALISE_POLICIES: Final = {
    "none": SOCIALISE_NONE,
    "positions": SOCIALISE_POSITIONS,
    "withdrawal_factor": SOCIALISE_FACTOR,
}
SCORE_POLICIES: Final = {
    "gain_times_leverage": SCORE_GAIN_LEVERAGE,
    "profit_times_leverage": SCORE_PROFIT_LEVERAGE,
    "profit_over_collateral": SCORE_PROFIT_COLLATERAL,
}
CANCEL_POLICIES: Final = {
    "newest": CANCEL_NEWEST,
    "not_offsetting": CANCEL_NOT_OFFSETTING,
}
VALUE_MAX_POLICIES: Final = {
    "nothing": VALUE_MAX_NOTHING,
    "leaves_when_idle": VALUE_MAX_LEAVES,
    "no_new_borrowing": VALUE_MAX_NO_LOANS,
}
