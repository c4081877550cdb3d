"""Integer codes of the venue: operations, refusals, causes of bookings, kinds of events.

One table per concept. A number is never reused, since digests and stored runs depend on it: causes
15 and 16, event 12, fault 32, and of prices 2 and 3 are reserved.
"""

from __future__ import annotations

from typing import Final

# --- sides, kinds of instruments, time in force -----------------------------------------------
BUY: Final = 0
SELL: Final = 1
SPOT: Final = 0
PERP: Final = 1
GTC: Final = 0
IOC: Final = 1
POST_ONLY: Final = 2

# --- message flags (a bit set) ----------------------------------------------------------------
REDUCE_ONLY: Final = 1
FORCED: Final = 2  # liquidation order: no latency, no admission, matched in step 8
TWAP: Final = 4  # backstop selling collateral that it took over
OWN_MOVE: Final = 8  # deposit or withdrawal against the account's own outside book
FROM_POCKET: Final = 128  # transfer of isolated margin back to the account
PLACEBO: Final = 16  # order that a study adds to see what one lot changes: of any size
TAKE: Final = 32  # trigger that takes a profit; without it one that stops a loss
TRIGGERED: Final = 64  # order of a trigger that was reached: no latency, matched in step 8

# --- operations of a message -------------------------------------------------------------------
OP_NEW: Final = 0
OP_CANCEL: Final = 1  # by handle
OP_CANCEL_CLIENT_ID: Final = 2
OP_CANCEL_ALL: Final = 3  # inst = -1: every book
OP_DEPOSIT: Final = 4  # token (0 = USDC) and quantity, from `outside`
OP_WITHDRAW: Final = 5  # to `outside`
OP_TRANSFER: Final = 6  # USDC into the pocket of a perp; out of it with `FROM_POCKET`
OP_SUPPLY: Final = 7
OP_REDEEM: Final = 8
OP_ENROL: Final = 9  # account_mode in `qty_lots`
OP_LEVERAGE: Final = 10  # leverage of one instrument in `qty_lots`
# An order that waits off the book; `handle` is the tick of the mark that it waits for,
# `price_tick` 0 a market order.
OP_TRIGGER: Final = 11
N_OPS: Final = 12

# --- replies ------------------------------------------------------------------------------------
REPLY_PENDING: Final = 0  # effective time lies beyond the step
RESTING: Final = 1
FILLED: Final = 2
PARTLY_FILLED_CANCELLED: Final = 3  # IOC remainder dropped
CANCELLED: Final = 4  # the cancel found its order(s), or IOC met nothing
ACCEPTED: Final = 5  # non-order messages
REFUSED: Final = 16  # codes from here on are refusals, with no effect
R_BAD_OP: Final = 16
R_BAD_USER: Final = 17
R_BAD_INSTRUMENT: Final = 18
R_BAD_SIDE: Final = 19
R_BAD_TIF: Final = 20
R_BAD_QUANTITY: Final = 21  # not positive, or overflowing
R_BAD_PRICE: Final = 22  # outside the ladder
R_POSITION_BOUND: Final = 23
R_POST_ONLY_WOULD_TAKE: Final = 24
R_REDUCE_ONLY_WOULD_INCREASE: Final = 25
R_UNKNOWN_ORDER: Final = 26
R_DUPLICATE_CLIENT_ID: Final = 27
R_INSUFFICIENT_MARGIN: Final = 28
R_INSUFFICIENT_BALANCE: Final = 29
R_IN_RESOLUTION: Final = 30  # breached accounts may not add risk
R_BOOK_FULL: Final = 31
R_NOT_ELIGIBLE: Final = 32
R_CAP_REACHED: Final = 33
R_BAD_TOKEN: Final = 34
R_BAD_LEVERAGE: Final = 35
R_UTILISATION_FULL: Final = 36
R_NOT_SUPPORTED: Final = 37
R_PRICE_BAND: Final = 38  # an order that may rest, too far from the oracle
R_ORDER_TOO_SMALL: Final = 39  # worth less than the venue's least order
R_ORDER_TOO_LARGE: Final = 40  # worth more than the largest order of its kind
R_OPEN_INTEREST_CAP: Final = 41  # opens, or rests far from the oracle, while the perp is at its cap
R_BAD_TRIGGER: Final = 42  # the mark is there already, or never can be
R_TRIGGERS_FULL: Final = 43
R_HALTED: Final = 44  # the book takes no orders now

REFUSAL_NAMES: Final[dict[int, str]] = {
    R_BAD_OP: "bad_operation",
    R_BAD_USER: "bad_account",
    R_BAD_INSTRUMENT: "bad_instrument",
    R_BAD_SIDE: "bad_side",
    R_BAD_TIF: "bad_time_in_force",
    R_BAD_QUANTITY: "bad_quantity",
    R_BAD_PRICE: "price_off_ladder",
    R_POSITION_BOUND: "position_bound",
    R_POST_ONLY_WOULD_TAKE: "post_only_would_take",
    R_REDUCE_ONLY_WOULD_INCREASE: "reduce_only_would_increase",
    R_UNKNOWN_ORDER: "unknown_order",
    R_DUPLICATE_CLIENT_ID: "duplicate_client_id",
    R_INSUFFICIENT_MARGIN: "insufficient_margin",
    R_INSUFFICIENT_BALANCE: "insufficient_balance",
    R_IN_RESOLUTION: "in_resolution",
    R_BOOK_FULL: "book_full",
    R_NOT_ELIGIBLE: "not_eligible",
    R_CAP_REACHED: "cap_reached",
    R_BAD_TOKEN: "bad_token",
    R_BAD_LEVERAGE: "bad_leverage",
    R_UTILISATION_FULL: "utilisation_full",
    R_NOT_SUPPORTED: "not_supported",
    R_PRICE_BAND: "price_outside_band",
    R_ORDER_TOO_SMALL: "order_too_small",
    R_ORDER_TOO_LARGE: "order_too_large",
    R_OPEN_INTEREST_CAP: "open_interest_cap",
    R_BAD_TRIGGER: "bad_trigger",
    R_TRIGGERS_FULL: "triggers_full",
    R_HALTED: "halted",
}
N_REPLIES: Final = 45

# --- causes of bookings (third axis of `flow`) ---------------------------------------------------
CAUSE_OPENING: Final = 0
CAUSE_DEPOSIT: Final = 1
CAUSE_WITHDRAWAL: Final = 2
CAUSE_TRADE: Final = 3
CAUSE_FEE: Final = 4
CAUSE_FUNDING: Final = 5
CAUSE_BORROW: Final = 6
CAUSE_REPAY: Final = 7
CAUSE_SUPPLY: Final = 8
CAUSE_REDEEM: Final = 9
CAUSE_INTEREST: Final = 10
CAUSE_FORCED_TRADE: Final = 11
CAUSE_TAKEOVER: Final = 12
CAUSE_DELEVERAGING: Final = 13
CAUSE_DEFICIT: Final = 14
CAUSE_TWAP_SALE: Final = 17  # spot sold by the backstop: what may repay assumed debt
CAUSE_OWN_MOVE: Final = 18  # between the venue and the account's own outside book
CAUSE_ISOLATED_MARGIN: Final = 24  # between an account and the pocket of one of its perps
N_CAUSES: Final = 25
CAUSE_NAMES: Final[dict[int, str]] = {
    CAUSE_OPENING: "opening",
    CAUSE_DEPOSIT: "deposit",
    CAUSE_WITHDRAWAL: "withdrawal",
    CAUSE_TRADE: "trade",
    CAUSE_FEE: "fee",
    CAUSE_FUNDING: "funding",
    CAUSE_BORROW: "borrow",
    CAUSE_REPAY: "repay",
    CAUSE_SUPPLY: "supply",
    CAUSE_REDEEM: "redeem",
    CAUSE_INTEREST: "interest",
    CAUSE_FORCED_TRADE: "forced_trade",
    CAUSE_TAKEOVER: "takeover",
    CAUSE_DELEVERAGING: "deleveraging",
    CAUSE_DEFICIT: "deficit",
    CAUSE_TWAP_SALE: "twap_sale",
    CAUSE_OWN_MOVE: "own_move",
    CAUSE_ISOLATED_MARGIN: "isolated_margin",
}

# --- margin regimes of a row, account modes ------------------------------------------------------
REGIME_CROSS: Final = 0
REGIME_PORTFOLIO: Final = 1
MODE_STANDARD: Final = 0
MODE_UNIFIED: Final = 1
MODE_PORTFOLIO: Final = 2

# --- whether an account may enrol in portfolio margin ---------------------------------------------
ELIGIBLE: Final = 0
TOO_LARGE: Final = 1  # its value has reached the largest
TOO_SMALL: Final = 2  # neither its volume nor its value is enough

# --- what becomes of an enrolled account that grows beyond the largest value --------------
VALUE_MAX_NOTHING: Final = 0
VALUE_MAX_LEAVES: Final = 1
VALUE_MAX_NO_LOANS: Final = 2

# --- what an oracle is made of -------------------------------------------------------------------
ORACLE_OUTSIDE: Final = 0  # outside spot
ORACLE_VENUE_SPOT: Final = 1  # the venue's own spot book
ORACLE_WEIGHTED: Final = 2  # both, the venue's with a weight

# --- what follows a breach: one code a policy, by its step ----------------------------------------
SELECT_ALL_OR_PART: Final = 0  # every perp, of a large one a part at first
SELECT_SHARE_OF_ALL: Final = 1  # one share of every perp
SELECT_RANDOM: Final = 2  # one perp, drawn
SELECT_LARGEST: Final = 3  # of the perp that binds most, what covers the shortage
TAKER_BOOK: Final = 0  # orders to the book
TAKER_BACKSTOP: Final = 1  # the backstop at the mark, for a penalty
TAKER_AUCTION: Final = 2  # who bids for a share of the whole account, at a falling price
PRICE_SLIPPAGE: Final = 0  # orders with a limit from the mark
PRICE_FILLABLE: Final = 1  # orders with a limit that widens with distress
BACKSTOP_VAULT: Final = 0  # takes positions at the mark, with the margin behind them
BACKSTOP_FUND: Final = 1  # takes them at the bankruptcy price, and pays shortfalls
BACKSTOP_NONE: Final = 2
ALLOCATE_RANK: Final = 0  # the highest scores of the other side are closed
ALLOCATE_PRO_RATA: Final = 1  # every position of the other side, by size
ALLOCATE_LEVELLING: Final = 2  # the most levered of the other side, down to one leverage
ALLOCATE_PROFIT_HAIRCUT: Final = 3  # winners pay cash, the highest scores first
SOCIALISE_NONE: Final = 0  # the treasury pays
SOCIALISE_POSITIONS: Final = 1  # those who hold positions, by equity
SOCIALISE_FACTOR: Final = 2  # everybody's equity, by one factor
SCORE_GAIN_LEVERAGE: Final = 0  # mark over entry x leverage
SCORE_PROFIT_LEVERAGE: Final = 1  # profit share x leverage
SCORE_PROFIT_COLLATERAL: Final = 2  # profit over collateral x leverage
CANCEL_NEWEST: Final = 0  # the newest order that could add risk, until margin is enough
CANCEL_NOT_OFFSETTING: Final = 1  # every order that is not covered by a position

# --- kinds of events ------------------------------------------------------------------------------
# Behind each, the fields that say something beside time, kind and user: prices in 1e-8 USD, amounts
# in micro-USDC; `cause` is a CAUSE_* unless said. Others are 0; inst and counterparty are -1.
EV_BREACH: Final = 1  # amount: equity
EV_FORCED_ORDER: Final = 2  # inst, cause; lots: signed; price: mark
EV_TAKEOVER_PERPS: Final = 3  # inst, cause, counterparty; lots: position; price: mark; amount: paid
EV_TAKEOVER_ALL: Final = 4  # cause, counterparty; amount: debt, and margin below zero
# Portfolio collateral with its debt: inst is the token, lots are its units.
EV_SLICE: Final = 5  # inst, cause, counterparty, lots; price: borrow oracle; amount: of the loan
# One event for each counterparty; the amount is what the price costs against the mark.
EV_DELEVERAGED: Final = 6  # inst, cause, counterparty, price, amount; lots: signed
EV_DEFICIT: Final = 7  # cause; amount: booked
EV_BREACH_ENDED: Final = 8
EV_RISK_ORDER_CANCELLED: Final = 9  # lots: orders, triggers too; inst in step 9, none at a breach
# The next two are hourly, of no user.
EV_FUNDING: Final = 10  # inst, cause; lots: of longs; price: rate in 1e-15; amount: paid by longs
EV_INTEREST: Final = 11  # cause; amount: charged to debts
# Of forced and triggered orders, all others are counted; inst, lots; cause: the refusal.
EV_REFUSAL: Final = 13
# Resting orders expire; the price is the order's.
EV_SELF_TRADE: Final = 14  # inst, lots, price
EV_REDUCE_ONLY_EXPIRED: Final = 17  # inst, lots, price; nothing was left to reduce
EV_MARGIN_EXPIRED: Final = 18  # inst, lots, price; a fill had no margin
EV_BACKSTOP_USED: Final = 15  # cause; amount: capital spent on assumed debt
EV_WRITTEN_OFF: Final = 16  # debt down the waterfall; amount; cause: BORNE_BY_*
EV_HAIRCUT: Final = 19  # cause, counterparty; amount: of its profit, for the user's deficit
EV_SOCIALISED: Final = 20  # cause; amount: paid by others for the user's deficit
# Beside what changes hands at the mark: paid by the user, and paid for it by the counterparty.
EV_LIQUIDATION_FEE: Final = 21  # cause, counterparty, amount
EV_SHORTFALL_PAID: Final = 22  # cause, counterparty, amount
EV_AUCTION: Final = 23  # begins; amount: equity
# Collateral for cash in an auction: inst is the token, lots are its units.
EV_COLLATERAL_BOUGHT: Final = 24  # inst, cause, counterparty, lots; price: oracle; amount: paid
EV_TRIGGERED: Final = 25  # inst; lots: signed; price: mark; cause: TRIGGER_*
# Debts of tokens: inst is the token, lots its units, price the borrow oracle, amount their value.
# Interest on them and their write-off have these fields too, interest but for the amount.
EV_TOKEN_DEBT: Final = 26  # handed over: inst, cause, counterparty, lots, price, amount
EV_LEFT_PORTFOLIO: Final = 27  # beyond the largest value; amount: its value
EVENT_NAMES: Final[dict[int, str]] = {
    EV_BREACH: "breach",
    EV_FORCED_ORDER: "forced_order",
    EV_TAKEOVER_PERPS: "takeover_perps",
    EV_TAKEOVER_ALL: "takeover_all",
    EV_SLICE: "takeover_slice",
    EV_DELEVERAGED: "deleveraged",
    EV_DEFICIT: "deficit",
    EV_BREACH_ENDED: "breach_ended",
    EV_RISK_ORDER_CANCELLED: "risk_order_cancelled",
    EV_FUNDING: "funding",
    EV_INTEREST: "interest",
    EV_REFUSAL: "refusal",
    EV_SELF_TRADE: "self_trade_expired",
    EV_REDUCE_ONLY_EXPIRED: "reduce_only_expired",
    EV_MARGIN_EXPIRED: "margin_expired",
    EV_BACKSTOP_USED: "backstop_used",
    EV_WRITTEN_OFF: "written_off",
    EV_HAIRCUT: "profit_haircut",
    EV_SOCIALISED: "socialised",
    EV_LIQUIDATION_FEE: "liquidation_fee",
    EV_SHORTFALL_PAID: "shortfall_paid",
    EV_AUCTION: "auction",
    EV_COLLATERAL_BOUGHT: "collateral_bought",
    EV_TRIGGERED: "triggered",
    EV_TOKEN_DEBT: "token_debt_moved",
    EV_LEFT_PORTFOLIO: "left_portfolio",
}

# --- what was triggered: cause of EV_TRIGGERED ----------------------------------------------------
TRIGGER_STOP_MARKET: Final = 1
TRIGGER_STOP_LIMIT: Final = 2
TRIGGER_TAKE_MARKET: Final = 3
TRIGGER_TAKE_LIMIT: Final = 4
TRIGGER_NAMES: Final[dict[int, str]] = {
    TRIGGER_STOP_MARKET: "stop_market",
    TRIGGER_STOP_LIMIT: "stop_limit",
    TRIGGER_TAKE_MARKET: "take_market",
    TRIGGER_TAKE_LIMIT: "take_limit",
}

# --- who bears what is written off: cause of EV_WRITTEN_OFF; 0 would be the backstop's capital --
BORNE_BY_RETAINED: Final = 1  # interest that the protocol kept
BORNE_BY_SUPPLIERS: Final = 2
BEARER_NAMES: Final[dict[int, str]] = {
    BORNE_BY_RETAINED: "retained",
    BORNE_BY_SUPPLIERS: "suppliers",
}

# --- fault word: set by kernels, raised as an error after the call --------------------------------
FAULT_OVERFLOW: Final = 1
FAULT_LADDER: Final = 2  # an oracle, mark or outside price left the ladder
FAULT_FILL_LOG: Final = 4
FAULT_EVENT_LOG: Final = 8
FAULT_OUTBOX: Final = 16
FAULT_PATH_END: Final = 64  # the given price path is shorter than the run
FAULT_POLICY: Final = 128  # a code of a policy that no branch knows
