import gzip
from pathlib import Path

import numpy as np
import pytest

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.recorded import (
    ASSETS,
    KINDS,
    MAX_PROBLEMS,
    InvalidRecording,
    find_recordings,
)
from stressbook.experiments.recorded_tables import (
    read_basis_8h,
    read_closes,
    read_funding,
)

CLOSES = [
    f"{a}_{leg}_{what}" for a in ASSETS for leg in ("perp", "spot") for what in ("close", "vol")
]


def write_bars(path, rows, names=CLOSES):
    lines = [",".join(["t", *names])]
    lines += [",".join([time, *map(str, values)]) for time, values in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def bar(minute, **changes):
    values = dict.fromkeys(CLOSES, 1.0) | changes
    return f"2025-06-01 00:{minute:02d}:00+00:00", list(values.values())


def problems_of(read):
    with pytest.raises(InvalidRecording) as caught:
        read()
    return [str(problem) for problem in caught.value.problems]


def test_bars_come_on_a_grid_with_gaps_as_holes(tmp_path):
    path = write_bars(tmp_path / "a.csv", [bar(0), bar(5, BTC_perp_close=""), bar(15)])
    table = read_closes(path, bar_s=300)
    assert len(table) == 4
    assert str(table.index[0]) == "2025-06-01 00:00:00+00:00"
    np.testing.assert_array_equal(table["BTC_perp_close"], [1.0, np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(table["ETH_perp_close"], [1.0, 1.0, np.nan, 1.0])


def test_compressed_files_read_alike(tmp_path):
    plain = write_bars(tmp_path / "a.csv", [bar(0), bar(5)])
    packed = tmp_path / "a.csv.gz"
    with gzip.open(packed, "wt") as out:
        out.write(plain.read_text())
    assert read_closes(plain, bar_s=300).equals(read_closes(packed, bar_s=300))


def test_all_problems_of_a_file_come_at_once_with_their_places(tmp_path):
    rows = [
        bar(0, BTC_perp_close="x"),
        bar(5, ETH_perp_close=0.0),
        bar(10, SOL_perp_vol=-1.0),
        bar(7),
        bar(15, HYPE_spot_close="inf"),
    ]
    path = write_bars(tmp_path / "a.csv", rows)
    found = problems_of(lambda: read_closes(path, bar_s=300))
    assert found == [
        "a.csv, line 2, BTC_perp_close = 'x' is not a number.\n  allowed: a finite number",
        "a.csv, line 6, HYPE_spot_close = 'inf' is not a number.\n  allowed: a finite number",
        "a.csv, line 3, ETH_perp_close = 0.0 is out of range.\n  allowed: above 0 USD",
        "a.csv, line 4, SOL_perp_vol = -1.0 is out of range.\n  allowed: 0 or more",
        "a.csv, line 5, time = Timestamp('2025-06-01 00:07:00+0000', tz='UTC') does not rise.\n"
        "  allowed: later than the line before",
    ]


def test_times_off_the_grid_or_no_times_are_problems(tmp_path):
    rows = [bar(0), bar(7), ("yesterday", bar(0)[1])]
    path = write_bars(tmp_path / "a.csv", rows)
    first, second = problems_of(lambda: read_closes(path, bar_s=300))
    assert first.startswith("a.csv, line 4, t = 'yesterday' is not a time.")
    assert "line 3, time" in second
    assert second.endswith("is off the grid.\n  allowed: a multiple of 300 s")


def test_a_high_below_its_low_is_a_problem(tmp_path):
    names = [*CLOSES, "BTC_perp_low", "BTC_perp_high"]
    path = write_bars(tmp_path / "a.csv", [(bar(0)[0], [*bar(0)[1], 2.0, 1.0])], names)
    (found,) = problems_of(lambda: read_closes(path, bar_s=3_600))
    assert found == (
        "a.csv, line 2, BTC_perp_low = 2.0 is out of range.\n"
        "  allowed: at most BTC_perp_high of the line"
    )


def test_missing_columns_are_named_in_one_line_and_nothing_else_is_said(tmp_path):
    path = write_bars(tmp_path / "a.csv", [], [name for name in CLOSES if "SOL_spot" not in name])
    (found,) = problems_of(lambda: read_closes(path, bar_s=300))
    assert found == (
        "a.csv lacks the columns SOL_spot_close, SOL_spot_vol.\n"
        "  hint   : docs/calibration.md has the columns of each file"
    )
    path.write_text("a,b\nx,y\n")
    (found,) = problems_of(lambda: read_closes(path, bar_s=300))
    assert found.splitlines()[0] == f"a.csv lacks the columns {', '.join(CLOSES)}."
    path.write_text("hour,BTC,SOL,HYPE\n")
    (found,) = problems_of(lambda: read_funding(path))
    assert found.splitlines()[0] == "a.csv lacks the column ETH."


def test_files_without_rows_are_problems(tmp_path):
    path = write_bars(tmp_path / "a.csv", [])
    assert problems_of(lambda: read_closes(path, bar_s=300)) == ["a.csv holds no rows."]


def test_hours_have_lows_and_highs(tmp_path):
    names = [*CLOSES, *(f"{asset}_perp_low" for asset in ASSETS)]
    path = write_bars(tmp_path / "a.csv", [], names)
    (found,) = problems_of(lambda: read_closes(path, bar_s=3_600, with_range=True))
    highs = ", ".join(f"{asset}_perp_high" for asset in ASSETS)
    assert found.splitlines()[0] == f"a.csv lacks the columns {highs}."


def test_damaged_and_empty_files_are_problems(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_text("no archive")
    assert problems_of(lambda: read_funding(path))[0].startswith("a.csv.gz cannot be read.")
    path = tmp_path / "a.csv"
    path.touch()
    assert problems_of(lambda: read_funding(path))[0].startswith("a.csv cannot be read.")
    path.write_text('t,BTC\n1,2,3,4\n"')
    assert problems_of(lambda: read_btc(path))[0].startswith("a.csv cannot be read.")


def test_many_problems_are_counted_past_twenty(tmp_path):
    path = write_bars(tmp_path / "a.csv", [bar(5 * i, BTC_perp_vol=-1.0) for i in range(11)])
    assert len(problems_of(lambda: read_closes(path, bar_s=300))) == 11
    many = [Problem("is wrong", f"cell {i}") for i in range(MAX_PROBLEMS + 5)]
    error = InvalidRecording.from_problems(many)
    assert len(error.problems) == MAX_PROBLEMS + 1
    assert str(error).endswith("and 5 more problems.")


def test_funding_beyond_the_venues_cap_is_a_problem(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("hour,BTC,ETH,SOL,HYPE\n2025-06-01 00:00:00+00:00,0.04,0,-0.041,\n")
    (found,) = problems_of(lambda: read_funding(path))
    assert found.startswith("a.csv, line 2, SOL = -0.041 is out of range.")


def test_funding_hours_that_are_missing_become_holes(tmp_path):
    path = tmp_path / "a.csv"
    hours = ["2025-06-01 00:00:00+00:00", "2025-06-01 03:00:00+00:00"]
    path.write_text("hour,BTC,ETH,SOL,HYPE\n" + "".join(f"{h},1e-5,1e-5,1e-5,\n" for h in hours))
    table = read_funding(path)
    assert table["BTC"].isna().tolist() == [False, True, True, False]
    assert table["HYPE"].isna().all()


BASIS_HEAD = "time,exchange,crypto,pair,contract,close,funding rate\n"


def basis_rows(time, spot, perp, rate):
    return (
        f"{time},okx,bitcoin,BTC/USDT,spot,1,\n"
        f"{time},binance,bitcoin,BTC/USDT,spot,{spot},\n"
        f"{time},binance,bitcoin,BTCUSDCM,perpetual,7,0.5\n"
        f"{time},binance,bitcoin,BTCUSDT,perpetual,{perp},{rate}\n"
    )


def read_btc(path):
    return read_basis_8h(path, exchange="binance", asset="bitcoin", pair="BTCUSDT")


def test_basis_of_another_venue_joins_its_own_spot(tmp_path):
    path = tmp_path / "a.csv"
    first = basis_rows("2023-01-01 08:00:00", 100.0, 99.9, 0.0002)
    second = basis_rows("2023-01-01 00:00:00", 100.0, 100.1, 0.0001)
    path.write_text(BASIS_HEAD + first + second)
    table = read_btc(path)
    np.testing.assert_allclose(table["basis_bp"], [10.0, -10.0])
    np.testing.assert_allclose(table["rate"], [0.0001, 0.0002])


def test_basis_reports_bad_closes_missing_rows_and_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(BASIS_HEAD + "2023-01-01 00:00:00,binance,bitcoin,BTC/USDT,spot,-1,\n")
    assert [text.splitlines()[0] for text in problems_of(lambda: read_btc(path))] == [
        "a.csv, line 2, close = -1 is out of range.",
        "a.csv, binance bitcoin BTCUSDT has no rows.",
    ]
    path.write_text("time,close\n")
    (found,) = problems_of(lambda: read_btc(path))
    missing = "exchange, crypto, pair, contract, funding rate"
    assert found.splitlines()[0] == f"a.csv lacks the columns {missing}."


def test_missing_files_are_listed_all_at_once(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "hl_funding_hourly_x.csv.gz").touch()
    for name in ("usdm_btcusdt_1.gz", "usdm_btcusdt_2.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InvalidRecording) as caught:
        find_recordings(tmp_path)
    names = [problem.name for problem in caught.value.problems]
    assert names == [kind for kind in KINDS if kind != "funding_1h"]
    several = next(p for p in caught.value.problems if p.name == "feed_perp_btc")
    assert several.value == ["usdm_btcusdt_1.gz", "usdm_btcusdt_2.gz"]
    assert several.hint == "move the others"
    missing = next(p for p in caught.value.problems if p.name == "closes_1h")
    assert missing.allowed == "one file hl_perp_spot_hourly_*.csv*"
    assert "hippocritical/freqtrade_hyperliquid_download-data" in missing.hint


def test_files_are_found_at_any_depth(tmp_path):
    for i, kind in enumerate(KINDS.values()):
        place = tmp_path / f"{i}"
        place.mkdir()
        (place / kind.pattern.replace("*", "x")).touch()
    assert set(find_recordings(tmp_path)) == set(KINDS)


def test_a_folder_that_is_none_is_said_to_be_none():
    with pytest.raises(InvalidInput, match="folder = 'no/such' is not a folder"):
        find_recordings(Path("no/such"))
