"""How fast the backstop sheds what it took over, on a venue and by hand."""

import numpy as np
import pytest

from stressbook.experiments.disposal import closed_frac, peak_of, rest_frac
from stressbook.market.state.codes import GTC
from tests.small_venue import HOUSE, HYPE_PERP, long_against_house
from tests.watched_venue import Watch


def test_half_of_what_was_taken_over_is_left_after_its_half_life():
    s = long_against_house(15_000, engine="kernel")
    s.update(HYPE=100.0)
    s.bid(HOUSE, HYPE_PERP, 94.9, 400_000, tif=GTC)
    watch = Watch(s)
    watch.update(95.0)  # 200,000 lots of 95 cents
    watch.minute()
    for _ in range(10):
        watch.update(95.0, n=20)
        watch.minute()
    held = watch.minutes.row["held_usd"][: watch.minutes.n[0]]
    assert peak_of(held) == pytest.approx(190_000.0, rel=5e-3)
    assert rest_frac(held, 10) == pytest.approx(0.5, abs=0.01)


def test_shorts_and_tokens_count_by_their_size():
    s = long_against_house(15_000, engine="kernel")
    s.update(HYPE=100.0)
    backstop = s.backstop
    s.v.perp[backstop, HYPE_PERP], s.v.token[backstop, 3] = -1_000, 2 * 10**8
    watch = Watch(s)
    watch.note()
    watch.minute()
    assert watch.minutes.row[0]["held_usd"] == pytest.approx(1_000.0 + 200.0, rel=1e-3)


def test_what_is_closed_against_winners_is_told_from_what_is_sold():
    held = np.array([0.0, 100.0, 40.0, 0.0])
    closed = np.array([7.0, 7.0, 47.0, 87.0])  # 7 before the most was held
    assert (rest_frac(held, 1), closed_frac(held, closed, 1)) == (0.4, 0.4)
    assert (rest_frac(held, 30), closed_frac(held, closed, 30)) == (0.0, 0.8)


def test_where_nothing_was_held_there_is_no_share():
    """A 0 would read as the fastest disposal of all."""
    assert np.isnan(rest_frac(np.zeros(5), 10))
    assert np.isnan(closed_frac(np.zeros(5), np.zeros(5), 10))
    assert peak_of(np.zeros(0)) == 0.0
