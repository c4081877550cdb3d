"""Studies that ship, as TOML files: each answers one question."""

"""Shipped studies: what `stressbook sweep NAME` runs."""
