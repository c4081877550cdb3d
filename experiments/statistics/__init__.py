"""Statistics of failures and losses over seeds: pure functions, nothing simulated.

One file a method: `exact` bounds, the `certificate`, `critical_caps` and the `staircase` of two,
confidence `sequences` that may be looked at, `break_even` points, `paired` rows and `tails` of
price falls. A failure is a loss above its budget or a run that crashed, everywhere.
"""
