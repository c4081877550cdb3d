"""Benchmarks are found by name, know their exact stream, and say in a line what is met."""

import pytest

from benchmarks.__main__ import TABLE_BEGINS, TABLE_ENDS, known, main, with_table
from benchmarks.goals import Goal, Times, as_table, judged
from benchmarks.lob_stream import IDENTITY, make_stream, replay


def test_all_benchmarks_are_known_and_nothing_else():
    assert known() == [
        "bench_book",
        "bench_cold",
        "bench_episode",
        "bench_loop",
        "bench_margin",
        "bench_memory",
        "bench_sweep",
    ]


def test_an_unknown_benchmark_is_named(capsys):
    assert main(["lob_stream"]) == 2
    assert "unknown: lob_stream" in capsys.readouterr().err


def test_the_stream_is_the_published_one_and_its_replay_makes_the_same_trades():
    stream = make_stream("std", 20_000)
    assert stream.identity() == IDENTITY["std", 20_000]
    assert replay(stream).tape == [tuple(row) for row in stream.tape.tolist()]


@pytest.mark.parametrize(
    ("bound", "verdict"), [({"at_most": 2.0}, "met"), ({"at_least": 3.0}, "missed")]
)
def test_a_goal_is_judged_by_the_median_and_reads_back_from_its_line(bound, verdict):
    times = Times.of([1.0, 9.0, 2.0])
    goal = judged("a run, at most 2 s", times, unit="s", ratio="4 times (about) a loop", **bound)
    assert goal.verdict == verdict
    assert str(goal).startswith("goal a run, at most 2 s: 2.00 s (1.00 to 9.00), ")
    assert Goal.parse(f"{goal}\n") == goal
    assert Goal.parse("2 s, 1 to 9") is None


def test_rates_turn_the_spread_around():
    assert Times.of([2.0, 4.0, 8.0]).inverse().scaled(8.0) == Times(2.0, 1.0, 4.0)


def test_the_table_of_a_page_is_replaced_and_nothing_else():
    page = f"Head\n\n{TABLE_BEGINS}\n| old |\n{TABLE_ENDS}\n\nTail\n"
    rows = as_table([Goal("p", "1 s", "1 to 2", "3 times", "met")])
    again = with_table(page, rows)
    assert again.startswith(f"Head\n\n{TABLE_BEGINS}\n| promise |")
    assert again.endswith(f"| p | 1 s | 1 to 2 | 3 times | met |\n{TABLE_ENDS}\n\nTail\n")
    assert "old" not in again
