"""How the market behaves, beside the ranges it should lie in: runs, estimators, verdicts, a table.

One file a question: `calm` (quiet days), `stationarity` (long runs), `stressed` (shocks), `regimes`
(portfolio against cross margin). `table` writes what they found into docs/behaviour.md.
"""
