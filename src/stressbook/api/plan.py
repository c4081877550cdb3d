"""What a scenario will do, before it does it: the ten steps, and when stresses act."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from stressbook.experiments.scenario import Scenario
from stressbook.experiments.stress import Stress
from stressbook.experiments.words import amount, duration, table

__all__ = ["STEPS", "plan_text", "timeline"]

# Of one step of the clock, in order.
STEPS: Final = (
    ("schedule", "stresses that start or end now"),
    ("world", "fundamental and outside prices advance"),
    ("prices", "oracle and mark, every {price}"),
    ("accrual", "premium samples every {premium}; every {funding} funding, interest, repayment"),
    ("risk", "at mark updates: valuation, draws of debt, forced orders, takeovers, deleveraging"),
    ("decide", "every agent emits messages"),
    ("sequence", "effective times; ties by draw; what lies beyond the step waits"),
    ("match", "validate, admit at initial margin, fill; fees booked at once"),
    ("settle", "at mark updates: rows below initial margin lose risk-increasing orders"),
    ("record", "gauges, outcomes, events"),
)
_COMMON: Final = ("at", "duration", "severity")


def plan_text(scenario: Scenario) -> str:
    """Return the plan of a run as text.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    str
        Clock, the ten steps of `STEPS`, and the timeline.
    """
    n_steps = round((scenario.warmup_s + scenario.duration_s) / scenario.dt_s)
    clock = scenario.venue_spec().clock
    periods = {
        name: duration(getattr(clock, f"{name}_period_ms") / 1000.0)
        for name in ("price", "premium", "funding")
    }
    steps = [
        (str(n), name, what.format(**periods)) for n, (name, what) in enumerate(STEPS, start=1)
    ]
    head = (
        f"{scenario.name}: {n_steps} steps of {duration(scenario.dt_s)}, "
        f"{scenario.margin_regime} margin, {', '.join(scenario.assets)}"
    )
    return "\n".join(
        [
            head,
            "",
            "Each step, in order",
            table(steps, aligned="rll"),
            "",
            "Timeline",
            table(timeline(scenario), aligned="rl"),
        ]
    )


def timeline(scenario: Scenario) -> list[tuple[str, str]]:
    """Return what happens when: opening, end of the warm-up, stresses, end.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    list of (str, str)
        Time and event, in order of time.

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> for row in timeline(load_scenario("skeleton")):
    ...     print(*row, sep="  ")
    0 s  the book opens; order books settle
    5 min  the warm-up ends
    15 min  price_gap starts: assets HYPE, fall_frac 0.1
    20 min  price_gap ends
    35 min  the run ends
    """
    end_s = scenario.warmup_s + scenario.duration_s
    found = [(0.0, "the book opens" + ("; order books settle" if scenario.warmup_s else ""))]
    if scenario.warmup_s:
        found.append((scenario.warmup_s, "the warm-up ends"))
    for stress in scenario.stresses:
        found.append((stress.at_s, f"{stress.kind} starts: {_settings(stress)}"))
        if stress.at_s + stress.duration_s < end_s:
            found.append((stress.at_s + stress.duration_s, f"{stress.kind} ends"))
    found.append((end_s, "the run ends"))
    found.sort(key=lambda item: item[0])
    return [(duration(t_s), what) for t_s, what in found]


def _settings(stress: Stress) -> str:
    values = {
        entry.name: getattr(stress, entry.name)
        for entry in fields(stress)
        if entry.name not in _COMMON
    }
    shown = [f"{name} {_value(value)}" for name, value in values.items() if value != ()]
    if stress.severity != 1.0:
        shown.insert(0, f"severity {amount(stress.severity)}")
    return ", ".join(shown) or "all of it"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, tuple):
        return " ".join(map(_value, value))
    return str(value)
