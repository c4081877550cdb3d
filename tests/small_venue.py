"""A venue of a few accounts that is stepped from mark update to mark update, on either engine."""

import numpy as np

from stressbook.experiments.simulation import ENGINES
from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import (
    BUY,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    OP_NEW,
    POST_ONLY,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.conservation import Conservation
from stressbook.market.state.records import (
    C_EVENTS,
    C_FILLS,
    C_OUTBOX,
    C_PENDING,
    C_REPLIES,
    C_TRIGGERS,
    Capacity,
)

BTC_PERP, HYPE_PERP, BTC_SPOT, ETH_SPOT, HYPE_SPOT = 0, 3, 4, 5, 6
BTC, ETH, HYPE = 1, 2, 3  # tokens
ASSETS = {"BTC": 0, "ETH": 1, "SOL": 2, "HYPE": 3}
DECIMALS = {BTC: 10, ETH: 9, HYPE: 8}
# At these prices a lot of BTC and of HYPE is worth a dollar.
SPEC = load_preset("hyperliquid").with_opening_prices({"BTC": 100_000.0, "HYPE": 100.0})
UPDATE_MS = 3_000
LONG, HOUSE = 0, 1  # users of the venues below
HOUSE_CASH = 10_000_000


def trader(key, cash_usd, perps=None, *, tokens=None, debt_usd=0, supply_usd=0, **more):
    """An account: cash that it brings, lots at entry prices in USD, whole tokens, loans in USD.

    With tokens it is under portfolio margin, and its loan has been spent.
    """
    portfolio = more.pop("portfolio", bool(tokens))
    return AccountOpening(
        key=key,
        cash_micro=round((cash_usd - debt_usd + supply_usd) * MICRO),
        perps={i: (lots, round(entry * 10**8)) for i, (lots, entry) in (perps or {}).items()},
        tokens={k: round(n * 10 ** DECIMALS[k]) for k, n in (tokens or {}).items()},
        debt=round(debt_usd * MICRO),
        supply=round(supply_usd * MICRO),
        regime=REGIME_PORTFOLIO if portfolio else REGIME_CROSS,
        account_mode=MODE_PORTFOLIO if portfolio else MODE_STANDARD,
        **more,
    )


class SmallVenue:
    """Accounts at a venue; books are empty until an order is sent."""

    def __init__(
        self,
        *accounts,
        engine="kernel",
        backstop_usd=12_300_000.0,
        regime="hyperliquid-pm",
        **values,
    ):
        values = {"orders__order_min_usd": 0.0} | values  # a lot is worth a dollar
        spec = SPEC.with_regime(regime).with_values(
            {name.replace("__", "."): x for name, x in values.items()}
        )
        spec = spec.with_values({"liquidation.backstop_capital_usd": float(backstop_usd)})
        self.spec = spec
        sizes = Capacity(orders=64, messages=256, fills=256, events=256)
        self.v = make_state(spec, accounts, seed=7, capacity=sizes)
        self.engine = ENGINES[engine](self.v)
        self.books = Conservation(self.v)
        self.backstop = int(self.v.par[0].backstop_user)
        self.t_ms = 0
        self.messages = []

    def order(self, user, inst, side, usd, lots, *, tif=POST_ONLY, flags=0, client_id=0):
        """Have a user send an order in the next step."""
        tick = round(usd / float(self.v.inst[inst].tick_usd))
        self.messages.append(
            {"op": OP_NEW, "user": user, "inst": inst, "side": side, "price_tick": tick}
            | {"qty_lots": lots, "tif": tif, "options": flags, "client_id": client_id}
        )

    def bid(self, user, inst, usd, lots, **more):
        self.order(user, inst, BUY, usd, lots, **more)

    def send(self, **message):
        """Have any message sent in the next step."""
        self.messages.append(message)

    def step(self, step_ms=1_000, **prices):
        """Run a step at outside prices, spot and perp alike; return its events."""
        for name, usd in prices.items():
            outside = self.v.outside[ASSETS[name]]
            outside.fundamental_usd = outside.spot_usd = outside.perp_usd = usd
        self.t_ms += step_ms
        self.v.par[0].dt_ms = step_ms
        self.engine.before_decide(self.t_ms)
        self.forced = self.v.outbox[: self.v.ctr[C_OUTBOX]].copy()
        self.risk_events = self.v.event[: self.v.ctr[C_EVENTS]].copy()
        self.users_at_risk_check = self.v.user.copy()
        for message in self.messages:
            place = int(self.v.ctr[C_OUTBOX])
            self.v.outbox[place] = np.zeros((), self.v.outbox.dtype)
            for name, value in message.items():
                self.v.outbox[place][name] = value
            self.v.ctr[C_OUTBOX] = place + 1
        self.messages = []
        self.engine.match(self.t_ms)
        self.books.check(self.v, t_ms=self.t_ms)
        self.fills = self.v.fill[: self.v.ctr[C_FILLS]].copy()
        self.events = self.v.event[: self.v.ctr[C_EVENTS]].copy()
        return self.events

    def update(self, **prices):
        """Run the step in which the next mark update falls."""
        return self.step(UPDATE_MS - self.t_ms % UPDATE_MS, **prices)

    def kinds(self, user=None):
        """The kinds of the last step's events, in order, of one user or all."""
        return [int(e["kind"]) for e in self.events if user is None or e["user"] == user]

    def event(self, kind, user=None):
        """The one event of a kind in the last step."""
        found = [e for e in self.events if e["kind"] == kind]
        found = [e for e in found if user is None or e["user"] == user]
        assert len(found) == 1, (kind, user, self.events)
        return found[0]

    def cash_usd(self, row):
        return float(self.v.cash[row]) / 1e6

    def equity_usd(self, user):
        """Cash, perps at the mark, less debt."""
        lots, lot = self.v.perp[user], self.v.inst["lot_size"]
        marks = self.v.price["mark_usd"][self.v.inst["asset"]]
        return (
            float((lots * lot * marks).sum())
            + float(self.v.cash[user] - self.v.debt[user, 0]) / 1e6
        )


def long_against_house(cash_usd, lots=200_000, entry_usd=100.0, *, engine, **more):
    """User 0 is long HYPE, user 1 short as much with cash to spare."""
    return SmallVenue(
        trader(1, cash_usd, {HYPE_PERP: (lots, entry_usd)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-lots, 100.0)}),
        engine=engine,
        **more,
    )


def borrower(debt_usd=600_000, hype=10_000, *, engine, lent_usd=1_000_000, **more):
    """User 0 owes dollars against HYPE, user 1 has lent."""
    return SmallVenue(
        trader(1, 0, tokens={HYPE: hype}, debt_usd=debt_usd),
        trader(2, HOUSE_CASH, supply_usd=lent_usd),
        engine=engine,
        **more,
    )


# What the kernels use as scratch, or leave behind in entries that count no longer.
SCRATCH = {
    "outbox",
    "merged",
    "order_key",
    "order_index",
    "pocket",
    "unit_scratch",
    "loss_sums",
    "digit_count",
    "work_index",
    "work_rank",
    "plan_lots",
    "shift_lots",
    "queue_size",
    "queue_score",
    "queue_taken",
    "queue_order",
    "queue_rest",
    "client_slot",
}
LOGS = {"fill": C_FILLS, "event": C_EVENTS, "reply": C_REPLIES, "pending": C_PENDING}
LOGS |= {"trigger": C_TRIGGERS}


def differences(a, b):
    """Names of the arrays in which two states differ: every entry that counts, to the bit."""
    names = [name for name in a._fields if name not in SCRATCH]
    return [name for name in names if not same(counting(a, name), counting(b, name))]


def counting(v, name):
    """The entries of an array that count; which levels hold orders, the bitmaps tell."""
    array = getattr(v, name)
    if name in LOGS:
        return array[: v.ctr[LOGS[name]]]
    if name not in ("level", "order"):
        return array
    resting = v.order[v.order["qty_lots"] > 0]
    return resting if name == "order" else array[resting["inst"], resting["price_tick"]]


def same(a, b):
    if a.shape != b.shape:
        return False
    if a.dtype.names is None:
        return a.tobytes() == b.tobytes()
    return all(a[name].tobytes() == b[name].tobytes() for name in a.dtype.names)
