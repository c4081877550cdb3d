"""Random venues near the edge: accounts whose margin the next shock may or may not eat up."""

from dataclasses import replace

import numpy as np

from stressbook.market.opening.setup import AccountOpening
from stressbook.market.regimes.tables import APC_TOOLS
from stressbook.market.state.codes import (
    BUY,
    FROM_POCKET,
    GTC,
    IOC,
    OP_DEPOSIT,
    OP_ENROL,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_TRIGGER,
    OP_WITHDRAW,
    POST_ONLY,
    REDUCE_ONLY,
    REGIME_CROSS,
    SELL,
    TAKE,
)
from tests.small_venue import (
    BTC,
    BTC_PERP,
    BTC_SPOT,
    DECIMALS,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    SmallVenue,
    trader,
)

# Every switch, and bounds that bind: an empty pool, caps of nothing, no capital.
RULE_SETS = {
    "as_published": {},
    "no_capital": {"backstop_usd": 0.0},
    "little_capital": {"backstop_usd": 20_000.0, "liquidation__twap_halflife_ms": 300},
    "nothing_to_borrow": {"tokens__USDC__platform_borrow_cap": 0.0},
    "no_credit": {"tokens__HYPE__user_supply_cap": 0.0, "tokens__BTC__user_supply_cap": 0.0},
    "small_user_cap": {"tokens__USDC__user_borrow_cap": 20_000.0},
    "slices_of_the_rest": {
        "liquidation__slice_of_remaining": True,
        "liquidation__slice_full_discount": True,
        "liquidation__slice_at_partial_threshold": True,
    },
    "socialised": {"liquidation__socialise": "positions", "backstop_usd": 1_000.0},
    "no_deleveraging": {"liquidation__adl_on": False},
    "no_vault": {"liquidation__backstop": "none", "margin__min_borrow_offset_on": True},
    "pro_rata": {"liquidation__allocate": "pro_rata", "backstop_usd": 1_000.0},
    "levelled": {"liquidation__allocate": "leverage_levelling", "backstop_usd": 0.0},
    "by_profit": {"liquidation__score": "profit_times_leverage", "backstop_usd": 0.0},
    "haircuts": {
        "liquidation__allocate": "profit_haircut",
        "liquidation__score": "profit_over_collateral",
        "liquidation__socialise": "positions",
        "backstop_usd": 1_000.0,
    },
    "share_of_all": {"liquidation__select": "share_of_all", "backstop_usd": 0.0},
    "one_drawn": {"liquidation__select": "random", "liquidation__adl_on": False},
    "largest": {"liquidation__select": "largest_contributor", "backstop_usd": 0.0},
    "one_factor": {"liquidation__socialise": "withdrawal_factor", "backstop_usd": 1_000.0},
    "fund": {"liquidation__backstop": "insurance_fund", "backstop_usd": 300_000.0},
    "small_fund": {
        "liquidation__backstop": "insurance_fund",
        "liquidation__allocate": "profit_haircut",
        "liquidation__socialise": "withdrawal_factor",
        "backstop_usd": 5_000.0,
    },
    "fillable": {"liquidation__price": "fillable", "liquidation__select": "largest_contributor"},
    "at_the_mark": {
        "liquidation__taker": "backstop",
        "liquidation__select": "share_of_all",
        "liquidation__backstop": "insurance_fund",
        "liquidation__socialise": "withdrawal_factor",
        "backstop_usd": 100_000.0,
    },
    "auctions": {"liquidation__taker": "auction", "liquidation__auction_period_ms": 20_000},
    "auctions_to_a_fund": {
        "liquidation__taker": "auction",
        "liquidation__backstop": "insurance_fund",
        "liquidation__auction_reserve_frac": 0.001,
        "backstop_usd": 200_000.0,
    },
    "recorded_only": {"liquidation__resolution_on": False},
    "isolated": {"regime": "isolated"},
    "scan": {"regime": "scan"},
    "okx_little_capital": {"regime": "okx", "backstop_usd": 20_000.0},
    "up_to_the_borrowable": {
        "margin__borrowable_in_credit": True,
        "tokens__USDC__platform_borrow_cap": 60_000.0,
    },
    "the_large_leave": {
        "margin__value_max_later": "leaves_when_idle",
        "margin__account_value_max_usd": 5_000.0,
        "margin__volume_spot_weight": 1.37,
    },
}
# The same where HYPE and BTC are lent as well.
LENT = {
    f"tokens__{name}__{key}": value
    for name, caps in (("BTC", 50.0), ("HYPE", 50_000.0))
    for key, value in (
        ("borrowable", True),
        ("user_borrow_cap", caps / 5.0),
        ("platform_borrow_cap", caps),
    )
}
TWO_WAY_RULE_SETS = {
    "lent": LENT,
    "lent_without_capital": LENT | {"backstop_usd": 0.0, "liquidation__twap_halflife_ms": 3_000},
    "lent_little_capital": LENT | {"backstop_usd": 2e4, "liquidation__twap_halflife_ms": 300},
    "lent_small_caps": LENT
    | {"tokens__HYPE__user_borrow_cap": 100.0, "tokens__BTC__platform_borrow_cap": 0.3}
    | {"liquidation__slice_of_remaining": True, "liquidation__slice_full_discount": True},
    "lent_socialised": LENT
    | {"liquidation__socialise": "positions", "backstop_usd": 1_000.0}
    | {"lending__interest_is_simple": True, "margin__user_cap_in_credit": False},
    "lent_to_the_small": LENT
    | {"margin__value_max_later": "no_new_borrowing", "margin__account_value_max_usd": 20_000.0}
    | {"margin__borrowable_in_credit": True},
}
# Ranges of a scan that follow volatility, with each tool against procyclicality.
FOLLOWING_RULE_SETS = {
    tool: {"regime": "scan", "regime__volatility_time_s": 60.0, "regime__apc_tool": tool}
    for tool in APC_TOOLS
}
N_ACCOUNTS = 9
HOUSE = N_ACCOUNTS
SHOCKS = (0.0, 0.0, -0.03, 0.03, -0.12, 0.1, -0.4, -0.8, 0.6)
RANGES = {"BTC": (1_000.0, 240_000.0), "HYPE": (1.0, 200.0)}
HOUR_MS = 3_600_000


def random_accounts(rng):
    """Levered accounts of both regimes, a house that holds the other side, a lender."""
    totals = {BTC_PERP: 0, HYPE_PERP: 0}
    lent = 0
    accounts = []
    for index in range(N_ACCOUNTS):
        if rng.random() < 0.08:  # a loan that nothing secures any more
            accounts.append(trader(index + 1, 0, debt_usd=1_000, portfolio=True))
            lent += 1_000
            continue
        size = 10.0 ** rng.uniform(3.0, 5.5)
        perps, margin = {}, 0.0
        for inst, price, most in ((BTC_PERP, 100_000.0, 40.0), (HYPE_PERP, 100.0, 10.0)):
            if rng.random() < 0.6:
                lots = int(size * rng.choice([-1, 1]) * rng.uniform(0.2, 1.0))
                perps[inst] = (lots, price * rng.uniform(0.97, 1.03))
                totals[inst] += lots
                margin += abs(lots) / most
        tokens, debt = {}, 0
        if rng.random() < 0.6:
            for token, price, ltv in ((BTC, 100_000.0, 0.5), (HYPE, 100.0, 0.65)):
                if rng.random() < 0.7:
                    units = round(size * rng.uniform(0.1, 1.0) / price, 6)
                    tokens[token] = units
                    debt += round(units * price * ltv * rng.uniform(0.3, 1.0))
        supply = round(size * 0.1) if rng.random() < 0.2 else 0
        cash = round(margin * rng.uniform(0.55, 1.6)) + supply
        lent += debt
        accounts.append(
            trader(index + 1, cash, perps, tokens=tokens, debt_usd=debt, supply_usd=supply)
        )
    # Half of the time the pool is lent to the last dollar.
    slack = 0 if rng.random() < 0.5 else 50_000
    house = {
        inst: (-lots, 100_000.0 if inst == BTC_PERP else 100.0) for inst, lots in totals.items()
    }
    accounts.append(trader(90, 5_000_000, house, supply_usd=lent + slack))
    return accounts


def _other_side(accounts):
    """What the house holds so that perps sum to zero."""
    prices = {BTC_PERP: 100_000 * 10**8, HYPE_PERP: 100 * 10**8}
    return {
        inst: (-sum(each.perps.get(inst, (0, 0))[0] for each in accounts), price)
        for inst, price in prices.items()
    }


def two_way_accounts(rng):
    """The same, many of them short of tokens, and a lender of tokens."""
    accounts = random_accounts(rng)
    lent = {BTC: 0, HYPE: 0}
    for index, account in enumerate(accounts[:N_ACCOUNTS]):
        token, price = ((BTC, 100_000.0), (HYPE, 100.0))[int(rng.integers(2))]
        usd = round(10.0 ** rng.uniform(2.0, 4.8))
        if account.regime == REGIME_CROSS or rng.random() < 0.3:
            continue
        units = round(usd / price * 10 ** DECIMALS[token])
        lent[token] += units
        sold = units if rng.random() < 0.7 else 0
        accounts[index] = replace(
            account,
            tokens={**account.tokens, token: account.tokens.get(token, 0) - sold},
            borrowed={token: units},
            cash_micro=account.cash_micro + round(usd * 1e6 * rng.uniform(0.3, 1.8)),
        )
    if rng.random() < 0.5:  # sold and spent
        lent[HYPE] += 10**8
        accounts[0] = replace(
            trader(1, 0, portfolio=True), tokens={HYPE: -(10**8)}, borrowed={HYPE: 10**8}
        )
        accounts[-1] = replace(accounts[-1], perps=_other_side(accounts[:-1]))
    # The pool is lent to the last unit, or has some left.
    lent = {token: n + int(rng.integers(2)) * 10 ** DECIMALS[token] for token, n in lent.items()}
    held = {token: 2 * n for token, n in lent.items()}
    lender = AccountOpening(key=91, cash_micro=10**10, tokens=held, lent=lent)
    return [*accounts, lender]


class DistressedVenue(SmallVenue):
    """A random venue that takes random steps; the same seed gives the same on either engine."""

    def __init__(self, seed, *, engine, values):
        self.rng = np.random.default_rng(seed)
        super().__init__(*self.random_accounts(self.rng), engine=engine, **values)
        self.prices = {"BTC": 100_000.0, "HYPE": 100.0}

    @staticmethod
    def random_accounts(rng):
        return random_accounts(rng)

    def random_step(self):
        """A shock of one price or of both, a few messages, now and then an hour."""
        rng = self.rng
        for name in self.prices:
            if rng.random() < 0.6:
                price = self.prices[name] * (1.0 + rng.choice(SHOCKS) * rng.uniform(0.3, 1.0))
                lowest, highest = RANGES[name]  # the ladder of BTC ends at 262,143
                self.prices[name] = min(max(price, lowest), highest)
        self._makers(rng)
        for _ in range(int(rng.integers(0, 5))):
            self._request(rng)
        if rng.random() < 0.1:
            self.t_ms += HOUR_MS - 9_000 - self.t_ms % HOUR_MS
            self.step(9_000, **self.prices)
        elif rng.random() < 0.3:
            self.step(1_000, **self.prices)
        else:
            self.update(**self.prices)

    def _makers(self, rng):
        """The house quotes around the outside, if it quotes at all: thin, thick or far away."""
        for inst, name in (
            (BTC_PERP, "BTC"),
            (HYPE_PERP, "HYPE"),
            (BTC_SPOT, "BTC"),
            (HYPE_SPOT, "HYPE"),
        ):
            if rng.random() < 0.4:
                continue
            half = rng.choice([0.0005, 0.01, 0.08])
            lots = int(10.0 ** rng.uniform(1.0, 5.5))
            price = self.prices[name]
            # Tokens are mostly sold, and the house holds none.
            side = BUY if inst in (BTC_SPOT, HYPE_SPOT) else int(rng.choice([BUY, SELL]))
            usd = price * (1.0 - half if side == BUY else 1.0 + half)
            self.order(HOUSE, inst, side, usd, lots, tif=int(rng.choice([GTC, POST_ONLY])))

    def _request(self, rng):
        """Anybody asks for anything, sensible or not."""
        user = int(rng.integers(0, N_ACCOUNTS + 1))
        amount = int(10.0 ** rng.uniform(6.0, 11.0))
        kind = int(rng.integers(0, 9))
        if kind == 8:
            inst, flags = int(rng.choice([BTC_PERP, HYPE_PERP])), int(rng.choice([0, FROM_POCKET]))
            self.send(op=OP_TRANSFER, user=user, inst=inst, qty_lots=amount, options=flags)
        elif kind < 2:
            inst = int(rng.choice([BTC_PERP, HYPE_PERP, BTC_SPOT, HYPE_SPOT]))
            price = self.prices["BTC" if inst in (BTC_PERP, BTC_SPOT) else "HYPE"]
            usd = price * rng.uniform(0.9, 1.1)
            lots = int(10.0 ** rng.uniform(0.0, 5.0))
            flags = REDUCE_ONLY if inst in (BTC_PERP, HYPE_PERP) and rng.random() < 0.3 else 0
            tif = int(rng.choice([GTC, IOC, POST_ONLY]))
            client_id = int(rng.integers(0, 4))
            side = int(rng.choice([BUY, SELL]))
            self.order(user, inst, side, usd, lots, tif=tif, flags=flags, client_id=client_id)
        elif kind == 7:
            inst = int(rng.choice([BTC_PERP, HYPE_PERP]))
            price = self.prices["BTC" if inst == BTC_PERP else "HYPE"]
            ticks = [round(price * rng.uniform(0.8, 1.2) / float(self.v.inst[inst].tick_usd))]
            limit = int(rng.choice([0, ticks[0]]))
            flags = int(rng.choice([0, TAKE])) | int(rng.choice([0, REDUCE_ONLY]))
            given = {"op": OP_TRIGGER, "user": user, "inst": inst, "side": int(rng.choice([0, 1]))}
            given |= {"tif": GTC if limit else IOC, "options": flags, "price_tick": limit}
            lots = int(10.0 ** rng.uniform(0.0, 5.0))
            self.send(**given, qty_lots=lots, handle=ticks[0], client_id=int(rng.integers(0, 4)))
        elif kind == 6:
            self.send(op=OP_ENROL, user=user, qty_lots=int(rng.integers(0, 3)))
        else:
            op = (OP_DEPOSIT, OP_WITHDRAW, OP_SUPPLY, OP_REDEEM)[kind - 2]
            self.send(op=op, user=user, inst=0, qty_lots=amount)


class QuotingVenue(DistressedVenue):
    """One where accounts keep orders on both sides, some at one price, many beyond what they hold.

    Breaches are only recorded, and orders taken without margin, so that they are there to cancel.
    """

    def __init__(self, seed, *, engine, values):
        free = {"orders__admission_on": False, "liquidation__resolution_on": False}
        super().__init__(seed, engine=engine, values=free | values)

    def _request(self, rng):
        super()._request(rng)
        user, inst = int(rng.integers(0, N_ACCOUNTS)), int(rng.choice([BTC_PERP, HYPE_PERP]))
        price = self.prices["BTC" if inst == BTC_PERP else "HYPE"]
        most = max(abs(int(self.v.perp[user, inst])), 10)
        for away in rng.choice([0.1, 0.2, 0.3], size=4):
            side, lots = int(rng.choice([BUY, SELL])), int(most * rng.uniform(0.1, 0.7)) + 1
            usd = price * (1.0 - away if side == BUY else 1.0 + away)
            self.order(user, inst, side, usd, lots, tif=GTC)


class TwoWayVenue(DistressedVenue):
    """One where tokens are lent: they are sold short, bought back, supplied and redeemed."""

    @staticmethod
    def random_accounts(rng):
        return two_way_accounts(rng)

    def _makers(self, rng):
        super()._makers(rng)
        for inst, name in ((BTC_SPOT, "BTC"), (HYPE_SPOT, "HYPE")):
            if rng.random() < 0.5:  # the lender sells what it has kept
                usd = self.prices[name] * (1.0 + rng.choice([0.0005, 0.01, 0.08]))
                lots = int(10.0 ** rng.uniform(1.0, 4.5))
                self.order(HOUSE + 1, inst, SELL, usd, lots, tif=GTC)

    def _request(self, rng):
        super()._request(rng)
        user, token = int(rng.integers(0, N_ACCOUNTS + 2)), int(rng.choice([BTC, HYPE]))
        usd = 10.0 ** rng.uniform(2.0, 5.0)
        name, inst = ("BTC", BTC_SPOT) if token == BTC else ("HYPE", HYPE_SPOT)
        price = self.prices[name]
        if rng.random() < 0.6:
            side = SELL if rng.random() < 0.7 else BUY
            tif = int(rng.choice([GTC, IOC, POST_ONLY]))
            self.order(user, inst, side, price * rng.uniform(0.97, 1.03), int(usd), tif=tif)
        else:
            op = int(rng.choice([OP_DEPOSIT, OP_WITHDRAW, OP_SUPPLY, OP_REDEEM]))
            units = int(usd / price * 10 ** DECIMALS[token])
            self.send(op=op, user=user, inst=token, qty_lots=units)
