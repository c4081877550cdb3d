import numpy as np
import pytest

from stressbook.experiments.calibration.planted import (
    at,
    difference,
    ladder,
    snapshot,
    snapshot_lines,
    touch,
    trade,
    write_feed,
)
from stressbook.experiments.recorded import InvalidRecording
from stressbook.experiments.recorded_feed import (
    DEPTH_BP,
    read_binance_feed,
    read_hyperliquid_snapshots,
)

BOOK = snapshot([["99.99", "1"], ["99.90", "2"]], [["100.01", "3"], ["100.20", "4"]])
TRADE = trade(7, "100.01", "2", is_sell=False)


def read(tmp_path, lines):
    path = tmp_path / "feed.gz"
    write_feed(path, lines)
    return read_binance_feed(path)


def problems_of(tmp_path, lines):
    with pytest.raises(InvalidRecording) as caught:
        read(tmp_path, lines)
    return [str(problem) for problem in caught.value.problems]


def test_depth_is_the_mean_of_both_sides_within_the_distance(tmp_path):
    feed = read(tmp_path, [at(1, BOOK), at(2, TRADE)])
    row = feed.samples.iloc[0]
    assert (row["bid"], row["ask"]) == (99.99, 100.01)
    assert row["depth_1"] == pytest.approx((99.99 + 300.03) / 2.0)
    assert row["depth_10"] == pytest.approx((99.99 + 199.8 + 300.03) / 2.0)
    assert row["depth_20"] == pytest.approx((99.99 + 199.8 + 300.03 + 400.8) / 2.0)
    assert feed.snapshot_reach_bp == pytest.approx(10.0)


def test_differences_set_add_and_take_levels(tmp_path):
    change = difference([["99.99", "0"], ["99.95", "5"]], [["100.01", "1"]])
    feed = read(tmp_path, [at(1, BOOK), at(500, change), at(1_002, TRADE)])
    row = feed.samples.iloc[1]
    assert (row["bid"], row["ask"]) == (99.95, 100.01)
    assert row["depth_10"] == pytest.approx((5 * 99.95 + 2 * 99.90 + 100.01) / 2.0)
    assert feed.n_level_changes == 3


def test_differences_older_than_the_snapshot_change_nothing(tmp_path):
    stale = difference([["99.99", "0"]], [], update_id=10)
    waiting = difference([["99.98", "7"]], [], update_id=11)
    feed = read(tmp_path, [at(1, stale), at(2, waiting), at(3, BOOK), at(4, stale), at(5, TRADE)])
    row = feed.samples.iloc[0]
    assert row["bid"] == 99.99
    assert row["depth_5"] == pytest.approx((99.99 + 7 * 99.98 + 300.03) / 2.0)


def test_samples_are_a_second_apart(tmp_path):
    lines = [at(1, BOOK)] + [at(t, touch("99.99", "100.01")) for t in range(100, 3_100, 100)]
    feed = read(tmp_path, [*lines, at(3_200, TRADE)])
    np.testing.assert_allclose(feed.samples["t_ms"], [1.0, 1_100.0, 2_100.0, 3_100.0], atol=100.0)
    assert len(feed.quotes) == 30
    assert feed.span_s == pytest.approx(3.199)


def test_takers_sell_when_the_buyer_was_the_maker(tmp_path):
    sell = trade(9, "99.99", "1.5", is_sell=True)
    feed = read(tmp_path, [at(1, BOOK), at(2, TRADE), at(3, sell)])
    expected = [[7.0, 2.0, 100.01, 2.0, 1.0], [9.0, 3.0, 99.99, 1.5, -1.0]]
    assert feed.trades.values.tolist() == expected


def test_all_problems_of_a_feed_come_at_once_with_their_lines(tmp_path):
    lines = [
        at(1, BOOK),
        "no message",
        at(2, difference([["99.98", "-1"]], [])),
        at(3, {"stream": "x@trade", "data": {"T": 5}}),
        at(2, TRADE),
        at(4, difference([["100.05", "1"]], [])),
        at(1_500, touch("99.99", "100.01")),
    ]
    found = problems_of(tmp_path, lines)
    assert [text.splitlines()[0] for text in found] == [
        "feed.gz, line 2, line = 'no message\\n' is no time and JSON message.",
        "feed.gz, line 3, size = -1.0 is out of range.",
        "feed.gz, line 4, message = \"KeyError('m')\" lacks a field or holds no number.",
        "feed.gz, line 5, time = 2000000 goes back.",
        "feed.gz, line 7, best bid = 100.05 is out of range.",
        "feed.gz holds no trades.",
    ]


def test_damaged_feeds_are_problems(tmp_path):
    path = tmp_path / "feed.gz"
    path.write_text("no archive")
    with pytest.raises(InvalidRecording, match=r"feed\.gz cannot be read"):
        read_binance_feed(path)


def test_prices_not_above_zero_and_one_sided_snapshots_are_problems(tmp_path):
    free = snapshot([["0", "1"]], [["100.01", "3"]])
    bare = snapshot([], [["100.01", "3"]])
    found = problems_of(tmp_path, [at(1, free), at(2, bare), at(3, TRADE)])
    assert "line 1, price = 0.0 is out of range.\n  allowed: above 0 USD" in found[0]
    assert "line 2, snapshot = 1 is out of range.\n  allowed: levels on both sides" in found[1]
    assert found[2] == "feed.gz holds no snapshot.\n  allowed: one or more"


def test_distances_are_those_of_the_ladder(tmp_path):
    book = snapshot(ladder(100.0, -1.0, 60), ladder(100.0, 1.0, 60))
    row = read(tmp_path, [at(1, book), at(2, TRADE)]).samples.iloc[0]
    counts = [row[f"depth_{band:g}"] / 1_000.0 for band in DEPTH_BP]
    np.testing.assert_allclose(counts, np.floor(DEPTH_BP), rtol=1e-3)


def test_snapshots_of_twenty_levels_know_no_depth_beyond_them(tmp_path):
    path = tmp_path / "hl.gz"
    trades = [{"time": 5, "px": "100.1", "sz": "2", "side": "A"}]
    lines = [*snapshot_lines(12), at(6_500, {"channel": "trades", "data": trades})]
    write_feed(path, lines)
    feed = read_hyperliquid_snapshots(path)
    assert len(feed.samples) == 12
    assert feed.samples["depth_1"].iloc[0] == pytest.approx(10_000.0, rel=1e-3)
    assert np.isnan(feed.samples["depth_3"]).all()
    assert feed.trades.values.tolist() == [[5.0, 6_500.0, 100.1, 2.0, -1.0]]
    assert feed.snapshot_reach_bp == pytest.approx(2.0)


def test_snapshots_without_any_are_a_problem(tmp_path):
    path = tmp_path / "hl.gz"
    write_feed(path, [at(1, {"channel": "trades", "data": []})])
    with pytest.raises(InvalidRecording, match=r"hl\.gz holds no snapshot"):
        read_hyperliquid_snapshots(path)
