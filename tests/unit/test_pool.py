import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.pool import map_jobs


def test_results_stand_in_the_order_of_the_jobs():
    assert map_jobs(abs, [-3, 2, -1], workers=1) == [3, 2, 1]


def test_workers_keep_the_order():
    assert map_jobs(abs, [-3, 2, -1], workers=2) == [3, 2, 1]


def test_a_job_that_fails_fails_the_call():
    with pytest.raises(TypeError):
        map_jobs(abs, [1, "a", 2], workers=2)


def test_progress_is_the_share_that_is_done():
    told = []
    map_jobs(abs, [1, 2], workers=1, progress=told.append)
    assert told == [0.0, 0.5, 1.0]


def test_no_workers_is_refused_with_the_number():
    with pytest.raises(InvalidInput, match=r"workers.*0"):
        map_jobs(abs, [1], workers=0)
