"""What an answer says on page and terminal: its own numbers, never more than it may."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from stressbook.api.cap import CapResult
from stressbook.experiments.caps import size_cap as driver
from stressbook.experiments.caps.answer_text import answer_text
from stressbook.experiments.caps.law import episode_seed
from stressbook.experiments.caps.losses import excess_over_zero, loss_summary
from stressbook.experiments.caps.reading import certificate_sentence, facts, per_year, verdict
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.scenario_files.toml_text import toml_text
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.report.cap_page import cap_page
from tests.planted_caps import GRID, LAW, STUDY, Toy

TABLED = replace(STUDY, absorption=replace(STUDY.absorption, table_by=("part", "part")))


def answer_of(monkeypatch, study=TABLED, **toy):
    Toy(monkeypatch, **toy)
    return driver.size_cap(study)


@pytest.fixture(scope="module")
def certified():
    with pytest.MonkeyPatch.context() as monkeypatch:
        return answer_of(monkeypatch)


@pytest.fixture(scope="module")
def page(certified):
    return cap_page(certified)


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.split("<script")[0]))


def test_the_sentence_carries_the_numbers_of_all_planned_episodes(certified, page):
    attempt = certified.certified
    failed = sum(attempt.runs.failed("reserve_shortfall_usd", 25e6))
    upper = upper_bound(failed, 234)
    said = certificate_sentence(certified)
    assert f"{failed} of 234 fresh episodes" in said
    assert f"at most {100 * upper:.3g} % an episode" in said
    assert f"at most {-100 * math.expm1(-2.0 * upper):.3g} % a year" in said
    assert per_year(certified, upper) == pytest.approx(1.0 - math.exp(-2.0 * upper))
    assert said in text_of(page)
    assert said in answer_text(certified)


def test_the_page_is_one_file_the_same_each_time(certified, page):
    assert page == cap_page(certified)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "unvalidated model" in page
    assert page.index("Recommendation") < page.index("The law") < page.index("Losses")
    for name in ("worse", "emergent", "today"):
        assert name in page
    for fact in facts(certified):
        assert fact.value in text_of(page)


def test_the_terminal_says_the_verdict_first_and_everything_once(certified):
    text = answer_text(certified)
    assert text.startswith(verdict(certified))
    assert "unvalidated model" in text
    assert "1 %: not supported, needs 299 runs" in text
    assert len(text.splitlines()) < 45


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda *_: 1e9, "59 of 59 episodes fail already"),
        (lambda seed, *_: 30e6 * ((seed + _toothed(_[0])) % 3 == 0), "pass above a failure"),
    ],
)
def test_nothing_is_certified_where_nothing_was(monkeypatch, loss, words):
    answer = answer_of(monkeypatch, loss=loss)
    assert words in verdict(answer)
    page, text = cap_page(answer), answer_text(answer)
    assert certificate_sentence(answer) == ""
    for told in (text_of(page), text):
        assert words in told
        assert "Certified" not in told
    assert ("certified", "none") in [fact[:2] for fact in facts(answer)]


def _toothed(borrowed):
    return int(np.argmin(np.abs(np.array(GRID) - borrowed)))


def test_a_refused_certificate_says_refused(monkeypatch):
    shown = {episode_seed(TABLED.seed, "proposal", i) for i in range(59)}
    answer = answer_of(monkeypatch, loss=lambda seed, *_: 0.0 if seed in shown else 1e9)
    assert verdict(answer).startswith("Refused")
    assert "refused" in certificate_sentence(answer)
    assert "Certified" not in text_of(cap_page(answer))


def test_a_summary_of_losses_is_that_of_the_episodes_that_ended():
    values = np.array([*range(100), np.nan])
    found = loss_summary(values.astype(float), "uncovered_usd")
    assert (found.n, found.crashed) == (100, 1)
    assert (found.median.value, found.p95.value) == (49.0, 94.0)
    assert found.shortfall.value == np.mean([95, 96, 97, 98, 99])
    none = loss_summary(np.zeros(100), "uncovered_usd").shortfall
    assert (none.value, none.low) == (0.0, 0.0)
    assert math.isnan(none.high)  # no loss seen does not bound the next


def test_crashes_in_a_certificate_are_told_from_losses(monkeypatch):
    fresh = [episode_seed(TABLED.seed, "attempt 1", i) for i in range(234)]
    answer = answer_of(monkeypatch, crashes=frozenset(fresh[:3]))
    failed = sum(answer.attempts[-1].runs.failed("reserve_shortfall_usd", 25e6))
    assert f"{failed} of 234 fresh episodes lost" in certificate_sentence(answer)
    assert "or crashed (3 of them), 6 allowed" in certificate_sentence(answer)


def test_the_excess_over_nobody_borrowing_is_paired(certified):
    column = certified.column(certified.attempts[-1].value)
    losses = column.of("reserve_shortfall_usd")
    found = excess_over_zero(certified, "reserve_shortfall_usd")
    assert found.value == pytest.approx(losses.mean())  # nobody loses where nobody borrows
    assert found.n == 59


def test_the_result_of_python_says_the_same(certified, page, tmp_path):
    result = CapResult(certified)
    assert result.certified == certified.attempts[-1].value
    assert result.summary() == answer_text(certified)
    written = result.report(tmp_path / "cap.html")
    assert written.read_text(encoding="utf-8") == page
    frame = result.frame()
    assert set(frame["demand"]) == {"filled", "emergent"}
    first = frame[(frame["demand"] == "filled") & (frame["value"] == GRID[0])].iloc[0]
    assert first["failures"] == int(certified.critical.failed[:, 0].sum())
    assert len(result.runs()) == 59 * (len(GRID) + len(certified.grids["emergent"].values))
    assert list(result.rows()["row"]) == ["worse", "emergent", "today"]
    told = result.to_json()
    assert told["validated"] is False
    assert told["certified"] == result.certified
    assert "Certified" in result._repr_html_()
    assert "unvalidated model" in result._repr_html_()


def test_the_law_is_on_the_page(page):
    for element in LAW.elements:
        assert element.name in text_of(page)
    assert LAW.summary in text_of(page)


@pytest.mark.parametrize("name", ["usdc-borrow-cap", "usdc-user-borrow-cap"])
def test_the_study_on_the_page_is_a_file_that_reads_back(name, tmp_path):
    study = load_cap_study(name, overrides=["outcome.alpha=0.04", "law.episodes_per_year=3"])
    file = tmp_path / "again.toml"
    file.write_text(toml_text({**study.to_table(), "scenario": study.scenario.name}))
    again = load_cap_study(file)
    assert again.to_table() == study.to_table()
    assert again.digest() == study.digest()
