"""Each thing that can be wrong with a scenario file is named with its place and what to do."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields

import pytest

from stressbook.errors import InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.scenario import load_scenario, scenario_from_table
from stressbook.experiments.scenario_files.file import apply_overrides, parse
from stressbook.experiments.scenario_files.stress_table import parse_stress
from stressbook.experiments.simulation import Simulation

TWO = 'assets = ["BTC", "HYPE"]\n'
GAP = '[[stresses]]\nkind = "price_gap"\nat = "20min"\n'

# (file, place that the error names, words of the problem, words of what is allowed, words of hint)
INVALID = [
    ("colour = 1", "colour", "read by nothing", "margin_regime", ""),
    ("margin_regim = 'cross'", "margin_regim", "read by nothing", "", "'margin_regime'"),
    ("margin_regime = 'crss'", "margin_regime", "is unknown", "binance, cross", "'cross'"),
    ("margin_regime = 3", "margin_regime", "is not a text", "", ""),
    ("preset = 'hyperliqid'", "preset", "is unknown", "hyperliquid-2026-08", "hyperliquid"),
    ("preset = 7", "preset", "is not a text", "", ""),
    ("name = 5", "name", "is not a text", "", ""),
    ("assets = 'BTC'", "assets", "is no list", "a list", 'write ["BTC"]'),
    ("assets = []", "assets", "is empty", "1 or more of BTC", ""),
    ("assets = ['BTC', 'HYP']", "assets[1]", "is unknown", "BTC, ETH", "'HYPE'"),
    ("assets = ['BTC', 'BTC']", "assets[1]", "is there twice", "each asset once", ""),
    ("assets = [1]", "assets[0]", "is not a text", "", ""),
    ("rules_date = 'August'", "rules_date", "is no date", "2026-08-22", ""),
    ("behaviour_date = 2026-13-01", "line 1, column", "is not TOML", "", ""),
    ("behaviour_date = '20260801'", "behaviour_date", "is no date", "", ""),
    ("dt = 0", "dt", "out of range", "0.001 to 60.0 s", ""),
    ("dt = 0.0015", "dt", "no whole number of ms", "", "did you mean 0.002?"),
    ("dt = true", "dt", "is not a number", "30min", ""),
    ("duration = '30m'", "duration", "is no duration", "30min", "'30min'"),
    ("duration = '2 hours'", "duration", "is no duration", "", "'2h'"),
    ("duration = 'soon'", "duration", "is no duration", "6h", ""),
    ("duration = -5", "duration", "out of range", "0.001 or more s", ""),
    (
        "dt = 7\nwarmup = 0\nduration = 3600",
        "duration",
        "whole number of steps",
        "7.0 s",
        "mean 3598?",
    ),
    ("duration = 1e300", "duration", "is too long", "2e+07 s", ""),
    ("duration = 9223372036854775807", "duration", "is too long", "2e+07 s", ""),
    ("duration = nan", "duration", "is not finite", "finite numbers", ""),
    ("duration = 9223372036854775808", "duration", "does not fit into 64 bits", "2**63", ""),
    (
        "[world]\nlog_vol_variances = [0.1, inf, 0.1]",
        "world.log_vol_variances[1]",
        "is not finite",
        "",
        "",
    ),
    ("[sources]\nrules = 3", "sources.rules", "is not a text", "", ""),
    ("world = 3", "world", "is no table", "", "write [world]"),
    ("agents = []", "agents", "is no table", "", "write [agents]"),
    ("[opening_price_usd]\nETH = 9.0", "opening_price_usd.ETH", "no asset here", "BTC", ""),
    ("[opening_price_usd]\nBTC = '9'", "opening_price_usd.BTC", "is not a number", "USD", ""),
    ("[opening_price_usd]\nBTC = 1e308", "opening_price_usd.BTC", "out of range", "000.0 USD", ""),
    (
        "[agents.lender]\nsupply_usd = 1e13",
        "agents.lender.supply_usd",
        "out of range",
        "000.0 USD",
        "",
    ),
    ("[opening_price_usd]\nBTC = -9", "opening_price_usd.BTC", "out of range", "USD", ""),
    (
        "[world.HYPE]\ndaily_volatility = 5.0",
        "world.HYPE.daily_volatility",
        "out of range",
        "0.0 to 1.0",
        "mean 0.05?",
    ),
    (
        "[world.HYPE]\ndaily_volatilty = 0.1",
        "world.HYPE.daily_volatilty",
        "read by nothing",
        "",
        "'daily_volatility'",
    ),
    (
        "[world.HYPE.spot]\nhalf_spread_bp = '1'",
        "world.HYPE.spot.half_spread_bp",
        "is not a number",
        "bp",
        "leave out the quotes",
    ),
    ("[world.HYP]\ndaily_volatility = 0.1", "world.HYP", "no asset here", "", "'HYPE'"),
    ("[world]\nassets = []", "world.assets", "read by nothing", "", ""),
    ("[world]\ninnovation = 'gauss'", "world.innovation", "is unknown", "normal, student4", ""),
    (
        "[world]\nstationary_start = 'true'",
        "world.stationary_start",
        "is not true or false",
        "",
        "leave out the quotes",
    ),
    (
        "[world.correlation.BTC]\nHYPE = 54",
        "world.correlation.BTC.HYPE",
        "not a correlation",
        "-1 to 1",
        "mean 0.54?",
    ),
    (
        "[world.correlation.HYPE]\nBTC = 0.5",
        "world.correlation.HYPE.BTC",
        "not in the order",
        "",
        "write BTC.HYPE",
    ),
    (
        "[world.correlation.BTC]\nBTC = 1.0",
        "world.correlation.BTC.BTC",
        "not in the order",
        "",
        "leave it out",
    ),
    (
        "[world]\ncorrelation = [[1.0]]",
        "world.correlation",
        "no table of pairs",
        "",
        "write BTC.HYPE",
    ),
    (
        "[venue.margin]\ntriger_ratio = 0.9",
        "venue.margin.triger_ratio",
        "read by nothing",
        "trigger_ratio",
        "'margin.trigger_ratio'",
    ),
    (
        "[venue.tokens.HYPE]\nltv = 65",
        "venue.tokens.HYPE.ltv",
        "out of range",
        "0.0 to 1.0",
        "mean 0.65?",
    ),
    (
        "[venue.tokens.HYPE]\nltv = '0.65'",
        "venue.tokens.HYPE.ltv",
        "is not a number",
        "0.0 to 1.0",
        "leave out the quotes",
    ),
    ("[venue.tokens.ETH]\nltv = 0.5", "venue.tokens.ETH.ltv", "read by nothing", "tokens", ""),
    ("[venue.liquidation]\nadl_on = 1", "venue.liquidation.adl_on", "true or false", "", ""),
    (
        "[venue.assets.BTC]\nopening_price_usd = 1.0",
        "venue.assets.BTC.opening_price_usd",
        "read by nothing",
        "",
        "[opening_price_usd]",
    ),
    (
        "[agents.holder]\nequity = 5.0",
        "agents.holder.equity",
        "read by nothing",
        "load_mean",
        "mean 'equity_usd'?",
    ),
    (
        "[agents.holder.HYPE]\naccounts = -3",
        "agents.holder.HYPE.accounts",
        "range",
        "0 or more",
        "",
    ),
    ("[agents.holder.HYPE]\nequity_usd = -3", "agents.holder.HYPE.equity_usd", "range", "USD", ""),
    (
        "[agents.holder.HYPE]\nenrolled_frac = 50",
        "agents.holder.HYPE.enrolled_frac",
        "range",
        "",
        "0.5?",
    ),
    (
        "[agents.market_makers]",
        "agents.market_makers",
        "is no class of agents",
        "lender",
        "'market_maker'",
    ),
    ("[agents]\nlender = 5", "agents.lender", "is no table", "", "write [agents.lender]"),
    (
        "[agents.lender]\nsupply = 5.0",
        "agents.lender.supply",
        "read by nothing",
        "",
        "'supply_usd'",
    ),
    (
        "[agents.lender]\nsupply_usd = -1",
        "agents.lender.supply_usd",
        "out of range",
        "0.0 to 1000000000000.0 USD",
        "",
    ),
    (
        "[agents.holder]\nslippage_frac = 5",
        "agents.holder.slippage_frac",
        "out of range",
        "0.0 to 1.0",
        "mean 0.05?",
    ),
    (
        "[agents.holder.HYPE]\naccounts = 3.0",
        "agents.holder.HYPE.accounts",
        "a whole number",
        "",
        "mean 3?",
    ),
    ("[agents.holder.SOL]\naccounts = 3", "agents.holder.SOL", "no asset here", "BTC, HYPE", ""),
    (
        "[agents.holder.HYPE]\nload_mean = 0.5",
        "agents.holder.HYPE.load_mean",
        "one number for all assets",
        "accounts",
        "write it in [agents.holder]",
    ),
    (
        "[agents.holder]\nequity_usd = 5.0",
        "agents.holder.equity_usd",
        "number of each asset",
        "",
        "write equity_usd = 5.0 in [agents.holder.BTC]",
    ),
    ("stresses = 3", "stresses", "no list of tables", "", "[[stresses]]"),
    ("[stresses]\nkind = 'price_gap'", "stresses", "no list of tables", "", "double brackets"),
    ("[[stresses]]\nat = 1200", "stresses[0].kind", "is missing", "price_gap", ""),
    ("[[stresses]]\nkind = 'price_gp'", "stresses[0].kind", "is unknown", "", "'price_gap'"),
    ("[[stresses]]\nkind = []", "stresses[0].kind", "is unknown", "price_gap", ""),
    (GAP + "fall_frac = 20", "stresses[0].fall_frac", "out of range", "-3.0 to 0.95", "mean 0.2?"),
    (GAP + "fall_frac = '20%'", "stresses[0].fall_frac", "not a number", "", "did you mean 0.2?"),
    ("[tokens.HYPE]\nltv = 0.5", "tokens", "read by nothing", "", "did you mean 'venue.tokens'?"),
    ("[agents.Own]", "agents.Own", "no class of agents", "lender", "--plugin FILE"),
    (GAP.replace("price_gap", "melt"), "stresses[0].kind", "is unknown", "", "--plugin FILE"),
    (GAP + "fall = 0.2", "stresses[0].fall", "read by nothing", "", "'fall_frac'"),
    (GAP + "severity = 3.5", "stresses[0].severity", "out of range", "0.0 to 3.0", ""),
    (
        GAP.replace("price_gap", "depth_thinning") + "severity = 1.5",
        "stresses[0].severity",
        "out of range",
        "0.0 to 1.0",
        "",
    ),
    (
        GAP + "fall_frac = 0.4\nseverity = 2.5",
        "stresses[0].severity",
        "takes the fall to 100 %",
        "2.375",
        "",
    ),
    (GAP + "assets = ['SOL']", "stresses[0].assets[0]", "no asset here", "BTC, HYPE", ""),
    (GAP + "duration = 0.5", "stresses[0].duration", "whole number of steps", "1.0 s", "mean 1?"),
    (
        "[[stresses]]\nkind = 'price_gap'\nat = '1min'",
        "stresses[0].at",
        "outside of the run",
        "after the warm-up",
        "warm-up",
    ),
    (
        "[[stresses]]\nkind = 'price_gap'\nat = '9d'",
        "stresses[0].at",
        "outside of the run",
        "before the end",
        "",
    ),
    (
        "[[stresses]]\nkind = 'depth_thinning'\nat = '20min'\nwhere = 'venu'",
        "stresses[0].where",
        "is unknown",
        "both, venue, outside",
        "'venue'",
    ),
    ("inherits = 'hyperliqui'", "inherits", "is unknown", "skeleton", "'hyperliquid'"),
    ("inherits = 'gone.toml'", "inherits", "does not exist", "", ""),
    ("inherits = 3", "inherits", "is not a text", "", ""),
    ("dt = 1\ndt = 2\n# end", "line 2", "is not TOML", "", "stands twice"),
    ("dt = ", "the last line", "is not TOML", "", ""),
    ("[world", "the last line", "is not TOML", "", ""),
]


def load(text, source="case.toml"):
    return scenario_from_table(parse(text, source=source), source=source)


def problem_at(error, place):
    found = [problem for problem in error.problems if problem.name.startswith(place)]
    assert found, f"no problem at {place}: {error}"
    return found[0]


def is_whole(text, place):
    return text.startswith(("assets", "inherits")) or "line" in place


@pytest.mark.parametrize(("text", "place", "what", "allowed", "hint"), INVALID)
def test_problem_is_named_with_place_and_remedy(text, place, what, allowed, hint):
    with pytest.raises(InvalidScenario) as caught:
        load(text if is_whole(text, place) else TWO + text)
    problem = problem_at(caught.value, place)
    assert what in problem.problem
    assert allowed in problem.allowed
    assert hint in problem.hint
    assert str(caught.value).startswith("case.toml, ")


@pytest.mark.parametrize(("text", "place"), [case[:2] for case in INVALID])
def test_one_mistake_is_reported_once(text, place):
    with pytest.raises(InvalidScenario) as caught:
        load(text if is_whole(text, place) else TWO + text)
    assert len(caught.value.problems) == 1, str(caught.value)


def test_all_problems_are_reported_at_once():
    text = TWO + "dt = -1\n[world.HYPE]\ndaily_volatility = 5.0\n[agents.nobody]\n" + GAP + "x = 1"
    with pytest.raises(InvalidScenario) as caught:
        load(text)
    names = {problem.name for problem in caught.value.problems}
    assert names == {"dt", "world.HYPE.daily_volatility", "agents.nobody", "stresses[0].x"}


def test_correlations_that_cannot_be_are_one_problem():
    text = (
        'assets = ["BTC", "ETH", "HYPE"]\n[world.correlation.BTC]\nETH = 0.9\nHYPE = 0.9\n'
        "[world.correlation.ETH]\nHYPE = -0.9"
    )
    with pytest.raises(InvalidScenario) as caught:
        load(text)
    assert [problem.name for problem in caught.value.problems] == ["world.correlation"]
    assert "one at a time" in caught.value.hint


def test_a_wrong_field_of_a_stress_hides_none_of_its_other_problems():
    """Each field is looked at, also assets and times beside a field that is out of range."""
    text = (
        TWO + "[[stresses]]\nkind = 'price_gap'\nat = '1min'\n"
        "assets = ['HYP']\nfall_frac = 20\nfall = 1\n"
        "[[stresses]]\nkind = 'depth_thinning'\nat = 'soon'\nduration = 0.5\nassets = ['SOL']\n"
    )
    with pytest.raises(InvalidScenario) as caught:
        load(text)
    assert [problem.name for problem in caught.value.problems] == [
        "stresses[0].fall_frac",
        "stresses[0].fall",
        "stresses[0].assets[0]",
        "stresses[0].at",
        "stresses[1].at",
        "stresses[1].assets[0]",
        "stresses[1].duration",
    ]


BREAK = '[[stresses]]\nkind = "correlation_break"\nat = "20min"\ncorrelation_after = 0.1\n'


def test_two_targets_of_the_correlations():
    with pytest.raises(InvalidScenario) as caught:
        load(TWO + BREAK + BREAK)
    assert caught.value.name == "stresses[1]"
    assert "second target" in str(caught.value)
    assert "stresses[0] has one" in caught.value.hint


def test_stresses_that_together_leave_the_range_of_a_dial():
    thin = '[[stresses]]\nkind = "depth_thinning"\nat = "20min"\ncut_frac = 0.99\n'
    load(TWO + 2 * thin)
    with pytest.raises(InvalidScenario) as caught:
        load(TWO + 4 * thin)
    assert [problem.name for problem in caught.value.problems] == ["stresses[0]"]
    assert "dial outside_depth" in str(caught.value)
    assert "lower a severity" in caught.value.hint


def test_whole_message():
    with pytest.raises(InvalidScenario) as caught:
        load(TWO + "[world.HYPE]\ndaily_volatility = 5.0", source="caps.toml")
    assert str(caught.value) == (
        "caps.toml, world.HYPE.daily_volatility = 5.0 is out of range.\n"
        "  allowed: 0.0 to 1.0, in 1/sqrt(day)\n"
        "  hint   : did you mean 0.05? Fractions are not percent."
    )


def test_syntax_error_names_line_and_keeps_its_cause():
    with pytest.raises(InvalidScenario, match=r"line 2, column \d+ is not TOML") as caught:
        parse("dt = 1\nassets = = []\n", source="case.toml")
    assert isinstance(caught.value.__cause__, tomllib.TOMLDecodeError)


def test_unknown_scenario_suggests_a_name():
    with pytest.raises(UnknownName) as caught:
        load_scenario("skelton")
    assert (caught.value.value, caught.value.hint) == ("skelton", "did you mean 'skeleton'?")


def test_missing_file(tmp_path):
    with pytest.raises(InvalidScenario) as caught:
        load_scenario(tmp_path / "none.toml")
    assert "does not exist" in str(caught.value)
    assert "skeleton" in caught.value.allowed


def test_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InvalidScenario, match="cannot be read"):
        load_scenario(tmp_path / "folder.toml")


def test_file_in_another_encoding(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes('summary = "Märkte"'.encode("latin-1"))
    with pytest.raises(InvalidScenario) as caught:
        load_scenario(path)
    assert str(caught.value).startswith("latin.toml, byte 12 is not UTF-8.")
    assert caught.value.hint == "save the file as UTF-8"


def test_inheritance_in_a_circle(tmp_path):
    (tmp_path / "a.toml").write_text('inherits = "b.toml"')
    (tmp_path / "b.toml").write_text('inherits = "a.toml"')
    with pytest.raises(InvalidScenario) as caught:
        load_scenario(tmp_path / "a.toml")
    assert "inherits from itself" in str(caught.value)
    assert caught.value.hint == "break a.toml -> b.toml -> a.toml"


def test_problem_of_a_parent_names_the_parent(tmp_path):
    (tmp_path / "parent.toml").write_text(TWO + "dt = -1")
    (tmp_path / "child.toml").write_text('inherits = "parent.toml"')
    with pytest.raises(InvalidScenario, match=r"parent\.toml, dt = -1 is out of range"):
        load_scenario(tmp_path / "child.toml")


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("dt", "is no override"),
        ("=3", "is no override"),
        ("dt=", "is no override"),
        ("a..b=3", "is no override"),
        ("dt.x=3", "goes below a value"),
        ("dt.x.y=3", "goes below a value"),
        ("stresses.4.severity=0.5", "names item 4 of a list of 1"),
        ("stresses.x=0.5", "names item x of a list of 1"),
    ],
)
def test_override_that_fits_nowhere(override, what):
    table = {"dt": 1.0, "stresses": [{"severity": 1.0}]}
    with pytest.raises(InvalidInput) as caught:
        apply_overrides(table, [override])
    assert what in str(caught.value)
    assert caught.value.value == override


def test_override_of_a_strange_key_is_a_problem_of_the_scenario():
    with pytest.raises(InvalidScenario) as caught:
        load_scenario("skeleton", overrides=["world.HYPE.daily_vol=0.05"])
    assert caught.value.name == "world.HYPE.daily_vol"
    assert caught.value.hint == "did you mean 'daily_volatility'?"


@pytest.mark.parametrize(
    ("text", "error", "what"),
    [
        ("price_gp:at=60", InvalidScenario, "did you mean 'price_gap'?"),
        ("price_gap:at", InvalidInput, "has 'at', which sets nothing"),
        ("price_gap:at=", InvalidInput, "as in price_gap:at=30min,assets=[BTC,HYPE],fall_frac=0.2"),
        ("price_gap:fall_frac=20", InvalidScenario, "did you mean 0.2?"),
        ("price_gap:fal_frac=0.2", InvalidScenario, "did you mean 'fall_frac'?"),
        ("depth_thinning:where=here", InvalidScenario, "both, venue, outside"),
        ("price_gap:assets=HYP", InvalidScenario, "did you mean 'HYPE'?"),
    ],
)
def test_short_stress_that_is_none(text, error, what):
    with pytest.raises(error) as caught:
        load_scenario("skeleton").with_(stresses=[parse_stress(text)])
    assert what in str(caught.value)


def amounts():
    """Return the place of every amount of USD in the crowd of a scenario."""
    found = []
    for name, params in load_scenario("skeleton").agents.items():
        for entry in fields(params):
            if entry.metadata["unit"] in ("USD", "USD/day"):
                by_asset = isinstance(getattr(params, entry.name), Mapping)
                found.append(f"agents.{name}.{'HYPE.' if by_asset else ''}{entry.name}")
    return found


@pytest.mark.parametrize("place", amounts())
def test_a_trillion_dollars_anywhere_opens_or_is_refused(place):
    """No amount that a file may hold ends in an error that is not one of ours."""
    scenario = load_scenario("skeleton", overrides=[f"{place}=1e12"])
    with suppress(InvalidScenario, InvalidInput):
        Simulation(scenario, seed=1, engine="reference").close()
