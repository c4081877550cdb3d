"""Studies that ship: TOML files for `sweep` and `size-cap`, and those whose results are kept."""
