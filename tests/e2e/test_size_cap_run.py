"""A small cap study on the real venue: stopped anywhere it goes on, and comes out the same."""

import json

import pytest

from stressbook.cli import warm
from stressbook.cli.main import main
from stressbook.experiments.caps.size_cap import size_cap
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.sweeps.status import read_status

STUDY = """
scenario = "calm-two-assets"
[cap]
lever = "venue.tokens.USDC.platform_borrow_cap"
grid = [300e6, 500e6]
[outcome]
seeds = 2
alpha = 0.45
confidence = 0.6
power = 0.5
[law]
onset = "1min"
duration = "3min"
run_on = "2min"
[law.draws]
fall = { low = 0.5, high = 0.7, unit = "1" }
[[law.elements]]
name = "fall"
[[law.elements.stresses]]
kind = "price_gap"
duration = "1min"
assets = ["HYPE"]
fall_frac = "$fall"
[[rows]]
name = "steps of 2 s"
set = { dt = 2.0 }
"""


class Stopped(Exception):
    """Stands for Ctrl-C."""


@pytest.mark.slow
def test_a_stopped_study_goes_on_and_comes_out_the_same(tmp_path, monkeypatch, capsys):
    file = tmp_path / "small.cap.toml"
    file.write_text(STUDY)
    study = load_cap_study(file)

    def stop(share):
        if share > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        size_cap(study, folder=tmp_path / "kept", progress=stop)
    n_kept = read_status(tmp_path / "kept").counts["done"]
    assert n_kept > 0
    whole = size_cap(study)
    ran = []
    again = size_cap(study, folder=tmp_path / "kept", progress=ran.append)
    assert again.proposal == whole.proposal
    for grid, other in zip(again.grids.values(), whole.grids.values(), strict=True):
        assert (grid.table("reserve_shortfall_usd") == other.table("reserve_shortfall_usd")).all()
        assert (grid.table("peak_borrowed_usd") == other.table("peak_borrowed_usd")).all()
    assert [one.judgement for one in again.attempts] == [one.judgement for one in whole.attempts]
    filled = again.grid.table("peak_borrowed_usd")
    assert filled[:, 0] == pytest.approx(300e6, rel=1e-3)
    assert filled[:, 1] == pytest.approx(500e6, rel=1e-3)
    monkeypatch.setattr(warm, "compiled_mark", lambda: None)
    monkeypatch.setattr(
        "sys.argv", ["stressbook", "size-cap", str(file), "--out", str(tmp_path / "kept"), "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    shown = json.loads(capsys.readouterr().out)
    assert shown["validated"] is False
    assert shown["attempts"] == [str(one.judgement) for one in whole.attempts]
    assert (tmp_path / "kept" / "report.html").is_file()
