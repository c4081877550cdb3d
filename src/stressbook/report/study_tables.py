"""Numbers of the study of two regimes: what each table holds, before any of it is laid out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.arms import COMPARED
from stressbook.experiments.claims import Claim, claims, ratio_above_noise
from stressbook.experiments.episode import CLASS_LABELS, CapUse
from stressbook.experiments.inference import (
    Estimate,
    mean_estimate,
    paired_difference,
    slope_estimate,
)
from stressbook.experiments.outcome_words import BY_CONSTRUCTION, is_signed, kind_of, label_of
from stressbook.experiments.regimes import REGIMES, RegimeRun, RegimeStudy
from stressbook.market.compiling.arrays import F64
from stressbook.report.numbers import usd

__all__ = [
    "CALM",
    "STRESSED",
    "ClassRow",
    "DriftRow",
    "Measure",
    "amplifications",
    "backstop_onset_usd",
    "cap_rows",
    "class_rows",
    "drift_rows",
    "has_frozen",
    "noise_of",
    "refusal_rows",
    "regime_claims",
    "shown_classes",
    "utilisation",
]

_FROZEN: Final = ("loss_frozen", "loss_added")
DRIFT_BAND: Final = 0.05  # relative change an hour that still counts as steady, assumed


class Measure(NamedTuple):
    """An outcome as tables show it; {0} is the target, {1} the backstop's equity at the onset."""

    name: str
    label: str
    unit: str
    not_judged: str = ""  # why not; empty: judged
    is_signed: bool = False  # may fall below zero

    @property
    def is_judged(self) -> bool:
        """Whether a word is said on it."""
        return not self.not_judged


def _named(name: str, not_judged: str = "") -> Measure:
    """Return an outcome in the words and unit that it has in every table."""
    label = label_of(name, alone=True)
    return Measure(name, label, kind_of(name), not_judged, is_signed(name))


_GIVEN: Final = BY_CONSTRUCTION
_PART: Final = "part of another row"
_BESIDE: Final = "beside another row"
CALM: Final = (
    Measure("open_interest_usd", "Open interest, all perps, at the end", "usd", _GIVEN),
    Measure("open_interest_change_frac", "Change of {0} open interest, in lots", "frac", "", True),
    Measure("mean_borrowed_usd", "USDC borrowed, mean", "usd", _GIVEN),
    Measure("traded_usd", "Traded in the {0} perp", "usd"),
    Measure("bid_depth_usd", "Bid depth of the {0} perp within 10 bp, median", "usd"),
    Measure("spread_frac", "Spread of the {0} perp, median", "bp"),
    _named("n_breaches"),
    Measure("peak_breached", "Accounts in breach, most at once", "count", _BESIDE),
)
STRESSED: Final = (
    Measure("fall", "Largest fall of the {0} mark", "frac"),
    Measure(
        "loss",
        "Lost by the accounts that ended worse than calm (gains of others not netted)",
        "usd",
        "partly by construction",
    ),
    Measure("loss_frozen", "of it with holdings frozen at the onset (P)", "usd", _GIVEN),
    Measure(
        "loss_added",
        "What trading adds to it: all that is traded (R) less frozen holdings (P)",
        "usd",
        "",
        True,
    ),
    Measure("liquidated_frac", "Liquidated {0} perps, of open interest at the onset", "frac"),
    _named("liquidated_usd"),
    _named("forced_fills_usd", _PART),
    _named("taken_over_usd", _PART),
    _named("deleveraged_usd", _PART),
    _named("backstop_shed_usd"),
    _named("n_deleveragings", _BESIDE),
    _named("debt_taken_over_usd", _GIVEN),
    _named("n_breaches"),
    Measure("peak_breached", "Accounts in breach, most at once", "count", _BESIDE),
    _named("negative_equity_usd"),
    _named("treasury_paid_usd"),
    Measure(
        "backstop_low_usd",
        f"{label_of('backstop_low_usd')} ({{1}} M USD at the onset)",
        "usd",
        "",
        True,
    ),
    Measure("written_off_usd", "Debt written off, borne by lenders last", "usd"),
    Measure("open_interest_change_frac", "Change of {0} open interest, in lots", "frac", "", True),
    Measure("bid_depth_usd", "Bid depth of the {0} perp within 10 bp, median", "usd"),
)


def regime_claims(
    study: RegimeStudy, measures: tuple[Measure, ...], *, arm: str
) -> list[tuple[Measure, Claim]]:
    """Judge portfolio against cross margin in one arm, all measures together.

    Parameters
    ----------
    study : RegimeStudy
        All runs.
    measures : tuple of Measure
        The table.
    arm : str
        "0", "R", or a milder shock: "R@0.5".

    Returns
    -------
    list of (Measure, Claim)
    """
    there = [m for m in measures if has_frozen(study, arm) or m.name not in _FROZEN]
    judged = [_inputs(study, m.name, arm) for m in there if m.is_judged]
    found = {claim.name: claim for claim in claims(judged)}
    shown = [_inputs(study, m.name, arm) for m in there if not m.is_judged]
    found |= {claim.name: replace(claim, word="not judged") for claim in claims(shown)}
    words = study.plan.target, usd(backstop_onset_usd(study))
    return [(m._replace(label=m.label.format(*words)), found[m.name]) for m in there]


def has_frozen(study: RegimeStudy, arm: str = "R") -> bool:
    """Tell whether the same shock was also run with holdings frozen."""
    return arm == "R" and {"P", "P0"} <= set(study.plan.arms)


def backstop_onset_usd(study: RegimeStudy) -> float:
    """Return the backstop's equity at the onset, the mean over seeds and regimes."""
    lines = [run.episodes["R"].timeline for run in _reference(study)]
    return float(np.mean([x.backstop_usd[x.t_min <= 0.0][-1] for x in lines]))


def _values(study: RegimeStudy, regime: str, arm: str, name: str) -> F64:
    if name == "loss_frozen":
        return study.loss(regime, "P")
    if name == "loss_added":
        return study.loss(regime, arm) - study.loss(regime, "P")
    return study.values(regime, arm, name)


def _inputs(study: RegimeStudy, name: str, arm: str) -> tuple[str, F64, F64, list[F64]]:
    treated, control = (_values(study, regime, arm, name) for regime in REGIMES)
    return name, treated, control, _placebos(study, name) if arm.startswith("R") else []


def _placebos(study: RegimeStudy, name: str) -> list[F64]:
    """Return what the placebo changed in an outcome, by seed; of the loss, that of Z against R."""
    if "Z" not in study.plan.arms:
        return []
    if name == "loss_frozen":
        return []
    if name in ("loss", "loss_added"):
        return [study.loss(regime, "Z") for regime in REGIMES]
    return [study.values(r, "Z", name) - study.values(r, "R", name) for r in REGIMES]


def noise_of(study: RegimeStudy, regime: str) -> Estimate:
    """Return the placebo's effect on the log fall of the target, NaN with n = 0 if none ran."""
    if "Z" not in study.plan.arms:
        return mean_estimate([])
    return paired_difference(study.drawdown(regime, "Z"), study.drawdown(regime, "R"))


class Amplification(NamedTuple):
    """How the shock grew under one regime."""

    absorbed: Estimate  # N - P of the log fall
    defence: Estimate  # F - N
    forced: Estimate  # R - F
    whole: Estimate  # R - P
    price: Estimate | None  # (R - 0) / (F - 0); None: the denominator is noise
    frozen: Estimate | None  # (R - 0) / (P - P0)
    passive_loss: Estimate  # USD
    loss: Estimate  # of R against 0, less the placebo's, USD
    loss_ratio: Estimate | None


def amplifications(study: RegimeStudy) -> dict[str, Amplification]:
    """Return the arms' comparison of each regime; empty if the arms did not run."""
    if not set(COMPARED) <= set(study.plan.arms):
        return {}
    return {regime: _amplification(study, regime) for regime in REGIMES}


def _amplification(study: RegimeStudy, regime: str) -> Amplification:
    fall = {arm: study.drawdown(regime, arm) for arm in COMPARED}
    noise = noise_of(study, regime)
    bound = max(abs(noise.low), abs(noise.high)) if noise.n > 1 else 0.0
    passive = study.loss(regime, "P")
    loss = study.loss(regime, "R")
    placebo = study.loss(regime, "Z") if "Z" in study.plan.arms else np.zeros(len(loss))
    return Amplification(
        paired_difference(fall["N"], fall["P"]),
        paired_difference(fall["F"], fall["N"]),
        paired_difference(fall["R"], fall["F"]),
        paired_difference(fall["R"], fall["P"]),
        ratio_above_noise(fall["R"] - fall["0"], fall["F"] - fall["0"], noise=bound),
        ratio_above_noise(fall["R"] - fall["0"], fall["P"] - fall["P0"], noise=bound),
        mean_estimate(passive),
        mean_estimate(loss - placebo),
        ratio_above_noise(loss - placebo, passive, noise=float(placebo.mean())),
    )


class ClassRow(NamedTuple):
    """Gain and loss of a class under stress; a column for each regime, USD."""

    label: str
    equity: tuple[Estimate, ...]  # at the onset
    revaluation: tuple[Estimate, ...]
    net: tuple[Estimate, ...]
    change: tuple[Estimate, ...]
    difference: Estimate  # of the change, portfolio - cross


def shown_classes(study: RegimeStudy) -> list[int]:
    """Return the classes that hold or move anything."""
    total = np.sum([np.abs(run.episodes["R"].classes) for run in _reference(study)], axis=0)
    return [k for k in range(len(CLASS_LABELS)) if total[k].any()]


def class_rows(study: RegimeStudy) -> list[ClassRow]:
    """Return who gained and who lost, the outside market, and the sum of all.

    Net of revaluation, the rows sum to zero up to rounding: accounts are valued one by one, the
    outside's gain is found asset by asset.
    """
    rows = [_class_row(study, CLASS_LABELS[k], k) for k in shown_classes(study)]
    outside = {r: np.array([x.episodes["R"].outside_usd for x in study.of(r)]) for r in REGIMES}
    zero = {r: np.zeros(len(outside[r])) for r in REGIMES}
    rows.append(_row("outside market and price gaps", zero, zero, outside))
    tables = {
        r: np.array([x.episodes["R"].classes.sum(axis=0) for x in study.of(r)]) for r in REGIMES
    }
    rows.append(
        _row(
            "sum",
            {r: t[:, 0] for r, t in tables.items()},
            {r: t[:, 2] for r, t in tables.items()},
            {r: t[:, 1] - t[:, 2] + outside[r] for r, t in tables.items()},
        )
    )
    return rows


def _class_row(study: RegimeStudy, label: str, k: int) -> ClassRow:
    table = {r: np.array([x.episodes["R"].classes[k] for x in study.of(r)]) for r in REGIMES}
    return _row(
        label,
        {r: t[:, 0] for r, t in table.items()},
        {r: t[:, 2] for r, t in table.items()},
        {r: t[:, 1] - t[:, 2] for r, t in table.items()},
    )


def _row(
    label: str, equity: dict[str, F64], reval: dict[str, F64], net: dict[str, F64]
) -> ClassRow:
    change = {r: reval[r] + net[r] for r in REGIMES}
    treated, control = (change[r] for r in REGIMES)
    return ClassRow(
        label,
        tuple(mean_estimate(equity[r]) for r in REGIMES),
        tuple(mean_estimate(reval[r]) for r in REGIMES),
        tuple(mean_estimate(net[r]) for r in REGIMES),
        tuple(mean_estimate(change[r]) for r in REGIMES),
        paired_difference(treated, control),
    )


class CapRow(NamedTuple):
    """What is used of one cap under portfolio margin, USD."""

    label: str
    cap: float  # at the onset: that of a collateral moves with its price
    onset: Estimate
    onset_share: Estimate  # of the cap
    end_cap: float  # as the stressed run ends
    end: Estimate
    end_share: Estimate  # of the cap at that time


def cap_rows(study: RegimeStudy) -> list[CapRow]:
    """Return the use of each cap at the onset and at the end of the stressed run."""
    runs, names = study.of(REGIMES[0]), study.plan.scenario.assets
    rows = []
    for k, use in enumerate(runs[0].caps):
        label = use.name.format(*names)
        cap = float(np.mean([run.caps[k].cap for run in runs]))
        onset = [run.caps[k] for run in runs]
        end = [run.episodes["R"].caps[k] for run in runs]
        end_cap = float(np.mean([use.cap for use in end]))
        rows.append(CapRow(label, cap, *_cap_use(onset), end_cap, *_cap_use(end)))
    return rows


def _cap_use(uses: list[CapUse]) -> tuple[Estimate, Estimate]:
    shares = [use.used / use.cap if use.cap > 0.0 else 0.0 for use in uses]
    return mean_estimate([use.used for use in uses]), mean_estimate(shares)


def utilisation(study: RegimeStudy) -> tuple[Estimate, Estimate, tuple[float, float]]:
    """Return utilisation of the reserve at onset and end, and its lowest and highest peak.

    Under portfolio margin, stressed; as fractions.
    """
    lines = [run.episodes["R"].timeline for run in study.of(REGIMES[0])]
    onset = mean_estimate([x.utilisation_frac[x.t_min <= 0.0][-1] for x in lines])
    peaks = [float(x.utilisation_frac[x.t_min >= 0.0].max()) for x in lines]
    return onset, mean_estimate([x.utilisation_frac[-1] for x in lines]), (min(peaks), max(peaks))


class DriftRow(NamedTuple):
    """Whether a quantity was steady before the onset: relative change an hour."""

    label: str
    drift: tuple[Estimate, ...]  # 90 %, one a regime
    word: tuple[str, ...]


def drift_rows(study: RegimeStudy) -> list[DriftRow]:
    """Return the drift of each quantity over the last half of the warm-up."""
    names = _reference(study)[0].before
    rows = []
    for name in names:
        found = tuple(_drift(study, regime, name) for regime in REGIMES)
        rows.append(DriftRow(name, found, tuple(_drift_word(e) for e in found)))
    return rows


def _drift(study: RegimeStudy, regime: str, name: str) -> Estimate:
    series = np.array([run.before[name] for run in study.of(regime)])
    means = series.mean(axis=1, keepdims=True)
    if not means.all():
        return mean_estimate([], level=0.9)
    hours = np.arange(series.shape[1]) / 60.0
    return slope_estimate(list(hours), series / means, level=0.9)


def _drift_word(e: Estimate) -> str:
    if e.n == 0:
        return "nothing there"
    if e.n < 2:
        return "one draw, no interval"
    if e.low >= -DRIFT_BAND and e.high <= DRIFT_BAND:
        return "steady"
    return "drifts" if e.low > DRIFT_BAND or e.high < -DRIFT_BAND else "undecided"


def refusal_rows(study: RegimeStudy) -> list[tuple[str, tuple[Estimate, ...]]]:
    """Return refused messages by reason, of the calm and the stressed run of each regime."""
    columns = [(r, arm) for r in REGIMES for arm in ("0", "R")]
    names: dict[str, None] = {}
    for run in _reference(study):
        for arm in ("0", "R"):
            names |= dict.fromkeys(run.episodes[arm].refusals)
    return [
        (
            name.replace("_", " "),
            tuple(
                mean_estimate([x.episodes[arm].refusals.get(name, 0) for x in study.of(r)])
                for r, arm in columns
            ),
        )
        for name in names
    ]


def _reference(study: RegimeStudy) -> list[RegimeRun]:
    return [run for run in study.runs if not run.variant]
