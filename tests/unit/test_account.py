"""Own agents: declared parameters, what they see, what they may say, and what a run makes of it."""

import math
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stressbook as sb
from stressbook.agents.classes import CLASSES
from stressbook.agents.outbox import Outbox as RawOutbox
from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.agents.own_outbox import OutboxView, write_messages
from stressbook.agents.own_view import Now, OwnOrder, View
from stressbook.agents.view import (
    ACCOUNT_VIEW,
    ASSET_VIEW,
    CLOCK,
    INSTRUMENT_VIEW,
    OWN_ORDER,
    TOKEN_VIEW,
    Accounts,
    Market,
)
from stressbook.errors import AgentError, InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.numbers.draws import PURPOSE_OWN_AGENT, account_key, class_number, uniform
from stressbook.market.state import codes
from stressbook.market.state.records import MESSAGE, N_TICKS

USER = 5  # of the first own account


class Buyer(sb.Account):
    """Buys once, at a price that fills."""

    lots: int = sb.param(50, unit="lots", help="size of the only order", low=1.0)
    seen = 0

    def setup(self):
        self.prices = []

    def decide(self, view, out):
        self.seen += 1
        self.prices.append(view.mid("BTC-PERP"))
        if self.seen == 5:
            out.buy("BTC-PERP", self.lots)


class Careful(Buyer):
    limit_frac: float = sb.param(0.01, unit="1", help="how far it pays up", low=0.0, high=1.0)


class Failing(sb.Account):
    def decide(self, view, out):
        if view.t_s >= 2.0:
            raise KeyError("lost")  # the line that the error names


class Unready(sb.Account):
    def setup(self):
        self.left = 1 // 0

    def decide(self, view, out):
        pass


class Quits(sb.Account):
    def decide(self, view, out):
        sys.exit(0)


class Draws(sb.Account):
    def setup(self):
        self.drawn = []

    def decide(self, view, out):
        self.drawn.append(view.uniform(3))


class DrawsToo(Draws):
    def decide(self, view, out):
        self.drawn.append(view.uniform(3))


OWN = {
    name: OWN_CLASSES.pop(name)
    for name in ("Buyer", "Careful", "Failing", "Unready", "Quits", "Draws", "DrawsToo")
}


@pytest.fixture(autouse=True, scope="module")
def known_here_only():
    """Let no other test meet these classes."""
    before = dict(OWN_CLASSES)
    OWN_CLASSES.update(OWN)
    yield
    OWN_CLASSES.clear()
    OWN_CLASSES.update(before)


# --- parameters ----------------------------------------------------------------------------------


def test_parameters_of_a_class_are_those_of_every_account_and_its_own():
    names = [entry.name for entry in fields(Careful.Params)]
    assert names == ["accounts", "cash_usd", "enrolled", "volume_14d_usd", "lots", "limit_frac"]
    assert Careful.Params(lots=3) == Careful.Params(lots=3)
    assert Buyer.lots == 50


def test_a_class_is_known_to_scenario_files_by_its_name():
    scenario = load_scenario("skeleton").with_(agents={"Buyer": {"lots": 7, "accounts": 2}})
    assert scenario.agents["Buyer"] == Buyer.Params(lots=7, accounts=2)
    assert "[agents.Buyer]" in scenario.to_toml()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"lot": 1}, "agents.Buyer.lot is read by nothing"),
        ({"lots": 0}, "agents.Buyer.lots = 0 is out of range"),
        ({"lots": "many"}, "agents.Buyer.lots = 'many' is not a whole number"),
        ({"cash_usd": -1.0}, "agents.Buyer.cash_usd = -1.0 is out of range"),
    ],
)
def test_wrong_parameters_are_named(table, said):
    with pytest.raises(InvalidScenario) as error:
        load_scenario("skeleton").with_(agents={"Buyer": table})
    assert said in str(error.value)


def test_a_parameter_needs_a_type():
    with pytest.raises(InvalidInput) as error:
        type("Loose", (sb.Account,), {"band": sb.param(0.1, unit="1", help="band")})
    assert "Loose.band has no type" in str(error.value)
    assert "write band: float = sb.param(...)" in str(error.value)


def test_a_class_defined_again_replaces_itself_and_another_may_not_take_its_name():
    body = {"decide": lambda self, view, out: None, "__module__": __name__}
    first = type("Twice", (sb.Account,), dict(body))
    again = type("Twice", (sb.Account,), dict(body))
    assert OWN_CLASSES["Twice"].agent is again is not first
    with pytest.raises(InvalidInput, match="is the name of"):
        type("Twice", (sb.Account,), {**body, "__module__": "elsewhere"})


@pytest.mark.parametrize("name", ["hedger", "order_flow"])
def test_names_of_shipped_classes_are_taken(name):
    with pytest.raises(InvalidInput, match="is taken"):
        type(name, (sb.Account,), {"decide": lambda self, view, out: None})


@pytest.mark.parametrize("agent", [sb.Account, int, "Buyer", Buyer.Params()])
def test_only_classes_of_accounts_can_be_added(agent):
    with pytest.raises(InvalidInput, match="is no class of accounts"):
        sb.scenario("skeleton").add(agent)


# --- what an agent sees --------------------------------------------------------------------------


@pytest.fixture
def arrays():
    """Views of two own accounts behind five others, filled by hand."""
    spec = load_scenario("skeleton").venue_spec()
    n_users, n_insts = USER + 2, len(spec.instruments)
    market = Market(
        np.zeros(1, CLOCK),
        np.zeros(n_insts, INSTRUMENT_VIEW),
        np.zeros(len(spec.assets), ASSET_VIEW),
        np.zeros(len(spec.tokens), TOKEN_VIEW),
    )
    market.clock["t_ms"], market.clock["seed_key0"], market.clock["seed_key1"] = 9_000, 11, 12
    market.inst["tick_usd"] = [1.0, 0.001, 1.0, 0.001]
    market.inst["lot_size"] = [1e-5, 0.01, 1e-5, 0.01]
    market.inst["best_bid_tick"], market.inst["best_ask_tick"] = 78_999, 79_001
    market.inst["best_bid_tick"][3], market.inst["best_ask_tick"][3] = -1, N_TICKS
    market.inst["mid_usd"] = [79_000.0, 79.0, 79_000.0, 0.0]
    market.asset["oracle_usd"], market.asset["mark_usd"] = [78_990.0, 84.0], [78_995.0, 84.1]
    market.asset["funding_hourly"] = [1.25e-5, -4e-5]
    accounts = Accounts(
        np.zeros(n_users, ACCOUNT_VIEW),
        np.zeros((n_users, n_insts), np.int64),
        np.zeros((n_users, len(spec.tokens)), np.int64),
        np.zeros((n_users, len(spec.assets), 2), np.int64),
        np.zeros((n_users, n_insts), np.int64),
        np.zeros((n_users, n_insts), np.int64),
        np.zeros(n_users + 1, np.int64),
        np.zeros(8, OWN_ORDER),
    )
    accounts.account["key"] = account_key(class_number("Buyer"), 0) + np.arange(n_users)
    accounts.account["equity_usd"] = np.arange(n_users) * 1e6
    accounts.account["cash_micro"] = np.arange(n_users) * 10**12 + 500_000
    accounts.position[USER] = [-300, 20, 0, 0]
    accounts.token[USER, 2] = 150_000_000
    return spec, accounts, market


@pytest.fixture
def now(arrays):
    spec, accounts, market = arrays
    return Now(spec, accounts, market, first_user=USER, n_users=2)


@pytest.fixture
def view(now):
    return View(now, 0)


def test_public_numbers_by_name(view):
    assert view.t_s == 9.0
    assert (view.mid("BTC-PERP"), view.best_bid("BTC-PERP")) == (79_000.0, 78_999.0)
    assert view.best_ask("HYPE-PERP") == pytest.approx(79.001)
    assert (view.oracle("BTC"), view.mark("HYPE"), view.funding("HYPE")) == (78_990.0, 84.1, -4e-5)


def test_own_numbers_are_those_of_the_own_row(now, view):
    assert (view.position("BTC-PERP"), view.position("HYPE-PERP")) == (-300, 20)
    assert view.equity_usd == USER * 1e6
    assert View(now, 1).equity_usd == (USER + 1) * 1e6
    assert view.cash_usd == view.tokens("USDC") == USER * 1e6 + 0.5
    unit = load_scenario("skeleton").venue_spec().tokens[2].unit
    assert view.tokens("HYPE") == 150_000_000 / unit


def test_a_step_later_the_numbers_are_new(arrays, now, view):
    _, accounts, market = arrays
    assert view.mid("BTC-PERP") == 79_000.0
    market.inst["mid_usd"][0], accounts.position[USER, 0] = 80_000.0, 5
    assert view.mid("BTC-PERP") == 79_000.0
    now.begin()
    assert (view.mid("BTC-PERP"), view.position("BTC-PERP")) == (80_000.0, 5)


def test_an_empty_side_or_book_is_no_number(view):
    assert math.isnan(view.best_bid("HYPE-SPOT"))
    assert math.isnan(view.best_ask("HYPE-SPOT"))
    assert math.isnan(view.mid("HYPE-SPOT"))
    assert view.lots("HYPE-SPOT", 1e6) == 0


def test_lots_of_an_amount_are_whole_and_towards_zero(view):
    assert view.lots("BTC-PERP", 1_000.0) == 1265  # 1000 / (1e-5 x 79000) = 1265.8
    assert view.lots("BTC-PERP", -1_000.0) == -1265


def test_own_orders_are_named(arrays, now, view):
    _, accounts, _ = arrays
    accounts.order[:3] = [(0, 0, 78_000, 5, 1), (0, 1, 80_000, 6, 2), (1, 1, 85_000, 7, 0)]
    accounts.order_start[USER + 1 :] = 3
    now.begin()
    assert view.orders("BTC-PERP") == [
        OwnOrder("BTC-PERP", "buy", 78_000.0, 5, 1),
        OwnOrder("BTC-PERP", "sell", 80_000.0, 6, 2),
    ]
    assert [order.lots for order in view.orders()] == [5, 6, 7]
    assert View(now, 1).orders() == []


@pytest.mark.parametrize(
    ("ask", "known"),
    [
        (lambda view: view.mid("BTC"), "BTC-PERP"),
        (lambda view: view.position("BTC-PREP"), "did you mean 'BTC-PERP'"),
        (lambda view: view.orders("ETH-PERP"), "BTC-PERP"),
        (lambda view: view.lots("X", 1.0), "BTC-PERP"),
        (lambda view: view.mark("BTC-PERP"), "allowed: BTC, HYPE"),
        (lambda view: view.tokens("SOL"), "USDC"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(view, ask, known):
    with pytest.raises(UnknownName) as error:
        ask(view)
    assert known in str(error.value)


def test_draws_are_those_of_the_draw_table(view):
    key = account_key(class_number("Buyer"), 0) + USER
    assert view.uniform(3) == uniform(11, 12, PURPOSE_OWN_AGENT, key, 9_000, 3)
    assert view.uniform() != view.uniform(1)


def test_draws_do_not_depend_on_who_else_draws(now):
    key = account_key(class_number("Buyer"), 0) + USER
    for t_ms in (9_000, 10_000):
        now.market.clock["t_ms"] = t_ms
        now.begin()
        for row in (0, 1, 0, 1):
            drawn = uniform(11, 12, PURPOSE_OWN_AGENT, key + row, t_ms, 2)
            assert View(now, row).uniform(2) == drawn


@pytest.mark.parametrize("index", [-1, 2**24])
def test_a_draw_beyond_its_range_is_refused(view, index):
    with pytest.raises(InvalidInput, match="index"):
        view.uniform(index)


# --- what an agent says --------------------------------------------------------------------------


@pytest.fixture
def box(now):
    return OutboxView(now, USER, [])


def messages(box, capacity=16):
    out = RawOutbox(np.zeros(capacity, MESSAGE), np.zeros(2, np.int64), np.zeros((1, 1, 2)))
    write_messages(box._flat, out)
    return out.message[: out.count[0]], out


def test_orders_carry_book_side_price_and_options(box):
    box.buy("HYPE-PERP", 30, 79.0005, client_id=4)
    box.sell("BTC-SPOT", 2, 79_100, tif="post_only", reduce_only=True)
    bought, sold = messages(box)[0]
    assert (bought.op, bought.user, bought.inst) == (codes.OP_NEW, USER, 1)
    assert (bought.side, bought.tif, bought.qty_lots) == (codes.BUY, codes.GTC, 30)
    assert (bought.price_tick, bought.client_id, bought.options) == (79_000, 4, 0)
    assert (sold.inst, sold.side, sold.tif) == (2, codes.SELL, codes.POST_ONLY)
    assert (sold.price_tick, sold.options) == (79_100, codes.REDUCE_ONLY)


def test_an_order_without_a_price_takes_within_five_per_cent(box):
    box.buy("BTC-PERP", 1)
    box.sell("BTC-PERP", 1)
    bought, sold = messages(box)[0]
    assert (bought.tif, bought.price_tick) == (codes.IOC, int(79_001 * 1.05))
    assert (sold.tif, sold.price_tick) == (codes.IOC, int(78_999 * 0.95))


def test_cancels_and_transfers(box):
    box.cancel(7)
    box.cancel_all()
    box.cancel_all("BTC-SPOT")
    box.deposit_usd(1.5)
    box.withdraw_usd(2.25)
    found = messages(box)[0]
    assert list(found["op"]) == [
        codes.OP_CANCEL_CLIENT_ID,
        codes.OP_CANCEL_ALL,
        codes.OP_CANCEL_ALL,
        codes.OP_DEPOSIT,
        codes.OP_WITHDRAW,
    ]
    assert (found[0].client_id, found[1].inst, found[2].inst) == (7, -1, 2)
    assert list(found["qty_lots"][3:]) == [1_500_000, 2_250_000]


@given(tick=st.integers(1, N_TICKS - 1), tick_usd=st.sampled_from([1.0, 0.1, 0.001, 5e-7]))
def test_a_price_on_the_grid_stays_where_it_is(tick, tick_usd):
    from stressbook.agents.own_outbox import _limit_tick

    assert _limit_tick(codes.BUY, tick * tick_usd, tick_usd) == tick
    assert _limit_tick(codes.SELL, tick * tick_usd, tick_usd) == tick


@given(price=st.floats(0.01, 1e5), tick_usd=st.sampled_from([1.0, 0.1, 0.001]))
def test_a_limit_is_never_worse_than_asked(price, tick_usd):
    from stressbook.agents.own_outbox import _limit_tick

    assert _limit_tick(codes.BUY, price, tick_usd) * tick_usd <= price + 2e-6 * tick_usd
    assert _limit_tick(codes.SELL, price, tick_usd) * tick_usd >= price - 2e-6 * tick_usd


@pytest.mark.parametrize(
    ("say", "error", "words"),
    [
        (lambda box: box.buy("BTC", 1), UnknownName, "instrument = 'BTC' is unknown"),
        (lambda box: box.buy("BTC-PERP", 1.5), InvalidInput, "lots = 1.5 is no whole number"),
        (lambda box: box.buy("BTC-PERP", 1, math.nan), InvalidInput, "price = nan is not a price"),
        (lambda box: box.buy("BTC-PERP", 1, 1.0, tif="fok"), UnknownName, "allowed: gtc, ioc, p"),
        (lambda box: box.buy("BTC-PERP", 1, tif="gtc"), InvalidInput, "no price to rest at"),
        (lambda box: box.cancel("x"), InvalidInput, "client_id = 'x' is no whole number"),
        (lambda box: box.deposit_usd(-1.0), InvalidInput, "usd = -1.0 is out of range"),
        (lambda box: box.withdraw_usd(math.inf), InvalidInput, "usd = inf is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(box, say, error, words):
    with pytest.raises(error) as caught:
        say(box)
    assert words in str(caught.value)
    assert box._flat == []


def test_sizes_may_be_any_whole_number(box):
    box.buy("BTC-PERP", np.int64(3), 1.0)
    box.buy("BTC-PERP", 4.0, 1.0)
    assert list(messages(box)[0]["qty_lots"]) == [3, 4]


def test_messages_beyond_the_outbox_are_counted(box):
    for _ in range(5):
        box.cancel(1)
    found, out = messages(box, capacity=3)
    assert (len(found), out.count[1], box._flat) == (3, 2, [])


# --- in a run ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    """The same seed without and with own agents, 8 steps."""
    plain = load_scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=[])
    with_own = plain.with_(agents={"Buyer": {"accounts": 3}, "Careful": {"cash_usd": 5e4}})
    sims = [Simulation(scenario, seed=7) for scenario in (plain, with_own)]
    for sim in sims:
        sim.advance(8)
    yield sims
    for sim in sims:
        sim.close()


def test_own_agents_move_no_draw_of_others(pair):
    plain, with_own = pair
    n = len(plain.engine.state.user) - 1  # the backstop is last
    assert len(with_own.engine.state.user) == n + 1 + 4
    for name in ("key", "latency_us", "class_id"):
        before, after = (sim.engine.state.user[name][:n] for sim in pair)
        assert np.array_equal(before, after)
    before, after = (sim.series.asset["fundamental_usd"][:8] for sim in pair)
    assert np.array_equal(before, after)
    # The fifth step's order is the first thing that differs.
    before, after = (sim.series.book["mid_usd"][:4] for sim in pair)
    assert np.array_equal(before, after)


def test_an_order_fills_and_the_account_pays(pair):
    _, sim = pair
    agents = sim.own.agents
    assert [type(agent).__name__ for agent in agents] == ["Buyer"] * 3 + ["Careful"]
    first = len(sim.engine.state.user) - 1 - 4
    assert list(sim.engine.state.perp[first : first + 4, 0]) == [50] * 4
    assert [agent.seen for agent in agents] == [8] * 4
    assert math.isnan(agents[0].prices[0])  # no book before the first step
    assert agents[0].prices[-1] > 0.0
    assert list(sim.engine.state.user["key"][first:-1]) == [
        account_key(class_number(name), ordinal)
        for name, ordinal in [("Buyer", 0), ("Buyer", 1), ("Buyer", 2), ("Careful", 0)]
    ]
    assert list(sim.engine.state.user["class_id"][first:-1]) == [class_number("Buyer")] * 3 + [
        class_number("Careful")
    ]


def test_a_snapshot_holds_the_agents_own_state(pair):
    _, sim = pair
    saved = sim.snapshot()
    sim.advance(3)
    digest, seen = sim.digest(), sim.own.agents[0].seen
    sim.own.agents[0].extra = "left over"
    sim.restore(saved)
    assert sim.own.agents[0].seen == seen - 3
    assert len(sim.own.agents[0].prices) == seen - 3
    assert not hasattr(sim.own.agents[0], "extra")
    sim.advance(3)
    again = sim.digest()
    sim.restore(saved)  # others look at this run
    assert again == digest


def test_an_agent_that_fails_is_named_with_its_line():
    scenario = sb.scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=[])
    with pytest.raises(AgentError) as error:
        scenario.add(Failing).run(seed=1)
    words = str(error.value)
    assert "Failing failed in decide (test_account.py, line " in words
    assert "at t = 2 s: KeyError: 'lost'" in words
    assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (Unready, "Unready failed in setup (test_account.py, line "),
        (Quits, "Quits failed in decide (test_account.py, line "),
    ],
)
def test_an_agent_that_is_not_ready_or_quits_ends_the_run_with_an_error(agent, words):
    scenario = sb.scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=[])
    with pytest.raises(AgentError) as error:
        scenario.add(agent).run(seed=1)
    assert words in str(error.value)


def test_more_accounts_of_one_class_move_no_draw_of_another():
    seen = []
    for n in (1, 4):
        crowd = sb.scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=[])
        sim = Simulation(crowd.add(Draws, n=n).add(DrawsToo, n=2).resolved, seed=7)
        sim.advance(3)
        seen.append([agent.drawn for agent in sim.own.agents if isinstance(agent, DrawsToo)])
        sim.close()
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][1]


def test_the_generator_of_mesa_is_out_of_reach(pair):
    agent = pair[1].own.agents[0]
    for name in ("random", "rng"):
        with pytest.raises(AttributeError, match="draw with"):
            getattr(agent, name)


@pytest.fixture(scope="module")
def desks_digest():
    return digest_after(())


def digest_after(uncompiled, n_steps=30):
    scenario = load_scenario("skeleton").with_(warmup=0.0, duration=60.0, stresses=[])
    sim = Simulation(scenario, seed=7, uncompiled=uncompiled)
    sim.advance(n_steps)
    sim.close()
    return sim.digest()


@pytest.mark.parametrize("name", CLASSES)
def test_a_shipped_rule_in_plain_python_gives_the_run_of_its_desk(name, desks_digest):
    assert digest_after([name]) == desks_digest


def test_a_price_that_is_none_is_answered_with_what_to_ask_first(box):
    with pytest.raises(InvalidInput, match="nobody quotes is NaN"):
        box.sell("BTC-PERP", 1, math.nan)


def test_a_number_beyond_64_bits_is_refused(box):
    for lots in (2**63, -(2**63), 1e300):
        with pytest.raises(InvalidInput, match=r"lots = .* does not fit into 64 bits"):
            box.buy("BTC-PERP", lots, 1.0)
    with pytest.raises(InvalidInput, match="client_id = 9223372036854775808 does not fit"):
        box.cancel(2**63)
    with pytest.raises(UnknownName, match="instrument = None is unknown"):
        box.buy(None, 1)


def test_what_an_earlier_step_left_in_the_array_is_cleared(box):
    out = RawOutbox(np.ones(4, MESSAGE), np.zeros(2, np.int64), np.zeros((1, 1, 2)))
    box.cancel(1)
    write_messages(box._flat, out)
    assert (out.message[0].handle, out.message[0].emitted_ms, out.message[1].handle) == (0, 0, 1)


def test_stops_and_takes_carry_trigger_side_and_options(box):
    box.stop("sell", "HYPE-PERP", 30, 79.0004, reduce_only=True, client_id=4)
    box.take("sell", "BTC-PERP", 2, 90_000.4, 89_999.5)
    box.stop("buy", "BTC-PERP", 2, 90_000)
    stop, take, buy = messages(box)[0]
    assert {int(one.op) for one in (stop, take, buy)} == {codes.OP_TRIGGER}
    assert (stop.inst, stop.side, stop.tif) == (1, codes.SELL, codes.IOC)
    assert (stop.handle, stop.price_tick, stop.qty_lots, stop.client_id) == (79_000, 0, 30, 4)
    assert (stop.options, take.options, buy.options) == (codes.REDUCE_ONLY, codes.TAKE, 0)
    assert (take.handle, take.price_tick, take.tif) == (90_000, 90_000, codes.GTC)
    assert (buy.side, buy.handle) == (codes.BUY, 90_000)
    with pytest.raises(UnknownName, match="side"):
        box.take("long", "BTC-PERP", 2, 90_000)
    with pytest.raises(InvalidInput, match="price"):
        box.stop("buy", "BTC-PERP", 2, math.nan)
