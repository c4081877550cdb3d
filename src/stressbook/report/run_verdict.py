"""What a single run came to, in sentences: who was hit, who paid, and what flatters the venue."""

from __future__ import annotations

from stressbook.experiments.run import RunRecord
from stressbook.experiments.words import duration
from stressbook.report.backstop import backstop_of_run
from stressbook.report.loss_tables import closed_share
from stressbook.report.numbers import money, percent, plain

__all__ = ["run_sentences"]


def run_sentences(record: RunRecord, asset: str) -> list[str]:
    """Return the verdict of a run; one draw has no interval, and its tag says so.

    Parameters
    ----------
    record : RunRecord
        A finished run.
    asset : str
        The one that fell most.

    Returns
    -------
    list of str
    """
    found = record.outcomes
    fall = found[f"drawdown_{asset}_frac"]
    since = "the onset" if record.scenario.stresses else "the end of the warm-up"
    breaches = int(found["n_breaches"])
    return [
        f"{asset} fell by {percent(fall)} % from {since}, the most of all.",
        f"Breaches: {breaches}; {money(found['liquidated_usd'])} of perps were liquidated."
        if breaches
        else "No account fell into breach.",
        _backstop_text(record),
        _payers_text(record),
        _flattering_text(record),
    ]


def _backstop_text(record: RunRecord) -> str:
    backstop = backstop_of_run(record)
    if backstop.opening_usd <= 0.0:
        return "There is no capital behind a backstop."
    state = "was used up" if record.outcomes["backstop_short_usd"] > 0.0 else "held"
    change = backstop.result_usd
    came = f"{'lost' if change < 0.0 else 'gained'} {money(abs(change))}" if change else "kept all"
    return (
        f"The backstop's capital of {money(backstop.opening_usd)} {state} (lowest equity "
        f"{money(backstop.low_usd)}); from the opening to the end it {came}."
    )


def _payers_text(record: RunRecord) -> str:
    found = record.outcomes
    paid, n = found["treasury_paid_usd"], int(found["n_deleveragings"])
    written = found["written_off_usd"]
    parts = [
        f"the treasury paid {money(paid)} of deficits" if paid else "the treasury paid nothing",
        _closed_text(record, n) if n else "no counterparty was deleveraged",
    ]
    if found["socialised_usd"]:
        parts.append(f"accounts bore {money(found['socialised_usd'])} of others' deficits")
    parts.append(f"{money(written)} of debt was written off" if written else "no debt written off")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _closed_text(record: RunRecord, n: int) -> str:
    found = record.outcomes
    closed = found["deleveraged_usd"] + found["backstop_shed_usd"]
    times = f"{n} counterpart{'y was' if n == 1 else 'ies were'} deleveraged"
    gap = found["gap_at_adl_usd"]
    lost = (
        f"{money(gap)} worse than the mark, {plain(100.0 * closed_share(found), 2)} % of it"
        if gap
        else "at the mark or better"
    )
    return f"{times}, {money(closed)} of perps, {lost}"


def _flattering_text(record: RunRecord) -> str:
    """Return what in the model spares the venue, each with what was measured of it."""
    parts = (_share_text(record), *_props(record))
    return f"What flatters the venue here: {'; '.join(part for part in parts if part)}."


def _share_text(record: RunRecord) -> str:
    """Return how much of the equity the regime of enrolled accounts is asked of."""
    accounts = record.accounts[:-1]
    is_in = accounts["enrolled"] == 1
    equity = accounts["opening_equity_usd"]
    if not is_in.any() or is_in.all() or not equity.sum() > 0.0:
        return ""
    share = percent(float(equity[is_in].sum() / equity.sum()))
    return (
        f"only {share} % of the accounts' equity at the opening ({int(is_in.sum())} of "
        f"{len(accounts)} accounts) is under {record.scenario.margin_regime} margin"
    )


def _props(record: RunRecord) -> list[str]:
    found, parts = record.outcomes, ["buyers of assumed size stand in the books"]
    spec = record.scenario.venue_spec()
    if spec.liquidation.socialise == "none":
        paid = money(found["treasury_paid_usd"])
        parts.append(f"the treasury pays deficits without limit, {paid} here")
    if found["backstop_held_frac"] > 0.0:
        times = plain(found["backstop_held_frac"], 1)
        parts.append(f"the backstop held up to {times} times its capital, asked for no margin")
    if found["peak_borrowed_usd"] > 0.0:
        peak = percent(found["peak_utilisation_frac"])
        missed = found["reserve_shortfall_peak_usd"]
        worst = f"though they missed {money(missed)} at the worst minute, " if missed else ""
        parts.append(f"no lender runs, {worst}with {peak} % of what is supplied lent at the peak")
    length, lent = duration(record.scenario.duration_s), money(found["end_borrowed_usd"])
    return [*parts, f"and the run ends after {length} with {lent} still lent"]
