"""The draw table: who draws what, under which number and key.

A draw is a function of (seed, purpose, account, time, index). An account that is added, removed
or enrolled moves no draw of another, so the arms of a comparison meet the same luck. To add a
purpose, give it the next free number of its owner's block and a row in `PURPOSES`; a number is
never reused, since stored digests depend on it.
"""

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from stressbook.errors import InvalidInput
from stressbook.market.numbers.philox import INDEX_MAX, key_from_seed, uniform, uniforms

__all__ = [
    "CLASS_NUMBERS",
    "CLASS_WORLD",
    "INDEX_MAX",
    "ORDINAL_MAX",
    "PURPOSES",
    "Purpose",
    "account_key",
    "class_number",
    "class_numbers",
    "key_from_seed",
    "uniform",
    "uniforms",
]

# Reserved, since they once were in the table: 2, 4, 5, 7, 8, 10, 53, 62, 64, 65, 80, 90, 91, 100,
# 110, 120, 130, 141, 211, 213, 300, 301.

# --- world: the key is that of the asset (class 0) ------------------------------------------------
PURPOSE_WORLD_RETURN: Final = 1
PURPOSE_WORLD_LOG_VOLATILITY: Final = 3
PURPOSE_OUTSIDE_BASIS: Final = 6
PURPOSE_SENTIMENT: Final = 9

# --- venue ----------------------------------------------------------------------------------------
PURPOSE_LATENCY: Final = 30
PURPOSE_LATENCY_JITTER: Final = 31
PURPOSE_TIE: Final = 32
PURPOSE_BREACH_ORDER: Final = 33
PURPOSE_LIQUIDATED_POSITION: Final = 34

# --- agents ---------------------------------------------------------------------------------------
PURPOSE_FLOW_ARRIVAL: Final = 50
PURPOSE_FLOW_SIZE: Final = 51
PURPOSE_FLOW_SIDE: Final = 52
PURPOSE_DIRECTIONAL_ENTRY: Final = 60
PURPOSE_DIRECTIONAL_SIDE: Final = 61
PURPOSE_DIRECTIONAL_HOLD: Final = 63
PURPOSE_MAKER_RETURN_DELAY: Final = 70
PURPOSE_MAKER_QUOTE: Final = 71
PURPOSE_RENEWAL_DELAY: Final = 140
PURPOSE_OWN_AGENT: Final = 150

# --- population and opening book, at time 0 -------------------------------------------------------
PURPOSE_TRAIT: Final = 200
PURPOSE_OPENING_SIDE: Final = 210
PURPOSE_OPENING_AGE: Final = 212
PURPOSE_OPENING_PATH: Final = 214
PURPOSE_SCENARIO_LAW: Final = 220


class Purpose(NamedTuple):
    """One row of the draw table."""

    number: int
    name: str
    owner: str  # module that draws
    key: str  # whose key: an account's or an asset's
    index_is: str  # what tells draws of one time apart
    per_step: str  # most different draws of one key in a step
    meaning: str


# fmt: off
PURPOSES: Final = tuple(Purpose(*row) for row in (
    (PURPOSE_WORLD_RETURN, "world.return", "market.prices.world",
     "asset", "0", "1", "innovation of the fundamental value"),
    (PURPOSE_WORLD_LOG_VOLATILITY, "world.log_volatility", "market.prices.world",
     "asset 0", "component", "components", "innovation of the log volatility"),
    (PURPOSE_OUTSIDE_BASIS, "outside.basis", "market.prices.world",
     "asset", "2 x leg + slow", "4", "innovations of the outside basis"),
    (PURPOSE_SENTIMENT, "sentiment", "agents.directional",
     "asset", "0", "48", "hourly innovations of the sentiment that directional traders share"),
    (PURPOSE_LATENCY, "latency", "agents.population",
     "account", "0", "1 at the opening", "latency of the account"),
    (PURPOSE_LATENCY_JITTER, "latency.jitter", "market.orders.sequence",
     "account", "message", "messages", "jitter of a message"),
    (PURPOSE_TIE, "tie", "market.orders.sequence",
     "account", "message", "messages", "order of messages effective together"),
    (PURPOSE_BREACH_ORDER, "breach_order", "market.resolution.breaches",
     "account", "0", "1", "order in which breached accounts are resolved"),
    (PURPOSE_LIQUIDATED_POSITION, "liquidated_position", "market.resolution.selection",
     "account", "0", "1", "which perp a breached account loses, where one is drawn"),
    (PURPOSE_FLOW_ARRIVAL, "flow.arrival", "agents.order_flow",
     "account", "0", "1", "orders that arrive"),
    (PURPOSE_FLOW_SIZE, "flow.size", "agents.order_flow",
     "account", "0", "1", "size of the order"),
    (PURPOSE_FLOW_SIDE, "flow.side", "agents.order_flow",
     "account", "0", "1", "side of the order"),
    (PURPOSE_DIRECTIONAL_ENTRY, "directional.entry", "agents.directional",
     "account", "0", "1", "time to stay flat"),
    (PURPOSE_DIRECTIONAL_SIDE, "directional.side", "agents.directional",
     "account", "0", "1", "side of the entry"),
    (PURPOSE_DIRECTIONAL_HOLD, "directional.hold", "agents.directional",
     "account", "0", "1", "time to hold"),
    (PURPOSE_MAKER_RETURN_DELAY, "maker.return_delay", "agents.market_maker",
     "account", "0", "1", "time until a withdrawn maker returns"),
    (PURPOSE_MAKER_QUOTE, "maker.quote", "agents.market_maker",
     "account", "leg", "2", "whether a leg stays as it is"),
    (PURPOSE_RENEWAL_DELAY, "renewal.delay", "agents.renewal",
     "account", "0", "1", "time until a ruined account is replaced"),
    (PURPOSE_OWN_AGENT, "own_agent", "agents.own_view",
     "account", "as the agent says", "any", "what an agent written by a user draws"),
    (PURPOSE_TRAIT, "trait", "agents.traits",
     "account", "trait", "traits at the opening",
     "what differs between accounts: capital, thresholds, assets"),
    (PURPOSE_OPENING_SIDE, "opening.side", "agents.aging",
     "account", "spell", "spells at the opening", "side of an opening position"),
    (PURPOSE_OPENING_AGE, "opening.age", "agents.aging",
     "account", "0, then 2 x spell + 1 and + 2", "spells x 2 + 1 at the opening",
     "whether it opens with one; times held and flat before"),
    (PURPOSE_OPENING_PATH, "opening.path", "agents.aging",
     "asset", "hours before", "hours at the opening",
     "past prices at which directional traders entered"),
    (PURPOSE_SCENARIO_LAW, "scenario_law", "experiments.caps.law",
     "asset 0", "0", "1, at a time that is a hash of its name",
     "what differs between the episodes of a scenario law"),
))
# fmt: on

CLASS_WORLD: Final = 0
CLASS_NUMBERS: Final = {
    "market_maker": 1,
    "basis_trader": 2,
    "hedger": 3,
    "holder": 4,
    "directional": 5,
    "order_flow": 6,
    "arbitrageur": 7,
    "dip_buyer": 8,
    "lender": 9,
    "borrower": 10,
    "own_book": 11,
    "backstop": 4095,  # 4096 classes of 2**20 accounts fill the 32-bit counter word
}
ORDINAL_MAX: Final = 2**20 - 1
_CLASS_MAX: Final = 4095
_PLUGIN_FIRST: Final = 1000
_PLUGIN_LAST: Final = 4094


def class_number(name: str) -> int:
    """Return the number of a class of agents: shipped, or a hash of its name from 1000 up.

    Parameters
    ----------
    name : str
        Name of the class in the population.

    Returns
    -------
    int
        1 to 4095.

    Raises
    ------
    InvalidInput
        If `name` is empty.

    Examples
    --------
    >>> class_number("order_flow"), class_number("my_rule")
    (6, 3046)
    """
    if not name:
        raise InvalidInput("is empty", name="class name", value=name, allowed="a name")
    if name in CLASS_NUMBERS:
        return CLASS_NUMBERS[name]
    digest = hashlib.sha256(name.encode()).digest()
    number = _PLUGIN_FIRST + int.from_bytes(digest[:8], "big") % (_CLASS_MAX - _PLUGIN_FIRST + 1)
    return min(number, _PLUGIN_LAST)  # a modulus without the last number would move every other one


def class_numbers(names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of all classes of a population, which must differ.

    Parameters
    ----------
    names : iterable of str
        Names of classes; a name may come more than once.

    Returns
    -------
    dict of str to int
        By name, in the order given.

    Raises
    ------
    InvalidInput
        If two names hash to one number: their accounts would draw alike.

    Examples
    --------
    >>> class_numbers(["lender", "order_flow"])
    {'lender': 9, 'order_flow': 6}
    """
    numbers: dict[str, int] = {}
    names_by_number: dict[int, str] = {}
    for name in names:
        number = class_number(name)
        other = names_by_number.setdefault(number, name)
        if other != name:
            raise InvalidInput(
                f"has the class number {number} of {other!r}",
                name="class name",
                value=name,
                allowed="names with different numbers",
                hint="rename one of the two classes",
            )
        numbers[name] = number
    return numbers


def account_key(class_id: int, ordinal: int) -> int:
    """Return the key of an account, or of an asset of the world.

    Parameters
    ----------
    class_id : int
        `CLASS_WORLD`, or from `class_number`.
    ordinal : int
        Number of the account in its class, of the asset in the world; 0 to `ORDINAL_MAX`.

    Returns
    -------
    int
        `class_id * 2**20 + ordinal`, below 2**32.

    Raises
    ------
    InvalidInput
        If either is out of range.

    Examples
    --------
    >>> account_key(CLASS_NUMBERS["order_flow"], 3)
    6291459
    """
    for name, value, limit in (
        ("class_id", class_id, _CLASS_MAX),
        ("ordinal", ordinal, ORDINAL_MAX),
    ):
        if not 0 <= value <= limit:
            raise InvalidInput("is out of range", name=name, value=value, allowed=f"0 to {limit}")
    return (int(class_id) << 20) + int(ordinal)
