"""Stresses: dials in, dials out; neutral at severity 0; on and off at the right steps."""

import dataclasses
import math

import numpy as np
import pytest

from stressbook.errors import InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.statistics.fall_tails import fall_tail
from stressbook.experiments.stress import (
    REGISTRY,
    ArbitrageOutage,
    CorrelationBreak,
    DepthThinning,
    Dials,
    LenderRun,
    LiquidatorOutage,
    ParameterStep,
    PriceGap,
    RiskCheckDelay,
    Stress,
    StressSchedule,
    VenueHalt,
)
from stressbook.market.numbers.correlation import factor_of
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.prices.dials import DIALS, neutral_dials
from stressbook.market.rules.changes import RuleChanges
from stressbook.market.rules.parameters import param
from stressbook.market.rules.spec import load_preset

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
    LenderRun(),
    ArbitrageOutage(assets=["HYPE"]),
    RiskCheckDelay(),
    LiquidatorOutage(),
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
        (LenderRun(), "lender_run"),
        (ArbitrageOutage(), "arbitrage"),
        (RiskCheckDelay(), "check_delay_s"),
        (LiquidatorOutage(), "liquidator_out"),
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
        (LenderRun(run_per_hour=2.0), "lender_run", 2.0),
        (ArbitrageOutage(left_frac=0.2), "arbitrage", -0.8),
        (RiskCheckDelay(delay_s=30.0), "check_delay_s", 30.0),
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
        (lambda: PriceGap(severity=4), "severity", "0.0 to 3.0"),
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
        PriceGap(fall_frac=20, severity=4)
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
@pytest.mark.parametrize(
    ("cls", "own", "dial", "who"),
    [
        (VenueHalt, {"assets": ["ETH"]}, "halt", [0.0, 1.0, 0.0]),
        (LiquidatorOutage, {}, "liquidator_out", [1.0, 1.0, 1.0]),
    ],
)
def test_a_halt_lasts_for_the_share_of_its_duration_that_the_severity_says(
    severity, last, cls, own, dial, who
):
    halt = cls(at=10, duration=10, severity=severity, **own)
    schedule = StressSchedule([halt], assets=ASSETS, dt_ms=1000)
    records = neutral_dials(3)
    halted = []
    for t in range(1, 30):
        schedule.apply(records, t * 1000)
        if records[dial].any():
            assert records[dial].tolist() == who
            halted.append(t)
    assert halted == list(range(11, last + 1))


def test_a_clock_does_not_stand_for_some_assets():
    with pytest.raises(InvalidInput, match="stops a part of the clock"):
        VenueHalt(assets=["ETH"], clock_runs=False)


# --- severity above 1 -----------------------------------------------------------------------------


def test_a_severity_above_one_multiplies_a_fall_whose_tail_is_fitted():
    gap = PriceGap(assets=["HYPE"], fall_frac=0.3, duration="30min", severity=1.5)
    drift = gap.apply(Dials.neutral(ASSETS), gap.severity).value("HYPE", "drift")
    assert 1.0 - math.exp(drift * 1_800.0) == pytest.approx(0.45)
    assert gap.problems_among(ASSETS) == []
    assert "tail" in vars(PriceGap)
    assert not any(cls.tail for kind, cls in REGISTRY.items() if kind != "price_gap")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PriceGap(fall_frac=0.4, severity=2.5), "takes the fall to 100 %"),
        (lambda: PriceGap(fall_frac=0.4, severity=2.5), "2.375: a fall of 95 % at most"),
        (lambda: PriceGap(fall_frac=-0.4, severity=1.1), "above 1 of a rally"),
        (lambda: PriceGap(severity=1.1, duration="61min"), "is above 1 over 61 min"),
        (lambda: DepthThinning(severity=1.1), "0.0 to 1.0"),
        (lambda: LenderRun(severity=1.1), "0.0 to 1.0"),
    ],
)
def test_a_severity_above_one_is_refused_where_no_tail_speaks_of_it(make, words):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.name == "severity"
    assert words in str(caught.value)


def test_a_scenario_tells_which_asset_has_no_tail():
    (problem,) = PriceGap(severity=1.2).problems_among(("BTC", "DOGE"))
    assert "no tail of falls of DOGE" in str(problem)
    assert PriceGap(severity=1.0).problems_among(("DOGE",)) == []


def test_the_note_tells_size_and_return_period_by_the_tail_of_the_window_that_holds_it():
    tail = fall_tail("HYPE", 30)
    gap = PriceGap(assets=["HYPE"], fall_frac=0.06, duration="30min", severity=2.0)
    period = tail.return_period_years(-math.log(0.88))
    note = gap.note(ASSETS)
    assert note.startswith("severity 2: a fall of 12 % in 30 min; HYPE: return period ")
    years = float(note.split("return period ")[1].split(" years")[0].replace(" ", ""))
    assert years == pytest.approx(period.value, rel=0.06)
    assert f"fitted to {tail.n} falls in 30 min of {tail.source.partition(';')[0]}" in note
    shorter = dataclasses.replace(gap, duration="20min").note(ASSETS)
    assert "return period at least" in shorter  # as large a fall in 30 min is as frequent or more
    assert dataclasses.replace(gap, severity=1.0).note(ASSETS) == ""


# --- numbers of the venue -------------------------------------------------------------------------


RULES = load_preset("hyperliquid")
CAP = "tokens.USDC.platform_borrow_cap"


@pytest.mark.parametrize("severity", [0.0, 0.25, 1.0])
def test_a_number_goes_in_a_straight_line_from_the_old_value_to_the_new_one(severity):
    old = RULES.tokens[0].platform_borrow_cap
    for step in (ParameterStep(place=CAP, to=old / 4), ParameterStep(place=CAP, factor=0.25)):
        assert step.rules(RULES, severity) == {CAP: old - 0.75 * severity * old}
        assert step.apply(Dials.neutral(ASSETS), severity) == Dials.neutral(ASSETS)


def test_numbers_change_at_the_onset_and_come_back_only_if_they_revert():
    for_good = ParameterStep(at=10, duration=5, place=CAP, factor=0.5)
    for_a_while = ParameterStep(at=12, duration=5, place="tokens.HYPE.ltv", to=0.8, reverts=True)
    schedule = StressSchedule([for_good, for_a_while], assets=ASSETS, dt_ms=1000)
    cap, ltv = RULES.tokens[0].platform_borrow_cap, RULES.tokens[-1].ltv
    for t, factor, expected in (
        (10, 1.0, ltv),
        (11, 0.5, ltv),
        (12, 0.5, ltv),
        (13, 0.5, 0.8),
        (17, 0.5, 0.8),
        (18, 0.5, ltv),
        (99, 0.5, ltv),
    ):
        rules = schedule.rules_at(t * 1000, RULES)
        assert (rules.tokens[0].platform_borrow_cap, rules.tokens[-1].ltv) == (
            factor * cap,
            expected,
        )
    records = neutral_dials(3)
    assert [t for t in range(1, 30) if schedule.apply(records, t * 1000)] == [1, 11, 13, 16, 18]


def test_steps_of_one_number_compose_in_order():
    halves = [ParameterStep(at=0, duration=5, place=CAP, factor=0.5) for _ in range(2)]
    rules = StressSchedule(halves, assets=ASSETS, dt_ms=1000).rules_at(1000, RULES)
    assert rules.tokens[0].platform_borrow_cap == 0.25 * RULES.tokens[0].platform_borrow_cap


def test_a_weight_that_follows_from_a_number_follows_and_nothing_else_is_written():
    changes, state = RuleChanges(RULES), make_state(RULES, [AccountOpening(key=1)], seed=7)
    before = state.token_spec.copy(), state.par.copy(), state.inst.copy()
    assert not changes.write(state, RULES)
    assert changes.write(state, RULES.with_values({"tokens.HYPE.ltv": 0.35}))
    hype = state.token_spec[-1]
    assert (float(hype.ltv), float(hype.credit_weight)) == (0.35, 0.675)
    assert {(entry.array, entry.field) for entry in changes.touched} == {
        ("token_spec", "ltv"),
        ("token_spec", "credit_weight"),
    }
    state.token_spec[-1].user_supply_cap = 7  # a study's own hand
    assert changes.write(state, RULES)
    assert int(state.token_spec[-1].user_supply_cap) == 7
    state.token_spec[-1].user_supply_cap = before[0][-1].user_supply_cap
    now = state.token_spec, state.par, state.inst
    assert [one.tobytes() for one in now] == [one.tobytes() for one in before]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("clock.price_period_ms", "is a period"),
        ("mark.mark_ema_ms", "memory of an average"),
        ("latency.median_ms", "under way"),
        ("fee_tiers.0.perp_taker_frac", "at the opening only"),
        ("assets.HYPE.opening_price_usd", "fixed by the opening"),
        ("regime.offset", "structural"),
        ("tokens.HYPE.decimals", "a part of the opening"),
        ("tokens.HYPE.borrowable", "is a switch"),
        ("tokens.ltv", "tokens.NAME.ltv"),
        ("liquidation.select", "is a switch"),
        ("nonsense", "is no number of a venue"),
        ("", "is no number of a venue"),
    ],
)
def test_what_may_not_change_during_a_run_is_refused_with_the_reason(place, words):
    with pytest.raises(InvalidInput) as caught:
        ParameterStep(place=place, to=1.0)
    assert caught.value.name == "place"
    assert words in str(caught.value)


def test_a_step_says_once_where_it_goes():
    for both in ({}, {"to": 1.0, "factor": 1.0}):
        with pytest.raises(InvalidInput, match="is not said once"):
            ParameterStep(place=CAP, **both)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"place": "tokens.HYPE.ltv", "to": 2.0}, "stresses[0], tokens.HYPE.ltv = 2.0 is out of"),
        ({"place": "tokens.DOGE.ltv", "to": 0.2}, "did you mean 'tokens."),
        (
            {"place": "instruments.BTC-PERP.open_interest_cap_usd", "factor": 2.0},
            "is 0, which no factor changes",
        ),
        (
            {"place": "instruments.BTC-PERP.open_interest_cap_usd", "to": 1e9, "severity": 0.5},
            "0 stands for any",
        ),
    ],
)
def test_a_scenario_looks_at_the_numbers_of_its_venue(step, words):
    with pytest.raises(InvalidScenario) as caught:
        load_scenario("skeleton").with_(stresses=[{"kind": "parameter_step", "at": 600, **step}])
    assert words in str(caught.value)


def test_an_own_stress_may_change_numbers_but_only_those_that_may(own_kind):
    class Push(Stress):
        def rules(self, spec, severity):
            return {"mark.mark_ema_ms": 1.0} if severity else {}

        def apply(self, dials, severity):
            return dials

    schedule = StressSchedule([Push(at=0, duration=5)], assets=ASSETS, dt_ms=1000)
    assert schedule.changes_rules
    with pytest.raises(InvalidInput, match="memory of an average"):
        schedule.rules_at(1000, RULES)
    assert schedule.rules_at(9000, RULES) is RULES
