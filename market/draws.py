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
from stressbook.market.elementary import exp, ln, normal_quantile, pow_
from stressbook.market.philox import (
    INDEX_MAX,
    TIME_MAX_MS,
    key_from_seed,
    philox,
    uniform,
    uniforms,
)
from stressbook.market.quantiles import (
    POISSON_MEAN_MAX,
    exponential_from_uniform,
    pareto_from_uniform,
    poisson_from_uniform,
)

__all__ = [
    "CLASS_NUMBERS",
    "CLASS_WORLD",
    "INDEX_MAX",
    "ORDINAL_MAX",
    "POISSON_MEAN_MAX",
    "PURPOSES",
    "TIME_MAX_MS",
    "Purpose",
    "account_key",
    "class_number",
    "class_numbers",
    "exp",
    "exponential_from_uniform",
    "key_from_seed",
    "ln",
    "normal_quantile",
    "pareto_from_uniform",
    "philox",
    "poisson_from_uniform",
    "pow_",
    "uniform",
    "uniforms",
]

# --- world: the key is that of the asset (class 0) ------------------------------------------------
PURPOSE_WORLD_RETURN: Final = 1
PURPOSE_WORLD_SCALE: Final = 2
PURPOSE_WORLD_LOG_VOLATILITY: Final = 3
PURPOSE_WORLD_JUMP: Final = 4
PURPOSE_WORLD_JUMP_SIZE: Final = 5
PURPOSE_OUTSIDE_BASIS: Final = 6
PURPOSE_OUTSIDE_DEPTH: Final = 7
PURPOSE_OUTSIDE_CROWD: Final = 8
PURPOSE_SENTIMENT: Final = 9
PURPOSE_ORACLE_NOISE: Final = 10

# --- venue ----------------------------------------------------------------------------------------
PURPOSE_LATENCY: Final = 30
PURPOSE_LATENCY_JITTER: Final = 31
PURPOSE_TIE: Final = 32
PURPOSE_BREACH_ORDER: Final = 33

# --- agents ---------------------------------------------------------------------------------------
PURPOSE_FLOW_ARRIVAL: Final = 50
PURPOSE_FLOW_SIZE: Final = 51
PURPOSE_FLOW_SIDE: Final = 52
PURPOSE_FLOW_PRICE: Final = 53
PURPOSE_DIRECTIONAL_ENTRY: Final = 60
PURPOSE_DIRECTIONAL_SIDE: Final = 61
PURPOSE_DIRECTIONAL_SIZE: Final = 62
PURPOSE_DIRECTIONAL_HOLD: Final = 63
PURPOSE_DIRECTIONAL_LEVERAGE: Final = 64
PURPOSE_DIRECTIONAL_STOP: Final = 65
PURPOSE_MAKER_RETURN_DELAY: Final = 70
PURPOSE_MAKER_QUOTE: Final = 71
PURPOSE_BASIS_REBALANCE: Final = 80
PURPOSE_HEDGER_EXPOSURE: Final = 90
PURPOSE_HEDGER_REBALANCE: Final = 91
PURPOSE_HOLDER_REBALANCE: Final = 100
PURPOSE_ARBITRAGE_REACTION: Final = 110
PURPOSE_DIP_ENTRY: Final = 120
PURPOSE_LENDER_WITHDRAWAL: Final = 130
PURPOSE_RENEWAL_DELAY: Final = 140
PURPOSE_RENEWAL_CAPITAL: Final = 141
PURPOSE_OWN_AGENT: Final = 150

# --- population and opening book, at time 0 -------------------------------------------------------
PURPOSE_TRAIT: Final = 200
PURPOSE_OPENING_SIDE: Final = 210
PURPOSE_OPENING_SIZE: Final = 211
PURPOSE_OPENING_AGE: Final = 212
PURPOSE_OPENING_LEVERAGE: Final = 213
PURPOSE_OPENING_PATH: Final = 214

# --- scenarios: the ordinal is the place of the element in its file -------------------------------
PURPOSE_SCENARIO_LAW: Final = 300
PURPOSE_STRESS: Final = 301


class Purpose(NamedTuple):
    """One row of the draw table."""

    number: int
    name: str
    owner: str  # module that draws
    key: str  # whose key: an account's or an asset's
    index_is: str  # what tells draws of one time apart
    per_step: str  # most draws of one key in a step
    meaning: str


# fmt: off
PURPOSES: Final = tuple(Purpose(*row) for row in (
    (PURPOSE_WORLD_RETURN, "world.return", "market.world",
     "asset", "0", "1", "innovation of the fundamental value"),
    (PURPOSE_WORLD_SCALE, "world.scale", "market.world",
     "asset 0", "0", "1", "common scale of the innovations: tails that come together"),
    (PURPOSE_WORLD_LOG_VOLATILITY, "world.log_volatility", "market.world",
     "asset 0", "component", "components", "innovation of the log volatility"),
    (PURPOSE_WORLD_JUMP, "world.jump", "market.world",
     "asset", "0", "1", "whether the fundamental jumps"),
    (PURPOSE_WORLD_JUMP_SIZE, "world.jump_size", "market.world",
     "asset", "0", "1", "size of the jump"),
    (PURPOSE_OUTSIDE_BASIS, "outside.basis", "market.world",
     "asset", "2 x market + slow", "4", "innovations of the outside basis"),
    (PURPOSE_OUTSIDE_DEPTH, "outside.depth", "market.world",
     "asset", "market", "2", "innovation of outside depth"),
    (PURPOSE_OUTSIDE_CROWD, "outside.crowd", "market.world",
     "asset", "0", "1", "liquidations outside"),
    (PURPOSE_SENTIMENT, "sentiment", "agents.directional",
     "asset", "0", "1", "innovation of the sentiment that directional traders share"),
    (PURPOSE_ORACLE_NOISE, "oracle.noise", "market.oracle",
     "asset", "0", "1", "error of the oracle's sources"),
    (PURPOSE_LATENCY, "latency", "market.setup",
     "account", "0", "once", "latency of the account"),
    (PURPOSE_LATENCY_JITTER, "latency.jitter", "market.sequence",
     "account", "message", "messages", "jitter of a message"),
    (PURPOSE_TIE, "tie", "market.sequence",
     "account", "message", "messages", "order of messages effective together"),
    (PURPOSE_BREACH_ORDER, "breach_order", "market.resolution",
     "account", "0", "1", "order in which breached accounts are resolved"),
    (PURPOSE_FLOW_ARRIVAL, "flow.arrival", "agents.flow",
     "account", "instrument", "instruments", "orders that arrive"),
    (PURPOSE_FLOW_SIZE, "flow.size", "agents.flow",
     "account", "instrument", "instruments", "size of the order"),
    (PURPOSE_FLOW_SIDE, "flow.side", "agents.flow",
     "account", "instrument", "instruments", "side of the order"),
    (PURPOSE_FLOW_PRICE, "flow.price", "agents.flow",
     "account", "instrument", "instruments", "how far it may walk, or where it rests"),
    (PURPOSE_DIRECTIONAL_ENTRY, "directional.entry", "agents.directional",
     "account", "asset", "assets", "whether to enter"),
    (PURPOSE_DIRECTIONAL_SIDE, "directional.side", "agents.directional",
     "account", "asset", "assets", "side of the entry"),
    (PURPOSE_DIRECTIONAL_SIZE, "directional.size", "agents.directional",
     "account", "asset", "assets", "size of the entry"),
    (PURPOSE_DIRECTIONAL_HOLD, "directional.hold", "agents.directional",
     "account", "asset", "assets", "time to hold"),
    (PURPOSE_DIRECTIONAL_LEVERAGE, "directional.leverage", "agents.directional",
     "account", "asset", "assets", "leverage of the entry"),
    (PURPOSE_DIRECTIONAL_STOP, "directional.stop", "agents.directional",
     "account", "asset", "assets", "distance of the stop"),
    (PURPOSE_MAKER_RETURN_DELAY, "maker.return_delay", "agents.market_maker",
     "account", "asset", "assets", "time until a withdrawn maker returns"),
    (PURPOSE_MAKER_QUOTE, "maker.quote", "agents.market_maker",
     "account", "instrument", "instruments", "noise of the quoted centre"),
    (PURPOSE_BASIS_REBALANCE, "basis.rebalance", "agents.basis_trader",
     "account", "asset", "assets", "when to look at the book again"),
    (PURPOSE_HEDGER_EXPOSURE, "hedger.exposure", "agents.hedger",
     "account", "asset", "assets", "change of the exposure to hedge"),
    (PURPOSE_HEDGER_REBALANCE, "hedger.rebalance", "agents.hedger",
     "account", "asset", "assets", "when to hedge again"),
    (PURPOSE_HOLDER_REBALANCE, "holder.rebalance", "agents.holder",
     "account", "asset", "assets", "when to look at the loan again"),
    (PURPOSE_ARBITRAGE_REACTION, "arbitrage.reaction", "agents.arbitrageur",
     "account", "asset", "assets", "reaction to a gap"),
    (PURPOSE_DIP_ENTRY, "dip.entry", "agents.dip_buyer",
     "account", "asset", "assets", "fall at which to buy"),
    (PURPOSE_LENDER_WITHDRAWAL, "lender.withdrawal", "agents.lender",
     "account", "token", "tokens", "whether to withdraw"),
    (PURPOSE_RENEWAL_DELAY, "renewal.delay", "agents.population",
     "account", "0", "1", "time until a ruined account is replaced"),
    (PURPOSE_RENEWAL_CAPITAL, "renewal.capital", "agents.population",
     "account", "0", "1", "capital of the replacement"),
    (PURPOSE_OWN_AGENT, "own_agent", "agents.base",
     "account", "as the agent says", "any", "what an agent written by a user draws"),
    (PURPOSE_TRAIT, "trait", "agents.traits",
     "account", "trait", "once", "what differs between accounts: capital, thresholds, assets"),
    (PURPOSE_OPENING_SIDE, "opening.side", "agents.aging",
     "account", "spell", "once", "side of an opening position"),
    (PURPOSE_OPENING_SIZE, "opening.size", "agents.opening",
     "account", "instrument", "once", "size of it"),
    (PURPOSE_OPENING_AGE, "opening.age", "agents.aging",
     "account", "spell", "once", "how long it has been held"),
    (PURPOSE_OPENING_LEVERAGE, "opening.leverage", "agents.opening",
     "account", "instrument", "once", "leverage of it"),
    (PURPOSE_OPENING_PATH, "opening.path", "agents.aging",
     "asset", "hour", "once", "past prices at which directional traders entered"),
    (PURPOSE_SCENARIO_LAW, "scenario.law", "experiments.scenario",
     "element", "parameter", "once", "scenario drawn from a law"),
    (PURPOSE_STRESS, "stress", "experiments.stress",
     "element", "as the stress says", "any", "what a stress draws while it runs"),
))
# fmt: on

CLASS_WORLD: Final = 0
CLASS_NUMBERS: Final = {
    "market_maker": 1,
    "basis_trader": 2,
    "hedger": 3,
    "holder": 4,
    "directional": 5,
    "flow": 6,
    "arbitrageur": 7,
    "dip_buyer": 8,
    "lender": 9,
    "backstop": 10,
}
ORDINAL_MAX: Final = 2**20 - 1
_PLUGIN_FIRST: Final = 1000
_PLUGIN_LAST: Final = 4095  # 4096 classes of 2**20 accounts fill the 32-bit counter word


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
    >>> class_number("flow"), class_number("my_rule")
    (6, 3046)
    """
    if not name:
        raise InvalidInput("is empty", name="class name", value=name, allowed="a name")
    if name in CLASS_NUMBERS:
        return CLASS_NUMBERS[name]
    digest = hashlib.sha256(name.encode()).digest()
    return _PLUGIN_FIRST + int.from_bytes(digest[:8], "big") % (_PLUGIN_LAST - _PLUGIN_FIRST + 1)


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
    >>> class_numbers(["lender", "flow"])
    {'lender': 9, 'flow': 6}
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
    >>> account_key(CLASS_NUMBERS["flow"], 3)
    6291459
    """
    for name, value, limit in (
        ("class_id", class_id, _PLUGIN_LAST),
        ("ordinal", ordinal, ORDINAL_MAX),
    ):
        if not 0 <= value <= limit:
            raise InvalidInput("is out of range", name=name, value=value, allowed=f"0 to {limit}")
    return (int(class_id) << 20) + int(ordinal)
