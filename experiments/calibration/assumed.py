"""What no recording at hand fixes: values assumed, each with its reason.

They come from rough trials of the whole model, where calm markets and liquidations looked right
over ranges of a third to three times the value unless the note says otherwise. Studies show their
results beside such a range.
"""

from stressbook.experiments.calibration.estimate import (
    estimated,
)
from stressbook.experiments.calibration.rows import ASSUMED, Row

__all__ = ["assumed_rows"]

_NAN = float("nan")
_SCALED = "as in trials, where a third to three times is calm; ETH, SOL by volatility over volume"
_TRIAL = "calm in trials at a third to three times the value"

# name, table, unit, values for BTC, ETH, SOL, HYPE (None: measured), note
_VALUES: tuple[
    tuple[str, str, str, tuple[float | None, float | None, float | None, float | None], str], ...
] = (
    ("outside_impact_bp_per_musd", "world", "bp per 1e6 USD", (0.3, 0.8, 2.5, 10.0), _SCALED),
    ("outside_impact_halflife_s", "world", "s", (120.0,) * 4, _TRIAL),
    ("outside_impact_lasting_frac", "world", "1", (0.25,) * 4, _TRIAL),
    ("outside_impact_lasting_halflife_s", "world", "s", (21_600.0,) * 4, _TRIAL),
    (
        "outside_impact_concave_above_frac",
        "world",
        "1",
        (0.03, 0.03, 0.03, 0.06),
        "decides how large a cascade can grow; show results beside 0.01 and linear",
    ),
    ("outside_half_spread_bp", "world", "bp", (None, None, 0.8, 1.5), _TRIAL),
    ("market_order_size_tail", "flow", "1", (None, None, 1.4, 1.4), "middle of V11"),
    ("hawkes_branching", "flow", "1", (None, None, 0.5, 0.5), "as measured for BTC and ETH"),
    ("depth_10bp_usd", "flow", "USD", (None, None, 2.5e6, 1.2e6), _TRIAL),
    ("depth_exponent", "flow", "1", (None, None, 0.8, 0.8), "middle of V9"),
    ("spot_depth_10bp_usd", "flow", "USD", (None, 6e5, 3e5, 8e5), _TRIAL),
    ("spot_depth_exponent", "flow", "1", (None, 0.8, 0.8, 0.8), "middle of V9"),
)


def assumed_rows() -> list[Row]:
    """Return the assumed numbers of every asset.

    Returns
    -------
    list of Row
        Role `ASSUMED`, no interval.

    Examples
    --------
    >>> {row.role for row in assumed_rows()}
    {'assumed'}
    """
    return [
        Row(asset, table, name, estimated(value, _NAN, _NAN, 0), unit, ASSUMED, "none", note=note)
        for name, table, unit, values, note in _VALUES
        for asset, value in zip(("BTC", "ETH", "SOL", "HYPE"), values, strict=True)
        if value is not None
    ]
