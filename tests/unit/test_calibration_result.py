import json
import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stressbook.errors import UnknownName
from stressbook.experiments.calibration import CalibrationResult, calibrate, markdown_table
from stressbook.experiments.calibration.assumed import assumed_rows
from stressbook.experiments.calibration.basis_rows import basis_rows
from stressbook.experiments.calibration.estimate import estimated
from stressbook.experiments.calibration.planted import PLANTED, write_recordings
from stressbook.experiments.calibration.price_rows import volatility_rows
from stressbook.experiments.calibration.result import FileRecord
from stressbook.experiments.calibration.rows import (
    ASSUMED,
    FITTING_TARGET,
    PARAMETER,
    PERP,
    VALIDATION_TARGET,
    Row,
)
from stressbook.experiments.recorded import (
    ASSETS,
    KINDS,
    InvalidRecording,
    find_recordings,
)
from stressbook.experiments.recorded_tables import (
    read_closes,
)
from stressbook.experiments.scenario import load_scenario
from tests.unit.calibration_planted import assert_recovers

ROOT = Path(__file__).parents[2]
REFERENCE = json.loads((ROOT / "results" / "reference" / "calibration.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    write_recordings(folder)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return calibrate(folder, seed=3)


def corr_row(asset, other, value):
    return Row(
        asset, "world", f"corr_{other}", estimated(value, value, value, 9), "1", PARAMETER, PERP
    )


@pytest.mark.slow
def test_a_folder_becomes_tables_of_a_scenario(result):
    tables = tomllib.loads(result.to_toml())
    assert tables["world"]["assets"] == list(ASSETS)
    for asset in ASSETS:
        world, flow = tables["world"][asset], tables["flow"][asset]
        assert {"daily_vol_frac", "log_vol_var_20min", "log_vol_var_4h", "log_vol_var_3d"} <= set(
            world
        )
        assert {"basis_mean_bp", "basis_fast_sd_bp", "basis_slow_halflife_s"} <= set(world)
        assert {"perp_daily_volume_usd", "depth_10bp_usd", "hawkes_branching"} <= set(flow)
        assert all(isinstance(value, float) for value in {**world, **flow}.values())
    assert tables["world"]["BTC"]["daily_vol_frac"] == pytest.approx(0.0223, rel=0.3)
    corr = np.array(tables["world"]["corr"])
    np.testing.assert_array_equal(corr, corr.T)
    assert np.linalg.eigvalsh(corr)[0] > 0.0


@pytest.mark.slow
def test_what_judges_never_enters_a_scenario(result):
    tables = tomllib.loads(result.to_toml())
    inside = {name for table in ("world", "flow") for a in ASSETS for name in tables[table][a]}
    targets = {row.name for row in result.rows if row.role in (FITTING_TARGET, VALIDATION_TARGET)}
    assert targets
    assert not targets & inside


@pytest.mark.slow
def test_a_number_has_one_role_and_one_row(result):
    names = [(row.asset, row.name) for row in result.rows]
    assert len(names) == len(set(names))


@pytest.mark.slow
def test_every_parameter_is_in_its_interval(result):
    outside = [
        (row.asset, row.name)
        for row in result.rows
        if row.role == PARAMETER
        and not math.isnan(row.estimate.low)
        and not row.estimate.low <= row.estimate.value <= row.estimate.high
    ]
    assert not outside


@pytest.mark.slow
def test_the_frame_is_tidy(result):
    frame = result.frame
    assert len(frame) == len(result.rows)
    fitted = frame[frame["role"] != ASSUMED]
    assert (fitted["n"] > 0).all()
    assert set(fitted["source"]) == {file.name for file in result.files}
    assert (fitted["start"] >= "2025-05-01").all()
    assert (frame[frame["role"] == ASSUMED]["source"] == "assumed").all()
    assert frame["unit"].str.len().min() > 0


def btc_rows(folder, seed):
    """Every kind of draw but those of the feeds: bootstrap, simulated records, simulated bases."""
    paths = find_recordings(folder)
    bars = {
        "closes_5min": read_closes(paths["closes_5min"], bar_s=300),
        "closes_1h": read_closes(paths["closes_1h"], bar_s=3_600),
    }
    rows = volatility_rows("BTC", **bars, seed=seed) + basis_rows("BTC", **bars, seed=seed)
    return {row.name: row.estimate for row in rows}


@pytest.mark.slow
def test_same_files_and_seed_give_the_same_numbers_whatever_else_is_estimated(folder, result):
    alone = btc_rows(folder, seed=3)
    together = {row.name: row.estimate for row in result.rows if row.asset == "BTC"}
    assert alone == {name: together[name] for name in alone}


@pytest.mark.slow
def test_the_seed_moves_intervals_and_corrections_of_bias_alone(folder, result):
    other = btc_rows(folder, seed=4)
    first = {row.name: row.estimate for row in result.rows if row.asset == "BTC"}
    assert other["basis_fast_sd_bp"].value == first["basis_fast_sd_bp"].value
    assert other["basis_fast_sd_bp"].low != first["basis_fast_sd_bp"].low
    assert other["daily_vol_frac"].value == first["daily_vol_frac"].value
    assert other["log_vol_var_4h"].value != first["log_vol_var_4h"].value


@pytest.mark.slow
def test_files_are_named_with_their_hash(folder, result):
    assert [file.kind for file in result.files] == list(KINDS)
    assert all(len(file.sha256) == 64 for file in result.files)
    assert str(folder) not in result.to_json()


def with_file(kind, sha256):
    row = Row("BTC", "world", "a", estimated(1.0, 0.5, 2.0, 9), "1", PARAMETER, PERP, kind)
    row = replace(row, start="2025-05-01", end="2025-06-29")
    return CalibrationResult((row,), (FileRecord(kind, "mine.csv", sha256),), 1)


def test_own_recordings_are_named_by_their_files_and_by_nothing_public():
    result = with_file("closes_1h", "0" * 64)
    assert result.frame["source"].tolist() == ["mine.csv"]
    assert json.loads(result.to_json())["files"][0]["source"] == "mine.csv"
    assert f"| {PERP}, 2025-05-01 to 2025-06-29, mine.csv |" in result.summary()
    assert KINDS["closes_1h"].source not in result.to_json() + result.summary()


def test_a_recording_behind_the_reference_has_its_public_source_whatever_its_name():
    result = with_file("closes_1h", KINDS["closes_1h"].sha256)
    assert result.frame["source"].tolist() == [KINDS["closes_1h"].source]
    assert f"| {PERP}, 2025-05-01 to 2025-06-29 |" in result.summary()


def test_the_recordings_behind_the_reference_are_known_by_their_hash():
    known = {kind: (one.sha256, one.source) for kind, one in KINDS.items()}
    assert {f["kind"]: (f["sha256"], f["source"]) for f in REFERENCE["files"]} == known


def name_of(kind):
    return KINDS[kind].pattern.replace("*", "x", 1).rstrip("*")


def test_problems_of_several_files_come_at_once_a_line_for_each(tmp_path):
    for kind in KINDS:
        (tmp_path / name_of(kind)).write_text("t,BTC\n")
    with pytest.raises(InvalidRecording) as caught:
        calibrate(tmp_path)
    by_file = [problem.name for problem in caught.value.problems if ".csv" in problem.name]
    tables = ("closes_5min", "closes_1h", "funding_1h", "basis_8h")
    assert by_file == [name_of(kind) for kind in tables]


def test_a_missing_file_hides_no_broken_one_and_a_broken_one_no_other(folder, tmp_path):
    for path in folder.iterdir():
        if not path.name.startswith("usdm_btcusdt"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    funding = (folder / "hl_funding_hourly_a.csv").read_text().splitlines()[:100]
    no_numbers = [line.rpartition(",")[0] + ",x" for line in funding[1:]]
    (tmp_path / "hl_funding_hourly_a.csv").write_text("\n".join([funding[0], *no_numbers]))
    (tmp_path / "spot_btcusdt_a.gz").write_text("no gzip")
    with pytest.raises(InvalidRecording) as caught:
        calibrate(tmp_path)
    first, *_, last = (problem.name for problem in caught.value.problems)
    assert (first, last) == ("feed_perp_btc", "spot_btcusdt_a.gz")
    assert sum("hl_funding" in problem.name for problem in caught.value.problems) == 20


def test_estimates_begin_once_everything_is_read(folder, tmp_path, monkeypatch):
    for name in ("_price_rows", "_venue_rows"):
        monkeypatch.setitem(calibrate.__globals__, name, lambda *_: [])
    told = []
    calibrate(folder, ready=lambda: told.append("ready"))
    assert told == ["ready"]
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "hl_funding_hourly_a.csv").write_text("hour,BTC,ETH\n")
    with pytest.raises(InvalidRecording, match="lacks the columns SOL, HYPE"):
        calibrate(tmp_path, ready=lambda: told.append("too early"))
    assert told == ["ready"]


@pytest.mark.slow
def test_what_was_planted_in_the_recordings_is_found_again(result):
    for name, planted in PLANTED.items():
        estimate = next(
            row.estimate for row in result.rows if (row.asset, row.name) == ("BTC", name)
        )
        assert_recovers(estimate, planted, within=planted)


def test_an_empty_folder_lacks_every_kind(tmp_path):
    with pytest.raises(InvalidRecording) as caught:
        calibrate(tmp_path)
    assert len(caught.value.problems) == len(KINDS)


def test_an_impossible_set_of_pairs_becomes_a_valid_matrix():
    rows = [
        corr_row(second, first, -0.9)
        for i, first in enumerate(ASSETS)
        for second in ASSETS[i + 1 :]
    ]
    corr = CalibrationResult(tuple(rows), (), 1).correlation()
    assert np.linalg.eigvalsh(corr)[0] > 0.0
    np.testing.assert_allclose(np.diag(corr), 1.0)
    assert (corr[np.triu_indices(4, 1)] < -0.3).all()


def test_a_possible_set_of_pairs_is_left_alone():
    rows = [
        corr_row(second, first, 0.5) for i, first in enumerate(ASSETS) for second in ASSETS[i + 1 :]
    ]
    corr = CalibrationResult(tuple(rows), (), 1).correlation()
    np.testing.assert_array_equal(corr, np.full((4, 4), 0.5) + 0.5 * np.eye(4))


def test_values_without_data_leave_no_line():
    nan = float("nan")
    row = Row("SOL", "flow", "depth_exponent", estimated(nan, nan, nan, 9), "1", PARAMETER, PERP)
    text = CalibrationResult((row,), (), 1).to_toml()
    assert "depth_exponent" not in text
    assert "corr" not in tomllib.loads(text)["world"]


def test_unknown_numbers_are_named_with_the_nearest():
    result = CalibrationResult(tuple(assumed_rows()), (), 1)
    assert result.value("HYPE", "outside_impact_bp_per_musd") == 10.0
    with pytest.raises(UnknownName, match="did you mean 'outside_half_spread_bp'"):
        result.value("HYPE", "outside_half_spread")


def test_reference_numbers_are_in_their_intervals_and_say_where_they_come_from():
    for row in REFERENCE["rows"]:
        if row["role"] == ASSUMED:
            assert (row["n"], row["low"], row["source"]) == (0, None, "assumed")
            continue
        assert row["n"] > 0, row
        assert row["start"] <= row["end"], row
        assert row["start"] >= "2023-01-01", row
        if row["low"] is not None:
            assert row["low"] <= row["value"] <= row["high"], row


def test_reference_numbers_agree_with_published_statistics_of_the_same_data():
    values = {(row["asset"], row["name"]): row["value"] for row in REFERENCE["rows"]}
    # Hours at the floor since 2024, and deviation of the basis within days of 24 h.
    for asset, floor_share, day_sd_bp in (
        ("BTC", 0.580, 3.2),
        ("ETH", 0.514, 3.0),
        ("SOL", 0.496, 3.3),
        ("HYPE", 0.551, 4.6),
    ):
        assert values[asset, "funding_floor_share_frac"] == pytest.approx(floor_share, abs=0.001)
        assert values[asset, "basis_day_sd_bp"] == pytest.approx(day_sd_bp, abs=0.05)


def test_the_document_shows_the_reference_numbers():
    text = (ROOT / "docs" / "calibration.md").read_text()
    assert markdown_table(REFERENCE["rows"]) in text


def blocks_of_the_document(language):
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_example_of_the_document_writes_what_the_command_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(blocks_of_the_document("python")[0], {})
    (line,) = blocks_of_the_document("console")[0].splitlines()
    assert line.startswith("$ stressbook calibrate recordings ")
    assert set(find_recordings(Path("recordings"))) == set(KINDS)


def test_the_document_names_every_file_and_what_was_planted():
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        assert f"| `{kind.pattern}` |" in text
    for name, planted in PLANTED.items():
        assert f"| `{name}` | {planted:g} |" in text


def test_reference_holds_every_asset_and_no_folder():
    assert {row["asset"] for row in REFERENCE["rows"]} == set(ASSETS)
    assert all("/" not in file["name"] for file in REFERENCE["files"])
    assert all(math.isfinite(row["value"]) for row in REFERENCE["rows"] if row["role"] == PARAMETER)


def rows_into_a_scenario():
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"## Into a scenario\n.*?\n(\|.*?)\n\n", text, re.DOTALL)
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [(name.strip("`"), key.strip("`"), how) for name, key, how in cells]


@pytest.fixture(scope="module")
def reference_scenario():
    return load_scenario("hyperliquid").to_table()


@pytest.mark.parametrize(("name", "key", "how"), rows_into_a_scenario())
def test_a_number_has_the_key_that_the_document_gives_it(name, key, how, reference_scenario):
    values = {row["asset"]: row["value"] for row in REFERENCE["rows"] if row["name"] == name}
    assert values
    for asset, value in values.items():
        found = reference_scenario
        for part in key.replace("ASSET", asset).split("."):
            found = found[part]
        if how.startswith("as it is"):
            assert found == pytest.approx(value, rel=0.03), (asset, key)
        if how == "1 less the number":
            assert found == pytest.approx(1.0 - value)


def test_the_document_gives_every_parameter_of_the_world_a_key():
    given = {name for name, _, _ in rows_into_a_scenario()} | {"corr_ETH", "corr_SOL"}
    world = {
        row["name"]
        for row in REFERENCE["rows"]
        if row["table"] == "world" and row["role"] in (PARAMETER, ASSUMED)
    }
    assert world <= given
