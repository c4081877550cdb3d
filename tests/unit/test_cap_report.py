"""The page of a cap study by the kind of its answer: what it says, and what it may not say."""

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from stressbook.experiments.caps.losses import LOSS_NAMES, loss_summary
from stressbook.experiments.caps.reading import (
    certificate_sentence,
    facts,
    lifted,
    percent_text,
    rows_with_failures,
    value_text,
    verdict,
)
from stressbook.experiments.inference import paired_difference
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.report import cap_figures as figures
from stressbook.report import cap_tables as tables
from stressbook.report import cap_words as words
from stressbook.report.cap_law import draw_table, moved_by
from stressbook.report.cap_page import cap_page
from stressbook.report.cap_rows import row_table
from stressbook.report.numbers import percent, sensible, usd
from tests.unit import cap_answers as made

KINDS = ("certified", "refused", "non_monotone", "never_binding", "crashing")
BUDGET = ("reserve_shortfall_usd", 25e6)


@cache
def answer_of(kind):
    return getattr(made, kind)()


@cache
def page_of(kind):
    return cap_page(answer_of(kind))


def text_of(html):
    html = re.sub(r"<(style|script)\b.*?</\1>", " ", html, flags=re.DOTALL)
    bare = re.sub(r"<[^>]+>", " ", html)
    for code, character in (("&#39;", "'"), ("&#34;", '"'), ("&gt;", ">"), ("&lt;", "<")):
        bare = bare.replace(code, character)
    return re.sub(r"\s+", " ", bare)


def cells(table):
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_says_its_verdict_and_that_the_model_is_unvalidated(kind):
    page, text = page_of(kind), text_of(page_of(kind))
    assert verdict(answer_of(kind)) in text
    assert "unvalidated model" in page[page.index('class="verdict') : page.index("<table>")]
    assert "Recommendation (unvalidated model)" in text
    for fact in facts(answer_of(kind)):
        assert fact.name in text
        assert re.sub(r"\s+", " ", fact.note) in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_is_one_file_with_whole_references(kind):
    page = page_of(kind)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]*)"', page)) | set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= set(ids)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'#]""", page)
    assert "@import" not in page
    assert not re.search(r"\b(?:nan|inf)\b", text_of(page))


def test_pages_do_not_tell_the_machine():
    answer = answer_of("certified")
    assert cap_page(replace(answer, run_s=99.0)) == page_of("certified")


@pytest.mark.parametrize("kind", ["refused", "non_monotone", "crashing"])
def test_nothing_is_certified_where_nothing_was(kind):
    text = text_of(page_of(kind))
    assert answer_of(kind).certified is None
    assert cells(tables.fact_table(answer_of(kind)))["certified"][0] == "none"
    assert "Certified" not in text
    assert "certified, " not in text  # the mark in figures
    assert "as certified" not in text
    assert "The certificate holds" not in text
    assert "certified" not in [row[0].below for row in tables.curve_table(answer_of(kind)).rows]


def test_a_certificate_is_said_in_one_sentence_with_all_planned_episodes():
    answer = answer_of("certified")
    failed = sum(answer.certified.runs.failed(*BUDGET))
    said = certificate_sentence(answer)
    assert said in text_of(page_of("certified"))
    assert f"{failed} of 234" in said
    assert f"at most {percent_text(upper_bound(failed, 234))} an episode" in said
    assert f"{failed} of 234, 6 allowed" in text_of(page_of("certified"))


def test_a_refused_certificate_is_drawn_where_all_of_its_episodes_put_it():
    answer = answer_of("refused")
    failed = sum(answer.attempts[-1].runs.failed(*BUDGET))
    assert answer.attempts[-1].judgement.read < 234  # the judgement alone would flatter or alarm
    ax = figures.draw_curves(answer)
    drawn = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "D"]
    assert drawn == [pytest.approx(100.0 * failed / 234)]


def test_crashes_are_told_from_losses_and_messages_with_other_numbers_are_one():
    answer = answer_of("crashing")
    reasons = words.crash_reasons(answer)
    assert len(reasons) == 1
    smallest = answer.grid.runs[0]
    assert np.isnan(smallest.of(BUDGET[0])).sum() == sum(smallest.failed(*BUDGET)) > 0
    assert words.failure_words(answer) in text_of(page_of("crashing"))
    assert (
        "All that fail at 50 M USD crashed (LadderExhausted: oracle or mark price = … left"
        in words.failure_words(answer)
    )
    first = tables.curve_table(answer).rows[0]
    assert (first[1].text, first[1].below.split("; ")[1]) == ("1/59", "1 crashed")
    assert "crashed episodes count as binding" in text_of(page_of("crashing"))
    assert words.failure_words(answer_of("nothing_proposed")) == ""


def test_a_cap_that_never_binds_says_so_beside_the_verdict():
    page = page_of("never_binding")
    lead = page[page.index('class="verdict') : page.index("<table>")]
    assert "not binding up to 800 M USD: more would change nothing" in lead
    assert "not binding up to" not in page_of("certified").split("<table>")[0]


def test_losses_and_their_excess_are_those_of_the_episodes():
    answer = answer_of("certified")
    runs = answer.at_tried()
    assert runs.n == 59 + 234
    shown = cells(tables.loss_table(answer))
    zero = dict(zip(answer.zero.seeds, answer.zero.of("uncovered_usd"), strict=True))
    column = answer.column(answer.attempts[-1].value)
    excess = np.mean(column.of("uncovered_usd") - np.array([zero[s] for s in column.seeds]))
    for name in LOSS_NAMES:
        one = loss_summary(runs.of(name), name)
        wanted = [one.median, one.p95, one.p99, one.shortfall]
        assert shown[name][:4] == [usd(x.value) for x in wanted]
        assert shown[name][5] == "293"
    assert shown["uncovered_usd"][4] == usd(excess)


def test_quarters_of_the_severity_count_every_episode_and_failure_once():
    answer = answer_of("refused")
    counts = [row[1].text.split("/") for row in tables.severity_table(answer, BUDGET[0]).rows]
    runs = answer.at_tried()
    assert sum(int(n) for _, n in counts) == runs.n
    assert sum(int(k) for k, _ in counts) == sum(runs.failed(*BUDGET))


def test_rows_are_held_against_the_law_as_it_is():
    answer = answer_of("certified")
    shown = cells(row_table(answer))
    column = answer.column(answer.attempts[-1].value)
    k = sum(column.failed(*BUDGET))
    assert shown["the law as it is"][0] == f"{k}/59"
    assert shown["oracle and mark every 3 s, steps of 1 s: the default"][0] == f"{k}/59"
    for row in answer.rows:
        if row.infeasible:
            assert shown[row.about.name][0] == "cannot be run"
            assert row.infeasible in text_of(page_of("certified"))
            continue
        one = row.compared
        wanted = [f"{one.failures}/{one.n}", f"{percent(one.upper)} %", f"{one.p:.2g}"]
        assert shown[row.about.name][:3] == wanted
        assert shown[row.about.name][3] == ("differs" if one.differs else "")


def test_without_a_cap_that_was_tried_no_row_is_compared():
    text = text_of(page_of("crashing"))
    assert "No cap was tried, so that nothing was varied at one." in text
    assert "No row is told from the default" not in text
    assert set(cells(row_table(answer_of("nothing_proposed")))) == {
        "Other caps",
        "cap as it stands",
    }


def test_other_alphas_reach_as_far_as_the_episodes():
    shown = cells(tables.alpha_table(answer_of("certified")))
    at = value_text(answer_of("certified"), answer_of("certified").proposal.cap)
    assert shown["5.0 %"][0].startswith(at)
    assert "6 allowed" in shown["5.0 %"][1]
    assert [one.split(",")[0] for one in shown["1.0 %"]] == ["not supported"] * 2
    assert "299" in shown["1.0 %"][0]
    none = cells(tables.alpha_table(answer_of("nothing_proposed")))
    assert none["5.0 %"][1] == "none run: no cap was tried"
    odd = cells(tables.alpha_table(answer_of("non_monotone")))
    assert odd["5.0 %"][0] == "not read: 59 episodes pass above a failure"


def test_the_break_even_is_told_in_usd_with_its_bounds():
    answer = answer_of("certified")
    found, taken = answer.break_even, answer.absorption
    said = " ".join(words.break_even_words(answer) + words.absorption_words(answer))
    assert f"the best guess of the break-even is {found.value:.2g} of it" in said
    told = replace(answer, break_even=replace(found, low=0.6 * found.value, high=0.99))
    assert f"absorbs {found.value:.2g} of what is assumed" in words.break_even_words(told)[0]
    assert f"about {usd(found.value * taken.sold_usd)} M USD".split("about ")[1] in said
    assert f"Below {usd(found.high * taken.sold_usd)} M USD" in said
    assert "0 and" not in said  # an open side is said in words
    assert "towards less it is open" in said
    assert "not run" in said
    outside = words.break_even_words(answer_of("never_binding"))
    assert len(outside) == 2
    bound = answer_of("never_binding").break_even.bound_high
    assert f"confidence from {bound:.2g} on" in outside[1]
    untold = replace(answer, break_even=replace(found, value=0.0, bound_high=math.inf))
    assert "No multiplier that was tried is told" in words.break_even_words(untold)[1]
    assert "stay below 5.0 % down to 0.25" in outside[0]
    assert words.break_even_words(answer_of("crashing")) == []


def test_the_law_is_whole_on_the_page():
    answer = answer_of("certified")
    text, law = text_of(page_of("certified")), answer.study.law
    for draw in law.draws:
        assert draw.name in cells(draw_table(answer))
        assert draw.source in text
        assert moved_by(law, draw.name), draw.name
    for element in law.elements:
        assert element.name in text
    assert 'median_of = "depth"' in text.replace("&#34;", '"')  # the study in full
    assert moved_by(law, "rally_up") == "rally of HYPE (rows alone)"
    assert "world.*.spot.impact_bp_per_musd divided by it" in moved_by(law, "depth")
    assert "8 000 M USD" in text  # the crowd outside, set alike
    for place in lifted(answer):
        assert place.removeprefix("venue.tokens.") in text
    assert "rally of HYPE; late risk checks" in words.held_fixed(answer)


def test_cells_of_the_heat_map_are_those_of_the_answer():
    answer = answer_of("refused")
    found = answer.failures_by(("hype_fall", "load"))
    ax = figures.draw_heat(found, ("hype_fall", "load"))
    assert [t.get_text() for t in ax.texts] == [f"{c['failures']}/{c['n']}" for c in found]
    for k, cell in enumerate(found):
        x, y = ax.texts[k].get_position()
        assert ax.get_yticklabels()[y].get_text().startswith(f"{cell['hype_fall_from']:.3g} ")
        assert ax.get_xticklabels()[x].get_text().startswith(f"{cell['load_from']:.3g} ")


def test_two_caps_are_a_staircase_through_their_pairs():
    answer = answer_of("certified")
    pairs = answer.pairs.pairs
    assert len(pairs) > 1
    ax = figures.draw_pairs(answer)
    (corners,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert list(zip(*corners.get_data(), strict=True)) == [(a / 1e6, b) for a, b in pairs]
    assert [row[0].text for row in tables.pair_table(answer).rows] == [
        value_text(answer, a) for a, _ in pairs
    ]


def test_what_stands_before_a_decision_is_on_the_page():
    answer = answer_of("certified")
    said = words.reservations(answer)
    assert all(one in text_of(page_of("certified")) for one in said)
    worse = rows_with_failures(answer)
    assert worse[0].about.name == "absorption x 1/3"
    assert f"absorption x 1/3 ({worse[0].compared.failures}/59" in " ".join(said)
    assert "23 episodes crashed" in " ".join(words.reservations(answer_of("crashing")))


def test_the_heat_map_is_of_a_cap_at_which_some_episode_fails():
    answer = answer_of("certified")
    value, runs = answer.with_failures()
    counts = [answer.study.outcome.n_failed(one) for one in answer.grid.runs]
    assert answer.study.outcome.n_failed(runs) >= min(6, max(counts))
    assert f"Failures of {runs.n} episodes at {value / 1e6:.4g} M USD" in words.heat_words(answer)
    assert (" fail at " in words.heat_words(answer)) == (value != answer.last.value)


def test_rows_say_by_how_much_more_is_lost_paired_with_an_interval():
    answer = answer_of("certified")
    row = next(one for one in answer.rows if "1/3" in one.about.name)
    plain = answer.column(answer.last.value)
    found = paired_difference(row.runs.of(BUDGET[0]), plain.of(BUDGET[0]))
    shown = next(one for one in row_table(answer).rows if one[0].text == row.about.name)[-1]
    assert shown.text == sensible(found.value / 1e6)
    assert shown.below == f"{sensible(found.low / 1e6)} to {sensible(found.high / 1e6)}"


def test_a_page_is_not_green_while_the_model_is_unvalidated():
    assert 'class="verdict open"' in page_of("certified")
    assert 'class="verdict broke"' in page_of("refused")


def test_episodes_are_counted_by_what_they_are_for():
    answer = answer_of("certified")
    counted = {
        name.removeprefix("of them: "): int(re.sub(r"\D", "", n[0]))
        for name, n in cells(tables.count_table(answer)).items()
        if name.startswith("of them")
    }
    n_columns = sum(len(grid.values) for grid in answer.grids.values())
    assert counted["grid"] == 59 * n_columns
    assert counted["certificates"] == 234
    assert counted["rows"] == 59 * sum(not row.infeasible for row in answer.rows)
