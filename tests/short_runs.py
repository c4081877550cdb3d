"""Runs of a minute or two that several tests look at; made once a process."""

from functools import cache

import stressbook as sb

FALL = {"kind": "price_gap", "at": 20, "duration": 40, "assets": ["HYPE"], "fall_frac": 0.25}


def short_scenario(**changes):
    changes = {"warmup": 10.0, "duration": 80.0, "stresses": [FALL], **changes}
    return sb.scenario("skeleton").with_(**changes)


@cache
def short_run():
    return short_scenario().run(seed=7)
