"""Scenario files: TOML into checked fields, every problem at once, and back.

`file` finds, reads, inherits and overrides; `table` says what each key means, with the tables of
world, venue and stresses; `binding` and `values` check against dataclasses; `schema` is the same
law as JSON Schema.
"""
