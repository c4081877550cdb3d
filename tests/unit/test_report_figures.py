import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from stressbook.experiments.recorder import ASSET_ROW, BOOK_ROW, VENUE_ROW, Series
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.stress import DepthThinning
from stressbook.experiments.timeline import timeline_of
from stressbook.report.study_figures import (
    arm_dots,
    dose_dots,
    draw_classes,
    draw_doses,
    draw_dots,
    size_dots,
)
from stressbook.report.study_tables import class_rows
from stressbook.report.svg import house_style, svg_of
from stressbook.report.timeline_figure import draw_panel, draw_timelines
from stressbook.report.timeline_panels import premium_text, timeline_panels
from tests.unit.report_planted import study, timeline


def series(n=120):
    book, asset = np.zeros((n, 4), BOOK_ROW), np.zeros((n, 2), ASSET_ROW)
    asset["mark_usd"] = asset["oracle_usd"] = 50.0
    asset["mark_usd"][:, 1] = 50.0 - np.arange(n) / 10.0
    asset["open_interest_lots"] = 1000.0
    asset["forced_fill_lots"][90, 1] = 100.0
    book["bid_depth_usd"] = np.arange(n)[:, None]
    return Series(book, asset, np.zeros(n, VENUE_ROW), np.array([n]))


def binned(**changes):
    scenario = load_scenario("skeleton").with_(warmup=60.0, duration=60.0, stresses=[])
    stresses = [DepthThinning(at=60.0, duration=20.0, cut_frac=0.75)]
    asked = {"onset_step": 60, "asset": 1, "bin_s": 10.0, "lead_s": 30.0} | changes
    return timeline_of(series(), scenario, stresses, **asked)


def test_bins_end_at_the_onset_and_cover_the_lead_and_the_rest():
    found = binned()
    assert found.t_min == pytest.approx((np.arange(9) - 2) * 10.0 / 60.0)
    assert found.mark_usd[2] == pytest.approx(50.0 - 5.9)


def test_liquidations_are_a_rate_at_the_mark():
    found = binned()
    lot = load_scenario("skeleton").venue_spec().instruments[1].lot_size
    assert np.flatnonzero(found.forced_usd).tolist() == [6]
    assert found.forced_usd[6] == pytest.approx(100.0 * lot * 41.0 * 6.0)


def test_depth_is_the_median_of_its_bin():
    assert binned().bid_depth_usd[0] == pytest.approx(np.median(np.arange(30, 40)))


def test_what_the_stress_leaves_follows_its_window():
    assert binned().depth_left_frac.tolist() == [1, 1, 1, 0.25, 0.25, 1, 1, 1, 1]


def test_a_short_warm_up_shows_what_there_is():
    assert binned(onset_step=15).t_min[0] == pytest.approx(-0.0)


def test_the_imposed_cut_is_taken_of_the_calm_run():
    calm, now = timeline(0.0), timeline(0.3)
    depth = timeline_panels(now, colour="#000000", control=calm)[1]
    imposed = next(line for line in depth.lines if "imposed" in line.label).values
    assert imposed == pytest.approx(calm.bid_depth_usd / 1e6 * now.depth_left_frac)
    low, high, _ = depth.between
    assert (low <= high).all()


def test_what_is_shed_is_a_bar_of_its_own_and_a_capital_used_up_a_mark():
    lines = {}
    for name, low in (("broke", -1e6), ("held", 5e6)):
        panels = {p.title: p for p in timeline_panels(timeline(backstop_low=low), colour="#000000")}
        lines[name] = panels["Equity of the backstop"].points.values
        assert [bar.label for bar in panels["Liquidated"].bars][-1] == "deleveraged: backstop"
    assert np.nanmin(lines["broke"]) == pytest.approx(-1.0)
    assert np.isnan(lines["held"]).all()


def test_no_legend_lies_on_its_panel():
    panels = timeline_panels(timeline(backstop_low=-1e6), colour="#000000", control=timeline(0.0))
    figure = draw_timelines({"a": panels, "b": panels}, window_min=(0.0, 10.0))
    figure.canvas.draw()
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is not None:
            assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1.0
            assert legend.get_window_extent().x1 <= ax.get_window_extent().x1 + 20.0


def test_a_title_and_what_stands_beside_it_do_not_meet():
    panels = timeline_panels(timeline(), colour="#000000")
    columns = {"Hyperliquid-pm margin": panels, "b": panels}
    with house_style():
        figure = draw_timelines(columns, window_min=(0.0, 10.0))
        figure.canvas.draw()
        extents = [
            [title.get_window_extent() for title in (ax._left_title, ax._right_title)]
            for ax in figure.axes
            if ax.get_title(loc="right")
        ]
    assert len(extents) == 4
    assert all(left.x1 < right.x0 for left, right in extents)


def test_bars_hold_all_that_was_liquidated_in_bins_wide_enough_to_see():
    line = timeline()
    fine = line._replace(
        **{
            name: np.repeat(getattr(line, name), 4)
            for name in line._fields
            if name not in ("t_min",)
        },
        t_min=np.arange(-16.0, 124.0) / 4.0,
    )
    for each in (line, fine):
        panel = next(p for p in timeline_panels(each, colour="#000") if p.title == "Liquidated")
        assert len(panel.t_min) <= 40
        assert panel.t_min == pytest.approx(
            panel.t_min[0] + np.arange(len(panel.t_min)) * (panel.t_min[1] - panel.t_min[0])
        )
        assert 0.0 in np.round(panel.t_min, 9)
        assert [bar.values.sum() for bar in panel.bars] == pytest.approx([3.0, 4.0, 0.0, 0.0])
        assert panel.aside == "in all, M USD: 3.00, 4.00, 0.00, 0.00"


def test_a_deleveraging_too_small_to_see_has_a_mark():
    line = timeline()
    for size, expected in ((1e3, 1), (0.0, 0)):
        small = line._replace(deleveraged_usd=np.where(line.t_min == 9, size, 0.0))
        panel = next(p for p in timeline_panels(small, colour="#000") if p.title == "Liquidated")
        marks = [drawn for drawn in draw_panel(panel).lines if drawn.get_marker() == "v"]
        assert [len(drawn.get_xdata()) for drawn in marks] == [1] * expected


def test_the_axis_of_depth_has_a_number_below_its_lowest_value():
    line = timeline()
    thin = line._replace(bid_depth_usd=np.where(line.t_min > 5, 2e4, 1e6))
    ax = draw_panel(timeline_panels(thin, colour="#000")[1])
    ax.figure.canvas.draw()
    shown = {label.get_text() for label in ax.get_yticklabels()}
    assert ax.get_ylim()[0] == pytest.approx(0.01)
    assert {"0.01", "0.1", "1"} <= shown


def test_the_widest_gap_of_the_mark_is_written_with_its_time_and_the_outside():
    line = timeline()
    gap = np.where(line.t_min == 4, 0.032, line.premium_frac)
    high = line._replace(premium_frac=gap, outside_usd=line.oracle_usd * 1.034)
    assert premium_text(high) == (
        "farthest 3.2 % above the oracle 4.0 min from the onset, when the outside perp stood "
        "3.4 % above it"
    )
    low = line._replace(premium_frac=-gap, outside_usd=line.oracle_usd * 0.99)
    assert "3.2 % below the oracle" in premium_text(low)
    assert premium_text(low).endswith("1.0 % below it")
    level = line._replace(premium_frac=0.0 * gap)
    assert premium_text(level) == "the mark never left the oracle"
    panel = next(p for p in timeline_panels(high, colour="#000") if p.title == "Mark over oracle")
    assert "+3.2 % at 4.0 min" in [text.get_text() for text in draw_panel(panel).texts]


def test_prices_that_hide_each_other_say_how_far_they_lie_apart():
    line = timeline()
    assert timeline_panels(line, colour="#000")[0].aside.endswith("at most 0.0 % apart")
    moved = line._replace(outside_usd=np.where(line.t_min == 4, 1.034, 1.0) * line.outside_usd)
    assert timeline_panels(moved, colour="#000")[0].aside.endswith("at most 3.4 % apart")


def test_gains_of_both_kinds_share_a_scale():
    left, right = draw_classes(class_rows(study(8))[:-1]).axes
    assert left.get_xlim() == right.get_xlim()


def test_where_nothing_is_borrowed_the_panel_says_so():
    calm = timeline()
    panels = timeline_panels(calm._replace(borrowed_usd=0.0 * calm.t_min), colour="#000000")
    assert panels[-1].note == "nothing is borrowed"


def test_open_interest_is_in_lots_of_the_onset():
    panel = next(
        p for p in timeline_panels(timeline(0.3), colour="#000000") if "Open interest" in p.title
    )
    assert panel.lines[0].values == pytest.approx(100.0)


def test_dots_show_each_seed_of_each_arm():
    rows = {row.label: row.values for row in arm_dots(study(8, effect=0.05))}
    assert len(rows["everything (R)"]["hyperliquid-pm"]) == 8
    assert rows["calm (0)"]["cross"].mean() == pytest.approx(100 * (1 - np.exp(-0.01)), abs=0.2)
    assert (rows["everything (R)"]["hyperliquid-pm"] > rows["everything (R)"]["cross"]).all()


def test_the_reference_is_cut_to_the_seeds_of_the_variants():
    rows = size_dots(study(8))
    assert {len(row.values["cross"]) for row in rows} == {2}
    assert rows[0].label == "reference: everything"


def test_severities_run_from_calm_to_the_full_shock():
    severities, values = dose_dots(study(8), "fall")
    assert severities.tolist() == [0.0, 0.5, 1.0]
    assert (np.diff(values["cross"].mean(axis=1)) > 0).all()


def test_bars_split_a_change_into_revaluation_and_the_rest_with_intervals():
    rows = class_rows(study(8))[:-1]
    left, right = draw_classes(rows).axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels[-1] == "outside market and price gaps"
    makers = labels.index("market maker")
    assert right.patches[makers].get_width() == pytest.approx(2.0, abs=0.1)
    spans = [line.get_xdata() for line in right.lines if len(set(line.get_ydata())) == 1]
    assert any(low < 2.0 < high for low, high in spans)


def test_a_figure_can_be_drawn_into_given_axes():
    ax = Figure().subplots()
    assert draw_dots(arm_dots(study(2)), unit="%", ax=ax) is ax
    assert draw_panel(timeline_panels(timeline(), colour="#000000")[0], ax=ax) is ax


def every_figure():
    made = study(8, effect=0.05)
    panels = timeline_panels(timeline(), colour="#0072B2", control=timeline(0.0), cap_usd=5e8)
    with house_style():
        return [
            svg_of(figure, name=f"f{k}")
            for k, figure in enumerate(
                (
                    draw_doses(made),
                    draw_timelines({"a": panels, "b": panels}, window_min=(0.0, 10.0)),
                    draw_classes(class_rows(made)[:-1]),
                    draw_dots(arm_dots(made), unit="%").figure,
                )
            )
        ]


@pytest.fixture(scope="module")
def drawn():
    return every_figure()


def test_no_name_stands_twice_in_all_figures(drawn):
    ids = [part.split('"')[0] for text in drawn for part in text.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_every_axis_of_every_figure_has_a_unit():
    panels = timeline_panels(timeline(), colour="#0072B2", control=timeline(0.0))
    axes = draw_timelines({"a": panels}, window_min=(0.0, 10.0)).axes
    assert all(ax.get_ylabel() for ax in axes)
    assert axes[-1].get_xlabel() == "minutes from the onset"
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in draw_doses(study(2)).axes)


def test_figures_have_the_same_bytes_again_under_the_readers_own_style(drawn):
    with mpl.rc_context({"font.size": 20.0, "axes.grid": False, "svg.hashsalt": "mine"}):
        assert every_figure() == drawn
