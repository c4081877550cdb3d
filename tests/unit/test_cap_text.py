"""The answer of a cap study on one screen, and what its recommendation says of load 1."""

import re
from dataclasses import replace
from functools import cache

import pytest

from stressbook.experiments.caps.answer_text import answer_text
from stressbook.experiments.caps.losses import LOSS_NAMES, loss_summary
from stressbook.experiments.caps.reading import (
    certificate_sentence,
    facts,
    percent_text,
    row_notes,
    rows_with_failures,
    verdict,
)
from stressbook.experiments.statistics.exact import share_estimate, upper_bound
from stressbook.experiments.words import UNVALIDATED
from stressbook.report import cap_tables as tables
from stressbook.report.cap_rows import row_table
from stressbook.report.cap_words import reservations
from stressbook.report.numbers import usd
from tests.unit import cap_answers as made

KINDS = (
    "certified",
    "refused",
    "non_monotone",
    "never_binding",
    "nothing_proposed",
    "crashing",
    "above_grid",
)
CAPS = re.compile(r" +([\d ]+) M USD(?: to ([\d ]+) M USD)? +(\d+%) \[(\d+%), (\d+%)\]")
BUDGET = ("reserve_shortfall_usd", 25e6)


@cache
def answer_of(kind):
    return getattr(made, kind)()


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_fits_a_screen_verdict_first(kind):
    answer = answer_of(kind)
    lines = str(answer_text(answer)).splitlines()
    said = [verdict(answer), certificate_sentence(answer), f"({UNVALIDATED})"]
    said = [one for one in said if one]
    assert lines[: len(said)] == said
    assert len(lines) < 45
    assert not re.search(r"\b(?:nan|inf)\b", "\n".join(lines))
    assert ("Certified" in lines[0]) == (answer.certified is not None)
    for fact in facts(answer):
        assert fact.value in "\n".join(lines)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cap_of_the_grid_is_told_with_its_failures(kind):
    answer = answer_of(kind)
    text = answer_text(answer)
    told = {}
    for line in text.splitlines():
        found = re.match(
            r" +([\d ]+) M USD(?: to ([\d ]+) M USD)? +(\d+%) \[(\d+%), (\d+%)\]", line
        )
        if found:
            low, high, *share = found.groups()
            low, high = (1e6 * float(end.replace(" ", "")) for end in (low, high or low))
            told |= {value: share for value in answer.grid.values if low <= value <= high}
    failed = answer.critical.failed
    assert tuple(sorted(told)) == answer.grid.values
    for value, bad in zip(answer.grid.values, failed.T, strict=True):
        one = share_estimate(int(bad.sum()), len(bad))
        assert told[value] == [f"{x:.0%}" for x in (one.value, one.low, one.high)]


@pytest.mark.parametrize("kind", ["nothing_proposed", "crashing", "non_monotone"])
def test_no_number_pretends_where_none_is_found(kind):
    answer = answer_of(kind)
    said = {fact.name: fact for fact in facts(answer)}
    assert said["proposed"].value == said["certified"].value == "none"
    fails_at_once = bool(answer.critical.failed[:, 0].any())
    is_refused = answer.proposal.is_refused
    assert (said["largest that holds"].value == "none") == (fails_at_once or is_refused)
    why = "no cap" if is_refused else "some" if fails_at_once else "0 of 59"
    assert said["largest that holds"].note.startswith(why)


def test_a_mean_of_too_few_episodes_has_no_interval_on_the_page():
    shown = tables.severity_table(answer_of("refused"), "reserve_shortfall_usd").rows[-1]
    assert shown[-1].below == "?"
    whole = tables.loss_table(answer_of("refused")).rows[0]
    one = loss_summary(answer_of("refused").at_tried().of(LOSS_NAMES[0]), LOSS_NAMES[0]).shortfall
    assert whole[4].below == f"{usd(one.low)} to {usd(one.high)}"


def test_rows_that_fail_more_often_are_told_and_the_others_counted():
    answer = answer_of("certified")
    text = answer_text(answer)
    worse = rows_with_failures(answer)
    compared = [row for row in answer.rows if row.compared]
    assert 0 < len(worse) < len(compared)
    for row in worse:
        counts = rf"{row.compared.failures}/{row.compared.n} +{row.compared.upper:.1%} +p"
        assert re.search(rf"{re.escape(row.about.name)}.* {counts}", text)
    assert f"{len(compared) - len(worse)} rows without more failures" in text
    (infeasible,) = [row for row in answer.rows if row.infeasible]
    assert f"{infeasible.about.name}: {infeasible.infeasible}" in text


def test_what_a_row_leaves_out_and_its_crashes_are_told_wherever_it_is():
    answer = answer_of("certified")
    (row,) = [row for row in answer.rows if row.about.name == "absorption x 1/3"]
    note = "4 of 59 episodes cannot be filled so, and are left out"
    row = replace(row, runs=replace(row.runs, errors={"LadderExhausted: left": 3}), note=note)
    told = f"{note}, 3 crashed"
    assert row_notes(row) == told
    answer = replace(answer, rows=(row,))
    assert f"8/59  23.1%  p 0.0078 ({told})" in answer_text(answer)
    assert told in [one[0].below for one in row_table(answer).rows]
    assert f"absorption x 1/3 (8/59, {told})" in " ".join(reservations(answer))


def test_load_1_stands_beside_the_step_limit():
    answer = answer_of("refused")
    names = [fact.name for fact in facts(answer)]
    assert names.index("at load 1") == names.index("step limit") + 1
    (fact,) = [fact for fact in facts(answer) if fact.name == "at load 1"]
    (row,) = [row for row in answer.rows if row.about.name == "every borrower at load 1"]
    failed = sum(row.runs.failed(*BUDGET))
    assert fact.value == f"{failed} of 59 fail"
    assert f"at 250 M USD; P at most {percent_text(upper_bound(failed, 59))}" in fact.note
    assert "at load 1" not in [fact.name for fact in facts(answer_of("nothing_proposed"))]


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_each_loss_by_severity_is_that_of_its_episodes(name):
    answer = answer_of("refused")
    runs, law = answer.at_tried(), answer.study.law
    deep = [k for k, seed in enumerate(runs.seeds) if law.drawn(seed)["hype_fall"] >= 0.5]
    one = loss_summary(runs.of(name)[deep], name)
    last = tables.severity_table(answer, name).rows[-1]
    wanted = [one.median, one.p95, one.p99, one.shortfall]
    assert [cell.text for cell in last[2:]] == [usd(x.value) for x in wanted]
    assert last[1].text.split("/")[-1] == str(one.n)


def test_an_outcome_that_counts_is_told_in_its_own_unit():
    study = made.shipped().with_outcome(name="user_cap_bound", budget=2.0)
    answer = made.cap_answer(study=study)
    assert " lost more than 2 (user_cap_bound), " in certificate_sentence(answer)
    assert tables.severity_table(answer, "user_cap_bound").caption == "user_cap_bound by hype_fall"
    curve = tables.curve_table(answer)
    assert curve.head[1:3] == ("filled: above the budget", "mean loss")
    assert curve.rows[0][2].text == "1.00"


def fact_of(answer, name):
    return next((fact for fact in facts(answer) if fact.name == name), None)


def test_what_always_acts_is_no_binding_stress_while_another_element_clears_failures():
    answer = answer_of("certified")
    found, n = answer.binding, answer.binding.n_failed
    law = answer.study.law
    assert next(one for one in law.elements if one.name == "fall of HYPE").probability == 1.0
    fact = fact_of(answer, "binding stress")
    assert fact.value == "lender run"
    assert fact.note.endswith(
        f"pass without it: lender run {n // 2}; always acting: fall of HYPE {n}"
    )
    alone = replace(answer, binding=replace(found, cleared={"fall of HYPE": n, "lender run": 0}))
    assert fact_of(alone, "binding stress").value == "fall of HYPE"
    none = replace(answer, binding=replace(found, cleared={"fall of HYPE": 0}))
    assert fact_of(none, "binding stress").value == "none alone"


def test_what_is_in_use_stands_beside_a_cap_that_is_lower():
    answer = answer_of("certified")
    at = answer.last.value

    def using(value, source="live states, 2026-10-06"):
        cap = replace(answer.study.cap, in_use=value, in_use_source=source)
        return replace(answer, study=replace(answer.study, cap=cap))

    more, less, unknown = using(2.0 * at), using(0.5 * at, ""), using(0.0)
    assert fact_of(more, "in use").note == "live states, 2026-10-06"
    assert fact_of(less, "in use").note == "assumed"
    assert fact_of(unknown, "in use") is None
    told = ["are in use" in " ".join(reservations(one)) for one in (more, less, unknown)]
    assert told == [True, False, False]


def test_the_certificate_says_its_largest_loss_and_the_proposal_its_interval():
    answer = answer_of("certified")
    largest = answer.last.runs.of(BUDGET[0]).max() / 1e6
    assert f"the largest loss {largest:.3g} M USD" in certificate_sentence(answer)
    assert "95 % interval" in fact_of(answer, "proposed").note
    assert "95 % interval" not in fact_of(answer_of("non_monotone"), "proposed").note


def test_crashes_are_told_where_they_happened():
    answer = answer_of("crashing")
    said = next(one for one in reservations(answer) if "crashed, and count" in one)
    assert "in filled at 50 M USD" in said
    counted = [int(n) for n in re.findall(r"(\d+) in ", said)]
    assert sum(counted) == int(said.split()[0])
