"""Each error names what is wrong, what is allowed and what to do, and survives a process border."""

import pickle

import pytest

from stressbook import errors
from stressbook.errors import (
    MISSING,
    InvalidInput,
    InvalidScenario,
    Problem,
    StressbookError,
    UnknownName,
    nearest_name,
)

REPLACED = {
    errors.InvalidInput: ValueError,
    errors.InvalidScenario: ValueError,
    errors.AgentError: RuntimeError,
    errors.StressError: RuntimeError,
    errors.ConservationError: RuntimeError,
    errors.LadderExhausted: ArithmeticError,
    errors.OverflowFault: OverflowError,
    errors.Interrupted: RuntimeError,
}
PARTS = {
    "name": "qty_lots",
    "value": -3,
    "allowed": "1 or more lots",
    "hint": "give a size",
}


def attributes_of(error):
    return {part: getattr(error, part) for part in PARTS}


@pytest.mark.parametrize(("error_type", "builtin"), REPLACED.items())
def test_error_is_also_the_builtin_that_it_replaces(error_type, builtin):
    with pytest.raises(builtin, match="qty_lots = -3 is negative") as caught:
        raise error_type("is negative", **PARTS)
    assert isinstance(caught.value, StressbookError)
    assert attributes_of(caught.value) == PARTS


@pytest.mark.parametrize("error_type", REPLACED)
def test_message_follows_the_template(error_type):
    assert str(error_type("is negative", **PARTS)) == (
        "qty_lots = -3 is negative.\n  allowed: 1 or more lots\n  hint   : give a size"
    )


def test_every_error_class_is_tested_here():
    classes = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, StressbookError)
    }
    assert classes == {*REPLACED, StressbookError, UnknownName}


def test_value_none_is_shown_and_a_missing_one_is_not():
    assert str(InvalidInput("is not a number", name="dt_s", value=None)).startswith("dt_s = None ")
    without = InvalidInput("is not known", name="dt_s")
    assert str(without) == "dt_s is not known."
    assert without.value is MISSING


def test_text_value_is_shown_in_quotes():
    assert "side = 'by' is" in str(InvalidInput("is not a side", name="side", value="by"))


def test_message_without_a_name_starts_with_the_problem():
    assert str(InvalidInput("nothing to run")) == "nothing to run."


def test_scenario_error_reports_all_problems_with_their_place():
    problems = [
        Problem("is not a correlation", "stresses[0].rho", 1.4, "-1 to 1", "did you mean 0.14?"),
        Problem("is read by nothing", "venue.tik", 3),
    ]
    error = InvalidScenario.from_problems(problems, source="caps.toml")
    assert str(error) == (
        "caps.toml, stresses[0].rho = 1.4 is not a correlation.\n"
        "  allowed: -1 to 1\n"
        "  hint   : did you mean 0.14?\n"
        "caps.toml, venue.tik = 3 is read by nothing."
    )
    assert error.problems == tuple(problems)
    assert error.source == "caps.toml"
    assert attributes_of(error) == {
        "name": "stresses[0].rho",
        "value": 1.4,
        "allowed": "-1 to 1",
        "hint": "did you mean 0.14?",
    }


def test_scenario_error_needs_a_problem():
    with pytest.raises(InvalidInput, match=r"problems = \[\] is empty"):
        InvalidScenario.from_problems([])


def test_unknown_name_lists_what_is_known_and_suggests_the_nearest():
    error = UnknownName("scenario", "clam", known=["crisis", "calm"])
    assert isinstance(error, KeyError)
    assert str(error) == (
        "scenario = 'clam' is unknown.\n  allowed: calm, crisis\n  hint   : did you mean 'calm'?"
    )
    assert attributes_of(error) == {
        "name": "scenario",
        "value": "clam",
        "allowed": "calm, crisis",
        "hint": "did you mean 'calm'?",
    }


def test_unknown_name_far_from_all_suggests_nothing():
    assert "hint" not in str(UnknownName("scenario", "zzz", known=["calm"]))


def test_unknown_name_among_none_says_none():
    assert "allowed: none" in str(UnknownName("plugin", "mine", known=[]))


def test_own_hint_replaces_the_suggestion():
    error = UnknownName("scenario", "clam", known=["calm"], hint="`stressbook list` shows all")
    assert error.hint == "`stressbook list` shows all"


@pytest.mark.parametrize(
    ("name", "nearest"), [("clam", "calm"), ("CALM", "calm"), ("crises", "crisis"), ("", None)]
)
def test_nearest_name(name, nearest):
    assert nearest_name(name, ["calm", "crisis"]) == nearest


@pytest.mark.parametrize(
    "error",
    [
        *[error_type("is negative", **PARTS) for error_type in REPLACED],
        InvalidInput("is not known", name="dt_s"),
        UnknownName("scenario", "clam", known=["calm"]),
        InvalidScenario.from_problems([Problem("is empty", "a")] * 2, source="x.toml"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_survives_pickling(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.problems == error.problems
    assert copy.value is error.value or copy.value == error.value
