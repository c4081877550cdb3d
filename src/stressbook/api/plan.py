"""What a scenario will do, before it does it: ten steps, when stresses act, where prices end."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, NamedTuple

from stressbook.experiments.enrolment import (
    ENROLMENT_HEAD,
    RATION_HEAD,
    enrolment_cells,
    opening_enrolment,
    opening_rations,
    ration_cells,
)
from stressbook.experiments.margin_books import BOOK_HEAD, book_cells, scenario_books
from stressbook.experiments.own_book.distance import OWN_HEAD, own_cells, own_openings
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.stress import Stress
from stressbook.experiments.words import amount, duration, table
from stressbook.market.numbers.units import PRICE_ONE

__all__ = [
    "NOBODY",
    "PLAN_SEED",
    "STEPS",
    "BookRange",
    "book_ranges",
    "plan_text",
    "stress_notes",
    "timeline",
]

# Of one step of the clock, in order.
STEPS: Final = (
    ("schedule", "stresses that start or end now, and numbers of the venue that they change"),
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


class BookRange(NamedTuple):
    """The ladder of a book: a price that leaves it ends the run with an error."""

    book: str
    lot: float  # tokens
    tick_usd: float
    lowest_usd: float
    opening_usd: float
    highest_usd: float


NOBODY: Final = "nobody; did you forget `inherits`, or [agents.CLASS]?"
PLAN_SEED: Final = 1
_COMMON: Final = ("at", "duration", "severity")


def plan_text(scenario: Scenario, *, seed: int = PLAN_SEED) -> str:
    """Return the plan of a run as text.

    Parameters
    ----------
    scenario : Scenario
        Resolved.
    seed : int, default 1
        What accounts open with is drawn, and with it who is eligible.

    Returns
    -------
    str
        Clock, the ten steps of `STEPS`, the timeline, the ladder of each book, who is enrolled at
        the opening, whose book is rationed by what, the accounts of a population file, and what
        each margin regime asks for a hedged book.
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
    enrolment = opening_enrolment(scenario, seed=seed)
    head = (
        f"{scenario.name}: {n_steps} steps of {duration(scenario.dt_s)}, "
        f"{scenario.margin_regime} margin, {', '.join(scenario.assets)}"
    )
    return "\n".join(
        [
            head,
            f"agents: {', '.join(scenario.agents) or NOBODY}",
            "",
            "Each step, in order",
            table(steps, aligned="rll"),
            "",
            "Timeline",
            table(timeline(scenario), aligned="rl"),
            *(f"  {note}" for note in stress_notes(scenario)),
            "",
            "Books, USD: a price that leaves its ladder ends the run with an error",
            table(_book_rows(scenario), aligned="lrrrrrr"),
            "",
            f"Accounts that ask for portfolio margin at the opening, seed {seed}",
            table([ENROLMENT_HEAD, *enrolment_cells(enrolment)], aligned="lrrrr"),
            "",
            "Opening books that a limit makes smaller, by the one that binds most",
            table(
                [RATION_HEAD, *ration_cells(opening_rations(scenario, seed=seed))], aligned="llr"
            ),
            "",
            *_own_lines(scenario, seed),
            "Initial margin of a perp of 1 M USD, alone and hedged by tokens; own regime first",
            table([BOOK_HEAD, *map(book_cells, scenario_books(scenario))], aligned="llrrrrrr"),
        ]
    )


def _own_lines(scenario: Scenario, seed: int) -> list[str]:
    """Return the accounts of the population file, nearest to a breach first."""
    rows = own_openings(scenario, seed=seed)
    if not rows or scenario.population is None:
        return []
    file = scenario.population.file
    return [
        f"Accounts of {file}: first breach if the price of one asset moved alone, debts as margin "
        "draws them",
        table([OWN_HEAD, *own_cells(rows)], aligned="llrrrl"),
        "",
    ]


def book_ranges(scenario: Scenario) -> list[BookRange]:
    """Return the ladder of each book, in the order of the venue.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    list of BookRange

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> hype = book_ranges(load_scenario("skeleton"))[1]
    >>> hype.book, hype.tick_usd, round(hype.highest_usd / hype.opening_usd, 2)
    ('HYPE-PERP', 0.001, 3.12)
    """
    spec = scenario.venue_spec()
    found = []
    for entry, room in zip(spec.instruments, spec.ladder_room(), strict=True):
        tick_usd = entry.tick_e8 / PRICE_ONE
        opening_usd = room.opening_tick * tick_usd
        highest_usd = opening_usd * room.up_factor
        found.append(
            BookRange(entry.name, entry.lot_size, tick_usd, tick_usd, opening_usd, highest_usd)
        )
    return found


def _book_rows(scenario: Scenario) -> list[tuple[str, ...]]:
    head = ("book", "lot", "tick", "lowest", "opening", "highest", "may rise")
    return [head] + [
        (
            one.book,
            *(amount(x) for x in one[1:]),
            f"x {one.highest_usd / one.opening_usd:.2f}",
        )
        for one in book_ranges(scenario)
    ]


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
        if stress.at_s + stress.duration_s < end_s and not stress.stays:
            found.append((stress.at_s + stress.duration_s, f"{stress.kind} ends"))
    found.append((end_s, "the run ends"))
    found.sort(key=lambda item: item[0])
    return [(duration(t_s), what) for t_s, what in found]


def stress_notes(scenario: Scenario) -> list[str]:
    """Return what stresses say of themselves: how rare a severity above 1 is."""
    notes = (stress.note(scenario.assets) for stress in scenario.stresses)
    return [note for note in notes if note]


def _settings(stress: Stress) -> str:
    values = {
        entry.name: getattr(stress, entry.name)
        for entry in fields(stress)
        if entry.name not in _COMMON
    }
    shown = [f"{k} {_value(value)}" for k, value in values.items() if value not in ((), None)]
    if stress.severity != 1.0:
        shown.insert(0, f"severity {amount(stress.severity)}")
    return ", ".join(shown) or "all of it"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, tuple):
        return " ".join(map(_value, value))
    return str(value)
