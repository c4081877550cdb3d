"""Runs at the front door: numbers, tables, figure and folder."""

import json
from dataclasses import replace

import numpy as np
import pytest

import stressbook as sb
from stressbook.api.figure import draw_run, run_panels
from stressbook.errors import InvalidInput, UnknownName
from stressbook.experiments.outcome_words import label_of
from stressbook.experiments.outcomes import meaning_of, outcome_names, unit_of
from stressbook.experiments.store import load_run, read_manifest, write_json, write_whole
from stressbook.market.state.codes import EV_RISK_ORDER_CANCELLED, EV_SLICE
from stressbook.report.run_page import run_html
from tests.short_runs import short_run, short_scenario


@pytest.fixture(scope="module")
def run():
    return short_run()


# --- tables --------------------------------------------------------------------------------------


def test_the_market_has_a_row_for_each_step_and_book(run):
    market = run.frame("market")
    assert len(market) == 90 * 4
    assert list(market["instrument"][:4]) == ["BTC-PERP", "HYPE-PERP", "BTC-SPOT", "HYPE-SPOT"]
    assert list(market["t_s"]) == [float(step) for step in range(1, 91) for _ in range(4)]
    hype = market[market["instrument"] == "HYPE-PERP"]["end_mid_usd"].to_numpy()
    assert np.array_equal(hype, run.record.series.book["end_mid_usd"][:, 1])


def test_assets_and_venue_follow_the_clock(run):
    assets, venue = run.frame("assets"), run.frame("venue")
    assert (len(assets), len(venue)) == (180, 90)
    assert list(assets["asset"][:2]) == ["BTC", "HYPE"]
    assert list(venue["t_s"]) == list(np.arange(1.0, 91.0))


def test_classes_and_accounts_count_the_same_accounts(run):
    classes, accounts = run.frame("classes"), run.frame("accounts")
    counted = accounts["class"].replace("backstop", "others").value_counts()
    assert dict(counted) == dict(zip(classes["class"], classes["n_accounts"], strict=True))
    by_class = accounts.groupby("class")["equity_usd"].sum()
    ended = classes.set_index("class")["equity_usd"]
    assert by_class["directional"] == pytest.approx(ended["directional"], rel=1e-12)


def test_accounts_opened_with_what_the_scenario_says(run):
    accounts = run.frame("accounts")
    assert accounts["class"].iloc[-1] == "backstop"
    lender = accounts[accounts["class"] == "lender"].iloc[0]
    assert lender["opening_equity_usd"] == pytest.approx(
        run.record.scenario.agents["lender"].supply_usd, abs=1.0
    )
    hurt = accounts.sort_values("gain_usd").iloc[0]
    assert hurt["gain_usd"] < 0.0


def test_events_are_in_words(run):
    events = run.frame("events")
    kinds = events["kind"].value_counts()
    assert kinds["breach"] == run.outcomes["n_breaches"] > 0
    forced = events[events["kind"] == "forced_order"]
    assert set(forced["detail"]) == {"forced_trade"}
    assert set(forced["traded"]) <= {"BTC-PERP", "HYPE-PERP"}
    # HYPE falls: what is forced out of it was long.
    assert (forced[forced["traded"] == "HYPE-PERP"]["lots"] < 0).all()
    assert forced["price_usd"].between(50.0, 90.0).all()


def test_a_report_says_how_its_run_is_made_again(run):
    changed = run_html(run.record)
    assert "<pre>stressbook replay FOLDER" in changed
    assert "<pre>stressbook run" not in changed
    shipped = replace(run.record, scenario=sb.scenario("skeleton").resolved)
    assert "<pre>stressbook run skeleton --seed 7</pre>" in run_html(shipped)


def test_a_table_is_made_once(run):
    assert run.frame("venue") is run.frame("venue")


def test_an_unknown_table_is_answered_with_the_known_ones(run):
    with pytest.raises(UnknownName, match="did you mean 'events'"):
        run.frame("event")


# --- words and figure ----------------------------------------------------------------------------


def test_a_run_shows_itself(run):
    n = int(run.outcomes["n_breaches"])
    assert repr(run) == f"<RunResult skeleton, seed 7: 90 steps of 1 s, {n} breaches>"
    summary = run.summary()
    assert summary.startswith("skeleton · 2 assets · ")
    assert all(name in summary for name in run.outcomes)
    assert "<td>liquidated_usd</td>" in run._repr_html_()


def test_outcomes_are_a_copy(run):
    run.outcomes["n_breaches"] = -1.0
    assert run.outcomes["n_breaches"] > 0.0


def test_every_outcome_has_its_name_and_its_unit(run):
    assert tuple(run.outcomes) == outcome_names(run.record.scenario.assets)
    assert (unit_of("spread_HYPE_bp"), label_of("spread_HYPE_bp")[:13]) == ("bp", "Median spread")
    assert "spread of the perp of HYPE" in meaning_of("spread_HYPE_bp")
    ended = run.record.series.book["end_spread_frac"][run.record.onset_step :, 1]
    assert run.outcomes["spread_HYPE_bp"] == pytest.approx(1e4 * np.nanmedian(ended))
    assert run.outcomes["spread_HYPE_bp"] != run.outcomes["spread_BTC_bp"]


def test_an_outcome_that_there_is_none_of_is_told_with_the_nearest(run):
    with pytest.raises(UnknownName, match="did you mean 'liquidated_usd'"):
        run.outcomes["liquidated"]


def test_lots_of_an_event_are_lots_and_token_units_tokens(run):
    planted = np.zeros(2, run.record.events.dtype)
    planted["kind"] = EV_SLICE, EV_RISK_ORDER_CANCELLED
    planted["inst"] = 2, -1  # the token HYPE; no book
    planted["lots"] = 250_000_000, 3
    events = sb.RunResult(replace(run.record, events=planted)).frame("events")
    assert events["traded"].tolist() == ["HYPE", ""]
    assert events["lots"].isna().all()
    assert events["tokens"].iloc[0] == 2.5
    assert events["n_orders"].iloc[1] == 3
    assert run.frame("events")["lots"].notna().any()


def test_a_folder_that_is_used_again_keeps_nothing_of_the_former_run(run, tmp_path):
    run.save(tmp_path)
    run.report(tmp_path / "report.html")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "former.py").touch()
    run.save(tmp_path)
    assert not (tmp_path / "report.html").exists()
    assert list((tmp_path / "plugins").iterdir()) == []


def test_panels_are_means_over_minutes(run):
    marks, forced, depth, interest = run_panels(run.record)
    assert [len(panel.t_min) for panel in (marks, forced, depth, interest)] == [2] * 4
    assert list(marks.lines) == ["BTC", "HYPE"]
    assert marks.lines["HYPE"][-1] < -10.0 < marks.lines["BTC"][-1]
    first = run.record.series.book["bid_depth_usd"][:60, 1].mean() / 1e6
    assert depth.lines["HYPE"][0] == pytest.approx(first)
    asset = run.record.series.asset[:60, 1]
    lots = sum(asset[name] for name in ("forced_fill_lots", "taken_over_lots", "deleveraged_lots"))
    lot_size = run.record.scenario.venue_spec().instruments[1].lot_size
    usd = float((lots * lot_size * asset["mark_usd"]).sum())
    assert forced.lines["HYPE"][0] == pytest.approx(usd / 1e6)
    assert interest.lines["BTC"][0] > 100.0


def test_a_figure_is_drawn_without_a_screen(run, tmp_path):
    ax = run.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["BTC", "HYPE"]
    assert len(ax.figure.axes) == 4
    ax.figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 10_000


def test_a_figure_is_drawn_into_a_given_place(run):
    from matplotlib.figure import Figure

    place = Figure().subplots()
    assert draw_run(run.record, ax=place) is place
    assert place.get_ylabel() == "%"


def test_a_report_is_one_page_and_the_same_each_time(run, tmp_path):
    page = run.report(tmp_path / "new" / "run.html")
    text = page.read_text()
    assert "skeleton" in text
    assert f"seed {run.seed}" in text
    assert run.report(tmp_path / "again.html").read_text() == text


# --- folder --------------------------------------------------------------------------------------


@pytest.fixture
def folder(run, tmp_path):
    return run.save(tmp_path / "run")


def test_a_run_comes_back_from_its_folder(run, folder):
    again = sb.RunResult.load(folder)
    assert (again.digest, again.outcomes) == (run.digest, run.outcomes)
    assert again.record.scenario == run.record.scenario
    for name in ("market", "assets", "venue", "classes", "accounts", "events", "refusals"):
        assert again.frame(name).equals(run.frame(name))
    assert again.record.onset_step == run.record.onset_step
    assert again.record.system_usd == run.record.system_usd
    assert again.record.refusals == run.record.refusals


def test_a_folder_holds_what_replays_it(run, folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        ".stressbook",
        "events.npz",
        "manifest.json",
        "outcomes.json",
        "scenario.toml",
        "series.npz",
    ]
    about = read_manifest(folder)
    assert (about["seed"], about["digest"]) == (7, run.digest)
    assert about["versions"]["stressbook"] == sb.__version__
    assert json.loads((folder / "outcomes.json").read_text()) == run.outcomes


def test_two_saves_write_the_same_bytes(run, folder, tmp_path):
    other = run.save(tmp_path / "other")
    for path in folder.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_the_folder_of_a_run_is_named_by_scenario_seed_and_variant(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variant = run.record.scenario.digest()[:8]
    assert run.save().as_posix() == f"results/runs/skeleton-7-{variant}"


def test_a_replay_has_the_same_digest(run):
    assert short_scenario().run(seed=7).digest == run.digest
    assert short_scenario().run(seed=8).digest != run.digest


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "manifest.json").unlink(), "holds no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "lacks scenario, seed"),
        (lambda f: change(f, seed="7"), "lacks seed"),
        (lambda f: change(f, schema=9), "has another schema"),
        (lambda f: change(f, kind="batch", scenarios={}, runs=[]), "holds many runs"),
        (lambda f: (f / "series.npz").write_bytes(b"no"), "cannot be read"),
        (lambda f: (f / "events.npz").unlink(), "cannot be read"),
        (lambda f: np.savez(f / "events.npz", event=np.zeros(1, [("t", "i8")])), "other columns"),
    ],
)
def test_a_spoiled_folder_is_refused_in_words(folder, spoil, words):
    spoil(folder)
    with pytest.raises(InvalidInput) as error:
        load_run(folder)
    assert words in str(error.value)


def change(folder, **changes):
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**about, **changes}))


def test_a_file_is_replaced_in_one_move_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def stopped(*_):
    raise KeyboardInterrupt


def test_json_has_null_for_what_is_no_number(tmp_path):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.5]}
