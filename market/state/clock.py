"""When what the venue and its world do by themselves is due."""

from stressbook.market.compiling.kernel import inline_kernel

__all__ = ["is_due"]


@inline_kernel
def is_due(t_ms: int, dt_ms: int, period_ms: int) -> bool:
    """Whether a period ends in the step (t - dt, t]: the first step with t >= k x period.

    Parameters
    ----------
    t_ms : int
        End of the step.
    dt_ms : int
        Its length.
    period_ms : int
        Between two times, counted from 0.

    Returns
    -------
    bool

    Examples
    --------
    >>> [t for t in range(2_000, 13_000, 2_000) if is_due(t, 2_000, 3_000)]
    [4000, 6000, 10000, 12000]
    """
    return t_ms // period_ms != (t_ms - dt_ms) // period_ms
