"""A venue that judges breaches late, or whose liquidator is out: dials that a stress turns.

The valuation of accounts goes on at every mark update, as do draws of debt and admission: only who
is found in breach comes late, and only what would be done about it stays undone.
"""

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.units import MS_PER_S, round_nearest
from stressbook.market.orders.halts import is_up_for_all
from stressbook.market.state.records import VenueState

__all__ = ["is_check_due", "resolves"]


@inline_kernel
def is_check_due(v: VenueState, t_ms: int) -> bool:
    """Tell whether breaches are judged at a mark update.

    Parameters
    ----------
    v : VenueState
        Read only: the largest `check_delay_s` of all assets.
    t_ms : int
        End of the step, a mark update.

    Returns
    -------
    bool
        With a delay of N seconds, at the first mark update at or after each multiple of N; mark
        updates count at their nominal times, so that the length of a step changes nothing.
    """
    delay_s = 0.0
    for asset in range(v.dial.shape[0]):
        delay_s = max(delay_s, float(v.dial[asset].check_delay_s))
    period_ms = int(v.par[0].price_period_ms)
    delay_ms = round_nearest(delay_s * MS_PER_S)
    if delay_ms <= period_ms:
        return True
    now_ms = t_ms // period_ms * period_ms
    before_ms = (t_ms - int(v.par[0].dt_ms)) // period_ms * period_ms
    return now_ms // delay_ms != before_ms // delay_ms


@inline_kernel
def resolves(v: VenueState) -> bool:
    """Tell whether breaches are resolved, and what was taken over is sold.

    Parameters
    ----------
    v : VenueState
        Read only.

    Returns
    -------
    bool
        False by rule, or while the dial `liquidator_out` is up for every asset: breaches are of
        whole accounts.
    """
    return bool(v.par[0].resolution_on == 1 and not is_up_for_all(v.dial["liquidator_out"]))
