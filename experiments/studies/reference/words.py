"""How the page of reference studies writes numbers and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.exact import lower_bound, share_estimate, upper_bound

__all__ = ["between", "failures", "markdown_table", "millions", "percent"]

ALPHA: Final = 0.05


def failures(hits: int, n: int) -> dict[str, Any]:
    """Return a share of episodes with its exact intervals, and whether it is within 5 %.

    Parameters
    ----------
    hits, n : int
        Failures and episodes.

    Returns
    -------
    dict
        `failures`, `n`, `p`, its two-sided 95 % interval, one-sided bounds at 95 %, and `word`:
        "within 5 %" or "above 5 %" where such a bound shows it, else "undecided".

    Examples
    --------
    >>> [failures(k, 59)["word"] for k in (0, 1, 9)]
    ['within 5 %', 'undecided', 'above 5 %']
    """
    share = share_estimate(hits, n)
    upper, lower = upper_bound(hits, n), lower_bound(hits, n)
    word = "within 5 %" if upper <= ALPHA else "above 5 %" if lower > ALPHA else "undecided"
    return {
        "failures": hits,
        "n": n,
        "p": share.value,
        "p_low": share.low,
        "p_high": share.high,
        "p_upper": upper,
        "word": word,
    }


def millions(usd: float) -> str:
    """Return USD in millions with three digits that matter.

    Examples
    --------
    >>> millions(1234.5e6), millions(47.26e6), millions(3.456e6), millions(0.0), millions(-27e3)
    ('1234', '47.3', '3.46', '0', '-0.027')
    """
    value = usd / 1e6
    if abs(value) >= 100.0:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else "0" if value == 0.0 else f"{value:.1g}"


def percent(share: float) -> str:
    """Return a share in per cent, one decimal.

    Examples
    --------
    >>> percent(0.0605)
    '6.0'
    """
    return f"{100.0 * share:.1f}"


def between(estimate: Estimate | tuple[float, float]) -> str:
    """Return bounds in millions of USD.

    Examples
    --------
    >>> between((1e6, 2.5e6))
    '1 to 2.5'
    """
    low, high = estimate if isinstance(estimate, tuple) else (estimate.low, estimate.high)
    return f"{millions(low)} to {millions(high)}"


def markdown_table(heads: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    heads : mapping of str to str
        Key of a row to head of its column.
    rows : sequence of mapping of str to str
        Cells by key.

    Examples
    --------
    >>> print(markdown_table({"a": "A"}, [{"a": "1"}]))
    | A |
    |---|
    | 1 |
    """
    lines = [f"| {' | '.join(heads.values())} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row[key] for key in heads)} |" for row in rows]
    return "\n".join(lines)
