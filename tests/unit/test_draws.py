"""Draws: the published generator, its laws, and keys that no change elsewhere can move."""

import math
import os
import random
import re
import struct
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.market.numbers import draws
from stressbook.market.numbers.draws import (
    CLASS_NUMBERS,
    CLASS_WORLD,
    INDEX_MAX,
    ORDINAL_MAX,
    PURPOSES,
    account_key,
    class_number,
    class_numbers,
    key_from_seed,
    uniform,
    uniforms,
)
from stressbook.market.numbers.elementary import exp, ln, normal_quantile, pow_
from stressbook.market.numbers.philox import TIME_MAX_MS, philox
from stressbook.market.numbers.quantiles import exponential_from_uniform

KEY = key_from_seed(2026)
ALPHA = 1e-6  # a sound generator fails one of a million such tests
WORD_MAX = 2**32 - 1


def hex_words(words):
    return " ".join(f"{word:08x}" for word in words)


# --- generator -----------------------------------------------------------------------------------


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((WORD_MAX,) * 4, (WORD_MAX,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),  # the digits of pi
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_known_answers_of_random123(counter, key, block):
    assert hex_words(philox(*counter, *key)) == block
    source = getattr(philox, "py_func", philox)
    assert hex_words(source(*counter, *key)) == block
    arrays = [np.full(3, word, np.int64) for word in counter]
    assert hex_words(int(word[1]) for word in source(*arrays, *key)) == block


def test_key_is_the_published_splitmix64():
    # First output of SplitMix64 for the state 0, from Vigna's reference implementation.
    low, high = key_from_seed(0)
    assert (high << 32) | low == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "7", None])
def test_what_is_no_seed(seed):
    with pytest.raises(InvalidInput, match=r"seed = .* is no seed"):
        key_from_seed(seed)


def test_seeds_may_be_numpy_integers():
    assert key_from_seed(np.int64(7)) == key_from_seed(7)


words = st.integers(0, WORD_MAX)


@pytest.mark.boundscheck
@given(words, words, st.integers(0, TIME_MAX_MS), st.integers(0, INDEX_MAX))
def test_uniform_is_its_stated_formula(account, purpose, t_ms, index):
    block = philox(index + 2**24 * (t_ms >> 32), t_ms % 2**32, account, purpose, *KEY)
    expected = ((block[0] >> 6) * 2**26 + (block[1] >> 6) + 0.5) / 2**52
    assert uniform(*KEY, purpose, account, t_ms, index) == expected
    array = uniforms(*KEY, purpose=purpose, account_key=[account], t_ms=t_ms, index=index)
    assert array.tolist() == [expected]


def test_uniform_is_never_0_or_1():
    unit = getattr(sys.modules[uniform.__module__], "_unit")  # noqa: B009 - private on purpose
    assert unit(0, 0) == 2.0**-53
    assert unit(WORD_MAX, WORD_MAX) == 1.0 - 2.0**-53


def test_uniforms_broadcast():
    accounts = np.arange(3)[:, None]
    u = uniforms(*KEY, purpose=9, account_key=accounts, t_ms=np.array([0, 2**39]), index=4)
    assert u.shape == (3, 2)
    assert u[2, 1] == uniform(*KEY, 9, 2, 2**39, 4)
    assert uniforms(*KEY, purpose=9, account_key=2, t_ms=0).shape == ()
    assert uniforms(*KEY, purpose=9, account_key=[], t_ms=0).shape == (0,)


def test_draws_of_one_and_of_many_are_one_compiled_copy():
    for accounts in ([], [2], [2, 3], np.arange(6)[::2], np.array([2], np.int32), 2):
        for t_ms in (0, [0], np.int64(7)):
            uniforms(*KEY, purpose=9, account_key=accounts, t_ms=t_ms)
    fill = getattr(sys.modules[uniform.__module__], "_fill")  # noqa: B009 - private on purpose
    assert len(getattr(fill, "signatures", [None])) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("account_key", 2**32), ("t_ms", TIME_MAX_MS + 1), ("index", INDEX_MAX + 1), ("t_ms", -1)],
)
def test_uniforms_refuse_what_would_repeat_other_draws(name, value):
    arguments = {"account_key": 0, "t_ms": 0, "index": 0} | {name: value}
    with pytest.raises(InvalidInput, match=f"{name} = .* is out of range"):
        uniforms(*KEY, purpose=1, **arguments)


def test_uniforms_refuse_times_in_seconds():
    with pytest.raises(InvalidInput, match="t_ms"):
        uniforms(*KEY, purpose=1, account_key=0, t_ms=0.5)


AXES = {
    "account": {"account_key": np.arange(100_000)},
    "time": {"t_ms": np.arange(100_000) * 1000},
    "index": {"index": np.arange(100_000)},
}


@pytest.mark.parametrize("axis", AXES)
def test_draws_are_uniform_along_each_axis(axis):
    u = uniforms(*KEY, purpose=1, **({"account_key": 5, "t_ms": 3000} | AXES[axis]))
    counts = np.bincount((u * 1000).astype(int), minlength=1000)
    assert stats.chisquare(counts).pvalue > ALPHA
    pairs = (u[:-1:2] * 32).astype(int) * 32 + (u[1::2] * 32).astype(int)
    assert stats.chisquare(np.bincount(pairs, minlength=1024)).pvalue > ALPHA


def test_draws_of_neighbouring_seeds_purposes_and_accounts_are_unrelated():
    times = np.arange(50_000) * 1000
    base = uniforms(*KEY, purpose=1, account_key=5, t_ms=times)
    others = [
        uniforms(*key_from_seed(2027), purpose=1, account_key=5, t_ms=times),
        uniforms(*KEY, purpose=2, account_key=5, t_ms=times),
        uniforms(*KEY, purpose=1, account_key=6, t_ms=times),
        uniforms(*KEY, purpose=1, account_key=5, t_ms=times + 1),
    ]
    for other in others:
        assert stats.pearsonr(base, other).pvalue > ALPHA
        counts = np.bincount(
            (base * 32).astype(int) * 32 + (other * 32).astype(int), minlength=1024
        )
        assert stats.chisquare(counts).pvalue > ALPHA


def test_an_account_more_moves_no_draw_of_another():
    flow = [account_key(CLASS_NUMBERS["order_flow"], i) for i in range(4)]
    few, more = flow[:3], [account_key(CLASS_NUMBERS["holder"], 0), *flow]
    draw = {"purpose": 50, "t_ms": 1000}
    before = uniforms(*KEY, account_key=few, **draw)
    after = uniforms(*KEY, account_key=more, **draw)
    assert before.tolist() == after[1:4].tolist()


# --- elementary functions ------------------------------------------------------------------------


def units_in_last_place(value, exact):
    return float(abs(mpmath.mpf(value) - exact) / math.ulp(float(exact)))


positive = st.floats(5e-324, 1.7976931348623157e308)


@given(st.one_of(positive, st.floats(0.5, 2.0)))
def test_ln_within_one_unit_in_the_last_place(x):
    with mpmath.workprec(200):
        assert ln(x) == mpmath.log(x) or units_in_last_place(ln(x), mpmath.log(x)) <= 1.0


@given(st.one_of(st.floats(-745.0, 709.78), st.floats(-1.0, 1.0)))
def test_exp_within_one_unit_in_the_last_place(x):
    with mpmath.workprec(200):
        assert units_in_last_place(exp(x), mpmath.exp(x)) <= 1.0


@given(st.floats(1e-8, 1e8), st.floats(-2.0, 2.0))
def test_pow_within_1e_14(x, y):
    with mpmath.workprec(200):
        assert abs(mpmath.mpf(pow_(x, y)) / mpmath.power(x, y) - 1) < 1e-14


@given(st.one_of(st.floats(2.0**-53, 1 - 2.0**-53), st.floats(1e-300, 1e-3)))
def test_normal_quantile_within_1e_15(u):
    with mpmath.workprec(1200):
        exact = -mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * mpmath.mpf(u))
        assert abs(normal_quantile(u) - exact) <= 1.5e-15 * abs(exact)


def test_elementary_functions_at_their_limits():
    inf, nan = math.inf, math.nan
    assert [ln(0.0), ln(-0.0), ln(inf)] == [-inf, -inf, inf]
    assert math.isnan(ln(-1.0))
    assert math.isnan(ln(nan))
    assert [exp(-inf), exp(-745.2), exp(709.79), exp(inf)] == [0.0, 0.0, inf, inf]
    assert exp(709.782712893384) == 1.7976931348622732e308
    assert exp(-745.13) == 5e-324
    assert math.isnan(exp(nan))
    assert [pow_(0.0, 0.0), pow_(0.0, 2.0), pow_(5.0, 0.0)] == [1.0, 0.0, 1.0]
    assert math.isnan(pow_(-1.0, 2.0))
    assert [normal_quantile(0.0), normal_quantile(0.5), normal_quantile(1.0)] == [-inf, 0.0, inf]
    assert math.isnan(normal_quantile(1.5))
    assert math.isnan(normal_quantile(nan))


def test_normal_quantile_joins_its_three_pieces():
    tail = math.exp(-25.0)
    for join in (0.075, 0.925, tail):
        below, above = normal_quantile(join * (1 - 1e-12)), normal_quantile(join * (1 + 1e-12))
        assert below < normal_quantile(join) < above


# --- inverse transforms --------------------------------------------------------------------------

SAMPLE = uniforms(*KEY, purpose=2, account_key=np.arange(20_000), t_ms=0)


@pytest.mark.parametrize(
    ("transform", "law"),
    [
        (normal_quantile, stats.norm()),
        (lambda u: exponential_from_uniform(u, 3.0), stats.expon(scale=3.0)),
    ],
)
def test_transforms_follow_their_laws(transform, law):
    drawn = [transform(float(u)) for u in SAMPLE]
    assert stats.kstest(drawn, law.cdf).pvalue > ALPHA
    assert drawn == pytest.approx(law.ppf(SAMPLE), rel=1e-9, abs=1e-12)


def test_transforms_rise_with_the_draw():
    ordered = np.sort(SAMPLE)[::100]
    for transform in (
        normal_quantile,
        lambda u: exponential_from_uniform(u, 1.0),
    ):
        drawn = [transform(float(u)) for u in ordered]
        assert drawn == sorted(drawn)


# --- draw table and keys -------------------------------------------------------------------------


def test_purposes_are_unique_and_all_in_the_table():
    constants = {v for name, v in vars(draws).items() if name.startswith("PURPOSE_")}
    numbers = [purpose.number for purpose in PURPOSES]
    names = [purpose.name for purpose in PURPOSES]
    assert len(set(numbers)) == len(numbers)
    assert len(set(names)) == len(names)
    assert set(numbers) == constants
    assert all(0 < number <= WORD_MAX for number in numbers)
    assert len(constants) == sum(name.startswith("PURPOSE_") for name in vars(draws))


def test_numbers_that_stored_digests_depend_on():
    assert draws.PURPOSE_WORLD_RETURN == 1
    assert draws.PURPOSE_TIE == 32
    assert draws.PURPOSE_FLOW_ARRIVAL == 50
    assert draws.PURPOSE_TRAIT == 200
    assert list(CLASS_NUMBERS.values()) == [*range(1, 12), 4095]
    assert class_number("my_rule") == 3046


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_the_owner_of_a_purpose_draws_it(purpose):
    constants = {v: name for name, v in vars(draws).items() if name.startswith("PURPOSE_")}
    source = find_spec(f"stressbook.{purpose.owner}").origin
    assert re.search(rf"\b{constants[purpose.number]}\b", Path(source).read_text())


def test_account_keys_are_distinct_words():
    assert account_key(CLASS_WORLD, 3) == 3
    assert account_key(1, 0) == 2**20
    assert account_key(4095, ORDINAL_MAX) == WORD_MAX


@pytest.mark.parametrize(("class_id", "ordinal"), [(-1, 0), (4096, 0), (1, -1), (1, 2**20)])
def test_account_keys_out_of_range(class_id, ordinal):
    with pytest.raises(InvalidInput, match=r"(class_id|ordinal) = .* is out of range"):
        account_key(class_id, ordinal)


@given(st.text(min_size=1))
def test_plugin_classes_stay_in_their_range(name):
    assert class_number(name) in (*CLASS_NUMBERS.values(), *range(1000, 4095))


def test_no_plugin_class_has_the_number_of_the_backstop():
    assert class_number("Own1040") == 4094  # 4095 by its hash
    assert class_numbers(["Own1040", "backstop"]) == {"Own1040": 4094, "backstop": 4095}


def test_classes_that_share_a_number_are_refused():
    names = [f"rule_{i}" for i in range(4000)]
    first_of_number = {}
    clash = next(n for n in names if first_of_number.setdefault(class_number(n), n) != n)
    other = first_of_number[class_number(clash)]
    with pytest.raises(InvalidInput, match=f"'{clash}' has the class number .* of '{other}'"):
        class_numbers([other, "order_flow", clash])
    assert class_numbers(["order_flow", "order_flow"]) == {"order_flow": 6}


def test_a_class_needs_a_name():
    with pytest.raises(InvalidInput, match="is empty"):
        class_number("")


# --- the same bits everywhere --------------------------------------------------------------------


def digest_of_draws(n_points: int) -> str:
    """Return a digest of the bits of every function here at random points."""
    points = random.Random(21)
    digest = sha256()
    for _ in range(n_points):
        u = uniform(*KEY, points.randrange(300), points.getrandbits(32), points.getrandbits(40), 7)
        x = math.ldexp(points.random(), points.randint(-1070, 1023))
        y = (points.random() - 0.5) * 1500.0
        results = (
            u, ln(x), exp(y), pow_(x, u), normal_quantile(u), normal_quantile(u * 1e-9),
            exponential_from_uniform(u, 2.0),
        )  # fmt: skip
        digest.update(struct.pack("7d", *results))
    arrays = uniforms(*KEY, purpose=3, account_key=np.arange(n_points), t_ms=2**33)
    digest.update(arrays.tobytes())
    return digest.hexdigest()


def test_same_bits_with_the_compiler_off():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", __file__, "3000"]
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert plain.stdout.strip() == digest_of_draws(3000)


if __name__ == "__main__":
    sys.stdout.write(digest_of_draws(int(sys.argv[1])))
