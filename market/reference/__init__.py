"""The venue once more in plain Python: the test oracle for the compiled one.

================  ================================================================
here              compiled, in `stressbook.market`
================  ================================================================
`accrual`         `accrual`, `funding`
`backstop`        `backstop`
`book`            `book`, `occupancy`, `depth`
`deficit`         `deficit`
`deleveraging`    `deleveraging`
`funding`         `funding`, `depth`
`holdings`        `requirements`
`ledger`          `ledger`
`margin`          `margin`, `admission`, `requirements`, `borrowing`
`margin_desk`     `margin`, `requests`, `reserve`
`match`           `match`, `fills`
`oracle`          `oracle`
`parts`           `claims`, `reserve`, `clock`
`requests`        `requests`
`reserve`         `reserve`, `borrowing`, `lending_rates`
`resolution`      `resolution`
`resting`         `resting`, `client_ids`
`sequence`        `sequence`
`takeover`        `takeover`
`units`           `units`
`valuation`       `valuation`, `reserve` (collateral)
`venue`           `venue`
`records`         `state`: records that come and go
`opening`         none: from the arrays of an opening to plain objects
`reading`         none: from any arrays to plain objects, rules again in every step
`mirror`          none: from plain objects back to the arrays
================  ================================================================
"""
