"""A scenario law: draws by name, elements that can be taken away, changes in their order."""

from dataclasses import replace

import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.caps.episodes import Changes, Episodes
from stressbook.experiments.caps.law import Draw, Element, ScenarioLaw, episode_seed
from stressbook.experiments.scenario import load_scenario

FALL = Element(
    "fall",
    1.0,
    ({"kind": "price_gap", "duration": "$fall_s", "assets": ["HYPE"], "fall_frac": "$fall"},),
    "assumed",
)
THIN = Element("thin", 0.5, ({"kind": "depth_thinning", "duration": "20min"},), "assumed")
DRAWS = (
    Draw("fall", 0.2, 0.6, "1", "assumed"),
    Draw("fall_s", 600.0, 1200.0, "s", "assumed"),
    Draw("depth", 0.5, 1.5, "1", "assumed"),
)
LAW = ScenarioLaw(
    "HYPE falls.",
    600.0,
    3600.0,
    0.0,
    1.0,
    DRAWS,
    {"venue.liquidation.backstop_capital_usd": 9e6},
    {"agents.market_maker.size_factor": "$depth", "world.*.spot.impact_bp_per_musd": "1/$depth"},
    (FALL, THIN),
)
BASE = load_scenario("calm-two-assets")


def test_draws_lie_in_their_bounds_and_move_with_their_own_name_alone():
    for seed in range(200):
        drawn = LAW.drawn(seed)
        assert all(one.low < drawn[one.name] < one.high for one in DRAWS)
        fewer = replace(LAW, draws=DRAWS[1:]).drawn(seed)
        assert fewer == {name: drawn[name] for name in ("fall_s", "depth")}


def test_elements_act_as_often_as_they_say_and_by_themselves():
    acted = [LAW.acting(seed) for seed in range(2000)]
    assert all("fall" in one for one in acted)
    assert sum("thin" in one for one in acted) == pytest.approx(1000, abs=120)
    always = [LAW.acting(seed, {"thin": 1.0}) for seed in range(20)]
    assert all("thin" in one for one in always)
    assert [LAW.acting(seed, {"fall": 0.0}) for seed in range(50)] == [
        tuple(name for name in LAW.acting(seed) if name != "fall") for seed in range(50)
    ]


def test_an_episode_is_the_scenario_under_its_draws():
    episode = Episodes(BASE, LAW).scenario(5)
    drawn = LAW.drawn(5)
    assert episode.agents["market_maker"].size_factor == drawn["depth"]
    for before, after in zip(BASE.world.assets, episode.world.assets, strict=True):
        assert after.spot.impact_bp_per_musd == before.spot.impact_bp_per_musd / drawn["depth"]
        assert after.perp.impact_bp_per_musd == before.perp.impact_bp_per_musd
    assert episode.venue["liquidation.backstop_capital_usd"] == 9e6
    fall = episode.stresses[0]
    assert fall.fall_frac == drawn["fall"]
    assert fall.at_s == 600.0
    assert fall.duration_s % 6.0 == 0.0
    assert fall.duration_s == pytest.approx(drawn["fall_s"], abs=3.0)
    assert (episode.warmup_s, episode.duration_s) == (600.0, 3600.0)


def test_changes_come_after_the_law():
    changes = Changes(
        {"venue.liquidation.backstop_capital_usd": 1e6},
        {"agents.market_maker.size_factor": 2.0, "agents.dip_buyer.spot_usd": 0.5},
        {"fall": 0.0},
    )
    with pytest.raises(InvalidInput, match=r"agents\.dip_buyer\.spot_usd"):
        Episodes(BASE, LAW).scenario(5, changes)
    changes.scales.pop("agents.dip_buyer.spot_usd")
    episode = Episodes(BASE, LAW).scenario(5, changes)
    assert episode.venue["liquidation.backstop_capital_usd"] == 1e6
    assert episode.agents["market_maker"].size_factor == 2.0 * LAW.drawn(5)["depth"]
    assert all(stress.kind != "price_gap" for stress in episode.stresses)


def test_purposes_share_no_seed():
    seeds = {
        episode_seed(7, purpose, i)
        for purpose in ("proposal", "attempt 1", "attempt 2")
        for i in range(500)
    }
    assert len(seeds) == 1500
    assert max(seeds) < 2**48
