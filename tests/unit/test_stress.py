"""Stresses: dials in, dials out; neutral at severity 0; on and off at the right steps."""

import dataclasses
import math

import numpy as np
import pytest

from stressbook.errors import InvalidInput, UnknownName
from stressbook.experiments.stress import (
    REGISTRY,
    CorrelationBreak,
    DepthThinning,
    Dials,
    PriceGap,
    Stress,
    StressSchedule,
    VenueHalt,
)
from stressbook.market.numbers.correlation import factor_of
from stressbook.market.prices.dials import DIALS, neutral_dials
from stressbook.market.rules.parameters import param

ASSETS = ("BTC", "ETH", "HYPE")
SHIPPED = [
    PriceGap(fall_frac=0.2),
    PriceGap(fall_frac=-0.5, assets=["HYPE"]),
    DepthThinning(cut_frac=0.9),
    DepthThinning(where="venue", assets=["ETH"]),
    DepthThinning(where="outside"),
    CorrelationBreak(beta_factor=3.6, residual_factor=4.0),
    CorrelationBreak(correlation_after=0.1, residual_fall_frac=0.3, assets=["HYPE"]),
    VenueHalt(),
    VenueHalt(assets=["HYPE"]),
    VenueHalt(clock_runs=False),
]


@pytest.fixture
def own_kind():
    """Forget the classes that a test defines."""
    before = dict(REGISTRY)
    REGISTRY.pop("oracle_freeze", None)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def written(dials):
    records = neutral_dials(len(dials.assets))
    dials.write(records)
    return records


@pytest.mark.parametrize("stress", SHIPPED, ids=repr)
def test_severity_zero_changes_no_bit(stress):
    dials = stress.apply(Dials.neutral(ASSETS), 0.0)
    assert written(dials).tobytes() == neutral_dials(3).tobytes()


@pytest.mark.parametrize(
    ("stress", "touched"),
    [
        (PriceGap(assets=("HYPE",), fall_frac=0.2), "drift"),
        (CorrelationBreak(residual_factor=1.0), "beta"),
        (
            CorrelationBreak(correlation_after=0.1, residual_fall_frac=0.3),
            "beta correlation drift residual",
        ),
        (DepthThinning(where="venue"), "venue_depth"),
        (DepthThinning(where="outside"), "outside_depth"),
        (DepthThinning(), "outside_depth venue_depth"),
        (VenueHalt(), "halt"),
        (VenueHalt(clock_runs=False), "halt standstill"),
    ],
    ids=repr,
)
def test_a_stress_touches_its_dials_and_no_other(stress, touched):
    records, calm = written(stress.apply(Dials.neutral(ASSETS), 1.0)), neutral_dials(3)
    changed = {dial.name for dial in DIALS if (records[dial.name] != calm[dial.name]).any()}
    assert changed == set(touched.split())


@pytest.mark.parametrize("stress", SHIPPED, ids=repr)
def test_severity_one_changes_dials_within_their_ranges(stress):
    records = written(stress.apply(Dials.neutral(ASSETS), 1.0))
    assert records.tobytes() != neutral_dials(3).tobytes()
    for dial in DIALS:
        assert (records[dial.name] >= dial.low).all()
        assert (records[dial.name] <= dial.high).all()


@pytest.mark.parametrize("stress", SHIPPED, ids=repr)
def test_apply_is_pure(stress):
    calm = Dials.neutral(ASSETS)
    assert stress.apply(calm, 0.7) == stress.apply(calm, 0.7)
    assert calm == Dials.neutral(ASSETS)


@pytest.mark.parametrize(
    ("stress", "dial", "full"),
    [
        (DepthThinning(cut_frac=0.9), "venue_depth", -0.9),
        (DepthThinning(cut_frac=0.9), "outside_depth", -0.9),
        (CorrelationBreak(beta_factor=3.0), "beta", 2.0),
        (CorrelationBreak(residual_factor=0.5), "residual", -0.5),
        (CorrelationBreak(correlation_after=0.2), "correlation", 1.0),
    ],
)
@pytest.mark.parametrize("severity", [0.0, 0.25, 0.5, 1.0])
def test_effect_is_linear_in_severity(stress, dial, full, severity):
    calm = Dials.neutral(ASSETS)
    change = stress.apply(calm, severity).value("HYPE", dial) - calm.value("HYPE", dial)
    assert change == pytest.approx(full * severity, abs=1e-15)


@pytest.mark.parametrize("severity", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("fall", [0.2, -0.5])
def test_fall_of_the_price_is_linear_in_severity(fall, severity):
    gap = PriceGap(fall_frac=fall, duration="10min")
    drift = gap.apply(Dials.neutral(ASSETS), severity).value("BTC", "drift")
    assert 1.0 - math.exp(drift * 600.0) == pytest.approx(fall * severity, abs=1e-12)


def test_price_gap_touches_the_named_assets_only():
    dials = PriceGap(assets=["ETH"], fall_frac=0.1).apply(Dials.neutral(ASSETS), 1.0)
    assert [dials.value(asset, "drift") != 0.0 for asset in ASSETS] == [False, True, False]


def test_thinning_names_where():
    calm = Dials.neutral(ASSETS)
    venue = DepthThinning(where="venue", cut_frac=0.5).apply(calm, 1.0)
    outside = DepthThinning(where="outside", cut_frac=0.5).apply(calm, 1.0)
    assert (venue.value("BTC", "venue_depth"), venue.value("BTC", "outside_depth")) == (0.5, 1.0)
    assert (outside.value("BTC", "venue_depth"), outside.value("BTC", "outside_depth")) == (
        1.0,
        0.5,
    )


def test_break_leaves_the_market_alone_by_default():
    dials = CorrelationBreak().apply(Dials.neutral(ASSETS), 1.0)
    assert dials.value("BTC", "beta") == 1.0
    assert dials.value("ETH", "beta") == dials.value("HYPE", "beta") == pytest.approx(0.25)


def test_break_moves_its_pairs_of_the_correlation_target_only():
    calm = np.array([[1.0, 0.8, 0.5], [0.8, 1.0, 0.6], [0.5, 0.6, 1.0]])
    stress = CorrelationBreak(assets=["ETH"], correlation_after=0.1)
    target = stress.correlation_target(calm, assets=ASSETS)
    assert target.tolist() == [[1.0, 0.1, 0.5], [0.1, 1.0, 0.1], [0.5, 0.1, 1.0]]
    factor_of(target)
    assert calm[0, 1] == 0.8


def test_break_moves_every_row_so_that_later_assets_follow():
    dials = CorrelationBreak(assets=["BTC"], correlation_after=0.0).apply(
        Dials.neutral(ASSETS), 0.5
    )
    assert [dials.value(asset, "correlation") for asset in ASSETS] == [0.5, 0.5, 0.5]


def test_stresses_compose_in_order():
    both = [PriceGap(at=0, duration=60, fall_frac=0.1), DepthThinning(at=0, duration=60)]
    schedule = StressSchedule(both, assets=ASSETS, dt_ms=1000)
    dials = schedule.dials_at(1000)
    assert dials == both[1].apply(both[0].apply(Dials.neutral(ASSETS), 1.0), 1.0)


def test_two_thinnings_multiply():
    thin = DepthThinning(at=0, duration=60, cut_frac=0.5)
    dials = StressSchedule([thin, thin], assets=ASSETS, dt_ms=1000).dials_at(1000)
    assert dials.value("BTC", "venue_depth") == 0.25


@pytest.mark.parametrize("dt_ms", [250, 1000, 5000])
def test_gap_adds_up_to_its_fall_at_any_step(dt_ms):
    gap = PriceGap(at=60, duration=600, fall_frac=0.3)
    schedule = StressSchedule([gap], assets=ASSETS, dt_ms=dt_ms)
    records = neutral_dials(3)
    total = 0.0
    for t_ms in range(dt_ms, 1_000_000 + dt_ms, dt_ms):
        schedule.apply(records, t_ms)
        total += float(records[0].drift) * dt_ms / 1000.0
    assert 1.0 - math.exp(total) == pytest.approx(0.3, abs=1e-12)


def test_schedule_writes_at_changes_only_and_comes_back_to_neutral():
    stresses = [PriceGap(at=10, duration=5), DepthThinning(at=12, duration=10)]
    schedule = StressSchedule(stresses, assets=ASSETS, dt_ms=1000)
    records = neutral_dials(3)
    at = [t for t in range(1, 40) if schedule.apply(records, t * 1000)]
    assert at == [1, 11, 13, 16, 23]
    assert records.tobytes() == neutral_dials(3).tobytes()


def test_schedule_that_takes_over_in_the_midst_writes_what_holds():
    schedule = StressSchedule([DepthThinning(at=10, duration=50)], assets=ASSETS, dt_ms=1000)
    records = neutral_dials(3)
    assert schedule.apply(records, 30_000)
    assert float(records[0].venue_depth) == pytest.approx(0.1)


def test_schedule_without_stresses_clears_what_another_left():
    records = written(DepthThinning().apply(Dials.neutral(ASSETS), 1.0))
    StressSchedule([], assets=ASSETS, dt_ms=1000).apply(records, 1000)
    assert records.tobytes() == neutral_dials(3).tobytes()


def test_shape_scales_the_severity(own_kind):
    class Ramp(Stress):
        def shape(self, progress):
            return progress

        def apply(self, dials, severity):
            return dials.set("BTC", volatility=1.0 + severity)

    ramp = Ramp(at=0, duration=4, severity=0.5)
    schedule = StressSchedule([ramp], assets=ASSETS, dt_ms=1000)
    found = [schedule.dials_at(t).value("BTC", "volatility") for t in range(1000, 6000, 1000)]
    assert found == [1.125, 1.25, 1.375, 1.5, 1.0]
    records = neutral_dials(3)
    written_at = []
    for t_ms in range(1000, 7000, 1000):
        if schedule.apply(records, t_ms):
            written_at.append((t_ms, float(records[0].volatility)))
    assert written_at == [(1000, 1.125), (2000, 1.25), (3000, 1.375), (4000, 1.5), (5000, 1.0)]


def test_own_stress_is_a_frozen_dataclass_with_a_kind(own_kind):
    class OracleFreeze(Stress):
        lag_s: float = param(60.0, unit="s", help="age of the oracle", low=0.0)

        def apply(self, dials, severity):
            return dials.add("BTC", oracle_lag_s=self.lag_s * severity)

    freeze = OracleFreeze(at="30min", lag_s="2min")
    assert REGISTRY["oracle_freeze"] is OracleFreeze
    assert (freeze.at_s, freeze.lag_s) == (1800.0, 120.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        freeze.lag_s = 1.0


def test_own_stress_is_usable_from_a_file(own_kind):
    from stressbook.experiments.scenario import scenario_from_table

    class VolatilityBurst(Stress):
        factor: float = param(2.0, unit="1", help="multiplies volatility", low=0.0)

        def apply(self, dials, severity):
            return dials

    row = {"kind": "volatility_burst", "at": "20min", "factor": 3}
    scenario = scenario_from_table({"stresses": [row]})
    assert scenario.stresses == (VolatilityBurst(at=1200, factor=3.0),)


def test_two_classes_of_one_kind_clash(own_kind):
    with pytest.raises(InvalidInput, match="kind = 'price_gap' is the kind of") as caught:

        class Other(Stress):
            kind = "price_gap"

            def apply(self, dials, severity):
                return dials

    assert "set `kind`" in caught.value.hint
    assert REGISTRY["price_gap"] is PriceGap


def test_a_class_defined_again_replaces_itself(own_kind):
    def define():
        class Again(Stress):
            def apply(self, dials, severity):
                return dials

        return Again

    define()
    second = define()
    assert REGISTRY["again"] is second


def test_class_without_apply_is_a_base_and_no_kind(own_kind):
    class Half(Stress):
        size: float = param(1.0, unit="1", help="of something")

    assert "half" not in REGISTRY
    with pytest.raises(TypeError, match="abstract"):
        Half()


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (lambda: PriceGap(fall_frac=20), "fall_frac", "did you mean 0.2?"),
        (lambda: PriceGap(fall_frac="a lot"), "fall_frac", "is not a number"),
        (lambda: PriceGap(at="soon"), "at", "is no duration"),
        (lambda: PriceGap(at=-1), "at", "0.0 or more s"),
        (lambda: PriceGap(duration=0), "duration", "out of range"),
        (lambda: PriceGap(severity=2), "severity", "0.0 to 1.0"),
        (lambda: PriceGap(assets="BTC"), "assets", 'write ["BTC"]'),
        (lambda: DepthThinning(where="venu"), "where", "did you mean 'venue'?"),
        (lambda: CorrelationBreak(correlation_after=54), "correlation_after", "mean 0.54?"),
        (lambda: CorrelationBreak(beta_factor=float("nan")), "beta_factor", "out of range"),
    ],
)
def test_fields_are_checked(make, name, words):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.name == name
    assert words in str(caught.value)


def test_all_problems_of_a_stress_at_once():
    with pytest.raises(InvalidInput) as caught:
        PriceGap(fall_frac=20, severity=2)
    assert [problem.name for problem in caught.value.problems] == ["severity", "fall_frac"]


def test_dials_refuse_what_is_none():
    dials = Dials.neutral(ASSETS)
    with pytest.raises(UnknownName, match="did you mean 'volatility'"):
        dials.set("BTC", volatilty=1.0)
    with pytest.raises(UnknownName, match="did you mean 'HYPE'"):
        dials.scale("HYP", beta=1.0)
    with pytest.raises(InvalidInput, match=r"dial outside_depth = 0\.0 is out of range"):
        dials.set("BTC", outside_depth=0.0)
    with pytest.raises(InvalidInput, match="dial beta = nan is out of range"):
        dials.scale("BTC", beta=math.nan)


def test_schedule_refuses_a_step_below_one_millisecond():
    with pytest.raises(InvalidInput, match="dt_ms = 0 is too short"):
        StressSchedule([], assets=ASSETS, dt_ms=0)


@pytest.mark.parametrize(("severity", "last"), [(0.0, 0), (0.5, 15), (0.75, 17), (1.0, 20)])
def test_a_halt_lasts_for_the_share_of_its_duration_that_the_severity_says(severity, last):
    halt = VenueHalt(at=10, duration=10, severity=severity, assets=["ETH"])
    schedule = StressSchedule([halt], assets=ASSETS, dt_ms=1000)
    records = neutral_dials(3)
    halted = []
    for t in range(1, 30):
        schedule.apply(records, t * 1000)
        if records["halt"].any():
            assert records["halt"].tolist() == [0.0, 1.0, 0.0]
            halted.append(t)
    assert halted == list(range(11, last + 1))


def test_a_clock_does_not_stand_for_some_assets():
    with pytest.raises(InvalidInput, match="stops a part of the clock"):
        VenueHalt(assets=["ETH"], clock_runs=False)
