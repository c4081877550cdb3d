"""The way down by hand-worked numbers, on both engines: one test a branch.

HYPE: maintenance 5 % of notional, loan-to-value .65, so that a token counts .825 at maintenance, a
slice waits for .825 of the value in debt under the switch, and .8833 takes everything.
"""

import pytest

from stressbook.market.codes import (
    BUY,
    CAUSE_DEFICIT,
    EV_BACKSTOP_USED,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_RISK_ORDER_CANCELLED,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    EV_WRITTEN_OFF,
    FORCED,
    IOC,
    OP_DEPOSIT,
    REDUCE_ONLY,
    SELL,
    TWAP,
)
from stressbook.market.deficit import BORNE_BY_RETAINED, BORNE_BY_SUPPLIERS
from stressbook.market.deleveraging import deleveraging_rank
from stressbook.market.takeover import slice_price_usd
from tests.small_venue import (
    BTC,
    BTC_PERP,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    SmallVenue,
    trader,
)

LONG, HOUSE = 0, 1
HOUSE_CASH = 10_000_000


@pytest.fixture(params=["kernel", "reference"])
def engine(request):
    return request.param


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


# --- orders to the book ---------------------------------------------------------------------------


def test_a_large_position_is_sold_by_a_fifth_then_whole_for_thirty_seconds(engine):
    # 190k of notional needs 9.5k; equity 19k - 10k = 9k is below that, and above 2/3 of it.
    s = long_against_house(19_000, engine=engine)
    s.update()
    assert s.kinds() == []
    s.update(HYPE=95.0)
    assert s.kinds() == [EV_BREACH, EV_FORCED_ORDER]
    assert s.event(EV_BREACH)["amount_micro"] == 9_000_000_000
    order = s.forced[0]
    assert (order["side"], order["qty_lots"], order["tif"]) == (SELL, 40_000, IOC)
    assert order["options"] == FORCED | REDUCE_ONLY
    assert order["price_tick"] * s.v.inst[HYPE_PERP].tick_usd == pytest.approx(85.5)
    assert s.event(EV_FORCED_ORDER)["lots"] == -40_000
    for _ in range(9):
        s.update()
        assert [m["qty_lots"] for m in s.forced] == [200_000]
    s.update()  # 30 s after the part
    assert [m["qty_lots"] for m in s.forced] == [40_000]


def test_what_remains_after_a_part_is_no_longer_in_breach(engine):
    s = long_against_house(19_200, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 95.0, 200_000)
    s.step()
    s.update(HYPE=95.0)
    # Sold 40,000 lots at 95 for a fee of .045 %: 17.1 USD.
    assert s.fills["qty_lots"].tolist() == [40_000]
    assert int(s.v.perp[LONG, HYPE_PERP]) == 160_000
    assert s.equity_usd(LONG) == pytest.approx(9_200 - 17.1, abs=1e-6)
    s.update()
    assert s.kinds(LONG) == [EV_BREACH_ENDED]
    assert len(s.forced) == 0


@pytest.mark.parametrize(("lots", "sent"), [(105_263, 105_263), (105_265, 21_053)])
def test_a_position_up_to_100k_is_sold_whole(engine, lots, sent):
    # At 95 the first is worth 99,999.85 USD, the second 100,001.75.
    s = long_against_house(lots * 0.05 + 4_500, lots, engine=engine)
    s.update(HYPE=95.0)
    assert [m["qty_lots"] for m in s.forced] == [sent]


def test_a_short_is_bought_back(engine):
    s = SmallVenue(
        trader(1, 20_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=105.0)  # 210k needs 10.5k; 20k - 10k is left
    assert (s.forced[0]["side"], s.forced[0]["qty_lots"]) == (BUY, 40_000)
    assert s.forced[0]["price_tick"] * s.v.inst[HYPE_PERP].tick_usd == pytest.approx(115.5)


def test_resting_orders_go_at_a_breach(engine):
    s = long_against_house(20_100, engine=engine)
    s.order(LONG, HYPE_PERP, SELL, 120.0, 10)
    s.bid(LONG, BTC_PERP, 90_000.0, 10)
    s.step()
    s.update(HYPE=94.6)  # 9,300 below 9,460
    gone = s.event(EV_RISK_ORDER_CANCELLED)
    assert (gone["user"], gone["inst"], gone["lots"]) == (LONG, -1, 2)
    assert s.v.user[LONG].n_orders == 0


# --- takeover of perps ----------------------------------------------------------------------------


def test_below_two_thirds_of_maintenance_perps_and_margin_are_taken(engine):
    s = long_against_house(15_000, engine=engine)
    s.update(HYPE=95.0)  # equity 5,000 below 2/3 x 9,500
    taken = s.event(EV_TAKEOVER_PERPS)
    assert (taken["lots"], taken["price_e8"]) == (200_000, 95 * 10**8)
    assert s.v.perp[:, HYPE_PERP].tolist()[:3] == [0, -200_000, 200_000]
    assert (s.v.cash[LONG], s.equity_usd(s.backstop)) == (0, 12_305_000.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_BREACH_ENDED]
    # The same update sells 1 - 2^(-3/600) of it.
    assert s.forced[0]["options"] == FORCED | TWAP | REDUCE_ONLY
    assert s.forced[0]["qty_lots"] == int(200_000 * (1 - 2 ** (-3 / 600)))


def test_without_capital_the_book_is_tried_instead(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=0.0)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]


def test_switched_off_the_backstop_takes_no_perps(engine):
    s = long_against_house(15_000, engine=engine, liquidation__backstop_on=False)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]


def test_the_loss_limit_is_looked_at_anew_for_each_account(engine):
    """Taking at the mark with a margin costs nothing, so equity of the backstop only rises."""
    s = SmallVenue(
        trader(1, 15_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 15_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (-400_000, 100.0)}),
        engine=engine,
        backstop_usd=1.0,
    )
    s.update(HYPE=95.0)
    assert s.kinds().count(EV_TAKEOVER_PERPS) == 2
    assert s.v.risk[s.backstop].equity_usd == 10_001.0


def test_borrowed_cash_is_no_margin_and_stays_with_its_debt(engine):
    # 6,250 owed and drawn into margin; the perps lose 9.6k of the 10k: E + credit < 2/3 MM.
    s = SmallVenue(
        trader(1, 0, {HYPE_PERP: (100_000, 100.0)}, tokens={HYPE: 120}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}, supply_usd=100_000),
        engine=engine,
    )
    s.update()
    debt = int(s.v.debt[LONG, 0])
    assert debt == 7_800_000_000  # the commitment of 10,000 cut to 120 x 100 x .65
    s.update(HYPE=94.0)
    # E -6,000, credit 9,306: 3,306 above 2/3 x 4,700 = 3,133; at 93.5: 2,756 below 3,117.
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]
    s.update(HYPE=93.5)
    assert s.kinds(LONG) == [EV_TAKEOVER_PERPS]
    assert s.v.debt[LONG, 0] == debt
    assert s.cash_usd(LONG) == 7_800 - 6_500
    assert s.v.token[LONG, HYPE] == 120 * 10**8


@pytest.mark.parametrize(
    ("lent_usd", "left_usd"),
    [(0, (650, 0, 650)), (1_000, (0, 650, 650)), (200, (450, 200, 650))],
)
def test_margin_is_net_cash_and_what_is_lent_goes_last(engine, lent_usd, left_usd):
    # 8,000 of its own and 650 borrowed; at 94 net 2,000 and credit 775.5 are below 2/3 x 4,700.
    perps = {HYPE_PERP: (100_000, 100.0)}
    s = SmallVenue(
        trader(1, 8_000 - lent_usd, perps, tokens={HYPE: 10}, supply_usd=lent_usd),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}, supply_usd=100_000),
        engine=engine,
    )
    s.update()
    s.update(HYPE=94.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS]
    left = s.v.cash[LONG], s.v.supply[LONG, 0], s.v.debt[LONG, 0]
    assert tuple(amount / 1e6 for amount in left) == left_usd
    assert s.v.risk[s.backstop].equity_usd == 12_302_000.0


def test_lent_cash_of_a_cross_account_is_no_margin(engine):
    # 5,000 of equity, whatever it has lent.
    s = SmallVenue(
        trader(1, 15_000, {HYPE_PERP: (200_000, 100.0)}, supply_usd=4_000),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_BREACH_ENDED]
    assert s.v.supply[LONG, 0] == 4_000_000_000


# --- deleveraging ---------------------------------------------------------------------------------


def test_below_zero_is_closed_at_the_previous_mark_against_the_highest_ranks(engine):
    # Ranks at 100: (120 / 100) x (100k / 50k) = 2.4; (100 / 100) x (100k / 100k) = 1.
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 90_000, {HYPE_PERP: (-100_000, 100.0)}),
        trader(3, 20_000, {HYPE_PERP: (-100_000, 120.0)}),
        trader(4, HOUSE_CASH, {HYPE_PERP: (-50_000, 90.0)}),
        trader(5, HOUSE_CASH, {HYPE_PERP: (50_000, 90.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    first, second = (e for e in s.events if e["kind"] == EV_DELEVERAGED)
    assert (first["counterparty"], first["lots"], first["price_e8"]) == (2, 100_000, 100 * 10**8)
    assert (second["counterparty"], second["lots"]) == (1, 100_000)
    # Each winner gives up 1,000 HYPE x 5 USD against the present mark.
    assert first["amount_micro"] == second["amount_micro"] == 5_000_000_000
    assert s.v.perp[:5, HYPE_PERP].tolist() == [0, 0, 0, -50_000, 50_000]
    assert s.cash_usd(LONG) == 9_000.0  # as at the previous mark
    assert s.cash_usd(2) == 20_000 + 20_000.0
    assert s.kinds(LONG) == [EV_BREACH, EV_DELEVERAGED, EV_DELEVERAGED, EV_BREACH_ENDED]


def test_a_rank_may_close_a_part_of_a_position(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-300_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (100_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DELEVERAGED)["lots"] == 200_000
    assert s.v.perp[:3, HYPE_PERP].tolist() == [0, -100_000, 100_000]


def test_the_deepest_account_is_closed_first_and_after_all_other_measures(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),  # -1,000 at 95
        trader(2, 8_000, {HYPE_PERP: (200_000, 100.0)}),  # -2,000
        trader(3, 19_000, {HYPE_PERP: (200_000, 100.0)}),  # to the book
        trader(4, HOUSE_CASH, {HYPE_PERP: (-600_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    done = [(int(e["kind"]), int(e["user"])) for e in s.events if e["kind"] not in (EV_BREACH,)]
    assert done[:3] == [(EV_FORCED_ORDER, 2), (EV_DELEVERAGED, 1), (EV_DELEVERAGED, 0)]


def test_two_accounts_below_zero_close_each_other_where_nobody_else_is_left(engine):
    """Long HYPE and short BTC against the reverse, and both lost on SOL: ranks are below zero."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 8_000, {HYPE_PERP: (-200_000, 100.0), BTC_PERP: (-500_000, 100_000.0)}),
        trader(3, HOUSE_CASH, {BTC_PERP: (500_000, 100_000.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0, BTC=110_000.0)
    assert s.v.perp[:3, HYPE_PERP].tolist() == [0, 0, 0]
    assert s.v.perp[:3, BTC_PERP].tolist() == [0, 0, 0]


def test_a_winner_with_equity_comes_before_one_below_zero():
    assert deleveraging_rank(-1, -100_000_000, 1.0, 90.0, 1.0) > 0.0
    assert deleveraging_rank(-1, -100_000_000, 1.0, 90.0, -1.0) < 0.0
    assert deleveraging_rank(-1, -100_000_000, 1.0, 90.0, 0.0) == 0.0
    assert deleveraging_rank(-1, 0, 1.0, 90.0, 1.0) == 0.0


def test_a_losing_short_ranks_below_a_winning_one():
    won = deleveraging_rank(-10, -1_200_000_000, 1.0, 100.0, 500.0)
    lost = deleveraging_rank(-10, -900_000_000, 1.0, 100.0, 500.0)
    assert (won, lost) == (pytest.approx(2.4), pytest.approx(1.8))


def test_without_deleveraging_the_book_is_tried(engine):
    s = long_against_house(9_000, engine=engine, liquidation__adl_on=False, backstop_usd=0.0)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]


# --- deficits -------------------------------------------------------------------------------------


def test_a_deficit_is_booked_to_the_treasury_and_ends_the_breach(engine):
    # Entered at 105: at the previous mark of 100 already 1,000 below zero.
    s = long_against_house(9_000, entry_usd=105.0, engine=engine)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_DELEVERAGED, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert s.v.cash[LONG] == 0
    assert s.cash_usd(s.v.par[0].row_treasury) == -1_000.0
    assert s.v.flow[LONG, 0, CAUSE_DEFICIT] == 1_000_000_000


def test_socialised_a_deficit_is_shared_by_equity_of_those_with_positions(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}),
        trader(2, 1_000_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 3_000_000, {BTC_PERP: (10, 100_000.0)}),
        trader(4, 1_000_000, {BTC_PERP: (-10, 100_000.0)}),
        trader(5, 5_000_000),
        engine=engine,
        liquidation__deficit_socialised=True,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    # Users 2 and 3 share 3 : 1; user 1 is flat by then, user 4 never held anything.
    assert [s.equity_usd(u) for u in range(5)] == [0, 1e6, 3e6 - 750, 1e6 - 250, 5e6]
    assert s.v.cash[s.v.par[0].row_treasury] == 0


def test_a_forced_sale_below_zero_is_booked_in_its_own_step(engine):
    s = long_against_house(19_000, 100_000, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 80.0, 100_000)
    s.step()
    # 4,200 is below 4,260; sold at 80 it loses 20,000 and a fee of 36.
    s.update(HYPE=85.2)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_036_000_000


def test_the_next_deposit_pays_no_deficit(engine):
    """Sold out at a loss beyond its margin: booked before the deposit of the next step arrives."""
    s = long_against_house(9_000, 100_000, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 90.0, 100_000)
    s.step()
    s.order(LONG, HYPE_PERP, SELL, 90.0, 100_000, tif=IOC, flags=REDUCE_ONLY)
    s.step()
    # 9,000 - 10,000 - a fee of 40.5.
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_040_500_000
    s.send(op=OP_DEPOSIT, user=LONG, inst=0, qty_lots=5_000_000_000)
    s.step()
    assert s.cash_usd(LONG) == 5_000.0


# --- slices of a loan -----------------------------------------------------------------------------


def test_a_fifth_of_the_loan_goes_with_collateral_at_a_discount(engine):
    # .95 is passed at 76.555: 600,000 / (.825 x 750,000) = .9697.
    s = borrower(engine=engine)
    s.update(HYPE=77.0)
    assert s.kinds() == []
    s.update(HYPE=75.0)
    taken = s.event(EV_SLICE)
    price = 75.0 * (1 - 0.35 / 3 * 120_000 / 3_000_000)
    assert price == pytest.approx(74.65)
    assert taken["amount_micro"] == 120_000_000_000
    assert taken["lots"] == int(120_000 / 74.65 * 10**8)
    assert s.v.debt[:3, 0].tolist() == [480_000_000_000, 0, 120_000_000_000]
    assert s.v.token[LONG, HYPE] + s.v.token[s.backstop, HYPE] == 10_000 * 10**8
    assert s.v.risk[s.backstop].equity_usd == pytest.approx(12_300_000 + 562.63, abs=0.01)
    s.update()
    # 480,000 / (.825 x 629,437) = .9244
    assert s.kinds(LONG) == [EV_BREACH_ENDED]


def test_slices_are_a_share_of_the_first_debt_every_three_seconds(engine):
    # At 68 the debt is below .8833 x 680,000 = 600,667.
    s = borrower(engine=engine)
    s.update(HYPE=68.0)
    amounts = [int(s.event(EV_SLICE)["amount_micro"])]
    while LONG not in s.events["user"] or EV_BREACH_ENDED not in s.kinds(LONG):
        s.step()
        amounts += [int(e["amount_micro"]) for e in s.events if e["kind"] == EV_SLICE]
        assert s.t_ms < 30_000
    assert amounts == [120_000_000_000] * len(amounts)
    assert s.t_ms == 3_000 * (len(amounts) + 1)


def test_of_the_remaining_loan_slices_shrink(engine):
    s = borrower(engine=engine, liquidation__slice_of_remaining=True)
    s.update(HYPE=68.0)
    s.update()
    assert s.event(EV_SLICE)["amount_micro"] == 96_000_000_000


def test_at_the_full_discount_any_slice_costs_a_third_of_what_is_not_lendable(engine):
    s = borrower(engine=engine, liquidation__slice_full_discount=True)
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["lots"] == int(120_000 / (75 * (1 - 0.35 / 3)) * 10**8)
    assert slice_price_usd(75.0, 0.65, 1.0, 0.0) == pytest.approx(66.25)


def test_under_the_switch_slices_wait_for_the_partial_threshold(engine):
    s = borrower(engine=engine, liquidation__slice_at_partial_threshold=True)
    s.update(HYPE=75.0)  # .825 x 750,000 = 618,750
    assert s.kinds(LONG) == [EV_BREACH]
    s.update(HYPE=72.0)  # 594,000
    assert s.kinds(LONG) == [EV_SLICE]


def test_a_slice_is_split_by_value(engine):
    # 2 BTC and 2,000 HYPE: 200,000 and 200,000; credit .75 and .825. At .9 the ratio is .9614.
    s = SmallVenue(
        trader(1, 0, tokens={BTC: 2, HYPE: 2_000}, debt_usd=200_000 * 1.3628),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(BTC=90_000.0, HYPE=90.0)
    of_btc, of_hype = (e for e in s.events if e["kind"] == EV_SLICE)
    assert (of_btc["inst"], of_hype["inst"]) == (BTC, HYPE)
    assert of_btc["amount_micro"] == of_hype["amount_micro"] == 27_256_000_000
    price = 90_000 * (1 - 0.5 / 3 * 27_256 / 300_000)
    assert of_btc["lots"] == int(27_256 / price * 10**10)


def test_never_more_than_there_is(engine):
    """At full discounts a debt of .855 of the value exceeds the BTC's share of it, at .8333."""
    s = SmallVenue(
        trader(1, 0, tokens={BTC: 2, HYPE: 2_000}, debt_usd=342_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
        liquidation__slice_frac=1.0,
        liquidation__slice_full_discount=True,
    )
    s.update()
    of_btc, of_hype = (e for e in s.events if e["kind"] == EV_SLICE)
    assert of_btc["lots"] == 2 * 10**10
    assert of_btc["amount_micro"] == pytest.approx(200_000 * (1 - 0.5 / 3) * 1e6, abs=20)
    assert of_hype["amount_micro"] == 171_000_000_000
    left = 342_000_000_000 - of_btc["amount_micro"] - of_hype["amount_micro"]
    assert s.v.debt[LONG, 0] == left > 0


def test_debt_that_nothing_is_left_for_is_written_off(engine):
    """Retained interest bears it first, then suppliers pro rata."""
    s = SmallVenue(
        trader(1, 0, debt_usd=1_000, portfolio=True),
        trader(2, HOUSE_CASH, supply_usd=3_000),
        trader(3, HOUSE_CASH, supply_usd=1_000),
        engine=engine,
    )
    s.v.reserve[0].retained, s.v.reserve[0].claim = 200_000_000, -200_000_000
    s.engine.reload()
    s.update()
    kept, lost = (e for e in s.events if e["kind"] == EV_WRITTEN_OFF)
    assert (kept["cause"], kept["amount_micro"]) == (BORNE_BY_RETAINED, 200_000_000)
    assert (lost["cause"], lost["amount_micro"]) == (BORNE_BY_SUPPLIERS, 800_000_000)
    assert s.v.supply[:3, 0].tolist() == [0, 2_400_000_000, 800_000_000]
    assert s.kinds(LONG) == [EV_BREACH, EV_WRITTEN_OFF, EV_WRITTEN_OFF, EV_BREACH_ENDED]


def test_lent_cash_is_set_off_before_a_write_off(engine):
    """Though the pool is lent to the last dollar."""
    s = SmallVenue(
        trader(1, 0, debt_usd=1_000, supply_usd=400, portfolio=True),
        trader(2, HOUSE_CASH, supply_usd=600),
        engine=engine,
    )
    s.update()
    assert s.event(EV_WRITTEN_OFF)["amount_micro"] == 600_000_000
    assert s.v.supply[:2, 0].tolist() == [0, 0]


def test_lent_cash_of_a_portfolio_account_pays_its_deficit(engine):
    """The treasury takes the claim over: with an empty pool it cannot be redeemed."""
    s = SmallVenue(
        trader(1, 8_500, {HYPE_PERP: (200_000, 105.0)}, supply_usd=500, portfolio=True),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 500, debt_usd=500, tokens={HYPE: 10}),
        engine=engine,
    )
    s.update(HYPE=95.0)  # 1,500 below zero at the previous mark
    treasury = s.v.par[0].row_treasury
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert (s.v.supply[LONG, 0], s.v.supply[treasury, 0]) == (0, 500_000_000)
    assert s.cash_usd(treasury) == -1_500.0


def test_cash_below_zero_that_no_loan_covers_is_sliced_alike(engine):
    """With an empty pool nothing is drawn; the backstop pays for what it takes."""
    s = SmallVenue(trader(1, -600_000, tokens={HYPE: 10_000}), trader(2, HOUSE_CASH), engine=engine)
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["amount_micro"] == 120_000_000_000
    assert (s.cash_usd(LONG), s.cash_usd(s.backstop)) == (-480_000.0, 12_180_000.0)


def test_idle_cash_pays_first(engine):
    # 650,000 owed, 50,000 of it idle: the first slice is a fifth of 600,000.
    s = SmallVenue(
        trader(1, 50_000, tokens={HYPE: 10_000}, debt_usd=650_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["amount_micro"] == 120_000_000_000
    assert (s.v.cash[LONG], s.v.debt[LONG, 0]) == (0, 480_000_000_000)


# --- takeover of everything -----------------------------------------------------------------------


def test_beyond_the_full_threshold_everything_is_taken(engine):
    s = borrower(engine=engine)
    s.update(HYPE=67.9)  # .8833 x 679,000 = 599,783
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_ALL, EV_BREACH_ENDED]
    assert s.event(EV_TAKEOVER_ALL)["amount_micro"] == 600_000_000_000
    assert (s.v.debt[LONG, 0], s.v.token[LONG, HYPE]) == (0, 0)
    assert (s.v.debt[s.backstop, 0], s.v.token[s.backstop, HYPE]) == (
        600_000_000_000,
        10_000 * 10**8,
    )
    assert s.v.risk[s.backstop].equity_usd == pytest.approx(12_379_000.0)


def test_debts_need_no_capital(engine):
    s = borrower(engine=engine, backstop_usd=0.0)
    s.update(HYPE=50.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_ALL, EV_BREACH_ENDED]


@pytest.mark.parametrize("backstop_usd", [1_000_000.0, 0.0])
def test_perps_go_along_while_the_loss_limit_holds(engine, backstop_usd):
    s = SmallVenue(
        trader(1, 0, {BTC_PERP: (100_000, 100_000.0)}, tokens={HYPE: 10_000}, debt_usd=600_000),
        trader(2, HOUSE_CASH, {BTC_PERP: (-100_000, 100_000.0)}, supply_usd=1_000_000),
        engine=engine,
        backstop_usd=backstop_usd,
    )
    s.update(HYPE=67.0, BTC=101_000.0)  # net -599,000; .8833 x 670,000 = 591,833
    taken = EV_TAKEOVER_ALL in s.kinds(LONG)
    assert taken
    assert (EV_TAKEOVER_PERPS in s.kinds(LONG)) == (backstop_usd > 0.0)
    held = int(s.v.perp[LONG, BTC_PERP])
    assert held == (0 if backstop_usd else 100_000)
    # Left with its perps and nothing behind them: worth nothing at the mark.
    assert s.equity_usd(LONG) == 0.0
    assert (s.v.debt[LONG, 0], s.v.token[LONG, HYPE]) == (0, 0)


def test_lent_cash_goes_along(engine):
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 10_000}, debt_usd=650_000, supply_usd=50_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(HYPE=67.0)
    assert s.kinds(LONG)[1] == EV_TAKEOVER_ALL
    assert s.v.supply[LONG, 0] == 0
    s.update()  # set off against the debt that came along
    assert (s.v.debt[s.backstop, 0], s.v.supply[s.backstop, 0]) == (600_000_000_000, 0)


# --- what the backstop does with it ---------------------------------------------------------------


def test_sales_repay_the_debt_then_capital_then_the_reserve_bears_the_rest(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=100_000.0)
    s.v.reserve[0].retained, s.v.reserve[0].claim = 20_000_000_000, -20_000_000_000
    s.engine.reload()
    s.bid(HOUSE, HYPE_SPOT, 50.0, 2_000_000)
    s.step()
    s.update(HYPE=55.0)
    assert s.kinds(LONG)[1] == EV_TAKEOVER_ALL
    part = int(1_000_000 * (1 - 2 ** (-3 / 600)))
    assert s.fills["qty_lots"].tolist() == [part]
    s.update()
    # 3,459 lots at 50 USD a token
    assert s.v.debt[s.backstop, 0] == 600_000_000_000 - part * 500_000
    # The rest by hand in this step: 500,000 in all, for fees of .07 %.
    rest = int(s.v.token[s.backstop, HYPE]) // 10**6
    s.order(s.backstop, HYPE_SPOT, SELL, 50.0, rest, tif=IOC, flags=FORCED | TWAP)
    s.step()
    s.update()
    used = s.event(EV_BACKSTOP_USED, s.backstop)["amount_micro"]
    assert used == 99_650_000_000
    off = s.event(EV_WRITTEN_OFF)
    assert (off["cause"], off["amount_micro"]) == (BORNE_BY_RETAINED, 350_000_000)
    assert s.v.debt[:, 0].sum() == 0


def test_the_backstop_is_deleveraged_below_zero(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0)
    s.update(HYPE=95.0)  # takes 200k with 5,000 of margin: equity 6,000
    s.update(HYPE=91.0)  # loses 8,000
    assert s.kinds(s.backstop) == [EV_BREACH, EV_DELEVERAGED, EV_BREACH_ENDED]
    assert s.v.perp[: s.backstop + 1, HYPE_PERP].tolist() == [0, 0, 0]
    assert s.cash_usd(s.backstop) == 6_000.0


def test_without_deleveraging_the_backstop_only_sells_on(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0, liquidation__adl_on=False)
    s.update(HYPE=95.0)
    s.update(HYPE=91.0)
    assert s.kinds(s.backstop) == [EV_BREACH]
    assert [m["options"] for m in s.forced] == [FORCED | TWAP | REDUCE_ONLY]


def test_thin_equity_alone_is_no_breach_of_the_backstop(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0)
    s.update(HYPE=95.0)
    s.update(HYPE=94.0)  # 4,000 on 188,000
    assert s.kinds(s.backstop) == []


# --- orders below initial margin, and the switch that leaves breaches alone -----------------------


def test_below_initial_margin_orders_that_add_risk_go_newest_first(engine):
    # At 92: 1,200 less 920 for the position; the bids bind 91, 182 and 273, and that for tokens 90.
    s = SmallVenue(
        trader(1, 2_000, {HYPE_PERP: (10_000, 100.0), BTC_PERP: (-10, 100_000.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-10_000, 100.0), BTC_PERP: (10, 100_000.0)}),
        engine=engine,
    )
    for number, lots in ((1, 1_000), (2, 2_000), (3, 3_000)):
        s.bid(LONG, HYPE_PERP, 90.0, lots, client_id=number)
        s.step(100)
    s.bid(LONG, BTC_PERP, 50_000.0, 10, client_id=4, flags=REDUCE_ONLY)
    s.bid(LONG, HYPE_SPOT, 90.0, 100, client_id=5)
    s.step()
    assert s.v.user[LONG].n_orders == 5
    s.update(HYPE=92.0)
    gone = [(int(e["inst"]), int(e["lots"])) for e in s.events]
    assert gone == [(HYPE_SPOT, 1), (HYPE_PERP, 1)]
    left = sorted(int(o["client_id"]) for o in s.v.order if o["qty_lots"] > 0)
    assert left == [1, 2, 4]


def test_switched_off_breaches_are_only_recorded(engine):
    s = long_against_house(19_000, engine=engine, liquidation__resolution_on=False)
    s.order(LONG, HYPE_PERP, SELL, 120.0, 10)
    s.step()
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH]
    assert s.v.user[LONG].n_orders == 1
    s.update(HYPE=100.0)
    assert s.kinds(LONG) == [EV_BREACH_ENDED]


def test_a_tokens_book_is_left_alone_by_a_breach_of_cross_margin(engine):
    """Tokens are no margin under cross, and no deficit takes them."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}, tokens={HYPE: 50}, portfolio=False),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert s.v.token[LONG, HYPE] == 50 * 10**8
