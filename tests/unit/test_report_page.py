import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from stressbook.experiments.accounting import OTHER_CLASS
from stressbook.report.page import embedded_json, render, write_page
from stressbook.report.study_page import study_html, write_study_report
from tests.unit.report_planted import study


@pytest.fixture(scope="module")
def page():
    return study_html(study(8, effect=0.05, short=(1e6, 0.0)))


def outside_references(html):
    """Return what a browser would load from elsewhere."""
    attributes = re.findall(r'\b(?:src|href|action|data)="(?!#)([^"]*)"', html)
    return attributes + re.findall(r"url\((?!#)[^)]*\)|@import[^;]*|https?://[^\s\"<]*", html)


def test_the_page_loads_nothing_from_elsewhere(page):
    assert outside_references(page) == []


def test_the_page_has_the_same_bytes_twice(page, tmp_path):
    path = write_study_report(study(8, effect=0.05, short=(1e6, 0.0)), tmp_path / "new" / "r.html")
    assert path.read_bytes() == page.encode()


def test_the_page_opens_in_the_answer(page):
    text = re.sub(r"<[^>]*>", " ", page[page.index("<body>") :])
    tag = text.index("Backstop emptied in 8 (portfolio) and 0 (cross) of 8 seeds")
    assert text.index("What did portfolio margin change") < tag < text.index("The experiment")


@pytest.mark.parametrize(
    "said",
    [
        "Unvalidated model",
        "What this cannot tell you",
        "a short warm-up",
        "Rules that decide this",
        "900 accounts",
        "Rules and sources",
        "Hyperliquid docs",
        "n = 8",
        "run_demo",
        "Borrowed, against its caps",
        "2 of them under each other law",
    ],
)
def test_the_page_says(page, said):
    assert said in page.replace("\n", " ")


def test_the_scenario_shown_has_its_shock(page):
    shown = page[page.index("The scenario in full") :]
    shown = shown[: shown.index("</details>")]
    assert "stresses = []" not in shown
    assert "kind = &#34;price_gap&#34;" in shown
    assert "shock to HYPE" in page
    named = study_html(study(2, shock_name="correlation-break", summary="HYPE falls."))
    assert "shock of correlation-break to HYPE" in named
    assert "summary = &#34;HYPE falls.&#34;" in named


def test_the_two_parts_of_the_backstop_are_added_up():
    made = study(2)
    for run in made.runs:
        table = run.episodes["R"].classes
        table[OTHER_CLASS] = 12e6, -1e6, 0.5e6
    assert "M USD under portfolio and \N{MINUS SIGN}1.00 M USD under cross" in study_html(made)
    assert "belong together" not in study_html(study(2))


def test_every_report_has_the_limits_of_the_document_in_short(page):
    text = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    titles = re.findall(r"^- \*\*(.*?)\*\*", text, re.MULTILINE)
    assert len(titles) > 10
    limits = page[page.index('<h2 id="limits">') :]
    assert re.findall(r"<li><b>(.*?)</b>", limits)[: len(titles)] == titles
    templates = files("stressbook.report") / "templates"
    for name in ("run.html.j2", "study.html.j2"):
        assert '{% include "limits.html.j2" %}' in (templates / name).read_text(encoding="utf-8")


def test_no_identifier_stands_twice(page):
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_references_inside_the_page_are_met(page):
    ids = set(re.findall(r'\sid="([^"]*)"', page))
    used = set(re.findall(r'href="#([^"]*)"', page)) | set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= ids


def test_the_manifest_can_be_read_back(page):
    text = re.search(r'<script type="application/json" id="manifest">(.*?)</script>', page, re.S)
    found = json.loads(text[1])
    assert found["seeds"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found["digest"] == study(8).digest
    assert found["stresses"][0]["kind"] == "price_gap"


def test_one_seed_makes_a_page_that_claims_nothing():
    html = study_html(study(1, effect=0.05))
    assert "One draw, not evidence." in html
    assert "▲" not in html


def test_a_study_without_arms_or_variants_says_what_is_missing():
    html = study_html(study(8, arms=("0", "R"), variants=(), severities=()))
    assert "The arms did not run." in html
    assert "do not quote a fall from this page" in html


def test_texts_are_escaped():
    assert "\\u003c/script>" in embedded_json({"a": "</script>"})


def test_a_template_that_asks_for_what_is_not_there_fails():
    with pytest.raises(UndefinedError):
        render("study.html.j2", {})


def test_a_page_is_written_whole_into_a_new_folder(tmp_path):
    path = write_page(tmp_path / "a" / "b.html", "text")
    assert path.read_text() == "text"
    assert [p.name for p in path.parent.iterdir()] == ["b.html"]
